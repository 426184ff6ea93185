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
	"time"
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

// Strange reports whether a key is none of the client's and comes with a set
// that does not go on from the client's keys.
func (c Client) Strange(set []KeyPrint, key string) bool {
	return !Continuous(c.Keys, set) && !holds(c.Keys, key)
}

// KeyChange is what a key set that a client authenticated from makes of it.
type KeyChange struct {
	Client Client // with the keys that it has from now on
	Moved  bool   // they are other than before, to be stored by Unit.MoveKeys
	Event  bool   // they do not go on from those before, to be recorded
}

// MeetKeys holds a fetched key set, from which the client authenticated with
// the key of that thumbprint, against the client's keys (G-09). The first set
// and one that goes on are taken as they are. Of another set, onChange, which
// is settings.document.on_change, says whether it is taken (accept); taken,
// but what people allowed before counts no more (reconsent: document_changed);
// or left to wait for an operator, and then only a key that the client had
// before counts (reapprove, deny: client_keys_changed). The change holds beside
// an error too.
func (c Client) MeetKeys(set []KeyPrint, key, onChange string, now time.Time) (KeyChange, error) {
	k := KeyChange{Client: c}
	if Continuous(c.Keys, set) {
		k.Moved = len(c.PendingKeys) > 0 || !slices.Equal(c.Keys, set)
		k.Client.Keys, k.Client.PendingKeys = set, nil
		return k, nil
	}
	if onChange == "accept" || onChange == "reconsent" {
		k.Moved, k.Event = true, true
		k.Client.Keys, k.Client.PendingKeys, k.Client.KeysChangedAt = set, nil, now
		return k, k.Client.KeysStand(now, onChange)
	}
	k.Moved = !slices.Equal(c.PendingKeys, set)
	k.Event, k.Client.PendingKeys = k.Moved, set
	if !holds(c.Keys, key) {
		return k, Refuse(ReasonClientKeysChanged, "the key is none of the client's, and its key set does not go on from them; the set waits for guestlist client approve %s (document.on_change: %s)", c.ID, onChange)
	}
	return k, nil
}

// KeysStand refuses with document_changed what was allowed no later than the
// client's keys were replaced without continuity, unless settings accept that.
func (c Client) KeysStand(allowed time.Time, onChange string) error {
	if onChange == "accept" || c.KeysChangedAt.IsZero() || allowed.After(c.KeysChangedAt) {
		return nil
	}
	return Refuse(ReasonDocumentChanged, "the client's keys were replaced without continuity at %s, and the person has not allowed it since (document.on_change: %s)", c.KeysChangedAt.UTC().Format(time.RFC3339), onChange)
}
