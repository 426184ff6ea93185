package server

import (
	"errors"
	"net/http"
	"slices"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/server/grants"
	"guestlist/store"
)

// token answers the grants that this server has.
func (s *Server) token(w http.ResponseWriter, r *http.Request, v *visit) error {
	p, err := formParams(w, r, "resource")
	if err != nil {
		return err
	}
	switch p.one("grant_type") {
	case "":
		return broker.Refuse(broker.ReasonRequestInvalid, "grant_type is missing")
	case "authorization_code":
		return s.redeem(w, r, v, p)
	case "refresh_token":
		return s.refresh(w, r, v, p)
	}
	return broker.Refuse(broker.ReasonGrantTypeUnsupported, "grant_type is %s", shown(p.one("grant_type")))
}

// redeem gives tokens for a code: client binding and PKCE first, then policy,
// then one commit that spends the code and holds the record.
func (s *Server) redeem(w http.ResponseWriter, r *http.Request, v *visit, p params) error {
	auth, err := s.authenticate(r, v, p)
	if err != nil {
		return err
	}
	if p.one("code") == "" {
		return broker.Refuse(broker.ReasonRequestInvalid, "code is missing")
	}
	x := grants.Exchange{
		RequestID: v.id, MayFetch: s.mayFetch(r.Context(), v), Auth: auth, Code: p.one("code"), Verifier: p.one("code_verifier"),
		RedirectURI: p.optional("redirect_uri"), Resources: s.spelled(p.Values["resource"]),
	}
	tok, err := s.exchange(r, v, x)
	if errors.Is(err, broker.ErrSpent) {
		// Somebody was first in the same instant. Asked again, the code is a
		// replay like any other.
		tok, err = s.exchange(r, v, x)
	}
	if err != nil {
		return s.nobody(auth, err)
	}
	writeToken(w, tok)
	return nil
}

// spelled writes resources as they are configured, which is how a grant has
// them; a client repeats the spelling of its authorization request.
func (s *Server) spelled(asked []string) []string {
	out := slices.Clone(asked)
	for i, v := range out {
		for _, r := range s.cfg.Resources {
			if broker.SameResource(r.ID, v) {
				out[i] = r.ID
			}
		}
	}
	return out
}

// exchange is the one step of a code exchange.
func (s *Server) exchange(r *http.Request, v *visit, x grants.Exchange) (grants.Token, error) {
	var tok grants.Token
	ctx := r.Context()
	err := s.step(ctx, func(u store.Unit) error {
		p, err := s.cfg.Grants.Check(ctx, u, x)
		if err != nil {
			if p.Replay {
				s.endGrant(u, v, p.Grant, broker.ReasonGrantSpent, decisionlog.EventTokenReplayDetected, "the code was used before")
			}
			return err
		}
		if err := s.hasRoom(broker.RoomForTokens); err != nil {
			return err
		}
		s.concerns(v, p.Grant)
		req, err := grantRequest(p.Grant, x.Resources)
		if err != nil {
			return err
		}
		a, err := s.admit(ctx, u, v, req)
		if err != nil {
			return s.denied(u, v, p.Grant, a, err)
		}
		if err := stillAllowed(a, x.Auth); err != nil {
			return err
		}
		if err := s.meetKeys(u, v, a, p.Grant, x.Auth, p.Proof); err != nil {
			return err
		}
		if tok, err = s.cfg.Grants.Redeem(ctx, u, x, p, a.Client, s.terms(a)); err != nil {
			return err
		}
		s.stageToken(u, v, a, p.Grant, tok, decisionlog.EventTokenIssued)
		return nil
	})
	return tok, err
}

// stillAllowed refuses a method that document and settings no longer agree on:
// a grant made with a key does not go on without it, nor one without a key
// where policy has come to ask for it.
func stillAllowed(a broker.Admission, auth grants.ClientAuth) error {
	if !slices.Contains(a.Decision.Effective.AuthMethods, auth.Method) {
		return broker.Refuse(broker.ReasonClientAuthFailed, "the method %s is not among %q, which are left now", auth.Method, a.Decision.Effective.AuthMethods)
	}
	return nil
}

// stageToken stages what belongs to an issued token beside the token: what it
// was decided under, the client's life, the record.
func (s *Server) stageToken(u store.Unit, v *visit, a broker.Admission, g store.Grant, tok grants.Token, event string) {
	u.RequireEpoch(a.Epoch)
	u.RequireClient(a.Client.ID, a.Client.Incarnation)
	until := tok.ExpiresAt
	if tok.RefreshUntil.After(until) {
		until = tok.RefreshUntil
	}
	u.ExtendClient(a.Client.ID, a.Client.Incarnation, a.ClientEnd(until))
	u.Append(s.tokenRecord(v, event, a, g, tok.ID, tok.ExpiresAt.UTC()))
}

// writeToken writes the successful answer (RFC 6749 section 5.1).
func writeToken(w http.ResponseWriter, tok grants.Token) {
	answer := map[string]any{
		"access_token": tok.AccessToken, "token_type": tok.TokenType, "expires_in": tok.ExpiresIn, "scope": tok.Scope,
	}
	if tok.RefreshToken != "" {
		answer["refresh_token"] = tok.RefreshToken
	}
	writeJSON(w, http.StatusOK, answer)
}

// grantRequest asks the user phase about a grant's frozen facts and terms.
func grantRequest(g store.Grant, resources []string) (broker.Request, error) {
	facts := g.Request
	facts.Scopes, facts.Resources = g.Scopes, g.Resources
	if len(resources) > 0 {
		facts.Resources = resources
	}
	terms, err := termsOf(g)
	return broker.Request{
		ClientID: g.ClientID, Facts: facts, Person: &g.User, Commits: true,
		Bound: &broker.Bound{Incarnation: g.Incarnation, GrantID: g.ID, Terms: terms},
	}, err
}

// endGrant stages the end of a grant with its record.
func (s *Server) endGrant(u store.Unit, v *visit, g store.Grant, reason broker.Reason, event, why string) {
	u.EndGrant(g.ID, s.cfg.Now(), reason)
	rec := s.note(v, event, decisionlog.OutcomeRefused)
	rec.Reason, rec.PublicReason = string(reason), string(reason.Public())
	ofGrant(&rec, g)
	rec.Subject = s.cfg.Keys.Pseudonym(g.Subject)
	rec.Detail = "the grant ends: " + why
	u.Append(rec)
	v.recorded = true
}
