package broker

import (
	"slices"

	"guestlist/broker/cimd"
)

// Client authentication methods of RFC 7591 section 2 that can be negotiated.
const (
	methodNone          = "none"
	methodPrivateKeyJWT = "private_key_jwt"
)

// authMethods keeps what the document offers, the settings allow and the
// server has. Without a word in the settings only the strongest method that
// the document offers counts: a client that holds a key is not let in
// without it by accident, also when its key cannot be used here.
func (n *Negotiated) authMethods(s Settings, doc cimd.Document, offer Offer) {
	const member = "token_endpoint_auth_methods_supported"
	want := s.TokenEndpointAuthMethods
	offered := doc.AuthMethods()
	if len(want) == 0 {
		want = offered
		if slices.Contains(offered, methodPrivateKeyJWT) {
			want = []string{methodPrivateKeyJWT}
		}
	}
	if s.Require.ClientAuth {
		want = without(want, methodNone)
	}
	usable := offered
	if by, why := keyRefused(s, doc, offer); why != "" {
		n.cut(member, methodPrivateKeyJWT, by, why)
		usable = without(offered, methodPrivateKeyJWT)
	}
	n.Effective.AuthMethods = n.meet(member, usable, want, offer.AuthMethods)
	if len(n.Effective.AuthMethods) == 0 {
		n.fail(ReasonDocumentAuthMethod, "of the methods %q none is allowed by the settings %q and available here %q", usable, want, offer.AuthMethods)
	}
}

// keyRefused says by whom and why the key that a document offers is of no use,
// or nothing.
func keyRefused(s Settings, doc cimd.Document, offer Offer) (by, why string) {
	switch {
	case !slices.Contains(doc.AuthMethods(), methodPrivateKeyJWT) || !slices.Contains(offer.AuthMethods, methodPrivateKeyJWT):
		return "", ""
	case doc.SigningAlg != "" && !slices.Contains(offer.SigningAlgs, doc.SigningAlg):
		return "server", "token_endpoint_auth_signing_alg " + doc.SigningAlg + " is not available on this server"
	case doc.JWKSURI != "" && s.JWKS.SameOrigin && !SameOriginAs(doc.JWKSURI, doc.ClientID):
		return "settings", "jwks_uri is of another origin than the client identifier (jwks.same_origin)"
	}
	return "", ""
}

// SameOriginAs reports whether two client identifiers or other URLs that
// cimd.Parse accepts share scheme, host and port, where no port means 443.
func SameOriginAs(a, b string) bool {
	x, errX := cimd.Parse(a)
	y, errY := cimd.Parse(b)
	return errX == nil && errY == nil && x.Host == y.Host && httpsPort(x) == httpsPort(y)
}

// httpsPort is the port that a URL of scheme https means.
func httpsPort(id cimd.ID) string {
	if id.Port == "" {
		return "443"
	}
	return id.Port
}

// without returns list without value.
func without(list []string, value string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(v string) bool { return v == value })
}
