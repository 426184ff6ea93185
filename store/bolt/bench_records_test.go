package bolt_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"guestlist/broker/decisionlog"
	"guestlist/store"
	"guestlist/store/bolt"
)

// benchRecords is how large a log BenchmarkRecords asks: making one of a
// million takes minutes. benchStore keeps it for the next time.
var (
	benchRecords = flag.Int("records", 20_000, "records in the log of BenchmarkRecords")
	benchStore   = flag.String("records-file", "", "file of the log of BenchmarkRecords, made when it is not there")
)

// usual is the i-th record of a log as it comes to be: admissions of many
// clients, refusals, tokens.
func usual(i int) decisionlog.Record {
	host := fmt.Sprintf("app-%d.example", i*48_271%5003)
	r := decisionlog.Record{
		DecisionID: fmt.Sprintf("%032x", i), RequestID: fmt.Sprintf("%032x", i/2), Timestamp: at.Add(time.Duration(i) * time.Second), Event: "token.issued",
		Outcome: decisionlog.OutcomeIssued, Epoch: 3, ClientID: "https://" + host + "/oauth/client.json", Registration: "cimd", Incarnation: uint64(i%7 + 1),
		Policy: []string{fmt.Sprintf("team%d", i%20)}, Labels: map[string]string{"mcp": "true"}, DocumentSHA256: fmt.Sprintf("%064x", i%5003),
		Subject: fmt.Sprintf("%022d", i%10_007), GrantID: fmt.Sprintf("%032x", i/9), TokenID: fmt.Sprintf("%032x", i*3), Source: "192.0.2.7",
		Settings: json.RawMessage(`{"access_token":{"format":"jwt","ttl":"5m"},"client_ttl":"30d","grant_types":["authorization_code","refresh_token"]}`),
	}
	switch {
	case i%4 == 0:
		r.Event, r.Outcome, r.Subject, r.GrantID, r.TokenID = "admission.decided", decisionlog.OutcomeAdmitted, "", "", ""
		r.Phases = []decisionlog.Phase{{Phase: "url", Allowed: true, Winner: r.Policy, Candidates: []decisionlog.Candidate{{Policy: r.Policy[0], Pattern: "https://*.example/**", Mode: "enforce", Settles: true}}}}
	case i%10 == 1:
		r.Event, r.Outcome, r.Reason, r.Subject, r.GrantID, r.TokenID, r.Policy = "admission.decided", decisionlog.OutcomeRefused, "no_policy_matched", "", "", "", nil
	case i%50_000 == 2:
		r.Event, r.Outcome, r.Actor, r.Labels = "client.blocked", decisionlog.OutcomeDone, "uid 0", map[string]string{"rare": "true"}
	}
	return r
}

// usualLog opens a log of n usual records, and writes those that it lacks.
func usualLog(b *testing.B, path string, n int) *bolt.Store {
	b.Helper()
	began := time.Now()
	s := open(b, path)
	b.Logf("open: %v", time.Since(began))
	newest, err := s.Records(context.Background(), store.RecordQuery{Newest: true, Limit: 1})
	if err != nil {
		b.Fatal(err)
	}
	i := 0
	if len(newest) > 0 {
		i = int(newest[0].Seq)
	}
	for i < n {
		u := s.Begin()
		for end := min(n, i+5000); i < end; i++ {
			u.Append(usual(i))
		}
		if err := s.Commit(context.Background(), u); err != nil {
			b.Fatal(err)
		}
	}
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
	mid := usual(n / 2)
	for _, test := range []struct {
		name string
		q    store.RecordQuery
	}{
		{"all", store.RecordQuery{}},
		{"client", store.RecordQuery{ClientID: mid.ClientID}},
		{"host", store.RecordQuery{Host: "app-77.example"}},
		{"person", store.RecordQuery{Subject: usual(3).Subject}},
		{"policy", store.RecordQuery{Policy: "team7"}},
		{"reason", store.RecordQuery{Reason: "no_policy_matched"}},
		{"event", store.RecordQuery{Event: "token.issued"}},
		{"event, rare", store.RecordQuery{Event: "client.blocked"}},
		{"event, never", store.RecordQuery{Event: "keys.rotated"}},
		{"outcome", store.RecordQuery{Outcome: decisionlog.OutcomeRefused}},
		{"grant", store.RecordQuery{GrantID: usual(3).GrantID}},
		{"request", store.RecordQuery{RequestID: mid.RequestID}},
		{"label", store.RecordQuery{Label: "rare"}},
		{"time", store.RecordQuery{Since: usual(n / 3).Timestamp, Until: usual(n/3 + 90).Timestamp}},
		{"client and event", store.RecordQuery{ClientID: mid.ClientID, Event: "admission.decided"}},
		{"policy and reason", store.RecordQuery{Policy: "team7", Reason: "no_policy_matched"}},
	} {
		for _, newest := range []bool{true, false} {
			test.q.Limit, test.q.Newest = 100, newest
			b.Run(fmt.Sprintf("%s/newest=%v", test.name, newest), func(b *testing.B) {
				found := 0
				for b.Loop() {
					list, err := s.Records(context.Background(), test.q)
					if err != nil {
						b.Fatal(err)
					}
					found = len(list)
				}
				b.ReportMetric(float64(found), "records")
			})
		}
	}
}
