package policies

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"guestlist/broker"
)

// WhoCanQuery is what somebody could be granted. All of it is asked of one and
// the same grant; the zero value asks who could be admitted at all.
type WhoCanQuery struct {
	Scopes        []string          // every one of them in one grant
	Resources     []string          // RFC 8707 identifiers, every one of them
	Grants        []string          // grant types that the client may use
	Loopback      bool              // a redirect to loopback
	PrivateScheme bool              // a redirect to a private-use scheme
	Relation      string            // a redirect to https that is same_site or cross_site to the client; "": any
	Consent       string            // once: the person is not always asked for the same grant; skip: never; "": any
	Refresh       bool              // refresh tokens are issued
	Network       bool              // a private network is opened for the client's document
	Anyone        bool              // by admission.anyone, which takes every valid client identifier
	NoKey         bool              // the client may authenticate without a key
	Client        string            // only this client identifier; "": all of them
	Offered       []broker.Resource // what the server protects; nil: not known, so that any resource could be meant
	At            time.Time         // rows and waivers that are over by then do not count; required
	Limit         int               // of Could and of Never; 0: 200
	Deadline      time.Duration     // of the whole answer; 0: 10 s
}

// check refuses questions that no request could fit.
func (q *WhoCanQuery) check() error {
	if !slices.Contains([]string{"", "same_site", "cross_site"}, q.Relation) {
		return fmt.Errorf("redirect %.40q: want same_site or cross_site", q.Relation)
	}
	if !slices.Contains([]string{"", "once", "skip"}, q.Consent) {
		return fmt.Errorf("consent %.40q: want once or skip", q.Consent)
	}
	for _, g := range q.Grants {
		if g != "authorization_code" && g != "refresh_token" {
			return fmt.Errorf("grant %.40q: want authorization_code or refresh_token, which are all that is given out", g)
		}
	}
	if one(q.Loopback)+one(q.PrivateScheme)+one(q.Relation != "") > 1 {
		return errors.New("one request has one redirect: ask for loopback, for a private scheme or for a site, each by itself")
	}
	if q.Consent == "skip" && (q.Loopback || q.PrivateScheme || q.Relation != "" || q.NoKey) {
		return errors.New("consent is skipped only for a client with a key and a redirect to its own https origin")
	}
	if q.At.IsZero() || q.Limit < 0 || q.Deadline < 0 {
		return errors.New("the question has no time, or a negative bound")
	}
	return nil
}

// dimension is one thing that is asked for: where settings grant it, and the
// settings that grant it most widely, which stand in where they cannot be
// known.
type dimension struct {
	name    string         // as messages call it
	widest  map[string]any // by path of settings
	granted func(t *terms, p *policy) bool
}

// dimensions turns the question into what is asked for. A grant must have all
// of it.
func (q *WhoCanQuery) dimensions() []dimension {
	var out []dimension
	ask := func(asked bool, name string, widest map[string]any, granted func(t *terms, p *policy) bool) {
		if asked {
			out = append(out, dimension{name, widest, granted})
		}
	}
	all := func(want, have []string) bool {
		return !slices.ContainsFunc(want, func(v string) bool { return !slices.Contains(have, v) })
	}
	refresh := append([]string{"authorization_code", "refresh_token"}, q.Grants...)
	ask(len(q.Scopes) > 0, "scope", map[string]any{"scopes.ceiling": q.Scopes},
		func(t *terms, _ *policy) bool { return all(q.Scopes, t.Scopes.Ceiling) })
	ask(len(q.Resources)+len(q.Offered)+len(q.Scopes) > 0, "resource", map[string]any{"audiences": []string(nil)},
		func(t *terms, _ *policy) bool { return q.offered(t.Audiences) })
	ask(len(q.Grants) > 0, "grant", map[string]any{"grant_types": refresh},
		func(t *terms, _ *policy) bool { return all(q.Grants, t.GrantTypes) })
	ask(q.Loopback, "loopback", map[string]any{"redirect.loopback": true},
		func(t *terms, _ *policy) bool { return t.Redirect.Loopback })
	ask(q.PrivateScheme, "private scheme", map[string]any{"redirect.private_scheme": true},
		func(t *terms, _ *policy) bool { return t.Redirect.PrivateScheme })
	ask(q.Relation != "", "redirect", map[string]any{"redirect.relation": "cross_site", "redirect.hosts": []string(nil)},
		func(t *terms, _ *policy) bool {
			return slices.Index(relations, t.Redirect.Relation) >= slices.Index(relations, q.Relation)
		})
	ask(q.Consent != "", "consent", map[string]any{"consent.mode": "skip"},
		func(t *terms, _ *policy) bool {
			return t.Consent.Mode == "skip" || t.Consent.Mode == "once" && q.Consent == "once"
		})
	ask(q.Refresh, "refresh", map[string]any{"refresh_token.issue": true, "grant_types": refresh},
		func(t *terms, _ *policy) bool {
			return t.RefreshToken.Issue && slices.Contains(t.GrantTypes, "refresh_token")
		})
	ask(q.Network, "network", map[string]any{"network.allow_cidrs": privateNetworks},
		func(t *terms, _ *policy) bool { return len(t.Network.AllowCIDRs) > 0 })
	ask(q.Anyone, "anyone", nil, func(_ *terms, p *policy) bool { return p.kind == kindAnyone })
	ask(q.NoKey, "no key", map[string]any{"token_endpoint_auth_methods": []string{}, "require.client_auth": false},
		func(t *terms, _ *policy) bool {
			return !t.Require.ClientAuth && (len(t.TokenEndpointAuthMethods) == 0 || slices.Contains(t.TokenEndpointAuthMethods, "none"))
		})
	return out
}

// relations of a redirect URI to its client, the strictest first.
var relations = []string{"same_origin", "same_site", "cross_site"}

// privateNetworks are all that a policy can open.
var privateNetworks = []string{"10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"}

// offered reports whether the settings' audiences leave resources for what is
// asked: every one that is named, each with all the scopes.
func (q *WhoCanQuery) offered(audiences []string) bool {
	named := func(id string) func(string) bool {
		return func(a string) bool { return broker.SameResource(a, id) }
	}
	for _, r := range q.Resources {
		if audiences != nil && !slices.ContainsFunc(audiences, named(r)) {
			return false
		}
	}
	if q.Offered == nil {
		return audiences == nil || len(audiences) > 0
	}
	knows := func(r broker.Resource) bool {
		return (audiences == nil || slices.Contains(audiences, r.ID)) && !slices.ContainsFunc(q.Scopes, func(s string) bool {
			return len(r.Scopes) > 0 && s != "offline_access" && !slices.Contains(r.Scopes, s)
		})
	}
	for _, id := range q.Resources {
		if !slices.ContainsFunc(q.Offered, func(r broker.Resource) bool { return broker.SameResource(r.ID, id) && knows(r) }) {
			return false
		}
	}
	return len(q.Resources) > 0 || slices.ContainsFunc(q.Offered, knows)
}

// demand is a member of settings that leaves something to be met by the
// request, the person or the server.
type demand struct {
	paths []string
	text  func(q *WhoCanQuery, t *terms) string // "": nothing is demanded
}

var demands = []demand{
	{[]string{"require.groups"}, func(_ *WhoCanQuery, t *terms) string {
		texts := make([]string, 0, len(t.groups))
		for _, g := range t.groups {
			texts = append(texts, "require.groups: the person is in "+strings.Join(g, " or "))
		}
		return strings.Join(texts, "; ")
	}},
	{[]string{"require.acr"}, func(_ *WhoCanQuery, t *terms) string {
		if len(t.Require.ACR) == 0 {
			return ""
		}
		return "require.acr: the sign-in is of class " + strings.Join(t.Require.ACR, " or ")
	}},
	flagDemand("require.par", func(s *broker.Settings) bool { return s.Require.PAR }, "the request is pushed"),
	flagDemand("require.dpop", func(s *broker.Settings) bool { return s.Require.DPoP }, "the client proves possession"),
	flagDemand("require.client_auth", func(s *broker.Settings) bool { return s.Require.ClientAuth }, "the client authenticates with a key"),
	flagDemand("require.signed_request", func(s *broker.Settings) bool { return s.Require.SignedRequest }, "the request is signed"),
	flagDemand("consent.mode", func(s *broker.Settings) bool { return s.Consent.Mode == "approval" }, "an operator approves the client"),
	{[]string{"consent.mode"}, func(q *WhoCanQuery, _ *terms) string {
		if q.Consent != "skip" {
			return ""
		}
		return "consent.mode: the redirect is https on the client's own origin, and the client authenticates with a key and has no other method"
	}},
	{[]string{"scopes.document"}, func(q *WhoCanQuery, t *terms) string {
		if len(q.Scopes) == 0 || t.Scopes.Document != "intersect" {
			return ""
		}
		return "scopes.document: the document lists the scope, or has no member scope"
	}},
	{[]string{"redirect.hosts"}, func(q *WhoCanQuery, t *terms) string {
		if t.Redirect.Hosts == nil || q.Loopback || q.PrivateScheme {
			return ""
		}
		return "redirect.hosts: the redirect is to " + strings.Join(append(slices.Clone(t.Redirect.Hosts), "loopback or a private scheme where allowed"), " or ")
	}},
}

func flagDemand(path string, on func(*broker.Settings) bool, text string) demand {
	return demand{[]string{path}, func(_ *WhoCanQuery, t *terms) string {
		if !on(&t.Settings) {
			return ""
		}
		return path + ": " + text
	}}
}

// consulted reports whether the answer depends on the member of settings, or on
// one below it.
func consulted(dims []dimension, path string) bool {
	under := func(member string) bool {
		return path == "" || member == path || strings.HasPrefix(member, path+".")
	}
	for _, d := range dims {
		for member := range d.widest {
			if under(member) {
				return true
			}
		}
	}
	return slices.ContainsFunc(demands, func(d demand) bool { return slices.ContainsFunc(d.paths, under) })
}
