package server

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/gorilla/mux"

	"guestlist/broker"
	"guestlist/server/grants"
	"guestlist/server/pages"
)

// describe builds the authorization server metadata (RFC 8414 section 2).
// Only what works is advertised.
func (s *Server) describe() ([]byte, error) {
	m := map[string]any{
		"issuer":                                         s.cfg.Issuer,
		"authorization_endpoint":                         s.url("/authorize"),
		"token_endpoint":                                 s.url("/token"),
		"jwks_uri":                                       s.url("/jwks"),
		"response_types_supported":                       []string{"code"},
		"response_modes_supported":                       []string{"query"},
		"grant_types_supported":                          []string{"authorization_code", "refresh_token"},
		"revocation_endpoint":                            s.url("/revoke"),
		"revocation_endpoint_auth_methods_supported":     grants.AuthMethods(),
		"introspection_endpoint":                         s.url("/introspect"),
		"introspection_endpoint_auth_methods_supported":  []string{"client_secret_basic"},
		"token_endpoint_auth_methods_supported":          grants.AuthMethods(),
		"code_challenge_methods_supported":               []string{"S256"},
		"authorization_response_iss_parameter_supported": true,
		"scopes_supported":                               scopesOf(s.cfg.Resources),
		"request_parameter_supported":                    false,
		"request_uri_parameter_supported":                false,
	}
	for _, endpoint := range []string{"token", "revocation"} {
		m[endpoint+"_endpoint_auth_signing_alg_values_supported"] = grants.SigningAlgs()
	}
	if ids := resourceIDs(s.cfg.Resources); len(ids) > 0 {
		m["protected_resources"] = ids // RFC 9728 section 4
	}
	if !s.cfg.Hidden && s.cfg.Broker.AdmitsStrangers() {
		m["client_id_metadata_document_supported"] = true
	}
	return json.MarshalIndent(m, "", "  ")
}

// scopesOf lists every scope of every resource once, and offline_access,
// which clients look for before they ask for a refresh token.
func scopesOf(resources []broker.Resource) []string {
	out := []string{"offline_access"}
	for _, r := range resources {
		for _, scope := range r.Scopes {
			if !slices.Contains(out, scope) {
				out = append(out, scope)
			}
		}
	}
	return out
}

// resourceIDs lists the resource identifiers.
func resourceIDs(resources []broker.Resource) []string {
	var out []string
	for _, r := range resources {
		out = append(out, r.ID)
	}
	return out
}

// discovery answers the metadata at every location.
func (s *Server) discovery(w http.ResponseWriter, _ *http.Request, _ *visit) error {
	public(w, s.metadata)
	return nil
}

// jwks answers the public keys.
func (s *Server) jwks(w http.ResponseWriter, _ *http.Request, _ *visit) error {
	public(w, s.cfg.Keys.JWKS())
	return nil
}

// public writes JSON that anybody may keep for five minutes.
func public(w http.ResponseWriter, b []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "public, max-age=300")
	w.WriteHeader(http.StatusOK)
	w.Write(b)
}

// help explains a public reason.
func (s *Server) help(w http.ResponseWriter, r *http.Request, v *visit) error {
	reason := broker.PublicReason(mux.Vars(r)["reason"])
	h, ok := helps[reason]
	if !ok {
		return s.notFound(w, r, v)
	}
	s.cfg.Pages.Help(w, pages.Help{Reason: string(reason), Title: h.title, Text: h.text, What: h.what})
	return nil
}
