package bolt

import (
	"context"
	"sync/atomic"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/store"
)

// op is one staged step. All checks of a unit run before its first apply.
// Both may run more than once, each time on a transaction without traces of
// the time before.
type op struct {
	check func(*txn) error // precondition; reads only
	apply func(*txn) error // effect
}

// unit is a recorded write set.
type unit struct {
	s      *Store
	ops    []op
	writes int                      // staged effects
	ends   []incarnation            // what EndClient staged
	read   map[string]broker.Client // each client as Client last returned it
	err    error                    // a row that cannot be encoded
	used   atomic.Bool
}

// incarnation names one life of a client.
type incarnation struct {
	client string
	number uint64
}

// require stages a precondition.
func (u *unit) require(check func(*txn) error) { u.ops = append(u.ops, op{check: check}) }

// stage stages an effect, with a precondition or nil.
func (u *unit) stage(check, apply func(*txn) error) {
	u.writes++
	u.ops = append(u.ops, op{check: check, apply: apply})
}

// freeze encodes a row while it is staged, so that the caller may go on using
// what it points to.
func (u *unit) freeze(b bucket, key []byte, row any) []byte {
	raw, err := encode(b, key, row)
	if err != nil && u.err == nil {
		u.err = err
	}
	return raw
}

// Empty reports whether no effect was staged; preconditions do not count.
func (u *unit) Empty() bool { return u.writes == 0 }

// Epoch returns the stored epoch.
func (u *unit) Epoch(ctx context.Context) (uint64, error) {
	st, err := u.s.state(ctx)
	return st.Epoch, err
}

// ActiveRevision returns the revision last activated, with the digest of its
// facts.
func (u *unit) ActiveRevision(ctx context.Context) (revision, facts string, err error) {
	st, err := u.s.state(ctx)
	return st.Revision, st.Facts, err
}

func (s *Store) state(ctx context.Context) (st state, err error) {
	err = s.read(ctx, func(v view) (err error) {
		st, err = s.decoded.state(v)
		return err
	})
	return st, err
}

// RequireEpoch stages the precondition that the epoch has not moved.
func (u *unit) RequireEpoch(epoch uint64) {
	u.require(func(t *txn) error {
		if t.st.Epoch != epoch {
			return conflict("the epoch is %d, decided under %d", t.st.Epoch, epoch)
		}
		return nil
	})
}

// Append stages a decision record, masked. What r points to must not change
// until the commit has answered.
func (u *unit) Append(r decisionlog.Record) {
	if u.s.mask != nil {
		r = u.s.mask(r)
	}
	u.stage(nil, func(t *txn) error { return t.appendRecord(r) })
}

// cursorRow is how far an exporter has read.
type cursorRow struct {
	Seq uint64 `json:"seq"`
}

// PutCursor stages how far an exporter has read.
func (u *unit) PutCursor(name string, seq uint64) {
	raw := u.freeze(cursorBucket, []byte(name), cursorRow{seq})
	u.stage(nil, func(t *txn) error { return t.put(cursorBucket, []byte(name), raw) })
}

// Cursor returns how far an exporter has read.
func (u *unit) Cursor(ctx context.Context, name string) (uint64, error) {
	row, _, err := fetch[cursorRow](ctx, u.s, cursorBucket, []byte(name))
	return row.Seq, err
}

// fetch reads one row in a view of its own.
func fetch[T any](ctx context.Context, s *Store, b bucket, key []byte) (row T, ok bool, err error) {
	err = s.read(ctx, func(v view) (err error) {
		row, ok, err = load[T](v, b, key)
		return err
	})
	return row, ok, err
}

var (
	_ store.Store = (*Store)(nil)
	_ store.Unit  = (*unit)(nil)
	_ broker.Unit = (*unit)(nil)
)
