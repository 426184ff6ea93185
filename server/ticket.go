package server

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"guestlist/broker"
)

// Names of the two cookies, and what is sealed under the browser's.
const (
	hostPrefix    = "__Host-"
	browserCookie = hostPrefix + "guestlist-browser" // ties tickets and forms to one browser
	sessionCookie = hostPrefix + "guestlist-session" // ties a browser to a sign-in
	ticketPurpose = "ticket"
	csrfPurpose   = "csrf"
	csrfMark      = "form"
	maxTicket     = 6 << 10 // bytes, sealed
)

// ticket is a waiting authorization request between steps: sealed, bound to
// the browser's cookie, spent in the commit of consent (design §3).
type ticket struct {
	ID           string              `json:"id"` // random; what is spent
	Until        time.Time           `json:"u"`
	ClientID     string              `json:"c"`
	Incarnation  uint64              `json:"i"`
	Document     string              `json:"d"` // sha256
	RedirectURI  string              `json:"r"`
	RedirectSent bool                `json:"rs"`
	State        string              `json:"s"`
	Challenge    string              `json:"p"`
	Facts        broker.RequestInput `json:"f"`
	Login        time.Time           `json:"l"`          // prompt=login: sign-ins before this do not count
	Person       string              `json:"w"`          // who saw the consent page
	Scopes       []string            `json:"sc"`         // what the consent page offered
	Before       time.Time           `json:"b,omitzero"` // the consent that shortened the page; zero: the full page
}

// browser returns the value that ties forms to this browser, setting the
// cookie where there is none yet.
func (s *Server) browser(w http.ResponseWriter, r *http.Request) string {
	if v, ok := s.cookie(r, browserCookie); ok && len(v) == 22 {
		return v
	}
	var b [16]byte
	rand.Read(b[:])
	v := base64.RawURLEncoding.EncodeToString(b[:])
	s.setCookie(w, browserCookie, v, 0)
	return v
}

// setCookie sets a cookie that no other host can read or set. In development
// on http it sets a plain one too: Chromium and Firefox keep Secure cookies on
// loopback, Safari and most cookie jars do not.
func (s *Server) setCookie(w http.ResponseWriter, name, value string, maxAge time.Duration) {
	c := hostCookie(name, value, maxAge)
	http.SetCookie(w, c)
	if s.plainCookies() {
		c.Name, c.Secure = strings.TrimPrefix(name, hostPrefix), false
		http.SetCookie(w, c)
	}
}

// cookie returns the value of a cookie that setCookie set.
func (s *Server) cookie(r *http.Request, name string) (string, bool) {
	c, err := r.Cookie(name)
	if err != nil && s.plainCookies() {
		c, err = r.Cookie(strings.TrimPrefix(name, hostPrefix))
	}
	if err != nil {
		return "", false
	}
	return c.Value, true
}

// plainCookies reports whether this is development on http.
func (s *Server) plainCookies() bool {
	return s.cfg.Insecure && strings.HasPrefix(s.cfg.Issuer, "http://")
}

// hostCookie is a cookie with all that its prefix wants. Max age zero means until the browser closes; a negative one deletes it.
func hostCookie(name, value string, maxAge time.Duration) *http.Cookie {
	c := &http.Cookie{Name: name, Value: value, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode}
	if maxAge != 0 {
		c.MaxAge = int(maxAge / time.Second)
	}
	return c
}

// seal writes t for this browser.
func (s *Server) seal(t ticket, browser string) (string, error) {
	b, err := json.Marshal(t)
	if err != nil {
		return "", err
	}
	sealed, err := s.cfg.Keys.Seal(ticketPurpose, b, []byte(browser))
	if err != nil {
		return "", err
	}
	if len(sealed) > maxTicket {
		return "", broker.Refuse(broker.ReasonRequestInvalid, "the request does not fit a ticket: %d bytes sealed, at most %d", len(sealed), maxTicket)
	}
	return sealed, nil
}

// fits reports whether the waiting request will fit a sealed ticket, so that
// one that does not is refused before it leaves a row. It leaves room for what
// the ticket learns later: digest, person, redirect host.
func (t ticket) fits(req broker.Request) bool {
	t.Facts, t.Scopes = req.Facts, req.Facts.Scopes
	if req.RedirectURI != nil {
		t.RedirectURI, t.Facts.RedirectURI = *req.RedirectURI, *req.RedirectURI
	}
	const room = maxTicket*3/4 - 800
	if ticketBytes+6*t.textBytes() <= room {
		return true
	}
	b, err := json.Marshal(t)
	return err == nil && len(b) <= room
}

// ticketBytes is more than a ticket takes in JSON with all texts empty.
const ticketBytes = 1000

// textBytes is the length of all texts of unbounded length. JSON takes six
// bytes for one at most, quotes and comma of a list's entry counted apart.
func (t ticket) textBytes() int {
	n := len(t.ID) + len(t.ClientID) + len(t.Document) + len(t.RedirectURI) + len(t.State) + len(t.Challenge) + len(t.Person)
	f := t.Facts
	n += len(f.RedirectURI) + len(f.ResponseType) + len(f.GrantType) + len(f.Source.IP) + len(f.Source.UserAgent)
	n += len(f.Redirect.Kind) + len(f.Redirect.Host) + len(f.Redirect.Relation)
	for _, list := range [][]string{t.Scopes, f.Scopes, f.Resources, f.Prompt} {
		for _, text := range list {
			n += len(text) + 1
		}
	}
	return n
}

// unseal reads a ticket that this browser was given and that still waits.
func (s *Server) unseal(sealed string, r *http.Request) (ticket, string, error) {
	browser, ok := s.cookie(r, browserCookie)
	if !ok || sealed == "" || len(sealed) > maxTicket {
		return ticket{}, "", broker.Refuse(broker.ReasonTicketInvalid, "no ticket, or no browser cookie")
	}
	b, err := s.cfg.Keys.Unseal(ticketPurpose, sealed, []byte(browser))
	if err != nil {
		return ticket{}, "", broker.Refuse(broker.ReasonTicketInvalid, "the ticket is not this browser's, or damaged")
	}
	var t ticket
	if err := json.Unmarshal(b, &t); err != nil {
		return ticket{}, "", broker.Refuse(broker.ReasonTicketInvalid, "the ticket cannot be read: %w", err)
	}
	if !s.cfg.Now().Before(t.Until) {
		return ticket{}, "", broker.Refuse(broker.ReasonTicketInvalid, "the ticket ended at %s", t.Until.Format(time.RFC3339))
	}
	return t, browser, nil
}

// csrf is the token of a form shown to this browser.
func (s *Server) csrf(browser string) (string, error) {
	return s.cfg.Keys.Seal(csrfPurpose, []byte(csrfMark), []byte(browser))
}

// checkForm refuses a form that this server did not show to this browser.
func (s *Server) checkForm(r *http.Request, p params) error {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		return broker.Refuse(broker.ReasonCSRF, "Sec-Fetch-Site is %s", shown(site))
	}
	browser, ok := s.cookie(r, browserCookie)
	if !ok {
		return broker.Refuse(broker.ReasonCSRF, "the browser sent no cookie")
	}
	b, err := s.cfg.Keys.Unseal(csrfPurpose, p.one("csrf"), []byte(browser))
	if err != nil || string(b) != csrfMark {
		return broker.Refuse(broker.ReasonCSRF, "the csrf field is missing or not this browser's")
	}
	return nil
}
