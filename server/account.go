package server

import (
	"context"
	"math"
	"net/http"
	"time"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/server/pages"
	"guestlist/store"
)

// accountRows is how many grants the account page shows.
const accountRows = 200

// account shows a person what they allowed, one row per installation, and
// takes it back.
func (s *Server) account(w http.ResponseWriter, r *http.Request, v *visit) error {
	if r.Method == http.MethodPost {
		return s.takeBack(w, r, v)
	}
	browser := s.browser(w, r)
	person, err := s.person(r, v, time.Time{})
	if err != nil {
		return err
	}
	if person == nil {
		return s.showSignIn(w, v, ticket{}, browser, "", nil)
	}
	list, err := s.liveGrants(r.Context(), person.Sub, accountRows+1)
	if err != nil {
		return err
	}
	csrf, err := s.csrf(browser)
	if err != nil {
		return err
	}
	d := pages.Account{
		RequestID: v.id, Action: s.base + "/account", SignOutAction: s.base + "/signout", CSRF: csrf, Person: person.Sub,
		More: len(list) > accountRows,
	}
	for _, g := range list[:min(len(list), accountRows)] {
		d.Grants = append(d.Grants, s.describeGrant(g))
	}
	s.cfg.Pages.Account(w, d)
	return nil
}

// liveGrants are up to limit of a person's grants that live, newest first.
func (s *Server) liveGrants(ctx context.Context, username string, limit int) ([]store.Grant, error) {
	list, err := s.cfg.Store.Grants(ctx, store.GrantQuery{Subject: username, Live: s.cfg.Now(), Limit: limit})
	if err != nil {
		return nil, &broker.Error{Reason: broker.ReasonStoreUnavailable, Err: err}
	}
	return list, nil
}

// describeGrant is one row of the account page.
func (s *Server) describeGrant(g store.Grant) pages.Grant {
	return pages.Grant{
		ID: g.ID, ClientHost: clientHost(g.ClientID), ClientName: g.ClientName,
		RedirectHost: redirectHost(g.RedirectURI, g.Request.Redirect.Kind), Loopback: g.Request.Redirect.Kind == "loopback",
		Resources: s.describeResources(g.Resources), Scopes: g.Scopes,
		FirstUse: g.CreatedAt, LastUse: g.LastUsedAt, Expires: g.ExpiresAt,
	}
}

// takeBack ends one grant of the person, or all of them.
func (s *Server) takeBack(w http.ResponseWriter, r *http.Request, v *visit) error {
	p, err := formParams(w, r, "")
	if err != nil {
		return err
	}
	if err := s.checkForm(r, p); err != nil {
		return err
	}
	one, all := p.one("revoke"), p.one("revoke_all") != ""
	if (one != "") == all {
		return broker.Refuse(broker.ReasonRequestInvalid, "want one of revoke and revoke_all")
	}
	person, err := s.person(r, v, time.Time{})
	if err != nil {
		return err
	}
	if person == nil {
		return s.showSignIn(w, v, ticket{}, s.browser(w, r), "", nil)
	}
	err = s.step(r.Context(), func(u store.Unit) error {
		list, err := s.toEnd(r.Context(), u, person.Sub, one)
		if err != nil {
			return err
		}
		for _, g := range list {
			s.withdraw(u, v, g)
		}
		return nil
	})
	if err != nil {
		return err
	}
	http.Redirect(w, r, s.base+"/account", http.StatusSeeOther)
	return nil
}

// toEnd are the grants that the person means: the one with that id or, when
// it is empty, all that live. One that ended before leaves nothing to do; one
// that only expired can still be withdrawn, so that it is not remembered.
func (s *Server) toEnd(ctx context.Context, u store.Unit, username, id string) ([]store.Grant, error) {
	if id == "" {
		return s.liveGrants(ctx, username, math.MaxInt)
	}
	g, found, err := u.Grant(ctx, id)
	switch {
	case err != nil:
		return nil, &broker.Error{Reason: broker.ReasonStoreUnavailable, Err: err}
	case found && g.Subject != username:
		return nil, noSuchGrant("grant %s is another person's", g.ID)
	case !found:
		return nil, noSuchGrant("no grant has that id of %d characters", len(id))
	case !g.EndedAt.IsZero():
		return nil, nil
	}
	return []store.Grant{g}, nil
}

// noSuchGrant refuses a grant that is not this person's: to them, one of
// somebody else's looks like none at all.
func noSuchGrant(format string, args ...any) error {
	e := broker.Refuse(broker.ReasonRequestInvalid, format, args...)
	e.Detail = "You have allowed nothing of that kind."
	return &statusError{http.StatusNotFound, e}
}

// withdraw stages the end of a grant by its person, with the record.
func (s *Server) withdraw(u store.Unit, v *visit, g store.Grant) {
	u.RequireGrant(g.ID)
	u.EndGrant(g.ID, s.cfg.Now(), broker.ReasonConsentWithdrawn)
	rec := s.note(v, decisionlog.EventConsentWithdrawn, decisionlog.OutcomeDone)
	rec.Reason = string(broker.ReasonConsentWithdrawn)
	rec.ClientID, rec.Registration, rec.Incarnation = g.ClientID, string(g.Registration), g.Incarnation
	rec.DocumentSHA256, rec.GrantID, rec.Policy = g.DocumentSHA256, g.ID, g.Policy
	u.Append(rec)
}
