package admin

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/store"
)

// holdsMax bounds how many holds there are: each record that is past its age is
// held against all of them.
const holdsMax = 200

// holdParams are the parameters of a hold: those of a RecordFilter that say
// which records, and reason.
var holdParams = append(slices.Clone(recordParams[:slices.Index(recordParams, "after")]), "why")

// HoldPage is the answer of /v1/audit/holds.
type HoldPage struct {
	Holds []store.Hold `json:"holds"` // by their identifiers
}

// Holds lists every legal hold.
func (c *Client) Holds(ctx context.Context) ([]store.Hold, error) {
	var out HoldPage
	err := c.call(ctx, http.MethodGet, "/v1/audit/holds", nil, &out)
	return out.Holds, err
}

// Hold keeps the bodies of the records that fit f, which must select
// something, whatever their age, and returns the hold. Sequence numbers, order
// and limit of f do not count.
func (c *Client) Hold(ctx context.Context, f RecordFilter, reason string) (store.Hold, error) {
	q := f.query()
	for name := range q {
		if !slices.Contains(holdParams, name) {
			q.Del(name)
		}
	}
	q.Set("why", reason)
	var out store.Hold
	err := c.call(ctx, http.MethodPost, "/v1/audit/holds/add", q, &out)
	return out, err
}

// DropHold ends a hold and returns it.
func (c *Client) DropHold(ctx context.Context, id string) (store.Hold, error) {
	var out store.Hold
	err := c.call(ctx, http.MethodPost, "/v1/audit/holds/drop", url.Values{"id": {id}}, &out)
	return out, err
}

// listHolds answers /v1/audit/holds.
func (a *api) listHolds(ctx context.Context, _ url.Values) (any, error) {
	list, _, err := a.cfg.Store.Holds(ctx)
	if list == nil {
		list = []store.Hold{}
	}
	return HoldPage{list}, err
}

// addHold answers /v1/audit/holds/add.
func (a *api) addHold(ctx context.Context, q url.Values) (any, error) {
	query, err := a.recordQuery(q)
	if err != nil {
		return nil, err
	}
	query.Limit = 0
	if query.String() == "" {
		return nil, fail(http.StatusBadRequest, "nothing is selected. Remedy: name a client, host, domain, person, policy, grant, event or a time; since 2000-01-01 holds everything")
	}
	h := store.Hold{ID: broker.NewID()[:16], Filter: query, Reason: q.Get("why"), Actor: Actor(ctx), At: a.cfg.Now().UTC()}
	if err := checkWords("why", h.Reason); err != nil {
		return nil, err
	}
	return h, a.step(ctx, func(u store.Unit) error {
		list, number, err := a.cfg.Store.Holds(ctx)
		if err != nil {
			return err
		}
		if len(list) >= holdsMax {
			return fail(http.StatusConflict, "there are %d holds already. Remedy: drop one, or hold more by one filter", len(list))
		}
		u.RequireHolds(number)
		u.PutHold(h)
		return a.recordHold(ctx, u, decisionlog.EventLogHeld, h)
	})
}

// dropHold answers /v1/audit/holds/drop: what it held is looked at again.
func (a *api) dropHold(ctx context.Context, q url.Values) (any, error) {
	id := q.Get("id")
	var h store.Hold
	return &h, a.step(ctx, func(u store.Unit) error {
		list, number, err := a.cfg.Store.Holds(ctx)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(list, func(h store.Hold) bool { return h.ID == id })
		if i < 0 {
			return fail(http.StatusNotFound, "there is no hold %.60q; guestlist audit hold list shows those there are", id)
		}
		h = list[i]
		h.Actor = Actor(ctx)
		u.RequireHolds(number)
		u.DropHold(id)
		if err := a.walkAgain(ctx, u, h.Filter); err != nil {
			return err
		}
		return a.recordHold(ctx, u, decisionlog.EventLogReleased, h)
	})
}

// walkAgain has erasing begin again before the first record that fits.
func (a *api) walkAgain(ctx context.Context, u store.Unit, q store.RecordQuery) error {
	place := uint64(0) // also where the first one cannot be found for damage
	q.Limit = 1
	switch first, err := a.cfg.Store.Records(ctx, q); {
	case err == nil && len(first) == 0:
		return nil
	case err == nil:
		place = first[0].Seq - 1
	}
	for _, c := range decisionlog.Classes() {
		name := store.RetainPlace(c.Class)
		now, err := u.Cursor(ctx, name)
		if err != nil {
			return err
		}
		u.PutCursor(name, min(now, place)) // also where it is before that: it may move until the commit
	}
	return nil
}

// recordHold stages the record of an act on a hold.
func (a *api) recordHold(ctx context.Context, u store.Unit, event string, h store.Hold) error {
	r, _, err := a.actRecord(ctx, event)
	r.Detail = fmt.Sprintf("hold %s on %s: %s", h.ID, oneLine(h.Filter.String()), oneLine(h.Reason))
	if err == nil {
		u.Append(r)
	}
	return err
}
