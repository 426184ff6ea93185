package grants

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/ory/fosite"
	"golang.org/x/crypto/chacha20poly1305"

	"guestlist/broker"
	"guestlist/store"
)

func newEngine(t *testing.T) *Engine {
	e, err := New(Config{Issuer: "https://as.example", Signer: noSigner{}, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

type noSigner struct{}

func (noSigner) SignJWTWith(string, string, any) (string, error) { return "", errors.New("no key") }
func (noSigner) VerifyJWT(string, string) ([]byte, error)        { return nil, errors.New("no key") }

// composed returns the configuration of a call as handlers see it.
func composed(t *testing.T) *fosite.Config {
	return newEngine(t).compose(&call{client: &client{id: "c"}}).Config.(*fosite.Config)
}

// canary is a server that nobody may reach.
func canary(t *testing.T) string {
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the canary was asked for %s", r.URL)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

func TestTrap05HTTPClientRefuses(t *testing.T) {
	got, err := composed(t).GetHTTPClient(t.Context()).Get(canary(t))
	if err == nil || !errors.Is(err, errRefused) {
		t.Errorf("Get = %v, %v, want refused", got, err)
	}
}

func TestTrap06JWKSFetcherRefuses(t *testing.T) {
	got, err := composed(t).GetJWKSFetcherStrategy(t.Context()).Resolve(t.Context(), canary(t), true)
	if got != nil || !errors.Is(err, errRefused) {
		t.Errorf("Resolve = %v, %v, want refused", got, err)
	}
}

// Fosite looks for jwks_uri and request_uris through this interface.
func TestTrap04ClientOffersNoKeysAndNoRequestURIs(t *testing.T) {
	var c fosite.Client = snapshot(store.Grant{ClientID: "c", AuthMethod: "none"})
	if _, ok := c.(fosite.OpenIDConnectClient); ok {
		t.Error("the client offers keys and request_uris to Fosite")
	}
	if !c.IsPublic() || c.GetHashedSecret() != nil {
		t.Errorf("IsPublic = %v, GetHashedSecret = %v, want a public client", c.IsPublic(), c.GetHashedSecret())
	}
}

func TestTrap25And27StrategiesAreExact(t *testing.T) {
	cfg := composed(t)
	if cfg.GetScopeStrategy(t.Context())([]string{"a.*", "a"}, "a.b") {
		t.Error("scope a.* gives a.b")
	}
	if err := cfg.GetAudienceStrategy(t.Context())([]string{"https://h/mcp"}, []string{"https://h/mcp/other"}); err == nil {
		t.Error("audience /mcp gives /mcp/other")
	}
}

func TestTrap38NoSecretIsHashed(t *testing.T) {
	h := composed(t).GetSecretsHasher(t.Context())
	if err := h.Compare(t.Context(), []byte("$2a$12$"), []byte("s")); !errors.Is(err, errRefused) {
		t.Errorf("Compare = %v, want refused", err)
	}
	if got, err := h.Hash(t.Context(), []byte("s")); got != nil || !errors.Is(err, errRefused) {
		t.Errorf("Hash = %v, %v, want refused", got, err)
	}
}

func TestTrap39EveryFieldIsSet(t *testing.T) {
	// zero by decision: switches that are off, error texts and pages that
	// are ours, endpoints that are ours.
	zero := []string{
		"SendDebugMessagesToClients", "EnablePKCEPlainChallengeMethod", "UseLegacyErrorFormat",
		"GrantTypeJWTBearerCanSkipClientAuth", "GrantTypeJWTBearerIDOptional",
		"GrantTypeJWTBearerIssuedDateOptional", "IsPushedAuthorizeEnforced",
		"ResponseModeHandlerExtension", "MessageCatalog", "FormPostHTMLTemplate",
		"TokenIntrospectionHandlers", "RevocationHandlers", "PushedAuthorizeEndpointHandlers",
	}
	v := reflect.ValueOf(*composed(t))
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		if want := slices.Contains(zero, name); v.Field(i).IsZero() != want {
			t.Errorf("%s zero = %v, want %v", name, !want, want)
		}
	}
}

func TestTrap40ComposingAgainKeepsNothing(t *testing.T) {
	e := newEngine(t)
	one, two := &call{client: &client{id: "one"}}, &call{client: &client{id: "two"}}
	first, second := e.compose(one), e.compose(two)
	for _, tt := range []struct {
		provider *fosite.Fosite
		id       string
	}{{first, "one"}, {second, "two"}} {
		cfg := tt.provider.Config.(*fosite.Config)
		if a, b := len(cfg.AuthorizeEndpointHandlers), len(cfg.TokenEndpointHandlers); a != 2 || b != 3 {
			t.Errorf("handlers = %d and %d, want 2 and 3", a, b)
		}
		got, err := cfg.ClientAuthenticationStrategy(t.Context(), nil, url.Values{"client_id": {tt.id}})
		if err != nil || got.GetID() != tt.id {
			t.Errorf("client = %v, %v, want %s", got, err, tt.id)
		}
	}
	if e.base.AuthorizeEndpointHandlers != nil || e.base.TokenEndpointHandlers != nil {
		t.Error("the template was composed")
	}
}

// The duties of a storage that Fosite's interfaces do not state.
func TestStorageDuties(t *testing.T) {
	ctx := t.Context()
	code := store.Code{Hash: "h", Challenge: "c"}

	s := storage{&call{client: &client{id: "c"}, code: code}}
	if got, err := s.GetClient(ctx, "other"); got != nil || broker.ReasonOf(err) != broker.ReasonClientAuthFailed {
		t.Errorf("GetClient = %v, %v, want an untyped nil and an error", got, err)
	}
	if err := s.InvalidateAuthorizeCodeSession(ctx, "h"); err != nil {
		t.Errorf("first invalidation = %v", err)
	}
	if err := s.InvalidateAuthorizeCodeSession(ctx, "h"); broker.ReasonOf(err) != broker.ReasonGrantSpent {
		t.Errorf("second invalidation = %v, want grant_spent", err)
	}
	if err := s.Rollback(ctx); err != nil || s.spent {
		t.Errorf("Rollback = %v, spent %v, want nothing spent", err, s.spent)
	}
	if err := s.Commit(ctx); err != nil || s.committed {
		t.Errorf("Commit = %v, committed %v, want nothing committed after a rollback", err, s.committed)
	}

	code.SpentAt = time.Now()
	s = storage{&call{client: &client{id: "c"}, code: code}}
	r, err := s.GetAuthorizeCodeSession(ctx, "h", nil)
	if r == nil || !errors.Is(err, fosite.ErrInvalidatedAuthorizeCode) {
		t.Errorf("GetAuthorizeCodeSession = %v, %v, want a request and the error", r, err)
	}
	if err := s.InvalidateAuthorizeCodeSession(ctx, "h"); broker.ReasonOf(err) != broker.ReasonGrantSpent {
		t.Errorf("invalidation of a spent code = %v, want grant_spent", err)
	}
}

// The same for a refresh token: trap 30 and the nil requester that makes Fosite
// panic.
func TestTrap30StorageDutiesOfRefresh(t *testing.T) {
	ctx := t.Context()
	held := store.Refresh{Hash: "h"}
	s := storage{&call{client: &client{id: "c"}, held: held}}
	for _, hash := range []string{"", "x"} {
		if r, err := s.GetRefreshTokenSession(ctx, hash, nil); r != nil || !errors.Is(err, fosite.ErrNotFound) {
			t.Errorf("GetRefreshTokenSession(%q) = %v, %v, want nothing", hash, r, err)
		}
		if err := s.RotateRefreshToken(ctx, "", hash); broker.ReasonOf(err) != broker.ReasonRefreshReused {
			t.Errorf("RotateRefreshToken(%q) = %v, want refresh_reused", hash, err)
		}
	}
	if err := s.RotateRefreshToken(ctx, "", "h"); err != nil {
		t.Errorf("first rotation = %v", err)
	}
	if err := s.RotateRefreshToken(ctx, "", "h"); broker.ReasonOf(err) != broker.ReasonRefreshReused {
		t.Errorf("second rotation = %v, want refresh_reused", err)
	}
	s.refresh.Hash, s.access.Key = "next", "key"
	if err := s.Rollback(ctx); err != nil || s.spent || s.refresh.Hash != "" || s.access.Key != "" {
		t.Errorf("Rollback = %v, left %+v, want nothing", err, s.call)
	}

	held.SpentAt = time.Now()
	s = storage{&call{client: &client{id: "c"}, held: held}}
	if r, err := s.GetRefreshTokenSession(ctx, "h", nil); r == nil || !errors.Is(err, fosite.ErrInactiveToken) {
		t.Errorf("GetRefreshTokenSession = %v, %v, want a request and the error", r, err)
	}
	if err := s.RotateRefreshToken(ctx, "", "h"); broker.ReasonOf(err) != broker.ReasonRefreshReused {
		t.Errorf("rotation of a spent token = %v, want refresh_reused", err)
	}
	s = storage{&call{client: &client{id: "c"}}}
	if r, err := s.GetRefreshTokenSession(ctx, "", nil); r != nil || !errors.Is(err, fosite.ErrNotFound) {
		t.Errorf("GetRefreshTokenSession without a token = %v, %v, want nothing", r, err)
	}
	if err := s.RotateRefreshToken(ctx, "", ""); broker.ReasonOf(err) != broker.ReasonRefreshReused {
		t.Errorf("rotation without a token = %v, want refresh_reused", err)
	}
}

// What the store and the server have must not open an answer: only the token
// does.
func TestSealedAnswerOpensWithTheTokenAlone(t *testing.T) {
	token := secret()
	next := store.Refresh{Parent: hashOf(token), Hash: hashOf(secret()), GrantID: "g", ClientID: "c"}
	sealed, err := sealAnswer(token, next, answer{Token: Token{RefreshToken: "successor"}})
	if err != nil {
		t.Fatal(err)
	}
	row := store.Refresh{Hash: next.Parent, Successor: next.Hash, GrantID: "g", ClientID: "c", Answer: sealed}
	if a, err := openAnswer(token, row); err != nil || a.Token.RefreshToken != "successor" {
		t.Errorf("openAnswer = %+v, %v, want what was sealed", a, err)
	}
	digest, err := hex.DecodeString(row.Hash)
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]string{
		"nothing": "", "hash": row.Hash, "digest": string(digest), "successor's hash": row.Successor,
		"grant": "g", "client": "c", "secret of the engine": string(newEngine(t).base.GlobalSecret),
		"another token": secret(), "the token and a blank": token + " ",
	}
	place := place(row.Hash, row.Successor, row.GrantID, row.ClientID)
	opens := func(key []byte) bool {
		aead, err := chacha20poly1305.NewX(key)
		if err != nil {
			return false
		}
		_, err = aead.Open(nil, sealed[:24], sealed[24:], place)
		return err == nil
	}
	derive := func(from string) []byte {
		key, err := hkdf.Key(sha256.New, []byte(from), nil, "guestlist refresh answer 1", 32)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	if !opens(derive(token)) {
		t.Error("the token does not give the key")
	}
	for name, key := range have {
		if a, err := openAnswer(key, row); err == nil {
			t.Errorf("openAnswer with %s = %+v, want an error", name, a)
		}
		if opens(derive(key)) || opens([]byte(key)) {
			t.Errorf("%s gives the key", name)
		}
	}
	again, err := sealAnswer(token, next, answer{Token: Token{RefreshToken: "successor"}})
	if err != nil || bytes.Equal(again, sealed) {
		t.Errorf("sealAnswer twice gave the same bytes, %v", err)
	}
}

// A wrong verifier must not make the challenge vanish, even inside one call.
func TestTrap02DeleteOfTheChallengeIsNone(t *testing.T) {
	ctx := context.Background()
	s := storage{&call{client: &client{id: "c"}, code: store.Code{Hash: "h", Challenge: "c"}}}
	if err := s.DeletePKCERequestSession(ctx, "h"); err != nil {
		t.Fatal(err)
	}
	r, err := s.GetPKCERequestSession(ctx, "h", nil)
	if err != nil || r.GetRequestForm().Get("code_challenge") != "c" {
		t.Errorf("GetPKCERequestSession = %v, %v, want the challenge", r, err)
	}
}

func TestTrap42NoFositeErrorLeaves(t *testing.T) {
	ours := broker.Refuse(broker.ReasonStoreUnavailable, "disk")
	for name, tt := range map[string]struct {
		err  error
		want broker.Reason
	}{
		"ours inside":    {fosite.ErrServerError.WithWrap(ours), broker.ReasonStoreUnavailable},
		"invalid_grant":  {fosite.ErrInvalidGrant.WithHint("h"), broker.ReasonCodeUnknown},
		"invalid_scope":  {fosite.ErrInvalidScope, broker.ReasonScopeNotAllowed},
		"invalid_client": {fosite.ErrInvalidClient, broker.ReasonServerTrouble},
		"nobody's":       {errors.New("x"), broker.ReasonServerTrouble},
	} {
		t.Run(name, func(t *testing.T) {
			err := translate("do", tt.err, broker.ReasonCodeUnknown)
			if broker.ReasonOf(err) != tt.want {
				t.Errorf("translate = %v, want %s", err, tt.want)
			}
			if theirs := (*fosite.RFC6749Error)(nil); errors.As(err, &theirs) {
				t.Errorf("translate = %v, still carries %T", err, theirs)
			}
		})
	}
}
