package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"guestlist/broker/decisionlog"
	"guestlist/store"
)

// usualStart is when a log of usual records begins.
var usualStart = time.Unix(1_790_000_000, 0).UTC()

// Usual is the i-th record of a log as it comes to be, one a second: admissions
// of many clients, refusals, tokens. Two that follow each other may be of one
// request.
func Usual(i int) decisionlog.Record {
	host := fmt.Sprintf("app-%d.example", i*48_271%5003)
	r := decisionlog.Record{
		DecisionID: fmt.Sprintf("%032x", i), RequestID: fmt.Sprintf("%032x", i/2), Timestamp: usualStart.Add(time.Duration(i) * time.Second), Event: "token.issued",
		Outcome: decisionlog.OutcomeIssued, Epoch: 3, ClientID: "https://" + host + "/oauth/client.json", Registration: "cimd", Incarnation: uint64(i%7 + 1),
		Policy: []string{fmt.Sprintf("team%d", i%20)}, Labels: map[string]string{"mcp": "true"}, DocumentSHA256: fmt.Sprintf("%064x", i%5003),
		Subject: fmt.Sprintf("%022d", i%10_007), GrantID: fmt.Sprintf("%032x", i/9), TokenID: fmt.Sprintf("%032x", i*3), Source: "192.0.2.7",
		Settings: json.RawMessage(`{"access_token":{"format":"jwt","ttl":"5m"},"client_ttl":"30d","grant_types":["authorization_code","refresh_token"]}`),
	}
	switch {
	case i%4 == 0:
		r.Event, r.Outcome, r.Subject, r.GrantID, r.TokenID = "admission.decided", decisionlog.OutcomeAdmitted, "", "", ""
		r.Refreshed = i%20_000 != 0 // a client is created once, and lives for long
		r.Phases = []decisionlog.Phase{{Phase: "url", Allowed: true, Winner: r.Policy, Candidates: []decisionlog.Candidate{{Policy: r.Policy[0], Pattern: "https://*.example/**", Mode: "enforce", Settles: true}}}}
	case i%10 == 1:
		r.Event, r.Outcome, r.Reason, r.Subject, r.GrantID, r.TokenID, r.Policy = "admission.decided", decisionlog.OutcomeRefused, "no_policy_matched", "", "", "", nil
	case i%50_000 == 2:
		r.Event, r.Outcome, r.Actor, r.Labels = "client.blocked", decisionlog.OutcomeDone, "uid 0", map[string]string{"rare": "true"}
	}
	return r
}

// FillLog gives a store n usual records; those that it has already are taken
// for the first of them.
func FillLog(t testing.TB, s store.Store, n int) {
	t.Helper()
	last, err := store.Log{Store: s}.Last(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := int(last); i < n; {
		u := s.Begin()
		for end := min(n, i+5000); i < end; i++ {
			u.Append(Usual(i))
		}
		if err := s.Commit(context.Background(), u); err != nil {
			t.Fatal(err)
		}
	}
}
