package store

import (
	"context"

	"guestlist/broker/decisionlog"
)

// Log shows a store's records to exporters.
type Log struct {
	Store Store // read from, and written to for positions
}

// Next implements decisionlog.Log.
func (l Log) Next(ctx context.Context, after uint64, max int) ([]decisionlog.Sealed, error) {
	return l.Store.Records(ctx, RecordQuery{After: after, Limit: max})
}

// Last implements decisionlog.Log.
func (l Log) Last(ctx context.Context) (uint64, error) {
	newest, err := l.Store.Records(ctx, RecordQuery{Newest: true, Limit: 1})
	if err != nil || len(newest) == 0 {
		return 0, err
	}
	return newest[0].Seq, nil
}

// Changed implements decisionlog.Log.
func (l Log) Changed() <-chan struct{} { return l.Store.Changed() }

// Position implements decisionlog.Log.
func (l Log) Position(ctx context.Context, name string) (uint64, error) {
	return l.Store.Begin().Cursor(ctx, name)
}

// Remember implements decisionlog.Log.
func (l Log) Remember(ctx context.Context, name string, seq uint64) error {
	u := l.Store.Begin()
	u.PutCursor(name, seq)
	return l.Store.Commit(ctx, u)
}

// Append commits records that belong to no other change.
func (l Log) Append(ctx context.Context, records []decisionlog.Record) error {
	u := l.Store.Begin()
	for _, r := range records {
		u.Append(r)
	}
	return l.Store.Commit(ctx, u)
}
