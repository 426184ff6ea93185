package broker

import (
	"context"
	"sync"
	"time"

	"guestlist/broker/cimd"
)

// refetchEvery is the least time between two fetches of one document that
// operators ask for.
const refetchEvery = 30 * time.Second

// Refetched is what came of a fetch that an operator asked for.
type Refetched struct {
	ClientID     string       `json:"client_id"`
	Registration Registration `json:"registration"`
	Result       string       `json:"result"`           // unchanged, changed, waiting, withdrawn, failed
	Before       string       `json:"before"`           // SHA-256 of the document in force when it was asked
	After        string       `json:"after"`            // SHA-256 of what the host has now; empty where it has nothing valid
	Changes      []string     `json:"changes"`          // see Changes
	Waiting      bool         `json:"waiting"`          // the host's document waits for Approve
	FreshUntil   time.Time    `json:"fresh_until"`      // until then no flow fetches; zero for a pinned client
	Reason       Reason       `json:"reason,omitempty"` // why it failed, or is withdrawn
	Detail       string       `json:"detail,omitempty"` // the precise text for the operator
}

// Refetch fetches a client's document now, whatever is fresh, for an operator,
// and stages on u what follows: for a client that was admitted the same as at
// the start of a flow, settings.document.on_change included; for a pinned one a
// document that differs becomes Pin.Pending. The record document.fetched names
// the actor. A fetch that failed ends the document's freshness, and its
// usability only where a flow's would.
//
// Errors are *Error and mean that nothing may be committed: ReasonFetchPaced
// with RetryAfter within 30 s of the last one, ReasonClientIDUnknown where there
// is no such client. What the host or policy answered is in Refetched.
func (b *Broker) Refetch(ctx context.Context, u Unit, actor, clientID string) (Refetched, error) {
	c := b.asking(ctx, u, actor, clientID)
	c.afresh = true
	if err := c.enter(); err != nil {
		return Refetched{}, err
	}
	if err := c.meet(); err != nil {
		return Refetched{}, err
	}
	switch {
	case c.registration == RegistrationRegistered:
		return Refetched{}, Refuse(ReasonRequestInvalid, "%.300q is a client of the configuration, which is never fetched", clientID)
	case !c.live && c.given == nil:
		return Refetched{}, Refuse(ReasonClientIDUnknown, "no client has the id %.300q: guestlist client preview shows what its document would do", clientID)
	}
	if wait := b.cool.take(clientID, c.now); wait > 0 {
		return Refetched{}, tryLater(ReasonFetchPaced, wait, "an operator had it fetched less than 30 s ago")
	}
	if c.given != nil {
		return c.refetchPin()
	}
	out := Refetched{ClientID: clientID, Registration: c.row.Registration, Before: c.row.DocumentSHA256}
	fault := c.see()
	if isTransient(fault) {
		c.row.FreshUntil, c.told = earlier(c.row.FreshUntil, c.now), true
	}
	if err := c.conclude(fault); err != nil {
		return Refetched{}, err
	}
	c.report(&out, fault)
	return out, nil
}

// report says what came of a fetch.
func (c *call) report(out *Refetched, fault error) {
	out.After, out.Changes, out.FreshUntil = c.doc.SHA256, list(c.changes), c.row.FreshUntil
	if c.out.Client.ID != "" {
		out.FreshUntil = c.out.Client.FreshUntil
	}
	switch {
	case fault != nil:
		out.Result, out.Reason, out.Detail = "failed", ReasonOf(fault), fault.Error()
		if c.ended {
			out.Result = "withdrawn"
		}
	case c.held:
		out.Result, out.Waiting, out.After = "waiting", true, c.row.Pending.SHA256
	case out.After != out.Before:
		out.Result = "changed"
	default:
		out.Result = "unchanged"
	}
}

// refetchPin compares a pinned document with the host's. The client's row
// lives by the pin: nothing that the host says ends it.
func (c *call) refetchPin() (Refetched, error) {
	pin, _, err := c.u.Pin(c.ctx, c.id.String())
	if err != nil {
		return Refetched{}, &Error{Reason: ReasonStoreUnavailable, Err: err}
	}
	out := Refetched{ClientID: pin.ID, Registration: RegistrationPinned, Before: pin.SHA256, Changes: []string{}}
	c.given, c.dry = nil, true
	if err := c.began(); err != nil {
		return Refetched{}, err
	}
	var fault error
	if d := c.ask(PhaseURL, nil); d.Allowed {
		fault = c.obtain(d)
	} else {
		fault = refusal(d)
	}
	if fault == nil && c.doc.SHA256 != pin.SHA256 {
		old, err := cimd.ParseDocument(pin.Published, c.id, cimd.ProfileCIMD)
		if err != nil {
			return Refetched{}, fromCIMD(err)
		}
		c.changes = Changes(old.Document, c.doc.Document)
	}
	pending := pin.Pending
	switch {
	case fault != nil:
	case c.doc.SHA256 == pin.SHA256:
		pending = nil
	case pending == nil || pending.SHA256 != c.doc.SHA256:
		pending = &Pending{Published: c.doc.body, SHA256: c.doc.SHA256, SeenAt: c.now, Changes: c.changes}
		c.putVersion()
	}
	if pending != pin.Pending {
		pin.Pending = pending
		c.write = func() {
			c.u.RequireEpoch(c.out.Epoch)
			c.u.PutPin(pin)
			c.writeBeside()
		}
	}
	if err := c.conclude(fault); err != nil {
		return Refetched{}, err
	}
	c.report(&out, fault)
	out.FreshUntil = time.Time{}
	if pending != nil && fault == nil {
		out.Result, out.Waiting = "waiting", true
	}
	return out, nil
}

// cooldown spaces what operators ask for about one client. Its zero value is
// ready, and safe for concurrent use.
type cooldown struct {
	mu    sync.Mutex
	until map[string]time.Time
}

// take returns how long to wait, or zero and begins a new wait.
func (c *cooldown) take(key string, now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if wait := c.until[key].Sub(now); wait > 0 {
		return min(wait, refetchEvery)
	}
	if c.until == nil {
		c.until = map[string]time.Time{}
	}
	for k, until := range c.until {
		if !until.After(now) {
			delete(c.until, k)
		}
	}
	c.until[key] = now.Add(refetchEvery)
	return 0
}
