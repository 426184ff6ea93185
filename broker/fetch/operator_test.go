package fetch_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"guestlist/broker/fetch"
)

func newOperator(t testing.TB, cfg fetch.OperatorConfig) *fetch.Operator {
	t.Helper()
	o, err := fetch.NewOperator(cfg)
	if err != nil {
		t.Fatalf("NewOperator(%+v) = %v", cfg, err)
	}
	return o
}

// TestOperatorPost: what arrives is what was sent, and nothing of the caller's
// header is touched.
func TestOperatorPost(t *testing.T) {
	type arrived struct {
		method, path, body string
		header             http.Header
	}
	got := make(chan arrived, 1)
	h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- arrived{r.Method, r.URL.Path, string(body), r.Header.Clone()}
		w.WriteHeader(http.StatusAccepted)
	})
	header := headers("Content-Type", "application/json", "X-Signature", "abc")
	o := newOperator(t, fetch.OperatorConfig{RootCAs: h.roots})
	if err := o.Post(t.Context(), "https://"+h.addr+"/hook", header, []byte(`{"a":1}`)); err != nil {
		t.Fatal(err)
	}
	a := <-got
	if a.method != "POST" || a.path != "/hook" || a.body != `{"a":1}` || a.header.Get("X-Signature") != "abc" || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("arrived %+v", a)
	}
	if len(header) != 2 {
		t.Errorf("the caller's header became %v", header)
	}
	if err := o.Post(t.Context(), "https://"+h.addr+"/hook", nil, nil); err != nil {
		t.Errorf("Post() without header and body = %v", err)
	}
}

// TestOperatorRefuses: an address that is not fit is refused without a request.
func TestOperatorRefuses(t *testing.T) {
	h := newHost(t, func(http.ResponseWriter, *http.Request) {})
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { h.hits.Add(1) }))
	t.Cleanup(plain.Close)
	strict, open := fetch.OperatorConfig{RootCAs: h.roots}, fetch.OperatorConfig{RootCAs: h.roots, InsecureHTTP: true}
	tests := []struct {
		name, url string
		cfg       fetch.OperatorConfig
		ok        bool
	}{
		{"https", "https://" + h.addr + "/x?a=b", strict, true},
		{"http", plain.URL, strict, false},
		{"http where it is allowed", plain.URL, open, true},
		{"unix", "unix:///run/x", open, false},
		{"file", "file:///etc/passwd", open, false},
		{"user name", "https://u:p@" + h.addr, strict, false},
		{"fragment", "https://" + h.addr + "/#a", strict, false},
		{"relative", "/hook", strict, false},
		{"no host", "https:///hook", strict, false},
		{"opaque", "https:hook", strict, false},
		{"control byte", "https://" + h.addr + "/\x7f", strict, false},
		{"empty", "", strict, false},
	}
	for _, tt := range tests {
		h.hits.Store(0)
		o := newOperator(t, tt.cfg)
		err := o.Post(t.Context(), tt.url, nil, nil)
		if (err == nil) != tt.ok || (o.CheckURL(tt.url) == nil) != tt.ok {
			t.Errorf("%s: Post(%q) = %v, CheckURL() = %v, want ok %t", tt.name, tt.url, err, o.CheckURL(tt.url), tt.ok)
		}
		if n := h.hits.Load(); (n == 1) != tt.ok {
			t.Errorf("%s: hits = %d", tt.name, n)
		}
	}
	if _, err := fetch.NewOperator(fetch.OperatorConfig{Timeout: -1}); err == nil {
		t.Error("NewOperator(Timeout: -1) = nil, want an error")
	}
}

// TestOperatorAnswers: everything but 2xx is an error that tells no path, and
// nothing makes a second request.
func TestOperatorAnswers(t *testing.T) {
	c := newCanary(t)
	for status, ok := range map[int]bool{200: true, 204: true, 299: true, 301: false, 302: false, 307: false, 308: false, 304: false, 400: false, 429: false, 500: false} {
		h := newHost(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://127.0.0.1:"+c.port+"/")
			w.WriteHeader(status)
		})
		err := newOperator(t, fetch.OperatorConfig{RootCAs: h.roots}).Post(t.Context(), "https://"+h.addr+"/secret-path", nil, []byte("x"))
		if (err == nil) != ok {
			t.Errorf("status %d: Post() = %v, want ok %t", status, err, ok)
		}
		if err != nil && strings.Contains(err.Error(), "secret-path") {
			t.Errorf("status %d: %v tells the path", status, err)
		}
		if n := h.hits.Load(); n != 1 {
			t.Errorf("status %d: hits = %d, want 1", status, n)
		}
	}
	c.wantSilent(t)
}

// TestOperatorTrouble: TLS is verified, the deadline holds, an endless answer
// is not read.
func TestOperatorTrouble(t *testing.T) {
	endless := newHost(t, func(w http.ResponseWriter, r *http.Request) {
		var err error
		for err == nil {
			_, err = w.Write(make([]byte, 1<<10))
		}
	})
	if err := newOperator(t, fetch.OperatorConfig{RootCAs: endless.roots, Timeout: time.Hour}).Post(t.Context(), "https://"+endless.addr+"/", nil, nil); err != nil {
		t.Errorf("Post() with an endless answer = %v", err)
	}
	err := newOperator(t, fetch.OperatorConfig{}).Post(t.Context(), "https://"+endless.addr+"/hook-secret", nil, nil)
	if err == nil || strings.Contains(err.Error(), "hook-secret") {
		t.Errorf("Post() to an unknown authority = %v, want an error without the path", err)
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	start := time.Now()
	err = newOperator(t, fetch.OperatorConfig{Timeout: 100 * time.Millisecond}).Post(t.Context(), "https://"+silent.Addr().String()+"/", nil, nil)
	if err == nil || time.Since(start) > 30*time.Second {
		t.Errorf("Post() to a silent host = %v after %s", err, time.Since(start))
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := newOperator(t, fetch.OperatorConfig{RootCAs: endless.roots}).Post(gone, "https://"+endless.addr+"/", nil, nil); err == nil {
		t.Error("Post() for a caller that left = nil, want an error")
	}
}

// TestOperatorSend: every status is an answer, with its header and the
// beginning of its body.
func TestOperatorSend(t *testing.T) {
	h := newHost(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, strings.Repeat("a", 5<<10))
	})
	a, err := newOperator(t, fetch.OperatorConfig{RootCAs: h.roots}).Send(t.Context(), "https://"+h.addr+"/secret-path", nil, nil)
	if err != nil || a.Host != h.addr || a.Status != 503 || a.Header.Get("Retry-After") != "7" || len(a.Body) != 4<<10 {
		t.Errorf("Send() = %s %d %v with %d bytes, %v", a.Host, a.Status, a.Header, len(a.Body), err)
	}
	if err := a.Err(); err == nil || strings.Contains(err.Error(), "secret-path") {
		t.Errorf("Err() = %v, want an error without the path", err)
	}
}
