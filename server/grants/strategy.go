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
	raw := make([]byte, 32)
	rand.Read(raw)
	code = base64.RawURLEncoding.EncodeToString(raw)
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

// GenerateAccessToken signs an access token of RFC 9068 about what Fosite has
// granted.
func (s strategy) GenerateAccessToken(_ context.Context, r fosite.Requester) (token, hash string, err error) {
	scope := scopeString(r.GetGrantedScopes())
	c := s.claims(r, scope)
	token, err = s.signer.SignJWT("at+jwt", c)
	if err != nil {
		return "", "", &broker.Error{Reason: broker.ReasonServerTrouble, Err: fmt.Errorf("sign access token: %w", err)}
	}
	s.token = Token{
		AccessToken: token, TokenType: "Bearer", ExpiresIn: c.ExpiresAt - c.IssuedAt,
		Scope: scope, ID: c.ID, ExpiresAt: time.Unix(c.ExpiresAt, 0).UTC(),
	}
	return token, hashOf(token), nil
}

// AccessTokenSignature returns what the store would know the token by.
func (s strategy) AccessTokenSignature(_ context.Context, token string) string { return hashOf(token) }

// ValidateAccessToken refuses: Fosite cannot tell an ID token from an access
// token, and knows no key but the current one.
func (s strategy) ValidateAccessToken(context.Context, fosite.Requester, string) error {
	return unused("access token validation")
}

// RefreshTokenSignature returns what the store would know the token by.
func (s strategy) RefreshTokenSignature(_ context.Context, token string) string {
	return hashOf(token)
}

// GenerateRefreshToken refuses: the code grant issues no refresh token.
func (s strategy) GenerateRefreshToken(context.Context, fosite.Requester) (token, hash string, err error) {
	return "", "", unused("refresh tokens")
}

// ValidateRefreshToken refuses, as above.
func (s strategy) ValidateRefreshToken(context.Context, fosite.Requester, string) error {
	return unused("refresh tokens")
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
		IssuedAt: s.now.Unix(), ExpiresAt: s.now.Add(s.ttl).Unix(),
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
