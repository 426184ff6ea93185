package server

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/store"
)

// introspect answers a protected resource about an access token (RFC 7662).
// Only tokens for the caller's own audience are active; everything else,
// refresh tokens included, is inactive and nothing more is said.
func (s *Server) introspect(w http.ResponseWriter, r *http.Request, v *visit) error {
	p, err := formParams(w, r, "")
	if err != nil {
		return err
	}
	caller, ok := s.resourceOf(r)
	if !ok {
		w.Header().Set("WWW-Authenticate", `Basic realm="guestlist"`)
		return broker.Refuse(broker.ReasonResourceAuthFailed, "no resource has that name and secret")
	}
	v.resource = caller.Name
	if p.one("token") == "" {
		return broker.Refuse(broker.ReasonRequestInvalid, "token is missing")
	}
	var answer map[string]any
	var failed error
	err = s.step(r.Context(), func(u store.Unit) error {
		answer, failed = s.introspection(r, u, v, caller, p.one("token"))
		return failed
	})
	if failed == nil && err != nil && answer["active"] == false {
		// It met what is over: that does not rest on the commit that notes it,
		// and the next who meets it notes it again.
		v.outcome, err = "inactive, "+bounded(err.Error(), 200), nil
	}
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}

// introspection is the answer about one token. It stages the end of a client
// that is met past its life.
func (s *Server) introspection(r *http.Request, u store.Unit, v *visit, caller broker.Resource, token string) (map[string]any, error) {
	inactive := map[string]any{"active": false}
	ctx, now := r.Context(), s.cfg.Now()
	a, found, err := s.cfg.Grants.FindAccess(ctx, u, token)
	if err != nil || !found || !a.EndedAt.IsZero() || !now.Before(a.ExpiresAt) || !slices.Contains(a.Resources, caller.ID) {
		return inactive, err
	}
	g, found, err := u.Grant(ctx, a.GrantID)
	if err != nil {
		return nil, &broker.Error{Reason: broker.ReasonStoreUnavailable, Err: err}
	}
	if !found || !g.EndedAt.IsZero() {
		return inactive, nil
	}
	s.concerns(v, g)
	req, err := aliveRequest(v, g)
	if err != nil {
		return nil, err
	}
	alive, endGrant, err := s.cfg.Broker.Alive(ctx, u, req)
	if endGrant {
		s.endGrant(u, v, g, broker.ReasonGrantEndedByPolicy, decisionlog.EventGrantEnded, unnamedWhy)
	}
	if err != nil || !alive {
		return inactive, err
	}
	if stands, err := documentStands(ctx, u, g, req.Bound.Terms.Document.OnChange); err != nil || !stands {
		return inactive, err
	}
	s.sampleIntrospection(v, g, a.TokenID, caller.ID)
	return map[string]any{
		"active": true, "scope": strings.Join(a.Scopes, " "), "client_id": a.ClientID, "sub": g.User.Sub, "aud": caller.ID,
		"iss": s.cfg.Issuer, "iat": a.IssuedAt.Unix(), "exp": a.ExpiresAt.Unix(), "jti": a.TokenID, "token_type": "Bearer",
	}, nil
}

// sampleIntrospection records that a token was asked about, the first time in
// a minute for its grant and resource. No answer rests on that record: where it
// cannot be kept the answer stands.
func (s *Server) sampleIntrospection(v *visit, g store.Grant, tokenID, resource string) {
	key := g.ID + " " + resource
	if s.cfg.Store.Room().Short() || !s.introspected.Pick(key, s.cfg.Now()) {
		return
	}
	rec := s.note(v, decisionlog.EventTokenIntrospected, decisionlog.OutcomeDone)
	ofGrant(&rec, g)
	rec.TokenID, rec.Detail = tokenID, "asked by "+resource
	if s.cfg.Batch.Add(rec) != nil {
		s.introspected.Forget(key)
	}
}

// aliveRequest asks whether the client of a grant lives.
func aliveRequest(v *visit, g store.Grant) (broker.Request, error) {
	terms, err := termsOf(g)
	req := broker.Request{
		ClientID: g.ClientID, Facts: g.Request,
		Bound: &broker.Bound{Incarnation: g.Incarnation, GrantID: g.ID, Terms: terms},
	}
	v.asks(&req)
	return req, err
}

// resourceOf authenticates a protected resource by HTTP Basic with its name
// and secret, in a time that does not depend on which of them is wrong.
func (s *Server) resourceOf(r *http.Request) (broker.Resource, bool) {
	name, secret, basic := r.BasicAuth()
	sum := sha256.Sum256([]byte(secret))
	decodedName, err1 := url.QueryUnescape(name)
	decodedSecret, err2 := url.QueryUnescape(secret)
	decoded := sha256.Sum256([]byte(decodedSecret))
	var caller broker.Resource
	found := 0
	for _, res := range s.cfg.Resources {
		want, ok := s.cfg.Secrets[res.ID]
		plain := subtle.ConstantTimeCompare([]byte(name), []byte(res.Name)) & subtle.ConstantTimeCompare(sum[:], want[:])
		escaped := subtle.ConstantTimeCompare([]byte(decodedName), []byte(res.Name)) & subtle.ConstantTimeCompare(decoded[:], want[:])
		if err1 != nil || err2 != nil {
			escaped = 0
		}
		if ok && plain|escaped == 1 {
			caller, found = res, 1
		}
	}
	return caller, basic && found == 1 && secret != ""
}
