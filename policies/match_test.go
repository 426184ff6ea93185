package policies_test

import (
	"fmt"
	"strings"
	"testing"

	"guestlist/broker"
	"guestlist/policies"
)

// naming is a policy p with these patterns.
func naming(patterns ...string) files {
	return one(fmt.Sprintf("client_ids := {\"%s\"}\n\nsettings := {\"document\": {\"allow_query\": true}}\n", strings.Join(patterns, "\", \"")))
}

func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		id, pattern string
		takes       []string
		refuses     []string
	}{
		{"PF-04 wildcard host", "https://*.example.com/cimd",
			[]string{"https://a.example.com/cimd", "https://a.b.example.com/cimd", "https://a.example.com/cimd?x=1"},
			[]string{"https://example.com/cimd", "https://a.example.com.evil.test/cimd", "https://evil.test/?x=.example.com/cimd", "https://aexample.com/cimd",
				"https://a.example.com/cimd/", "https://a.example.com/CIMD", "https://a.example.com:443/cimd", "https://a.example.com/"}},
		{"PF-04 one segment", "https://www.example.com/*",
			[]string{"https://www.example.com/x"},
			[]string{"https://www.example.com/", "https://www.example.com/x/y", "https://example.com/x", "https://www.example.com:8443/x", "https://www.example.net/x"}},
		{"PF-04 further segments", "https://www.example.com/**",
			[]string{"https://www.example.com/x", "https://www.example.com/x/y", "https://www.example.com/x/"},
			[]string{"https://www.example.com/", "https://www.example.com.evil.test/x", "https://www.example.com:8443/x"}},
		{"CU-02 domain", "https://example.com/**",
			[]string{"https://example.com/x"},
			[]string{"https://evil-example.com/x", "https://a.example.com/x", "https://example.com.evil.test/x", "https://example.co/x", "https://xn--exmple-cua.com/x"}},
		{"CU-02 wildcard domain", "https://*.example.com/**",
			[]string{"https://a.example.com/x"},
			[]string{"https://evil-example.com/x", "https://a.evil-example.com/x", "https://example.com/x"}},
		{"exact", "https://claude.ai/oauth/x",
			[]string{"https://claude.ai/oauth/x", "https://claude.ai/oauth/x?"},
			[]string{"https://claude.ai/oauth/x/", "https://claude.ai/oauth//x", "https://claude.ai/oauth/y", "https://claude.ai/oauth", "https://claude.ai/oauth/x/y",
				"https://claude.ai/oauth/%78", "https://xn--claude-2ua.ai/oauth/x", "https://claude.ai.evil.test/oauth/x", "https://evil.test/claude.ai/oauth/x"}},
		{"root", "https://a.example.com/", []string{"https://a.example.com/"}, []string{"https://a.example.com/x", "https://a.example.com//"}},
		{"port", "https://a.example.com:8443/x", []string{"https://a.example.com:8443/x"}, []string{"https://a.example.com/x", "https://a.example.com:443/x"}},
		{"port 443 spelled out", "https://a.example.com:443/x", []string{"https://a.example.com:443/x"}, []string{"https://a.example.com/x"}},
		{"segment not empty", "https://a.example.com/*/x", []string{"https://a.example.com/q/x"}, []string{"https://a.example.com//x", "https://a.example.com/x"}},
		{"literal before a wildcard", "https://a.example.com/ab/*", []string{"https://a.example.com/ab/x"}, []string{"https://a.example.com/cd/x"}},
		{"private suffix", "https://*.amazonaws.com/x", []string{"https://a.b.amazonaws.com/x"}, []string{"https://evil.s3.amazonaws.com/x"}},
		{"private suffix below", "https://*.foo.github.io/x", []string{"https://a.foo.github.io/x"}, []string{"https://foo.github.io/x", "https://bar.github.io/x"}},
	} {
		set := load(t, naming(c.pattern))
		for _, url := range c.takes {
			if d := decide(t, set, url, broker.PhaseURL); !d.Allowed || !d.Matched() {
				t.Errorf("%s: %s refuses %s: %s (%s), want taken", c.id, c.pattern, url, d.Reason, d.Detail)
			}
		}
		for _, url := range c.refuses {
			if d := decide(t, set, url, broker.PhaseURL); d.Reason != broker.ReasonNoPolicyMatched || d.Matched() || d.NearestMiss == "" {
				t.Errorf("%s: %s on %s: reason %q, winner %v, want no_policy_matched", c.id, c.pattern, url, d.Reason, d.Winner)
			}
		}
	}
}

// What is no client identifier URL matches nothing (PF-04 user information).
func TestMalformedIdentifierIsRefused(t *testing.T) {
	set := load(t, files{"a.rego": "package admission.anyone\n\nsettings := {\"open\": true}\n"})
	for _, id := range []string{"https://a@evil.test/cimd", "http://a.example/x", "", "https://a.example", "x"} {
		d := decide(t, set, example, broker.PhaseURL, func(q *broker.Query) { q.Input.ClientID = id })
		refused(t, d, broker.ReasonClientIDMalformed)
	}
}

func TestThreePatternsEachAdmit(t *testing.T) { // PF-06
	urls := []string{"https://a.example.com/x", "https://b.example.org/y", "https://c.example.net/z"}
	set := load(t, naming(urls...))
	for _, u := range urls {
		allowed(t, decide(t, set, u, broker.PhaseDocument))
	}
}

func TestNothingLoadedAdmitsNobody(t *testing.T) { // PF-02, PF-03
	off := "mode := \"off\"\n\n" + admits
	shadow := "mode := \"shadow\"\n\n" + admits
	for name, c := range map[string]struct {
		files files
		miss  string
	}{
		"empty":                   {files{}, "no policy names any client"},
		"off":                     {one(off), "no policy names any client"},
		"shadow":                  {one(shadow), "mode shadow"},
		"veto-only":               {one("client_ids := {\"" + example + "\"}\n"), "veto-only"},
		"applies false":           {one("applies := false\n\n" + admits), "applies is not true"},
		"applies undefined":       {one("applies if input.client.port == \"1\"\n\n" + admits), "applies is not true"},
		"other registration":      {one("registrations := {\"pinned\"}\n\n" + admits), "registration cimd"},
		"other host":              {naming("https://claude.ai/x"), "closest host claude.ai in policy p"},
		"other path":              {naming("https://app.example.com/x/client.json"), `path failed at segment 1 ("oauth" is not "x")`},
		"other path, second part": {naming("https://app.example.com/oauth/x.json"), `policy p: host matched, path failed at segment 2 ("client.json" is not "x.json")`},
		"longer path":             {naming("https://app.example.com/oauth/client.json/x"), "the path ends"},
		"shorter path":            {naming("https://app.example.com/oauth"), "the pattern ends"},
		"other port":              {naming("https://app.example.com:8443/oauth/client.json"), "port failed (no port is not port 8443)"},
		"wildcard host":           {naming("https://*.app.example.com/oauth/client.json"), "closest host *.app.example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			set := load(t, c.files)
			for _, phase := range []broker.Phase{broker.PhaseURL, broker.PhaseDocument, broker.PhaseUser, broker.PhaseRefresh} {
				d := decide(t, set, example, phase)
				refused(t, d, broker.ReasonNoPolicyMatched)
				if !strings.Contains(d.NearestMiss, c.miss) {
					t.Errorf("NearestMiss = %q, want %q in it", d.NearestMiss, c.miss)
				}
			}
		})
	}
}

// A stranger chooses the request and the hour: neither may end a client that a
// policy names (design §5).
func TestOnlyLastingMissesLeaveTheClientUnnamed(t *testing.T) {
	for name, c := range map[string]struct {
		rules   string
		unnamed bool
	}{
		"request":             {"applies if startswith(input.request.source.ip, \"10.\")\n\n" + admits, false},
		"request by a helper": {"applies if _inside\n\n_inside if \"b\" in input.request.scopes\n\n" + admits, false},
		"request, else false": {"default applies := false\n\napplies if input.request.par\n\n" + admits, false},
		"clock":               {"applies if input.clock.hour < 8\n\n" + admits, false},
		"time":                {"applies if input.time > \"2027\"\n\n" + admits, false},
		"identifier":          {"applies if input.client.port == \"1\"\n\n" + admits, true},
		"facts":               {"applies if input.facts.open\n\n" + admits, false},
		"constant":            {"applies := false\n\n" + admits, true},
		"veto-only":           {"applies if input.request.par\n\nclient_ids := {\"" + example + "\"}\n", true},
		"shadow":              {"mode := \"shadow\"\n\napplies if input.request.par\n\n" + admits, true},
		"another client":      {"applies if input.request.par\n\nclient_ids := {\"https://app.example.com/x\"}\n\nsettings := {}\n", true},
	} {
		f := one(c.rules)
		f[policies.FactsFile] = `{"type": "object", "properties": {"open": {"type": "boolean", "default": false}}}`
		set := load(t, f)
		for _, phase := range []broker.Phase{broker.PhaseURL, broker.PhaseUser, broker.PhaseRefresh} {
			d := decide(t, set, example, phase)
			refused(t, d, broker.ReasonNoPolicyMatched)
			if d.Unnamed != c.unnamed {
				t.Errorf("%s, phase %s: Unnamed = %v, want %v", name, phase, d.Unnamed, c.unnamed)
			}
		}
	}
	if d := decide(t, load(t, one(admits)), example, broker.PhaseURL); d.Unnamed {
		t.Error("Unnamed = true for a client that is admitted")
	}
}

func TestExpiredRowsDoNotMatch(t *testing.T) {
	rows := func(expires string) files {
		return files{"p.rego": "package admission.policies.p\n\nclient_ids_from := data.l.hosts\n\nsettings := {}\n",
			"l/data.yaml": "hosts:\n  app.example.com:\n    - path: /oauth/client.json\n      expires: \"" + expires + "\"\n"}
	}
	for expires, live := range map[string]bool{"2026-11-26": true, "2026-11-25": false, "2026-11-25T12:00:00Z": false, "2026-11-25T12:00:01Z": true, "2026-11-25T13:00:01+01:00": true} {
		d := decide(t, load(t, rows(expires)), example, broker.PhaseURL)
		if d.Allowed != live {
			t.Errorf("row that expires %s: allowed %v (%s), want %v", expires, d.Allowed, d.NearestMiss, live)
		}
		if !live && !strings.Contains(d.NearestMiss, "expired "+expires) {
			t.Errorf("NearestMiss = %q, want the expiry", d.NearestMiss)
		}
	}
}

func TestIdentifierWithQueryNeedsSettings(t *testing.T) {
	url := example + "?v=1"
	for _, c := range []struct {
		name, settings string
		url, document  broker.Reason
	}{
		{"silent", `settings := {}`, broker.ReasonQueryNotAllowed, broker.ReasonQueryNotAllowed},
		{"Q15 allowed", `settings := {"document": {"allow_query": true}}`, "", ""},
		{"computed from the request", "settings := {\"document\": {\"allow_query\": _ok}}\n\n_ok := input.client.query == \"v=2\"", broker.ReasonQueryNotAllowed, broker.ReasonQueryNotAllowed},
		{"known with the document", "settings := {\"document\": {\"allow_query\": _ok}}\n\n_ok := input.published == {\"x\": 1}", "", broker.ReasonQueryNotAllowed},
	} {
		t.Run(c.name, func(t *testing.T) {
			set := load(t, one("client_ids := {\""+example+"\"}\n\n"+c.settings+"\n"))
			for phase, want := range map[broker.Phase]broker.Reason{broker.PhaseURL: c.url, broker.PhaseDocument: c.document} {
				d := decide(t, set, url, phase)
				if d.Reason != want || d.Allowed != (want == "") {
					t.Errorf("phase %s: %q (%s), want %q", phase, d.Reason, d.Detail, want)
				}
			}
		})
	}
	refused(t, decide(t, load(t, one("client_ids := {\""+example+"\"}\n\nsettings := {}\n")), example+"?", broker.PhaseURL), broker.ReasonQueryNotAllowed)
}

// The more specific pattern wins, whatever the names (PF-07).
func TestSpecificity(t *testing.T) {
	order := []string{ // most specific first
		"https://a.b.example.com/x/y/z",
		"https://a.b.example.com/x/y/*",
		"https://a.b.example.com/x/*/*",
		"https://a.b.example.com/x/*/**",
		"https://a.b.example.com/x/**",
		"https://a.b.example.com/**",
		"https://*.b.example.com/x/y/z",
		"https://*.b.example.com/**",
		"https://*.example.com/x/y/z",
		"https://*.example.com/**",
	}
	for i := range order {
		for j := i + 1; j < len(order); j++ {
			for _, names := range [][2]string{{"a", "z"}, {"z", "a"}} {
				f := files{}
				for k, pattern := range []string{order[i], order[j]} {
					f[names[k]+".rego"] = "package admission.policies." + names[k] + "\n\nclient_ids := {\"" + pattern + "\"}\n\nsettings := {}\n"
				}
				d := decide(t, load(t, f), "https://a.b.example.com/x/y/z", broker.PhaseURL)
				if len(d.Winner) != 1 || d.Winner[0] != names[0] || d.Candidates[0].Policy != names[0] || len(d.Candidates) != 2 || d.Why == "" {
					t.Errorf("%s against %s: winner %v (%s), want the first", order[i], order[j], d.Winner, d.Why)
				}
			}
		}
	}
}

// One policy with several matching patterns counts once, by its best.
func TestBestPatternOfAPolicyCounts(t *testing.T) {
	d := decide(t, load(t, naming("https://*.example.com/**", "https://app.example.com/**", example)), example, broker.PhaseURL)
	if len(d.Candidates) != 1 || d.Candidates[0].Pattern != example {
		t.Errorf("candidates = %+v, want one by its exact pattern", d.Candidates)
	}
}

func TestNearestMissStaysCheap(t *testing.T) {
	var hosts []string
	for i := range 3000 {
		hosts = append(hosts, fmt.Sprintf(`"h%d.example": [{"path": "/x"}]`, i))
	}
	hosts = append(hosts, `"app.example.com": [{"path": "/x"}]`)
	set := load(t, files{"p.rego": "package admission.policies.p\n\nclient_ids_from := data.l.hosts\n\nsettings := {}\n",
		"l/data.json": `{"hosts": {` + strings.Join(hosts, ",") + `}}`})
	d := decide(t, set, "https://apq.example.com/x", broker.PhaseURL)
	if !strings.Contains(d.NearestMiss, "closest host app.example.com") {
		t.Errorf("NearestMiss = %q, want app.example.com", d.NearestMiss)
	}
}
