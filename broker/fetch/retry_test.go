package fetch_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"guestlist/broker/fetch"
)

// TestRetries_PF18: what passes is tried again within the deadline; a definite
// answer, 3xx and 404 among them, is taken at its word.
func TestRetries_PF18(t *testing.T) {
	tests := []struct {
		name     string
		statuses []int // one an answer, the last for ever
		retries  int
		hits     int32
		reason   string // empty: the document
		later    bool   // transient
	}{
		{"500, 500, 200", []int{500, 500, 200}, 2, 3, "", false},
		{"503, 200", []int{503, 200}, 5, 2, "", false},
		{"429, 200", []int{429, 200}, 1, 2, "", false},
		{"200", []int{200}, 5, 1, "", false},
		{"500, 500, 500", []int{500, 500, 500, 200}, 2, 3, "fetch_status", true},
		{"none by default", []int{500, 200}, 0, 1, "fetch_status", true},
		{"302", []int{302, 200}, 5, 1, "fetch_redirect", false},
		{"301", []int{301, 200}, 5, 1, "fetch_redirect", false},
		{"304", []int{304, 200}, 5, 1, "fetch_status", false},
		{"400", []int{400, 200}, 5, 1, "fetch_status", false},
		{"401", []int{401, 200}, 5, 1, "fetch_status", false},
		{"403", []int{403, 200}, 5, 1, "fetch_status", true},
		{"404", []int{404, 200}, 5, 1, "fetch_status", false},
		{"410", []int{410, 200}, 5, 1, "fetch_status", false},
		{"500, 404", []int{500, 404, 200}, 5, 2, "fetch_status", false},
		{"500, 302", []int{500, 302, 200}, 5, 2, "fetch_redirect", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var h *host
			h = newHost(t, func(w http.ResponseWriter, _ *http.Request) {
				i := min(int(h.hits.Load()), len(tt.statuses)) - 1
				w.Header().Set("Content-Type", "application/json")
				w.Header().Set("Location", clientURL)
				w.WriteHeader(tt.statuses[i])
			})
			cfg := h.config()
			cfg.Retries = tt.retries
			_, err := newDoor(t, cfg).Document(t.Context(), parse(t, clientURL), fetch.DefaultLimits(), fetch.Held{})
			if tt.reason == "" && err != nil {
				t.Errorf("Document() = %v, want the document", err)
			}
			if tt.reason != "" {
				fe := wantReason(t, err, tt.reason, tt.later)
				if told := strings.Contains(fe.Detail, fmt.Sprintf("%d tries", tt.hits)); told != (tt.hits > 1) {
					t.Errorf("Detail = %q after %d tries", fe.Detail, tt.hits)
				}
			}
			if n := h.hits.Load(); n != tt.hits {
				t.Errorf("hits = %d, want %d", n, tt.hits)
			}
		})
	}
}

// TestRetriesOfTheNetwork_PF18 counts lookups: each try begins with one, and
// its answer is checked again.
func TestRetriesOfTheNetwork_PF18(t *testing.T) {
	good := newHost(t, serveJSON("{}"))
	closed := "http://" + closedPort(t)
	closing := rawHost(t, func(net.Conn, string) {})
	// Its authority is unknown to the door below.
	stranger := newHostWith(t, certified(t, time.Now().Add(-time.Hour), time.Now().Add(time.Hour), "client.example.com"), serveJSON("{}"))
	public := addrs("93.184.216.34")
	tests := []struct {
		name    string
		r       *resolver
		proxy   string
		lookups int
		reason  string
		later   bool
	}{
		{"lookup fails", &resolver{err: errors.New("SERVFAIL")}, "", 3, "fetch_dns", true},
		{"no such name", &resolver{err: &net.DNSError{IsNotFound: true}}, "", 1, "fetch_dns", true},
		{"no address", &resolver{answers: [][]netip.Addr{nil}}, "", 1, "fetch_dns", true},
		{"proxy refuses connections", &resolver{answers: [][]netip.Addr{public}}, closed, 3, "fetch_proxy", true},
		{"host closes", &resolver{answers: [][]netip.Addr{public}}, newEgress(t, closing, "http").url, 3, "fetch_connect", true},
		{"blocked", &resolver{answers: [][]netip.Addr{addrs("127.0.0.1"), public}}, "", 1, "fetch_blocked_address", false},
		{"blocked at the second try", &resolver{answers: [][]netip.Addr{public, addrs("127.0.0.1"), public}}, closed, 2, "fetch_blocked_address", false},
		{"certificate", &resolver{answers: [][]netip.Addr{public}}, newEgress(t, stranger, "http").url, 1, "fetch_tls", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := newDoor(t, fetch.Config{RootCAs: good.roots, Resolver: tt.r, Proxy: fetch.Proxy{URL: tt.proxy}, Retries: 2})
			_, err := g.Document(t.Context(), parse(t, clientURL), fetch.DefaultLimits(), fetch.Held{})
			wantReason(t, err, tt.reason, tt.later)
			if n := len(tt.r.asked); n != tt.lookups {
				t.Errorf("%d lookups, want %d", n, tt.lookups)
			}
		})
	}
}

// TestRetriesDeadline_PF18: all tries together have the one deadline, and one
// that would begin after it is not made.
func TestRetriesDeadline_PF18_PF17(t *testing.T) {
	h := newHost(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) })
	cfg := h.config()
	cfg.Retries, cfg.Timeout = 5, 120*time.Millisecond // the pauses are 50, 100, 200 …
	_, err := newDoor(t, cfg).Document(t.Context(), parse(t, clientURL), fetch.DefaultLimits(), fetch.Held{})
	if fe, ok := errors.AsType[*fetch.Error](err); !ok || !fe.Transient {
		t.Errorf("Document() = %v, want transient trouble", err)
	}
	if n := h.hits.Load(); n > 2 {
		t.Errorf("hits = %d, want 2 at most", n)
	}
	for _, bad := range []int{-1, 6} {
		if _, err := fetch.New(fetch.Config{Retries: bad}); err == nil {
			t.Errorf("New(Retries: %d) = nil, want an error", bad)
		}
	}
}

// TestPageInsteadOfADocument_B32: a firewall's page is told from other trouble,
// with the way around it, and says nothing about the document.
func TestPageInsteadOfADocument_B32(t *testing.T) {
	const page = "a page of HTML with status 403: a firewall or bot check of the host; remedy: guestlist client pin URL --document FILE"
	for _, tt := range []struct {
		name        string
		status      int
		contentType string
		detail      string
		reason      string
		later       bool
	}{
		{"challenge", 403, "text/html; charset=UTF-8", page, "fetch_status", true},
		{"capitals", 403, "Text/HTML", page, "fetch_status", true},
		{"403 in JSON", 403, "application/json", "status 403", "fetch_status", true},
		{"403 without a type", 403, "", "status 403", "fetch_status", true},
		{"404 in HTML", 404, "text/html", "status 404", "fetch_status", false},
		{"503 in HTML", 503, "text/html", "status 503", "fetch_status", true},
		{"200 in HTML", 200, "text/html", `Content-Type "text/html"`, "fetch_content_type", false},
	} {
		h := newHost(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = []string{tt.contentType}
			w.WriteHeader(tt.status)
		})
		_, err := h.get(t)
		if fe := wantReason(t, err, tt.reason, tt.later); fe.Detail != tt.detail {
			t.Errorf("%s: Detail = %q, want %q", tt.name, fe.Detail, tt.detail)
		}
	}
}
