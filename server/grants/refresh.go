package grants

import (
	"context"
	"slices"
	"time"

	"guestlist/broker"
	"guestlist/store"
)

// maxRepeats is how often the answer to one refresh token is given again:
// enough for the agents of one person that run side by side.
const maxRepeats = 20

// RefreshRequest is a token request with grant_type refresh_token.
type RefreshRequest struct {
	// RequestID is this server's id of the HTTP request.
	RequestID string
	// MayFetch is asked before keys are fetched. Nil: none are.
	MayFetch MayFetch
	// Auth is the answer of Authenticate.
	Auth ClientAuth
	// Token is the refresh token as presented.
	Token string
	// Scopes are those of the scope parameter; none asks for all of the grant.
	Scopes []string
	// Resources are the RFC 8707 resource parameters; none asks for all of
	// the grant.
	Resources []string
	// Source is the address of the caller, kept with the token for the record
	// of a reuse.
	Source string
}

// Held is a refresh token that its owner presented, with the grant behind it.
type Held struct {
	// Refresh as stored. Its Source says who spent it, if anybody did.
	Refresh store.Refresh
	// Grant as stored.
	Grant store.Grant
	// Repeat is the answer that was given before, inside the grace window: it
	// is to be given again once a unit of work on which [Engine.Repeat] staged
	// the repetition is committed. Nil when the token is unspent.
	Repeat *Token
	// Reused says that the token was spent and its grace window is over. It
	// comes with refresh_reused: end the grant and commit.
	Reused bool
	// Proof is what the client proved itself with.
	Proof Proof
}

// CheckRefresh finds what must hold before policy is asked and anything is
// spent. It stages nothing but the use of a client assertion.
//
// In this order: the token is known and belongs to the client
// (refresh_token_unknown); the grant was made with the authentication method
// used, and an assertion holds (client_authentication_failed,
// assertion_replayed); the grant has not ended (grant_ended);
// the token is unspent (else see below); it was used in time
// (refresh_token_expired); the scopes and resources asked for are the grant's
// (scope_not_allowed, resource_unknown).
//
// A spent token is answered once more inside its grace window when the same is
// asked for, and Held.Repeat is the answer. When the answer is gone because the
// successor was used, was given too often, or was to another request, it is
// refresh_reused and nothing ends: that is a slow one of several agents that
// share the token. After the window it is refresh_reused with Held.Reused. An
// answer that does not open is server_trouble.
//
// Held is zero on every error but refresh_reused, and then too where the key is
// strange: a stranger who presents somebody's token must not be able to end
// anything, nor to see an answer again. CheckRefresh does not
// compare the client's incarnation and asks nothing of the client's row.
func (e *Engine) CheckRefresh(ctx context.Context, u store.Unit, x RefreshRequest) (Held, error) {
	h, err := e.held(ctx, u, x)
	if err != nil {
		return Held{}, err
	}
	now, spent := e.now(), !h.Refresh.SpentAt.IsZero()
	switch {
	case !h.Grant.EndedAt.IsZero():
		return Held{}, broker.Refuse(broker.ReasonGrantEnded, "the grant behind the refresh token has ended")
	case !spent && expired(h.Refresh, now):
		// Often the grant runs out in the same instant. This says why.
		return Held{}, broker.Refuse(broker.ReasonRefreshExpired, "the refresh token has expired")
	case !h.Grant.Live(now):
		return Held{}, broker.Refuse(broker.ReasonGrantEnded, "the grant behind the refresh token has expired")
	case spent:
		return again(x, h, now)
	case !within(x.Scopes, h.Grant.Scopes):
		return Held{}, broker.Refuse(broker.ReasonScopeNotAllowed, "a scope is not the grant's")
	case !within(x.Resources, h.Grant.Resources):
		return Held{}, broker.Refuse(broker.ReasonResourceUnknown, "a resource is not the grant's")
	}
	return h, nil
}

// held reads the token and its grant and holds the caller against them.
func (e *Engine) held(ctx context.Context, u store.Unit, x RefreshRequest) (Held, error) {
	r, found, err := u.Refresh(ctx, hashOf(x.Token))
	switch {
	case err != nil:
		return Held{}, unavailable("read refresh token", err)
	case !found:
		return Held{}, broker.Refuse(broker.ReasonRefreshUnknown, "no such refresh token")
	case x.Auth.ClientID != r.ClientID:
		return Held{}, broker.Refuse(broker.ReasonRefreshUnknown, "the refresh token belongs to another client")
	}
	grant, found, err := u.Grant(ctx, r.GrantID)
	switch {
	case err != nil:
		return Held{}, unavailable("read grant", err)
	case !found:
		return Held{}, broker.Refuse(broker.ReasonGrantEnded, "the grant behind the refresh token is gone")
	case !grant.Admits(x.Auth.Method):
		return Held{}, refuseClient("the grant was made with another authentication method")
	}
	proof, err := e.prove(ctx, u, x.MayFetch, grant, x.Auth)
	if err != nil {
		return Held{}, err
	}
	return Held{Refresh: r, Grant: grant, Proof: proof}, nil
}

// again answers a token that was spent before.
func again(x RefreshRequest, h Held, now time.Time) (Held, error) {
	r := h.Refresh
	switch {
	case h.Proof.Strange:
		return Held{}, broker.Refuse(broker.ReasonRefreshReused, "the refresh token was used again, with a key that the client did not have")
	case !now.Before(r.GraceUntil):
		h.Reused = true
		return h, broker.Refuse(broker.ReasonRefreshReused, "the refresh token was used again after its grace window")
	case len(r.Answer) == 0:
		return h, broker.Refuse(broker.ReasonRefreshReused, "the refresh token was used again after its successor")
	case r.Repeats >= maxRepeats:
		return h, broker.Refuse(broker.ReasonRefreshReused, "the answer to the refresh token was given %d times again", r.Repeats)
	}
	a, err := openAnswer(x.Token, r)
	if err != nil {
		return Held{}, &broker.Error{Reason: broker.ReasonServerTrouble, Err: err}
	}
	if scopes, resources := x.asked(h.Grant); !slices.Equal(a.Scopes, scopes) || !slices.Equal(a.Resources, resources) {
		return h, broker.Refuse(broker.ReasonRefreshReused, "the answer to the refresh token was to another request")
	}
	h.Repeat = &a.Token
	return h, nil
}

// Repeat stages that the answer in h.Repeat, which is not nil, is given again:
// the repetition, and that the grant must live until the commit.
func (e *Engine) Repeat(u store.Unit, h Held) {
	u.RequireGrant(h.Grant.ID)
	u.RepeatRefresh(h.Refresh.Hash, e.now(), maxRepeats)
}

// asked returns the scopes and resources of the request, in full and in order.
func (x RefreshRequest) asked(g store.Grant) (scopes, resources []string) {
	scopes, resources = x.Scopes, x.Resources
	if len(scopes) == 0 {
		scopes = g.Scopes
	}
	if len(resources) == 0 {
		resources = g.Resources
	}
	return ordered(scopes), ordered(resources)
}

// ordered returns a sorted copy without duplicates.
func ordered(s []string) []string { return slices.Compact(slices.Sorted(slices.Values(s))) }

// expired reports whether the token's idle time or its family's life is over.
func expired(r store.Refresh, now time.Time) bool {
	return !now.Before(r.ExpiresAt) || !now.Before(r.AbsoluteEnd)
}
