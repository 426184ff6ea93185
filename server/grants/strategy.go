package grants

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/ory/fosite"

	"guestlist/broker"
)

// strategy makes codes and tokens for one call.
type strategy struct {
	*call
	issuer string
	signer Signer
}

// GenerateAuthorizeCode returns 256 random bits and their hash.
func (s strategy) GenerateAuthorizeCode(context.Context, fosite.Requester) (code, hash string, err error) {
	code = secret()
	return code, hashOf(code), nil
}

// AuthorizeCodeSignature returns what the store knows the code by.
func (s strategy) AuthorizeCodeSignature(_ context.Context, code string) string { return hashOf(code) }

// ValidateAuthorizeCode checks the expiry against this call's clock.
func (s strategy) ValidateAuthorizeCode(context.Context, fosite.Requester, string) error {
	if !s.now.Before(s.code.ExpiresAt) {
		return broker.Refuse(broker.ReasonCodeUnknown, "the code has expired")
	}
	return nil
}

// GenerateAccessToken makes an access token about what Fosite has granted, a
// JWT of RFC 9068 or 256 random bits, and returns it with the key of its row.
func (s strategy) GenerateAccessToken(_ context.Context, r fosite.Requester) (token, key string, err error) {
	scope := scopeString(r.GetGrantedScopes())
	c := s.claims(r, scope)
	if s.terms.format() == formatOpaque {
		token = secret()
		key = hashOf(token)
	} else {
		token, err = s.signer.SignJWTWith(s.terms.alg(), typAccess, c)
		key = AccessKey(c.ID)
	}
	if err != nil {
		return "", "", &broker.Error{Reason: broker.ReasonServerTrouble, Err: fmt.Errorf("sign access token: %w", err)}
	}
	s.token = Token{
		AccessToken: token, TokenType: "Bearer", ExpiresIn: c.ExpiresAt - c.IssuedAt,
		Scope: scope, ID: c.ID, ExpiresAt: time.Unix(c.ExpiresAt, 0).UTC(),
	}
	return token, key, nil
}

// AccessTokenSignature returns what the store knows an opaque token by.
func (s strategy) AccessTokenSignature(_ context.Context, token string) string { return hashOf(token) }

// ValidateAccessToken refuses: Fosite cannot tell an ID token from an access
// token, and knows no key but the current one.
func (s strategy) ValidateAccessToken(context.Context, fosite.Requester, string) error {
	return unused("access token validation")
}

// GenerateRefreshToken returns 256 random bits and their hash.
func (s strategy) GenerateRefreshToken(context.Context, fosite.Requester) (token, hash string, err error) {
	if s.terms.Refresh == nil {
		return "", "", unused("refresh tokens")
	}
	token = secret()
	s.token.RefreshToken = token
	s.token.RefreshUntil = earlier(instant(s.now.Add(s.terms.Refresh.Idle)), s.absoluteEnd)
	return token, hashOf(token), nil
}

// RefreshTokenSignature returns what the store knows the token by.
func (s strategy) RefreshTokenSignature(_ context.Context, token string) string {
	return hashOf(token)
}

// ValidateRefreshToken checks the expiry against this call's clock.
func (s strategy) ValidateRefreshToken(context.Context, fosite.Requester, string) error {
	if expired(s.held, s.now) {
		return broker.Refuse(broker.ReasonRefreshExpired, "the refresh token has expired")
	}
	return nil
}

// secret returns 256 random bits in base64url.
func secret() string {
	raw := make([]byte, 32)
	rand.Read(raw)
	return base64.RawURLEncoding.EncodeToString(raw)
}

// claims are those of RFC 9068 section 2.2 that a resource needs, and no
// others: what a token does not say cannot leak from it.
type claims struct {
	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`
	Audience  audience `json:"aud"`
	ClientID  string   `json:"client_id"`
	Scope     string   `json:"scope,omitempty"`
	IssuedAt  int64    `json:"iat"`
	ExpiresAt int64    `json:"exp"`
	ID        string   `json:"jti"`
	AuthTime  int64    `json:"auth_time,omitempty"`
	ACR       string   `json:"acr,omitempty"`
}

func (s strategy) claims(r fosite.Requester, scope string) claims {
	c := claims{
		Issuer: s.issuer, Subject: r.GetSession().GetSubject(), Audience: audience(r.GetGrantedAudience()),
		ClientID: r.GetClient().GetID(), Scope: scope,
		IssuedAt: s.now.Unix(), ExpiresAt: s.now.Add(s.terms.AccessTTL).Unix(),
		ID: rand.Text(), ACR: s.grant.User.ACR,
	}
	if at := s.grant.User.AuthTime; !at.IsZero() {
		c.AuthTime = at.Unix()
	}
	return c
}

// audience is one string when there is one (RFC 7519 section 4.1.3): many
// resource servers compare it as such.
type audience []string

// MarshalJSON writes the short form where it can.
func (a audience) MarshalJSON() ([]byte, error) {
	if len(a) == 1 {
		return json.Marshal(a[0])
	}
	return json.Marshal([]string(a))
}
