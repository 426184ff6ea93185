package server

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"

	"guestlist/broker"
	"guestlist/broker/cimd"
	"guestlist/broker/decisionlog"
	"guestlist/server/grants"
	"guestlist/server/pages"
	"guestlist/store"
)

// consent shows the waiting request to the person, and takes the answer.
func (s *Server) consent(w http.ResponseWriter, r *http.Request, v *visit) error {
	if r.Method == http.MethodPost {
		return s.decideConsent(w, r, v)
	}
	p, err := queryParams(r)
	if err != nil {
		return err
	}
	t, _, err := s.unseal(p.one("ticket"), r)
	if err != nil {
		return err
	}
	if spent, err := s.cfg.Store.Begin().Spent(r.Context(), store.SpendTicket, t.ID); err != nil {
		return &broker.Error{Reason: broker.ReasonStoreUnavailable, Err: err}
	} else if spent {
		return broker.Refuse(broker.ReasonTicketSpent, "the ticket was answered before")
	}
	return s.next(w, r, v, t)
}

// userRequest is the user phase of a waiting request.
func (t ticket) userRequest(person broker.UserInput, scopes []string) broker.Request {
	facts := t.Facts
	facts.Scopes = scopes
	return broker.Request{
		ClientID: t.ClientID, Facts: facts, Person: &person,
		Bound: &broker.Bound{Incarnation: t.Incarnation, DocumentSHA256: t.Document},
	}
}

// showConsent asks the user phase first, so that nobody is asked for what
// they may not give, and shows what would be granted.
func (s *Server) showConsent(w http.ResponseWriter, r *http.Request, v *visit, t ticket, browser string, person broker.UserInput) error {
	if err := s.hasRoom(broker.RoomForKnown); err != nil {
		return &redirectError{uri: t.RedirectURI, state: t.State, err: err}
	}
	var a broker.Admission
	err := s.step(r.Context(), func(u store.Unit) error {
		var err error
		a, err = s.admit(r.Context(), u, v, t.userRequest(person, t.Facts.Scopes))
		return err
	})
	if err != nil {
		return &redirectError{uri: t.RedirectURI, state: t.State, err: err}
	}
	t.Person, t.Scopes = person.Sub, a.Decision.Effective.Scopes
	if t.skips(a) {
		if err := s.allow(w, r, v, t, person, t.Scopes, true); !errors.Is(err, errAsk) {
			return err
		}
	}
	if t.Before, err = s.remembered(r.Context(), t, a, person); err != nil {
		return err
	}
	sealed, err := s.seal(t, browser)
	if err != nil {
		return err
	}
	csrf, err := s.csrf(browser)
	if err != nil {
		return err
	}
	d := s.describeConsent(t, a, person)
	d.RequestID, d.Ticket, d.CSRF = v.id, sealed, csrf
	s.cfg.Pages.Consent(w, d)
	return nil
}

// describeConsent says what the person is asked.
func (s *Server) describeConsent(t ticket, a broker.Admission, person broker.UserInput) pages.Consent {
	id, _ := cimd.Parse(t.ClientID) // it was parsed when the ticket was made
	links := broker.ShownTo(a.Decision.Settings, a.Client.Document)
	d := pages.Consent{
		Action: s.base + "/consent", SignOutAction: s.base + "/signout",
		ClientID: t.ClientID, ClientHost: clientHost(t.ClientID), ClientName: a.Client.Document.ClientName, NameKept: a.Known != broker.RegistrationCIMD,
		ClientURI: links.ClientURI, TosURI: links.TosURI, PolicyURI: links.PolicyURI, RedirectHost: redirectHost(t.RedirectURI, t.Facts.Redirect.Kind),
		Loopback:         t.Facts.Redirect.Kind == "loopback",
		RedirectSameHost: hostOf(t.RedirectURI) == hostOf(t.ClientID),
		Person:           person.Sub, FirstSeen: a.Client.CreatedAt, Remembered: t.Before,
		Resources: s.describeResources(a.Decision.Effective.Resources),
	}
	if t.Facts.Redirect.Kind == "private_scheme" {
		d.Warnings = append(d.Warnings, "The application is opened through a private address of this device; another application could have claimed it.")
	}
	if slices.Contains(id.Warnings, "root_path") {
		d.Warnings = append(d.Warnings, "The application names itself by the front page of its host.")
	}
	for _, scope := range a.Decision.Effective.Scopes {
		d.Scopes = append(d.Scopes, pages.Scope{Name: scope, Checked: true})
	}
	return d
}

// describeResources names resources as the operator does.
func (s *Server) describeResources(ids []string) []pages.Resource {
	var out []pages.Resource
	for _, id := range ids {
		d := pages.Resource{ID: id}
		if i := slices.IndexFunc(s.cfg.Resources, func(r broker.Resource) bool { return r.ID == id }); i >= 0 {
			d.Name = s.cfg.Resources[i].Name
		}
		out = append(out, d)
	}
	return out
}

// redirectHost is where a redirect URI of that kind leads: its host or, where
// it has none, its scheme.
func redirectHost(uri, kind string) string {
	if kind == "private_scheme" {
		return schemeOf(uri)
	}
	return hostOf(uri)
}

// clientHost is the host that a client names itself by, or all of a client_id
// that is no URL.
func clientHost(clientID string) string {
	if host := hostOf(clientID); host != "" {
		return host
	}
	return clientID
}

// hostOf is the host of a URL with its port, as written.
func hostOf(uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return ""
	}
	if host, port, err := net.SplitHostPort(u.Host); err == nil && port == "443" {
		return host
	}
	return u.Host
}

// schemeOf is the scheme of a URI.
func schemeOf(uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return ""
	}
	return u.Scheme
}

// decideConsent takes the person's answer: grant, code and records in one
// commit, which also spends the ticket.
func (s *Server) decideConsent(w http.ResponseWriter, r *http.Request, v *visit) error {
	p, err := formParams(w, r, "scope")
	if err != nil {
		return err
	}
	t, browser, err := s.unseal(p.one("ticket"), r)
	if err != nil {
		return err
	}
	if err := s.checkForm(r, p); err != nil {
		return err
	}
	v.client = t.ClientID
	person, err := s.person(r, v, t.Login)
	if err != nil {
		return err
	}
	if person == nil || person.Sub != t.Person {
		return s.showSignIn(w, v, t, browser, "", nil)
	}
	scopes := slices.DeleteFunc(slices.Clone(t.Scopes), func(v string) bool { return !slices.Contains(p.Values["scope"], v) })
	switch decision := p.one("decision"); {
	case decision == "allow" && (len(scopes) > 0 || len(t.Scopes) == 0):
		return s.allow(w, r, v, t, *person, scopes, false)
	case decision == "allow" || decision == "deny":
		return s.deny(r, v, t)
	}
	return broker.Refuse(broker.ReasonRequestInvalid, "decision is neither allow nor deny")
}

// deny records the person's no and tells the client.
func (s *Server) deny(r *http.Request, v *visit, t ticket) error {
	err := s.step(r.Context(), func(u store.Unit) error {
		u.Spend(store.SpendTicket, t.ID, t.Until)
		rec := s.note(v, decisionlog.EventConsentRefused, decisionlog.OutcomeRefused)
		rec.Reason, rec.PublicReason = string(broker.ReasonConsentRefused), string(broker.ReasonConsentRefused.Public())
		rec.ClientID, rec.Incarnation = t.ClientID, t.Incarnation
		u.Append(rec)
		return nil
	})
	if err != nil {
		return spentTicket(err)
	}
	v.recorded = true
	return &redirectError{uri: t.RedirectURI, state: t.State, err: &broker.Error{
		Reason: broker.ReasonConsentRefused, Detail: "The person refused."}}
}

// allow asks the user phase once more with what the person ticked, and issues
// the code. skipped says that the person was not asked; where the policy in
// force by now wants the page, the error is errAsk and there is no grant.
func (s *Server) allow(w http.ResponseWriter, r *http.Request, v *visit, t ticket, person broker.UserInput, scopes []string, skipped bool) error {
	if err := s.hasRoom(broker.RoomForKnown); err != nil {
		return &redirectError{uri: t.RedirectURI, state: t.State, err: err}
	}
	var code string
	err := s.step(r.Context(), func(u store.Unit) error {
		req := t.userRequest(person, scopes)
		req.Commits = true
		grantID := broker.NewID()
		req.Bound.GrantID = grantID
		a, err := s.admit(r.Context(), u, v, req)
		if err != nil {
			return err
		}
		if skipped && !t.skips(a) {
			return errAsk
		}
		grant, err := s.grant(grantID, t, a, person)
		if err != nil {
			return err
		}
		u.RequireEpoch(a.Epoch)
		u.RequireClient(a.Client.ID, a.Client.Incarnation)
		u.Spend(store.SpendTicket, t.ID, t.Until)
		u.ExtendClient(a.Client.ID, a.Client.Incarnation, a.ClientEnd(grant.ExpiresAt))
		code, err = s.cfg.Grants.IssueCode(r.Context(), u, grants.CodeRequest{
			RequestID: v.id, Client: a.Client, Grant: grant, RedirectURI: t.RedirectURI, RedirectSent: t.RedirectSent, Challenge: t.Challenge,
		})
		if err != nil {
			return err
		}
		u.Append(s.consentRecord(v, a, grant, t.Before, skipped))
		return nil
	})
	if errors.Is(err, broker.ErrSpent) {
		return spentTicket(err)
	}
	if errors.Is(err, errAsk) {
		return err
	}
	if err != nil {
		return &redirectError{uri: t.RedirectURI, state: t.State, err: err}
	}
	q := url.Values{"code": {code}}
	if t.State != "" {
		q.Set("state", t.State)
	}
	s.redirect(w, r, t.RedirectURI, q)
	return nil
}

// spentTicket names the loss of a ticket.
func spentTicket(err error) error {
	if errors.Is(err, broker.ErrSpent) {
		return &broker.Error{Reason: broker.ReasonTicketSpent, Err: err}
	}
	return err
}
