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
	about  string         // one sentence for people
	schema map[string]any // of the value, for editors
	read   func(v any) (any, error)
	put    func(s *broker.Settings, v any)
	meet   func(s *broker.Settings, v any)
	value  func(s *broker.Settings) any
}

// field ties a path to a field of Settings.
func field[T any](path, about string, at func(*broker.Settings) *T, f form[T], meet func(a, b T) T) member {
	return member{
		path:   path,
		about:  about,
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
	field("scopes.ceiling", "Nothing beyond this is granted.", func(s *broker.Settings) *[]string { return &s.Scopes.Ceiling }, readList("scopes", isScope), common),
	field("scopes.default", "Granted when the request names no scope; within the ceiling.", func(s *broker.Settings) *[]string { return &s.Scopes.Default }, readList("scopes", isScope), common),
	field("scopes.unknown", "What becomes of a scope asked beyond the ceiling: left out, or the request is refused.", func(s *broker.Settings) *string { return &s.Scopes.Unknown }, readEnum("drop", "reject"), firstOf("drop", "reject")),
	field("scopes.document", "Whether the document's own scope is only recorded, or a ceiling too.", func(s *broker.Settings) *string { return &s.Scopes.Document }, readEnum("advisory", "intersect"), firstOf("intersect", "advisory")),
	field("grant_types", "Grants the client may use; what document and server have too.", func(s *broker.Settings) *[]string { return &s.GrantTypes }, readList("grant types", isWord), common),
	field("response_types", "Response types the client may use; what document and server have too.", func(s *broker.Settings) *[]string { return &s.ResponseTypes }, readList("response types", isLabel), common),
	field("token_endpoint_auth_methods", "How the client may authenticate. Left out: the strongest that the document offers. A grant keeps the method and key it was made with.", func(s *broker.Settings) *[]string { return &s.TokenEndpointAuthMethods }, readSome("none and private_key_jwt", isMethod), commonOrEmpty),
	field("redirect.relation", "The widest relation of an https redirect URI to the client identifier.", func(s *broker.Settings) *string { return &s.Redirect.Relation }, readEnum("same_origin", "same_site", "cross_site"), firstOf("same_origin", "same_site", "cross_site")),
	field("redirect.loopback", "Whether http redirects on 127.0.0.1, [::1] and localhost may be used (RFC 8252 section 7.3).", func(s *broker.Settings) *bool { return &s.Redirect.Loopback }, readBool, both),
	field("redirect.private_scheme", "Whether redirects of a private-use scheme may be used (RFC 8252 section 7.1).", func(s *broker.Settings) *bool { return &s.Redirect.PrivateScheme }, readBool, both),
	field("redirect.hosts", "Hosts of https redirects beside the bound of the relation; null for any.", func(s *broker.Settings) *[]string { return &s.Redirect.Hosts }, readOptional("host names", isHost), commonOrAny),
	field("consent.mode", "How a person is asked. once shortens the page and never removes the click; skip leaves the page out for exact URLs that answer on their own origin with a key, anybody else is asked; approval demands the yes of an operator; a client is refused while the server asks none.", func(s *broker.Settings) *string { return &s.Consent.Mode }, readEnum("always", "once", "skip", "approval"), firstOf("approval", "always", "once", "skip")),
	field("consent.max_age", "How long a consent is remembered; zero remembers none.", func(s *broker.Settings) *broker.Duration { return &s.Consent.MaxAge }, readDuration("0s", "36500d"), smaller),
	field("access_token.format", "Form of access tokens; left out: the resource's.", func(s *broker.Settings) *string { return &s.AccessToken.Format }, readEnum("jwt", "opaque"), firstOf("opaque", "jwt")),
	field("access_token.ttl", "Life of an access token.", func(s *broker.Settings) *broker.Duration { return &s.AccessToken.TTL }, readDuration("1s", "60m"), smaller),
	field("refresh_token.issue", "Whether refresh tokens are issued at all.", func(s *broker.Settings) *bool { return &s.RefreshToken.Issue }, readBool, both),
	field("refresh_token.ttl", "Life of a token family from consent on.", func(s *broker.Settings) *broker.Duration { return &s.RefreshToken.TTL }, readDuration("1s", "36500d"), smaller),
	field("refresh_token.idle", "Life of a refresh token without use.", func(s *broker.Settings) *broker.Duration { return &s.RefreshToken.Idle }, readDuration("1s", "36500d"), smaller),
	field("refresh_token.grace", "How long a repeated refresh gets the same answer.", func(s *broker.Settings) *broker.Duration { return &s.RefreshToken.Grace }, readDuration("0s", "60s"), smaller),
	field("client_ttl", "Life of the client from its last successful admission or fetch; its grants end with it.", func(s *broker.Settings) *broker.Duration { return &s.ClientTTL }, readDuration("1s", "36500d"), smaller),
	field("document.ttl_floor", "A document is fresh at least this long; wins over no-store, zero honours it.", func(s *broker.Settings) *broker.Duration { return &s.Document.TTLFloor }, readDuration("0s", "36500d"), smaller),
	field("document.ttl_ceiling", "A document is fresh at most this long.", func(s *broker.Settings) *broker.Duration { return &s.Document.TTLCeiling }, readDuration("0s", "36500d"), smaller),
	field("document.stale_if_error", "How long a stale document may be used while its host is in trouble.", func(s *broker.Settings) *broker.Duration { return &s.Document.StaleIfError }, readDuration("0s", "36500d"), smaller),
	field("document.max_age_for_refresh", "A document that was not seen for longer refuses refreshes.", func(s *broker.Settings) *broker.Duration { return &s.Document.MaxAgeForRefresh }, readDuration("0s", "36500d"), smaller),
	field("document.max_bytes", "The largest document that is read.", func(s *broker.Settings) *int64 { return &s.Document.MaxBytes }, readBytes, smaller),
	field("document.on_change", "What becomes of grants when the document changes what matters.", func(s *broker.Settings) *string { return &s.Document.OnChange }, readEnum("accept", "reconsent", "reapprove", "deny"), firstOf("deny", "reapprove", "reconsent", "accept")),
	field("document.allow_query", "Whether identifiers with a query component are admitted.", func(s *broker.Settings) *bool { return &s.Document.AllowQuery }, readBool, both),
	field("document.profile", "Which members a document must have: those of MCP, or of CIMD alone.", func(s *broker.Settings) *string { return &s.Document.Profile }, readEnum("mcp", "cimd"), firstOf("mcp", "cimd")),
	field("jwks.same_origin", "Whether jwks_uri must share the identifier's origin.", func(s *broker.Settings) *bool { return &s.JWKS.SameOrigin }, readBool, either),
	field("display.same_origin", "Whether links and logo that people see must share the identifier's origin.", func(s *broker.Settings) *bool { return &s.Display.SameOrigin }, readBool, either),
	field("require.pkce", "PKCE is always required.", func(s *broker.Settings) *bool { return &s.Require.PKCE }, readTrue, either),
	field("require.par", "Demand pushed authorization requests (RFC 9126); a client is refused while the server has none.", func(s *broker.Settings) *bool { return &s.Require.PAR }, readBool, either),
	field("require.dpop", "Demand DPoP (RFC 9449); a client is refused while the server has none.", func(s *broker.Settings) *bool { return &s.Require.DPoP }, readBool, either),
	field("require.client_auth", "Demand that the client authenticates with a key.", func(s *broker.Settings) *bool { return &s.Require.ClientAuth }, readBool, either),
	field("require.signed_request", "Demand signed requests (RFC 9101); a client is refused while the server has none.", func(s *broker.Settings) *bool { return &s.Require.SignedRequest }, readBool, either),
	field("require.acr", "Demand a class of sign-in; a client is refused while the server has none.", func(s *broker.Settings) *[]string { return &s.Require.ACR }, readList("acr values", isLabel), union),
	field("require.groups", "The person must be in one of the groups; where several sides demand groups, in one of each.", func(s *broker.Settings) *[]string { return &s.Require.Groups }, readList("group names", isLabel), union),
	field("audiences", "Resources that tokens may be for; null for every configured one.", func(s *broker.Settings) *[]string { return &s.Audiences }, readOptional("resource ids", isWord), commonOrAny),
	field("replay_prevention", "Whether a client assertion counts once only.", func(s *broker.Settings) *bool { return &s.ReplayPrevention }, readBool, either),
	field("compat.token_endpoint_audience", "Whether an assertion may be addressed to the token endpoint instead of the issuer.", func(s *broker.Settings) *bool { return &s.Compat.TokenEndpointAudience }, readBool, both),
	field("network.allow_cidrs", "Private networks in which document and keys may be; only for policies whose patterns are all exact URLs.", func(s *broker.Settings) *[]string { return &s.Network.AllowCIDRs }, readList("CIDR prefixes without host bits inside 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10 or fc00::/7", isCIDR), commonCIDRs),
	field("network.egress_proxy", "Proxy for fetches of this client; only for policies whose patterns are all exact URLs. Empty: the server's own way out.", func(s *broker.Settings) *string { return &s.Network.EgressProxy }, readProxy, sameOrNone),
	field("device", "For the device flow.", func(s *broker.Settings) *map[string]any { return &s.Device }, readObject, sameEntries),
	field("claims", "Further claims of access tokens; none that is registered or carries authorization.", func(s *broker.Settings) *map[string]any { return &s.Claims }, readClaims, sameEntries),
	field("tags", "Labels of the client in records, listings and revocations. Those of a row are added.", func(s *broker.Settings) *[]string { return &s.Tags }, readList("words", isLabel), union),
	field("on_policy_change", "What becomes of grants when no policy names the client any more.", func(s *broker.Settings) *string { return &s.OnPolicyChange }, readEnum("revoke", "stop_refresh", "keep"), firstOf("revoke", "stop_refresh", "keep")),
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
