package grants

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/go-jose/go-jose/v3"
	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/handler/pkce"
	"github.com/ory/fosite/token/jwt"

	"guestlist/broker"
	"guestlist/broker/cimd"
)

// compose builds a provider for one call. Handlers hold their storage, so one
// that served two calls would have to smuggle the unit of work through a
// context; building one is little beside a signature (BenchmarkExchange).
// Handlers are named one by one: Fosite's ready-made set turns on implicit,
// hybrid and password.
func (e *Engine) compose(c *call) *fosite.Fosite {
	cfg, store, made := e.base, storage{c}, strategy{call: c, issuer: e.issuer, signer: e.signer}
	cfg.AccessTokenLifespan = max(c.terms.AccessTTL, time.Second)
	cfg.RedirectSecureChecker = func(context.Context, *url.URL) bool {
		return isRedirectTarget(c.code.RedirectURI)
	}
	cfg.ClientAuthenticationStrategy = func(ctx context.Context, _ *http.Request, form url.Values) (fosite.Client, error) {
		return store.GetClient(ctx, form.Get("client_id"))
	}
	code := &oauth2.AuthorizeExplicitGrantHandler{
		AccessTokenStrategy: made, RefreshTokenStrategy: made, AuthorizeCodeStrategy: made,
		CoreStorage: store, TokenRevocationStorage: store, Config: &cfg,
	}
	challenge := &pkce.Handler{AuthorizeCodeStrategy: made, Storage: store, Config: &cfg}
	refresh := &oauth2.RefreshTokenGrantHandler{
		AccessTokenStrategy: made, RefreshTokenStrategy: made, TokenRevocationStorage: store, Config: &cfg,
	}
	cfg.AuthorizeEndpointHandlers = fosite.AuthorizeEndpointHandlers{code, challenge}
	// The order of the token endpoint is ours: PKCE first.
	cfg.TokenEndpointHandlers = fosite.TokenEndpointHandlers{challenge, code, refresh}
	return &fosite.Fosite{Store: store, Config: &cfg}
}

// baseConfig sets every field that has a default, used here or not: several of
// the defaults are unsafe, and some are filled in on first use without a lock.
// It is copied for each call and never composed itself, because composing on
// the same value again keeps the handlers it had.
func baseConfig(issuer string, codeTTL time.Duration) fosite.Config {
	// Fosite wants a secret for its HMAC strategies. None of them is used
	// here, so it need not outlive the process.
	secret := make([]byte, 32)
	rand.Read(secret)
	cfg := fosite.Config{
		EnforcePKCE:                 true,
		EnforcePKCEForPublicClients: true,
		ScopeStrategy:               fosite.ExactScopeStrategy,
		AudienceMatchingStrategy:    fosite.ExactAudienceMatchingStrategy,
		JWKSFetcherStrategy:         refusing{},
		ClientSecretsHasher:         refusing{},

		AuthorizeCodeLifespan:              codeTTL,
		AccessTokenLifespan:                time.Second,
		RefreshTokenLifespan:               time.Second,
		IDTokenLifespan:                    time.Second,
		VerifiableCredentialsNonceLifespan: time.Second,
		PushedAuthorizeContextLifespan:     time.Second,
		GrantTypeJWTBearerMaxDuration:      time.Second,

		RefreshTokenScopes:              []string{},
		DisableRefreshTokenValidation:   true,
		OmitRedirectScopeParam:          true,
		SanitationWhiteList:             []string{"code", "redirect_uri", "resource"},
		MinParameterEntropy:             1,
		TokenEntropy:                    32,
		HashCost:                        fosite.DefaultBCryptWorkFactor,
		HMACHasher:                      sha256.New,
		GlobalSecret:                    secret,
		RotatedGlobalSecrets:            [][]byte{},
		JWTScopeClaimKey:                jwt.JWTScopeFieldString,
		AllowedPromptValues:             []string{"login", "consent"},
		AccessTokenIssuer:               issuer,
		IDTokenIssuer:                   issuer,
		TokenURL:                        issuer,
		PushedAuthorizeRequestURIPrefix: "urn:ietf:params:oauth:request_uri:",
	}
	cfg.HTTPClient = cfg.GetHTTPClient(context.Background())
	cfg.HTTPClient.HTTPClient.Transport = refusing{}
	cfg.HTTPClient.RetryMax = 0
	cfg.HTTPClient.Logger = nil
	return cfg
}

// isRedirectTarget reports whether a person may be sent there at all, whoever
// registered it: no script, no http but to loopback, no scheme without a
// period (RFC 8252). That the client registered it the caller has checked.
func isRedirectTarget(uri string) bool {
	_, err := cimd.ClassifyRedirect(uri, cimd.ID{})
	return err == nil
}

var errRefused = errors.New("the grant engine may not reach outside or check secrets")

// refusing stands where Fosite would fetch keys, open connections and spend a
// quarter of a second of a core on a stranger's secret.
type refusing struct{}

// Resolve refuses to fetch keys.
func (refusing) Resolve(context.Context, string, bool) (*jose.JSONWebKeySet, error) {
	return nil, errRefused
}

// Compare refuses to check a secret.
func (refusing) Compare(context.Context, []byte, []byte) error { return errRefused }

// Hash refuses to hash a secret.
func (refusing) Hash(context.Context, []byte) ([]byte, error) { return nil, errRefused }

// RoundTrip refuses to send a request.
func (refusing) RoundTrip(*http.Request) (*http.Response, error) { return nil, errRefused }

// translate flattens an error of Fosite: its types stay in this package, and
// so do the debug texts it carries along. unknown is the reason for an invalid
// grant.
func translate(what string, err error, unknown broker.Reason) error {
	if ours := (*broker.Error)(nil); errors.As(err, &ours) {
		return ours
	}
	reason, said := broker.ReasonServerTrouble, err.Error()
	switch {
	case errors.Is(err, fosite.ErrInvalidGrant):
		reason = unknown
	case errors.Is(err, fosite.ErrInvalidScope):
		reason = broker.ReasonScopeNotAllowed
	}
	if theirs := (*fosite.RFC6749Error)(nil); errors.As(err, &theirs) {
		said += ": " + theirs.HintField
	}
	return broker.Refuse(reason, "%s: fosite: %s", what, said)
}
