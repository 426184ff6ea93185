package server

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/server/grants"
	"guestlist/store"
)

// refresh gives a new pair of tokens for a refresh token: binding first, then
// policy about the stored document and the grant's frozen facts, then one
// commit that spends the token and holds the record. Never a fetch.
func (s *Server) refresh(w http.ResponseWriter, r *http.Request, v *visit, p params) error {
	auth, err := s.authenticate(r, v, p)
	if err != nil {
		return err
	}
	if p.one("refresh_token") == "" {
		return broker.Refuse(broker.ReasonRequestInvalid, "refresh_token is missing")
	}
	x := grants.RefreshRequest{
		RequestID: v.id, MayFetch: s.mayFetch(r.Context(), v), Auth: auth, Token: p.one("refresh_token"),
		Resources: s.spelled(p.Values["resource"]), Source: v.source.String(),
	}
	if p.one("scope") != "" {
		scopes, ok := parseScope(p.one("scope"))
		if !ok {
			return broker.Refuse(broker.ReasonScopeMalformed, "scope is not a list of scopes: %s", broker.Digest(p.one("scope")))
		}
		x.Scopes = scopes
	}
	tok, err := s.rotate(r, v, x)
	if errors.Is(err, broker.ErrSpent) {
		// A sibling was first in the same instant: asked again, the token is
		// inside its grace window and gets the sibling's answer.
		tok, err = s.rotate(r, v, x)
	}
	if err != nil {
		return s.nobody(auth, err)
	}
	writeToken(w, tok)
	return nil
}

// rotate is the one step of a refresh.
func (s *Server) rotate(r *http.Request, v *visit, x grants.RefreshRequest) (grants.Token, error) {
	var tok grants.Token
	ctx := r.Context()
	err := s.step(ctx, func(u store.Unit) error {
		h, err := s.cfg.Grants.CheckRefresh(ctx, u, x)
		if err != nil {
			if h.Reused {
				s.endReused(u, v, h)
			}
			return err
		}
		if err := s.hasRoom(broker.RoomForTokens); err != nil {
			return err
		}
		s.concerns(v, h.Grant)
		req, err := s.refreshRequest(h.Grant, x, v)
		if err != nil {
			return err
		}
		if h.Repeat != nil {
			tok = *h.Repeat
			return s.repeat(ctx, u, v, h, req)
		}
		a, err := s.admit(ctx, u, v, req)
		if err != nil {
			return s.denied(u, v, h.Grant, a, err)
		}
		if err := s.stillStands(h.Grant, a); err != nil {
			return err
		}
		if err := stillAllowed(a, x.Auth); err != nil {
			return err
		}
		if err := s.meetKeys(u, v, a, h.Grant, x.Auth, h.Proof); err != nil {
			return err
		}
		if tok, err = s.cfg.Grants.Rotate(ctx, u, x, h, a.Client, s.terms(a)); err != nil {
			return err
		}
		s.stageToken(u, v, a, h.Grant, tok, decisionlog.EventTokenRefreshed)
		return nil
	})
	return tok, err
}

// repeat lets the answer be given again to a client that still lives, and
// whose document and keys still bear the grant.
func (s *Server) repeat(ctx context.Context, u store.Unit, v *visit, h grants.Held, req broker.Request) error {
	v.asks(&req)
	req.Facts = h.Grant.Request
	alive, endGrant, err := s.cfg.Broker.Alive(ctx, u, req)
	if endGrant {
		s.endGrant(u, v, h.Grant, broker.ReasonGrantEndedByPolicy, decisionlog.EventGrantEnded, unnamedWhy)
	}
	if err == nil && !alive {
		err = broker.Refuse(broker.ReasonClientEnded, "the client was ended or refused since the answer was given")
	}
	if err != nil {
		return err
	}
	stands, err := documentStands(ctx, u, h.Grant, req.Bound.Terms.Document.OnChange)
	if err == nil && !stands {
		err = broker.Refuse(broker.ReasonDocumentChanged, "the client's document or keys changed since the answer was given")
	}
	if err != nil {
		return err
	}
	s.cfg.Grants.Repeat(u, h)
	rec := s.note(v, decisionlog.EventTokenRepeatedInGrace, decisionlog.OutcomeReused)
	ofGrant(&rec, h.Grant)
	rec.TokenID = h.Repeat.ID
	u.Append(rec)
	return nil
}

// stillStands holds a grant against what became of its client's document and
// of the settings since the person said yes.
func (s *Server) stillStands(g store.Grant, a broker.Admission) error {
	set, now := a.Decision.Settings, s.cfg.Now()
	if !now.Before(g.CreatedAt.Add(set.RefreshToken.TTL.Std())) {
		return broker.Refuse(broker.ReasonRefreshExpired, "settings now end a grant %s after it was made", set.RefreshToken.TTL)
	}
	if age := now.Sub(a.Client.FetchedAt); a.Known == broker.RegistrationCIMD && age > set.Document.MaxAgeForRefresh.Std() {
		return broker.Refuse(broker.ReasonDocumentTooOld, "the document was seen %s ago, settings want %s at most", age.Round(time.Second), set.Document.MaxAgeForRefresh)
	}
	return restsOn(g, a.Client.Document, onChange(a.Client, set.Document.OnChange))
}

// endReused ends the family of a refresh token that came again after its
// grace window, and records both sources.
func (s *Server) endReused(u store.Unit, v *visit, h grants.Held) {
	s.endGrant(u, v, h.Grant, broker.ReasonRefreshReused, decisionlog.EventTokenReuseDetected,
		"the refresh token was first used from "+h.Refresh.Source+" and now again from "+v.source.String())
}

// unnamedWhy is why a grant ends whose own terms are stricter than its
// client's.
const unnamedWhy = "no policy names the client any more, and the grant's settings say on_policy_change: revoke"

// denied stages what a denial at the token endpoint ends beside the call.
func (s *Server) denied(u store.Unit, v *visit, g store.Grant, a broker.Admission, err error) error {
	if a.Decision.EndGrant {
		why := "a denial said effect end_grant"
		if a.Decision.Unnamed {
			why = unnamedWhy
		}
		s.endGrant(u, v, g, broker.ReasonGrantEndedByPolicy, decisionlog.EventGrantEnded, why)
	}
	return err
}

// refreshRequest asks the refresh phase: the request as it was at consent,
// the person as they are now, and the present call.
func (s *Server) refreshRequest(g store.Grant, x grants.RefreshRequest, v *visit) (broker.Request, error) {
	person, known := s.cfg.People.Lookup(g.Subject)
	if !known {
		return broker.Request{}, broker.Refuse(broker.ReasonPersonGone, "the person is no longer in the people file, or disabled")
	}
	user := g.User
	user.Groups = append([]string{}, person.Groups...)
	req, err := grantRequest(g, x.Resources)
	if err != nil {
		return broker.Request{}, err
	}
	req.Person = &user
	if x.Scopes != nil {
		req.Facts.Scopes = x.Scopes
	}
	req.Refresh = &broker.Refresh{
		Grant: broker.GrantInput{
			CreatedAt: g.CreatedAt.UTC(), Scopes: g.Scopes, Resources: g.Resources, RedirectHost: hostOf(g.RedirectURI),
		},
		Now: broker.NowInput{
			GrantType: "refresh_token", Scopes: req.Facts.Scopes, Resources: req.Facts.Resources,
			Source: broker.SourceInput{IP: v.source.String()},
		},
	}
	return req, nil
}

// terms are what a token is issued on: what is effective now, in the
// strictest format and the algorithm that its resources ask for.
func (s *Server) terms(a broker.Admission) grants.Terms {
	set := a.Decision.Settings
	t := grants.Terms{
		Scopes: a.Decision.Effective.Scopes, Resources: a.Decision.Effective.Resources,
		AccessTTL: set.AccessToken.TTL.Std(), Format: set.AccessToken.Format,
	}
	for _, r := range s.cfg.Resources {
		for _, id := range t.Resources {
			if r.ID != id {
				continue
			}
			if t.Format == "" || r.TokenFormat == "opaque" {
				t.Format = r.TokenFormat
			}
			if r.SigningAlg != "" {
				t.Alg = r.SigningAlg
			}
		}
	}
	if set.RefreshToken.Issue && slices.Contains(a.Decision.Effective.GrantTypes, "refresh_token") {
		t.Refresh = &grants.RefreshTerms{TTL: set.RefreshToken.TTL.Std(), Idle: set.RefreshToken.Idle.Std(), Grace: set.RefreshToken.Grace.Std()}
	}
	return t
}
