package policies

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"guestlist/broker"
)

// member is one member of settings: how it is read, where it is kept and how
// two values meet (design §4).
type member struct {
	path   string
	schema map[string]any // of the value, for editors
	read   func(v any) (any, error)
	put    func(s *broker.Settings, v any)
	meet   func(s *broker.Settings, v any)
	value  func(s *broker.Settings) any
}

// field ties a path to a field of Settings.
func field[T any](path string, at func(*broker.Settings) *T, f form[T], meet func(a, b T) T) member {
	return member{
		path:   path,
		schema: f.schema,
		read:   func(v any) (any, error) { return f.read(v) },
		put:    func(s *broker.Settings, v any) { *at(s) = v.(T) },
		meet:   func(s *broker.Settings, v any) { *at(s) = meet(*at(s), v.(T)) },
		value:  func(s *broker.Settings) any { return *at(s) },
	}
}

// members is the table of settings. Decoding, completing and meeting all run
// over it, so that no member can be forgotten by one of them.
var members = []member{
	field("scopes.ceiling", func(s *broker.Settings) *[]string { return &s.Scopes.Ceiling }, readList("scopes", isScope), common),
	field("scopes.default", func(s *broker.Settings) *[]string { return &s.Scopes.Default }, readList("scopes", isScope), common),
	field("scopes.unknown", func(s *broker.Settings) *string { return &s.Scopes.Unknown }, readEnum("drop", "reject"), firstOf("drop", "reject")),
	field("scopes.document", func(s *broker.Settings) *string { return &s.Scopes.Document }, readEnum("advisory", "intersect"), firstOf("intersect", "advisory")),
	field("grant_types", func(s *broker.Settings) *[]string { return &s.GrantTypes }, readList("grant types", isWord), common),
	field("response_types", func(s *broker.Settings) *[]string { return &s.ResponseTypes }, readList("response types", isLabel), common),
	field("token_endpoint_auth_methods", func(s *broker.Settings) *[]string { return &s.TokenEndpointAuthMethods }, readSome("none and private_key_jwt", isMethod), commonOrEmpty),
	field("redirect.relation", func(s *broker.Settings) *string { return &s.Redirect.Relation }, readEnum("same_origin", "same_site", "cross_site"), firstOf("same_origin", "same_site", "cross_site")),
	field("redirect.loopback", func(s *broker.Settings) *bool { return &s.Redirect.Loopback }, readBool, both),
	field("redirect.private_scheme", func(s *broker.Settings) *bool { return &s.Redirect.PrivateScheme }, readBool, both),
	field("redirect.hosts", func(s *broker.Settings) *[]string { return &s.Redirect.Hosts }, readOptional("host names", isHost), commonOrAny),
	field("consent.mode", func(s *broker.Settings) *string { return &s.Consent.Mode }, readEnum("always", "once", "skip", "approval"), firstOf("approval", "always", "once", "skip")),
	field("consent.max_age", func(s *broker.Settings) *broker.Duration { return &s.Consent.MaxAge }, readDuration("0s", "36500d"), smaller),
	field("access_token.format", func(s *broker.Settings) *string { return &s.AccessToken.Format }, readEnum("jwt", "opaque"), firstOf("opaque", "jwt")),
	field("access_token.ttl", func(s *broker.Settings) *broker.Duration { return &s.AccessToken.TTL }, readDuration("1s", "60m"), smaller),
	field("refresh_token.issue", func(s *broker.Settings) *bool { return &s.RefreshToken.Issue }, readBool, both),
	field("refresh_token.ttl", func(s *broker.Settings) *broker.Duration { return &s.RefreshToken.TTL }, readDuration("1s", "36500d"), smaller),
	field("refresh_token.idle", func(s *broker.Settings) *broker.Duration { return &s.RefreshToken.Idle }, readDuration("1s", "36500d"), smaller),
	field("refresh_token.grace", func(s *broker.Settings) *broker.Duration { return &s.RefreshToken.Grace }, readDuration("0s", "60s"), smaller),
	field("client_ttl", func(s *broker.Settings) *broker.Duration { return &s.ClientTTL }, readDuration("1s", "36500d"), smaller),
	field("document.ttl_floor", func(s *broker.Settings) *broker.Duration { return &s.Document.TTLFloor }, readDuration("0s", "36500d"), smaller),
	field("document.ttl_ceiling", func(s *broker.Settings) *broker.Duration { return &s.Document.TTLCeiling }, readDuration("0s", "36500d"), smaller),
	field("document.stale_if_error", func(s *broker.Settings) *broker.Duration { return &s.Document.StaleIfError }, readDuration("0s", "36500d"), smaller),
	field("document.max_age_for_refresh", func(s *broker.Settings) *broker.Duration { return &s.Document.MaxAgeForRefresh }, readDuration("0s", "36500d"), smaller),
	field("document.max_bytes", func(s *broker.Settings) *int64 { return &s.Document.MaxBytes }, readBytes, smaller),
	field("document.on_change", func(s *broker.Settings) *string { return &s.Document.OnChange }, readEnum("accept", "reconsent", "reapprove", "deny"), firstOf("deny", "reapprove", "reconsent", "accept")),
	field("document.allow_query", func(s *broker.Settings) *bool { return &s.Document.AllowQuery }, readBool, both),
	field("document.profile", func(s *broker.Settings) *string { return &s.Document.Profile }, readEnum("mcp", "cimd"), firstOf("mcp", "cimd")),
	field("jwks.same_origin", func(s *broker.Settings) *bool { return &s.JWKS.SameOrigin }, readBool, either),
	field("display.same_origin", func(s *broker.Settings) *bool { return &s.Display.SameOrigin }, readBool, either),
	field("require.pkce", func(s *broker.Settings) *bool { return &s.Require.PKCE }, readTrue, either),
	field("require.par", func(s *broker.Settings) *bool { return &s.Require.PAR }, readBool, either),
	field("require.dpop", func(s *broker.Settings) *bool { return &s.Require.DPoP }, readBool, either),
	field("require.client_auth", func(s *broker.Settings) *bool { return &s.Require.ClientAuth }, readBool, either),
	field("require.signed_request", func(s *broker.Settings) *bool { return &s.Require.SignedRequest }, readBool, either),
	field("require.acr", func(s *broker.Settings) *[]string { return &s.Require.ACR }, readList("acr values", isLabel), union),
	field("require.groups", func(s *broker.Settings) *[]string { return &s.Require.Groups }, readList("group names", isLabel), union),
	field("audiences", func(s *broker.Settings) *[]string { return &s.Audiences }, readOptional("resource ids", isWord), commonOrAny),
	field("replay_prevention", func(s *broker.Settings) *bool { return &s.ReplayPrevention }, readBool, either),
	field("compat.token_endpoint_audience", func(s *broker.Settings) *bool { return &s.Compat.TokenEndpointAudience }, readBool, both),
	field("network.allow_cidrs", func(s *broker.Settings) *[]string { return &s.Network.AllowCIDRs }, readList("CIDR prefixes without host bits inside 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10 or fc00::/7", isCIDR), commonCIDRs),
	field("network.egress_proxy", func(s *broker.Settings) *string { return &s.Network.EgressProxy }, readProxy, sameOrNone),
	field("device", func(s *broker.Settings) *map[string]any { return &s.Device }, readObject, sameEntries),
	field("claims", func(s *broker.Settings) *map[string]any { return &s.Claims }, readClaims, sameEntries),
	field("tags", func(s *broker.Settings) *[]string { return &s.Tags }, readList("words", isLabel), union),
	field("on_policy_change", func(s *broker.Settings) *string { return &s.OnPolicyChange }, readEnum("revoke", "stop_refresh", "keep"), firstOf("revoke", "stop_refresh", "keep")),
}

// unmet are members that have no meet, so that nothing can bound them.
var unmet = []string{"device", "claims", "tags"}

// partial is settings as somebody wrote them: only the members that are there.
type partial map[string]any

// names lists what may be written at a place of settings.
func memberNames(prefix string) []string {
	var out []string
	for _, m := range members {
		if rest, ok := strings.CutPrefix(m.path, prefix); ok {
			name, _, _ := strings.Cut(rest, ".")
			if !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	return out
}

// decodeSettings reads settings strictly: an unknown member or a value of the
// wrong type is an error that names it.
func decodeSettings(v any) (partial, error) {
	m, ok := v.(map[string]any)
	if !ok {
		return nil, wanted("a settings object", v)
	}
	out := partial{}
	if err := decodeInto(out, m, ""); err != nil {
		return nil, err
	}
	ceiling, hasCeiling := out["scopes.ceiling"].([]string)
	for _, s := range out.strings("scopes.default") {
		if hasCeiling && !slices.Contains(ceiling, s) {
			return nil, fmt.Errorf("scopes.default: %s is not in scopes.ceiling", s)
		}
	}
	return out, nil
}

func (p partial) strings(path string) []string {
	s, _ := p[path].([]string)
	return s
}

func decodeInto(out partial, m map[string]any, prefix string) error {
	for _, name := range slices.Sorted(maps.Keys(m)) {
		v, path := m[name], prefix+name
		if i := slices.IndexFunc(members, func(m member) bool { return m.path == path }); i >= 0 {
			read, err := members[i].read(v)
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			out[path] = read
			continue
		}
		if len(memberNames(path+".")) == 0 {
			if hint := didYouMean(name, memberNames(prefix)); hint != "" {
				return fmt.Errorf("unknown member %s; %s", clip(path, 80), hint)
			}
			return fmt.Errorf("unknown member %s", clip(path, 80))
		}
		sub, ok := v.(map[string]any)
		if !ok {
			return fmt.Errorf("%s: %w", path, wanted("an object", v))
		}
		if err := decodeInto(out, sub, path+"."); err != nil {
			return err
		}
	}
	return nil
}
