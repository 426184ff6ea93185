package policies

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"guestlist/broker"
)

// form is how a value of settings is written: read takes a value of JSON and
// says what it wanted when it does not fit; schema says the same to editors, in
// JSON Schema, as far as that can.
type form[T any] struct {
	read   func(v any) (T, error)
	schema map[string]any
}

var readBool = form[bool]{func(v any) (bool, error) {
	b, ok := v.(bool)
	if !ok {
		return false, wanted("true or false", v)
	}
	return b, nil
}, map[string]any{"type": "boolean"}}

var readTrue = form[bool]{func(v any) (bool, error) {
	b, err := readBool.read(v)
	if err == nil && !b {
		err = fmt.Errorf("PKCE cannot be switched off")
	}
	return b, err
}, map[string]any{"type": "boolean", "enum": []any{true}}}

// readEnum accepts one of the words.
func readEnum(words ...string) form[string] {
	return form[string]{func(v any) (string, error) {
		s, ok := v.(string)
		if !ok || !slices.Contains(words, s) {
			return "", wanted("one of "+strings.Join(words, ", "), v)
		}
		return s, nil
	}, enumSchema(words)}
}

func enumSchema(words []string) map[string]any {
	list := make([]any, len(words))
	for i, w := range words {
		list[i] = w
	}
	return map[string]any{"type": "string", "enum": list}
}

// durationPattern is what broker.ParseDuration reads, bounds aside.
const durationPattern = `^([0-9]+d)?(0|([0-9]+(\.[0-9]*)?(h|m|s|ms|us|µs|ns))*)$`

// readDuration accepts a duration up to most, or any for an empty most.
func readDuration(least, most string) form[broker.Duration] {
	return form[broker.Duration]{func(v any) (broker.Duration, error) {
		s, ok := v.(string)
		if !ok {
			return 0, wanted(`a duration such as "30d"`, v)
		}
		d, err := broker.ParseDuration(s)
		if err != nil {
			return 0, err
		}
		for i, bound := range []string{least, most} {
			b, err := broker.ParseDuration(bound)
			if err == nil && (i == 0 && d < b || i == 1 && d > b) {
				return 0, fmt.Errorf("%s is out of range: want %s to %s", d, least, most)
			}
		}
		return d, nil
	}, map[string]any{"type": "string", "minLength": 1, "pattern": durationPattern, "description": "A duration such as 90s, 1h30m or 30d, from " + least + " to " + most + "."}}
}

var readBytes = form[int64]{func(v any) (int64, error) {
	n, ok := v.(json.Number)
	i, err := strconv.ParseInt(string(n), 10, 64)
	if !ok || err != nil || i < 1 || i > 65536 {
		return 0, wanted("a whole number from 1 to 65536", v)
	}
	return i, nil
}, map[string]any{"type": "integer", "minimum": 1, "maximum": 65536}}

// readList accepts a list of different strings that all fit.
func readList(what string, one text) form[[]string] {
	return form[[]string]{func(v any) ([]string, error) {
		list, ok := v.([]any)
		if !ok {
			return nil, wanted("a list of "+what, v)
		}
		out := make([]string, 0, len(list))
		for _, e := range list {
			s, ok := e.(string)
			if !ok || !one.fits(s) {
				return nil, wanted("a list of "+what, e)
			}
			if !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
		return out, nil
	}, map[string]any{"type": "array", "items": one.schema, "description": "A list of " + what + "."}}
}

// readSome is readList without the empty list.
func readSome(what string, one text) form[[]string] {
	list := readList(what, one)
	list.schema["minItems"] = 1
	return form[[]string]{func(v any) ([]string, error) {
		out, err := list.read(v)
		if err == nil && len(out) == 0 {
			err = fmt.Errorf("an empty list allows nothing: leave the member out for the strict value")
		}
		return out, err
	}, list.schema}
}

// readOptional accepts null for "no bound" beside a list.
func readOptional(what string, one text) form[[]string] {
	list := readList(what, one)
	list.schema["type"] = []any{"array", "null"}
	return form[[]string]{func(v any) ([]string, error) {
		if v == nil {
			return nil, nil
		}
		return list.read(v)
	}, list.schema}
}

var readProxy = form[string]{func(v any) (string, error) {
	s, ok := v.(string)
	if !ok {
		return "", wanted("an http or https URL", v)
	}
	if err := broker.CheckEgressProxy(s); s != "" && err != nil {
		return "", fmt.Errorf("want the http or https URL of a proxy: %w", err)
	}
	return s, nil
}, map[string]any{"type": "string", "pattern": "^(https?://.*)?$"}}

var readObject = form[map[string]any]{func(v any) (map[string]any, error) {
	m, ok := v.(map[string]any)
	if !ok {
		return nil, wanted("an object", v)
	}
	return m, nil
}, map[string]any{"type": "object"}}

// protectedClaims are the claims that the server alone sets: registered ones
// (RFC 7519, RFC 9068, OpenID Connect) and those that carry authorization.
var protectedClaims = []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "scp", "azp", "act",
	"may_act", "cnf", "auth_time", "acr", "amr", "nonce", "at_hash", "c_hash", "sid", "typ", "groups", "roles",
	"entitlements", "authorization_details", "token_introspection", "resource", "permissions"}

var readClaims = form[map[string]any]{func(v any) (map[string]any, error) {
	m, err := readObject.read(v)
	for _, name := range protectedClaims {
		if _, ok := m[name]; ok {
			return nil, fmt.Errorf("claim %s is set by the server alone", name)
		}
	}
	return m, err
}, map[string]any{"type": "object", "propertyNames": map[string]any{"not": enumSchema(protectedClaims)}}}

// text is a string of some kind inside a list.
type text struct {
	fits   func(string) bool
	schema map[string]any
}

// matching is a text that a pattern describes.
func matching(r *regexp.Regexp, most int) text {
	return text{func(s string) bool { return len(s) <= most && r.MatchString(s) },
		map[string]any{"type": "string", "maxLength": most, "pattern": r.String()}}
}

// oneOf is a text among a few words.
func oneOf(words ...string) text {
	return text{func(s string) bool { return slices.Contains(words, s) }, enumSchema(words)}
}

var (
	isScope  = matching(regexp.MustCompile(`^[\x21\x23-\x5B\x5D-\x7E]+$`), 200) // RFC 6749 section 3.3
	isWord   = matching(regexp.MustCompile(`^[\x21-\x7E]+$`), 500)
	isHost   = matching(regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$`), 253)
	isMethod = oneOf("none", "private_key_jwt")
	isLabel  = text{func(s string) bool { return s != "" && len(s) <= 200 }, map[string]any{"type": "string", "minLength": 1, "maxLength": 200}}
	isCIDR   = text{func(s string) bool { return broker.CheckAllowCIDR(s) == nil }, map[string]any{"type": "string", "pattern": `^[0-9a-f.:]+/[0-9]+$`}}
)

// wanted says what was expected and what came, bounded.
func wanted(what string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		b = []byte("?")
	}
	return fmt.Errorf("want %s, have %s", what, clip(string(b), 80))
}
