package grants

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"guestlist/broker"
	"guestlist/store"
)

// Redeem exchanges the code that p is about for an access token, and a refresh
// token when the terms have one. It stages that the code is spent, what the
// tokens are, that the grant must live until the commit, and that it was used
// and lives as long as its tokens. The token must not be handed out before u
// is committed: a commit may still end with broker.ErrSpent, when somebody
// else was first, or with broker.ErrConflict.
//
// A grant that left the choice of an authentication method is bound to the one
// of x from then on.
//
// p comes from Check with the same x. client is the row that policy was asked
// about; of it only identifier and incarnation count (client_ended), because
// the grant's snapshot says what was approved. Terms beyond the grant are
// scope_not_allowed or resource_unknown. Nothing is staged on error.
//
// Whether there is a refresh token the terms say, not a scope: offline_access
// is a scope like any other here.
func (e *Engine) Redeem(ctx context.Context, u store.Unit, x Exchange, p Pending, client broker.Client, t Terms) (Token, error) {
	const what = "redeem code"
	if err := p.ready(what); err != nil {
		return Token{}, err
	}
	if err := t.fit(what, p.Grant, client); err != nil {
		return Token{}, err
	}
	open := len(p.Grant.AuthMethods) > 0
	p.Grant.AuthMethod, p.Grant.AuthMethods = x.Auth.Method, nil
	c := e.call(x.RequestID, p.Grant, t)
	c.code = p.Code
	if t.Refresh != nil {
		c.absoluteEnd = instant(c.now.Add(t.Refresh.TTL))
	}
	if err := e.run(ctx, c, what, codeForm(x, p.Code)); err != nil {
		return Token{}, err
	}
	u.SpendCode(p.Code.Hash, c.now)
	if open {
		u.BindGrant(p.Grant.ID, x.Auth.Method)
	}
	c.stage(u)
	return c.token, nil
}

// ready says why a code cannot be redeemed, whatever the terms.
func (p Pending) ready(what string) error {
	switch {
	case p.Replay || !p.Code.SpentAt.IsZero():
		return broker.Refuse(broker.ReasonGrantSpent, "%s: the code was spent before", what)
	case p.Code.GrantID != p.Grant.ID || p.Code.ClientID != p.Grant.ClientID:
		return broker.Refuse(broker.ReasonServerTrouble, "%s: code and grant do not belong together", what)
	}
	return nil
}

// call prepares one token request.
func (e *Engine) call(requestID string, g store.Grant, t Terms) *call {
	c := &call{now: e.now(), requestID: requestID, grant: g, client: snapshot(g), terms: t}
	c.terms.AccessTTL = t.AccessTTL.Truncate(time.Second)
	c.client.refresh = t.Refresh != nil
	return c
}

// run has Fosite answer a token request. What it did is in c afterwards, all of
// it or an error.
func (e *Engine) run(ctx context.Context, c *call, what string, form url.Values) error {
	provider := e.compose(c)
	request, err := provider.NewAccessRequest(ctx, post(form), session{})
	if err != nil {
		return translate(what, err, c.unknown())
	}
	response, err := provider.NewAccessResponse(ctx, request)
	if err != nil {
		return translate(what, err, c.unknown())
	}
	refresh, _ := response.GetExtra("refresh_token").(string)
	switch {
	case !c.committed || response.GetAccessToken() != c.token.AccessToken || c.access.Key == "":
		return broker.Refuse(broker.ReasonServerTrouble, "%s: the engine did not do what it answered", what)
	case refresh != c.token.RefreshToken || (refresh != "") != (c.terms.Refresh != nil) || (refresh != "") != (c.refresh.Hash != ""):
		return broker.Refuse(broker.ReasonServerTrouble, "%s: the engine did not keep its refresh token", what)
	}
	return nil
}

// stage writes down the tokens of a call. The grant lives as long as the one
// that ends last.
func (c *call) stage(u store.Unit) {
	end := c.access.ExpiresAt
	u.RequireGrant(c.grant.ID)
	u.PutAccess(c.access)
	if c.refresh.Hash != "" {
		u.PutRefresh(c.refresh)
		if c.refresh.ExpiresAt.After(end) {
			end = c.refresh.ExpiresAt
		}
	}
	u.TouchGrant(c.grant.ID, c.now, end)
}

// codeForm writes the exchange down for Fosite. A redirect_uri that was not
// sent is filled in from the code, because Fosite still demands what OAuth 2.1
// dropped.
func codeForm(x Exchange, code store.Code) url.Values {
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
	return form
}

// post is a form as Fosite reads it, parsed: its own parser takes repeated
// parameters and multipart bodies.
func post(form url.Values) *http.Request {
	return &http.Request{Method: http.MethodPost, Header: http.Header{}, Form: form, PostForm: form}
}

// instant is a time as it comes back from the store: without the reading of
// the process's own clock, and in UTC.
func instant(t time.Time) time.Time { return t.UTC().Round(0) }

// earlier returns the one that is first.
func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
