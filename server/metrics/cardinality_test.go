package metrics_test

import (
	"context"
	"fmt"
	"maps"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/broker/cimd"
	"guestlist/broker/fetch"
	"guestlist/server"
	"guestlist/server/metrics"
	"guestlist/server/servertest"
	"guestlist/store/bolt"
)

// hosts serves documents of as many clients as are asked for; it has
// few: those whose path ends with "00", so that the test does not wait for the
// disk.
type hosts struct{ now func() time.Time }

// Document implements broker.Fetcher.
func (h hosts) Document(_ context.Context, id cimd.ID, _ fetch.Limits, _ fetch.Held) (fetch.Document, error) {
	if !strings.HasSuffix(id.String(), "00") {
		return fetch.Document{}, &fetch.Error{Reason: string(broker.ReasonFetchStatus), Detail: "status 404 of " + id.Host}
	}
	body := fmt.Sprintf(`{"client_id":%q,"client_name":"Agent %s","redirect_uris":["https://client.example.com/cb"]}`, id.String(), id.String())
	return fetch.Document{Body: []byte(body), FetchedAt: h.now(), FreshFor: time.Hour}, nil
}

// observed starts a server whose events m counts.
func observed(t testing.TB, m *metrics.Metrics, o servertest.Options) *servertest.Server {
	o.Observe = servertest.Observer{
		Broker: broker.Observer{
			Decided: func(_ context.Context, d broker.Decided) { m.Decided(d) },
			Fetched: func(_ context.Context, f broker.Fetched) { m.Fetched(f) },
			Spent:   func(_ context.Context, s broker.Spent) { m.Spent(s.Budget) },
		},
		Server:  server.Observer{Left: func(_ context.Context, s server.Seen) { m.Request(s.Route, s.Status, s.Reason, s.Took) }},
		Commits: func(c bolt.Committed) { m.Committed(c.Units, c.Took, c.Err) },
	}
	return servertest.New(t, o)
}

// G-30: 10,000 distinct URLs, hosts, paths and user agents later there are as
// many series as after the first hundred.
func TestG30CardinalityIsClosed(t *testing.T) {
	m := newMetrics(t, state)
	clock := func() time.Time { return noon }
	s := observed(t, m, servertest.Options{
		Policy: map[string]string{"agents.rego": `package admission.policies.agents

client_ids := {"https://client.example.com/**", "https://*.many.example.com/**"}

settings := {"scopes": {"ceiling": ["mcp:read"], "default": ["mcp:read"]}, "redirect": {"relation": "cross_site"}}

deny contains {"code": "odd", "message": "odd paths stay out"} if endswith(input.client_id, "8")
`},
		Fetch: hosts{clock}, Start: noon,
		Budgets: broker.Budgets{PerSource: 5000, PerDomain: 1 << 20, Total: 1 << 20, Concurrent: 256},
		Caps:    broker.Caps{Total: 1 << 20, PerDomain: 1 << 20},
	})
	ask := func(n int) {
		id := []string{"https://client.example.com/a/%d", "https://h%d.many.example.com/", "https://nobody%d.example.net/a", "not a client %d"}[n%4]
		target := "/authorize?" + s.Request(fmt.Sprintf(id, n), url.Values{"redirect_uri": {"https://client.example.com/cb"}}).Encode()
		switch n % 50 {
		case 48:
			target = fmt.Sprintf("/nothing/%d", n)
		case 49:
			target = fmt.Sprintf("/help/%d", n)
		}
		r := httptest.NewRequest("GET", s.Issuer+target, nil)
		r.Header.Set("User-Agent", fmt.Sprintf("agent-%d", n))
		s.Handler.ServeHTTP(httptest.NewRecorder(), r)
	}
	drive := func(from, to int) {
		var callers sync.WaitGroup
		for c := range 8 {
			callers.Go(func() {
				for n := from + c; n < to; n += 8 {
					ask(n)
				}
			})
		}
		callers.Wait()
	}
	drive(0, 800)
	first := series(t, m)
	drive(800, 10_800)
	last := series(t, m)
	for name := range last {
		if _, ok := first[name]; !ok {
			t.Errorf("%s appeared after the first requests", name)
		}
		for _, bad := range []string{"example", "agent-", "nothing/", "not a client"} {
			if strings.Contains(name, bad) {
				t.Errorf("%s: a label has what a stranger sent", name)
			}
		}
	}
	for name, least := range map[string]int{
		`guestlist_http_requests_total{route="none",status="4xx"}`:                                              200,
		`guestlist_http_requests_total{route="/help/{reason}",status="4xx"}`:                                    200,
		`guestlist_decisions_total{outcome="admitted",phase="document",policy="agents",reason="none"}`:          50,
		`guestlist_decisions_total{outcome="refused",phase="url",policy="agents",reason="client_not_admitted"}`: 400,
		`guestlist_decisions_total{outcome="refused",phase="url",policy="none",reason="client_not_admitted"}`:   2000,
		`guestlist_fetches_total{outcome="fetch_status"}`:                                                       2000,
		`guestlist_refusals_total{reason="client_id_unknown"}`:                                                  2000,
	} {
		var n int
		if fmt.Sscan(last[name], &n); n < least {
			t.Errorf("%s = %q, want at least %d", name, last[name], least)
		}
	}
	if t.Failed() {
		for name := range maps.Keys(last) {
			if !strings.Contains(name, "refusals") && !strings.Contains(name, "bucket") {
				t.Logf("%s %s", name, last[name])
			}
		}
	}
}
