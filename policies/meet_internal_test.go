package policies

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"guestlist/broker"
)

// values are what a member can be written as, a few of each kind.
var values = map[string][]string{
	"scopes.ceiling": {`[]`, `["a"]`, `["b"]`, `["a","b"]`, `["b","a","c"]`}, "scopes.default": {`[]`, `["a"]`, `["b","a"]`},
	"scopes.unknown": {`"drop"`, `"reject"`}, "scopes.document": {`"advisory"`, `"intersect"`},
	"grant_types": {`[]`, `["authorization_code"]`, `["authorization_code","refresh_token"]`}, "response_types": {`["code"]`, `["code","x"]`},
	"token_endpoint_auth_methods": {`["none"]`, `["private_key_jwt"]`, `["private_key_jwt","none"]`},
	"redirect.relation":           {`"same_origin"`, `"same_site"`, `"cross_site"`},
	"redirect.hosts":              {`null`, `[]`, `["a.example"]`, `["b.example","a.example"]`},
	"consent.mode":                {`"always"`, `"once"`, `"skip"`, `"approval"`}, "access_token.format": {`"jwt"`, `"opaque"`},
	"document.max_bytes": {`1`, `5120`, `65536`}, "document.on_change": {`"accept"`, `"reconsent"`, `"reapprove"`, `"deny"`},
	"document.profile": {`"mcp"`, `"cimd"`}, "require.pkce": {`true`}, "require.acr": {`[]`, `["x"]`, `["y","x"]`},
	"require.groups": {`[]`, `["eng"]`, `["ops","eng"]`}, "audiences": {`null`, `[]`, `["https://a.example"]`, `["https://b.example","https://a.example"]`},
	"network.allow_cidrs":  {`[]`, `["10.0.0.0/8"]`, `["10.1.0.0/16","192.168.0.0/16"]`, `["10.1.2.0/24","fd00::/8"]`},
	"network.egress_proxy": {`""`, `"http://p.example"`, `"http://q.example"`},
	"device":               {`{}`, `{"a":1}`}, "claims": {`{}`, `{"t":1}`, `{"t":2,"u":1}`}, "tags": {`[]`, `["x"]`, `["y","x"]`},
	"on_policy_change": {`"revoke"`, `"stop_refresh"`, `"keep"`},
}

// written draws settings as somebody could write them.
func written(t *rapid.T, label string) partial {
	out := partial{}
	for _, m := range members {
		if !rapid.Bool().Draw(t, label+" has "+m.path) {
			continue
		}
		choices := values[m.path]
		switch m.value(&broker.Settings{}).(type) {
		case bool:
			if choices == nil {
				choices = []string{`true`, `false`}
			}
		case broker.Duration:
			choices = []string{`"1s"`, `"30s"`, `"60s"`}
		}
		if choices == nil {
			t.Fatalf("member %s has no values to draw", m.path)
		}
		v, err := decodeJSON(numbers(rapid.SampledFrom(choices).Draw(t, label+" "+m.path)), 0)
		if err != nil {
			t.Fatal(err)
		}
		if out[m.path], err = m.read(v); err != nil {
			t.Fatalf("%s: %v", m.path, err)
		}
	}
	return out
}

// allows lists what settings permit, as facts of which a narrower set of
// settings has no more. It is written apart from the meets on purpose.
func allows(tm terms) map[string]bool {
	s, out := tm.Settings, map[string]bool{}
	has := func(name string, list []string) {
		for _, v := range list {
			out[name+"="+v] = true
		}
	}
	upTo := func(name, word string, narrowFirst ...string) {
		has(name, narrowFirst[:slices.Index(narrowFirst, word)+1])
	}
	flag := func(name string, on bool) {
		if on {
			out[name] = true
		}
	}
	most := func(name string, n int64, steps ...int64) {
		for _, v := range steps {
			flag(fmt.Sprintf("%s>=%d", name, v), n >= v)
		}
	}
	has("ceiling", s.Scopes.Ceiling)
	has("default", s.Scopes.Default)
	has("grant", s.GrantTypes)
	has("response", s.ResponseTypes)
	for _, offered := range [][]string{{"none"}, {"private_key_jwt"}, {"none", "private_key_jwt"}} {
		c := tm
		c.narrowMethods(offered)
		for _, m := range offered {
			// An empty list means the strongest that is offered.
			strongest := len(c.TokenEndpointAuthMethods) == 0 && m == offered[len(offered)-1]
			flag(fmt.Sprintf("method %v %s", offered, m), c.conflict == "" && (strongest || slices.Contains(c.TokenEndpointAuthMethods, m)))
		}
	}
	upTo("relation", s.Redirect.Relation, "same_origin", "same_site", "cross_site")
	upTo("consent", s.Consent.Mode, "approval", "always", "once", "skip")
	upTo("on_change", s.Document.OnChange, "deny", "reapprove", "reconsent", "accept")
	upTo("profile", s.Document.Profile, "mcp", "cimd")
	upTo("change", s.OnPolicyChange, "revoke", "stop_refresh", "keep")
	upTo("scope document", s.Scopes.Document, "intersect", "advisory")
	flag("not opaque", s.AccessToken.Format != "opaque")
	flag("proxy "+s.Network.EgressProxy, s.Network.EgressProxy != "")
	for _, h := range []string{"a.example", "b.example", "c.example"} {
		flag("host "+h, s.Redirect.Hosts == nil || slices.Contains(s.Redirect.Hosts, h))
		flag("audience "+h, s.Audiences == nil || slices.Contains(s.Audiences, "https://"+h))
	}
	for name, on := range map[string]bool{"loopback": s.Redirect.Loopback, "private": s.Redirect.PrivateScheme, "refresh": s.RefreshToken.Issue,
		"query": s.Document.AllowQuery, "compat": s.Compat.TokenEndpointAudience, "foreign jwks": !s.JWKS.SameOrigin, "foreign display": !s.Display.SameOrigin,
		"no pkce": !s.Require.PKCE, "no par": !s.Require.PAR, "no dpop": !s.Require.DPoP, "no auth": !s.Require.ClientAuth, "no jar": !s.Require.SignedRequest, "replay": !s.ReplayPrevention} {
		flag(name, on)
	}
	for name, d := range map[string]broker.Duration{"max_age": s.Consent.MaxAge, "ttl": s.AccessToken.TTL, "rttl": s.RefreshToken.TTL, "idle": s.RefreshToken.Idle,
		"grace": s.RefreshToken.Grace, "client": s.ClientTTL, "floor": s.Document.TTLFloor, "ceil": s.Document.TTLCeiling, "stale": s.Document.StaleIfError, "refresh age": s.Document.MaxAgeForRefresh} {
		most(name, int64(d), 1e9, 10e9, 30e9, 60e9, 100e9)
	}
	most("bytes", s.Document.MaxBytes, 1, 5120, 65536)
	for _, acr := range [][]string{{}, {"x"}, {"y"}, {"x", "y"}} {
		flag(fmt.Sprintf("acr %v", acr), !slices.ContainsFunc(s.Require.ACR, func(v string) bool { return !slices.Contains(acr, v) }))
	}
	for _, person := range [][]string{{}, {"eng"}, {"ops"}, {"ops", "eng"}} {
		flag(fmt.Sprintf("person %v", person), tm.lacksGroup(person) == nil)
	}
	for _, addr := range []string{"10.1.2.3", "10.1.9.9", "10.200.0.1", "192.168.1.1", "fd00::1"} {
		flag("dial "+addr, slices.ContainsFunc(s.Network.AllowCIDRs, func(p string) bool { return prefixHolds(t0(p), addr) }))
	}
	return out
}

// A meet never allows what one of its sides does not (design §4).
func TestMeetNeverWidens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, by := complete(written(t, "a"), written(t, "defaults")), complete(written(t, "b"), nil), written(t, "by")
		both := a
		both.meet(b, "b")
		for fact := range allows(both) {
			if !allows(a)[fact] || !allows(b)[fact] {
				t.Fatalf("the meet allows %s, which a side does not: %+v", fact, both)
			}
		}
		bounded := a
		bounded.bound(by, "by")
		for fact := range allows(bounded) {
			if !allows(a)[fact] {
				t.Fatalf("bounding allows %s, which was not allowed before: %+v", fact, bounded)
			}
		}
		for fact := range allows(bounded) {
			// What the bound names, it bounds: completed by the widest of the rest.
			if wide := widest(by); !allows(wide)[fact] && (by["network.egress_proxy"] != nil || !strings.HasPrefix(fact, "proxy ")) {
				t.Fatalf("%s is beyond the bound %v", fact, by)
			}
		}
	})
}

func TestMeetIsCommutativeAndIdempotent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := complete(written(t, "a"), nil), complete(written(t, "b"), nil)
		ab, ba, aa := a, b, a
		ab.meet(b, "x")
		ba.meet(a, "x")
		aa.meet(a, "x")
		if x, y := asJSON(t, ab), asJSON(t, ba); x != y || (ab.conflict == "") != (ba.conflict == "") || ab.strongest != ba.strongest {
			t.Fatalf("a meets b = %s\nb meets a = %s", x, y)
		}
		if x, y := allows(aa), allows(a); !reflect.DeepEqual(x, y) {
			t.Fatalf("a meets a allows %v\na allows %v", x, y)
		}
		again := ab
		again.meet(b, "x")
		if ab.conflict != "" {
			if again.conflict == "" {
				t.Fatalf("meeting again heals the conflict %q", ab.conflict)
			}
			return
		}
		if x, y := asJSON(t, again), asJSON(t, ab); x != y {
			t.Fatalf("meeting again changes %s to %s", y, x)
		}
	})
}

// widest are terms that allow everything but what by bounds.
func widest(by partial) terms {
	t := terms{Settings: broker.StrictSettings()}
	for _, m := range members {
		if v, ok := by[m.path]; ok {
			m.put(&t.Settings, v)
			continue
		}
		var wide string
		switch m.path {
		case "scopes.ceiling", "scopes.default":
			wide = `["a","b","c"]`
		case "grant_types":
			wide = `["authorization_code","refresh_token"]`
		case "response_types":
			wide = `["code","x"]`
		case "token_endpoint_auth_methods":
			wide = `["none","private_key_jwt"]`
		case "network.allow_cidrs":
			wide = `["10.0.0.0/8","192.168.0.0/16","fd00::/8"]`
		case "redirect.relation":
			wide = `"cross_site"`
		case "consent.mode":
			wide = `"skip"`
		case "document.on_change":
			wide = `"accept"`
		case "document.profile":
			wide = `"cimd"`
		case "document.max_bytes":
			wide = `65536`
		case "on_policy_change":
			wide = `"keep"`
		}
		switch m.value(&broker.Settings{}).(type) {
		case bool:
			narrow := m.path == "replay_prevention" || m.path[:4] == "requ" || m.path[:4] == "jwks" || m.path[:4] == "disp"
			m.put(&t.Settings, !narrow)
			if m.path == "require.pkce" {
				m.put(&t.Settings, true)
			}
		case broker.Duration:
			m.put(&t.Settings, broker.Duration(1e18))
		default:
			if wide != "" {
				v, _ := decodeJSON(numbers(wide), 0)
				read, err := m.read(v)
				if err != nil {
					panic(err)
				}
				m.put(&t.Settings, read)
			}
		}
	}
	if g := by.strings("require.groups"); len(g) > 0 {
		t.groups = [][]string{g}
	}
	return t
}

func asJSON(t *rapid.T, tm terms) string {
	b, err := json.Marshal(tm.Settings)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Every field of Settings is in the table once, under its JSON name, so that
// nothing can be decoded and then forgotten by a meet.
func TestMembersCoverSettings(t *testing.T) {
	var want []string
	var walk func(typ reflect.Type, prefix string)
	walk = func(typ reflect.Type, prefix string) {
		for i := range typ.NumField() {
			f := typ.Field(i)
			path := prefix + jsonName(f)
			if f.Type.Kind() == reflect.Struct {
				walk(f.Type, path+".")
				continue
			}
			want = append(want, path)
		}
	}
	walk(reflect.TypeFor[broker.Settings](), "")
	var have []string
	for _, m := range members {
		have = append(have, m.path)
	}
	slices.Sort(want)
	slices.Sort(have)
	if !slices.Equal(have, want) {
		t.Errorf("the table has %v\nSettings has %v", have, want)
	}
	// The getter and setter of a path touch the member of that JSON name.
	for _, m := range members {
		s := broker.StrictSettings()
		before := flat(t, s)
		mark := m.value(&s)
		switch v := mark.(type) {
		case bool:
			mark = !v
		case string:
			mark = "mark"
		case []string:
			mark = []string{"mark"}
		case broker.Duration:
			mark = broker.Duration(7e9)
		case int64:
			mark = int64(7)
		case map[string]any:
			mark = map[string]any{"mark": true}
		}
		m.put(&s, mark)
		after := flat(t, s)
		for path := range after {
			if changed := !reflect.DeepEqual(before[path], after[path]); changed != (path == m.path) {
				t.Errorf("member %s changes %s: %v", m.path, path, changed)
			}
		}
	}
}
