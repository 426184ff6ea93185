package server

import (
	"net/http"
	"regexp"
	"slices"
	"strings"

	"guestlist/broker"
	"guestlist/store"
)

// challengeForm is an S256 code challenge (RFC 7636 section 4.2): 43
// characters of base64url.
var challengeForm = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

// authorize starts a flow: form, admission in at most one commit, then the
// person is asked to sign in or, when they are signed in, for consent.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request, v *visit) error {
	p, err := s.authorizeParams(w, r)
	if err != nil {
		return err
	}
	t, req, err := s.readAuthorize(r, v, p)
	if err != nil {
		return err
	}
	var a broker.Admission
	err = s.step(r.Context(), func(u store.Unit) error {
		var err error
		a, err = s.admit(r.Context(), u, v, req)
		return err
	})
	if err != nil {
		if a.RedirectURI != "" {
			return &redirectError{uri: a.RedirectURI, state: t.State, err: err}
		}
		return err
	}
	t.Incarnation, t.Document = a.Client.Incarnation, a.Client.DocumentSHA256
	t.RedirectURI, t.Facts = a.RedirectURI, a.Request
	return s.next(w, r, v, t)
}

// authorizeParams reads the parameters of either method.
func (s *Server) authorizeParams(w http.ResponseWriter, r *http.Request) (params, error) {
	if r.Method != http.MethodPost {
		return queryParams(r)
	}
	if r.URL.RawQuery != "" {
		return params{}, broker.Refuse(broker.ReasonRequestInvalid, "a POST takes its parameters from the body alone")
	}
	return formParams(w, r, "resource")
}

// readAuthorize understands the request. Faults that may be told by redirect
// wait in Request.Fault until the redirect URI is proven.
func (s *Server) readAuthorize(r *http.Request, v *visit, p params) (ticket, broker.Request, error) {
	clientID := p.one("client_id")
	if clientID == "" {
		return ticket{}, broker.Request{}, broker.Refuse(broker.ReasonRequestInvalid, "client_id is missing")
	}
	now := s.cfg.Now()
	t := ticket{
		ID: broker.NewID(), Until: now.Add(s.cfg.Lifetimes.Ticket), ClientID: clientID,
		State: p.one("state"), Challenge: p.one("code_challenge"), RedirectSent: p.optional("redirect_uri") != nil,
	}
	scopes, _ := parseScope(p.one("scope"))
	prompt, resources := wellNamed(strings.Fields(p.one("prompt"))...), s.askable(p.Values["resource"])
	if slices.Contains(prompt, "login") {
		t.Login = now
	}
	agent := bounded(r.UserAgent(), 200)
	req := broker.Request{
		ClientID: clientID, RedirectURI: p.optional("redirect_uri"), Fault: authorizeFault(p, prompt, resources),
		Facts: broker.RequestInput{
			Scopes: scopes, Resources: resources, ResponseType: strings.Join(wellNamed(p.one("response_type")), ""),
			GrantType: "authorization_code", PKCE: true, Prompt: prompt,
			Source: broker.SourceInput{IP: v.source.String(), UserAgent: agent},
		},
	}
	if req.Fault == nil && !t.fits(req) {
		req.Fault = broker.Refuse(broker.ReasonRequestInvalid, "the request is too long to wait for a person")
	}
	if req.Fault == nil {
		req.Fault = s.hasRoom(broker.RoomForKnown)
	}
	return t, req, nil
}

// authorizeFault is the first thing wrong with the request beside client_id
// and redirect_uri.
func authorizeFault(p params, prompt, resources []string) *broker.Error {
	_, scopeOK := parseScope(p.one("scope"))
	mode := p.one("response_mode")
	switch {
	case p.one("request") != "":
		return broker.Refuse(broker.ReasonRequestObject, "a request object was sent")
	case p.one("request_uri") != "":
		return broker.Refuse(broker.ReasonRequestURI, "a request_uri was sent")
	case p.one("response_type") == "":
		return broker.Refuse(broker.ReasonRequestInvalid, "response_type is missing")
	case p.one("response_type") != "code":
		return broker.Refuse(broker.ReasonResponseType, "response_type is %s", shown(p.one("response_type")))
	case mode != "" && mode != "query":
		return broker.Refuse(broker.ReasonRequestInvalid, "response_mode is %s, only query is there", shown(mode))
	case p.one("code_challenge_method") != "S256":
		return broker.Refuse(broker.ReasonPKCERequired, "code_challenge_method is %s, want S256", shown(p.one("code_challenge_method")))
	case !challengeForm.MatchString(p.one("code_challenge")):
		return broker.Refuse(broker.ReasonPKCERequired, "code_challenge has %d characters, want 43 of base64url", len(p.one("code_challenge")))
	case !scopeOK:
		return broker.Refuse(broker.ReasonScopeMalformed, "scope is not a list of scopes: %s", broker.Digest(p.one("scope")))
	case len(p.Values["resource"]) > 10:
		return broker.Refuse(broker.ReasonRequestInvalid, "more than 10 resources")
	case len(resources) < len(p.Values["resource"]):
		return broker.Refuse(broker.ReasonResourceUnknown, "a resource is not an absolute URI without user information and fragment, or has a query that no resource of this server has")
	case slices.Contains(prompt, "none"):
		return broker.Refuse(broker.ReasonLoginRequired, "prompt=none was asked")
	}
	return nil
}

// next shows the waiting request's next page: consent for a person who is
// signed in, else sign-in.
func (s *Server) next(w http.ResponseWriter, r *http.Request, v *visit, t ticket) error {
	browser := s.browser(w, r)
	person, err := s.person(r, v, t.Login)
	if err != nil {
		return err
	}
	if person == nil {
		return s.showSignIn(w, v, t, browser, "", nil)
	}
	return s.showConsent(w, r, v, t, browser, *person)
}
