package cimd_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"guestlist/broker/cimd"
)

// A4: no identifier that is taken for an opaque one begins with https://, in
// any case or after white space; none is a URL of another kind either, and it
// is kept byte for byte. What is an identifier URL is never an opaque one.
func TestA4OpaqueIsNeverAURL(t *testing.T) {
	word := rapid.StringMatching(`[ -~]{0,20}`)
	scheme := rapid.SampledFrom([]string{"", "https://", "HTTPS://", " https://", "https:", "http://", "hTTp:", "custom://", "mailto:", "x"})
	rapid.Check(t, func(t *rapid.T) {
		raw := scheme.Draw(t, "scheme") + word.Draw(t, "word")
		id, err := cimd.Opaque(raw)
		_, isURL := cimd.Parse(raw)
		looks := strings.HasPrefix(strings.ToLower(strings.TrimSpace(raw)), "http:") ||
			strings.HasPrefix(strings.ToLower(strings.TrimSpace(raw)), "https:") || strings.Contains(raw, "://")
		switch {
		case err == nil && (looks || isURL == nil):
			t.Fatalf("Opaque(%q) = nil, want an error: it reads as a URL", raw)
		case err == nil && (id.String() != raw || !id.IsOpaque() || id.Host != "" || id.RegistrableDomain() != "" || len(id.Labels()) != 0 || len(id.Parents()) != 0):
			t.Fatalf("Opaque(%q) = %+v, want nothing but the bytes", raw, id)
		case err != nil && !looks && raw != "" && !strings.Contains(raw, "*"):
			t.Fatalf("Opaque(%q) = %v, want it accepted", raw, err)
		}
	})
}

func TestOpaque(t *testing.T) {
	for raw, ok := range map[string]bool{
		"s6BhdRkqt3": true, "console (prod)": true, "a:b": true, strings.Repeat("x", 255): true,
		"": false, strings.Repeat("x", 256): false, "schlüssel": false, "a\nb": false, "a\x00": false, "s6*": false,
	} {
		id, err := cimd.Opaque(raw)
		if (err == nil) != ok {
			t.Errorf("Opaque(%q) = %v, want it accepted: %v", raw, err, ok)
		}
		if err != nil {
			failure(t, err)
			continue
		}
		r, err := cimd.ClassifyRedirect("https://console.example.com/cb", id)
		if err != nil || r.Relation != "cross_site" {
			t.Errorf("a redirect URI is %q to %q (%v), want cross_site", r.Relation, raw, err)
		}
	}
	if id, err := cimd.Parse("https://app.example.com/x"); err != nil || id.IsOpaque() || (cimd.ID{}).IsOpaque() {
		t.Errorf("IsOpaque holds for a URL (%v) or for nothing", err)
	}
}
