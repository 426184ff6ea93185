package cimd

import (
	"slices"
	"strings"
)

const (
	methodNone          = "none"
	methodPrivateKeyJWT = "private_key_jwt"
)

// authMethods holds D7 and D12 to D17. It runs after keys, since a client that
// offers private_key_jwt must have shown where its keys are.
func (r *reader) authMethods() *Error {
	singular, hasSingular, fail := r.text("token_endpoint_auth_method")
	if fail != nil {
		return fail
	}
	plural, fail := r.list("token_endpoint_auth_methods_supported")
	if fail != nil {
		return fail
	}
	for i, m := range append([]string{singular}, plural...) {
		if strings.HasPrefix(strings.ToLower(m), "client_secret") {
			return &Error{reasonAuthMethod, []string{"D7", "D12"}[min(i, 1)], "the authentication method " + quote(m) + " needs a shared secret, which a public document cannot hold"}
		}
	}
	if hasSingular && plural != nil && !slices.Contains(plural, singular) {
		return &Error{reasonMember, "D15", "token_endpoint_auth_method is not in token_endpoint_auth_methods_supported"}
	}
	r.doc.AuthMethod = singular
	if r.doc.AuthMethodsSupported, fail = r.identifiers("token_endpoint_auth_methods_supported"); fail != nil {
		return fail
	}
	if hasSingular && !isIdentifier(singular) || !r.offers(methodNone) && !r.offers(methodPrivateKeyJWT) {
		return &Error{reasonAuthMethod, "D17", "the document offers neither of the authentication methods none and private_key_jwt"}
	}
	if r.offers(methodPrivateKeyJWT) && r.doc.JWKS == nil && r.doc.JWKSURI == "" {
		return &Error{reasonAuthMethod, "A8", "the document offers private_key_jwt without a usable public key in jwks or a jwks_uri"}
	}
	return nil
}

func (r *reader) offers(method string) bool {
	return slices.Contains(r.doc.AuthMethods(), method)
}

// signingAlg refuses algorithms without a public key (D7, A9). An algorithm
// that is not known matters only to a client that would sign with it.
func (r *reader) signingAlg() *Error {
	const name = "token_endpoint_auth_signing_alg"
	alg, present, fail := r.text(name)
	if fail != nil || !present {
		return fail
	}
	lower := strings.ToLower(alg)
	switch {
	case lower == "none" || strings.HasPrefix(lower, "hs"):
		return &Error{reasonMember, "A9", "the member " + name + " names " + quote(alg) + ", which proves no possession of a private key"}
	case !r.offers(methodPrivateKeyJWT):
		if !isSignatureAlg(alg) {
			r.drop(name)
			return nil
		}
	case !isSignatureAlg(alg):
		return &Error{reasonAuthMethod, "A9", "the member " + name + " names " + quote(alg) + ", which is not supported"}
	case r.doc.JWKS != nil && !r.hasKeyFor(alg):
		return &Error{reasonAuthMethod, "A8", "no key in jwks can be used with the algorithm " + alg}
	}
	r.doc.SigningAlg = alg
	return nil
}
