package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/modelcontextprotocol/go-sdk/auth"
)

// leeway is how far the clocks of issuer and server may be apart.
const leeway = 10 * time.Second

// clientIDKey is where a token's client_id is kept beside the SDK's members.
const clientIDKey = "client_id"

// verifier checks JWT access tokens (RFC 9068 section 4).
type verifier struct {
	issuer   string
	resource string
	keys     *keyring
	now      func() time.Time
	log      io.Writer
}

// claims are the members of an access token that matter here.
type claims struct {
	jwt.Claims
	ClientID string `json:"client_id"`
	Scope    string `json:"scope"`
}

// verify is the SDK's token verifier. A bad token is auth.ErrInvalidToken,
// with a reason fit for strangers; any other error means that the issuer's
// keys cannot be had. Scopes are checked by the SDK.
func (v *verifier) verify(ctx context.Context, token string, _ *http.Request) (*auth.TokenInfo, error) {
	// The list of algorithms keeps out alg none, and HS256 keyed with a
	// public key.
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return nil, invalid("not a JWT signed with ES256")
	}
	header := parsed.Headers[0]
	if typ, _ := header.ExtraHeaders[jose.HeaderType].(string); !isAccessToken(typ) {
		return nil, invalid("typ is not at+jwt")
	}
	if header.KeyID == "" {
		return nil, invalid("no kid")
	}
	key, err := v.keys.find(ctx, header.KeyID)
	if err != nil {
		fmt.Fprintf(v.log, "keys of %s: %v\n", v.issuer, err)
		return nil, errors.New("the issuer's keys cannot be had now, try later")
	}
	if key == nil {
		return nil, invalid("signed by a key that the issuer does not publish")
	}
	var c claims
	if err := parsed.Claims(key, &c); err != nil {
		return nil, invalid("the signature does not match")
	}
	if err := v.check(c); err != nil {
		return nil, err
	}
	return &auth.TokenInfo{
		Scopes: strings.Fields(c.Scope), Expiration: c.Expiry.Time(), UserID: c.Subject,
		Extra: map[string]any{clientIDKey: c.ClientID},
	}, nil
}

// check holds the claims of a token whose signature is good.
func (v *verifier) check(c claims) error {
	if c.Expiry == nil {
		return invalid("no exp")
	}
	expected := jwt.Expected{Issuer: v.issuer, AnyAudience: jwt.Audience{v.resource}, Time: v.now()}
	switch err := c.ValidateWithLeeway(expected, leeway); {
	case errors.Is(err, jwt.ErrInvalidIssuer):
		return invalid("made by another issuer")
	case errors.Is(err, jwt.ErrInvalidAudience):
		return invalid("made for another resource")
	case errors.Is(err, jwt.ErrExpired):
		return invalid("expired")
	case err != nil:
		return invalid("not valid yet")
	}
	if c.Subject == "" || c.ClientID == "" {
		return invalid("sub or client_id is missing")
	}
	return nil
}

// isAccessToken accepts both spellings of the media type (RFC 9068 section 4).
func isAccessToken(typ string) bool {
	return strings.EqualFold(typ, "at+jwt") || strings.EqualFold(typ, "application/at+jwt")
}

// invalid is a refusal of the token itself.
func invalid(why string) error {
	return fmt.Errorf("%w: %s", auth.ErrInvalidToken, why)
}
