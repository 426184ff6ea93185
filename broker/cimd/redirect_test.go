package cimd_test

import (
	"encoding/json"
	"strings"
	"testing"

	"guestlist/broker/cimd"
)

func TestClassifyRedirect(t *testing.T) {
	const id = "https://client.example.com/x"
	for _, c := range []struct {
		name, id string
		want     cimd.Redirect
	}{
		{"same origin", id, cimd.Redirect{"https://client.example.com/cb?a=1", "https", "client.example.com", "", "same_origin"}},
		{"M15 names like those of an answer", id, cimd.Redirect{"https://client.example.com/state?codes=1&iss2=a&xstate=code&Code=1", "https", "client.example.com", "", "same_origin"}},
		{"same origin without path", id, cimd.Redirect{"https://client.example.com", "https", "client.example.com", "", "same_origin"}},
		{"default port is the same origin", id, cimd.Redirect{"https://client.example.com:443/cb", "https", "client.example.com", "443", "same_origin"}},
		{"default port on the other side", "https://client.example.com:443/x", cimd.Redirect{"https://client.example.com/cb", "https", "client.example.com", "", "same_origin"}},
		{"other port", id, cimd.Redirect{"https://client.example.com:8443/cb", "https", "client.example.com", "8443", "same_site"}},
		{"sibling", id, cimd.Redirect{"https://app.example.com/cb", "https", "app.example.com", "", "same_site"}},
		{"parent", id, cimd.Redirect{"https://example.com/cb", "https", "example.com", "", "same_site"}},
		{"suffix trick", id, cimd.Redirect{"https://evilexample.com/cb", "https", "evilexample.com", "", "cross_site"}},
		{"prefix trick", id, cimd.Redirect{"https://client.example.com.evil.example/cb", "https", "client.example.com.evil.example", "", "cross_site"}},
		{"neighbours under a private suffix", "https://a.github.io/x", cimd.Redirect{"https://b.github.io/cb", "https", "b.github.io", "", "cross_site"}},
		{"both are suffixes", "https://github.io/x", cimd.Redirect{"https://gitlab.io/cb", "https", "gitlab.io", "", "cross_site"}},
		{"a suffix with itself", "https://github.io/x", cimd.Redirect{"https://github.io/cb", "https", "github.io", "", "same_origin"}},
		{"intranet name", id, cimd.Redirect{"https://intranet/cb", "https", "intranet", "", "cross_site"}},
		{"address", id, cimd.Redirect{"https://203.0.113.9/cb", "https", "203.0.113.9", "", "cross_site"}},
		{"v6 address", id, cimd.Redirect{"https://[2001:db8::1]:8443/cb", "https", "[2001:db8::1]", "8443", "cross_site"}},
		{"https localhost", id, cimd.Redirect{"https://localhost/cb", "loopback", "localhost", "", "cross_site"}},
		{"https name below localhost", id, cimd.Redirect{"https://app.localhost/cb", "loopback", "app.localhost", "", "cross_site"}},
		{"https loopback address", id, cimd.Redirect{"https://127.0.0.2:1/cb", "loopback", "127.0.0.2", "1", "cross_site"}},
		{"Q4 v4", id, cimd.Redirect{"http://127.0.0.1:33418/", "loopback", "127.0.0.1", "33418", "cross_site"}},
		{"Q4 v6", id, cimd.Redirect{"http://[::1]/cb", "loopback", "[::1]", "", "cross_site"}},
		{"Q4 localhost without path", id, cimd.Redirect{"http://localhost", "loopback", "localhost", "", "cross_site"}},
		{"X8 one slash", id, cimd.Redirect{"com.example.client:/cb?x=1", "private_scheme", "", "", "cross_site"}},
		{"X8 two slashes", id, cimd.Redirect{"com.example.client://oauth/cb", "private_scheme", "oauth", "", "cross_site"}},
		{"X8 two slashes, no path", id, cimd.Redirect{"com.example.client://oauth?x", "private_scheme", "oauth", "", "cross_site"}},
		{"X8 capital letters", id, cimd.Redirect{"com.example.MyApp:/cb", "private_scheme", "", "", "cross_site"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := cimd.ClassifyRedirect(c.want.URI, mustParse(t, c.id))
			if err != nil || got != c.want {
				t.Errorf("ClassifyRedirect(%q) = %+v, %v, want %+v", c.want.URI, got, err, c.want)
			}
		})
	}
}

func TestRedirectJSONNames(t *testing.T) {
	got, err := json.Marshal(cimd.Redirect{URI: "a", Kind: "b", Host: "c", Port: "d", Relation: "e"})
	const want = `{"uri":"a","kind":"b","host":"c","port":"d","relation":"e"}`
	if err != nil || string(got) != want {
		t.Errorf("Redirect encodes as %s, %v, want %s", got, err, want)
	}
}

// unregistrable are URIs that no redirect may lead to, with the rule each breaks.
var unregistrable = []struct{ name, uri, rule string }{
	{"empty", "", "U13"},
	{"relative path", "/cb", "A1"},
	{"relative name", "cb", "A1"},
	{"scheme relative", "//client.example.com/cb", "A1"},
	{"only scheme", "https:", "U1"},
	{"one slash", "https:/client.example.com/cb", "U1"},
	{"no host", "https:///cb", "U1"},
	{"fragment", "https://client.example.com/cb#x", "U7"},
	{"empty fragment", "https://client.example.com/cb#", "U7"},
	{"fragment of a private scheme", "com.example.app:/cb#x", "U7"},
	{"userinfo", "https://u:p@client.example.com/cb", "U2"},
	{"empty userinfo", "https://@client.example.com/cb", "U2"},
	{"userinfo on loopback", "http://u@127.0.0.1/cb", "U2"},
	{"userinfo of a private scheme", "com.example.app://u@h/cb", "U2"},
	{"http remote", "http://client.example.com/cb", "M24"},
	{"http private address", "http://10.0.0.1/cb", "M24"},
	{"http other loopback address", "http://127.0.0.2/cb", "M24"},
	// PF-19: the spellings that other systems take for loopback.
	{"http far loopback address", "http://127.8.9.1/cb", "M24"},
	{"hex and short address", "http://0x7f.1/cb", "F11"},
	{"http address as label", "http://127.0.0.1.evil.test:80/cb", "M24"},
	{"http name below localhost", "http://app.localhost/cb", "M24"},
	{"http localhost as prefix", "http://localhost.evil.example/cb", "M24"},
	{"http address as prefix", "http://127.0.0.1.evil.example/cb", "M24"},
	{"upper-case scheme", "HTTPS://client.example.com/cb", "U1"},
	{"upper-case http", "HTTP://localhost/cb", "U1"},
	{"upper-case host", "https://Client.example.com/cb", "U13"},
	{"upper-case localhost", "http://LOCALHOST/cb", "U13"},
	{"trailing dot", "https://client.example.com./cb", "U13"},
	{"trailing dot localhost", "http://localhost./cb", "U13"},
	{"underscore", "https://my_client.example.com/cb", "U13"},
	{"unicode host", "https://b\u00fccher.example/cb", "U13"},
	{"unicode path", "https://client.example.com/caf\u00e9", "U13"},
	{"space", "https://client.example.com/c b", "U13"},
	{"leading space", " https://client.example.com/cb", "U13"},
	{"trailing newline", "https://client.example.com/cb\n", "U13"},
	{"tab", "https://client.example.com/c\tb", "U13"},
	{"NUL", "https://client.example.com/c\x00b", "U13"},
	{"escaped line end", "https://client.example.com/cb?x=%0d%0aSet-Cookie:a", "U13"},
	{"escaped NUL in a private scheme", "com.example.app:/cb?x=%00", "U13"},
	{"backslash", `https://client.example.com\@evil.example/cb`, "U13"},
	{"malformed escape", "https://client.example.com/%zz", "U13"},
	{"dot segments", "https://client.example.com/cb/../evil", "U5"},
	{"escaped dot segments", "https://client.example.com/cb/%2e%2e/evil", "U5"},
	{"dot segments on loopback", "http://127.0.0.1/cb/..", "U5"},
	{"dot segments of a private scheme", "com.example.app:/a/../b", "U5"},
	{"wildcard host", "https://*.example.com/cb", "A1"},
	{"wildcard path", "https://client.example.com/*", "A1"},
	{"wildcard port", "http://localhost:*/cb", "A1"},
	{"wildcard alone", "*", "A1"},
	{"empty port", "https://client.example.com:/cb", "U13"},
	{"port 0", "http://127.0.0.1:0/cb", "U13"},
	{"port 080", "http://127.0.0.1:080/cb", "U13"},
	{"port 99999", "http://127.0.0.1:99999/cb", "U13"},
	{"port with letters", "http://127.0.0.1:80a/cb", "U13"},
	{"decimal address", "https://2130706433/cb", "F11"},
	{"short address", "http://127.1/cb", "F11"},
	{"hex address", "http://0x7f.0.0.1/cb", "F11"},
	{"octal address", "http://0177.0.0.1/cb", "F11"},
	{"long v6 loopback", "http://[0:0:0:0:0:0:0:1]/cb", "U13"},
	{"mapped loopback", "http://[::ffff:127.0.0.1]/cb", "U13"},
	{"v6 zone", "http://[::1%25lo]/cb", "U13"},
	{"upper-case v6", "https://[2001:DB8::1]/cb", "U13"},
	{"v4 in brackets", "http://[127.0.0.1]/cb", "U13"},
	{"javascript", "javascript:alert(1)", "F14"},
	{"javascript with authority", "javascript://client.example.com/%0aalert(1)", "F14"},
	{"javascript capitals", "JaVaScRiPt:alert(1)", "F14"},
	{"javascript after space", " \x01javascript:alert(1)", "F14"},
	{"javascript with a tab", "java\tscript:alert(1)", "F14"},
	{"javascript with a line end", "java\r\nscript:alert(1)", "F14"},
	{"data", "data:text/html,x", "F14"},
	{"vbscript", "vbscript:x", "F14"},
	{"file", "file:///etc/passwd", "F14"},
	{"blob", "blob:https://client.example.com/1", "F14"},
	{"about", "about:blank", "F14"},
	{"filesystem", "filesystem:https://client.example.com/x", "F14"},
	{"view-source", "view-source:https://client.example.com/", "F14"},
	{"X8 no period", "myapp://cb", "X8"},
	{"X8 no period, one slash", "myapp:/cb", "X8"},
	{"X8 empty label", "com..app:/cb", "X8"},
	{"X8 period last", "javascript.:/cb", "X8"},
	{"X8 no slash", "com.example.app:cb", "X8"},
	{"X8 nothing after the scheme", "com.example.app:", "X8"},
	{"host and port without scheme", "client.example.com:8080/cb", "X8"},
	{"urn", "urn:ietf:wg:oauth:2.0:oob", "X8"},
	{"M15 iss", "https://client.example.com/cb?iss=https%3A%2F%2Fevil.example", "M15"},
	{"M15 state behind another", "https://client.example.com/cb?a=1&state=x", "M15"},
	{"M15 code without a value", "http://127.0.0.1/cb?code", "M15"},
	{"M15 error, escaped", "https://client.example.com/cb?%65rror=x", "M15"},
	{"M15 error_uri of a private scheme", "com.example.app:/cb?error_uri=x", "M15"},
	{"bad scheme", "1com.example:/cb", "A1"},
	{"escape in scheme", "com%2eexample:/cb", "A1"},
	{"too long", "https://client.example.com/" + strings.Repeat("a", 2048), "U9"},
}

func TestClassifyRedirectRefuses(t *testing.T) {
	id := mustParse(t, "https://client.example.com/x")
	for _, c := range unregistrable {
		t.Run(c.name, func(t *testing.T) {
			got, err := cimd.ClassifyRedirect(c.uri, id)
			if err == nil {
				t.Fatalf("ClassifyRedirect(%q) = %+v, want rule %s", c.uri, got, c.rule)
			}
			if e := failure(t, err); e.Rule != c.rule || e.Reason != "document_redirects_invalid" {
				t.Errorf("ClassifyRedirect(%q) = %v, want rule %s", c.uri, e, c.rule)
			}
		})
	}
}

func TestMatchRedirectNeverMatchesWhatIsUnregistrable(t *testing.T) {
	for _, c := range unregistrable {
		for _, requested := range []*string{&c.uri, nil} {
			if uri, reg, ok := cimd.MatchRedirect([]string{c.uri}, requested); ok || uri != "" || reg != "" {
				t.Errorf("%s: MatchRedirect(%q, itself) = %q, %q, %v, want no match", c.name, c.uri, uri, reg, ok)
			}
		}
	}
}

func TestMatchRedirect(t *testing.T) {
	const v4, v6, name = "http://127.0.0.1/callback", "http://[::1]/callback", "http://localhost/callback"
	for _, c := range []struct {
		name, registered, requested string
		want                        bool
	}{
		{"B21 v4 any port", v4, "http://127.0.0.1:1/callback", true},
		{"B21 v4 highest port", v4, "http://127.0.0.1:65535/callback", true},
		{"B21 v6 any port", v6, "http://[::1]:5000/callback", true},
		{"B21 localhost any port", name, "http://localhost:5000/callback", true},
		{"B21 localhost fixed port", "http://localhost:3000/callback", "http://localhost:5000/callback", true},
		{"B21 same query", name + "?a=1", "http://localhost:5000/callback?a=1", true},
		{"B21 empty query on both", name + "?", "http://localhost:5000/callback?", true},
		{"B21 escape kept", "http://localhost/call%20back", "http://localhost:5000/call%20back", true},
		{"B21 no path on both", "http://localhost", "http://localhost:5000", true},
		{"D empty query", v4, "http://127.0.0.1:5000/callback?", false},
		{"D empty query registered", v4 + "?", "http://127.0.0.1:5000/callback", false},
		{"D empty fragment", v4, "http://127.0.0.1:5000/callback#", false},
		{"D fragment", v4, "http://127.0.0.1:5000/callback#f", false},
		{"D escaped path", v4, "http://127.0.0.1:5000/%63allback", false},
		{"D userinfo", v4, "http://evil@127.0.0.1:49152/callback", false},
		{"D userinfo and password", v4, "http://u:p@127.0.0.1:5000/callback", false},
		{"D userinfo like a host", v4, "http://client.example.com@127.0.0.1:5000/callback", false},
		{"D userinfo like a loopback host", v4, "http://127.0.0.1:5000@evil.example/callback", false},
		{"D registered https", "https://127.0.0.1/callback", "http://127.0.0.1:5000/callback", false},
		{"D registered private scheme", "com.example.app://127.0.0.1/callback", "http://127.0.0.1:5000/callback", false},
		{"D requested https", v4, "https://127.0.0.1:5000/callback", false},
		{"D port 0", v4, "http://127.0.0.1:0/callback", false},
		{"D port 99999", v4, "http://127.0.0.1:99999/callback", false},
		{"D port 65536", v4, "http://127.0.0.1:65536/callback", false},
		{"D port empty", v4, "http://127.0.0.1:/callback", false},
		{"D port 080", v4, "http://127.0.0.1:080/callback", false},
		{"D port of other digits", v4, "http://127.0.0.1:８０/callback", false},
		{"D empty value", v4, "", false},
		{"D empty value registered", "", "", false},
		{"D other loopback address", v4, "http://127.0.0.2:5000/callback", false},
		{"D v6 for v4", v4, "http://[::1]:5000/callback", false},
		{"D long v6", v6, "http://[0:0:0:0:0:0:0:1]:5000/callback", false},
		{"D v6 zone", v6, "http://[::1%25lo]:5000/callback", false},
		{"D localhost capitals", name, "http://LocalHost:5000/callback", false},
		{"D localhost trailing dot", name, "http://localhost.:5000/callback", false},
		{"D name below localhost", name, "http://a.localhost:5000/callback", false},
		{"D path case", name, "http://localhost:5000/Callback", false},
		{"D trailing slash", name, "http://localhost:5000/callback/", false},
		{"D dot segment", name, "http://localhost:5000/x/../callback", false},
		{"D backslash", name, `http://localhost:5000\callback`, false},
		{"D scheme capitals", name, "HTTP://localhost:5000/callback", false},
		{"D decimal loopback", v4, "http://2130706433:5000/callback", false},
		{"A1 https port not free", "https://a.example/cb", "https://a.example:8443/cb", false},
		{"A1 https localhost port not free", "https://localhost/cb", "https://localhost:8443/cb", false},
		{"A1 https equal", "https://a.example:8443/cb?x=%41", "https://a.example:8443/cb?x=%41", true},
		{"A1 escape of another case", "https://a.example/cb%2f", "https://a.example/cb%2F", false},
		{"A1 trailing space", "https://a.example/cb", "https://a.example/cb ", false},
		{"A1 private scheme equal", "com.example.app://h/cb", "com.example.app://h/cb", true},
		{"A1 private scheme of another case", "com.example.app:/cb", "com.Example.app:/cb", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			registered := []string{"https://first.example/cb", c.registered, "https://last.example/cb"}
			uri, reg, ok := cimd.MatchRedirect(registered, &c.requested)
			if ok != c.want {
				t.Fatalf("MatchRedirect(%q, %q) = %v, want %v", c.registered, c.requested, ok, c.want)
			}
			if ok && (uri != c.requested || reg != c.registered) {
				t.Errorf("MatchRedirect(%q, %q) = %q, %q", c.registered, c.requested, uri, reg)
			}
			if !ok && (uri != "" || reg != "") {
				t.Errorf("no match gives %q, %q", uri, reg)
			}
		})
	}
}

func TestMatchRedirectPrefersEqualBytes(t *testing.T) {
	registered := []string{"http://localhost/cb", "http://localhost:5000/cb"}
	if _, reg, ok := cimd.MatchRedirect(registered, &registered[1]); !ok || reg != registered[1] {
		t.Errorf("MatchRedirect(%q, %q) matches %q, want the equal entry", registered, registered[1], reg)
	}
}

func TestMatchRedirectAbsent(t *testing.T) {
	for _, c := range []struct {
		name       string
		registered []string
		want       string
	}{
		{"one", []string{"http://localhost:3000/cb"}, "http://localhost:3000/cb"},
		{"none", nil, ""},
		{"two", []string{"https://a.example/cb", "https://a.example/cb2"}, ""},
		{"twice the same", []string{"https://a.example/cb", "https://a.example/cb"}, ""},
	} {
		uri, reg, ok := cimd.MatchRedirect(c.registered, nil)
		if ok != (c.want != "") || uri != c.want || reg != c.want {
			t.Errorf("%s: MatchRedirect(%q, nil) = %q, %q, %v, want %q", c.name, c.registered, uri, reg, ok, c.want)
		}
	}
}
