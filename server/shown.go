package server

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"guestlist/broker"
)

// registered are the words that requests have in certain places by RFCs and
// registries, and that may be shown to operators and policies as they were
// sent. Whatever else stands there may be a secret in the wrong place.
var registered = strings.Split(`code|token|id_token|none|code id_token|code token|id_token token|code id_token token|device|`+
	`query|fragment|form_post|query.jwt|fragment.jwt|form_post.jwt|jwt|plain|S256|`+
	`authorization_code|refresh_token|client_credentials|password|implicit|urn:ietf:params:oauth:grant-type:device_code|`+
	`urn:ietf:params:oauth:grant-type:jwt-bearer|urn:ietf:params:oauth:grant-type:saml2-bearer|urn:ietf:params:oauth:grant-type:token-exchange|`+
	`urn:openid:params:grant-type:ciba|login|consent|select_account|create|same-origin|same-site|cross-site|`+
	`application/json|application/jwt|application/octet-stream|application/xml|multipart/form-data|text/plain|text/html|`+
	`client_id|client_secret|client_assertion|client_assertion_type|redirect_uri|response_type|response_mode|scope|state|nonce|prompt|resource|`+
	`request|request_uri|code_challenge|code_challenge_method|code_verifier|grant_type|token_type_hint|username|ticket|csrf|decision|revoke|`+
	`GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|CONNECT|TRACE`, "|")

// hostForm is what a Host header looks like.
var hostForm = regexp.MustCompile(`^[A-Za-z0-9.:\[\]-]{1,100}$`)

// shown is a value that a stranger sent, for the operator: as it is where it
// is a word that belongs there, else its digest and length.
func shown(s string) string {
	if slices.Contains(registered, s) {
		return strconv.Quote(s)
	}
	return broker.Digest(s)
}

// shownHost is shown for a Host header.
func shownHost(s string) string {
	if hostForm.MatchString(s) {
		return strconv.Quote(s)
	}
	return broker.Digest(s)
}

// methodName is the method of a request as the wide event has it.
func methodName(r *http.Request) string {
	if slices.Contains(registered, r.Method) {
		return r.Method
	}
	return "other"
}

// wellNamed are those words that are registered.
func wellNamed(words ...string) []string {
	return slices.DeleteFunc(words, func(w string) bool { return !slices.Contains(registered, w) })
}
