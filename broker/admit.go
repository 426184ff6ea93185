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
	TraceID     string       // W3C trace id, for the record; empty where the request is not traced
	SpanID      string       // of the request in that trace, for the record
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
	Incarnation    uint64    // life of the client the flow started with
	DocumentSHA256 string    // empty: any document of that life
	GrantID        string    // for the record
	Terms          *Settings // of the grant: what holds when no policy names the client any more; nil: there is no grant yet
}

// Refresh is what the refresh phase knows beside the frozen request.
type Refresh struct {
	Grant GrantInput // the grant the refresh token belongs to
	Now   NowInput   // the present call
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
	c := b.newCall(ctx, u, req)
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
	if req.Person == nil {
		c.out.From = c.doc.from
	}
	b.observe(c, r, err)
	c.out.DecisionID = r.DecisionID
	return c.out, err
}

// call is one Admit under way.
type call struct {
	b   *Broker
	ctx context.Context
	u   Unit
	req Request
	now time.Time

	policy *inForce
	id     cimd.ID
	row    Client // the stored row, when live is set
	live   bool   // row is a client that lives now
	given  *given // the operator's document; nil: the host's counts
	doc    parsed // the document to judge
	ended  bool   // this call staged an end: of a client or of its document's use
	write  func() // stages the client, once the record is authored
	news
	asker

	phases  []decisionlog.Phase
	input   Input // of the last phase asked
	metrics map[string]int64
	out     Admission

	registration Registration // how the client is known now
}

// newCall starts a call.
func (b *Broker) newCall(ctx context.Context, u Unit, req Request) *call {
	return &call{b: b, ctx: ctx, u: u, req: req, now: b.cfg.Now(), metrics: map[string]int64{}, registration: RegistrationCIMD}
}

// run asks the phases in order; nothing to the right runs when something to
// the left said no.
func (c *call) run() error {
	err := c.identify()
	if err != nil {
		return err
	}
	if c.policy, c.out.Epoch, err = c.b.active(c.ctx, c.u); err != nil {
		return err
	}
	c.out.Revision = c.policy.Revision()
	if err := c.meet(); err != nil {
		return err
	}
	if c.req.Person != nil {
		return c.proceed()
	}
	return c.start()
}

// meet finds out what is known of the client and ends the one that is over or
// kept out. An operator's block is asked about before anything else.
func (c *call) meet() error {
	row, found, err := c.u.Client(c.ctx, c.id.String())
	if err != nil {
		return &Error{Reason: ReasonStoreUnavailable, Err: err}
	}
	if found {
		c.row, c.live = row, true
	}
	if err := c.know(); err != nil {
		return err
	}
	if err := c.keptOut(); err != nil {
		return err
	}
	c.expire()
	switch {
	case c.given != nil: // an operator vouches for it
	case c.id.IsOpaque():
		return unknownID()
	case c.b.cfg.AdmitOff:
		return Refuse(ReasonCIMDOff, "cimd.admit is false")
	}
	return nil
}

// expire ends the client whose life is over, and says whether it did.
func (c *call) expire() bool {
	if !c.live {
		return false
	}
	if c.row.Expired(c.now) {
		c.prune(ReasonClientEnded, "the client expired at "+c.row.ExpiresAt.UTC().Format(time.RFC3339))
	} else if why := c.supplanted(); why != "" {
		c.prune(ReasonClientEnded, why)
	}
	return c.ended
}

// start admits a client at the start of a flow.
func (c *call) start() error {
	d, err := c.brought()
	if err != nil {
		return err
	}
	err = c.settle(d.Settings)
	if err == nil {
		err = c.stopped(d.Settings)
	}
	if err == nil {
		err = c.judge()
	}
	if err != nil {
		c.concede(err)
	}
	return err
}

// brought asks about the URL and brings the document.
func (c *call) brought() (Decision, error) {
	if err := c.began(); err != nil {
		return Decision{}, err
	}
	d := c.ask(PhaseURL, nil)
	if !d.Allowed {
		c.lapse(d)
		return d, refusal(d)
	}
	return d, c.obtain(d)
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
	if c.mustWait(d.Settings) {
		// The settings were not known before the document was.
		if err := c.hold(d.Settings); err != nil {
			return err
		}
		return c.judge()
	}
	if err := c.stopped(d.Settings); err != nil {
		return err
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
// none. What stands in its query is the client's own affair.
func (c *call) redirectSent() string {
	sent := c.req.RedirectURI
	if sent == nil {
		return "(absent)"
	}
	if _, err := cimd.ClassifyRedirect(*sent, c.id); err != nil {
		return Digest(*sent)
	}
	if address, query, found := strings.Cut(*sent, "?"); found {
		return fmt.Sprintf("%.300q with the query %s", address, Digest(query))
	}
	return fmt.Sprintf("%.300q", *sent)
}

// ask puts one phase to the policy and keeps its answer for the record.
func (c *call) ask(p Phase, doc *cimd.Document) Decision {
	c.input.Phase = p
	d := c.policy.Decide(c.ctx, Query{Input: c.input, Document: doc, Offer: c.b.cfg.Offer, Explain: c.b.cfg.Explain, Kept: c.kept(p)})
	c.input.Effective = totalEffective(d.Effective)
	c.out.Decision, c.out.Request = d, c.input.Request
	c.metrics["timer_decide_"+string(p)+"_ns"] = d.Took.Nanoseconds()
	c.phases = append(c.phases, decisionlog.Phase{
		Phase: string(p), Allowed: d.Allowed, Reason: string(d.Reason), Winner: d.Winner, Why: d.Why,
		NearestMiss: d.NearestMiss, Candidates: d.Candidates, Denials: d.Denials, Warnings: d.Warnings, Explanation: d.Explanation,
	})
	return d
}
