package servertest

import (
	"context"

	"guestlist/broker/decisionlog"
	"guestlist/store"
)

// Apart is a store as it must not be: it commits the records of a unit after
// the unit. It shows that what looks for states without a record finds them.
type Apart struct{ store.Store }

// apartUnit keeps the records that were staged.
type apartUnit struct {
	store.Unit
	records []decisionlog.Record
}

// Append implements broker.Unit.
func (u *apartUnit) Append(r decisionlog.Record) { u.records = append(u.records, r) }

// Empty implements broker.Unit.
func (u *apartUnit) Empty() bool { return u.Unit.Empty() && len(u.records) == 0 }

// Begin implements store.Store.
func (a Apart) Begin() store.Unit { return &apartUnit{Unit: a.Store.Begin()} }

// Commit implements store.Store.
func (a Apart) Commit(ctx context.Context, u store.Unit) error {
	w := u.(*apartUnit)
	if err := a.Store.Commit(ctx, w.Unit); err != nil || len(w.records) == 0 {
		return err
	}
	return store.Log{Store: a.Store}.Append(ctx, w.records)
}
