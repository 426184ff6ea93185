package server_test

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/server/servertest"
	"guestlist/store"
)

// TestB35FetchFailuresLookAlike: a stranger cannot tell a live internal port
// from a closed one, while operators see each cause (B31).
func TestB35FetchFailuresLookAlike(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0)
	untrusted.StartTLS()
	t.Cleanup(untrusted.Close)
	s := servertest.New(t, servertest.Options{
		Resolver: loopbackNames{}, Timeout: time.Second,
		HostMap: map[string]string{
			"closed.example.org:443": "127.0.0.1:1", "silent.example.org:443": silent.Addr().String(), "tls.example.org:443": untrusted.Listener.Addr().String(),
		},
	})
	s.Docs.Set(docHost+"/500", servertest.Answer{Status: 500})
	s.Docs.Set(docHost+"/html", servertest.Answer{Header: map[string]string{"Content-Type": "text/html"}, Body: "<p>"})
	s.Docs.Set(docHost+"/moved", servertest.Answer{Status: 301, Header: map[string]string{"Location": "https://127.0.0.1/"}})
	s.Docs.Set(docHost+"/gzip", servertest.Answer{Header: map[string]string{"Content-Encoding": "gzip"}, Body: "{}"})
	s.Docs.Set(docHost+"/large", servertest.Answer{Body: strings.Repeat(" ", 9000)})
	reasons, first := map[string]string{}, ""
	for _, id := range []string{
		docHost + "/404", docHost + "/500", docHost + "/html", docHost + "/moved", docHost + "/gzip", docHost + "/large",
		"https://internal.example.org/x", "https://no.example.org/x", "https://closed.example.org/x", "https://silent.example.org/x", "https://tls.example.org/x",
	} {
		p := s.Browser().Authorize(s.Request(id, nil))
		requestID := p.Header.Get("X-Request-Id")
		shown := fmt.Sprintf("%d %s", p.Status, strings.ReplaceAll(p.Body, requestID, "ID"))
		if first == "" {
			first = shown
		}
		if shown != first || p.Status != http.StatusBadRequest {
			t.Errorf("%s: status %d, another answer than the first:\n%s", id, p.Status, brief(p))
		}
		recs := s.Records(store.RecordQuery{RequestID: requestID})
		if len(recs) != 1 || !strings.HasPrefix(recs[0].Reason, "fetch_") {
			t.Fatalf("%s: records %+v, want one with a reason of the fetch", id, recs)
		}
		reasons[recs[0].Reason] = id
	}
	if len(reasons) != 10 { // 404 and 500 share fetch_status
		t.Errorf("%d reasons, want each cause told apart: %v", len(reasons), reasons)
	}
	wantNobody(t, s)
}

// TestB25OneFetchPerRefusal: no retry multiplies what a stranger makes this
// server send, and from the second refusal on a request costs none (Q9).
func TestB25OneFetchPerRefusal(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	for i, a := range []servertest.Answer{{Status: 404}, {Status: 500}, {Status: 503}, {Status: 429}} {
		id := fmt.Sprintf("%s/refused/%d", docHost, i)
		s.Docs.Set(id, a)
		for n := 1; n <= 2; n++ {
			s.Browser().Authorize(s.Request(id, nil))
			if got := s.Docs.Hits(id); got != n {
				t.Errorf("status %d: %d fetches after %d requests", a.Status, got, n)
			}
		}
		p := s.Browser().Authorize(s.Request(id, nil))
		if got := s.Docs.Hits(id); got != 2 || p.Status != http.StatusTooManyRequests || p.Header.Get("Retry-After") != "1" {
			t.Errorf("third request: %d fetches, status %d, Retry-After %q, want 2, 429, 1", got, p.Status, p.Header.Get("Retry-After"))
		}
		wantRecord(t, s, p, broker.ReasonFetchPaced)
	}
	// SN-07: a document that came and is invalid can be mended and tried at once.
	s.Docs.Set(docHost+"/mended", servertest.Answer{Body: "{}"})
	for range 4 {
		wantRecord(t, s, s.Browser().Authorize(s.Request(docHost+"/mended", nil)), broker.ReasonDocumentNoClientID)
	}
	s.Docs.Publish(docHost+"/mended", nil)
	if p := s.Browser().Authorize(s.Request(docHost+"/mended", nil)); !isSignIn(p) {
		t.Errorf("a mended document: status %d, want sign-in", p.Status)
	}
	// F9, F10: a failure is never an answer for the next request.
	s.Clock.Advance(time.Second)
	s.Docs.Publish(docHost+"/refused/1", nil)
	if p := s.Browser().Authorize(s.Request(docHost+"/refused/1", nil)); !isSignIn(p) {
		t.Errorf("after the host came back: status %d, want sign-in", p.Status)
	}
}

// TestG15BudgetsOverHTTP: what is over budget is a page that says when to try
// again, and nothing is fetched; who is known goes on (B14).
func TestG15BudgetsOverHTTP(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{Budgets: broker.Budgets{PerSource: 4}})
	codePage(t, s, s.Browser(), nil) // the first of four
	for i := range 20 {
		id := fmt.Sprintf("%s/new/%d", docHost, i)
		s.Docs.Publish(id, nil)
		p := s.Browser().Authorize(s.Request(id, nil))
		if i < 3 {
			if !isSignIn(p) {
				t.Fatalf("client %d: status %d, want sign-in\n%s", i, p.Status, brief(p))
			}
			continue
		}
		if p.Status != http.StatusTooManyRequests || p.Header.Get("Retry-After") != "15" || s.Docs.Hits(id) != 0 {
			t.Errorf("client %d: status %d, Retry-After %q, %d fetches, want 429, 15, 0", i, p.Status, p.Header.Get("Retry-After"), s.Docs.Hits(id))
		}
		wantRecord(t, s, p, broker.ReasonRateLimited)
	}
	codePage(t, s, s.Browser(), nil)
	s.Clock.Advance(15 * time.Second)
	if p := s.Browser().Authorize(s.Request(docHost+"/new/9", nil)); !isSignIn(p) {
		t.Errorf("15 s later: status %d, want sign-in\n%s", p.Status, brief(p))
	}
}

// TestB14CapsOverHTTP: 100 paths of one host at once leave as many rows as the
// cap allows, and the others read a page; nobody is evicted.
func TestB14CapsOverHTTP(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{Caps: broker.Caps{PerDomain: 7}, Budgets: broker.Budgets{PerSource: 1000, PerDomain: 1000, Concurrent: 1000}})
	codePage(t, s, s.Browser(), nil)
	var wg sync.WaitGroup
	var admitted, later atomic.Int64
	for i := range 100 {
		id := fmt.Sprintf("%s/new/%d", docHost, i)
		s.Docs.Publish(id, nil)
		wg.Go(func() {
			switch p := s.Browser().Authorize(s.Request(id, nil)); {
			case isSignIn(p):
				admitted.Add(1)
			case p.Status == http.StatusTooManyRequests:
				later.Add(1)
			default:
				t.Errorf("%s: status %d\n%s", id, p.Status, brief(p))
			}
		})
	}
	wg.Wait()
	list, err := s.Store.Clients(t.Context(), store.ClientQuery{})
	if err != nil || len(list) != 7 || admitted.Load() != 6 || later.Load() != 94 {
		t.Errorf("%d rows, %v, %d admitted, %d told to try later, want 7, 6, 94", len(list), err, admitted.Load(), later.Load())
	}
	p := s.Browser().Authorize(s.Request(docHost+"/new/none", nil))
	if p.Status != http.StatusTooManyRequests || s.Docs.Hits(docHost+"/new/none") != 0 {
		t.Errorf("one more: status %d, %d fetches, want 429 and none", p.Status, s.Docs.Hits(docHost+"/new/none"))
	}
	wantRecord(t, s, p, broker.ReasonClientCapReached)
	codePage(t, s, s.Browser(), nil)
}

// TestB27NoStore is B27, G-17: a document that must not be cached goes through the whole
// flow with one fetch, because only the start of a flow fetches.
func TestB27NoStore(t *testing.T) {
	t.Parallel()
	zero := strings.Replace(base, "settings := {", "settings := {\n\t\"document\": {\"ttl_floor\": \"0s\"},", 1)
	for name, tt := range map[string]struct {
		files  map[string]string
		second int // fetches of a flow right after, and of one 2 s later
	}{"floor 0": {map[string]string{"clients.rego": zero}, 1}, "default floor": {policy(), 0}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, servertest.Options{Policy: tt.files})
			s.Docs.Set(client, servertest.Answer{Header: map[string]string{"Cache-Control": "no-store"}, Body: `{"client_id":"` + client +
				`","client_name":"Example","redirect_uris":["http://127.0.0.1/callback"]}`})
			b := s.Browser()
			p := codePage(t, s, b, nil)
			if got := post(t, s, s.Exchange(client, p, nil), nil); got.Status != http.StatusOK {
				t.Errorf("token status %d\n%s", got.Status, got.Body)
			}
			if n := s.Docs.Hits(client); n != 1 {
				t.Errorf("%d fetches for one flow, want 1", n)
			}
			for i, later := range []time.Duration{0, 2 * time.Second} {
				s.Clock.Advance(later)
				before := s.Docs.Hits(client)
				codePage(t, s, b, nil)
				if n := s.Docs.Hits(client) - before; n != tt.second {
					t.Errorf("flow %d: %d fetches, want %d", i+2, n, tt.second)
				}
			}
		})
	}
}

// counted is a store that opens a gate when so many units have begun.
type counted struct {
	store.Store
	begun atomic.Int64
	want  int64
	open  func()
}

// Begin implements store.Store.
func (c *counted) Begin() store.Unit {
	if c.begun.Add(1) == c.want {
		c.open()
	}
	return c.Store.Begin()
}

// TestB28ParallelFirstRequests: fifty at once make one row and one fetch, and
// each is answered.
func TestB28ParallelFirstRequests(t *testing.T) {
	t.Parallel()
	const n = 50
	gate := make(chan struct{})
	// The host answers a moment after the last of them has come in.
	s := start(t, servertest.Options{Timeout: time.Minute, Wrap: func(st store.Store) store.Store {
		return &counted{Store: st, want: n, open: func() { time.AfterFunc(300*time.Millisecond, func() { close(gate) }) }}
	}})
	s.Docs.Set(client, servertest.Answer{Wait: gate, Body: `{"client_id":"` + client + `","client_name":"Example","redirect_uris":["http://127.0.0.1/callback"]}`})
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			if p := s.Browser().Authorize(s.Request(client, nil)); !isSignIn(p) {
				t.Errorf("status %d, want the sign-in page\n%s", p.Status, brief(p))
			}
		})
	}
	wg.Wait()
	rows, err := s.Store.Clients(t.Context(), store.ClientQuery{})
	if err != nil || len(rows) != 1 || s.Docs.Hits(client) != 1 {
		t.Errorf("%d rows, %d fetches, %v, want one and one", len(rows), s.Docs.Hits(client), err)
	}
	if n := len(s.Records(store.RecordQuery{Event: "admission.decided", Outcome: "admitted"})); n != 1 {
		t.Errorf("%d records of an admission, want one", n)
	}
}

// TestB19RealDocuments plays documents as real clients publish them (B20,
// B21, M22): what this server does not have is left out, not refused.
func TestB19RealDocuments(t *testing.T) {
	t.Parallel()
	for file, tt := range map[string]struct{ host, path, redirect string }{
		"claude-code.json": {"claude.ai", "/oauth/claude-code-client-metadata", "http://localhost:51234/callback"},
		"claude-ai.json":   {"claude.ai", "/oauth/mcp-oauth-client-metadata", "https://claude.ai/api/mcp/auth_callback"},
		"vscode.json":      {"vscode.dev", "/oauth/client-metadata.json", "http://127.0.0.1:33418/"},
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			b, err := os.ReadFile(filepath.Join("../testdata/realworld", file))
			if err != nil {
				t.Fatal(err)
			}
			s := servertest.New(t, servertest.Options{Hosts: []string{tt.host}})
			id := "https://" + tt.host + tt.path
			s.Docs.Set(id, servertest.Answer{Body: string(b)})
			redirect := url.Values{"redirect_uri": {tt.redirect}}
			p := s.Browser().Play(s.Request(id, redirect))
			if p.Param("code") == "" {
				t.Fatalf("status %d, location %q\n%s", p.Status, p.Location, brief(p))
			}
			if got := post(t, s, s.Exchange(id, p, redirect), nil); got.Status != http.StatusOK {
				t.Errorf("token status %d\n%s", got.Status, got.Body)
			}
		})
	}
}

// TestDocumentHostDown: a client known and fresh needs no document, and an
// exchange never does (B17, B24, B39).
func TestDocumentHostDown(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	b := s.Browser()
	p := codePage(t, s, b, nil)
	s.Docs.Set(client, servertest.Answer{Status: 503})
	if got := post(t, s, s.Exchange(client, p, nil), nil); got.Status != http.StatusOK {
		t.Errorf("exchange: status %d\n%s", got.Status, got.Body)
	}
	s.Clock.Advance(2 * time.Hour)
	codePage(t, s, b, nil) // stale, but usable in transient trouble
	s.Docs.Set(client, servertest.Answer{Status: 404})
	if p := s.Browser().Authorize(s.Request(client, nil)); p.Status != http.StatusBadRequest {
		t.Errorf("after 404: status %d, want a page with 400 (B24)", p.Status)
	}
	s.Docs.Set(client, servertest.Answer{Status: 503})
	s.Clock.Advance(time.Second) // after the pace of a second failure
	if p := s.Browser().Authorize(s.Request(client, nil)); p.Status != http.StatusBadRequest {
		t.Errorf("503 after 404: status %d, want a page with 400: the host withdrew it", p.Status)
	}
}
