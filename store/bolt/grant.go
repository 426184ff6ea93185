package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"time"

	"guestlist/broker"
	"guestlist/store"
)

// grantUntil is when a grant may be swept.
func grantUntil(g store.Grant) time.Time {
	if !g.EndedAt.IsZero() {
		return g.EndedAt.Add(store.GrantKept)
	}
	return g.ExpiresAt.Add(store.GrantKept)
}

// liveGrantPrefix is the start of the index keys of one incarnation.
func liveGrantPrefix(client string, number uint64) []byte {
	return binary.BigEndian.AppendUint64(lengthPrefixed(client), number)
}

func liveGrantKey(g store.Grant) []byte {
	return append(liveGrantPrefix(g.ClientID, g.Incarnation), g.ID...)
}

// Grant returns a grant, ended ones included.
func (u *unit) Grant(ctx context.Context, id string) (store.Grant, bool, error) {
	return fetch[store.Grant](ctx, u.s, grantBucket, []byte(id))
}

// PutGrant stages a new grant. An identifier in use is a conflict: a grant
// that ended never comes back.
func (u *unit) PutGrant(g store.Grant) {
	raw := u.freeze(grantBucket, []byte(g.ID), g)
	u.stage(absent(grantBucket, []byte(g.ID)), func(t *txn) error {
		if err := t.put(grantBucket, []byte(g.ID), raw); err != nil {
			return err
		}
		if err := t.setExpiry(grantKind, []byte(g.ID), nil, grantUntil(g)); err != nil {
			return err
		}
		if err := t.listGrant(g); err != nil || !g.EndedAt.IsZero() {
			return err
		}
		return t.put(liveGrantBucket, liveGrantKey(g), nil)
	})
}

// RequireGrant stages the precondition that a grant has not ended.
func (u *unit) RequireGrant(id string) {
	u.require(func(t *txn) error {
		g, ok, err := load[store.Grant](t.view, grantBucket, []byte(id))
		switch {
		case err != nil:
			return err
		case !ok:
			return conflict("grant %s is gone", quoted(id))
		case !g.EndedAt.IsZero():
			return conflict("grant %s has ended", quoted(id))
		}
		return nil
	})
}

// BindGrant stages the choice of an authentication method.
func (u *unit) BindGrant(id, method string) {
	u.stage(func(t *txn) error {
		g, ok, err := load[store.Grant](t.view, grantBucket, []byte(id))
		switch {
		case err != nil:
			return err
		case !ok:
			return conflict("grant %s is gone", quoted(id))
		case !g.Admits(method):
			return conflict("grant %s is bound to another authentication method", quoted(id))
		}
		return nil
	}, func(t *txn) error {
		g, ok, err := load[store.Grant](t.view, grantBucket, []byte(id))
		if err != nil || !ok {
			return err
		}
		g.AuthMethod, g.AuthMethods = method, nil
		return t.save(grantBucket, []byte(id), g)
	})
}

// EndGrant stages the end of a grant.
func (u *unit) EndGrant(id string, at time.Time, reason broker.Reason) {
	u.stage(nil, func(t *txn) error { return t.endGrant(id, at, reason) })
}

// TouchGrant stages a later last use and expiry. It works on ended grants
// too, so that the order of touching and ending does not matter.
func (u *unit) TouchGrant(id string, usedAt, expiresAt time.Time) {
	u.stage(nil, func(t *txn) error {
		g, ok, err := load[store.Grant](t.view, grantBucket, []byte(id))
		if err != nil || !ok {
			return err
		}
		was := g
		if usedAt.After(g.LastUsedAt) {
			g.LastUsedAt = usedAt
		}
		if expiresAt.After(g.ExpiresAt) {
			g.ExpiresAt = expiresAt
		}
		if g.LastUsedAt.Equal(was.LastUsedAt) && g.ExpiresAt.Equal(was.ExpiresAt) {
			return nil
		}
		return t.changeGrant(was, g)
	})
}

// changeGrant replaces a grant and its expiry.
func (t *txn) changeGrant(was, g store.Grant) error {
	if err := t.save(grantBucket, []byte(g.ID), g); err != nil {
		return err
	}
	old := grantUntil(was)
	return t.setExpiry(grantKind, []byte(g.ID), &old, grantUntil(g))
}

// endGrant ends one grant; an absent or ended one stays as it is.
func (t *txn) endGrant(id string, at time.Time, reason broker.Reason) error {
	g, ok, err := load[store.Grant](t.view, grantBucket, []byte(id))
	if err != nil || !ok || !g.EndedAt.IsZero() {
		return err
	}
	was := g
	g.EndedAt, g.EndReason = at, reason
	if err := t.changeGrant(was, g); err != nil {
		return err
	}
	return t.del(liveGrantBucket, liveGrantKey(g))
}

// forgetGrant deletes the index entries of a grant, but not its expiry.
func (t *txn) forgetGrant(g store.Grant) error {
	for _, key := range listKeys(g) {
		if err := t.del(grantListBucket, key); err != nil {
			return err
		}
	}
	if !g.EndedAt.IsZero() {
		return nil
	}
	return t.del(liveGrantBucket, liveGrantKey(g))
}

// endGrantsOf ends every grant of one incarnation.
func (t *txn) endGrantsOf(client string, number uint64, at time.Time, reason broker.Reason) error {
	bk, err := t.bucket(liveGrantBucket)
	if err != nil {
		return err
	}
	prefix := liveGrantPrefix(client, number)
	var ids []string
	cur := bk.Cursor()
	for key, value := cur.Seek(prefix); bytes.HasPrefix(key, prefix); key, value = cur.Next() {
		if _, err := unseal(liveGrantBucket, key, value); err != nil {
			return err
		}
		ids = append(ids, string(key[len(prefix):]))
	}
	for _, id := range ids {
		if err := t.endGrant(id, at, reason); err != nil {
			return err
		}
	}
	return nil
}

// absent is the precondition that a new row overwrites nothing.
func absent(b bucket, key []byte) func(*txn) error {
	return func(t *txn) error {
		raw, err := t.get(b, key)
		if err == nil && raw != nil {
			return conflict("bucket %s has a row %s already", b, quoted(string(key)))
		}
		return err
	}
}
