package policies

import (
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"guestlist/broker"
	"guestlist/broker/cimd"
)

// The meet of terms is associative, so that the order in which policies, rows,
// guardrails and maxima bound a client does not matter.
func TestMeetIsAssociative(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := complete(written(t, "a"), nil), complete(written(t, "b"), nil), complete(written(t, "c"), nil)
		left, right := a, b
		left.meet(b, "b")
		left.meet(c, "c")
		right.meet(c, "c")
		other := a
		other.meet(right, "b and c")
		if (left.conflict == "") != (other.conflict == "") || left.conflict == "" && left.strongest != other.strongest {
			t.Fatalf("(a, b), c: conflict %q, strongest %v; a, (b, c): %q, %v", left.conflict, left.strongest, other.conflict, other.strongest)
		}
		if x, y := allows(left), allows(other); !reflect.DeepEqual(x, y) {
			t.Fatalf("(a, b), c allows %v\na, (b, c) allows %v", x, y)
		}
		if x, y := asJSON(t, left), asJSON(t, other); left.conflict == "" && x != y {
			t.Fatalf("(a, b), c = %s\na, (b, c) = %s", x, y)
		}
	})
}

// unordered are members of which no value allows more than another.
var unordered = map[string]string{
	"require.pkce":   "has one value",
	"scopes.unknown": "drop and reject grant the same scopes",
}

// Every member of settings that can be bounded has an order that the
// properties of the meet look at: a new one without it fails here.
func TestEveryMemberHasAnOrder(t *testing.T) {
	for _, m := range members {
		why, known := unordered[m.path]
		if slices.Contains(unmet, m.path) {
			why, known = "cannot be bounded", true
		}
		ordered := false
		var all []map[string]bool
		for _, v := range choices(t, m) {
			p := partial{m.path: v}
			if m.path == "scopes.default" {
				p["scopes.ceiling"] = []string{"a", "b", "c"}
			}
			all = append(all, allows(complete(p, nil)))
		}
		for _, x := range all {
			for _, y := range all {
				ordered = ordered || !reflect.DeepEqual(x, y)
			}
		}
		if ordered == known {
			t.Errorf("member %s: ordered %v; listed as without order: %q", m.path, ordered, why)
		}
	}
}

// choices are the values to draw of one member.
func choices(t *testing.T, m member) []any {
	t.Helper()
	texts := values[m.path]
	switch m.value(&broker.Settings{}).(type) {
	case bool:
		if texts == nil {
			texts = []string{`true`, `false`}
		}
	case broker.Duration:
		texts = []string{`"1s"`, `"60s"`}
	}
	if len(texts) == 0 {
		t.Fatalf("member %s has no values to draw", m.path)
	}
	var out []any
	for _, text := range texts {
		v, err := decodeJSON(numbers(text), 0)
		if err == nil {
			v, err = m.read(v)
		}
		if err != nil {
			t.Fatalf("%s: %v", m.path, err)
		}
		out = append(out, v)
	}
	return out
}

// some draws a few of the words.
func some(t *rapid.T, label string, words ...string) []string {
	out := []string{}
	for _, w := range words {
		if rapid.Bool().Draw(t, label+" "+w) {
			out = append(out, w)
		}
	}
	return out
}

// A document never gets more than the settings allow, whatever it asks for,
// and no more once they are bounded (PF-39, CU-03).
func TestDocumentNeverWidens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		terms := complete(written(t, "policy"), written(t, "defaults"))
		doc := cimd.Document{
			ClientID: "https://a.example/c", GrantTypes: some(t, "grant", "authorization_code", "refresh_token", "client_credentials"),
			ResponseTypes: some(t, "response", "code", "x", "token"), AuthMethodsSupported: some(t, "method", "none", "private_key_jwt"),
		}
		if rapid.Bool().Draw(t, "scope") {
			scope := "a b c d"
			doc.Scope = &scope
		}
		in := broker.Input{Request: broker.RequestInput{Scopes: some(t, "asked", "a", "b", "c", "d"), Resources: some(t, "resource", "https://a.example", "https://b.example")}}
		for _, r := range []cimd.Redirect{{URI: "https://a.example/cb", Kind: "https", Host: "a.example", Relation: "same_origin"}, {URI: "https://b.example/cb", Kind: "https", Host: "b.example", Relation: "cross_site"},
			{URI: "http://127.0.0.1/cb", Kind: "loopback", Host: "127.0.0.1", Relation: "cross_site"}, {URI: "app:/cb", Kind: "private_scheme", Relation: "cross_site"}} {
			if rapid.Bool().Draw(t, r.URI) {
				in.Redirects = append(in.Redirects, r)
			}
		}
		offer := broker.Offer{GrantTypes: []string{"authorization_code", "refresh_token"}, ResponseTypes: []string{"code", "x"}, AuthMethods: []string{"private_key_jwt", "none"},
			Resources: []broker.Resource{{ID: "https://a.example", Name: "a"}, {ID: "https://b.example", Name: "b"}}}
		before := given(terms, in, doc, offer)
		for fact := range before {
			if allowed, ok := within(terms, fact); ok && !allowed {
				t.Fatalf("the document gets %v, beyond the settings %s", fact, asJSON(t, terms))
			}
		}
		bounded := terms
		bounded.bound(written(t, "bound"), "the bound")
		for fact := range given(bounded, in, doc, offer) {
			if !before[fact] {
				t.Fatalf("bounding gives %v, which was not given before:\n%s\n%s", fact, asJSON(t, terms), asJSON(t, bounded))
			}
		}
	})
}

// gift is one thing that a negotiation gives.
type gift struct{ member, value string }

// given lists what a client gets, nothing where it is refused.
func given(tm terms, in broker.Input, doc cimd.Document, offer broker.Offer) map[gift]bool {
	tm.narrowMethods(doc.AuthMethods())
	n := broker.Negotiate(tm.Settings, in, doc, offer)
	out := map[gift]bool{}
	if tm.conflict != "" || n.Err != nil {
		return out
	}
	for member, list := range map[string][]string{"scope": n.Effective.Scopes, "grant": n.Effective.GrantTypes, "response": n.Effective.ResponseTypes,
		"method": n.Effective.AuthMethods, "resource": n.Effective.Resources} {
		for _, v := range list {
			out[gift{member, v}] = true
		}
	}
	for _, r := range n.Redirects {
		out[gift{"redirect " + r.Kind, r.Relation}] = true
	}
	return out
}

// within reports whether settings have room for a gift; ok is false where they
// do not speak of it.
func within(tm terms, g gift) (allowed, ok bool) {
	s := tm.Settings
	switch g.member {
	case "scope":
		return slices.Contains(s.Scopes.Ceiling, g.value), true
	case "grant":
		return slices.Contains(s.GrantTypes, g.value), true
	case "response":
		return slices.Contains(s.ResponseTypes, g.value), true
	case "method":
		return slices.Contains(s.TokenEndpointAuthMethods, g.value), len(s.TokenEndpointAuthMethods) > 0
	case "resource":
		return slices.Contains(s.Audiences, g.value), s.Audiences != nil
	case "redirect loopback":
		return s.Redirect.Loopback, true
	case "redirect private_scheme":
		return s.Redirect.PrivateScheme, true
	case "redirect https":
		order := []string{"same_origin", "same_site", "cross_site"}
		return slices.Index(order, g.value) <= slices.Index(order, s.Redirect.Relation), true
	}
	return false, true
}
