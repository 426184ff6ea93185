package admin_test

import (
	"context"
	"flag"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"guestlist/server/admin"
	"guestlist/store/storetest"
)

// benchRecords is how large a log BenchmarkAudit asks: making one of a million
// takes minutes. benchStore keeps it for the next time, and may be the one of
// BenchmarkRecords of the store.
var (
	benchRecords = flag.Int("records", 20_000, "records in the log of BenchmarkAudit")
	benchStore   = flag.String("records-file", "", "file of the log of BenchmarkAudit, made when it is not there")
)

// BenchmarkAudit asks over the socket what guestlist audit asks: why by each
// kind of id, and a page of 100 of ls, the newest first.
func BenchmarkAudit(b *testing.B) {
	path := *benchStore
	if path == "" {
		path = filepath.Join(b.TempDir(), "store.db")
	}
	kept := openAt(b, path)
	storetest.FillLog(b, kept, *benchRecords)
	client := serve(b, filepath.Join(shortDir(b), "s"), admin.Config{
		Store: kept, Flush: func(context.Context) error { return nil }, Now: func() time.Time { return noon },
	})
	mid := storetest.Usual(*benchRecords / 8 * 4) // an admission
	why := func(id string, at time.Time) func(context.Context) (int, error) {
		return func(ctx context.Context) (int, error) {
			got, err := client.Why(ctx, id, at, false)
			return len(got.Records), err
		}
	}
	ls := func(f admin.RecordFilter) func(context.Context) (int, error) {
		f.Newest = true
		return func(ctx context.Context) (int, error) {
			got, err := client.Records(ctx, f)
			return len(got), err
		}
	}
	for _, test := range []struct {
		name string
		ask  func(context.Context) (int, error)
	}{
		{"why, request", why(mid.RequestID, time.Time{})},
		{"why, decision", why(mid.DecisionID, time.Time{})},
		{"why, client", why(mid.ClientID, time.Time{})},
		{"why, client then", why(mid.ClientID, mid.Timestamp)},
		{"why, counted by none", why(fmt.Sprintf("%012x%020x", mid.Timestamp.UnixMilli(), 1), time.Time{})},
		{"ls", ls(admin.RecordFilter{})},
		{"ls, client", ls(admin.RecordFilter{ClientID: mid.ClientID})},
		{"ls, person", ls(admin.RecordFilter{Person: storetest.Usual(3).Subject})},
		{"ls, outcome", ls(admin.RecordFilter{Outcome: mid.Outcome})},
		{"ls, rare", ls(admin.RecordFilter{Event: "client.blocked"})},
		{"ls, never", ls(admin.RecordFilter{Event: "keys.rotated"})},
	} {
		b.Run(test.name, func(b *testing.B) {
			found := 0
			for b.Loop() {
				var err error
				if found, err = test.ask(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(found), "records")
		})
	}
}
