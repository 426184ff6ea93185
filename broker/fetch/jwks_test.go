package fetch_test

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"guestlist/broker/fetch"
)

// TestJWKS is CU-06, F11, B4, SO-16: a key set comes through the same guards.
func TestJWKS(t *testing.T) {
	t.Parallel()
	answer := func(mediaType, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", mediaType)
			w.Header().Set("Cache-Control", "max-age=120")
			w.Write([]byte(body))
		}
	}
	for _, c := range []struct {
		name   string
		serve  http.HandlerFunc
		reason string
	}{
		{"application/jwk-set+json", answer("application/jwk-set+json", "{}"), ""},
		{"application/json with a parameter", answer("application/json; charset=utf-8", "{}"), ""},
		{"12 KiB", answer("application/json", strings.Repeat(" ", 12<<10)), ""},
		{"12 KiB and a byte", answer("application/json", strings.Repeat(" ", 12<<10+1)), "fetch_too_large"},
		{"another JSON", answer("application/ld+json", "{}"), "fetch_content_type"},
		{"text", answer("text/plain", "{}"), "fetch_content_type"},
		{"SO-15 redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }, "fetch_redirect"},
		{"gone", func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }, "fetch_status"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t, c.serve)
			got, err := newDoor(t, h.config()).JWKS(t.Context(), parse(t, clientURL), fetch.JWKSLimits())
			if c.reason != "" {
				wantReason(t, err, c.reason, false)
				return
			}
			if err != nil || got.FreshFor != 2*time.Minute {
				t.Errorf("JWKS = %+v, %v, want a body fresh for 2m", got, err)
			}
		})
	}
	t.Run("B4 a private address", func(t *testing.T) {
		c := newCanary(t)
		door := newDoor(t, fetch.Config{Resolver: &resolver{answers: [][]netip.Addr{addrs("127.0.0.1")}}})
		_, err := door.JWKS(context.Background(), parse(t, clientURL), fetch.JWKSLimits())
		wantReason(t, err, "fetch_blocked_address", false)
		c.wantSilent(t)
	})
	t.Run("document and key set are no one flight", func(t *testing.T) {
		accepts := make(chan string, 2)
		h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
			accepts <- r.Header.Get("Accept")
			answer("application/jwk-set+json", "{}")(w, r)
		})
		door := newDoor(t, h.config())
		if _, err := door.JWKS(t.Context(), parse(t, clientURL), fetch.JWKSLimits()); err != nil {
			t.Fatal(err)
		}
		if _, err := door.Document(t.Context(), parse(t, clientURL), fetch.JWKSLimits(), fetch.Held{}); err != nil {
			t.Fatal(err)
		}
		if a, b := <-accepts, <-accepts; a != "application/jwk-set+json, application/json" || b != "application/json" {
			t.Errorf("Accept of key set and document = %q, %q", a, b)
		}
	})
}
