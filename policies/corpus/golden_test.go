package corpus_test

import (
	"slices"
	"strings"
	"testing"

	"guestlist/broker"
	"guestlist/policies/corpus"
)

func TestGolden(t *testing.T) {
	a := corpus.Assumptions{
		At: "2026-11-25T12:00:00Z", Issuer: "https://issuer.example", LeftOut: 3,
		Resources: []broker.Resource{{ID: "https://r.example", Name: "https://r.example", Scopes: []string{"a"}, TokenFormat: "jwt"}, {ID: "https://s.example", Name: "https://s.example"}},
		Maxima:    map[string]any{"client_ttl": "1d"}, Facts: map[string]any{"freeze": true},
	}
	got := string(corpus.Golden(a, []corpus.Decision{
		{Scene: "a", Purpose: "text", Outcome: corpus.Admitted, Phase: "user", Policy: []string{"p"}, Scopes: []string{"x", "y"}, Consent: "once", Refresh: "7d", ClientTTL: "30d", Terms: []string{"redirect.loopback=true"}},
		{Scene: "b", Outcome: corpus.Refused, Phase: "document", Reason: "policy_denied", Denials: []string{"p/x"}, Detail: "p.rego:7"},
	}))
	_, body, _ := strings.Cut(got, "\n\n")
	want := "a admitted phase=user policy=p scopes=x,y consent=once refresh=7d client_ttl=30d redirect.loopback=true\n" +
		"b refused phase=document reason=policy_denied denied=p/x\n"
	if body != want {
		t.Errorf("Golden =\n%s\nwant\n%s", body, want)
	}
	back := corpus.Assumed([]byte(strings.ReplaceAll(got, "\n", "\r\n")))
	back.LeftOut = 3
	if again := string(corpus.Golden(back, nil)); !strings.HasPrefix(got, again) {
		t.Errorf("what was read back is written as\n%s\nit was\n%s", again, got)
	}
}

func TestDiff(t *testing.T) {
	const was = "# head\n# at 1\n\na admitted\nb refused\nc refused\n"
	for _, c := range []struct {
		name, is string
		want     []string
	}{
		{"the same", was, nil},
		{"another order", "# at 1\n# head\n\nc refused\nb refused\na admitted\n", nil},
		{"line ends of another system", strings.ReplaceAll(was, "\n", "\r\n"), nil},
		{"a change", "# head\n# at 1\n\na admitted\nb admitted\nc refused\n", []string{"-b refused", "+b admitted"}},
		{"one more", was + "d refused\n", []string{"+d refused"}},
		{"one less", "# head\n# at 1\n\na admitted\nc refused\n", []string{"-b refused"}},
		{"the head", "# head\n# at 2\n\na admitted\nb refused\nc refused\n", []string{"-# at 1", "+# at 2"}},
		{"an edit gone wrong", was + "<<<<<<< ours\na refused\n", []string{"+<<<<<<< ours", "+a refused"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := corpus.Diff([]byte(was), []byte(c.is)); !slices.Equal(got, c.want) {
				t.Errorf("Diff = %q, want %q", got, c.want)
			}
		})
	}
}
