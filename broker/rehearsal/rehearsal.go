// Package rehearsal plays a request through the broker before it is ever made:
// on an imagined store of one client that ends with the answer, with a document
// from a file or from the network. Commands decide by it, so that what they say
// is what the server's own code says.
package rehearsal

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"time"

	"guestlist/broker"
	"guestlist/broker/cimd"
	"guestlist/broker/decisionlog"
	"guestlist/broker/fetch"
)

// Stage is what a rehearsal plays on: the policies, and the server as far as
// it is known.
type Stage struct {
	Policy     broker.Policy       // decides; required
	Issuer     string              // the server's issuer identifier; required
	Offer      broker.Offer        // what the server can do; required
	Zone       *time.Location      // of input.clock; nil means UTC
	Cache      broker.CacheBounds  // of a document's freshness
	Registered []broker.Registered // clients of the configuration
	AdmitOff   bool                // cimd.admit: false
	Blocks     []broker.Block      // that operators set
	Pin        *broker.Pin         // of the scene's client; nil: it is not pinned
	Explain    bool                // records carry the explanation of every phase
}

// Scene is one imagined authorization request, and what is to follow it.
type Scene struct {
	ClientID    string              // as a stranger would send it
	Document    []byte              // the client's document; nil: none is at hand
	Fetch       broker.Fetcher      // brings the document instead, where it is set
	RedirectURI *string             // nil: the first of the document, if that can be read
	Request     broker.RequestInput // RedirectURI and Redirect are filled in
	At          time.Time           // when the request comes; required
	FirstSeen   time.Time           // when the client was first admitted; zero: never before
	HostSeen    time.Time           // when any client of its host was; zero: never before
	Person      *broker.UserInput   // who signs in and agrees; nil: nobody, so that the user phase is not asked
	Refresh     *Refresh            // a later use of the refresh token; needs Person
	Until       broker.Phase        // the last phase to ask; empty: all that can be
}

// Refresh is one imagined refresh of what was granted.
type Refresh struct {
	At        time.Time          // when it comes; required
	Source    broker.SourceInput // where it comes from
	Groups    []string           // of the person by then; nil: as they were
	Scopes    []string           // asked for; nil: what was granted
	Resources []string           // asked for; nil: what was granted
}

// ErrDocumentWanted says that the url phase let the client go on, and that
// there is no document to go on with.
var ErrDocumentWanted = errors.New("the url phase lets the client go on, so its document is needed")

// OutcomeOpen is the outcome of a record whose scene ended with phase url:
// nothing was refused so far, and nobody was admitted.
const OutcomeOpen = "open"

// Play asks every phase of the scene that can be reached and returns the
// decision records, one for each step: the start of the flow (phases url and
// document), the consent (user), the refresh. A refusal ends the scene and is
// the last record; so does a consent that gives no refresh token.
//
// Errors say that the question could not be asked. With ErrDocumentWanted, and
// with a *fetch.Error where the host could not be reached, the records tell how
// far it came.
func (s Stage) Play(ctx context.Context, sc Scene) ([]decisionlog.Record, error) {
	if sc.Refresh != nil && sc.Person == nil {
		return nil, errors.New("a refresh needs a person who agreed before")
	}
	p, err := s.begin(ctx, sc)
	if err != nil {
		return nil, err
	}
	start := p.start(s, sc)
	a, err := p.broker.Admit(ctx, &p.unit, start)
	switch got := p.fetch.got.Body; {
	case sc.Until == broker.PhaseURL:
		return untilURL(p.unit.records), nil
	case p.fetch.wanted:
		return untilURL(p.unit.records), ErrDocumentWanted
	case p.fetch.trouble != nil:
		return p.unit.records, p.fetch.trouble
	case got != nil && start.RedirectURI == nil && firstRedirect(sc.ClientID, got) != nil:
		sc.RedirectURI, sc.Fetch = firstRedirect(sc.ClientID, got), &atHand{got: p.fetch.got}
		return s.Play(ctx, sc)
	}
	if err != nil || sc.Person == nil || sc.Until == broker.PhaseDocument {
		return p.unit.records, nil
	}
	return p.later(ctx, sc, start, a)
}

// later asks about the person, and about the refresh.
func (p *play) later(ctx context.Context, sc Scene, req broker.Request, a broker.Admission) ([]decisionlog.Record, error) {
	req.Facts, req.Person = a.Request, sc.Person
	req.Bound = &broker.Bound{Incarnation: a.Client.Incarnation, DocumentSHA256: a.Client.DocumentSHA256}
	granted, err := p.broker.Admit(ctx, &p.unit, req)
	if err != nil || sc.Refresh == nil || sc.Until == broker.PhaseUser || !refreshable(granted) {
		return p.unit.records, nil
	}
	terms := granted.Decision.Settings.RefreshToken // the code is redeemed: the client lives as long as its refresh token
	p.unit.ExtendClient(granted.Client.ID, granted.Client.Incarnation, granted.ClientEnd(sc.At.Add(min(terms.TTL, terms.Idle).Std())))
	p.now = sc.Refresh.At
	p.broker.Admit(ctx, &p.unit, sc.refresh(req, granted, sc.At)) // its answer is in the record
	return p.unit.records, nil
}

// untilURL takes from the record of a start all that follows phase url, unless
// that phase or something before it refused.
func untilURL(records []decisionlog.Record) []decisionlog.Record {
	r := &records[len(records)-1]
	if len(r.Phases) == 0 || !r.Phases[0].Allowed {
		return records
	}
	if len(r.Phases) > 1 { // an operator's document was at hand
		r.Phases, r.Settings, r.Effective, r.Cut, r.Input, r.Result = r.Phases[:1], nil, nil, nil, nil, nil
	}
	r.NoteComputed(r.Settings != nil && r.Computes("/settings"))
	r.Outcome, r.Reason, r.PublicReason, r.Detail = OutcomeOpen, "", "", ""
	r.Phase, r.Policy, r.ExpiresAt, r.DocumentSHA256 = r.Phases[0].Phase, r.Phases[0].Winner, nil, ""
	return records
}

// refreshable reports whether the server would give a refresh token out.
func refreshable(a broker.Admission) bool {
	return a.Decision.Settings.RefreshToken.Issue && slices.Contains(a.Decision.Effective.GrantTypes, "refresh_token")
}

// play is one scene under way.
type play struct {
	broker *broker.Broker
	unit   imagined
	fetch  *atHand
	now    time.Time
}

// begin makes a broker with the stage's policies in force.
func (s Stage) begin(ctx context.Context, sc Scene) (*play, error) {
	p := &play{now: sc.At, fetch: &atHand{got: fetch.Document{Body: sc.Document, FetchedAt: sc.At, FreshFor: -1}, other: sc.Fetch}}
	if sc.Until == broker.PhaseURL {
		p.fetch = &atHand{}
	}
	b, err := broker.New(broker.Config{
		Issuer: s.Issuer, Fetch: p.fetch, Offer: s.Offer, Now: func() time.Time { return p.now }, Zone: s.Zone,
		Cache: s.Cache, Registered: s.Registered, AdmitOff: s.AdmitOff, Explain: s.Explain,
		Later:     func(r decisionlog.Record) error { p.unit.records = append(p.unit.records, r); return nil },
		Pseudonym: func(subject string) string { return subject },
	})
	if err != nil {
		return nil, err
	}
	if err := b.Activate(ctx, s.Policy, "", "", &p.unit, func(context.Context) error { return nil }); err != nil {
		return nil, err
	}
	p.broker, p.unit.records, p.unit.seen = b, nil, map[string]time.Time{sc.ClientID: sc.FirstSeen}
	if id, err := cimd.Parse(sc.ClientID); err == nil {
		p.unit.seen[id.Host] = sc.HostSeen
	}
	p.unit.blocks, p.unit.pin = s.Blocks, s.Pin
	return p, nil
}

// start is the authorization request.
func (p *play) start(s Stage, sc Scene) broker.Request {
	redirect := sc.RedirectURI
	if redirect == nil {
		redirect = firstRedirect(sc.ClientID, s.kept(sc))
	}
	return broker.Request{RequestID: "rehearsal", ClientID: sc.ClientID, Facts: sc.Request, RedirectURI: redirect}
}

// kept is the document that an operator keeps for the client, else the scene's.
func (s Stage) kept(sc Scene) []byte {
	for _, r := range s.Registered {
		if r.ID.String() == sc.ClientID {
			return r.Published
		}
	}
	if s.Pin != nil && s.Pin.ID == sc.ClientID {
		return s.Pin.Published
	}
	return sc.Document
}

// firstRedirect is the first redirect URI of a document, nil where there is
// none to read.
func firstRedirect(clientID string, document []byte) *string {
	id, err := cimd.Parse(clientID)
	if err != nil {
		id, err = cimd.Opaque(clientID)
	}
	if err != nil || document == nil {
		return nil
	}
	parsed, err := cimd.ParseDocument(document, id, cimd.ProfileCIMD)
	if err != nil || len(parsed.Document.RedirectURIs) == 0 {
		return nil
	}
	return &parsed.Document.RedirectURIs[0]
}

// refresh is the later call, with what the grant would have frozen.
func (sc Scene) refresh(consent broker.Request, a broker.Admission, agreed time.Time) broker.Request {
	asked, req := sc.Refresh, consent
	grant := broker.GrantInput{
		CreatedAt: agreed.UTC(), Scopes: a.Decision.Effective.Scopes, Resources: a.Decision.Effective.Resources,
	}
	if u, err := url.Parse(a.RedirectURI); err == nil {
		grant.RedirectHost = u.Hostname()
	}
	req.Facts.Scopes, req.Facts.Resources = orElse(asked.Scopes, grant.Scopes), orElse(asked.Resources, grant.Resources)
	person := *sc.Person
	person.Groups = orElse(asked.Groups, person.Groups)
	terms := a.Decision.Settings
	req.Person = &person
	req.Bound = &broker.Bound{Incarnation: a.Client.Incarnation, GrantID: "rehearsal", Terms: &terms}
	req.Refresh = &broker.Refresh{Grant: grant, Now: broker.NowInput{
		GrantType: "refresh_token", Scopes: req.Facts.Scopes, Resources: req.Facts.Resources, Source: asked.Source,
	}}
	return req
}

// orElse is a, or b where a is nil.
func orElse(a, b []string) []string {
	if a == nil {
		return b
	}
	return a
}
