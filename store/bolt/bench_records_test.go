package bolt_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"guestlist/broker/decisionlog"
	"guestlist/store"
	"guestlist/store/bolt"
	"guestlist/store/storetest"
)

// benchRecords is how large a log BenchmarkRecords asks: making one of a
// million takes minutes. benchStore keeps it for the next time; the benchmarks
// of the admin API can ask the same file.
var (
	benchRecords = flag.Int("records", 20_000, "records in the log of BenchmarkRecords")
	benchStore   = flag.String("records-file", "", "file of the log of BenchmarkRecords, made when it is not there")
)

// usualLog opens a log of n usual records, and writes those that it lacks.
func usualLog(b *testing.B, path string, n int) *bolt.Store {
	b.Helper()
	began := time.Now()
	s := open(b, path)
	b.Logf("open: %v", time.Since(began))
	storetest.FillLog(b, s, n)
	return s
}

// BenchmarkRecords asks for a page of 100 records of a large log, the newest
// first, by each filter.
func BenchmarkRecords(b *testing.B) {
	path, n := *benchStore, *benchRecords
	if path == "" {
		path = filepath.Join(b.TempDir(), "store.db")
	}
	s := usualLog(b, path, n)
	if info, err := os.Stat(path); err == nil {
		b.Logf("%d records, %d bytes each on file", n, info.Size()/int64(n))
	}
	mid := storetest.Usual(n / 2)
	for _, test := range []struct {
		name string
		q    store.RecordQuery
	}{
		{"all", store.RecordQuery{}},
		{"client", store.RecordQuery{ClientID: mid.ClientID}},
		{"host", store.RecordQuery{Host: "app-77.example"}},
		{"person", store.RecordQuery{Subject: storetest.Usual(3).Subject}},
		{"policy", store.RecordQuery{Policy: "team7"}},
		{"reason", store.RecordQuery{Reason: "no_policy_matched"}},
		{"event", store.RecordQuery{Event: "token.issued"}},
		{"event, rare", store.RecordQuery{Event: "client.blocked"}},
		{"event, never", store.RecordQuery{Event: "keys.rotated"}},
		{"several events", store.RecordQuery{Event: "client."}},
		{"created", store.RecordQuery{Event: "client.created"}},
		{"refreshed", store.RecordQuery{Event: "client.refreshed"}},
		{"rejected, never", store.RecordQuery{Event: "document.rejected"}},
		{"outcome", store.RecordQuery{Outcome: decisionlog.OutcomeRefused}},
		{"grant", store.RecordQuery{GrantID: storetest.Usual(3).GrantID}},
		{"request", store.RecordQuery{RequestID: mid.RequestID}},
		{"label", store.RecordQuery{Label: "rare"}},
		{"time", store.RecordQuery{Since: storetest.Usual(n / 3).Timestamp, Until: storetest.Usual(n/3 + 90).Timestamp}},
		{"client and event", store.RecordQuery{ClientID: mid.ClientID, Event: "admission.decided"}},
		{"policy and reason", store.RecordQuery{Policy: "team7", Reason: "no_policy_matched"}},
	} {
		for _, newest := range []bool{true, false} {
			test.q.Limit, test.q.Newest = 100, newest
			b.Run(fmt.Sprintf("%s/newest=%v", test.name, newest), func(b *testing.B) {
				found, began := 0, cpu(b)
				for b.Loop() {
					list, err := s.Records(context.Background(), test.q)
					if err != nil {
						b.Fatal(err)
					}
					found = len(list)
				}
				b.ReportMetric(float64(cpu(b)-began)/float64(b.N), "cpu-ns/op")
				b.ReportMetric(float64(found), "records")
			})
		}
	}
}
