package grants

import (
	"context"
	"encoding/json"
	"strings"

	"guestlist/store"
)

// typAccess is the typ of a JWT access token (RFC 9068 section 2.1). ID tokens
// and others of this server have another.
const typAccess = "at+jwt"

// AccessKey returns the key of a JWT access token's row. The row of an opaque
// token is found by the hash of the token.
func AccessKey(jti string) string { return hashOf("jti:" + jti) }

// FindAccess returns the row of an access token that this server issued. A JWT
// must be signed by any key of the set with typ at+jwt and agree with its row;
// an opaque token is known by its hash. Garbage, a refresh token, an ID token
// and a token whose row was swept are not found. The only error is
// store_unavailable.
//
// FindAccess says nothing about life: the expiry and the end of the token, the
// grant and the client, and for whom the token is, the caller judges.
func (e *Engine) FindAccess(ctx context.Context, u store.Unit, token string) (store.Access, bool, error) {
	if strings.Contains(token, ".") {
		return e.findJWT(ctx, u, token)
	}
	a, found, err := u.Access(ctx, hashOf(token))
	if err != nil {
		return store.Access{}, false, unavailable("read access token", err)
	}
	// AccessKey hashes a string that a stranger may present as a token.
	if !found || a.Format != formatOpaque {
		return store.Access{}, false, nil
	}
	return a, true, nil
}

func (e *Engine) findJWT(ctx context.Context, u store.Unit, token string) (store.Access, bool, error) {
	payload, err := e.signer.VerifyJWT(token, typAccess)
	if err != nil {
		return store.Access{}, false, nil
	}
	var c struct {
		ClientID  string `json:"client_id"`
		ExpiresAt int64  `json:"exp"`
		ID        string `json:"jti"`
	}
	if json.Unmarshal(payload, &c) != nil {
		return store.Access{}, false, nil
	}
	a, found, err := u.Access(ctx, AccessKey(c.ID))
	if err != nil {
		return store.Access{}, false, unavailable("read access token", err)
	}
	if !found || a.Format != formatJWT || a.ClientID != c.ClientID || a.ExpiresAt.Unix() != c.ExpiresAt {
		return store.Access{}, false, nil
	}
	return a, true, nil
}

// FindRefresh returns the row of a refresh token, spent and expired ones
// included. What FindAccess says about life holds here too.
func (e *Engine) FindRefresh(ctx context.Context, u store.Unit, token string) (store.Refresh, bool, error) {
	r, found, err := u.Refresh(ctx, hashOf(token))
	if err != nil {
		return store.Refresh{}, false, unavailable("read refresh token", err)
	}
	return r, found, nil
}
