package cimd

import (
	"slices"
	"strconv"
)

const (
	grantCode = "authorization_code"

	// maxRedirects bounds the redirect URIs of one document.
	maxRedirects = 100
)

// startingGrants can begin a flow without the help of another grant.
// refresh_token is not among them.
var startingGrants = []string{
	grantCode,
	"client_credentials",
	"urn:ietf:params:oauth:grant-type:device_code",
	"urn:ietf:params:oauth:grant-type:token-exchange",
	"urn:ietf:params:oauth:grant-type:jwt-bearer",
}

// grants holds Q1 and RFC 7591 section 2.1: unknown values stay and are
// negotiated away later, but something must be able to start.
func (r *reader) grants() *Error {
	grants, fail := r.identifiers("grant_types")
	if fail != nil {
		return fail
	}
	if grants == nil {
		grants = []string{grantCode}
	}
	responses, fail := r.identifiers("response_types")
	if fail != nil {
		return fail
	}
	if responses == nil {
		responses = []string{"code"}
	}
	r.doc.GrantTypes, r.doc.ResponseTypes = grants, responses
	if !slices.ContainsFunc(grants, isStarting) {
		return &Error{reasonNothing, "Q1", "the document has no grant type that can start a flow"}
	}
	if slices.Contains(grants, grantCode) && !slices.Contains(responses, "code") {
		return &Error{reasonNothing, "Q1", "the document has the grant type authorization_code without the response type code"}
	}
	return nil
}

func isStarting(grant string) bool { return slices.Contains(startingGrants, grant) }

// redirects holds A1, A2 and M11. It runs after grants, which say whether the
// client can do without a redirect URI.
func (r *reader) redirects() *Error {
	published, fail := r.list("redirect_uris")
	if fail != nil {
		fail.Reason = reasonRedirects
		return fail
	}
	if len(published) > maxRedirects {
		return &Error{reasonRedirects, "A1", "the document has more than " + strconv.Itoa(maxRedirects) + " redirect URIs"}
	}
	for i, uri := range published {
		_, f := recogniseRedirect(uri)
		if f != nil && !f.unusable {
			return f.about(reasonRedirects, "the redirect URI "+quote(uri)+" at position "+strconv.Itoa(i))
		}
		if f != nil || slices.Contains(r.doc.RedirectURIs, uri) {
			r.dropElement("redirect_uris", i)
			continue
		}
		r.doc.RedirectURIs = append(r.doc.RedirectURIs, uri)
	}
	switch {
	case len(r.doc.RedirectURIs) > 0 || len(published) == 0 && !r.needsRedirects():
		return nil
	case len(published) > 0:
		return &Error{reasonRedirects, "X8", "the document has no redirect URI that could be used"}
	}
	return &Error{reasonRedirects, "M11", "the document has no redirect URIs"}
}

func (r *reader) needsRedirects() bool {
	withoutRedirect := func(grant string) bool { return grant != grantCode && isStarting(grant) }
	return r.profile != ProfileCIMD || !slices.ContainsFunc(r.doc.GrantTypes, withoutRedirect)
}
