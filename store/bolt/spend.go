package bolt

import (
	"context"
	"time"

	"guestlist/broker"
	"guestlist/store"
)

// spentRow is a first-caller-wins mark.
type spentRow struct {
	Until time.Time `json:"until"`
}

func spentKey(kind store.SpendKind, key string) []byte {
	return append(lengthPrefixed(string(kind)), key...)
}

// Spend stages a first-caller-wins mark.
func (u *unit) Spend(kind store.SpendKind, key string, until time.Time) {
	k := spentKey(kind, key)
	raw := u.freeze(spentBucket, k, spentRow{until})
	u.stage(func(t *txn) error {
		was, err := t.get(spentBucket, k)
		if err == nil && was != nil {
			return lost(broker.ErrSpent, "%s %s", kind, quoted(key))
		}
		return err
	}, func(t *txn) error {
		// The same unit may have set the mark, with another end.
		old, ok, err := load[spentRow](t.view, spentBucket, k)
		if err != nil {
			return err
		}
		if err := t.put(spentBucket, k, raw); err != nil {
			return err
		}
		if !ok {
			return t.setExpiry(spentKind, k, nil, until)
		}
		return t.setExpiry(spentKind, k, &old.Until, until)
	})
}

// Spent reports whether a mark is set.
func (u *unit) Spent(ctx context.Context, kind store.SpendKind, key string) (bool, error) {
	_, ok, err := fetch[spentRow](ctx, u.s, spentBucket, spentKey(kind, key))
	return ok, err
}

// PutCode stages a new authorization code. A hash in use is a conflict: a
// code that was spent never comes back.
func (u *unit) PutCode(c store.Code) {
	raw := u.freeze(codeBucket, []byte(c.Hash), c)
	u.stage(absent(codeBucket, []byte(c.Hash)), func(t *txn) error {
		if err := t.put(codeBucket, []byte(c.Hash), raw); err != nil {
			return err
		}
		return t.setExpiry(codeKind, []byte(c.Hash), nil, c.KeepUntil)
	})
}

// Code returns the code of that hash, spent ones included.
func (u *unit) Code(ctx context.Context, hash string) (store.Code, bool, error) {
	return fetch[store.Code](ctx, u.s, codeBucket, []byte(hash))
}

// SpendCode stages the use of a code.
func (u *unit) SpendCode(hash string, at time.Time) {
	u.stage(func(t *txn) error {
		c, ok, err := load[store.Code](t.view, codeBucket, []byte(hash))
		switch {
		case err != nil:
			return err
		case !ok:
			return lost(broker.ErrSpent, "authorization code: gone")
		case !c.SpentAt.IsZero():
			return lost(broker.ErrSpent, "authorization code of grant %s", quoted(c.GrantID))
		}
		return nil
	}, func(t *txn) error {
		c, ok, err := load[store.Code](t.view, codeBucket, []byte(hash))
		if err != nil || !ok {
			return err
		}
		c.SpentAt = at
		return t.save(codeBucket, []byte(hash), c)
	})
}

// PutSession stages a sign-in session; one of the same hash is replaced.
func (u *unit) PutSession(row store.Session) {
	key := []byte(row.Hash)
	raw := u.freeze(sessionBucket, key, row)
	u.stage(nil, func(t *txn) error {
		old, ok, err := load[store.Session](t.view, sessionBucket, key)
		if err != nil {
			return err
		}
		if err := t.put(sessionBucket, key, raw); err != nil {
			return err
		}
		if !ok {
			return t.setExpiry(sessionKind, key, nil, row.ExpiresAt)
		}
		return t.setExpiry(sessionKind, key, &old.ExpiresAt, row.ExpiresAt)
	})
}

// Session returns the session of that hash, expired or not.
func (u *unit) Session(ctx context.Context, hash string) (store.Session, bool, error) {
	return fetch[store.Session](ctx, u.s, sessionBucket, []byte(hash))
}

// EndSession stages the deletion of a session.
func (u *unit) EndSession(hash string) {
	u.stage(nil, func(t *txn) error {
		row, ok, err := load[store.Session](t.view, sessionBucket, []byte(hash))
		if err != nil || !ok {
			return err
		}
		if err := t.del(sessionBucket, []byte(hash)); err != nil {
			return err
		}
		return t.del(expiryBucket, expiryKey(sessionKind, []byte(hash), row.ExpiresAt))
	})
}
