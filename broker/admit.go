package broker

import (
	"context"
	"fmt"
	"strings"
	"time"

	"guestlist/broker/cimd"
	"guestlist/broker/decisionlog"
)

// Request is one request to act, as the strict edge understood it.
type Request struct {
	RequestID   string       // shown to whoever asked
	ClientID    string       // as sent
	RedirectURI *string      // as sent; nil when absent
	Facts       RequestInput // RedirectURI and Redirect are filled by Admit at the start of a flow
	Fault       *Error       // a fault of the request that may be told by redirect once the redirect URI is proven
	Person      *UserInput   // set: the user phase is asked, about the stored document
	Bound       *Bound       // set with Person: what the request was approved with
	Refresh     *Refresh     // set with Person: the refresh phase is asked instead of the user phase
	Commits     bool         // the step commits anyway when admitted, so the record goes with it
}

// Bound ties a later step to the start of its flow.
type Bound struct {
	Incarnation    uint64 // life of the client the flow started with
	DocumentSHA256 string // empty: any document of that life
	GrantID        string // for the record
}

// Refresh is what the refresh phase knows beside the frozen request.
type Refresh struct {
	Grant GrantInput // the grant the refresh token belongs to
	Now   NowInput   // the present call
}

// Admission is a client that may act now.
type Admission struct {
	Client      Client   // as stored, or as staged
	Decision    Decision // of the last phase asked
	RedirectURI string   // proven: one of the document's and allowed; set with an error too when it was proven
	Registered  string   // the entry of redirect_uris that matched
	Request     RequestInput
	Reused      bool // admitted from the stored row alone
	Revision    string
	Epoch       uint64
}

// Admit decides whether the client may act now, and stages what follows on u.
// Every call authors one decision record: staged when state changes or the
// step commits anyway, else handed to Config.Later. Where the unit is not
// empty afterwards the caller commits it, also when Admit returned an error: a
// refusal may have met a client whose life is over.
//
// With a Person the user or refresh phase is asked about the stored document
// and nothing is fetched; without, the request starts a flow. Errors are *Error. On an
// error Admission.RedirectURI tells whether a redirect is proven.
//
// Admit does not check PKCE, response_type or client authentication: those
// belong to the request, not to the client.
func (b *Broker) Admit(ctx context.Context, u Unit, req Request) (Admission, error) {
	c := &call{b: b, ctx: ctx, u: u, req: req, now: b.cfg.Now()}
	err := c.run()
	c.hint(err)
	r, rerr := c.author(err)
	if rerr != nil && err == nil {
		err = &Error{Reason: ReasonLogUnavailable, Err: rerr}
		c.write, c.out.Client = nil, Client{}
		r, _ = c.author(err)
	}
	if c.write != nil {
		c.write()
	}
	if rerr := c.keep(r, err); rerr != nil && err == nil {
		err = &Error{Reason: ReasonLogUnavailable, Err: rerr}
	}
	if err != nil {
		c.out.Decision.Allowed = false
	}
	return c.out, err
}

// call is one Admit under way.
type call struct {
	b   *Broker
	ctx context.Context
	u   Unit
	req Request
	now time.Time

	policy  Policy
	id      cimd.ID
	row     Client // the stored row, when live is set
	live    bool   // row is a client that lives now
	doc     parsed // the document to judge
	ended   bool   // this call staged an end: of a client or of its document's use
	write   func() // stages the client of an admission, once its record is authored
	phases  []decisionlog.Phase
	input   Input // of the last phase asked
	metrics map[string]int64
	out     Admission
}

// parsed is a document with where it came from.
type parsed struct {
	cimd.Parsed
	from      string // network or store
	body      []byte
	fetchedAt time.Time
	freshFor  time.Duration
}

// run asks the phases in order; nothing to the right runs when something to
// the left said no.
func (c *call) run() error {
	c.metrics = map[string]int64{}
	id, err := cimd.Parse(c.req.ClientID)
	if err != nil {
		if !cimd.LooksLikeURL(c.req.ClientID) {
			return Refuse(ReasonClientIDUnknown, "client_id is no URL and no stored client has it")
		}
		return malformed(err)
	}
	c.id = id
	if c.policy, c.out.Epoch, err = c.b.active(c.ctx, c.u); err != nil {
		return err
	}
	c.out.Revision = c.policy.Revision()
	if err := c.meet(); err != nil {
		return err
	}
	if c.b.cfg.AdmitOff {
		return Refuse(ReasonCIMDOff, "cimd.admit is false")
	}
	if c.req.Person != nil {
		return c.proceed()
	}
	return c.start()
}

// meet loads the client's row and prunes it when its life is over.
func (c *call) meet() error {
	row, found, err := c.u.Client(c.ctx, c.id.String())
	if err != nil {
		return &Error{Reason: ReasonStoreUnavailable, Err: err}
	}
	if !found {
		return nil
	}
	c.row, c.live = row, true
	if row.Expired(c.now) {
		c.prune(ReasonClientEnded, "the client expired at "+row.ExpiresAt.UTC().Format(time.RFC3339))
	}
	return nil
}

// start admits a client at the start of a flow.
func (c *call) start() error {
	c.input = c.baseInput(c.req.Facts)
	d := c.ask(PhaseURL, nil)
	if !d.Allowed {
		if d.Unnamed && c.live {
			c.prune(ReasonNoPolicyMatched, "no enabled policy matches the client any more")
		}
		return refusal(d)
	}
	if err := c.obtain(d); err != nil {
		return err
	}
	err := c.judge()
	if err != nil && c.live && c.row.DocumentSHA256 != c.doc.SHA256 && c.blamesDocument(err) {
		// The host has published another document. It is not stored, since it
		// was refused; the one before must not outlive it by the host's trouble.
		c.endUsability()
	}
	return err
}

// judge asks about the document in hand and stages the client.
func (c *call) judge() error {
	if err := c.matchRedirect(); err != nil {
		return err
	}
	c.describeDocument()
	d := c.ask(PhaseDocument, &c.doc.Document)
	if !d.Allowed {
		if redirectable(d.Reason) {
			c.out.RedirectURI = c.input.Request.RedirectURI
		}
		return refusal(d)
	}
	c.out.RedirectURI = c.input.Request.RedirectURI
	if c.req.Fault != nil {
		return c.req.Fault
	}
	c.stage(d)
	return nil
}

// redirectable tells the negotiation errors that say "this request asks too
// much" from those that say "this client may not act".
func redirectable(r Reason) bool {
	return r == ReasonScopeNotAllowed || r == ReasonResourceUnknown
}

// matchRedirect proves the redirect URI against the document.
func (c *call) matchRedirect() error {
	uri, registered, ok := cimd.MatchRedirect(c.doc.Document.RedirectURIs, c.req.RedirectURI)
	if !ok {
		return Refuse(ReasonRedirectMismatch, "redirect_uri %s is not one of %.900q", c.redirectSent(), strings.Join(c.doc.Document.RedirectURIs, " "))
	}
	r, err := cimd.ClassifyRedirect(uri, c.id)
	if err != nil {
		return &Error{Reason: ReasonRedirectMismatch, Err: err}
	}
	c.out.Registered = registered
	c.input.Request.RedirectURI = uri
	c.input.Request.Redirect = RedirectInput{Kind: r.Kind, Host: r.Host, Relation: r.Relation}
	return nil
}

// redirectSent shows redirect_uri to the operator, by its digest where it is
// none.
func (c *call) redirectSent() string {
	sent := c.req.RedirectURI
	if sent == nil {
		return "(absent)"
	}
	if _, err := cimd.ClassifyRedirect(*sent, c.id); err != nil {
		return digest(*sent)
	}
	return fmt.Sprintf("%.300q", *sent)
}

// proceed asks the user or refresh phase about the stored document.
func (c *call) proceed() error {
	bound := c.req.Bound
	switch {
	case !c.live:
		return Refuse(ReasonClientEnded, "the client has no row any more")
	case bound != nil && bound.Incarnation != c.row.Incarnation:
		return Refuse(ReasonClientEnded, "the client was admitted anew since; incarnation %d is over", bound.Incarnation)
	case bound != nil && bound.DocumentSHA256 != "" && bound.DocumentSHA256 != c.row.DocumentSHA256:
		return Refuse(ReasonDocumentChanged, "the document changed from %s to %s", bound.DocumentSHA256, c.row.DocumentSHA256)
	}
	if bound != nil && bound.DocumentSHA256 != "" && !c.row.WithdrawnAt.IsZero() {
		return Refuse(ReasonDocumentChanged, "the document was withdrawn or replaced by one that is refused, at %s", c.row.WithdrawnAt.UTC().Format(time.RFC3339))
	}
	p, err := c.b.reread.document(c.row.Published, c.id, cimd.ProfileCIMD)
	if err != nil {
		return &Error{Reason: ReasonServerTrouble, Err: err}
	}
	c.doc = parsed{Parsed: p, from: "store", body: c.row.Published, fetchedAt: c.row.FetchedAt}
	c.input = c.baseInput(c.req.Facts)
	c.describeDocument()
	c.input.User = totalUser(*c.req.Person)
	phase := PhaseUser
	if r := c.req.Refresh; r != nil {
		phase, c.input.Grant, c.input.Now = PhaseRefresh, totalGrant(r.Grant), totalNow(r.Now)
	}
	d := c.ask(phase, &c.doc.Document)
	c.out.Client, c.out.RedirectURI = c.row, c.req.Facts.RedirectURI
	if !d.Allowed {
		if d.Unnamed {
			c.prune(ReasonNoPolicyMatched, "no enabled policy matches the client any more")
		}
		return refusal(d)
	}
	return nil
}

// ask puts one phase to the policy and keeps its answer for the record.
func (c *call) ask(p Phase, doc *cimd.Document) Decision {
	c.input.Phase = p
	d := c.policy.Decide(c.ctx, Query{Input: c.input, Document: doc, Offer: c.b.cfg.Offer})
	c.input.Effective = totalEffective(d.Effective)
	c.out.Decision, c.out.Request = d, c.input.Request
	c.metrics["timer_decide_"+string(p)+"_ns"] = d.Took.Nanoseconds()
	c.phases = append(c.phases, decisionlog.Phase{
		Phase: string(p), Allowed: d.Allowed, Reason: string(d.Reason), Winner: d.Winner, Why: d.Why,
		NearestMiss: d.NearestMiss, Candidates: d.Candidates, Denials: d.Denials, Warnings: d.Warnings,
	})
	return d
}
