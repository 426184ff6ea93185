package server

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"guestlist/broker"
	"guestlist/broker/cimd"
	"guestlist/broker/decisionlog"
	"guestlist/server/pages"
	"guestlist/server/signin"
	"guestlist/store"
)

// person returns who is signed in; nil when nobody is, when the person was
// disabled, or when the sign-in is older than after.
func (s *Server) person(r *http.Request, v *visit, after time.Time) (*broker.UserInput, error) {
	cookie, ok := s.cookie(r, sessionCookie)
	if !ok {
		return nil, nil
	}
	session, found, err := s.cfg.Store.Begin().Session(r.Context(), signin.SessionHash(cookie))
	if err != nil {
		return nil, &broker.Error{Reason: broker.ReasonStoreUnavailable, Err: err}
	}
	if !found || !s.cfg.Now().Before(session.ExpiresAt) || session.AuthTime.Before(after) {
		return nil, nil
	}
	p, known := s.cfg.People.Lookup(session.Username)
	if !known {
		return nil, nil
	}
	v.subject = s.cfg.Keys.Pseudonym(p.Username)
	u := userInput(p, session, s.cfg.Issuer)
	return &u, nil
}

// userInput is a person as policies see them.
func userInput(p signin.Person, session store.Session, issuer string) broker.UserInput {
	groups := p.Groups
	if groups == nil {
		groups = []string{}
	}
	return broker.UserInput{
		Sub: p.Username, Groups: groups, Claims: map[string]any{"email": p.Email, "name": p.FullName},
		AMR: session.AMR, AuthTime: session.AuthTime.UTC(), Issuer: issuer,
	}
}

// signIn shows the sign-in form and takes its answer.
func (s *Server) signIn(w http.ResponseWriter, r *http.Request, v *visit) error {
	if r.Method != http.MethodPost {
		return s.showSignIn(w, v, ticket{}, s.browser(w, r), "", nil)
	}
	p, err := formParams(w, r, "")
	if err != nil {
		return err
	}
	if err := s.checkForm(r, p); err != nil {
		return err
	}
	var t ticket
	if p.one("ticket") != "" {
		if t, _, err = s.unseal(p.one("ticket"), r); err != nil {
			return err
		}
		// Without a ticket the person comes to take something back, which always
		// has room.
		if err := s.hasRoom(broker.RoomForKnown); err != nil {
			return &redirectError{uri: t.RedirectURI, state: t.State, err: err}
		}
	}
	browser := s.browser(w, r)
	who, err := s.cfg.People.SignIn(r.Context(), p.one("username"), p.one("password"), v.source.String())
	if err != nil {
		return s.signInFailed(w, v, t, browser, p.one("username"), err)
	}
	if err := s.openSession(w, r, v, who); err != nil {
		return err
	}
	if t.ID == "" {
		http.Redirect(w, r, s.base+"/account", http.StatusSeeOther)
		return nil
	}
	sealed, err := s.seal(t, browser)
	if err != nil {
		return err
	}
	http.Redirect(w, r, s.base+"/consent?ticket="+url.QueryEscape(sealed), http.StatusSeeOther)
	return nil
}

// signInFailed records a failed sign-in and shows the form again. A wrong
// name, a wrong password and a disabled person look the same.
func (s *Server) signInFailed(w http.ResponseWriter, v *visit, t ticket, browser, username string, err error) error {
	var throttled *signin.Throttled
	reason := broker.ReasonSignInFailed
	switch {
	case errors.As(err, &throttled):
		reason = broker.ReasonSignInThrottled
	case !errors.Is(err, signin.ErrWrong):
		return &broker.Error{Reason: broker.ReasonServerTrouble, Err: err}
	}
	rec := s.note(v, decisionlog.EventPersonSignInFailed, decisionlog.OutcomeRefused)
	rec.Reason, rec.PublicReason, rec.ClientID = string(reason), string(reason.Public()), t.ClientID
	rec.Subject = s.cfg.Keys.Pseudonym(username)
	v.recorded, v.reason, v.err = true, reason, broker.Refuse(reason, "sign-in")
	if err := s.cfg.Batch.Add(rec); err != nil {
		return &broker.Error{Reason: broker.ReasonLogUnavailable, Err: err}
	}
	return s.showSignIn(w, v, t, browser, username, err)
}

// openSession stores the sign-in and sets its cookie, in one commit.
func (s *Server) openSession(w http.ResponseWriter, r *http.Request, v *visit, who signin.Person) error {
	cookie, session := signin.NewSession(s.cfg.Now(), who, s.cfg.Lifetimes.Session)
	v.subject = s.cfg.Keys.Pseudonym(who.Username)
	err := s.step(r.Context(), func(u store.Unit) error {
		if old, ok := s.cookie(r, sessionCookie); ok {
			u.EndSession(signin.SessionHash(old)) // whoever was signed in here before is not any more
		}
		u.PutSession(session)
		u.Append(s.note(v, decisionlog.EventPersonSignedIn, decisionlog.OutcomeGranted))
		return nil
	})
	if err != nil {
		return err
	}
	s.setCookie(w, sessionCookie, cookie, s.cfg.Lifetimes.Session)
	return nil
}

// showSignIn shows the form, with what went wrong the last time.
func (s *Server) showSignIn(w http.ResponseWriter, v *visit, t ticket, browser, username string, problem error) error {
	csrf, err := s.csrf(browser)
	if err != nil {
		return err
	}
	d := pages.SignIn{RequestID: v.id, Action: s.base + "/signin", CSRF: csrf, Username: username}
	if t.ID != "" {
		t.Person, t.Scopes = "", nil
		if d.Ticket, err = s.seal(t, browser); err != nil {
			return err
		}
		if id, err := cimd.Parse(t.ClientID); err == nil {
			d.ClientHost = id.Host
		}
	}
	var throttled *signin.Throttled
	switch {
	case errors.As(problem, &throttled):
		d.Status, d.RetryAfter = http.StatusTooManyRequests, seconds(throttled.RetryAfter)
		d.Problem = "Too many attempts. Please wait a little before you try again."
	case problem != nil:
		d.Status, d.Problem = http.StatusUnauthorized, "The user name or the password is wrong."
	}
	s.cfg.Pages.SignIn(w, d)
	return nil
}

// signOut ends the session; a waiting request goes on with another person.
func (s *Server) signOut(w http.ResponseWriter, r *http.Request, v *visit) error {
	p, err := formParams(w, r, "")
	if err != nil {
		return err
	}
	if err := s.checkForm(r, p); err != nil {
		return err
	}
	if cookie, ok := s.cookie(r, sessionCookie); ok {
		if err := s.closeSession(r, v, signin.SessionHash(cookie)); err != nil {
			return err
		}
	}
	s.setCookie(w, sessionCookie, "", -time.Second)
	if p.one("ticket") != "" {
		t, browser, err := s.unseal(p.one("ticket"), r)
		if err != nil {
			return err
		}
		return s.showSignIn(w, v, t, browser, "", nil)
	}
	s.cfg.Pages.Message(w, pages.Message{RequestID: v.id, Title: "You are signed out", Text: "Applications you allowed keep their access until it ends or you take it back."})
	return nil
}

// closeSession deletes a session and records whose it was; a session that is
// not there changes nothing.
func (s *Server) closeSession(r *http.Request, v *visit, hash string) error {
	return s.step(r.Context(), func(u store.Unit) error {
		session, found, err := u.Session(r.Context(), hash)
		if err != nil {
			return &broker.Error{Reason: broker.ReasonStoreUnavailable, Err: err}
		}
		if !found {
			return nil
		}
		v.subject = s.cfg.Keys.Pseudonym(session.Username)
		u.EndSession(hash)
		u.Append(s.note(v, decisionlog.EventPersonSignedOut, decisionlog.OutcomeDone))
		return nil
	})
}
