package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"guestlist/broker"
	"guestlist/store"
)

// defaultLimit is what a zero Limit of a query means.
const defaultLimit = 1000

// life is the part of a client row that preconditions look at.
type life struct {
	Incarnation uint64   `json:"incarnation"`
	Domain      string   `json:"domain"`
	Policy      []string `json:"policy"`
}

// lives reports which incarnation of the client there is now.
func (v view) lives(id string) (uint64, bool, error) {
	row, ok, err := load[life](v, clientBucket, []byte(id))
	return row.Incarnation, ok, err
}

// requireLife is the precondition that one incarnation still lives.
func requireLife(id string, number uint64) func(*txn) error {
	return func(t *txn) error {
		now, ok, err := t.lives(id)
		switch {
		case err != nil:
			return err
		case !ok:
			return conflict("client %s is gone", quoted(id))
		case now != number:
			return conflict("client %s lives in another incarnation", quoted(id))
		}
		return nil
	}
}

// Client returns the row of a client identifier, expired or not. Its slices
// and maps are shared and for reading only.
func (u *unit) Client(ctx context.Context, id string) (c broker.Client, ok bool, err error) {
	err = u.s.read(ctx, func(v view) (err error) {
		c, ok, err = u.s.decoded.client(v, id)
		return err
	})
	if err == nil && ok {
		if u.read == nil {
			u.read = map[string]broker.Client{}
		}
		u.read[id] = c
	}
	return c, ok, err
}

// RequireClient stages the precondition that one incarnation still lives.
func (u *unit) RequireClient(id string, incarnation uint64) {
	u.require(requireLife(id, incarnation))
}

// CreateClient stages a new row.
func (u *unit) CreateClient(c broker.Client) {
	raw := u.freeze(clientBucket, []byte(c.ID), c)
	u.stage(func(t *txn) error {
		now, ok, err := t.lives(c.ID)
		if err == nil && ok && !slices.Contains(u.ends, incarnation{c.ID, now}) {
			return conflict("client %s was created meanwhile", quoted(c.ID))
		}
		return err
	}, func(t *txn) error {
		if err := t.uncount(c.ID); err != nil {
			return err
		}
		if err := t.count(c.Domain, c.Policy, 1); err != nil {
			return err
		}
		return t.put(clientBucket, []byte(c.ID), raw)
	})
}

// UpdateClient stages a new row for a living incarnation. An expiry that
// moved after the unit read it is not moved back, a document is not replaced
// by one that was fetched earlier, nor keys that moved after the unit read it.
func (u *unit) UpdateClient(c broker.Client) {
	key := []byte(c.ID)
	raw := u.freeze(clientBucket, key, c)
	read, known := u.read[c.ID]
	check := notOlder(c)
	u.require(u.keysStand(c.ID))
	u.stage(check, func(t *txn) error {
		// Once more: the same unit may have ended it.
		if err := check(t); err != nil {
			return err
		}
		now, _, err := load[broker.Client](t.view, clientBucket, key)
		if err != nil {
			return err
		}
		if now.Domain != c.Domain || !slices.Equal(now.Policy, c.Policy) {
			err = errors.Join(t.count(now.Domain, now.Policy, -1), t.count(c.Domain, c.Policy, 1))
		}
		if err != nil {
			return err
		}
		if err := t.put(clientBucket, key, raw); err != nil {
			return err
		}
		if !known || now.ExpiresAt.Equal(read.ExpiresAt) {
			return nil
		}
		return t.extend(c.ID, c.Incarnation, now.ExpiresAt)
	})
}

// notOlder holds unless the incarnation is gone or has a document that was
// fetched later than c's.
func notOlder(c broker.Client) func(*txn) error {
	lives := requireLife(c.ID, c.Incarnation)
	return func(t *txn) error {
		if err := lives(t); err != nil {
			return err
		}
		now, _, err := load[broker.Client](t.view, clientBucket, []byte(c.ID))
		if err == nil && now.FetchedAt.After(c.FetchedAt) {
			err = fmt.Errorf("%w: client %.200q holds a document fetched later", broker.ErrConflict, c.ID)
		}
		return err
	}
}

// EndClient stages the end of an incarnation and of its grants.
func (u *unit) EndClient(id string, number uint64, at time.Time, reason broker.Reason) {
	u.ends = append(u.ends, incarnation{id, number})
	u.stage(requireLife(id, number), func(t *txn) error {
		now, ok, err := t.lives(id)
		if err != nil {
			return err
		}
		if ok && now == number {
			if err := errors.Join(t.uncount(id), t.del(clientBucket, []byte(id))); err != nil {
				return err
			}
		}
		return t.endGrantsOf(id, number, at, reason)
	})
}

// ExtendClient stages a later expiry.
func (u *unit) ExtendClient(id string, number uint64, until time.Time) {
	u.stage(nil, func(t *txn) error { return t.extend(id, number, until) })
}

// extend moves the expiry of one incarnation forward, never back.
func (t *txn) extend(id string, number uint64, until time.Time) error {
	c, ok, err := load[broker.Client](t.view, clientBucket, []byte(id))
	if err != nil || !ok || c.Incarnation != number || !until.After(c.ExpiresAt) {
		return err
	}
	c.ExpiresAt = until
	return t.save(clientBucket, []byte(id), c)
}

// Clients lists client rows in the order of their identifiers.
func (s *Store) Clients(ctx context.Context, q store.ClientQuery) ([]broker.Client, error) {
	limit := q.Limit
	if limit <= 0 {
		limit = defaultLimit
	}
	var list []broker.Client
	err := s.read(ctx, func(v view) error {
		bk, err := v.bucket(clientBucket)
		if err != nil {
			return err
		}
		cur := bk.Cursor()
		key, _ := cur.Seek([]byte(q.After))
		if key != nil && bytes.Equal(key, []byte(q.After)) {
			key, _ = cur.Next()
		}
		for ; key != nil && len(list) < limit; key, _ = cur.Next() {
			c, _, err := load[broker.Client](v, clientBucket, key)
			if err != nil {
				return err
			}
			list = append(list, c)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}
