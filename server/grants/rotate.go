package grants

import (
	"context"
	"net/url"
	"slices"

	"guestlist/broker"
	"guestlist/store"
)

// Rotate exchanges the refresh token that h is about for an access token and
// the refresh token's successor. It stages that the token is spent, with the
// answer sealed under a key that only the token gives; the new tokens; the end
// of the grace window of the token before; that the grant must live until the
// commit; and that it was used and lives as long as its tokens. The token must
// not be handed out before u is committed: a commit may still end with
// broker.ErrSpent, when somebody else was first (CheckRefresh then has the
// answer), or with broker.ErrConflict.
//
// h comes from CheckRefresh with the same x. client and t are as in Redeem.
// Without t.Refresh it is grant_type_not_allowed. Of the scopes and resources
// of t the token gets those that x asks for; when none of what was asked is
// left it is scope_not_allowed or resource_unknown. The grant keeps all, and
// the next request may ask for them again. The successor's family ends when it
// would have ended before. Nothing is staged on error.
func (e *Engine) Rotate(ctx context.Context, u store.Unit, x RefreshRequest, h Held, client broker.Client, t Terms) (Token, error) {
	const what = "refresh"
	if err := h.ready(what); err != nil {
		return Token{}, err
	}
	if t.Refresh == nil {
		return Token{}, broker.Refuse(broker.ReasonGrantTypeNotAllowed, "%s: policy allows no refresh token", what)
	}
	scopes, resources := x.asked(h.Grant)
	t.Scopes, t.Resources = common(t.Scopes, scopes), common(t.Resources, resources)
	if len(x.Scopes) > 0 && len(t.Scopes) == 0 {
		return Token{}, broker.Refuse(broker.ReasonScopeNotAllowed, "%s: policy leaves none of the scopes asked for", what)
	}
	if err := t.fit(what, h.Grant, client); err != nil {
		return Token{}, err
	}
	c := e.call(x.RequestID, h.Grant, t)
	c.held, c.absoluteEnd = h.Refresh, h.Refresh.AbsoluteEnd
	if err := e.run(ctx, c, what, refreshForm(x)); err != nil {
		return Token{}, err
	}
	use := store.RefreshUse{
		At: instant(c.now), Successor: c.refresh.Hash, GraceUntil: instant(c.now.Add(t.Refresh.Grace)),
		KeepUntil: c.absoluteEnd, Source: x.Source,
	}
	if t.Refresh.Grace > 0 {
		var err error
		if use.Answer, err = sealAnswer(x.Token, c.refresh, answer{c.token, scopes, resources}); err != nil {
			return Token{}, &broker.Error{Reason: broker.ReasonServerTrouble, Err: err}
		}
	}
	u.SpendRefresh(c.held.Hash, use)
	if c.held.Parent != "" {
		u.CloseGrace(c.held.Parent)
	}
	c.stage(u)
	return c.token, nil
}

// ready says why a refresh token cannot be rotated, whatever the terms.
func (h Held) ready(what string) error {
	switch {
	case h.Reused || h.Repeat != nil || !h.Refresh.SpentAt.IsZero():
		return broker.Refuse(broker.ReasonRefreshReused, "%s: the refresh token was spent before", what)
	case h.Refresh.Hash == "" || h.Refresh.GrantID != h.Grant.ID || h.Refresh.ClientID != h.Grant.ClientID:
		return broker.Refuse(broker.ReasonServerTrouble, "%s: refresh token and grant do not belong together", what)
	}
	return nil
}

// refreshForm writes the request down for Fosite. It narrows nothing: scopes
// and resources are ours.
func refreshForm(x RefreshRequest) url.Values {
	return url.Values{
		"grant_type":    {"refresh_token"},
		"client_id":     {x.Auth.ClientID},
		"refresh_token": {x.Token},
	}
}

// common returns those of list that are in allowed too.
func common(list, allowed []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return !slices.Contains(allowed, s) })
}
