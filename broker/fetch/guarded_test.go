package fetch_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"guestlist/broker/fetch"
)

func TestNewRefuses(t *testing.T) {
	hostMap := func(key, address string) fetch.Config {
		return fetch.Config{InsecureHostMap: map[string]string{key: address}}
	}
	tests := []struct {
		name string
		cfg  fetch.Config
		ok   bool
	}{
		{"zero value", fetch.Config{}, true},
		{"mapped", hostMap("client.example.com:443", "127.0.0.1:8443"), true},
		{"mapped to IPv6", hostMap("client.example.com:443", "[::1]:8443"), true},
		{"mapped to a name", hostMap("client.example.com:443", "localhost:8443"), true},
		{"wildcard", hostMap("*.example.com:443", "127.0.0.1:8443"), true},
		{"key without port", hostMap("client.example.com", "127.0.0.1:8443"), false},
		{"key with port 0", hostMap("client.example.com:0", "127.0.0.1:8443"), false},
		{"key with a named port", hostMap("client.example.com:https", "127.0.0.1:8443"), false},
		{"key is an address", hostMap("127.0.0.1:443", "127.0.0.1:8443"), false},
		{"key without a dot", hostMap("localhost:443", "127.0.0.1:8443"), false},
		{"bare star", hostMap("*:443", "127.0.0.1:8443"), false},
		{"star inside", hostMap("a.*.example.com:443", "127.0.0.1:8443"), false},
		{"target without port", hostMap("client.example.com:443", "127.0.0.1"), false},
		{"target without host", hostMap("client.example.com:443", ":8443"), false},
		{"target with a named port", hostMap("client.example.com:443", "127.0.0.1:https"), false},
		{"target is a URL", hostMap("client.example.com:443", "https://127.0.0.1:8443"), false},
		{"same name twice", fetch.Config{InsecureHostMap: map[string]string{
			"a.example.com:443": "127.0.0.1:1", "A.example.com:443": "127.0.0.1:2"}}, false},
		{"negative timeout", fetch.Config{Timeout: -1}, false},
		{"negative flights", fetch.Config{Flights: -1}, false},
		{"line break in the user agent", fetch.Config{UserAgent: "a\r\nCookie: x"}, false},
	}
	for _, tt := range tests {
		if _, err := fetch.New(tt.cfg); (err == nil) != tt.ok {
			t.Errorf("%s: New() = %v, want ok %t", tt.name, err, tt.ok)
		}
	}
}

func TestDocument_F1(t *testing.T) {
	h := newHost(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "Application/JSON; charset=utf-8")
		w.Header().Set("Cache-Control", "max-age=600")
		w.Header().Set("Age", "100")
		w.Header().Set("ETag", `W/"abc"`)
		w.Header().Set("Last-Modified", "Sun, 01 Feb 2026 00:00:00 GMT")
		fmt.Fprint(w, "{}")
	})
	cfg := h.config()
	cfg.Now = func() time.Time { return fetchedAt }
	doc, err := newDoor(t, cfg).Document(t.Context(), parse(t, clientURL), fetch.DefaultLimits(), fetch.Held{})
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%s|%s|%s|%s|%s|%s|%s", doc.Body, doc.FetchedAt.Format(time.RFC3339), doc.FreshFor,
		doc.Address, doc.ETag, doc.LastModified, doc.ContentType)
	want := "{}|2026-03-01T12:00:00Z|8m20s|" + h.addr + `|W/"abc"|Sun, 01 Feb 2026 00:00:00 GMT|application/json`
	if got != want {
		t.Errorf("Document() = %s, want %s", got, want)
	}
	if n := h.hits.Load(); n != 1 {
		t.Errorf("hits = %d, want 1", n)
	}
}

// TestValidators drops what could not be sent back safely.
func TestValidators(t *testing.T) {
	tests := []struct {
		name           string
		h              http.Header
		etag, modified string
	}{
		{"strong", headers("ETag", `"a"`), `"a"`, ""},
		{"no quotes", headers("ETag", "a"), "", ""},
		{"one quote", headers("ETag", `"`), "", ""},
		{"quote inside", headers("ETag", `"a"b"`), "", ""},
		{"space inside", headers("ETag", `"a b"`), "", ""},
		{"too long", headers("ETag", `"`+strings.Repeat("a", 256)+`"`), "", ""},
		{"twice", headers("ETag", `"a"`, "ETag", `"b"`), "", ""},
		{"bad date", headers("Last-Modified", "yesterday"), "", ""},
		{"two dates", headers("Last-Modified", at(0), "Last-Modified", at(1)), "", ""},
		{"a date", headers("Last-Modified", at(0)), "", at(0)},
	}
	for _, tt := range tests {
		h := newHost(t, func(w http.ResponseWriter, _ *http.Request) {
			for name, values := range tt.h {
				w.Header()[name] = values
			}
			w.Header().Set("Content-Type", "application/json")
		})
		doc, err := h.get(t)
		if err != nil || doc.ETag != tt.etag || doc.LastModified != tt.modified {
			t.Errorf("%s: ETag %q, LastModified %q, %v; want %q, %q", tt.name, doc.ETag, doc.LastModified, err, tt.etag, tt.modified)
		}
	}
}

// vector is a row of documents.json as far as this package judges it.
type vector struct {
	Name  string `json:"name"`
	Valid bool   `json:"valid"`
	Input struct {
		URL         string          `json:"url"`
		Status      int             `json:"status"`
		ContentType string          `json:"content_type"`
		Location    string          `json:"location"`
		Body        json.RawMessage `json:"body"`
		PadToBytes  int             `json:"pad_to_bytes"`
	} `json:"input"`
}

// TestDocumentVectors_F4_F5_D5_F15 plays every row of the shared vectors that
// is about transport: status, media type, size.
func TestDocumentVectors_F4_F5_D5_F15(t *testing.T) {
	data, err := os.ReadFile("../../testdata/vectors/documents.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	reasons := map[string]string{"status": "fetch_status", "content": "fetch_content_type", "size": "fetch_too_large"}
	count := map[string]int{}
	for _, v := range all {
		kind, _, _ := strings.Cut(v.Name, "-")
		reason, ours := reasons[kind]
		if !ours {
			continue
		}
		count[kind]++
		t.Run(v.Name, func(t *testing.T) {
			h := newHost(t, serveVector(v))
			doc, err := newDoor(t, h.config()).Document(t.Context(), parse(t, v.Input.URL), fetch.DefaultLimits(), fetch.Held{})
			if n := h.hits.Load(); n != 1 {
				t.Errorf("hits = %d, want 1", n)
			}
			if v.Valid {
				if err != nil || len(doc.Body) < max(v.Input.PadToBytes, len("{}")) {
					t.Errorf("Document() = %d bytes, %v, want the document", len(doc.Body), err)
				}
				return
			}
			if v.Input.Location != "" {
				reason = "fetch_redirect"
			}
			s := v.Input.Status
			wantReason(t, err, reason, s >= 500 || s == 429 || s == 403)
		})
	}
	if fmt.Sprint(count) != "map[content:5 size:2 status:15]" {
		t.Errorf("rows by kind = %v, want 15 about status, 5 about content type, 2 about size", count)
	}
}

func serveVector(v vector) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = nil
		if v.Input.ContentType != "" {
			w.Header().Set("Content-Type", v.Input.ContentType)
		}
		if v.Input.Location != "" {
			w.Header().Set("Location", v.Input.Location)
		}
		w.WriteHeader(v.Input.Status)
		w.Write(v.Input.Body)
		if n := v.Input.PadToBytes - len(v.Input.Body); n > 0 {
			w.Write(bytes.Repeat([]byte(" "), n))
		}
	}
}

// TestRedirects_F5_B2 never follows, wherever the Location points.
func TestRedirects_F5_B2(t *testing.T) {
	c := newCanary(t)
	for _, code := range []int{300, 301, 302, 303, 305, 307, 308} {
		for location, detail := range map[string]string{
			"/elsewhere.json": "same host",
			"https://client.example.com/elsewhere.json": `"client.example.com"`,
			"http://client.example.com/client.json":     `"client.example.com"`,
			"https://127.0.0.1:" + c.port + "/":         `"127.0.0.1:`,
			"http://127.0.0.1:" + c.port + "/":          `"127.0.0.1:`,
			"https://ex\u00e4mple.com/":                 `ex\u00e4mple.com`,
			"https://" + strings.Repeat("a", 4000):      `aaaa...`,
			"":                                          "no Location",
		} {
			h := newHost(t, func(w http.ResponseWriter, _ *http.Request) {
				if location != "" {
					w.Header().Set("Location", location)
				}
				w.WriteHeader(code)
			})
			_, err := h.get(t)
			fe := wantReason(t, err, "fetch_redirect", false)
			if !strings.Contains(fe.Detail, detail) || !strings.Contains(fe.Detail, fmt.Sprint(code)) {
				t.Errorf("%d to %.40q: Detail = %q, want %d and %q in it", code, location, fe.Detail, code, detail)
			}
			if n := h.hits.Load(); n != 1 {
				t.Errorf("%d to %.40q: hits = %d, want 1", code, location, n)
			}
		}
	}
	c.wantSilent(t)
}

func TestContentType_D5(t *testing.T) {
	tests := []struct {
		types []string
		ok    bool
	}{
		{[]string{"application/json"}, true},
		{[]string{"APPLICATION/JSON"}, true},
		{[]string{"application/json;charset=utf-8"}, true},
		{[]string{`application/json; profile="a;b"`}, true},
		{[]string{"application/x+json"}, true},
		{[]string{"application/vnd.example.client+json; v=1"}, true},
		{[]string{"application/+json"}, false},
		{[]string{"application/json+x"}, false},
		{[]string{"application/jsonp"}, false},
		{[]string{"application/json, text/html"}, false},
		{[]string{"application/json", "application/json"}, false},
		{[]string{"application/json", "text/html"}, false},
		{[]string{"text/json"}, false},
		{[]string{"text/x+json"}, false},
		{[]string{"application/octet-stream"}, false},
		{[]string{"json"}, false},
		{[]string{""}, false},
		{nil, false},
	}
	for _, tt := range tests {
		h := newHost(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = tt.types
			fmt.Fprint(w, "{}")
		})
		_, err := h.get(t)
		if tt.ok && err != nil {
			t.Errorf("Content-Type %q: Document() = %v, want the document", tt.types, err)
		}
		if !tt.ok {
			wantReason(t, err, "fetch_content_type", false)
		}
	}
}

func TestErrorsAreNotKept_F9_F10_B31(t *testing.T) {
	var fail sync.Once
	h := newHost(t, func(w http.ResponseWriter, _ *http.Request) {
		failed := false
		fail.Do(func() { failed = true; w.WriteHeader(http.StatusServiceUnavailable) })
		if !failed {
			serveJSON("{}")(w, nil)
		}
	})
	g, id := newDoor(t, h.config()), parse(t, clientURL)
	_, err := g.Document(t.Context(), id, fetch.DefaultLimits(), fetch.Held{})
	wantReason(t, err, "fetch_status", true)
	if _, err := g.Document(t.Context(), id, fetch.DefaultLimits(), fetch.Held{}); err != nil {
		t.Errorf("second Document() = %v, want the document", err)
	}
	if n := h.hits.Load(); n != 2 {
		t.Errorf("hits = %d, want 2: one for each call (B25)", n)
	}
}

// joinCtx tells when its holder begins to wait for it.
type joinCtx struct {
	context.Context
	joined func()
}

func (c joinCtx) Done() <-chan struct{} {
	c.joined()
	return c.Context.Done()
}

// TestOneFlight_B26 lets the first of 20 callers leave; the others get the
// answer of the one request, each its own copy.
func TestOneFlight_B26(t *testing.T) {
	entered, release := make(chan struct{}, 20), make(chan struct{})
	h := newHost(t, func(w http.ResponseWriter, _ *http.Request) {
		entered <- struct{}{}
		<-release
		serveJSON(`{"a":1}`)(w, nil)
	})
	cfg := h.config()
	cfg.Timeout = 30 * time.Second
	g, id := newDoor(t, cfg), parse(t, clientURL)
	first, leave := context.WithCancel(t.Context())
	firstErr := make(chan error)
	go func() {
		_, err := g.Document(first, id, fetch.DefaultLimits(), fetch.Held{})
		firstErr <- err
	}()
	<-entered
	var joined, waiters sync.WaitGroup
	for range 19 {
		joined.Add(1)
		waiters.Go(func() {
			ctx := joinCtx{t.Context(), sync.OnceFunc(joined.Done)}
			doc, err := g.Document(ctx, id, fetch.DefaultLimits(), fetch.Held{})
			if err != nil || string(doc.Body) != `{"a":1}` {
				t.Errorf("waiting caller: Document() = %q, %v, want the document", doc.Body, err)
				return
			}
			clear(doc.Body)
		})
	}
	joined.Wait()
	leave()
	err := <-firstErr
	wantReason(t, err, "fetch_failed", true)
	close(release)
	waiters.Wait()
	if n := h.hits.Load(); n != 1 {
		t.Errorf("hits = %d for 20 callers, want 1", n)
	}
}

func TestCallerGone(t *testing.T) {
	h := newHost(t, serveJSON("{}"))
	g, id := newDoor(t, h.config()), parse(t, clientURL)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := g.Document(gone, id, fetch.DefaultLimits(), fetch.Held{})
	wantReason(t, err, "fetch_failed", true)
	late, cancel := context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer cancel()
	_, err = g.Document(late, id, fetch.DefaultLimits(), fetch.Held{})
	wantReason(t, err, "fetch_timeout", true)
	// Other limits, so that a flight of those two would not be shared.
	if _, err := g.Document(t.Context(), id, fetch.Limits{}, fetch.Held{}); err != nil {
		t.Error(err)
	}
	if n := h.hits.Load(); n != 1 {
		t.Errorf("hits = %d, want 1: none for callers already gone", n)
	}
}

// TestSlots holds all 64 places; the 65th request leaves only when one is free.
func TestSlots(t *testing.T) {
	arrived, release := make(chan string, 100), make(chan struct{})
	h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
		arrived <- r.URL.Path
		<-release
		serveJSON("{}")(w, nil)
	})
	cfg := h.config()
	cfg.Timeout = time.Minute
	g := newDoor(t, cfg)
	var callers sync.WaitGroup
	for i := range 64 {
		id := parse(t, fmt.Sprintf("https://client.example.com/%d", i))
		callers.Go(func() {
			if _, err := g.Document(t.Context(), id, fetch.DefaultLimits(), fetch.Held{}); err != nil {
				t.Errorf("Document(%s) = %v", id, err)
			}
		})
	}
	for range 64 {
		<-arrived
	}
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := g.Document(short, parse(t, "https://client.example.com/late"), fetch.DefaultLimits(), fetch.Held{})
	wantReason(t, err, "fetch_timeout", true)
	if n := h.hits.Load(); n != 64 {
		t.Errorf("requests under way = %d, want 64", n)
	}
	close(release)
	callers.Wait()
	if path := <-arrived; path != "/late" {
		t.Errorf("65th request is for %s, want /late", path)
	}
}

func TestHostMap(t *testing.T) {
	h, other := newHost(t, serveJSON("{}")), newHost(t, serveJSON("{}"))
	g := newDoor(t, fetch.Config{
		RootCAs: h.roots,
		InsecureHostMap: map[string]string{
			"*.example.com:443":       h.addr,
			"*.example.com:8443":      h.addr,
			"exact.example.com:443":   other.addr,
			"*.deep.example.com:443":  other.addr,
			"localhost.example.com:9": strings.Replace(h.addr, "127.0.0.1", "localhost", 1),
		},
		Resolver: &resolver{err: fmt.Errorf("nothing may be looked up")},
	})
	tests := []struct {
		url    string
		to     *host
		reason string
	}{
		{"https://client.example.com/c", h, ""},
		{"https://client.example.com:443/c", h, ""},
		{"https://client.example.com:8443/c", h, ""}, // the map waives the port rule
		{"https://localhost.example.com:9/c", h, ""},
		{"https://exact.example.com/c", other, ""},
		{"https://a.deep.example.com/c", other, "fetch_tls"}, // name not in the certificate
		{"https://a.b.example.com/c", h, "fetch_tls"},
		{"https://example.com/c", nil, "fetch_dns"}, // a wildcard needs a label
		{"https://client.example.com:8444/c", nil, "fetch_blocked_address"},
		{"https://client.example.org/c", nil, "fetch_dns"},
	}
	for _, tt := range tests {
		doc, err := g.Document(t.Context(), parse(t, tt.url), fetch.DefaultLimits(), fetch.Held{})
		if tt.reason != "" {
			wantReason(t, err, tt.reason, tt.reason != "fetch_blocked_address")
		} else if err != nil || doc.Address.String() != tt.to.addr {
			t.Errorf("Document(%s) from %s, %v; want from %s", tt.url, doc.Address, err, tt.to.addr)
		}
	}
}

func TestErrorText_B31(t *testing.T) {
	cause := errors.New("cause")
	tests := []struct {
		err  *fetch.Error
		want string
	}{
		{&fetch.Error{Reason: "fetch_dns"}, "fetch_dns"},
		{&fetch.Error{Reason: "fetch_dns", Detail: "name lookup"}, "fetch_dns: name lookup"},
		{&fetch.Error{Reason: "fetch_dns", Detail: "name lookup", Err: cause}, "fetch_dns: name lookup: cause"},
	}
	for _, tt := range tests {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("Error() = %q, want %q", got, tt.want)
		}
	}
	if !errors.Is(tests[2].err, cause) {
		t.Error("the cause cannot be reached by errors.Is")
	}
}

func BenchmarkDocument(b *testing.B) {
	h := newHost(b, serveJSON(`{"client_id":"`+clientURL+`"}`))
	g, id, lim := newDoor(b, h.config()), parse(b, clientURL), fetch.DefaultLimits()
	for b.Loop() {
		if _, err := g.Document(b.Context(), id, lim, fetch.Held{}); err != nil {
			b.Fatal(err)
		}
	}
}
