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

// clientRow is a client as it is stored: its document lies apart, under the
// hash that Published holds here; DocumentSHA256 is empty where it says the
// same.
type clientRow struct {
	broker.Client
	Published []byte `json:"published,omitempty"` // SHA-256; empty: no document
}

// splitClient parts a client from its document.
func splitClient(c broker.Client) (row clientRow, body []byte) {
	row, body = clientRow{Client: c, Published: bodySum(c.Published)}, c.Published
	row.Client.Published, row.Client.DocumentSHA256 = nil, shortSum(c.DocumentSHA256, row.Published)
	return row, body
}

// client returns a client with its document.
func (v view) client(id []byte) (broker.Client, bool, error) {
	row, ok, err := load[clientRow](v, clientBucket, id)
	if err != nil || !ok {
		return broker.Client{}, false, err
	}
	row.Client.DocumentSHA256 = fullSum(row.Client.DocumentSHA256, row.Published)
	row.Client.Published, err = v.body(row.Published)
	if err != nil {
		return broker.Client{}, false, err
	}
	return row.Client, true, nil
}

// life is the part of a client row that preconditions and indexes look at.
type life struct {
	Incarnation uint64    `json:"incarnation"`
	Domain      string    `json:"domain"`
	Policy      []string  `json:"policy"`
	FetchedAt   time.Time `json:"fetched_at"`
	ExpiresAt   time.Time `json:"expires_at"`
	CreatedAt   time.Time `json:"created_at"`
	FirstSeen   time.Time `json:"first_seen"`
	Published   []byte    `json:"published"` // as in clientRow
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
	row, body := splitClient(c)
	body = bytes.Clone(body)
	raw := u.freeze(clientBucket, []byte(c.ID), row)
	u.stage(func(t *txn) error {
		now, ok, err := t.lives(c.ID)
		if err == nil && ok && !slices.Contains(u.ends, incarnation{c.ID, now}) {
			return conflict("client %s was created meanwhile", quoted(c.ID))
		}
		return err
	}, func(t *txn) error {
		// Replaced where the unit ends the former one later.
		if err := t.dropClient(c.ID); err != nil {
			return err
		}
		return errors.Join(t.enterClient(row, body), t.put(clientBucket, []byte(c.ID), raw), t.sight(hostOf(c.ID), c.CreatedAt))
	})
}

// enterClient counts a client, indexes it and keeps its document.
func (t *txn) enterClient(row clientRow, body []byte) error {
	return errors.Join(
		t.count(row.Domain, row.Policy, 1), t.keep(row.Published, body),
		t.put(clientEndBucket, clientEndKey(row.ID, row.ExpiresAt)),
	)
}

// dropClient undoes enterClient and deletes the row; an absent one changes
// nothing.
func (t *txn) dropClient(id string) error {
	row, ok, err := load[life](t.view, clientBucket, []byte(id))
	if err != nil || !ok {
		return err
	}
	return errors.Join(
		t.count(row.Domain, row.Policy, -1), t.letGo(row.Published),
		t.del(clientEndBucket, clientEndKey(id, row.ExpiresAt)), t.del(clientBucket, []byte(id)),
	)
}

// UpdateClient stages a new row for a living incarnation. An expiry that
// moved after the unit read it is not moved back, a document is not replaced
// by one that was fetched earlier, nor keys that moved after the unit read it.
func (u *unit) UpdateClient(c broker.Client) {
	key := []byte(c.ID)
	row, body := splitClient(c)
	body = bytes.Clone(body)
	raw := u.freeze(clientBucket, key, row)
	read, known := u.read[c.ID]
	check := notOlder(c)
	u.require(u.keysStand(c.ID))
	u.require(u.documentStands(c.ID))
	u.stage(check, func(t *txn) error {
		// Once more: the same unit may have ended it.
		if err := check(t); err != nil {
			return err
		}
		now, _, err := load[life](t.view, clientBucket, key)
		if err != nil {
			return err
		}
		if err := errors.Join(t.moveClient(now, row, body), t.put(clientBucket, key, raw)); err != nil {
			return err
		}
		if !known || now.ExpiresAt.Equal(read.ExpiresAt) {
			return nil
		}
		return t.extend(c.ID, c.Incarnation, now.ExpiresAt)
	})
}

// moveClient brings counts, index and document from a former row to its
// successor.
func (t *txn) moveClient(was life, row clientRow, body []byte) (err error) {
	if was.Domain != row.Domain || !slices.Equal(was.Policy, row.Policy) {
		err = errors.Join(t.count(was.Domain, was.Policy, -1), t.count(row.Domain, row.Policy, 1))
	}
	if !bytes.Equal(was.Published, row.Published) {
		err = errors.Join(err, t.keep(row.Published, body), t.letGo(was.Published))
	}
	if !was.ExpiresAt.Equal(row.ExpiresAt) {
		err = errors.Join(err, t.del(clientEndBucket, clientEndKey(row.ID, was.ExpiresAt)), t.put(clientEndBucket, clientEndKey(row.ID, row.ExpiresAt)))
	}
	return err
}

// notOlder holds unless the incarnation is gone or has a document that was
// fetched later than c's.
func notOlder(c broker.Client) func(*txn) error {
	lives := requireLife(c.ID, c.Incarnation)
	return func(t *txn) error {
		if err := lives(t); err != nil {
			return err
		}
		now, _, err := load[life](t.view, clientBucket, []byte(c.ID))
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
		now, ok, err := load[life](t.view, clientBucket, []byte(id))
		if err != nil {
			return err
		}
		if ok && now.Incarnation == number {
			if err := errors.Join(t.dropClient(id), t.keepVersions(id, at.Add(store.VersionsKept)), t.partSeen(id, now.since(), at)); err != nil {
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
	c, ok, err := load[clientRow](t.view, clientBucket, []byte(id))
	if err != nil || !ok || c.Incarnation != number || !until.After(c.ExpiresAt) {
		return err
	}
	if err := t.del(clientEndBucket, clientEndKey(id, c.ExpiresAt)); err != nil {
		return err
	}
	c.ExpiresAt = until
	return errors.Join(t.save(clientBucket, []byte(id), c), t.put(clientEndBucket, clientEndKey(id, until)))
}
