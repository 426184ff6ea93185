package policies_test

import (
	"context"
	"strings"
	"testing"

	"guestlist/broker"
	"guestlist/broker/cimd"
	"guestlist/policies"
)

// opaqueClient is the client_id of RFC 7591's examples.
const opaqueClient = "s6BhdRkqt3"

// registered makes the question one about a registered client.
func registered(clientID string) func(*broker.Query) {
	return func(q *broker.Query) {
		q.Input.Registration = broker.RegistrationRegistered
		q.Input.ClientID = clientID
		if !cimd.LooksLikeURL(clientID) {
			q.Input.Client = broker.ClientInput{}
			q.Input.Request.Redirect.Relation = "cross_site"
		}
	}
}

// CU-17 B29: an opaque client is named literally, in a policy of registered
// clients, and what is said of URLs does not match it.
func TestCU17OpaqueClientIDs(t *testing.T) {
	set := load(t, files{
		"p.rego": `package admission.policies.p

registrations := {"registered"}

client_ids := {"` + opaqueClient + `", "another", "https://app.example.com/**"}

settings := {"scopes": {"ceiling": ["a"], "default": ["a"]}, "redirect": {"relation": "cross_site"}}

deny contains {"code": "host", "message": "a host or a path where there is none"} if {
	input.client_id == "` + opaqueClient + `"
	input.client.host != ""
}

deny contains {"code": "labels", "message": "labels"} if {
	input.client_id == "` + opaqueClient + `"
	count(input.client.labels) + count(input.client.segments) + count(input.client.parents) > 0
}
`,
		"q.rego": "package admission.policies.q\n\nclient_ids := {\"https://s6bhdrkqt3.example.com/**\"}\n\nsettings := {}\n",
	})
	for _, phase := range []broker.Phase{broker.PhaseURL, broker.PhaseDocument, broker.PhaseUser, broker.PhaseRefresh} {
		d := decide(t, set, example, phase, registered(opaqueClient))
		allowed(t, d)
		if len(d.Candidates) != 1 || d.Candidates[0].Pattern != opaqueClient {
			t.Errorf("candidates = %+v, want the literal name", d.Candidates)
		}
	}
	allowed(t, decide(t, set, example, broker.PhaseURL, registered(example)))
	for _, id := range []string{"S6BhdRkqt3", "s6BhdRkqt", "nobody"} {
		d := decide(t, set, example, broker.PhaseURL, registered(id))
		refused(t, d, broker.ReasonNoPolicyMatched)
		if !d.Unnamed || d.NearestMiss != "no policy names the client_id "+id {
			t.Errorf("Decide(%s) = unnamed %v, nearest miss %q", id, d.Unnamed, d.NearestMiss)
		}
	}
	// Only a registered client can have such a name.
	refused(t, decide(t, set, example, broker.PhaseURL, func(q *broker.Query) { q.Input.ClientID = opaqueClient }), broker.ReasonClientIDMalformed)
	refused(t, decide(t, set, example, broker.PhaseURL), broker.ReasonNoPolicyMatched) // by registration
}

// Two policies of one opaque client are met, with a warning.
func TestOpaqueTwins(t *testing.T) {
	const rules = "\n\nregistrations := {\"registered\"}\n\nclient_ids := {\"" + opaqueClient + "\"}\n\nsettings := {}\n"
	f := files{"a.rego": "package admission.policies.a" + rules, "b.rego": "package admission.policies.b" + rules}
	_, findings, err := policies.Load(context.Background(), policies.Config{FS: f.fs()})
	if findings = titled(findings); err != nil || len(findings) != 1 || findings[0].Code != "equal_rank" {
		t.Errorf("Load = %v, %v; want a warning equal_rank", findings, err)
	}
}

// Load errors of opaque names come with a remedy.
func TestOpaqueClientIDsRefusedAtLoad(t *testing.T) {
	for name, test := range map[string]struct{ rules, want string }{
		"registrations left out":        {"client_ids := {\"" + opaqueClient + "\"}\n", `registrations := {"registered"}`},
		"registrations without it":      {"registrations := {\"cimd\", \"pinned\"}\n\nclient_ids := {\"" + opaqueClient + "\"}\n", `registrations := {"registered"}`},
		"a URL that lost its scheme":    {"client_ids := {\"app.example.com/x\"}\n", "a pattern begins with https://"},
		"a wildcard in an opaque name":  {"registrations := {\"registered\"}\n\nclient_ids := {\"s6*\"}\n", "a pattern begins with https://"},
		"an opaque name is not ASCII":   {"registrations := {\"registered\"}\n\nclient_ids := {\"schlüssel\"}\n", "not printable ASCII"},
		"network needs a URL":           {"registrations := {\"registered\"}\n\nclient_ids := {\"x\"}\n\nsettings := {\"network\": {\"allow_cidrs\": [\"10.0.0.0/8\"]}}\n", "exact URLs"},
		"consent is not skipped for it": {"registrations := {\"registered\"}\n\nclient_ids := {\"x\"}\n\nsettings := {\"consent\": {\"mode\": \"skip\"}}\n", "exact URLs"},
	} {
		_, findings, err := policies.Load(context.Background(), policies.Config{FS: one(test.rules).fs()})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: Load = %v %v, want %q", name, err, findings, test.want)
		}
	}
}

// keeping are terms that a grant was made on.
func keeping(q *broker.Query) {
	s := broker.StrictSettings()
	s.Scopes.Ceiling = []string{"a", "b"}
	q.Kept = &s
	q.Input.Request.Scopes = []string{"a", "b"}
}

// PF-13: kept terms hold only where no policy names the client any more, and
// within guardrails and maxima.
func TestPF13Kept(t *testing.T) {
	const guard = "package admission.guardrails\n\n"
	for name, test := range map[string]struct {
		files  files
		maxima map[string]any
		reason broker.Reason // empty: allowed
		scopes string
	}{
		"nothing is there":     {files: files{}, scopes: "a b"},
		"ceiling":              {files: files{"g.rego": guard + "ceiling := {\"scopes\": {\"ceiling\": [\"b\"]}}\n"}, scopes: "b"},
		"maxima":               {files: files{}, maxima: map[string]any{"scopes": map[string]any{"ceiling": []any{"a"}}}, scopes: "a"},
		"guardrail":            {files: files{"g.rego": guard + "deny_refresh contains {\"code\": \"c\", \"message\": \"m\"} if \"a\" in input.effective.scopes\n"}, reason: broker.ReasonPolicyDenied},
		"a veto still holds":   {files: one("client_ids := {\"" + example + "\"}\n\ndeny contains {\"code\": \"c\", \"message\": \"m\"} if true\n"), reason: broker.ReasonPolicyDenied},
		"broken guardrail":     {files: files{"g.rego": guard + "ceiling := {\"scopes\": {\"ceiling\": [x]}} if x := input.request.scopes[9]\n"}, reason: broker.ReasonPolicyError},
		"named at other hours": {files: one(admits + "\napplies if input.clock.hour == 3\n"), reason: broker.ReasonNoPolicyMatched},
		"named by a policy":    {files: one(admits + "\ndeny contains {\"code\": \"c\", \"message\": \"m\"} if true\n"), reason: broker.ReasonPolicyDenied},
	} {
		t.Run(name, func(t *testing.T) {
			set := loadConfig(t, policies.Config{FS: test.files.fs(), Maxima: test.maxima})
			d := decide(t, set, example, broker.PhaseRefresh, keeping)
			if test.reason != "" {
				refused(t, d, test.reason)
				return
			}
			allowed(t, d)
			if got := strings.Join(d.Effective.Scopes, " "); got != test.scopes || !d.Kept || d.Matched() {
				t.Errorf("Decide = scopes %q, kept %v, matched %v; want %q, kept, not matched", got, d.Kept, d.Matched(), test.scopes)
			}
			refused(t, decide(t, set, example, broker.PhaseRefresh), broker.ReasonNoPolicyMatched)
		})
	}
	set := loadConfig(t, policies.Config{FS: one(admits).fs()})
	if d := decide(t, set, example, broker.PhaseRefresh, keeping); d.Kept || strings.Join(d.Effective.Scopes, " ") != "a b" || !d.Matched() {
		t.Errorf("Decide = kept %v under a policy that names the client", d.Kept)
	}
	set = loadConfig(t, policies.Config{FS: files{}.fs()})
	d := decide(t, set, example, broker.PhaseRefresh, keeping, func(q *broker.Query) { q.Kept.Require.Groups = []string{"eng"} })
	refused(t, d, broker.ReasonGroupRequired)
}
