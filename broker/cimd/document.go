package cimd

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
)

// Profile says which rules a document is held to. The zero value means
// [ProfileMCP], and so does any value that is not known.
type Profile string

const (
	// ProfileMCP asks, beyond the draft, for client_name and redirect_uris
	// (MCP authorization, client registration).
	ProfileMCP Profile = "mcp"
	// ProfileCIMD asks only for what the draft asks for.
	ProfileCIMD Profile = "cimd"
)

// Document holds the members of a client ID metadata document that are kept,
// under the names of RFC 7591. It can be stored as JSON and read back. It is
// what the client says of itself, validated in form; none of it has been
// granted, and a string in it may be as misleading as its author wished.
type Document struct {
	// ClientID equals the client identifier URL byte for byte.
	ClientID string `json:"client_id"`
	// ClientName has no control, format or invisible characters and at most
	// 1000 bytes; "" when absent, which only ProfileCIMD allows. Pages must
	// cut it.
	ClientName string `json:"client_name,omitempty"`
	// ClientURI is an https URL fit to be shown, or "". It is not fetched.
	ClientURI string `json:"client_uri,omitempty"`
	// LogoURI is an https URL with a public host name, or "". The address
	// behind it is not checked.
	LogoURI string `json:"logo_uri,omitempty"`
	// TosURI is an https URL fit to be shown, or "".
	TosURI string `json:"tos_uri,omitempty"`
	// PolicyURI is an https URL fit to be shown, or "".
	PolicyURI string `json:"policy_uri,omitempty"`
	// RedirectURIs are the usable redirect URIs, each accepted by
	// ClassifyRedirect, in the order published, without repetitions. Empty
	// only under ProfileCIMD for clients that can start without a redirect.
	RedirectURIs []string `json:"redirect_uris,omitempty"`
	// GrantTypes as published, unknown ones included, or the default
	// authorization_code.
	GrantTypes []string `json:"grant_types,omitempty"`
	// ResponseTypes as published, unknown ones included, or the default code.
	ResponseTypes []string `json:"response_types,omitempty"`
	// AuthMethod is token_endpoint_auth_method as published, "" when absent.
	// Use AuthMethods to learn what the client offers.
	AuthMethod string `json:"token_endpoint_auth_method,omitempty"`
	// AuthMethodsSupported is the plural member as published, nil when absent.
	AuthMethodsSupported []string `json:"token_endpoint_auth_methods_supported,omitempty"`
	// SigningAlg is a signature algorithm with a public key that the client
	// will use for its assertions, or "" for any.
	SigningAlg string `json:"token_endpoint_auth_signing_alg,omitempty"`
	// Scope is the space-separated scope as published; nil when absent, which
	// is not the same as empty.
	Scope *string `json:"scope,omitempty"`
	// JWKS is a JWK Set with the published public keys that can verify a
	// signature, reduced to their public members; nil when there is none.
	JWKS json.RawMessage `json:"jwks,omitempty"`
	// JWKSURI is accepted by Parse, or "". Never set together with JWKS. It
	// has not been fetched and its address is not checked.
	JWKSURI string `json:"jwks_uri,omitempty"`
	// ApplicationType is "native", "web" or "" (absent; no default applied).
	ApplicationType string `json:"application_type,omitempty"`
	// SoftwareID is free text of at most 255 bytes.
	SoftwareID string `json:"software_id,omitempty"`
	// SoftwareVersion is free text of at most 255 bytes.
	SoftwareVersion string `json:"software_version,omitempty"`
	// DPoPBoundAccessTokens is a demand of the client (RFC 9449 section 5.2):
	// serve it or refuse the client.
	DPoPBoundAccessTokens bool `json:"dpop_bound_access_tokens,omitempty"`
	// RequirePAR is require_pushed_authorization_requests (RFC 9126 section
	// 6), a demand of the client.
	RequirePAR bool `json:"require_pushed_authorization_requests,omitempty"`
	// Contacts are free text, each at most 255 bytes.
	Contacts []string `json:"contacts,omitempty"`
}

// AuthMethods returns the client authentication methods that the document
// offers, the singular member first, without repetitions and including those
// that this server does not know. With neither member present that is "none"
// (D13); a plural member without a singular one stands alone and never falls
// back to none (D14).
func (d Document) AuthMethods() []string {
	if d.AuthMethod == "" && d.AuthMethodsSupported == nil {
		return []string{methodNone}
	}
	methods := []string{}
	if d.AuthMethod != "" {
		methods = append(methods, d.AuthMethod)
	}
	for _, m := range d.AuthMethodsSupported {
		if !slices.Contains(methods, m) {
			methods = append(methods, m)
		}
	}
	return methods
}

// Parsed is a valid document with what is known about its bytes.
type Parsed struct {
	// Document holds the kept members.
	Document Document
	// Published is the whole document as published, after strict decoding,
	// with numbers as json.Number. The caller owns it. Only its form is
	// checked: nothing in it may be fetched or trusted.
	Published map[string]any
	// SHA256 is the digest of the body bytes in lower-case hex.
	SHA256 string
	// Dropped names, sorted, what was published and is not in Document:
	// unknown members ("x_vendor"), ignored ones ("software_statement"),
	// unusable values ("logo_uri") and single elements ("redirect_uris[1]",
	// "jwks.keys[0]").
	Dropped []string
}

// ParseDocument decodes and validates the body of the document of the client
// identifier, in the order of section 4 of the draft and with equality of
// client_id before all rules about members. The error is an *Error with the
// first rule that was broken; a document is never half accepted, but single
// members and elements that are harmless and of no use are left out and
// listed.
//
// ParseDocument does not look at the size of body, its media type or the
// status it came with, does not fetch jwks_uri, and does not ask whether this
// server offers what the client wants beyond the methods and grants it could
// ever offer.
func ParseDocument(body []byte, id ID, profile Profile) (Parsed, error) {
	published, fail := decodeStrict(body)
	if fail != nil {
		return Parsed{}, fail
	}
	r := &reader{members: published, id: id, profile: profile}
	for _, step := range []func() *Error{
		r.clientID,
		r.names,
		r.secrets,
		r.schemes,
		r.keys,
		r.authMethods,
		r.signingAlg,
		r.grants,
		r.redirects,
		r.name,
		r.scope,
		r.applicationType,
		r.demands,
		r.display,
		r.software,
	} {
		if fail := step(); fail != nil {
			return Parsed{}, fail
		}
	}
	sum := sha256.Sum256(body)
	return Parsed{
		Document:  r.doc,
		Published: published,
		SHA256:    hex.EncodeToString(sum[:]),
		Dropped:   r.allDropped(),
	}, nil
}
