package bolt

import (
	"bytes"
	"context"
	"time"

	"guestlist/broker"
	"guestlist/store"
)

// PutRefresh stages a new refresh token. A hash in use is a conflict: a token
// that was spent never comes back.
func (u *unit) PutRefresh(r store.Refresh) {
	key := []byte(r.Hash)
	u.insert(refreshBucket, key, refreshKind, u.freeze(refreshBucket, key, r), r.KeepUntil)
}

// Refresh returns the refresh token of that hash, spent ones included.
func (u *unit) Refresh(ctx context.Context, hash string) (store.Refresh, bool, error) {
	return fetch[store.Refresh](ctx, u.s, refreshBucket, []byte(hash))
}

// SpendRefresh stages the use of a refresh token.
func (u *unit) SpendRefresh(hash string, use store.RefreshUse) {
	use.Answer = bytes.Clone(use.Answer)
	gone := lost(broker.ErrSpent, "refresh token: gone")
	u.changeRefresh(hash, gone, func(r *store.Refresh) error {
		if !r.SpentAt.IsZero() {
			return lost(broker.ErrSpent, "refresh token of grant %s", quoted(r.GrantID))
		}
		r.SpentAt, r.Successor, r.Source = use.At, use.Successor, use.Source
		r.Answer, r.GraceUntil = use.Answer, use.GraceUntil
		if use.KeepUntil.After(r.KeepUntil) {
			r.KeepUntil = use.KeepUntil
		}
		return nil
	}, func(t *txn, r store.Refresh) error { return t.refreshed(r.GrantID, use.At) })
}

// RepeatRefresh stages one more repetition of an answer.
func (u *unit) RepeatRefresh(hash string, at time.Time, max int) {
	gone := conflict("refresh token is gone")
	u.changeRefresh(hash, gone, func(r *store.Refresh) error {
		switch {
		case r.SpentAt.IsZero():
			return conflict("refresh token of grant %s is not spent", quoted(r.GrantID))
		case len(r.Answer) == 0 || !at.Before(r.GraceUntil):
			return conflict("the grace window of a refresh token of grant %s is closed", quoted(r.GrantID))
		case r.Repeats >= max:
			return conflict("the answer to a refresh token of grant %s was repeated %d times", quoted(r.GrantID), r.Repeats)
		}
		r.Repeats++
		return nil
	}, nil)
}

// CloseGrace stages the end of the grace window.
func (u *unit) CloseGrace(hash string) {
	u.stage(nil, func(t *txn) error {
		r, ok, err := load[store.Refresh](t.view, refreshBucket, []byte(hash))
		if err != nil || !ok || r.Answer == nil {
			return err
		}
		r.Answer = nil
		return t.save(refreshBucket, []byte(hash), r)
	})
}

// changeRefresh stages a change that change may refuse. It is asked before
// all writes of the unit and again in its turn, because the same unit may
// have changed the row. then runs after the row is stored and may be nil.
func (u *unit) changeRefresh(hash string, gone error, change func(*store.Refresh) error, then func(*txn, store.Refresh) error) {
	u.stage(func(t *txn) error {
		_, err := t.alteredRefresh(hash, gone, change)
		return err
	}, func(t *txn) error {
		was, _, err := load[store.Refresh](t.view, refreshBucket, []byte(hash))
		if err != nil {
			return err
		}
		r, err := t.alteredRefresh(hash, gone, change)
		if err != nil {
			return err
		}
		if err := t.save(refreshBucket, []byte(hash), r); err != nil {
			return err
		}
		if err := t.setExpiry(refreshKind, []byte(hash), &was.KeepUntil, r.KeepUntil); err != nil || then == nil {
			return err
		}
		return then(t, r)
	})
}

// alteredRefresh is the row as change makes it; it writes nothing.
func (t *txn) alteredRefresh(hash string, gone error, change func(*store.Refresh) error) (store.Refresh, error) {
	r, ok, err := load[store.Refresh](t.view, refreshBucket, []byte(hash))
	switch {
	case err != nil:
		return r, err
	case !ok:
		return r, gone
	}
	return r, change(&r)
}

// refreshed moves the last refresh of a grant forward; an absent one stays so.
func (t *txn) refreshed(id string, at time.Time) error {
	g, ok, err := load[store.Grant](t.view, grantBucket, []byte(id))
	if err != nil || !ok || !at.After(g.RefreshedAt) {
		return err
	}
	g.RefreshedAt = at
	return t.save(grantBucket, []byte(id), g)
}

// PutAccess stages a new access token. A key in use is a conflict: a token
// that was ended never comes back.
func (u *unit) PutAccess(a store.Access) {
	key := []byte(a.Key)
	u.insert(accessBucket, key, accessKind, u.freeze(accessBucket, key, a), a.ExpiresAt)
}

// Access returns the access token of that key, ended ones included.
func (u *unit) Access(ctx context.Context, key string) (store.Access, bool, error) {
	return fetch[store.Access](ctx, u.s, accessBucket, []byte(key))
}

// EndAccess stages the end of an access token.
func (u *unit) EndAccess(key string, at time.Time) {
	u.stage(nil, func(t *txn) error {
		a, ok, err := load[store.Access](t.view, accessBucket, []byte(key))
		if err != nil || !ok || !a.EndedAt.IsZero() {
			return err
		}
		a.EndedAt = at
		return t.save(accessBucket, []byte(key), a)
	})
}

// insert stages a row that overwrites nothing, not even one of its own unit.
func (u *unit) insert(b bucket, key []byte, kind byte, raw []byte, until time.Time) {
	free := absent(b, key)
	u.stage(free, func(t *txn) error {
		if err := free(t); err != nil {
			return err
		}
		if err := t.put(b, key, raw); err != nil {
			return err
		}
		return t.setExpiry(kind, key, nil, until)
	})
}

// Offline returns the grants that have a refresh token which can be used.
func (s *Store) Offline(ctx context.Context, now time.Time) (map[string]bool, error) {
	out, pos, done := map[string]bool{}, []byte{}, false
	for !done {
		err := s.read(ctx, func(v view) error {
			bk, err := v.bucket(refreshBucket)
			if err != nil {
				return err
			}
			cur := bk.Cursor()
			key, _ := cur.Seek(pos)
			for range scanStep {
				if key == nil {
					done = true
					return nil
				}
				r, _, err := load[store.Refresh](v, refreshBucket, key)
				if err != nil {
					return err
				}
				if r.SpentAt.IsZero() && now.Before(r.ExpiresAt) {
					out[r.GrantID] = true
				}
				pos = append(bytes.Clone(key), 0)
				key, _ = cur.Next()
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}
