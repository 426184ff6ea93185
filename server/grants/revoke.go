package grants

import (
	"context"

	"guestlist/broker"
	"guestlist/store"
)

// Revoked says what a revocation met.
type Revoked struct {
	// Grant that the token belongs to.
	Grant store.Grant
	// Kind is "refresh_token" or "access_token", the token_type_hint of
	// RFC 7009. Empty: the token is not one of the caller's, and nothing
	// happened.
	Kind string
	// TokenID is the jti of an access token.
	TokenID string
	// AlreadyEnded says that the token was over before, so nothing happened.
	AlreadyEnded bool
}

// RevokeToken ends what the token stands for (RFC 7009): with a refresh token,
// spent ones included, the grant and with it all its tokens; with an access
// token that token alone. The end is staged on u and holds once u is committed.
//
// A token that is unknown, or another client's, is no error and changes
// nothing. The grant's authentication method must have been used
// (client_authentication_failed); a public client proves itself by possession
// of the token, another by an assertion, whose use is staged too
// (assertion_replayed). A strange key does unless the settings of the grant make
// it wait for an operator (client_keys_changed); nothing is noted of it here.
// may is asked before keys are fetched; nil: none are. Policy is not asked
// otherwise, and the row of a public client is not needed. A
// store that failed is store_unavailable, never success.
func (e *Engine) RevokeToken(ctx context.Context, u store.Unit, may MayFetch, auth ClientAuth, token string) (Revoked, error) {
	now := e.now()
	r, found, err := e.FindRefresh(ctx, u, token)
	if err != nil {
		return Revoked{}, err
	}
	if found {
		grant, mine, err := e.revocable(ctx, u, may, auth, r.ClientID, r.GrantID)
		if err != nil || !mine {
			return Revoked{}, err
		}
		over := !grant.Live(now)
		if !over {
			u.EndGrant(grant.ID, now, broker.ReasonTokenRevoked)
		}
		return Revoked{Grant: grant, Kind: "refresh_token", AlreadyEnded: over}, nil
	}
	a, found, err := e.FindAccess(ctx, u, token)
	if err != nil || !found {
		return Revoked{}, err
	}
	grant, mine, err := e.revocable(ctx, u, may, auth, a.ClientID, a.GrantID)
	if err != nil || !mine {
		return Revoked{}, err
	}
	over := !a.EndedAt.IsZero() || !now.Before(a.ExpiresAt) || !grant.Live(now)
	if !over {
		u.EndAccess(a.Key, now)
	}
	return Revoked{Grant: grant, Kind: "access_token", TokenID: a.TokenID, AlreadyEnded: over}, nil
}

// revocable reads the grant of a token and reports whether the token is the
// caller's.
func (e *Engine) revocable(ctx context.Context, u store.Unit, may MayFetch, auth ClientAuth, clientID, grantID string) (store.Grant, bool, error) {
	if auth.ClientID != clientID {
		return store.Grant{}, false, nil
	}
	grant, found, err := u.Grant(ctx, grantID)
	switch {
	case err != nil:
		return store.Grant{}, false, unavailable("read grant", err)
	case found && !grant.Admits(auth.Method):
		return store.Grant{}, false, refuseClient("the grant was made with another authentication method")
	}
	if found && grant.Live(e.now()) { // else nothing will happen
		proof, err := e.prove(ctx, u, may, grant, auth)
		if err != nil {
			return store.Grant{}, false, err
		}
		if err := proof.mayRevoke(grant); err != nil {
			return store.Grant{}, false, err
		}
	}
	return grant, found, nil
}

// mayRevoke holds a strange key against the settings of the grant.
func (p Proof) mayRevoke(g store.Grant) error {
	set, err := settingsOf(g)
	if err != nil || !p.Strange || set.Document.OnChange == "accept" || set.Document.OnChange == "reconsent" {
		return err
	}
	return broker.Refuse(broker.ReasonClientKeysChanged, "the key is none of the client's, and its key set does not go on from them (document.on_change: %s)", set.Document.OnChange)
}
