package metrics_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"guestlist/broker"
	"guestlist/server/metrics"
)

// noon is when everything happens.
var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// state is what the metrics of this file are told at a scrape.
func state(context.Context) metrics.State {
	return metrics.State{
		Clients: 7, ClientsKnown: true, Policies: 3, PolicyAt: noon, PolicyFailed: true,
		Components: []metrics.Component{{Name: "store", Up: true}, {Name: "policies"}},
		Lags:       []metrics.Lag{{Exporter: "stdout", Records: 12}},
	}
}

func newMetrics(t testing.TB, state func(context.Context) metrics.State) *metrics.Metrics {
	t.Helper()
	m, err := metrics.New(metrics.Config{Version: "v1", Go: "go1", State: state})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// scrape returns the exposition.
func scrape(t testing.TB, m *metrics.Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("scrape: status %d\n%s", w.Code, w.Body)
	}
	return w.Body.String()
}

// series are the names and labels of our own metrics in an exposition, with
// their values.
func series(t testing.TB, m *metrics.Metrics) map[string]string {
	t.Helper()
	out := map[string]string{}
	for line := range strings.Lines(scrape(t, m)) {
		if i := strings.LastIndexByte(line, ' '); strings.HasPrefix(line, "guestlist_") {
			out[line[:i]] = strings.TrimSpace(line[i:])
		}
	}
	return out
}

func TestCounted(t *testing.T) {
	m := newMetrics(t, state)
	m.Request("/token", 400, broker.ReasonRefreshReused, 3*time.Millisecond)
	m.Request("/token", 200, "", time.Millisecond)
	m.Request("/authorize", 0, "", time.Millisecond)
	m.Decided(broker.Decided{Outcome: "admitted", Phase: broker.PhaseDocument, Policy: []string{"agents"}, From: "network", Took: time.Second})
	m.Decided(broker.Decided{Outcome: "reused", Phase: broker.PhaseDocument, Policy: []string{"agents"}, From: "store"})
	m.Decided(broker.Decided{Outcome: "refused", Reason: broker.ReasonNoPolicyMatched, Phase: broker.PhaseURL})
	m.Decided(broker.Decided{Outcome: "refused", Reason: broker.ReasonClientIDMalformed})
	m.Decided(broker.Decided{Outcome: "reused", Phase: broker.PhaseUser, Policy: []string{"a", "b"}})
	m.Fetched(broker.Fetched{Took: time.Second})
	m.Fetched(broker.Fetched{NotModified: true})
	m.Fetched(broker.Fetched{Reason: broker.ReasonFetchDNS})
	m.Spent("total")
	m.Committed(5, 2*time.Millisecond, nil)
	m.Committed(1, time.Millisecond, errors.New("disk full"))
	want := map[string]string{
		`guestlist_build_info{go="go1",version="v1"}`:                                                          "1",
		`guestlist_http_requests_total{route="/token",status="4xx"}`:                                           "1",
		`guestlist_http_requests_total{route="/token",status="2xx"}`:                                           "1",
		`guestlist_http_requests_total{route="/authorize",status="none"}`:                                      "1",
		`guestlist_http_request_duration_seconds_count{route="/token"}`:                                        "2",
		`guestlist_refusals_total{reason="refresh_reused"}`:                                                    "1",
		`guestlist_refusals_total{reason="sign_in_failed"}`:                                                    "0",
		`guestlist_decisions_total{outcome="admitted",phase="document",policy="agents",reason="none"}`:         "1",
		`guestlist_decisions_total{outcome="refused",phase="url",policy="none",reason="client_not_admitted"}`:  "1",
		`guestlist_decisions_total{outcome="refused",phase="none",policy="none",reason="client_not_admitted"}`: "1",
		`guestlist_decisions_total{outcome="reused",phase="user",policy="several",reason="none"}`:              "1",
		`guestlist_decision_duration_seconds_count{phase="document"}`:                                          "2",
		`guestlist_decision_duration_seconds_sum{phase="document"}`:                                            "1",
		`guestlist_documents_total{from="network"}`:                                                            "1",
		`guestlist_documents_total{from="store"}`:                                                              "1",
		`guestlist_documents_total{from="pin"}`:                                                                "0",
		`guestlist_fetches_total{outcome="fetched"}`:                                                           "1",
		`guestlist_fetches_total{outcome="not_modified"}`:                                                      "1",
		`guestlist_fetches_total{outcome="fetch_dns"}`:                                                         "1",
		`guestlist_fetch_duration_seconds_count`:                                                               "3",
		`guestlist_budget_refusals_total{budget="total"}`:                                                      "1",
		`guestlist_budget_refusals_total{budget="per_source"}`:                                                 "0",
		`guestlist_commit_duration_seconds_count`:                                                              "2",
		`guestlist_commit_units_sum`:                                                                           "6",
		`guestlist_commit_failures_total`:                                                                      "1",
		`guestlist_clients`:                                                                                    "7",
		`guestlist_component_up{component="store"}`:                                                            "1",
		`guestlist_component_up{component="policies"}`:                                                         "0",
		`guestlist_log_lag_records{exporter="stdout"}`:                                                         "12",
		`guestlist_policies`:                           "3",
		`guestlist_policy_load_failed`:                 "1",
		`guestlist_policy_activated_timestamp_seconds`: "1.795608e+09",
	}
	got := series(t, m)
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s = %q, want %q", name, got[name], value)
		}
	}
	if t.Failed() {
		t.Logf("there are:\n%s", strings.Join(slices.Sorted(maps.Keys(got)), "\n"))
	}
}

// What a store that does not answer cannot say is left out, and nothing else.
func TestUnknownState(t *testing.T) {
	got := series(t, newMetrics(t, func(context.Context) metrics.State { return metrics.State{} }))
	for _, name := range []string{"guestlist_clients", "guestlist_policy_activated_timestamp_seconds"} {
		if v, ok := got[name]; ok {
			t.Errorf("%s = %q, want nothing", name, v)
		}
	}
	if got["guestlist_policies"] != "0" {
		t.Errorf("guestlist_policies = %q, want 0", got["guestlist_policies"])
	}
	if _, err := metrics.New(metrics.Config{}); err == nil {
		t.Error("New without a state = nil, want an error")
	}
}

func TestLint(t *testing.T) {
	m := newMetrics(t, state)
	m.Request("/token", 200, broker.ReasonRefreshReused, 0)
	m.Decided(broker.Decided{Outcome: "admitted", From: "store"})
	problems, err := promlint.New(bytes.NewBufferString(scrape(t, m))).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// G-30: whatever is handed in, a label has one of the values that are known
// beforehand.
func TestG30HostileLabels(t *testing.T) {
	m := newMetrics(t, state)
	m.Decided(broker.Decided{Outcome: "admitted", Policy: []string{"first"}, From: "store"})
	hostile := []string{
		"https://stranger.example/client.json", "a\nguestlist_clients 9", `x"} 1`, "\x00", strings.Repeat("p", 65), "ünicode", "a b", "-", "1st",
	}
	for i, h := range hostile {
		for n := range 300 {
			v := fmt.Sprintf("%s%d", h, n)
			m.Request("/token", 600+n, broker.Reason(v), time.Millisecond)
			m.Decided(broker.Decided{Outcome: v, Reason: broker.Reason(v), Phase: broker.Phase(v), Policy: []string{v}, From: v})
			m.Fetched(broker.Fetched{Reason: broker.Reason(v)})
			m.Spent(v)
			m.Decided(broker.Decided{Outcome: "admitted", Policy: []string{fmt.Sprintf("policy_%d_%d", i, n)}})
		}
	}
	got := series(t, m)
	for name := range got {
		for _, bad := range []string{"stranger", "\\n", "ppppp", "ünicode", "a b", "1st"} {
			if strings.Contains(name, bad) {
				t.Errorf("%s: a label has a value that was handed in", name)
			}
		}
	}
	names := 0
	for name := range got {
		if strings.HasPrefix(name, `guestlist_decisions_total{outcome="admitted"`) && strings.Contains(name, `policy="`) {
			names++
		}
	}
	if want := 201; names != want { // with "other"
		t.Errorf("%d policies are counted by name, want %d", names, want)
	}
	for _, name := range []string{
		`guestlist_refusals_total{reason="other"}`, `guestlist_fetches_total{outcome="other"}`, `guestlist_budget_refusals_total{budget="other"}`,
		`guestlist_documents_total{from="other"}`,
	} {
		if want := fmt.Sprint(300 * len(hostile)); got[name] != want {
			t.Errorf("%s = %q, want %s", name, got[name], want)
		}
	}
	if len(got) > 1000 {
		t.Errorf("%d series, want at most 1000", len(got))
	}
}

// Counting is on the path of every request.
func TestCountingAllocatesNothing(t *testing.T) {
	m := newMetrics(t, state)
	policy := []string{"agents"}
	count := func() {
		m.Decided(broker.Decided{Outcome: "reused", Phase: broker.PhaseDocument, Policy: policy, From: "store"})
		m.Request("/authorize", 200, "", time.Millisecond)
		m.Committed(3, time.Millisecond, nil)
	}
	count()
	if cost := testing.AllocsPerRun(100, count); cost != 0 {
		t.Errorf("%v allocations, want none", cost)
	}
}
