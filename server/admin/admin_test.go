package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/server/admin"
	"guestlist/store"
	"guestlist/store/bolt"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// env is a server on a socket of its own.
type env struct {
	*testing.T
	store  store.Store
	socket string
	client *admin.Client
	broker *broker.Broker // of acting; else nil
	file   string         // of the store
}

// shortDir is a directory whose name leaves room for a socket's.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "admin")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// open opens a store in a directory of its own.
func open(t *testing.T) store.Store {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "store"))
}

// openAt opens a store in a file.
func openAt(t testing.TB, file string) store.Store {
	t.Helper()
	s, err := bolt.Open(bolt.Config{Path: file})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// start serves the API; edit changes the configuration.
func start(t *testing.T, edit func(*admin.Config)) *env {
	t.Helper()
	dir := shortDir(t)
	e := &env{T: t, socket: filepath.Join(dir, "s"), file: filepath.Join(dir, "store")}
	e.store = openAt(t, e.file)
	cfg := admin.Config{Store: e.store, Flush: func(context.Context) error { return nil }, Now: func() time.Time { return noon }}
	if edit != nil {
		edit(&cfg)
	}
	e.client = serve(t, e.socket, cfg)
	return e
}

// serve serves the API on a socket.
func serve(t testing.TB, socket string, cfg admin.Config) *admin.Client {
	t.Helper()
	h, err := admin.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l, err := admin.Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	// A deadline on writing that is over at once: answers take as long as they take.
	srv := &http.Server{Handler: h, ConnContext: admin.ConnContext, WriteTimeout: 1}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	return admin.NewClient(socket)
}

// commit stages and commits.
func (e *env) commit(stage func(store.Unit)) {
	e.Helper()
	u := e.store.Begin()
	stage(u)
	if err := e.store.Commit(context.Background(), u); err != nil {
		e.Fatalf("Commit() = %v", err)
	}
}

// records reads the whole log.
func (e *env) records() []decisionlog.Record {
	e.Helper()
	sealed, err := e.store.Records(context.Background(), store.RecordQuery{})
	if err != nil {
		e.Fatal(err)
	}
	out := make([]decisionlog.Record, len(sealed))
	for i, s := range sealed {
		if out[i], err = s.Record(); err != nil {
			e.Fatal(err)
		}
	}
	return out
}

// retryAfter posts to target and returns the Retry-After of the answer.
func (e *env) retryAfter(target string) string {
	e.Helper()
	resp := e.do("POST", target)
	resp.Body.Close()
	return resp.Header.Get("Retry-After")
}

// do sends a request as written.
func (e *env) do(method, target string) *http.Response {
	e.Helper()
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", e.socket)
	}}}
	req, err := http.NewRequest(method, "http://admin"+target, nil)
	if err != nil {
		e.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		e.Fatal(err)
	}
	return resp
}

// raw sends a request as written and returns status, type and error text.
func (e *env) raw(method, target string) (int, string, string) {
	e.Helper()
	resp := e.do(method, target)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		e.Fatal(err)
	}
	var p struct{ Error string }
	if err := json.Unmarshal(body, &p); err != nil {
		e.Errorf("%s %s: body %q is not JSON: %v", method, target, body, err)
	}
	return resp.StatusCode, resp.Header.Get("Content-Type"), p.Error
}

func TestNewChecksItsConfig(t *testing.T) {
	good := admin.Config{Store: open(t), Flush: func(context.Context) error { return nil }, Now: time.Now}
	for name, edit := range map[string]func(*admin.Config){
		"store": func(c *admin.Config) { c.Store = nil },
		"held":  func(c *admin.Config) { c.Flush = nil },
		"clock": func(c *admin.Config) { c.Now = nil },
	} {
		cfg := good
		edit(&cfg)
		if _, err := admin.New(cfg); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("New without %s = %v, want an error that says so", name, err)
		}
	}
	if _, err := admin.New(good); err != nil {
		t.Errorf("New(good) = %v", err)
	}
}

func TestRequestsAreStrict(t *testing.T) {
	e := start(t, nil)
	for _, test := range []struct {
		name, method, target string
		status               int
		text                 string
	}{
		{"good", "GET", "/v1/clients?after=&limit=", 200, ""},
		{"good with every filter", "GET", "/v1/audit?client_id=a&event=b&outcome=c&reason=d&since=2026-11-20T10:00:00Z&until=2026-11-20T10:00:00.5%2B01:00&limit=1000&newest=true", 200, ""},
		{"unknown route", "GET", "/v1/nothing", 404, "no route"},
		{"route with more path", "GET", "/v1/clients/show/x", 404, "no route"},
		{"unknown parameter", "GET", "/v1/clients?limits=3", 400, `unknown parameter "limits"`},
		{"parameter of another route", "GET", "/v1/audit/why?id=x&limit=3", 400, `unknown parameter "limit"`},
		{"repeated parameter", "GET", "/v1/audit/why?id=x&id=y", 400, "repeated"},
		{"malformed query", "GET", "/v1/audit/why?id=%zz", 400, "malformed"},
		{"wrong method", "POST", "/v1/clients", 405, "takes GET"},
		{"reload by GET", "GET", "/v1/policies/reload", 405, "takes POST"},
		{"limit zero", "GET", "/v1/clients?limit=0", 400, "1 to 1000"},
		{"limit too high", "GET", "/v1/audit?limit=1001", 400, "1 to 1000"},
		{"limit no number", "GET", "/v1/audit?limit=ten", 400, "1 to 1000"},
		{"since no time", "GET", "/v1/audit?since=yesterday", 400, "since"},
		{"until no time", "GET", "/v1/audit?until=1", 400, "until"},
		{"newest no boolean", "GET", "/v1/audit?newest=maybe", 400, "newest"},
		{"why without id", "GET", "/v1/audit/why?id=", 400, "id is missing"},
		{"show without id", "GET", "/v1/clients/show", 400, "id is missing"},
		{"no status", "GET", "/v1/status", 404, "no status"},
		{"no reload", "POST", "/v1/policies/reload", 404, "cannot load"},
		{"no policies", "GET", "/v1/policies", 404, "cannot list"},
		{"no policy status", "GET", "/v1/policies/status", 404, "cannot tell"},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, kind, text := e.raw(test.method, test.target)
			if status != test.status || !strings.Contains(text, test.text) || (text == "") != (test.text == "") {
				t.Errorf("%s %s = %d %q, want %d %q", test.method, test.target, status, text, test.status, test.text)
			}
			if kind != "application/json" {
				t.Errorf("%s %s has type %q, want application/json", test.method, test.target, kind)
			}
		})
	}
}

func TestOnlyOwnerAndRootMayAsk(t *testing.T) {
	h, err := admin.New(admin.Config{
		Store: open(t), Flush: func(context.Context) error { return nil }, Now: time.Now,
		Status: func(ctx context.Context) any { return admin.Actor(ctx) },
	})
	if err != nil {
		t.Fatal(err)
	}
	owner := os.Geteuid()
	for _, test := range []struct {
		name string
		ctx  context.Context
		want int
	}{
		{"owner", admin.WithPeer(context.Background(), owner), 200},
		{"root", admin.WithPeer(context.Background(), 0), 200},
		{"another user", admin.WithPeer(context.Background(), owner+4321), 403},
		{"nobody known, as on a public listener", context.Background(), 403},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/v1/status", nil).WithContext(test.ctx))
		if w.Code != test.want {
			t.Errorf("%s: status %d, want %d", test.name, w.Code, test.want)
		}
	}
}

func TestTCPIsRefused(t *testing.T) {
	h, err := admin.New(admin.Config{Store: open(t), Flush: func(context.Context) error { return nil }, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ConnContext = admin.ConnContext
	srv.Start()
	defer srv.Close()
	resp, err := srv.Client().Get(srv.URL + "/v1/clients")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 403 {
		t.Errorf("GET over TCP = %d, want 403", resp.StatusCode)
	}
}

func TestStatusNamesTheActor(t *testing.T) {
	e := start(t, func(c *admin.Config) {
		c.Status = func(ctx context.Context) any { return map[string]string{"actor": admin.Actor(ctx)} }
	})
	got, err := e.client.Status(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"actor":"` + me(t) + `"}`; strings.TrimSpace(string(got)) != want {
		t.Errorf("Status() = %s, want %s", got, want)
	}
}

// me is the user that runs the test, as the kernel will name them.
func me(t *testing.T) string {
	t.Helper()
	u, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return u.Username
}

func TestReloadIsRecordedWithItsActor(t *testing.T) {
	var e *env
	var before int
	e = start(t, func(c *admin.Config) {
		c.Reload = func(context.Context) error {
			before = len(e.records())
			e.commit(func(u store.Unit) { u.Activate(broker.Activation{Revision: "rev-2"}, broker.Bundle{}) })
			return nil
		}
	})
	got, err := e.client.Reload(context.Background())
	if err != nil || got != "rev-2" {
		t.Errorf("Reload() = %q, %v, want rev-2", got, err)
	}
	if before != 1 {
		t.Errorf("%d records when the policies were loaded, want 1: who asked is recorded first", before)
	}
	r := e.records()[0]
	if r.Event != "policy.reload_asked" || r.Outcome != "done" || r.Actor != me(t) || !r.Timestamp.Equal(noon) || r.DecisionID == "" {
		t.Errorf("record = %+v, want policy.reload_asked by %s", r, me(t))
	}
}

func TestReloadSaysWhatIsWrong(t *testing.T) {
	e := start(t, func(c *admin.Config) {
		c.Reload = func(context.Context) error { return errors.New("a.rego:3: unknown rule denny") }
	})
	_, err := e.client.Reload(context.Background())
	var r *admin.Refusal
	if !errors.As(err, &r) || r.Status != 422 || !strings.Contains(r.Text, "a.rego:3: unknown rule denny") {
		t.Errorf("Reload() = %v, want 422 with the loader's text", err)
	}
}

// unwritable is a store that takes nothing.
type unwritable struct{ store.Store }

func (unwritable) Commit(context.Context, store.Unit) error { return store.ErrUnavailable }

func TestReloadWithoutRecordDoesNothing(t *testing.T) {
	called := false
	e := start(t, func(c *admin.Config) {
		c.Store = unwritable{c.Store}
		c.Reload = func(context.Context) error { called = true; return nil }
	})
	if status, _, _ := e.raw("POST", "/v1/policies/reload"); status != 503 || called {
		t.Errorf("reload = %d, called %v; want 503 and not called", status, called)
	}
}

// row is a client row with that identifier.
func row(id string) broker.Client {
	return broker.Client{
		ID: id, Registration: "cimd", Incarnation: 7, DocumentSHA256: "aa", DocumentBytes: 2, Published: []byte(`{"a": "é"}`),
		CreatedAt: noon.Add(-time.Hour), ExpiresAt: noon.Add(time.Hour), Policy: []string{"p"}, Revision: "r1",
	}
}

// strangeIDs are identifiers that break routes which put them into a path (trap B22).
var strangeIDs = []string{
	"https://a.example/x?y=1&id=2#z",
	"https://b.example/a/../b//c",
	"https://c.example/100%25/%2F/%zz",
	"https://d.example:8443/a:b;c=d+e f",
	"https://e.example/é/\u202e/\n/\"'<>",
	"https://f.example/" + strings.Repeat("x/:%", 500),
}

func TestB22ClientsOfAnyBytes(t *testing.T) {
	e := start(t, nil)
	for _, id := range strangeIDs {
		e.commit(func(u store.Unit) {
			u.CreateClient(row(id))
			u.Append(decisionlog.Record{DecisionID: "d" + id[8:9], Timestamp: noon, Event: "admission.decided", Outcome: "admitted", ClientID: id})
		})
	}
	ctx := context.Background()
	for _, id := range strangeIDs {
		got, err := e.client.Show(ctx, id)
		if err != nil || got.ID != id || got.Published != `{"a": "é"}` || got.Incarnation != 7 {
			t.Errorf("Show(%.60q) = %.60q, %v", id, got.ID, err)
		}
		records, err := e.client.Records(ctx, admin.RecordFilter{ClientID: id})
		if err != nil || len(records) != 1 {
			t.Errorf("Records(%.60q) = %d records, %v, want 1", id, len(records), err)
		}
		why, err := e.client.Why(ctx, id, time.Time{}, false)
		if err != nil || len(why.Records) != 1 || why.Reason != "" {
			t.Errorf("Why(%.60q) = %d records, %v, want 1", id, len(why.Records), err)
		}
	}
	var listed []string
	for after, pages := "", 0; ; pages++ {
		page, err := e.client.Clients(ctx, admin.ClientFilter{}, after, 2)
		if err != nil || len(page.Clients) > 2 || pages > 5 {
			t.Fatalf("Clients(%.60q, 2) = %d rows, %v", after, len(page.Clients), err)
		}
		for _, c := range page.Clients {
			listed = append(listed, c.ID)
			if c.Published != "" {
				t.Errorf("Clients: %.60q carries its document, want none in lists", c.ID)
			}
		}
		if after = page.Next; after == "" {
			break
		}
	}
	if strings.Join(listed, "|") != strings.Join(strangeIDs, "|") {
		t.Errorf("Clients page by page = %.300q, want %.300q", listed, strangeIDs)
	}
}

func TestClientsSayWhetherTheirLifeIsOver(t *testing.T) {
	e := start(t, nil)
	ended := row("https://a.example/ended")
	ended.ExpiresAt = noon
	e.commit(func(u store.Unit) { u.CreateClient(ended); u.CreateClient(row("https://a.example/live")) })
	page, err := e.client.Clients(context.Background(), admin.ClientFilter{}, "", 0)
	if err != nil || len(page.Clients) != 2 || page.Next != "" {
		t.Fatalf("Clients() = %+v, %v, want 2 rows and no next page", page, err)
	}
	if !page.Clients[0].Expired || page.Clients[1].Expired {
		t.Errorf("expired = %v, %v, want true, false", page.Clients[0].Expired, page.Clients[1].Expired)
	}
	_, err = e.client.Show(context.Background(), "https://a.example/none")
	var r *admin.Refusal
	if !errors.As(err, &r) || r.Status != 404 || r.Text != `no client has the id "https://a.example/none"; guestlist client list shows which there are` {
		t.Errorf("Show(unknown) = %v, want 404", err)
	}
}

// What a server tells of its policies is passed on as it is.
func TestPolicies(t *testing.T) {
	e := start(t, func(cfg *admin.Config) {
		cfg.Policies = func(_ context.Context, patterns bool) (any, error) { return map[string]bool{"patterns": patterns}, nil }
		cfg.PolicyStatus = func(context.Context) (any, error) { return nil, errors.New("the log is gone") }
	})
	for _, patterns := range []bool{true, false} {
		if got, err := e.client.Policies(t.Context(), patterns); err != nil || strings.TrimSpace(string(got)) != fmt.Sprintf(`{"patterns":%v}`, patterns) {
			t.Errorf("Policies(patterns %v) = %s, %v", patterns, got, err)
		}
	}
	if got, err := e.client.PolicyStatus(t.Context()); err == nil || !strings.Contains(err.Error(), "the log is gone") {
		t.Errorf("PolicyStatus() = %s, %v, want the server's error", got, err)
	}
}
