package server

import (
	"context"
	"fmt"
	"strings"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/server/grants"
	"guestlist/store"
)

// mayFetch says whether keys may be fetched for the client of a grant: not for
// one that has ended, is blocked, or that policy keeps out. What policy has shut
// since the grant was made is shut.
func (s *Server) mayFetch(ctx context.Context, v *visit) grants.MayFetch {
	return func(u store.Unit, g store.Grant) (broker.NetworkSettings, error) {
		req, err := aliveRequest(v, g)
		if err != nil {
			return broker.NetworkSettings{}, err
		}
		way, endGrant, err := s.cfg.Broker.Standing(ctx, u, req)
		if endGrant {
			s.endGrant(u, v, g, broker.ReasonGrantEndedByPolicy, decisionlog.EventGrantEnded, unnamedWhy)
		}
		return way, err
	}
}

// meetKeys holds the fetched keys that a client authenticated with against
// those it had before, on the settings in force, and refuses what its people
// allowed before its keys were replaced (G-09). What moved is staged, with a
// record where the keys do not go on, also when it refuses. A grant without a
// key rests on none.
func (s *Server) meetKeys(u store.Unit, v *visit, a broker.Admission, g store.Grant, auth grants.ClientAuth, p grants.Proof) error {
	onChange := a.Decision.Settings.Document.OnChange
	switch {
	case auth.Method == "none":
		return nil
	case len(p.Keys) == 0:
		return a.Client.KeysStand(g.CreatedAt, onChange)
	}
	met, err := a.Client.MeetKeys(p.Keys, p.Key, onChange, s.cfg.Now())
	if met.Moved {
		u.RequireEpoch(a.Epoch)
		u.MoveKeys(met.Client)
	}
	if met.Event {
		s.recordKeys(u, v, a, g, p.Keys, err)
	}
	if err == nil {
		err = met.Client.KeysStand(g.CreatedAt, onChange)
	}
	return err
}

// recordKeys stages the record of keys that were replaced without continuity.
func (s *Server) recordKeys(u store.Unit, v *visit, a broker.Admission, g store.Grant, now []broker.KeyPrint, err error) {
	rec := s.note(v, decisionlog.EventClientKeysChanged, decisionlog.OutcomeDone)
	ofGrant(&rec, g)
	rec.Incarnation, rec.DocumentSHA256, rec.Policy, rec.Epoch = a.Client.Incarnation, a.Client.DocumentSHA256, a.Decision.Winner, a.Epoch
	rec.Detail = bounded(fmt.Sprintf("document.on_change: %s; keys before: %s; now: %s",
		a.Decision.Settings.Document.OnChange, describeKeys(a.Client.Keys), describeKeys(now)), 2000)
	if err != nil {
		reason := broker.ReasonOf(err)
		rec.Outcome, rec.Reason, rec.PublicReason = decisionlog.OutcomeRefused, string(reason), string(reason.Public())
		rec.Detail += "; " + err.Error()
		v.recorded = true
	}
	u.Append(rec)
}

// describeKeys names keys by kid and thumbprint.
func describeKeys(prints []broker.KeyPrint) string {
	parts := make([]string, len(prints))
	for i, p := range prints {
		parts[i] = fmt.Sprintf("%.60q %s", p.ID, p.Thumbprint)
	}
	return strings.Join(parts, ", ")
}
