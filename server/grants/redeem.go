package grants

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"guestlist/broker"
	"guestlist/store"
)

// Terms are what policy grants in this exchange. They may be less than the
// grant, never more.
type Terms struct {
	// Scopes of the token. Empty is allowed; whether it makes sense is the
	// caller's question.
	Scopes []string
	// Resources the token is for, at least one. The caller has narrowed them
	// to Exchange.Resources.
	Resources []string
	// AccessTTL is the life of the token, in whole seconds; a fraction is cut.
	AccessTTL time.Duration
	// Format of the token: "jwt", which empty stands for.
	Format string
}

// Token is an access token with what the token response and the decision
// record say of it.
type Token struct {
	// AccessToken is the secret itself: for the response, never for a log.
	AccessToken string
	// TokenType is "Bearer".
	TokenType string
	// ExpiresIn is the life in seconds.
	ExpiresIn int64
	// Scope is the granted scope, space-separated.
	Scope string
	// ID is the token's jti, by which records name it.
	ID string
	// ExpiresAt is when the token ends, in whole seconds.
	ExpiresAt time.Time
}

// Redeem exchanges the code that p is about for an access token and stages
// that the code is spent, that the grant must live until the commit, and that
// it was used. The token must not be handed out before u is committed: a
// commit may still end with broker.ErrSpent, when somebody else was first, or
// with broker.ErrConflict.
//
// p comes from Check with the same x. client is the row that policy was asked
// about; of it only identifier and incarnation count (client_ended), because
// the grant's snapshot says what was approved. Terms beyond the grant are
// scope_not_allowed or resource_unknown. Nothing is staged on error.
func (e *Engine) Redeem(ctx context.Context, u store.Unit, x Exchange, p Pending, client broker.Client, t Terms) (Token, error) {
	if err := agrees(p, client, t); err != nil {
		return Token{}, err
	}
	c := &call{
		now: e.now(), requestID: x.RequestID, grant: p.Grant, client: snapshot(p.Grant), code: p.Code,
		scopes: t.Scopes, resources: t.Resources, ttl: t.AccessTTL.Truncate(time.Second),
	}
	provider := e.compose(c)
	request, err := provider.NewAccessRequest(ctx, tokenRequest(x, p.Code), session{})
	if err != nil {
		return Token{}, translate("redeem code", err)
	}
	response, err := provider.NewAccessResponse(ctx, request)
	if err != nil {
		return Token{}, translate("redeem code", err)
	}
	if !c.committed || response.GetAccessToken() != c.token.AccessToken {
		return Token{}, broker.Refuse(broker.ReasonServerTrouble, "redeem code: the engine did not spend the code")
	}
	u.RequireGrant(p.Grant.ID)
	u.SpendCode(p.Code.Hash, c.now)
	u.TouchGrant(p.Grant.ID, c.now, c.token.ExpiresAt)
	return c.token, nil
}

// agrees holds the arguments of Redeem against each other.
func agrees(p Pending, client broker.Client, t Terms) error {
	switch {
	case p.Replay || !p.Code.SpentAt.IsZero():
		return broker.Refuse(broker.ReasonGrantSpent, "redeem code: the code was spent before")
	case p.Code.GrantID != p.Grant.ID || p.Code.ClientID != p.Grant.ClientID:
		return broker.Refuse(broker.ReasonServerTrouble, "redeem code: code and grant do not belong together")
	case client.ID != p.Grant.ClientID || client.Incarnation != p.Grant.Incarnation:
		return broker.Refuse(broker.ReasonClientEnded, "redeem code: the grant was made with another life of the client")
	case !within(t.Scopes, p.Grant.Scopes):
		return broker.Refuse(broker.ReasonScopeNotAllowed, "redeem code: a scope is not the grant's")
	case len(t.Resources) == 0 || !within(t.Resources, p.Grant.Resources):
		return broker.Refuse(broker.ReasonResourceUnknown, "redeem code: no resource, or one that is not the grant's")
	case t.AccessTTL < time.Second:
		return broker.Refuse(broker.ReasonServerTrouble, "redeem code: token lifetime %s is below a second", t.AccessTTL)
	case t.Format != "" && t.Format != "jwt":
		return broker.Refuse(broker.ReasonServerTrouble, "redeem code: no access tokens of format %.20q", t.Format)
	}
	return nil
}

// tokenRequest writes the exchange down for Fosite, which reads a parsed
// request: its own parser takes repeated parameters and multipart bodies. A
// redirect_uri that was not sent is filled in from the code, because Fosite
// still demands what OAuth 2.1 dropped.
func tokenRequest(x Exchange, code store.Code) *http.Request {
	form := url.Values{
		"grant_type":    {"authorization_code"},
		"client_id":     {x.Auth.ClientID},
		"code":          {x.Code},
		"code_verifier": {x.Verifier},
		"redirect_uri":  {code.RedirectURI},
	}
	if x.RedirectURI != nil {
		form.Set("redirect_uri", *x.RedirectURI)
	}
	return &http.Request{Method: http.MethodPost, Header: http.Header{}, Form: form, PostForm: form}
}

// scopeString is the form of scopes in responses and tokens (RFC 6749 section
// 3.3).
func scopeString(scopes []string) string { return strings.Join(scopes, " ") }
