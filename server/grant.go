package server

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/store"
)

// grant is what the person allowed, with the snapshot of what they saw. It
// lives as long as the access token it can give, until tokens extend it.
func (s *Server) grant(id string, t ticket, a broker.Admission, person broker.UserInput) (store.Grant, error) {
	settings, err := json.Marshal(a.Decision.Settings)
	if err != nil {
		return store.Grant{}, err
	}
	now := s.cfg.Now()
	methods := a.Decision.Effective.AuthMethods
	var open []string
	if len(methods) > 1 {
		open = methods // the code exchange settles it
	}
	return store.Grant{
		ID: id, ClientID: a.Client.ID, Registration: a.Client.Registration, Incarnation: a.Client.Incarnation,
		Subject: person.Sub, User: person, Request: a.Request, RedirectURI: t.RedirectURI,
		Scopes: a.Decision.Effective.Scopes, Resources: a.Decision.Effective.Resources,
		AuthMethod: methods[0], AuthMethods: open, DocumentSHA256: a.Client.DocumentSHA256,
		SecurityDigest: broker.SecurityDigest(a.Client.Document), ClientName: a.Client.Document.ClientName,
		Settings: settings, Policy: a.Decision.Winner,
		CreatedAt: now, LastUsedAt: now,
		ExpiresAt: now.Add(s.cfg.Lifetimes.Code + a.Decision.Settings.AccessToken.TTL.Std()),
	}, nil
}

// termsOf reads the terms at consent from a grant.
func termsOf(g store.Grant) (*broker.Settings, error) {
	terms := new(broker.Settings)
	if err := json.Unmarshal(g.Settings, terms); err != nil {
		return nil, fmt.Errorf("settings of grant %s: %w", g.ID, err)
	}
	return terms, nil
}

// consentRecord says who allowed what, which consent before shortened the page
// if one did, and by which policy there was no page, if so.
func (s *Server) consentRecord(v *visit, a broker.Admission, g store.Grant, before time.Time, skipped bool) decisionlog.Record {
	rec := s.note(v, decisionlog.EventConsentGranted, decisionlog.OutcomeGranted)
	about(&rec, a, g)
	rec.Settings = g.Settings
	rec.NoteComputed(len(a.Decision.Computed) > 0)
	if skipped {
		rec.Detail = "nobody was asked: consent.mode skip of policy " + strings.Join(a.Decision.Winner, " and ")
	} else if !before.IsZero() {
		rec.Detail = "asked on the shortened page: allowed before at " + before.UTC().Format(time.RFC3339)
	}
	return rec
}

// tokenRecord says which token was issued on which grant.
func (s *Server) tokenRecord(v *visit, event string, a broker.Admission, g store.Grant, tokenID string, until time.Time) decisionlog.Record {
	rec := s.note(v, event, decisionlog.OutcomeIssued)
	about(&rec, a, g)
	rec.TokenID, rec.ExpiresAt = tokenID, &until
	return rec
}

// about fills what a record about a grant has in common with the others.
func about(rec *decisionlog.Record, a broker.Admission, g store.Grant) {
	rec.Path, rec.Revision, rec.Epoch = broker.Contract, a.Revision, a.Epoch
	ofGrant(rec, g)
	rec.Policy = a.Decision.Winner
	if b, err := json.Marshal(a.Decision.Effective); err == nil {
		rec.Effective = b
	}
	rec.NoteComputed(len(a.Decision.Computed) > 0)
}

// ofGrant names the grant in a record.
func ofGrant(rec *decisionlog.Record, g store.Grant) {
	rec.ClientID, rec.Registration, rec.Incarnation = g.ClientID, string(g.Registration), g.Incarnation
	rec.DocumentSHA256, rec.GrantID, rec.Policy = g.DocumentSHA256, g.ID, g.Policy
}
