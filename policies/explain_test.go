package policies_test

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/policies"
)

// explain asks for the answer with what stands behind it.
func explain(q *broker.Query) { q.Explain = true }

// plainly is a decision as it is without an explanation.
func plainly(d broker.Decision) broker.Decision {
	d.Explanation, d.Took, d.Written = nil, 0, nil
	for _, list := range []*[]decisionlog.Denial{&d.Denials, &d.Warnings} {
		*list = append([]decisionlog.Denial(nil), *list...)
		for i := range *list {
			(*list)[i].Read = nil
		}
	}
	return d
}

// trailOf writes how one member came by its value.
func trailOf(t *testing.T, d broker.Decision, member string) string {
	t.Helper()
	for _, s := range d.Explanation.Sources {
		if s.Member == member {
			var steps []string
			for _, step := range s.Steps {
				steps = append(steps, step.By+" "+string(step.Value))
			}
			return strings.Join(steps, "; ")
		}
	}
	t.Fatalf("no source of %s", member)
	return ""
}

func TestSettingsNameTheirSource(t *testing.T) {
	const host = `{"app.example.com": [{"path": "/oauth/client.json", "settings": {"access_token": {"ttl": "20m"}}}]}`
	f := files{
		"lists/partners/data.json": host,
		"defaults.rego":            "package admission.defaults\n\nsettings := {\"client_ttl\": \"10d\", \"scopes\": {\"default\": [\"a\", \"z\"]}}\n",
		"guardrails.rego":          "package admission.guardrails\n\nceiling := {\"access_token\": {\"ttl\": \"15m\"}, \"scopes\": {\"ceiling\": [\"b\", \"a\"]}}\n",
		"p.rego": `package admission.policies.p

client_ids_from := data.lists.partners

settings := {"scopes": {"ceiling": ["a", "b"]}, "access_token": {"ttl": "30m"}, "consent": {"mode": "once"}, "token_endpoint_auth_methods": ["none", "private_key_jwt"]}
`,
		"q.rego": "package admission.policies.q\n\n" + admits + "\npriority := 0\n",
	}
	set := loadConfig(t, policies.Config{FS: f.fs(), Maxima: map[string]any{"access_token": map[string]any{"ttl": "10m"}}})
	d := decide(t, set, example, broker.PhaseDocument, explain, func(q *broker.Query) {
		q.Document.JWKSURI, q.Document.AuthMethod = "https://app.example.com/jwks", "private_key_jwt"
		q.Offer.AuthMethods, q.Offer.SigningAlgs = []string{"none", "private_key_jwt"}, []string{"ES256"}
	})
	allowed(t, d)
	for member, want := range map[string]string{
		"access_token.ttl":            `policy p "30m"; row data.lists.partners[app.example.com] /oauth/client.json "20m"; policy q (equal rank) "5m"`,
		"client_ttl":                  `defaults "10d"`,
		"consent.mode":                `policy p "once"; policy q (equal rank) "always"`,
		"refresh_token.issue":         `strict false`,
		"scopes.ceiling":              `policy p ["a","b"]`,
		"scopes.default":              `defaults ["a","z"]; scopes.ceiling ["a"]`,
		"token_endpoint_auth_methods": `policy p ["none","private_key_jwt"]; document ["private_key_jwt"]`,
	} {
		if got := trailOf(t, d, member); got != want {
			t.Errorf("%s comes from %s, want %s", member, got, want)
		}
	}
	delete(f, "q.rego")
	set = loadConfig(t, policies.Config{FS: f.fs(), Maxima: map[string]any{"access_token": map[string]any{"ttl": "10m"}}})
	d = decide(t, set, example, broker.PhaseURL, explain)
	want := `policy p "30m"; row data.lists.partners[app.example.com] /oauth/client.json "20m"; guardrails "15m"; server maxima "10m"`
	if got := trailOf(t, d, "access_token.ttl"); got != want {
		t.Errorf("access_token.ttl comes from %s, want %s", got, want)
	}
}

// TestSourcesEndInTheSettings: the last step of every trail is the value that
// holds, in every phase, whatever shape the policies have.
func TestSourcesEndInTheSettings(t *testing.T) {
	for name, f := range map[string]files{
		"constant":     one(admits),
		"per document": one("client_ids := {\"" + example + "\"}\n\nsettings := {\"scopes\": {\"ceiling\": [\"a\"]}, \"access_token\": {\"ttl\": _ttl}}\n\n_ttl := \"9m\" if count(input.redirects) > 0\n"),
		"skip":         one("client_ids := {\"" + example + "\"}\n\nsettings := {\"scopes\": {\"ceiling\": [\"a\"]}, \"consent\": {\"mode\": \"skip\"}}\n"),
		"equal rank":   {"p.rego": policy("p", `settings := {"scopes": {"ceiling": ["b", "a"]}}`), "q.rego": policy("q", `settings := {"scopes": {"ceiling": ["a"]}, "client_ttl": "1d"}`)},
	} {
		t.Run(name, func(t *testing.T) {
			set := load(t, f)
			for _, phase := range []broker.Phase{broker.PhaseURL, broker.PhaseDocument, broker.PhaseUser, broker.PhaseRefresh} {
				d := decide(t, set, example, phase, explain)
				if plain := decide(t, set, example, phase); !reflect.DeepEqual(plainly(plain), plainly(d)) {
					t.Errorf("phase %s: explained %+v, plain %+v", phase, plainly(d), plainly(plain))
				}
				if phase == broker.PhaseURL && name == "per document" {
					if len(d.Explanation.Sources) != 0 {
						t.Error("sources of settings that are not known")
					}
					continue
				}
				b, err := json.Marshal(d.Settings)
				if err != nil {
					t.Fatal(err)
				}
				for _, s := range d.Explanation.Sources {
					var at any
					if err := json.Unmarshal(b, &at); err != nil {
						t.Fatal(err)
					}
					for _, part := range strings.Split(s.Member, ".") {
						at = at.(map[string]any)[part]
					}
					want, err := json.Marshal(at)
					if got := string(s.Steps[len(s.Steps)-1].Value); err != nil || got != string(want) {
						t.Errorf("phase %s: %s ends as %s, the settings say %s", phase, s.Member, got, want)
					}
				}
			}
		})
	}
}

// TestDenialsNameTheirLine holds the location of a denial to the rule that made
// it, also where codes are shared or computed, asked to explain or not.
func TestDenialsNameTheirLine(t *testing.T) {
	set := load(t, files{"p.rego": `package admission.policies.p

client_ids := {"` + example + `"}

settings := {"scopes": {"ceiling": ["a"]}}

deny contains {"code": "net", "message": "from home"} if input.request.source.ip == "192.0.2.7"

deny contains {"code": "net", "message": "from abroad"} if input.request.source.ip == "192.0.2.1"

deny_document contains {"code": sprintf("c_%s", [r.kind]), "message": "kind"} if {
	some r in input.redirects
	r.kind == "loopback"
}

deny_document contains {"code": sprintf("c_%s", [r.kind]), "message": "kind"} if {
	some r in input.redirects
	r.kind == "https"
	_secure
}

_secure if startswith(input.request.redirect_uri, "https:")

deny_user contains n if some n in _people

_people contains {"code": "nobody", "message": "in no group"} if not "eng" in input.user.groups

warn contains {"code": "odd", "message": "the only one"} if input.client.host != ""
`})
	want := map[string]string{"net": "p.rego:9", "c_https": "p.rego:16", "nobody": "p.rego:24", "odd": "p.rego:28"}
	for _, asked := range []bool{false, true} {
		d := decide(t, set, example, broker.PhaseUser, func(q *broker.Query) { q.Explain = asked })
		got := map[string]string{}
		for _, n := range append(d.Denials, d.Warnings...) {
			got[n.Code] = n.Location
			if asked != (len(n.Read) > 0) {
				t.Errorf("%s read %v, asked to explain: %v", n.Code, n.Read, asked)
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("explained %v: denials are at %v, want %v", asked, got, want)
		}
	}
}

func TestDenialsNameWhatTheyRead(t *testing.T) {
	set := load(t, one(admits+`
deny_user contains {"code": "write", "message": "no"} if {
	"a" in input.effective.scopes
	not _member
}

_member if "eng" in input.user.groups

_unused if input.user.sub == "x"
`))
	d := decide(t, set, example, broker.PhaseUser, explain, groups("sales"))
	want := []decisionlog.Read{{Path: "input.effective.scopes", Value: `["a"]`}, {Path: "input.user.groups", Value: `["sales"]`}}
	if len(d.Denials) != 1 || !reflect.DeepEqual(d.Denials[0].Read, want) {
		t.Errorf("denials = %+v, want one that read %v", d.Denials, want)
	}
	d = decide(t, set, example, broker.PhaseUser, explain, groups(strings.Repeat("g", 500)))
	if n := len(d.Denials[0].Read[1].Value); n > 210 {
		t.Errorf("an excerpt has %d bytes", n)
	}
}

// TestMissesAreNamedInEveryPhase: what nearly matched is told although another
// policy admits the client.
func TestMissesAreNamedInEveryPhase(t *testing.T) {
	pattern := func(name, id, more string) string {
		return "package admission.policies." + name + "\n\nclient_ids := {\"" + id + "\"}\n\nsettings := {}\n\n" + more
	}
	set := load(t, files{
		"a.rego": "package admission.policies.a\n\n" + admits,
		"b.rego": pattern("b", "https://app.example.com/other/client.json", ""),
		"c.rego": pattern("c", "https://app.example.com/oauth/x", ""),
		"d.rego": pattern("d", example, "applies if input.client.port == \"8443\""),
		"e.rego": pattern("e", "https://*.example.com/**", "mode := \"off\""),
		"f.rego": pattern("f", "https://else.example.com/**", ""),
		"g.rego": pattern("g", example, `registrations := {"pinned"}`),
		"h.rego": pattern("h", example, `mode := "shadow"`),
	})
	for _, phase := range []broker.Phase{broker.PhaseURL, broker.PhaseDocument, broker.PhaseUser, broker.PhaseRefresh} {
		d := decide(t, set, example, phase, explain)
		allowed(t, d)
		var got []string
		for _, m := range d.Explanation.Misses {
			got = append(got, fmt.Sprintf("%s %s %s: %s", m.Policy, m.Mode, m.Location, m.Why))
		}
		want := []string{
			"d enforce d.rego:1: the pattern matched, but its rule applies is not true",
			"e off e.rego:1: the pattern matches, but the policy is off",
			"g enforce g.rego:1: the pattern matched, but not registration cimd",
			`c enforce c.rego:1: host matched, path failed at segment 2 ("client.json" is not "x")`,
			`b enforce b.rego:1: host matched, path failed at segment 1 ("oauth" is not "other")`,
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("phase %s: misses\n%s\nwant\n%s", phase, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if len(d.Candidates) != 2 || d.Candidates[1].Mode != "shadow" {
			t.Errorf("phase %s: candidates %+v, want a and the shadow of h", phase, d.Candidates)
		}
	}
}

func TestEveryBrokenPolicyIsNamed(t *testing.T) {
	broken := "\n\ndeny contains {\"code\": \"x\", \"message\": \"x\"} if to_number(input.client.host) > 0\n"
	set := load(t, files{"p.rego": policy("p", "settings := {}"+broken), "q.rego": policy("q", "settings := {}"+broken)})
	d := decide(t, set, example, broker.PhaseURL, explain)
	refused(t, d, broker.ReasonPolicyError)
	if e := d.Explanation.Errors; len(e) != 2 || !strings.HasPrefix(e[0], "policy p: p.rego:") || !strings.HasPrefix(e[1], "policy q: q.rego:") {
		t.Errorf("errors = %q, want one of each policy with its place", e)
	}
	if d := set.Decide(context.Background(), question(t, example, broker.PhaseURL)); d.Explanation != nil {
		t.Error("an explanation that nobody asked for")
	}
}
