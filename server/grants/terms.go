package grants

import (
	"strings"
	"time"

	"guestlist/broker"
	"guestlist/store"
)

const (
	formatJWT    = "jwt"
	formatOpaque = "opaque"
	algES256     = "ES256"
	algRS256     = "RS256"
	maxGrace     = time.Minute
)

// Terms are what policy grants in this exchange. They may be less than the
// grant, never more.
type Terms struct {
	// Scopes of the token. Empty is allowed; whether it makes sense is the
	// caller's question.
	Scopes []string
	// Resources the token is for, at least one. For a code the caller has
	// narrowed them to Exchange.Resources.
	Resources []string
	// AccessTTL is the life of the token, in whole seconds; a fraction is cut.
	AccessTTL time.Duration
	// Format of the token: "jwt", which empty stands for, or "opaque".
	Format string
	// Alg signs a token of format jwt: "ES256", which empty stands for, or
	// "RS256".
	Alg string
	// Refresh are the terms of the refresh token; nil means there is none.
	Refresh *RefreshTerms
}

// RefreshTerms are the terms of a refresh token.
type RefreshTerms struct {
	// TTL is the life of the family, at least a second. It counts from the
	// code exchange and is not looked at again.
	TTL time.Duration
	// Idle is how long one token may lie unused, at least a second.
	Idle time.Duration
	// Grace is how long a spent token is given the same answer again, at most
	// a minute; zero means never.
	Grace time.Duration
}

// Token is an access token, and the refresh token beside it, with what the
// token response and the decision record say of them.
type Token struct {
	// AccessToken is the secret itself: for the response, never for a log.
	AccessToken string
	// TokenType is "Bearer".
	TokenType string
	// ExpiresIn is the life in seconds.
	ExpiresIn int64
	// Scope is the granted scope, space-separated.
	Scope string
	// ID is the token's jti, by which records name it. An opaque token has one
	// too, but does not carry it.
	ID string
	// ExpiresAt is when the token ends, in whole seconds.
	ExpiresAt time.Time
	// RefreshToken is a secret too; empty when there is none.
	RefreshToken string
	// RefreshUntil is when the refresh token ends unless it is used; zero when
	// there is none.
	RefreshUntil time.Time
}

// fit holds the terms, and the client's row they were decided on, against the
// grant.
func (t Terms) fit(what string, g store.Grant, client broker.Client) error {
	switch {
	case client.ID != g.ClientID || client.Incarnation != g.Incarnation:
		return broker.Refuse(broker.ReasonClientEnded, "%s: the grant was made with another life of the client", what)
	case !within(t.Scopes, g.Scopes):
		return broker.Refuse(broker.ReasonScopeNotAllowed, "%s: a scope is not the grant's", what)
	case len(t.Resources) == 0 || !within(t.Resources, g.Resources):
		return broker.Refuse(broker.ReasonResourceUnknown, "%s: no resource, or one that is not the grant's", what)
	case t.AccessTTL < time.Second:
		return broker.Refuse(broker.ReasonServerTrouble, "%s: token lifetime %s is below a second", what, t.AccessTTL)
	case t.format() != formatJWT && t.format() != formatOpaque:
		return broker.Refuse(broker.ReasonServerTrouble, "%s: no access tokens of format %.20q", what, t.Format)
	case t.alg() != algES256 && t.alg() != algRS256:
		return broker.Refuse(broker.ReasonServerTrouble, "%s: no access tokens signed with %.20q", what, t.Alg)
	}
	return t.Refresh.fit(what)
}

// fit holds the terms of a refresh token, if there are any, against the limits.
func (t *RefreshTerms) fit(what string) error {
	switch {
	case t == nil:
		return nil
	case t.TTL < time.Second || t.Idle < time.Second:
		return broker.Refuse(broker.ReasonServerTrouble, "%s: refresh token lifetime %s or idle time %s is below a second", what, t.TTL, t.Idle)
	case t.Grace < 0 || t.Grace > maxGrace:
		return broker.Refuse(broker.ReasonServerTrouble, "%s: grace window %s is not between 0 and %s", what, t.Grace, maxGrace)
	}
	return nil
}

func (t Terms) format() string {
	if t.Format == "" {
		return formatJWT
	}
	return t.Format
}

func (t Terms) alg() string {
	if t.Alg == "" {
		return algES256
	}
	return t.Alg
}

// scopeString is the form of scopes in responses and tokens (RFC 6749 section
// 3.3).
func scopeString(scopes []string) string { return strings.Join(scopes, " ") }
