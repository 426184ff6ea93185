package grants

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"

	"guestlist/broker"
	"guestlist/broker/cimd"
)

// methodNone is the token_endpoint_auth_method of a public client.
const methodNone = "none"

// ClientAuth says who calls and how they proved it. A public client proves
// nothing: its ClientID is a claim until Engine.Check has compared it with
// what the code is bound to.
type ClientAuth struct {
	// ClientID is the client identifier, byte for byte.
	ClientID string
	// Method is the token_endpoint_auth_method that was used: "none".
	Method string
}

// Authenticate finds out which client calls, from the header and the parsed
// body of a request to a client endpoint.
//
// A client_id in the body alone is method none. So is HTTP Basic with an empty
// secret, which the Go MCP client sends first. RFC 6749 section 2.3.1 wants
// the identifier in Basic form-urlencoded; a client identifier URL that was
// left as it is, colons and all, is understood too. A client_id beside Basic
// must be equal. Whatever else claims to authenticate (a secret, an assertion,
// another scheme, two headers) is refused with client_authentication_failed,
// as is a request that names no client.
//
// Authenticate fetches nothing and does not know whether the client exists. It
// takes every parameter as sent once, for which the request edge answers.
func Authenticate(h http.Header, form url.Values) (ClientAuth, error) {
	for _, name := range []string{"client_secret", "client_assertion", "client_assertion_type"} {
		if given(form, name) {
			return ClientAuth{}, refuseClient("the request carries %s", name)
		}
	}
	id := form.Get("client_id")
	if headers := h.Values("Authorization"); len(headers) > 0 {
		named, err := basicClient(headers)
		if err != nil {
			return ClientAuth{}, err
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

// basicClient reads the client identifier from HTTP Basic with no secret. It
// is empty when the credentials name none.
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
		return "", refuseClient("the Basic credentials have a secret")
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

func refuseClient(format string, args ...any) error {
	return broker.Refuse(broker.ReasonClientAuthFailed, format, args...)
}
