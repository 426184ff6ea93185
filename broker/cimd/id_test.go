package cimd_test

import (
	"reflect"
	"strings"
	"testing"

	"guestlist/broker/cimd"
)

func TestParseRefuses(t *testing.T) {
	long := "https://client.example.com/" + strings.Repeat("a", 2048)
	label64 := strings.Repeat("a", 64)
	for _, c := range []struct{ name, in, rule string }{
		{"U1 no scheme", "client.example.com/x", "U1"},
		{"U1 http", "http://client.example.com/x", "U1"},
		{"U1 mixed case scheme", "Https://client.example.com/x", "U1"},
		{"U1 wss", "wss://client.example.com/x", "U1"},
		{"U1 scheme relative", "//client.example.com/x", "U1"},
		{"U1 three slashes", "https:///client.example.com/x", "U1"},
		{"U1 host only port", "https://:8443/x", "U1"},
		{"U2 colon only userinfo", "https://:@client.example.com/x", "U2"},
		{"U2 escaped host in userinfo", "https://claude.ai%2F@evil.example/x", "U2"},
		{"U4 no path before port", "https://client.example.com:443", "U4"},
		{"U4 empty query", "https://client.example.com?", "U4"},
		{"U5 encoded mixed case", "https://client.example.com/a/%2E%2e/x", "U5"},
		{"U5 leading", "https://client.example.com/..", "U5"},
		{"U5 single by encoded slash", "https://client.example.com/a%2F.%2Fx", "U5"},
		{"U5 double by lower encoded slash", "https://client.example.com/a%2f../x", "U5"},
		{"U5 by encoded backslash", "https://client.example.com/a/..%5Cx", "U5"},
		{"U5 all encoded", "https://client.example.com/a%2F%2E%2E%2Fx", "U5"},
		{"U7 fragment in query", "https://client.example.com/x?a#b", "U7"},
		{"U9 2049 octets", long[:2049], "U9"},
		{"U13 overlong dots", "https://client.example.com/%c0%ae%c0%ae/x", "U13"},
		{"U13 overlong slash", "https://client.example.com/..%c0%afx", "U13"},
		{"U13 encoded newline", "https://client.example.com/a%0Ab", "U13"},
		{"U13 encoded delete", "https://client.example.com/a%7fb", "U13"},
		{"U13 encoded nul in query", "https://client.example.com/a?x=%00", "U13"},
		{"U13 bad escape in query", "https://client.example.com/a?x=%g1", "U13"},
		{"U13 lone percent", "https://client.example.com/100%", "U13"},
		{"U13 percent in host", "https://client%2Eexample.com/x", "U13"},
		{"U13 underscore", "https://my_client.example.com/x", "U13"},
		{"U13 hyphen first", "https://-client.example.com/x", "U13"},
		{"U13 hyphen last", "https://client-.example.com/x", "U13"},
		{"U13 empty label", "https://client..example.com/x", "U13"},
		{"U13 leading dot", "https://.example.com/x", "U13"},
		{"U13 label of 64", "https://" + label64 + ".example.com/x", "U13"},
		{"U13 host of 254", "https://" + strings.Repeat("aaaaaaaaa.", 25) + "abcd/x", "U13"},
		{"U13 full width digits", "https://１２７.0.0.1/x", "U13"},
		{"U13 ideographic full stop", "https://client。example.com/x", "U13"},
		{"U13 zero width space", "https://client.exam\u200bple.com/x", "U13"},
		{"U13 invalid UTF-8", "https://client.example.com/\xff", "U13"},
		{"U13 delete", "https://client.example.com/\x7f", "U13"},
		{"U13 NUL", "https://client.example.com/\x00", "U13"},
		{"U13 carriage return", "https://client.example.com/x\r", "U13"},
		{"U13 vertical bar", "https://client.example.com/a|b", "U13"},
		{"U13 caret", "https://client.example.com/a^b", "U13"},
		{"U13 backtick", "https://client.example.com/`", "U13"},
		{"U13 braces", "https://client.example.com/{id}", "U13"},
		{"U13 bracket in path", "https://client.example.com/[a]", "U13"},
		{"U13 bracket in query", "https://client.example.com/a?x[]=1", "U13"},
		{"U13 backslash as slash", `https:\\client.example.com\x`, "U13"},
		{"U13 port with zero", "https://client.example.com:080/x", "U13"},
		{"U13 port 65536", "https://client.example.com:65536/x", "U13"},
		{"U13 port with sign", "https://client.example.com:+443/x", "U13"},
		{"U13 negative port", "https://client.example.com:-1/x", "U13"},
		{"U13 hex port", "https://client.example.com:0x50/x", "U13"},
		{"U13 port with underscore", "https://client.example.com:4_43/x", "U13"},
		{"U13 huge port", "https://client.example.com:99999999999999999999/x", "U13"},
		{"U13 unclosed bracket", "https://[::1/x", "U13"},
		{"U13 text after bracket", "https://[::1]a/x", "U13"},
		{"F11 octal address", "https://0177.0.0.01/x", "F11"},
		{"F11 hex in last label", "https://1.2.3.0x4/x", "F11"},
		{"F11 bare 0x", "https://client.0x/x", "F11"},
		{"F11 numeric last label", "https://client.example.123/x", "F11"},
		{"F11 broadcast", "https://255.255.255.255/x", "F11"},
		{"F11 v4 with port", "https://127.0.0.1:8443/x", "F11"},
		{"F11 v6 with port", "https://[::1]:8443/x", "F11"},
		{"F11 v4 compatible", "https://[::127.0.0.1]/x", "F11"},
		{"F11 address of the future", "https://[v1.fe80::a+en1]/x", "F11"},
		{"F11 localhost with port", "https://localhost:8443/x", "F11"},
		{"F11 deep localhost", "https://a.b.localhost/x", "F11"},
	} {
		t.Run(c.name, func(t *testing.T) {
			id, err := cimd.Parse(c.in)
			if err == nil {
				t.Fatalf("Parse(%q) = %v, want rule %s", c.in, id, c.rule)
			}
			if e := failure(t, err); e.Rule != c.rule || e.Reason != "client_id_malformed" {
				t.Errorf("Parse(%q) = %v, want rule %s", c.in, e, c.rule)
			}
			if !reflect.DeepEqual(id, cimd.ID{}) {
				t.Errorf("Parse(%q) gives %v beside its error", c.in, id)
			}
		})
	}
}

func TestParseParts(t *testing.T) {
	type parts struct {
		Host, Port, Path, Query string
		HasQuery                bool
		Segments, Warnings      []string
		Origin, Domain          string
		Parents                 []string
	}
	none := []string{}
	for _, c := range []struct {
		name, in string
		want     parts
	}{
		{"plain", "https://client.example.com/oauth/client.json",
			parts{"client.example.com", "", "/oauth/client.json", "", false, []string{"oauth", "client.json"}, none,
				"https://client.example.com", "example.com", []string{"example.com"}}},
		{"U3 port", "https://example.com:8443/x",
			parts{"example.com", "8443", "/x", "", false, []string{"x"}, []string{"port"},
				"https://example.com:8443", "example.com", none}},
		{"U6 U11 query on the root", "https://example.com/?a=/../?",
			parts{"example.com", "", "/", "a=/../?", true, []string{""}, []string{"query", "root_path"},
				"https://example.com", "example.com", none}},
		{"U6 empty query", "https://example.com/x/?",
			parts{"example.com", "", "/x/", "", true, []string{"x", ""}, []string{"query"},
				"https://example.com", "example.com", none}},
		{"deep with private suffix", "https://a.b.nousresearch.github.io//%7Ex",
			parts{"a.b.nousresearch.github.io", "", "//%7Ex", "", false, []string{"", "%7Ex"}, []string{"percent_encoding", "empty_segment"},
				"https://a.b.nousresearch.github.io", "nousresearch.github.io", []string{"b.nousresearch.github.io", "nousresearch.github.io"}}},
		{"A-label", "https://xn--bcher-kva.example/x",
			parts{"xn--bcher-kva.example", "", "/x", "", false, []string{"x"}, []string{"punycode"},
				"https://xn--bcher-kva.example", "xn--bcher-kva.example", none}},
		{"host is a private suffix", "https://github.io/x",
			parts{"github.io", "", "/x", "", false, []string{"x"}, []string{"public_suffix"}, "https://github.io", "", none}},
		{"host is a suffix of two labels", "https://co.uk/x",
			parts{"co.uk", "", "/x", "", false, []string{"x"}, []string{"public_suffix"}, "https://co.uk", "", none}},
		{"suffix of two labels", "https://www.shop.example.co.uk/x",
			parts{"www.shop.example.co.uk", "", "/x", "", false, []string{"x"}, none,
				"https://www.shop.example.co.uk", "example.co.uk", []string{"shop.example.co.uk", "example.co.uk"}}},
		{"RFC 3986 path characters", "https://example.com/@a:b;c=1!$&'()*+,=~",
			parts{"example.com", "", "/@a:b;c=1!$&'()*+,=~", "", false, []string{"@a:b;c=1!$&'()*+,=~"}, none,
				"https://example.com", "example.com", none}},
		{"escape decoded once only", "https://example.com/%252e%252e/x",
			parts{"example.com", "", "/%252e%252e/x", "", false, []string{"%252e%252e", "x"}, []string{"percent_encoding"},
				"https://example.com", "example.com", none}},
		{"escaped slash stays one segment", "https://example.com/a%2Fb",
			parts{"example.com", "", "/a%2Fb", "", false, []string{"a%2Fb"}, []string{"percent_encoding"},
				"https://example.com", "example.com", none}},
		{"reserved hyphens", "https://r3---sn.example.com/x",
			parts{"r3---sn.example.com", "", "/x", "", false, []string{"x"}, none,
				"https://r3---sn.example.com", "example.com", []string{"example.com"}}},
		{"localhost inside a name", "https://localhost.example.com/x",
			parts{"localhost.example.com", "", "/x", "", false, []string{"x"}, none,
				"https://localhost.example.com", "example.com", []string{"example.com"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			id := mustParse(t, c.in)
			got := parts{id.Host, id.Port, id.Path, id.Query, id.HasQuery, id.Segments, id.Warnings, id.Origin(), id.RegistrableDomain(), id.Parents()}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("Parse(%q) = %+v, want %+v", c.in, got, c.want)
			}
			if got := strings.Join(id.Labels(), "."); got != id.Host {
				t.Errorf("Labels of %q join to %q", id.Host, got)
			}
			if id.String() != c.in {
				t.Errorf("String() = %q, want %q", id.String(), c.in)
			}
		})
	}
}

func TestParseBoundaries(t *testing.T) {
	at2048 := "https://client.example.com/" + strings.Repeat("a", 2048-len("https://client.example.com/"))
	host253 := strings.Repeat("aaaaaaaaa.", 25) + "abc"
	for _, in := range []string{
		at2048,
		"https://" + host253 + "/x",
		"https://" + strings.Repeat("a", 63) + ".example/x",
		"https://example.com:1/x", "https://example.com:65535/x",
	} {
		if _, err := cimd.Parse(in); err != nil {
			t.Errorf("U9 U13 Parse(%q) = %v, want valid", in, err)
		}
	}
	if _, err := cimd.Parse(at2048 + "a"); err == nil {
		t.Error("U9 Parse of 2049 octets = nil, want an error")
	}
}

func TestLooksLikeURL(t *testing.T) {
	for in, want := range map[string]bool{
		"https://c.example/x":                             true,
		"http://c.example/x":                              true,
		"HTTPS://c.example/x":                             true,
		"https:/c.example":                                true,
		"https:c.example":                                 true,
		" https://c.example/x":                            true,
		"\nhttps:c.example":                               true,
		"client-id-metadata-document:https://c.example/x": true,
		"ftp://c.example":                                 true,
		"s6BhdRkqt3":                                      false,
		"":                                                false,
		"https":                                           false,
		"my-client:web":                                   false,
		"c.example/x":                                     false,
	} {
		if got := cimd.LooksLikeURL(in); got != want {
			t.Errorf("LooksLikeURL(%q) = %v, want %v", in, got, want)
		}
	}
}
