package export_test

import (
	"compress/gzip"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"guestlist/broker/export"
	"guestlist/broker/fetch"
)

// post is one post as a receiver got it.
type post struct {
	header http.Header
	body   string // as it was before it was compressed
}

// collector is a receiver over TLS.
type collector struct {
	url    string
	roots  *x509.CertPool
	door   *fetch.Operator
	mu     sync.Mutex
	posts  []post
	answer func(w http.ResponseWriter, body string) // nil: 200 without a body
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{roots: x509.NewCertPool()}
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in io.Reader = r.Body
		if r.Header.Get("Content-Encoding") == "gzip" {
			var err error
			if in, err = gzip.NewReader(r.Body); err != nil {
				t.Errorf("the body is not gzip: %v", err)
				return
			}
		}
		body, err := io.ReadAll(in)
		if err != nil {
			t.Errorf("read the body: %v", err)
		}
		c.mu.Lock()
		c.posts = append(c.posts, post{r.Header.Clone(), string(body)})
		answer := c.answer
		c.mu.Unlock()
		if answer != nil {
			answer(w, string(body))
		}
	}))
	t.Cleanup(srv.Close)
	c.roots.AddCert(srv.Certificate())
	c.url = srv.URL + "/ingest?stream=a"
	c.within(t, time.Minute)
	return c
}

// within opens the door to c; what takes longer than d fails.
func (c *collector) within(t *testing.T, d time.Duration) {
	t.Helper()
	var err error
	if c.door, err = fetch.NewOperator(fetch.OperatorConfig{RootCAs: c.roots, Timeout: d}); err != nil {
		t.Fatal(err)
	}
}

func (c *collector) http(t *testing.T, change ...func(*export.HTTPConfig)) *export.HTTP {
	t.Helper()
	cfg := export.HTTPConfig{URL: c.url, Door: c.door}
	for _, f := range change {
		f(&cfg)
	}
	h, err := export.NewHTTP(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestHTTPPosts: what is posted, in each form.
func TestHTTPPosts(t *testing.T) {
	c := newCollector(t)
	token := "first"
	all := func(h *export.HTTPConfig) {
		h.Gzip, h.Array, h.Header = true, true, http.Header{"X-Team": {"iam"}}
		h.Token = func() (string, error) { return token, nil }
	}
	send(t, c.http(t), 7, 8)
	send(t, c.http(t, all), 7, 8, 9)
	token = "second" // a token that was renewed counts at once
	send(t, c.http(t, all), 7)
	for i, want := range []struct{ kind, encoding, token, team, body, first, last string }{
		{"application/x-ndjson", "", "", "", "{\"seq\":7}\n{\"seq\":8}\n", "7", "8"},
		{"application/json", "gzip", "Bearer first", "iam", `[{"seq":7},{"seq":8},{"seq":9}]`, "7", "9"},
		{"application/json", "gzip", "Bearer second", "iam", `[{"seq":7}]`, "7", "7"},
	} {
		p := c.posts[i]
		got := []string{p.header.Get("Content-Type"), p.header.Get("Content-Encoding"), p.header.Get("Authorization"), p.header.Get("X-Team"), p.body,
			p.header.Get("Guestlist-First-Seq"), p.header.Get("Guestlist-Last-Seq")}
		if w := []string{want.kind, want.encoding, want.token, want.team, want.body, want.first, want.last}; !slices.Equal(got, w) {
			t.Errorf("post %d: %q, want %q", i, got, w)
		}
	}
}

// TestHTTPIdempotencyKey: the same records have the same key, others another
// one, even under the same numbers, as after a backup was restored.
func TestHTTPIdempotencyKey(t *testing.T) {
	c := newCollector(t)
	h := c.http(t)
	send(t, h, 1, 2)
	send(t, h, 1, 2)
	send(t, h, 1)
	other := batch(1, 2)
	other[1].Line = []byte(`{"seq":2,"other":true}`)
	if err := h.Send(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, p := range c.posts {
		keys = append(keys, p.header.Get("Idempotency-Key"))
	}
	if keys[0] != keys[1] || keys[0] == keys[2] || keys[0] == keys[3] || !strings.HasPrefix(keys[0], `"1-2-`) || !strings.HasSuffix(keys[0], `"`) {
		t.Errorf("keys %q, want the first two alike", keys)
	}
}

// TestHTTPAnswers: what each answer means. A redirect is not followed: it
// would lead out of the configuration.
func TestHTTPAnswers(t *testing.T) {
	for _, test := range []struct {
		status       int
		retry        string
		taken, never bool
		least, most  time.Duration
	}{
		{status: 200, taken: true}, {status: 202, taken: true}, {status: 204, taken: true},
		{status: 301}, {status: 307}, {status: 401}, {status: 403}, {status: 404}, {status: 500},
		{status: 400, never: true}, {status: 413, never: true}, {status: 422, never: true},
		{status: 429, retry: "120", least: 2 * time.Minute, most: 2 * time.Minute},
		{status: 503, retry: time.Now().Add(time.Hour).UTC().Format(http.TimeFormat), least: 59 * time.Minute, most: time.Hour},
		{status: 503, retry: "Mon, 01 Jan 2001 00:00:00 GMT"}, {status: 503, retry: "soon"}, {status: 503, retry: "-5"},
		{status: 503, retry: "99999999999999999999"},
	} {
		c := newCollector(t)
		c.answer = func(w http.ResponseWriter, _ string) {
			if test.retry != "" {
				w.Header().Set("Retry-After", test.retry)
			}
			w.Header().Set("Location", c.url)
			w.WriteHeader(test.status)
		}
		err := c.http(t).Send(t.Context(), batch(1))
		r, rejected := errors.AsType[*export.Rejection](err)
		switch {
		case test.taken != (err == nil) || !test.taken && !rejected:
			t.Errorf("status %d: Send() = %v, want taken %t", test.status, err, test.taken)
		case rejected && (r.Never != test.never || r.After < test.least || r.After > test.most):
			t.Errorf("status %d, Retry-After %q: never %t, after %s, want %t, %s to %s", test.status, test.retry, r.Never, r.After, test.never, test.least, test.most)
		case err != nil && (strings.Contains(err.Error(), "ingest") || !strings.Contains(err.Error(), fmt.Sprint("status ", test.status))):
			t.Errorf("status %d: the error is %q, want the status and no path", test.status, err)
		}
		if len(c.posts) != 1 {
			t.Errorf("status %d: %d posts, want 1", test.status, len(c.posts))
		}
	}
}

// count is how many posts came so far.
func (c *collector) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.posts)
}

// TestHTTPTrouble: a receiver that hangs, one that is gone, a token that cannot
// be read: errors that name no path and no token.
func TestHTTPTrouble(t *testing.T) {
	c := newCollector(t)
	release := make(chan struct{})
	c.answer = func(http.ResponseWriter, string) { <-release }
	c.within(t, 500*time.Millisecond)
	began := time.Now()
	err := c.http(t, func(h *export.HTTPConfig) { h.Token = func() (string, error) { return "canary-token", nil } }).Send(t.Context(), batch(1))
	close(release)
	c.within(t, time.Minute)
	if err == nil || time.Since(began) > 30*time.Second || strings.Contains(err.Error(), "ingest") || strings.Contains(err.Error(), "canary") {
		t.Errorf("Send() to a receiver that hangs = %v after %s", err, time.Since(began))
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.http(t).Send(gone, batch(1)); err == nil {
		t.Error("Send() after the end = nil, want an error")
	}
	unread := c.http(t, func(h *export.HTTPConfig) { h.Token = func() (string, error) { return "", errors.New("no file") } })
	if err := unread.Send(t.Context(), batch(1)); err == nil || c.count() > 2 {
		t.Errorf("Send() without its token = %v after %d posts, want an error and no post", err, c.count())
	}
	for name, cfg := range map[string]export.HTTPConfig{"no door": {URL: c.url}, "in clear": {URL: "http://logs.example/", Door: c.door}, "no address": {Door: c.door}} {
		if _, err := export.NewHTTP(cfg); err == nil {
			t.Errorf("%s: NewHTTP() = nil, want an error", name)
		}
		if _, err := export.NewOTLP(cfg, "https://id.example"); err == nil {
			t.Errorf("%s: NewOTLP() = nil, want an error", name)
		}
	}
}

// TestHTTPExport: a receiver that takes no body over 4 KiB gets all, in posts
// that it takes.
func TestHTTPExport(t *testing.T) {
	c := newCollector(t)
	c.answer = func(w http.ResponseWriter, body string) {
		if len(body) > 4<<10 {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		for line := range strings.Lines(body) {
			if !json.Valid([]byte(line)) {
				t.Errorf("line %q", line)
			}
		}
	}
	m := newMemory()
	m.append(t, 100)
	e, err := export.New(export.Config{Name: "http", Log: m, Sink: c.http(t)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); e.Run(ctx) }()
	taken := func() (n int) { // lines of the posts that were not too large
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, p := range c.posts {
			if len(p.body) <= 4<<10 {
				n += strings.Count(p.body, "\n")
			}
		}
		return n
	}
	for {
		l, err := e.Lag(ctx)
		if err != nil || l.Problem != "" {
			t.Fatalf("Lag() = %+v, %v", l, err)
		}
		if l.Behind == 0 && taken() >= 100 {
			break
		}
	}
	cancel()
	<-done
	var got []string
	for _, p := range c.posts {
		if len(p.body) <= 4<<10 {
			got = append(got, slices.Collect(strings.Lines(p.body))...)
		}
	}
	for i, line := range got {
		if !strings.HasPrefix(line, fmt.Sprintf(`{"seq":%d,`, i+1)) {
			t.Fatalf("line %d is %s", i+1, line)
		}
	}
	if len(got) != 100 {
		t.Errorf("%d lines, want 100", len(got))
	}
}
