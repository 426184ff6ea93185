package grants

import (
	"context"
	"time"

	"github.com/ory/fosite"

	"guestlist/broker"
	"guestlist/store"
)

// storage is what Fosite takes for the store. It knows the one client and the
// one code or refresh token of its call, as they were checked, and keeps every write to itself:
// the unit of work underneath has no way back, so it is written once Fosite
// has said yes to everything.
type storage struct{ *call }

// GetClient looks up the one client of this call. It never returns a typed
// nil.
func (s storage) GetClient(_ context.Context, id string) (fosite.Client, error) {
	if id == "" || id != s.client.id {
		return nil, refuseClient("the caller is not the client of this grant")
	}
	return s.client, nil
}

// ClientAssertionJWTValid refuses: assertions are not checked by Fosite.
func (s storage) ClientAssertionJWTValid(context.Context, string) error {
	return unused("client assertions")
}

// SetClientAssertionJWT refuses, as above.
func (s storage) SetClientAssertionJWT(context.Context, string, time.Time) error {
	return unused("client assertions")
}

// BeginTX joins the unit of work of the caller: one step, one commit.
func (s storage) BeginTX(ctx context.Context) (context.Context, error) { return ctx, nil }

// Commit marks what was done as fit for staging.
func (s storage) Commit(context.Context) error {
	s.committed = s.spent
	return nil
}

// Rollback forgets what was done.
func (s storage) Rollback(context.Context) error {
	s.spent, s.token, s.access, s.refresh = false, Token{}, store.Access{}, store.Refresh{}
	return nil
}

// CreateAuthorizeCodeSession binds the code being issued to its hash.
func (s storage) CreateAuthorizeCodeSession(_ context.Context, hash string, _ fosite.Requester) error {
	s.code.Hash = hash
	return nil
}

// GetAuthorizeCodeSession returns a spent code with the error that says so:
// Fosite wants both.
func (s storage) GetAuthorizeCodeSession(_ context.Context, hash string, _ fosite.Session) (fosite.Requester, error) {
	if hash != s.code.Hash {
		return nil, fosite.ErrNotFound
	}
	if !s.code.SpentAt.IsZero() {
		return s.request(), fosite.ErrInvalidatedAuthorizeCode
	}
	return s.request(), nil
}

// InvalidateAuthorizeCodeSession spends the code, once.
func (s storage) InvalidateAuthorizeCodeSession(_ context.Context, hash string) error {
	if hash != s.code.Hash || s.spent || !s.code.SpentAt.IsZero() {
		return broker.Refuse(broker.ReasonGrantSpent, "the code was spent before")
	}
	s.spent = true
	return nil
}

// CreatePKCERequestSession keeps the challenge beside the code.
func (s storage) CreatePKCERequestSession(_ context.Context, hash string, r fosite.Requester) error {
	if hash != s.code.Hash {
		return fosite.ErrNotFound
	}
	s.code.Challenge = r.GetRequestForm().Get("code_challenge")
	return nil
}

// GetPKCERequestSession returns the request with its challenge. A code without
// one cannot be redeemed.
func (s storage) GetPKCERequestSession(_ context.Context, hash string, _ fosite.Session) (fosite.Requester, error) {
	if hash != s.code.Hash || s.code.Challenge == "" {
		return nil, fosite.ErrNotFound
	}
	return s.request(), nil
}

// DeletePKCERequestSession does nothing: Fosite deletes the challenge before
// it looks at the verifier, and a wrong guess must not burn the code.
func (s storage) DeletePKCERequestSession(context.Context, string) error { return nil }

// CreateAccessTokenSession keeps the token's row, JWT or opaque: a JWT stands
// for itself at the resource, but introspection and revocation must know it.
func (s storage) CreateAccessTokenSession(_ context.Context, key string, r fosite.Requester) error {
	s.access = store.Access{
		Key: key, TokenID: s.token.ID, Format: s.terms.format(),
		GrantID: s.grant.ID, ClientID: s.grant.ClientID, Incarnation: s.grant.Incarnation, Subject: s.grant.Subject,
		Scopes: r.GetGrantedScopes(), Resources: r.GetGrantedAudience(),
		IssuedAt: time.Unix(s.now.Unix(), 0).UTC(), ExpiresAt: s.token.ExpiresAt,
	}
	return nil
}

// GetAccessTokenSession finds nothing: Engine.FindAccess does that, without
// Fosite.
func (s storage) GetAccessTokenSession(context.Context, string, fosite.Session) (fosite.Requester, error) {
	return nil, fosite.ErrNotFound
}

// DeleteAccessTokenSession refuses, as above.
func (s storage) DeleteAccessTokenSession(context.Context, string) error {
	return unused("deletion of access tokens")
}

// RevokeAccessToken does nothing. Fosite calls it when a spent code or refresh
// token comes back, outside any transaction; what a replay ends is decided
// after Check and CheckRefresh.
func (s storage) RevokeAccessToken(context.Context, string) error { return nil }

// RevokeRefreshToken does nothing, as above.
func (s storage) RevokeRefreshToken(context.Context, string) error { return nil }

// DeleteRefreshTokenSession does nothing, as above.
func (s storage) DeleteRefreshTokenSession(context.Context, string) error { return nil }

// CreateRefreshTokenSession keeps the row of the new refresh token. It stays as
// long as the family could live, so that a reuse is told from a guess.
func (s storage) CreateRefreshTokenSession(_ context.Context, hash, _ string, _ fosite.Requester) error {
	s.refresh = store.Refresh{
		Hash: hash, GrantID: s.grant.ID, ClientID: s.grant.ClientID, Parent: s.held.Hash,
		IssuedAt: instant(s.now), ExpiresAt: s.token.RefreshUntil, AbsoluteEnd: s.absoluteEnd, KeepUntil: s.absoluteEnd,
	}
	return nil
}

// GetRefreshTokenSession returns a spent token with the error that says so:
// without a request beside the error Fosite panics.
func (s storage) GetRefreshTokenSession(_ context.Context, hash string, _ fosite.Session) (fosite.Requester, error) {
	if s.held.Hash == "" || hash != s.held.Hash {
		return nil, fosite.ErrNotFound
	}
	r := s.request()
	r.RequestedAt = s.held.IssuedAt
	if !s.held.SpentAt.IsZero() {
		return r, fosite.ErrInactiveToken
	}
	return r, nil
}

// RotateRefreshToken spends the refresh token, once.
func (s storage) RotateRefreshToken(_ context.Context, _, hash string) error {
	if s.held.Hash == "" || hash != s.held.Hash || s.spent || !s.held.SpentAt.IsZero() {
		return broker.Refuse(broker.ReasonRefreshReused, "the refresh token was spent before")
	}
	s.spent = true
	return nil
}

func unused(what string) error {
	return broker.Refuse(broker.ReasonServerTrouble, "the grant engine asked for %s, which this server gives it none of", what)
}
