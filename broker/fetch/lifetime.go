package fetch

import (
	"math"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// Limits bounds one fetch and the lifetime of its answer. Requests for one URL
// share a flight only if their limits are equal.
type Limits struct {
	// MaxBytes is the largest body accepted. 0 or less means 5120 (section 8.7
	// of the client metadata draft recommends 5 KB); more than 65536 counts as
	// 65536.
	MaxBytes int64
	// Floor is the shortest lifetime given, whatever the host says; it wins
	// over no-store and over Ceiling. 0 honours the host.
	Floor time.Duration
	// Default is the lifetime where the host says nothing.
	Default time.Duration
	// Ceiling is the longest lifetime given. 0 means nothing outlives Floor.
	Ceiling time.Duration
	// AllowPort admits the port other than 443 that the identifier spells out.
	// Without it such an identifier is refused before any lookup.
	AllowPort bool
	// Network is what the policy of an exact URL opens for this fetch.
	Network Network
}

// Network is the way to a host that the public internet does not lead to. Only
// a policy whose patterns are all exact URLs may open one; that is the caller's
// to enforce.
type Network struct {
	// AllowCIDRs are ranges that are reachable although they are not global
	// unicast.
	AllowCIDRs []netip.Prefix
	// EgressProxy is the URL of the proxy to leave by. Empty: the one of
	// Config, if any.
	EgressProxy string
}

// The bounds of Limits.MaxBytes.
const (
	defaultMaxBytes = 5120
	maxMaxBytes     = 65536
)

// DefaultLimits gives 5120 bytes, floor 60 s, default 1 h, ceiling 24 h, port
// 443 only.
func DefaultLimits() Limits {
	return Limits{
		MaxBytes: defaultMaxBytes,
		Floor:    time.Minute,
		Default:  time.Hour,
		Ceiling:  24 * time.Hour,
	}
}

func (l Limits) bodyCap() int64 {
	if l.MaxBytes <= 0 {
		return defaultMaxBytes
	}
	return min(l.MaxBytes, maxMaxBytes)
}

// Lifetime says how long an answer with these headers stays fresh, counted
// from fetchedAt, which should be the moment the request was started (then the
// response delay of RFC 9111, section 4.2.3 is inside the count).
//
// It follows the rules for a shared cache in RFC 9111: s-maxage before max-age
// before Expires less Date, minus Age; no-store, private and no-cache (in
// their qualified forms too) and Vary: * give 0. A freshness directive or an
// Expires that is repeated or malformed makes the answer stale (section
// 4.2.1), a number that is too big saturates, an Age that is malformed is
// ignored (section 5.1). Where the host names no lifetime, lim.Default is used
// and Age does not shorten it. The result is then clamped to lim.Ceiling and
// lim.Floor, floor last.
//
// Date is not compared with fetchedAt: a host whose clock is slow would
// otherwise never be fresh. The lifetime cannot exceed Ceiling either way.
func Lifetime(h http.Header, fetchedAt time.Time, lim Limits) time.Duration {
	return max(min(hostLifetime(h, fetchedAt, lim.Default), lim.Ceiling), lim.Floor, 0)
}

func hostLifetime(h http.Header, fetchedAt time.Time, otherwise time.Duration) time.Duration {
	cc, ok := cacheControl(h)
	if !ok || cc.forbidden || strings.Contains(strings.Join(h.Values("Vary"), ","), "*") {
		return 0
	}
	switch {
	case cc.sMaxAge != nil:
		return *cc.sMaxAge - age(h)
	case cc.maxAge != nil:
		return *cc.maxAge - age(h)
	}
	expires := h.Values("Expires")
	if len(expires) == 0 {
		return otherwise
	}
	end, err := http.ParseTime(expires[0])
	if err != nil || len(expires) > 1 {
		return 0
	}
	from, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		from = fetchedAt
	}
	return max(end.Sub(from), 0) - age(h)
}

// directives is what Cache-Control says about storing and freshness.
type directives struct {
	forbidden       bool
	maxAge, sMaxAge *time.Duration
}

// cacheControl reads every Cache-Control line. It is not ok where a freshness
// directive is malformed or repeated, or a quoted string has no end: it could
// hide a no-store.
func cacheControl(h http.Header) (d directives, ok bool) {
	parts, ok := splitList(strings.Join(h.Values("Cache-Control"), ","))
	if !ok {
		return d, false
	}
	for _, part := range parts {
		name, arg, _ := strings.Cut(part, "=")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "no-store", "no-cache", "private":
			d.forbidden = true
		case "max-age":
			if !setOnce(&d.maxAge, arg) {
				return d, false
			}
		case "s-maxage":
			if !setOnce(&d.sMaxAge, arg) {
				return d, false
			}
		}
	}
	return d, true
}

func setOnce(to **time.Duration, arg string) bool {
	arg = strings.TrimSpace(arg)
	if len(arg) >= 2 && arg[0] == '"' && arg[len(arg)-1] == '"' {
		arg = arg[1 : len(arg)-1]
	}
	v, ok := deltaSeconds(arg)
	if !ok || *to != nil {
		return false
	}
	*to = &v
	return true
}

// age is the first member of Age (RFC 9111, section 5.1), or 0.
func age(h http.Header) time.Duration {
	first, _, _ := strings.Cut(h.Get("Age"), ",")
	v, _ := deltaSeconds(strings.TrimSpace(first))
	return v
}

// deltaSeconds parses 1*DIGIT and saturates at the longest duration in whole
// seconds.
func deltaSeconds(s string) (time.Duration, bool) {
	const most = math.MaxInt64 / int64(time.Second)
	if s == "" {
		return 0, false
	}
	var n int64
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		if n = n*10 + int64(c-'0'); n > most {
			n = most
		}
	}
	return time.Duration(n) * time.Second, true
}

// splitList splits a list of directives at the commas that stand outside
// quoted strings. It is not ok where a quoted string has no end.
func splitList(s string) (parts []string, ok bool) {
	start, inQuotes := 0, false
	for i := 0; i < len(s); i++ {
		switch {
		case inQuotes && s[i] == '\\':
			i++
		case s[i] == '"':
			inQuotes = !inQuotes
		case s[i] == ',' && !inQuotes:
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	return append(parts, s[start:]), !inQuotes
}
