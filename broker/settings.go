package broker

// Settings are the terms on which a client is admitted: the winning policy's
// word, completed by admission.defaults, bounded by guardrails and server
// maxima (design §4). The JSON names are those that policies write.
type Settings struct {
	Scopes                   ScopeSettings    `json:"scopes"`
	GrantTypes               []string         `json:"grant_types"`
	ResponseTypes            []string         `json:"response_types"`
	TokenEndpointAuthMethods []string         `json:"token_endpoint_auth_methods"` // empty: the strongest the document offers
	Redirect                 RedirectSettings `json:"redirect"`
	Consent                  ConsentSettings  `json:"consent"`
	AccessToken              AccessSettings   `json:"access_token"`
	RefreshToken             RefreshSettings  `json:"refresh_token"`
	ClientTTL                Duration         `json:"client_ttl"` // from the last successful admission or fetch
	Document                 DocumentSettings `json:"document"`
	JWKS                     SameOrigin       `json:"jwks"`
	Display                  SameOrigin       `json:"display"`
	Require                  RequireSettings  `json:"require"`
	Audiences                []string         `json:"audiences"` // resource ids; null: every configured resource
	ReplayPrevention         bool             `json:"replay_prevention"`
	Compat                   CompatSettings   `json:"compat"`
	Network                  NetworkSettings  `json:"network"`
	Device                   map[string]any   `json:"device"` // decoded and kept; not in force
	Claims                   map[string]any   `json:"claims"` // decoded and kept; not in force
	Tags                     []string         `json:"tags"`
	OnPolicyChange           string           `json:"on_policy_change"` // revoke, stop_refresh, keep
}

// ScopeSettings bound what a client may be granted.
type ScopeSettings struct {
	Ceiling  []string `json:"ceiling"`  // nothing beyond this is granted
	Default  []string `json:"default"`  // granted when the request names no scope
	Unknown  string   `json:"unknown"`  // drop, or reject the request for, what is asked beyond the ceiling
	Document string   `json:"document"` // advisory, or intersect: the document's scope is a ceiling too
}

// RedirectSettings say which registered redirect URIs may be used.
type RedirectSettings struct {
	Relation      string   `json:"relation"`       // same_origin, same_site, cross_site: the widest that is allowed
	Loopback      bool     `json:"loopback"`       // http on 127.0.0.1, [::1] and localhost
	PrivateScheme bool     `json:"private_scheme"` // RFC 8252 section 7.1
	Hosts         []string `json:"hosts"`          // null: any; else https hosts allowed beside the relation's bound
}

// ConsentSettings say how a person is asked.
type ConsentSettings struct {
	Mode   string   `json:"mode"`    // always, once, skip, approval
	MaxAge Duration `json:"max_age"` // of a remembered consent; zero: none is remembered
}

// AccessSettings shape access tokens.
type AccessSettings struct {
	Format string   `json:"format"` // jwt or opaque; empty: the resource's format
	TTL    Duration `json:"ttl"`
}

// RefreshSettings shape refresh tokens.
type RefreshSettings struct {
	Issue bool     `json:"issue"`
	TTL   Duration `json:"ttl"`   // absolute life of the family
	Idle  Duration `json:"idle"`  // life without use
	Grace Duration `json:"grace"` // window in which a repeated refresh gets the same answer
}

// DocumentSettings bound how a document is fetched, kept and read.
type DocumentSettings struct {
	TTLFloor         Duration `json:"ttl_floor"`           // wins over no-store; zero honours it
	TTLCeiling       Duration `json:"ttl_ceiling"`         // the longest a document counts as fresh
	StaleIfError     Duration `json:"stale_if_error"`      // usable after freshness while its host is in trouble
	MaxAgeForRefresh Duration `json:"max_age_for_refresh"` // an older document refuses refreshes
	MaxBytes         int64    `json:"max_bytes"`           // of the body, at most 65536
	OnChange         string   `json:"on_change"`           // accept, reconsent, reapprove, deny
	AllowQuery       bool     `json:"allow_query"`         // identifiers with a query component
	Profile          string   `json:"profile"`             // mcp or cimd
}

// SameOrigin says whether a URL inside the document must share the client
// identifier's origin.
type SameOrigin struct {
	SameOrigin bool `json:"same_origin"`
}

// RequireSettings demand more than the protocol does.
type RequireSettings struct {
	PKCE          bool     `json:"pkce"` // always true
	PAR           bool     `json:"par"`
	DPoP          bool     `json:"dpop"`
	ClientAuth    bool     `json:"client_auth"`    // key authentication
	SignedRequest bool     `json:"signed_request"` // RFC 9101
	ACR           []string `json:"acr"`
	Groups        []string `json:"groups"` // the person must be in one of them
}

// CompatSettings loosen rules for old clients.
type CompatSettings struct {
	TokenEndpointAudience bool `json:"token_endpoint_audience"` // accept the token URL as assertion audience
}

// StrictSettings returns what holds where neither a policy nor
// admission.defaults speaks (design §4, column "strict value").
func StrictSettings() Settings {
	return Settings{
		Scopes:                   ScopeSettings{Ceiling: []string{}, Default: []string{}, Unknown: "drop", Document: "advisory"},
		GrantTypes:               []string{"authorization_code"},
		ResponseTypes:            []string{"code"},
		TokenEndpointAuthMethods: []string{},
		Redirect:                 RedirectSettings{Relation: "same_origin"},
		Consent:                  ConsentSettings{Mode: "always"},
		AccessToken:              AccessSettings{TTL: mustDuration("5m")},
		RefreshToken:             RefreshSettings{TTL: mustDuration("7d"), Idle: mustDuration("2d"), Grace: mustDuration("10s")},
		ClientTTL:                mustDuration("30d"),
		Document: DocumentSettings{
			TTLFloor: mustDuration("60s"), TTLCeiling: mustDuration("24h"), StaleIfError: mustDuration("24h"),
			MaxAgeForRefresh: mustDuration("7d"), MaxBytes: 5120, OnChange: "reconsent", Profile: "mcp",
		},
		JWKS:             SameOrigin{SameOrigin: true},
		Display:          SameOrigin{SameOrigin: true},
		Require:          RequireSettings{PKCE: true, ACR: []string{}, Groups: []string{}},
		ReplayPrevention: true,
		Network:          NetworkSettings{AllowCIDRs: []string{}},
		Device:           map[string]any{},
		Claims:           map[string]any{},
		Tags:             []string{},
		OnPolicyChange:   "revoke",
	}
}

// mustDuration reads a literal of this package.
func mustDuration(s string) Duration {
	d, err := ParseDuration(s)
	if err != nil {
		panic(err)
	}
	return d
}
