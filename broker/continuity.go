package broker

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// KeyPrint names one public key of a client.
type KeyPrint struct {
	ID         string `json:"kid"`        // as the set names it; may be empty
	Thumbprint string `json:"thumbprint"` // RFC 7638, SHA-256, base64url
}

// Prints names the keys of a set, sorted and each once. jwks is a set of
// public keys as cimd.Document and cimd.ParseJWKS hold it; nil has none. The
// error says that it is no such set.
func Prints(jwks json.RawMessage) ([]KeyPrint, error) {
	if jwks == nil {
		return nil, nil
	}
	var set struct {
		Keys []map[string]json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(jwks, &set); err != nil {
		return nil, fmt.Errorf("read key set: %w", err)
	}
	var prints []KeyPrint
	for i, key := range set.Keys {
		var p KeyPrint
		if kid, present := key["kid"]; present {
			if err := json.Unmarshal(kid, &p.ID); err != nil {
				return nil, fmt.Errorf("kid of key %d: %w", i, err)
			}
		}
		var err error
		if p.Thumbprint, err = thumbprint(key); err != nil {
			return nil, fmt.Errorf("key %d: %w", i, err)
		}
		prints = append(prints, p)
	}
	slices.SortFunc(prints, func(a, b KeyPrint) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Thumbprint, b.Thumbprint))
	})
	return slices.Compact(prints), nil
}

// thumbprint digests the members that RFC 7638 section 3.2 requires, in the
// order of their names and without spaces.
func thumbprint(key map[string]json.RawMessage) (string, error) {
	text := func(name string) string {
		var s string
		if json.Unmarshal(key[name], &s) != nil {
			return ""
		}
		return s
	}
	var names []string
	switch text("kty") {
	case "EC":
		names = []string{"crv", "kty", "x", "y"}
	case "OKP":
		names = []string{"crv", "kty", "x"}
	case "RSA":
		names = []string{"e", "kty", "n"}
	default:
		return "", errors.New("it is of no kind that has a thumbprint")
	}
	members := map[string]string{}
	for _, name := range names {
		if members[name] = text(name); members[name] == "" {
			return "", fmt.Errorf("it has no %s", name)
		}
	}
	for _, name := range []string{"e", "n"} {
		if members[name] == "" {
			continue
		}
		// Two spellings of one number are one key (RFC 7518 section 6.3.1).
		octets, err := base64.RawURLEncoding.DecodeString(members[name])
		if err != nil {
			return "", fmt.Errorf("its %s is not base64url", name)
		}
		members[name] = base64.RawURLEncoding.EncodeToString(bytes.TrimLeft(octets, "\x00"))
	}
	canonical, err := json.Marshal(members)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(canonical)
	return base64.RawURLEncoding.EncodeToString(sum[:]), nil
}

// Continuous reports whether a set of keys goes on from the one before, so
// that it is a rotation: one key at least is in both, and no kid that was in
// use names a key that it did not name. The first keys that are seen go on
// from nothing; no keys go on from none alone.
func Continuous(before, after []KeyPrint) bool {
	if len(before) == 0 {
		return true
	}
	named, shared := map[string]bool{}, false
	for _, p := range before {
		named[p.ID] = p.ID != ""
	}
	for _, p := range after {
		if named[p.ID] && !slices.Contains(before, p) {
			return false
		}
		shared = shared || holds(before, p.Thumbprint)
	}
	return shared
}

// holds reports whether a key is among prints, under whatever kid.
func holds(prints []KeyPrint, thumbprint string) bool {
	return slices.ContainsFunc(prints, func(p KeyPrint) bool { return p.Thumbprint == thumbprint })
}
