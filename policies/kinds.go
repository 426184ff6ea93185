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

// readers of single settings members. Each gets a value of JSON and says what
// it wanted when it does not fit.

func readBool(v any) (bool, error) {
	b, ok := v.(bool)
	if !ok {
		return false, wanted("true or false", v)
	}
	return b, nil
}

func readTrue(v any) (bool, error) {
	b, err := readBool(v)
	if err == nil && !b {
		err = fmt.Errorf("PKCE cannot be switched off")
	}
	return b, err
}

// readEnum accepts one of the words.
func readEnum(words ...string) func(any) (string, error) {
	return func(v any) (string, error) {
		s, ok := v.(string)
		if !ok || !slices.Contains(words, s) {
			return "", wanted("one of "+strings.Join(words, ", "), v)
		}
		return s, nil
	}
}

// readDuration accepts a duration up to most, or any for an empty most.
func readDuration(least, most string) func(any) (broker.Duration, error) {
	return func(v any) (broker.Duration, error) {
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
	}
}

func readBytes(v any) (int64, error) {
	n, ok := v.(json.Number)
	i, err := strconv.ParseInt(string(n), 10, 64)
	if !ok || err != nil || i < 1 || i > 65536 {
		return 0, wanted("a whole number from 1 to 65536", v)
	}
	return i, nil
}

// readList accepts a list of different strings that all pass check.
func readList(what string, check func(string) bool) func(any) ([]string, error) {
	return func(v any) ([]string, error) {
		list, ok := v.([]any)
		if !ok {
			return nil, wanted("a list of "+what, v)
		}
		out := make([]string, 0, len(list))
		for _, e := range list {
			s, ok := e.(string)
			if !ok || !check(s) {
				return nil, wanted("a list of "+what, e)
			}
			if !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
		return out, nil
	}
}

// readSome is readList without the empty list.
func readSome(what string, check func(string) bool) func(any) ([]string, error) {
	read := readList(what, check)
	return func(v any) ([]string, error) {
		out, err := read(v)
		if err == nil && len(out) == 0 {
			err = fmt.Errorf("an empty list allows nothing: leave the member out for the strict value")
		}
		return out, err
	}
}

// readOptional accepts null for "no bound" beside a list.
func readOptional(what string, check func(string) bool) func(any) ([]string, error) {
	read := readList(what, check)
	return func(v any) ([]string, error) {
		if v == nil {
			return nil, nil
		}
		return read(v)
	}
}

func readProxy(v any) (string, error) {
	s, ok := v.(string)
	if !ok {
		return "", wanted("an http or https URL", v)
	}
	if err := broker.CheckEgressProxy(s); s != "" && err != nil {
		return "", fmt.Errorf("want the http or https URL of a proxy: %w", err)
	}
	return s, nil
}

func readObject(v any) (map[string]any, error) {
	m, ok := v.(map[string]any)
	if !ok {
		return nil, wanted("an object", v)
	}
	return m, nil
}

// protectedClaims are the claims that the server alone sets: registered ones
// (RFC 7519, RFC 9068, OpenID Connect) and those that carry authorization.
var protectedClaims = []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "scp", "azp", "act",
	"may_act", "cnf", "auth_time", "acr", "amr", "nonce", "at_hash", "c_hash", "sid", "typ", "groups", "roles",
	"entitlements", "authorization_details", "token_introspection", "resource", "permissions"}

func readClaims(v any) (map[string]any, error) {
	m, err := readObject(v)
	for _, name := range protectedClaims {
		if _, ok := m[name]; ok {
			return nil, fmt.Errorf("claim %s is set by the server alone", name)
		}
	}
	return m, err
}

var (
	scopeToken = regexp.MustCompile(`^[\x21\x23-\x5B\x5D-\x7E]{1,200}$`) // RFC 6749 section 3.3
	word       = regexp.MustCompile(`^[\x21-\x7E]{1,500}$`)
	hostName   = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$`)
)

func isWord(s string) bool   { return word.MatchString(s) }
func isScope(s string) bool  { return scopeToken.MatchString(s) }
func isHost(s string) bool   { return len(s) <= 253 && hostName.MatchString(s) }
func isMethod(s string) bool { return s == "none" || s == "private_key_jwt" }
func isLabel(s string) bool  { return s != "" && len(s) <= 200 }
func isCIDR(s string) bool   { return broker.CheckAllowCIDR(s) == nil }

// wanted says what was expected and what came, bounded.
func wanted(what string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		b = []byte("?")
	}
	return fmt.Errorf("want %s, have %s", what, clip(string(b), 80))
}
