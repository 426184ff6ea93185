package grants

import (
	"cmp"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"

	"guestlist/broker"
	"guestlist/broker/cimd"
)

// methodNone is the token_endpoint_auth_method of a public client.
const methodNone = "none"

// ClientAuth says who calls and how they want to prove it. Its ClientID is a
// claim until Engine.Check, CheckRefresh or RevokeToken has compared it with
// what was presented and, where there is an assertion, checked that.
type ClientAuth struct {
	// ClientID is the client identifier, byte for byte.
	ClientID string
	// Method is the token_endpoint_auth_method that was used: "none" or
	// "private_key_jwt".
	Method string
	// Assertion is the client_assertion of private_key_jwt, else empty. Of it
	// only form and sub have been looked at.
	Assertion Assertion
}

// Authenticate finds out which client calls, from the header and the parsed
// body of a request to a client endpoint.
//
// A client_id in the body alone is method none. So is HTTP Basic with an empty
// secret, which the Go MCP client sends first. RFC 6749 section 2.3.1 wants
// the identifier in Basic form-urlencoded; a client identifier URL that was
// left as it is, colons and all, is understood too. A client_id beside Basic
// must be equal. A client_assertion of RFC 7523 section 2.2 alone is method
// private_key_jwt; its sub names the client, and a client_id beside it must be
// equal. Whatever else claims to authenticate (a secret, two ways at once,
// another scheme, two headers) is refused with client_authentication_failed,
// as is a request that names no client.
//
// With an error ClientID is the one that the request claims, for the record of
// the refusal, and empty where it names none. Authenticate fetches nothing and
// does not know whether the client exists. It takes every parameter as sent
// once, for which the request edge answers.
func Authenticate(h http.Header, form url.Values) (ClientAuth, error) {
	id := form.Get("client_id")
	if given(form, "client_secret") {
		return ClientAuth{ClientID: id}, refuseClient("the request carries client_secret")
	}
	if given(form, "client_assertion") || given(form, "client_assertion_type") {
		return asserted(h, form)
	}
	if headers := h.Values("Authorization"); len(headers) > 0 {
		named, err := basicClient(headers)
		if err != nil {
			return ClientAuth{ClientID: cmp.Or(id, named)}, err
		}
		if id != "" && id != named {
			return ClientAuth{}, refuseClient("client_id differs from the one in the Authorization header")
		}
		id = named
	}
	if id == "" {
		return ClientAuth{}, refuseClient("the request names no client")
	}
	return ClientAuth{ClientID: id, Method: methodNone}, nil
}

// asserted reads who a client assertion claims to be from.
func asserted(h http.Header, form url.Values) (ClientAuth, error) {
	claims := ClientAuth{ClientID: form.Get("client_id")}
	if len(h.Values("Authorization")) > 0 {
		return claims, refuseClient("the request has an assertion and an Authorization header")
	}
	if form.Get("client_assertion_type") != assertionType {
		return claims, broker.Refuse(broker.ReasonAssertionInvalid, "client_assertion_type is not %s", assertionType)
	}
	a := Assertion(form.Get("client_assertion"))
	said, _, err := a.read()
	if err != nil {
		return claims, &broker.Error{Reason: broker.ReasonAssertionInvalid, Err: err}
	}
	if id := claims.ClientID; id != "" && id != said.subject {
		return claims, broker.Refuse(broker.ReasonAssertionInvalid, "client_id differs from sub of the assertion")
	}
	return ClientAuth{ClientID: said.subject, Method: methodKey, Assertion: a}, nil
}

// given reports whether a parameter has a value. RFC 6749 section 3.2 treats
// one without as omitted.
func given(form url.Values, name string) bool {
	for _, v := range form[name] {
		if v != "" {
			return true
		}
	}
	return false
}

// basicClient reads the client identifier from HTTP Basic with no secret; one
// with a secret is refused, and named all the same where it is sure which part
// is the secret. It is empty when the credentials name none.
func basicClient(headers []string) (string, error) {
	if len(headers) > 1 {
		return "", refuseClient("there is more than one Authorization header")
	}
	scheme, rest, _ := strings.Cut(headers[0], " ")
	if !strings.EqualFold(scheme, "Basic") {
		return "", refuseClient("the Authorization header is not Basic")
	}
	raw, err := base64.StdEncoding.DecodeString(strings.Trim(rest, " "))
	if err != nil {
		return "", refuseClient("the Basic credentials are not base64")
	}
	id, secret := splitBasic(string(raw))
	if secret != "" {
		if !apart(string(raw), id) {
			id = ""
		}
		return id, refuseClient("the Basic credentials have a secret")
	}
	return id, nil
}

// splitBasic takes user-pass apart. The first colon separates when the
// identifier was encoded, as it should be. Otherwise the first colon is the
// one behind "https", and the last one separates. Credentials that cannot be
// read name no client.
func splitBasic(raw string) (id, secret string) {
	left, right, found := strings.Cut(raw, ":")
	if !found {
		return "", ""
	}
	decoded, err := url.QueryUnescape(left)
	if err == nil && cimd.LooksLikeURL(decoded) {
		return decoded, right
	}
	if last := strings.LastIndexByte(raw, ':'); cimd.LooksLikeURL(raw[:last]) {
		return raw[:last], raw[last+1:]
	}
	return decoded, right
}

// apart reports whether the identifier that splitBasic found in raw surely ends
// in front of the secret. A URL as it is does not where its path has a colon:
// that may be the one that separates, and what is behind it the secret.
func apart(raw, id string) bool {
	_, rest, _ := strings.Cut(id, "://")
	_, path, _ := strings.Cut(rest, "/")
	return !strings.HasPrefix(raw, id) || !strings.Contains(path, ":")
}

func refuseClient(format string, args ...any) error {
	return broker.Refuse(broker.ReasonClientAuthFailed, format, args...)
}
