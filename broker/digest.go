package broker

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"guestlist/broker/cimd"
)

// secured are the members of a document on which a consent rests. Lists are
// sets: sorted, without repetitions.
type secured struct {
	RedirectURIs []string        `json:"redirect_uris"`
	AuthMethods  []string        `json:"auth_methods"`
	SigningAlg   string          `json:"signing_alg"`
	JWKS         json.RawMessage `json:"jwks"`
	JWKSURI      string          `json:"jwks_uri"`
	GrantTypes   []string        `json:"grant_types"`
	Scope        []string        `json:"scope"` // null: the document says nothing
}

// SecurityDigest is the digest, in lower-case hex, of the members of d that
// decide where codes go, who may redeem them and what may be asked: redirect
// URIs, authentication methods, signing algorithm, keys, grant types and
// scope. What only changes the client's looks does not change it, and neither
// does the order of a list (design §4, consent). It is never empty. Keys
// behind jwks_uri are not looked at.
func SecurityDigest(d cimd.Document) string {
	s := secured{
		RedirectURIs: set(d.RedirectURIs), AuthMethods: set(d.AuthMethods()), SigningAlg: d.SigningAlg,
		JWKS: plainJSON(d.JWKS), JWKSURI: d.JWKSURI, GrantTypes: set(d.GrantTypes),
	}
	if d.Scope != nil {
		s.Scope = set(strings.Fields(*d.Scope))
	}
	b, err := json.Marshal(s)
	if err != nil {
		panic("broker: a document that was read cannot be written: " + err.Error())
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// set returns list sorted and without repetitions, never nil.
func set(list []string) []string {
	out := append([]string{}, list...)
	slices.Sort(out)
	return slices.Compact(out)
}

// plainJSON writes JSON without white space and with sorted member names;
// what is no JSON becomes a string.
func plainJSON(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return json.RawMessage("null")
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		v = string(raw)
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic("broker: JSON that was read cannot be written: " + err.Error())
	}
	return b
}
