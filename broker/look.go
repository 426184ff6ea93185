package broker

import (
	"context"
	"errors"
	"hash/fnv"
	"time"

	"guestlist/broker/decisionlog"
	"guestlist/broker/fetch"
)

// asker says who asks where no request of a stranger does.
type asker struct {
	apart  bool   // this server or an operator: no budget is spent, and no stored document stands in for its host
	afresh bool   // the whole document is wanted, whatever copy is stored
	dry    bool   // nothing may be staged
	actor  string // the operator; empty: none
}

// asking is a call about one client that no request of a stranger makes.
func (b *Broker) asking(ctx context.Context, u Unit, actor, clientID string) *call {
	c := b.newCall(ctx, u, Request{ClientID: clientID, RequestID: RequestOf(ctx), Facts: RequestInput{ResponseType: "code", GrantType: "authorization_code", PKCE: true}})
	c.asker = asker{apart: true, actor: actor}
	return c
}

// enter reads the identifier, and policy and epoch as they belong together.
func (c *call) enter() error {
	if err := c.identify(); err != nil {
		return err
	}
	var err error
	if c.policy, c.out.Epoch, err = c.b.active(c.ctx, c.u); err != nil {
		return err
	}
	c.out.Revision = c.policy.Revision()
	return nil
}

// LookDue reports whether a client's document is to be looked at: nobody has
// fetched it for so long, which an eighth more or less spreads by the
// identifier, or an hour has passed since it was first found withdrawn.
// Documents that an operator keeps are never looked at. every is the time
// between looks; zero or less: there are none.
func LookDue(row Client, every time.Duration, now time.Time) bool {
	if every <= 0 || row.Registration != RegistrationCIMD || row.Expired(now) {
		return false
	}
	again := row.WithdrawnAt.Add(goneAfter)
	if !row.WithdrawnAt.IsZero() && row.GoneAt.IsZero() && row.LookedAt.Before(again) {
		return !now.Before(again)
	}
	h := fnv.New32a()
	h.Write([]byte(row.ID))
	spread := time.Duration(h.Sum32()%1024) * (every / 4) / 1024
	return !now.Before(later(row.FetchedAt, row.LookedAt).Add(every - every/8 + spread))
}

// Look fetches the document of a client that has a live grant, as a request
// that the grant froze would have it judged, and stages on u what follows: the
// same as at the start of a flow, with a record document.fetched, and LookedAt
// whatever came of it (design §5). No budget pays for it; the caller bounds how
// many there are at once and in all. The client stays as it is where it is not
// the life that row tells of, where an operator keeps its document, and where
// cimd.admit is false.
//
// An error means that nothing may be committed. What came of the look is in
// the record only.
func (b *Broker) Look(ctx context.Context, u Unit, row Client, frozen RequestInput) error {
	c := b.asking(ctx, u, "", row.ID)
	c.req.Facts, c.req.RedirectURI = frozen, &frozen.RedirectURI
	if err := c.enter(); err != nil {
		return err
	}
	if err := c.meet(); err != nil {
		if ReasonOf(err) == ReasonStoreUnavailable {
			return err
		}
		return nil // it is blocked, which ends it, or the switch is off
	}
	if !c.own() || c.given != nil || c.row.Incarnation != row.Incarnation {
		return nil
	}
	c.row.LookedAt, c.told = c.now, true
	return c.conclude(c.see())
}

// see asks about the client, brings its document and stages what follows.
func (c *call) see() error {
	d, err := c.brought()
	if err != nil {
		return err
	}
	if err := c.settle(d.Settings); err != nil {
		return err
	}
	d = c.propose()
	if !d.Allowed && !redirectable(d.Reason) {
		err := refusal(d)
		if c.doc.SHA256 != c.row.DocumentSHA256 {
			c.withdraw(err)
		}
		return err
	}
	if c.mustWait(d.Settings) {
		if err := c.hold(d.Settings); err != nil {
			return err
		}
	}
	c.stage(d)
	return nil
}

// conclude authors the record document.fetched of a call that no request of a
// stranger made, and stages everything. Its error means that nothing may be
// committed.
func (c *call) conclude(err error) error {
	r, rerr := c.author(err)
	if rerr != nil {
		return &Error{Reason: ReasonLogUnavailable, Err: rerr}
	}
	r.Event, r.Actor, r.Source, r.Refreshed = decisionlog.EventDocumentFetched, c.actor, "", false
	if err == nil {
		r.Outcome = decisionlog.OutcomeDone
	}
	if c.write == nil && c.told && c.live && !c.ended {
		c.write = c.rewrite
	}
	if c.write != nil {
		c.write()
	}
	c.u.Append(r)
	return nil
}

// isTransient reports whether a fetch failed in a way that says nothing about
// the document.
func isTransient(err error) bool {
	var fe *fetch.Error
	return errors.As(err, &fe) && fe.Transient
}
