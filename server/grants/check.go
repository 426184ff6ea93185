package grants

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"guestlist/broker"
	"guestlist/store"
)

const alphanumeric = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// Exchange is a token request with grant_type authorization_code.
type Exchange struct {
	// RequestID is this server's id of the HTTP request.
	RequestID string
	// MayFetch is asked before keys are fetched. Nil: none are.
	MayFetch MayFetch
	// Auth is the answer of Authenticate.
	Auth ClientAuth
	// Code is the authorization code as presented.
	Code string
	// Verifier is the code_verifier as presented, empty when absent.
	Verifier string
	// RedirectURI is the redirect_uri as presented, nil when absent.
	RedirectURI *string
	// Resources are the RFC 8707 resource parameters; none asks for all of
	// the grant.
	Resources []string
}

// Pending is a code that its owner presented, with the grant behind it.
type Pending struct {
	// Code as stored.
	Code store.Code
	// Grant as stored.
	Grant store.Grant
	// Replay says that the code's rightful owner, or somebody who knows all
	// the owner knows, presented it again. It comes with grant_spent: end the
	// grant and commit.
	Replay bool
	// Proof is what the client proved itself with.
	Proof Proof
}

// Check finds what must hold before policy is asked and the code is spent. It
// stages nothing but the use of a client assertion, which holds whatever comes
// of the rest.
//
// In this order: the code is known, belongs to the client, and was asked for
// under the authentication method used, with an assertion that holds
// (client_authentication_failed, assertion_replayed);
// redirect_uri is the one the code was sent to, if sent at all, since OAuth
// 2.1 dropped it from the token request; the verifier answers the challenge
// (pkce_failed); the code has not expired; the resources are the grant's
// (resource_unknown); the code is unspent (grant_spent, with Pending.Replay);
// the grant lives (grant_ended). Where no reason is named it is code_unknown.
// A code that was spent in time does not expire: it is known as a replay for
// as long as the store keeps it.
//
// Pending is zero on every error but grant_spent, and then too where the key is
// strange: a stranger who presents somebody's code must not be able to end
// anything. Check does not compare the
// client's incarnation and asks nothing of the client's row.
func (e *Engine) Check(ctx context.Context, u store.Unit, x Exchange) (Pending, error) {
	code, grant, proof, err := e.bound(ctx, u, x)
	if err != nil {
		return Pending{}, err
	}
	if x.RedirectURI != nil && *x.RedirectURI != code.RedirectURI {
		return Pending{}, broker.Refuse(broker.ReasonCodeUnknown, "redirect_uri is not the one the code was sent to")
	}
	if !answers(x.Verifier, code.Challenge) {
		return Pending{}, broker.Refuse(broker.ReasonPKCEFailed, "code_verifier does not answer the challenge")
	}
	now, spent := e.now(), !code.SpentAt.IsZero()
	if !spent && !now.Before(code.ExpiresAt) {
		return Pending{}, broker.Refuse(broker.ReasonCodeUnknown, "the code has expired")
	}
	if !within(x.Resources, grant.Resources) {
		return Pending{}, broker.Refuse(broker.ReasonResourceUnknown, "a resource is not the grant's")
	}
	if spent && proof.Strange {
		return Pending{}, broker.Refuse(broker.ReasonGrantSpent, "the code was presented again, with a key that the client did not have")
	}
	if spent {
		return Pending{Code: code, Grant: grant, Replay: true},
			broker.Refuse(broker.ReasonGrantSpent, "the code was presented again by its client")
	}
	if !grant.Live(now) {
		return Pending{}, broker.Refuse(broker.ReasonGrantEnded, "the grant behind the code has ended")
	}
	return Pending{Code: code, Grant: grant, Proof: proof}, nil
}

// bound reads the code and its grant and holds the caller against them.
func (e *Engine) bound(ctx context.Context, u store.Unit, x Exchange) (store.Code, store.Grant, Proof, error) {
	code, found, err := u.Code(ctx, hashOf(x.Code))
	switch {
	case err != nil:
		return store.Code{}, store.Grant{}, Proof{}, unavailable("read authorization code", err)
	case !found:
		return store.Code{}, store.Grant{}, Proof{}, broker.Refuse(broker.ReasonCodeUnknown, "no such authorization code")
	case x.Auth.ClientID != code.ClientID:
		return store.Code{}, store.Grant{}, Proof{}, broker.Refuse(broker.ReasonCodeUnknown, "the code belongs to another client")
	}
	grant, found, err := u.Grant(ctx, code.GrantID)
	switch {
	case err != nil:
		return store.Code{}, store.Grant{}, Proof{}, unavailable("read grant", err)
	case !found:
		return store.Code{}, store.Grant{}, Proof{}, broker.Refuse(broker.ReasonGrantEnded, "the grant behind the code is gone")
	case !grant.Admits(x.Auth.Method):
		return store.Code{}, store.Grant{}, Proof{}, refuseClient("the grant was made with another authentication method")
	}
	proof, err := e.prove(ctx, u, x.MayFetch, grant, x.Auth)
	if err != nil {
		return store.Code{}, store.Grant{}, Proof{}, err
	}
	return code, grant, proof, nil
}

// answers checks an S256 code_verifier (RFC 7636 sections 4.1 and 4.6).
func answers(verifier, challenge string) bool {
	if len(verifier) < 43 || len(verifier) > 128 || strings.Trim(verifier, alphanumeric+"-._~") != "" {
		return false
	}
	sum := sha256.Sum256([]byte(verifier))
	want := base64.RawURLEncoding.EncodeToString(sum[:])
	return subtle.ConstantTimeCompare([]byte(want), []byte(challenge)) == 1
}

// within reports whether all of part is in whole, byte for byte: scopes know
// no wildcards here and resources no prefixes.
func within(part, whole []string) bool {
	for _, s := range part {
		if !slices.Contains(whole, s) {
			return false
		}
	}
	return true
}

// hashOf is what the store sees of a code or token.
func hashOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

func unavailable(what string, err error) error {
	return &broker.Error{Reason: broker.ReasonStoreUnavailable, Err: fmt.Errorf("%s: %w", what, err)}
}
