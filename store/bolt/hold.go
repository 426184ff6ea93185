package bolt

import (
	"context"

	"guestlist/store"
)

// PutHold stages a hold.
func (u *unit) PutHold(h store.Hold) {
	raw := u.freeze(holdBucket, []byte(h.ID), h)
	u.stage(nil, func(t *txn) error {
		t.st.Holds++
		return t.put(holdBucket, []byte(h.ID), raw)
	})
}

// DropHold stages the end of a hold.
func (u *unit) DropHold(id string) {
	u.stage(nil, func(t *txn) error {
		t.st.Holds++
		return t.del(holdBucket, []byte(id))
	})
}

// RequireHolds stages the precondition that no hold was put or dropped.
func (u *unit) RequireHolds(number uint64) {
	u.require(func(t *txn) error {
		if t.st.Holds != number {
			return conflict("the holds are in state %d, looked at in %d", t.st.Holds, number)
		}
		return nil
	})
}

// Holds lists every hold by its identifier.
func (s *Store) Holds(ctx context.Context) (list []store.Hold, number uint64, err error) {
	err = s.read(ctx, func(v view) error {
		list = nil
		st, err := v.state()
		if err != nil {
			return err
		}
		number = st.Holds
		return eachRow(v, holdBucket, func(_ []byte, h store.Hold) error {
			list = append(list, h)
			return nil
		})
	})
	return list, number, err
}
