package broker

import (
	"slices"
	"strings"
	"time"

	"guestlist/broker/cimd"
	"guestlist/broker/decisionlog"
)

// parsed is a document with where it came from.
type parsed struct {
	cimd.Parsed
	from         string // network, store, pin or configuration
	body         []byte
	fetchedAt    time.Time
	freshFor     time.Duration
	etag         string // validators, as its host gave them
	lastModified string
}

// news is what a call learnt about a client's document.
type news struct {
	changes []string // of the host's document against the one in force, see Changes
	held    bool     // it waits, and the document to judge is the one in force
	told    bool     // the row is to be written, whatever comes of the request
	beside  []func() // staged with the row
}

// settle decides which document counts where the host has another one than the
// row: the host's, at once, or the one in force until an operator approves the
// other. What settings.document.on_change says, by what Changes makes of it:
//
//   - accept: the host's document is in force at once, and grants go on.
//   - reconsent: the host's document is in force at once. A grant goes on
//     unless what it rests on has gone: its redirect URI, or, where it was made
//     with a key, that key (auth_weakened, keys_moved); then its refreshes are
//     refused until the person consents again.
//   - reapprove: what is cosmetic, a rotation, or only takes away is in force
//     at once. Anything else waits as Client.Pending, and the last approved
//     document stays in force, less what the host took away. While
//     auth_weakened or keys_moved waits the client does not act at all.
//   - deny: all but cosmetic changes wait, and until then the client does not
//     act at all.
//
// Whatever it says, a grant never goes on with a weaker authentication method
// than its own, and a request under way keeps to the document it began with.
func (c *call) settle(s Settings) error {
	if !c.live {
		return nil
	}
	if p := c.row.Pending; p != nil && c.doc.from == fromStore {
		waiting, err := c.b.reread.document(p.Published, c.id, cimd.Profile(s.Document.Profile))
		if err != nil {
			return fromCIMD(err)
		}
		c.doc.Parsed, c.doc.body = waiting, p.Published
		// It may have been blocked while it waited.
		if err := c.anyBlock([]blockKey{documentBlock(c.doc.SHA256)}); err != nil {
			return err
		}
	}
	if c.doc.SHA256 == c.row.DocumentSHA256 {
		c.row.Pending = nil // the host went back
		return nil
	}
	c.changes = Changes(c.row.Document, c.doc.Document)
	if c.mustWait(s) {
		return c.hold(s)
	}
	return nil
}

// mustWait reports whether the document at hand has to wait. One that an
// operator gave does not, nor the host's where an operator had it count again.
func (c *call) mustWait(s Settings) bool {
	return c.own() && c.given == nil && !c.held && waits(s.Document.OnChange, c.changes)
}

// hold makes the document at hand wait, and goes on with the one in force.
func (c *call) hold(s Settings) error {
	if c.doc.from != fromStore {
		c.keepWaiting(s)
	}
	p, err := c.stored(cimd.Profile(s.Document.Profile))
	if err != nil {
		return fromCIMD(err)
	}
	c.doc = parsed{Parsed: p, from: fromStore, body: c.row.Published, fetchedAt: c.row.FetchedAt}
	c.held = true
	return nil
}

// keepWaiting notes in the row that the host has the document at hand.
func (c *call) keepWaiting(s Settings) {
	row := c.row
	if row.Pending == nil || row.Pending.SHA256 != c.doc.SHA256 {
		row.Pending = &Pending{Published: c.doc.body, SHA256: c.doc.SHA256, SeenAt: c.now, Changes: c.changes}
		c.putVersion()
		c.tell(decisionlog.EventDocumentChanged, decisionlog.OutcomeHeld, c.doc.SHA256, strings.Join(c.changes, " ")+
			": document.on_change is "+s.Document.OnChange+"; waits for guestlist client approve "+row.ID)
	}
	c.seen(&row, s)
	c.row, c.told = row, true
}

// seen notes in a row that its host served a document.
func (c *call) seen(row *Client, s Settings) {
	row.FetchedAt = later(c.doc.fetchedAt, row.FetchedAt) // a shared fetch may be older than a pin that is gone
	row.FreshUntil = c.doc.fetchedAt.Add(c.freshFor(s))
	row.UsableUntil = row.FreshUntil.Add(s.Document.StaleIfError.Std())
	row.WithdrawnAt, row.GoneAt = time.Time{}, time.Time{}
}

// stored is the document in force: the row's, less what its host has taken
// away meanwhile.
func (c *call) stored(profile cimd.Profile) (cimd.Parsed, error) {
	p, err := c.b.reread.document(c.row.Published, c.id, profile)
	if err != nil || c.row.Pending == nil {
		return p, err
	}
	waiting, err := c.b.reread.document(c.row.Pending.Published, c.id, cimd.ProfileCIMD)
	p.Document = within(p.Document, waiting.Document)
	return p, err
}

// Listed is the document in force, less what its host has taken away in one
// that waits. The error says that what waits cannot be read.
func (c Client) Listed() (cimd.Document, error) {
	if c.Pending == nil {
		return c.Document, nil
	}
	id, err := cimd.Parse(c.ID)
	if err != nil {
		return cimd.Document{}, fromCIMD(err)
	}
	waiting, err := cimd.ParseDocument(c.Pending.Published, id, cimd.ProfileCIMD)
	if err != nil {
		return cimd.Document{}, fromCIMD(err)
	}
	return within(c.Document, waiting.Document), nil
}

// within is a document less what another one does not list: redirect URIs,
// grant and response types, scope.
func within(d, bound cimd.Document) cimd.Document {
	d.RedirectURIs = both(d.RedirectURIs, bound.RedirectURIs)
	d.GrantTypes = both(d.GrantTypes, bound.GrantTypes)
	d.ResponseTypes = both(d.ResponseTypes, bound.ResponseTypes)
	switch {
	case d.Scope == nil:
		d.Scope = bound.Scope
	case bound.Scope != nil:
		scope := strings.Join(both(strings.Fields(*d.Scope), strings.Fields(*bound.Scope)), " ")
		d.Scope = &scope
	}
	return d
}

// both is what two lists have in common, in the order of the first.
func both(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(v string) bool { return !slices.Contains(b, v) })
}

// stopped refuses a client that does not act while a changed document waits.
func (c *call) stopped(s Settings) error {
	p := c.row.Pending
	if c.live && p != nil && c.doc.SHA256 == c.row.DocumentSHA256 && stops(s.Document.OnChange, p.Changes) {
		return Refuse(ReasonDocumentChanged, "%s (document.on_change: %s): document %s waits for guestlist client approve %s",
			strings.Join(p.Changes, " "), s.Document.OnChange, p.SHA256, c.row.ID)
	}
	return nil
}

// Acts reports whether a client acts at all under that document.on_change: not
// while some changes wait for an operator, nor once its host was found without
// a valid document twice.
func (c Client) Acts(onChange string) bool {
	waiting := c.Pending != nil && stops(onChange, c.Pending.Changes)
	return !waiting && (c.GoneAt.IsZero() || onChange == onChangeAccept)
}

// stillListed refuses a request under way whose redirect URI its host has taken
// away.
func (c *call) stillListed() error {
	if b := c.req.Bound; b == nil || b.DocumentSHA256 == "" {
		return nil
	}
	if _, _, ok := cimd.MatchRedirect(c.doc.Document.RedirectURIs, &c.req.Facts.RedirectURI); !ok {
		return Refuse(ReasonDocumentChanged, "its host no longer lists the redirect URI %.300q", c.req.Facts.RedirectURI)
	}
	return nil
}

// stands holds a later step against what became of the document since its flow
// began.
func (c *call) stands(s Settings) error {
	if err := c.stopped(s); err != nil {
		return err
	}
	if c.req.Refresh != nil && !c.row.GoneAt.IsZero() && s.Document.OnChange != onChangeAccept {
		return Refuse(ReasonDocumentWithdrawn, "its host has no valid document since %s, and had none again at %s (document.on_change: %s)",
			c.row.WithdrawnAt.UTC().Format(time.RFC3339), c.row.GoneAt.UTC().Format(time.RFC3339), s.Document.OnChange)
	}
	return nil
}

// concede keeps what a fetch taught although the request was refused, so that
// grants of others follow it.
func (c *call) concede(err error) {
	switch {
	case c.told:
		c.write = c.rewrite
	case !c.live || c.doc.SHA256 == c.row.DocumentSHA256:
	case ReasonOf(err) == ReasonRedirectMismatch && c.adopt():
	case c.blamesDocument(err):
		// The host has published another document. It is not stored, since it
		// was refused; the one before must not outlive it by the host's trouble.
		c.withdraw(err)
	}
}

// rewrite stages the row as this call has changed it.
func (c *call) rewrite() {
	c.u.RequireEpoch(c.out.Epoch)
	c.u.UpdateClient(c.row)
	c.writeBeside()
}

// adopt puts the document at hand in force, or makes it wait, for other
// requests than this one, and reports whether policy lets it.
func (c *call) adopt() bool {
	d := c.propose()
	if !d.Allowed && !redirectable(d.Reason) {
		return false
	}
	if c.mustWait(d.Settings) {
		if c.hold(d.Settings) != nil {
			return false
		}
		if c.told {
			c.write = c.rewrite
		}
		return true
	}
	c.stage(d)
	return true
}

// propose asks the document phase about the document itself: for the redirect
// URI of the request where the document lists it, else for the first one that
// the settings keep.
func (c *call) propose() Decision {
	if c.req.RedirectURI != nil && c.matchRedirect() == nil {
		c.describeDocument()
		return c.ask(PhaseDocument, &c.doc.Document)
	}
	c.input.Request.RedirectURI, c.input.Request.Redirect = "", RedirectInput{}
	c.describeDocument()
	before := len(c.phases)
	d := c.ask(PhaseDocument, &c.doc.Document)
	if len(d.Redirects) == 0 {
		return d
	}
	r := d.Redirects[0]
	c.input.Request.RedirectURI = r.URI
	c.input.Request.Redirect = RedirectInput{Kind: r.Kind, Host: r.Host, Relation: r.Relation}
	c.phases = c.phases[:before]
	return c.ask(PhaseDocument, &c.doc.Document)
}
