package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"guestlist/broker/decisionlog"
	"guestlist/server/admin"
	"guestlist/store"
)

const (
	mallory = "https://mallory.example/client.json"
	alice   = "https://alice.example/client.json"
)

// entries are a small log: two requests of mallory, one of alice, one act of
// nobody's request.
var entries = []decisionlog.Record{
	{DecisionID: "d1", RequestID: "r1", Event: "admission.decided", Outcome: "refused", Reason: "no_policy_matched", PublicReason: "client_not_admitted", ClientID: mallory, Detail: "secret detail"},
	{DecisionID: "d2", RequestID: "r2", Event: "admission.decided", Outcome: "admitted", ClientID: alice,
		Subject: strings.Repeat("a", 22), Policy: []string{"agents"}, Labels: map[string]string{"mcp": "true"}, GrantID: "g1"},
	{DecisionID: "d3", RequestID: "r3", Event: "client.pruned", Outcome: "pruned", Reason: "client_ended", ClientID: mallory},
	{DecisionID: "d4", RequestID: "r3", Event: "admission.decided", Outcome: "refused", Reason: "policy_denied", ClientID: mallory,
		Phases: []decisionlog.Phase{{Phase: "url", Denials: []decisionlog.Denial{{Policy: "agents"}}}}},
	{DecisionID: "d5", RequestID: "r3", Event: "step.noted", Outcome: "done", ClientID: mallory},
	{DecisionID: "d6", Event: "policy.activated", Outcome: "done", Revision: "rev"},
}

// log commits entries one second apart.
func (e *env) log() {
	e.Helper()
	for i, r := range entries {
		r.Timestamp = noon.Add(time.Duration(i) * time.Second)
		e.commit(func(u store.Unit) { u.Append(r) })
	}
}

// ids lists decision ids in order.
func ids(t *testing.T, records []json.RawMessage) string {
	t.Helper()
	var out []string
	for _, raw := range records {
		var r struct {
			Seq        uint64 `json:"seq"`
			DecisionID string `json:"decision_id"`
		}
		if err := json.Unmarshal(raw, &r); err != nil || r.Seq == 0 {
			t.Errorf("record %s has no seq: %v", raw, err)
		}
		out = append(out, r.DecisionID)
	}
	return strings.Join(out, " ")
}

func TestRecordsByFilter(t *testing.T) {
	e := start(t, func(c *admin.Config) { c.Pseudonym = func(name string) string { return strings.Repeat(name[:1], 22) } })
	e.log()
	for _, test := range []struct {
		name   string
		filter admin.RecordFilter
		want   string
	}{
		{"all", admin.RecordFilter{}, "d1 d2 d3 d4 d5 d6"},
		{"client", admin.RecordFilter{ClientID: mallory}, "d1 d3 d4 d5"},
		{"event", admin.RecordFilter{Event: "admission.decided"}, "d1 d2 d4"},
		{"what other records say", admin.RecordFilter{Event: "client.deleted"}, "d3"},
		{"what other records say, newest first", admin.RecordFilter{Event: "client.refused", Newest: true}, "d4 d1"},
		{"events that begin so", admin.RecordFilter{Event: "policy."}, "d6"},
		{"events that begin so, of a client", admin.RecordFilter{Event: "client.", ClientID: alice}, ""},
		{"an event of another version", admin.RecordFilter{Event: "step.noted"}, "d5"},
		{"outcome", admin.RecordFilter{Outcome: "refused"}, "d1 d4"},
		{"reason", admin.RecordFilter{Reason: "policy_denied"}, "d4"},
		{"since", admin.RecordFilter{Since: noon.Add(4 * time.Second)}, "d5 d6"},
		{"until", admin.RecordFilter{Until: noon.Add(time.Second)}, "d1"},
		{"oldest two", admin.RecordFilter{Limit: 2}, "d1 d2"},
		{"newest two, newest first", admin.RecordFilter{Limit: 2, Newest: true}, "d6 d5"},
		{"all at once", admin.RecordFilter{ClientID: mallory, Event: "admission.decided", Outcome: "refused", Since: noon, Until: noon.Add(time.Hour), Newest: true}, "d4 d1"},
		{"nothing", admin.RecordFilter{Reason: "no_such_reason"}, ""},
		{"host", admin.RecordFilter{Host: "alice.example"}, "d2"},
		{"domain", admin.RecordFilter{Domain: "mallory.example"}, "d1 d3 d4 d5"},
		{"person, by username", admin.RecordFilter{Person: "alice"}, "d2"},
		{"person, by pseudonym", admin.RecordFilter{Person: strings.Repeat("a", 22)}, "d2"},
		{"another person", admin.RecordFilter{Person: "bob"}, ""},
		{"policy", admin.RecordFilter{Policy: "agents"}, "d2 d4"},
		{"label", admin.RecordFilter{Label: "mcp"}, "d2"},
		{"grant", admin.RecordFilter{GrantID: "g1"}, "d2"},
		{"after", admin.RecordFilter{After: 4}, "d5 d6"},
		{"before", admin.RecordFilter{Before: 3, Newest: true}, "d2 d1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := e.client.Records(context.Background(), test.filter)
			if err != nil || ids(t, got) != test.want {
				t.Errorf("Records(%+v) = %q, %v, want %q", test.filter, ids(t, got), err, test.want)
			}
		})
	}
}

func TestWhy(t *testing.T) {
	e := start(t, nil)
	e.log()
	for _, test := range []struct {
		name, id, request, public, reason, records string
	}{
		{"request that was refused", "r1", "r1", "client_not_admitted", "no_policy_matched", "d1"},
		{"request that was admitted", "r2", "r2", "", "", "d2"},
		{"request with several records", "r3", "r3", "client_not_admitted", "policy_denied", "d3 d4 d5"},
		{"decision", "d3", "r3", "", "", "d3"},
		{"decision of no request", "d6", "", "", "", "d6"},
		{"client: its newest admission", mallory, "r3", "client_not_admitted", "policy_denied", "d3 d4 d5"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := e.client.Why(context.Background(), test.id, time.Time{}, false)
			if err != nil {
				t.Fatal(err)
			}
			if got.RequestID != test.request || got.PublicReason != test.public || got.Reason != test.reason || ids(t, got.Records) != test.records {
				t.Errorf("Why(%q) = %q %q %q %q, want %q %q %q %q", test.id,
					got.RequestID, got.PublicReason, got.Reason, ids(t, got.Records), test.request, test.public, test.reason, test.records)
			}
		})
	}
	whole, err := e.client.Why(context.Background(), "r1", time.Time{}, false)
	if err != nil || !strings.Contains(string(whole.Records[0]), `"detail":"secret detail"`) {
		t.Errorf("Why(r1) = %s, %v, want the personal members too", whole.Records, err)
	}
	for _, id := range []string{"r9", "https://unknown.example/c", "\n", strings.Repeat("x", 3000)} {
		_, err := e.client.Why(context.Background(), id, time.Time{}, false)
		var r *admin.Refusal
		if !errors.As(err, &r) || r.Status != 404 || !strings.HasPrefix(r.Text, "no record has the id ") || len(r.Text) > 400 || strings.Contains(r.Text, "\n") {
			t.Errorf("Why(%.20q) = %v, want 404 on one short line", id, err)
		}
	}
}

func TestHeldRecordsAreWrittenFirst(t *testing.T) {
	var e *env
	held := []decisionlog.Record{
		{DecisionID: "h1", RequestID: "q1", Timestamp: noon, Event: "request.refused", Outcome: "refused", Reason: "request_invalid"},
		{DecisionID: "h2", RequestID: "q2", Timestamp: noon, Event: "request.refused", Outcome: "refused", Reason: "request_invalid"},
	}
	e = start(t, func(c *admin.Config) {
		c.Flush = func(context.Context) error {
			e.commit(func(u store.Unit) { u.Append(held[0]) })
			held = held[1:]
			return nil
		}
	})
	if why, err := e.client.Why(context.Background(), "q1", time.Time{}, false); err != nil || why.Reason != "request_invalid" {
		t.Errorf("Why(q1) = %+v, %v, want the record that was held", why, err)
	}
	if got, err := e.client.Records(context.Background(), admin.RecordFilter{}); err != nil || ids(t, got) != "h1 h2" {
		t.Errorf("Records() = %q, %v, want h1 h2", ids(t, got), err)
	}
}

func TestHeldRecordsThatCannotBeWritten(t *testing.T) {
	e := start(t, func(c *admin.Config) {
		c.Flush = func(context.Context) error { return errors.New("disk full") }
	})
	for _, target := range []string{"/v1/audit", "/v1/audit/why?id=x"} {
		if status, _, text := e.raw("GET", target); status != 503 || !strings.Contains(text, "disk full") {
			t.Errorf("GET %s = %d %q, want 503 and why", target, status, text)
		}
	}
}

// tampered is a store whose first record was changed by somebody.
type tampered struct{ store.Store }

func (s tampered) Records(ctx context.Context, q store.RecordQuery) ([]decisionlog.Sealed, error) {
	list, err := s.Store.Records(ctx, q)
	if len(list) > 0 {
		list[0].Body = []byte(`{"detail":"nothing to see"}`)
	}
	return list, err
}

func TestTamperedRecordIsShownAsSuch(t *testing.T) {
	e := start(t, func(c *admin.Config) { c.Store = tampered{c.Store} })
	e.log()
	got, err := e.client.Records(context.Background(), admin.RecordFilter{Limit: 2})
	if err != nil || len(got) != 2 {
		t.Fatalf("Records() = %s, %v, want 2", got, err)
	}
	if s := string(got[0]); !strings.Contains(s, `"seq":1`) || !strings.Contains(s, "does not match") || strings.Contains(s, "nothing to see") {
		t.Errorf("first record = %s, want its number and that it cannot be proven", s)
	}
	if ids(t, got[1:]) != "d2" {
		t.Errorf("second record = %s, want d2 untouched", got[1])
	}
}

func TestUnreadableStore(t *testing.T) {
	e := start(t, nil)
	e.store.Close()
	for _, target := range []string{"/v1/audit", "/v1/audit/why?id=x", "/v1/audit/why?id=https://a.example/", "/v1/clients", "/v1/clients/show?id=x"} {
		if status, _, text := e.raw("GET", target); status != 503 || !strings.Contains(text, "store unavailable") {
			t.Errorf("GET %s = %d %q, want 503", target, status, text)
		}
	}
}
