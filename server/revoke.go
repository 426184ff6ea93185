package server

import (
	"errors"
	"net/http"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/server/grants"
	"guestlist/store"
)

// revoke ends a token (RFC 7009): an access token alone, a refresh token with
// everything that descends from its grant. It never asks policy and needs no
// living client, so that a person's withdrawal always works; public clients
// act by possession, one that holds a key with it (A7). A token that is unknown or another's is answered alike.
func (s *Server) revoke(w http.ResponseWriter, r *http.Request, v *visit) error {
	p, err := formParams(w, r, "")
	if err != nil {
		return err
	}
	auth, err := s.authenticate(r, v, p)
	if err != nil {
		return err
	}
	if p.one("token") == "" {
		return broker.Refuse(broker.ReasonRequestInvalid, "token is missing")
	}
	err = s.giveBack(r, v, auth, p.one("token"))
	if errors.Is(err, broker.ErrSpent) {
		// The same assertion was first in the same instant: asked again, it is
		// a replay.
		err = s.giveBack(r, v, auth, p.one("token"))
	}
	if err != nil {
		return err
	}
	w.Header().Set("Pragma", "no-cache")
	w.WriteHeader(http.StatusOK)
	return nil
}

// giveBack is the one step of a revocation.
func (s *Server) giveBack(r *http.Request, v *visit, auth grants.ClientAuth, token string) error {
	return s.step(r.Context(), func(u store.Unit) error {
		done, err := s.cfg.Grants.RevokeToken(r.Context(), u, s.mayFetch(r.Context(), v), auth, token)
		if err != nil || done.Kind == "" || done.AlreadyEnded {
			return err
		}
		s.concerns(v, done.Grant)
		rec := s.note(v, decisionlog.EventTokenRevoked, decisionlog.OutcomeDone)
		ofGrant(&rec, done.Grant)
		rec.TokenID, rec.Detail = done.TokenID, "the client gave back its "+done.Kind
		u.Append(rec)
		return nil
	})
}
