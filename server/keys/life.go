package keys

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	algES256 = "ES256"
	algRS256 = "RS256"
	// algSecret marks 32 random bytes from which the purpose derives what it
	// needs.
	algSecret = "secret256"
)

const (
	secretBytes   = 32
	secretIDBytes = 8
)

const (
	statePublished = "published"
	stateActive    = "active"
	stateRetired   = "retired"
)

// entry is one key of a set with the times of its life, as the file has it.
type entry struct {
	ID        string          `json:"id"`
	Algorithm string          `json:"algorithm"`
	Created   time.Time       `json:"created"`
	SignsFrom time.Time       `json:"signs_from,omitzero"` // zero: it is published and never used
	RetiresAt time.Time       `json:"retires_at,omitzero"` // zero: it has no successor yet
	GoneAt    time.Time       `json:"gone_at,omitzero"`
	Key       jose.JSONWebKey `json:"key"`
}

// secret returns the bytes of a symmetric key.
func (e entry) secret() ([]byte, error) {
	secret, ok := e.Key.Key.([]byte)
	if e.Algorithm != algSecret || !ok || len(secret) != secretBytes {
		return nil, fmt.Errorf("key %q is not a secret of %d bytes", e.ID, secretBytes)
	}
	return secret, nil
}

// retired reports whether the key is used no more.
func (e entry) retired(now time.Time) bool { return !e.RetiresAt.IsZero() && !now.Before(e.RetiresAt) }

// gone reports whether the key verifies and unseals no more.
func (e entry) gone(now time.Time) bool { return !e.GoneAt.IsZero() && !now.Before(e.GoneAt) }

func freshSecret() (entry, error) {
	id, secret := make([]byte, secretIDBytes), make([]byte, secretBytes)
	rand.Read(id)
	rand.Read(secret)
	return entry{
		ID:        base64.RawURLEncoding.EncodeToString(id),
		Algorithm: algSecret,
		Key:       jose.JSONWebKey{Key: secret},
	}, nil
}

// fresh makes a key that is created now and used from then on.
func fresh(algorithm string, now, from time.Time) (entry, error) {
	generate := freshSecret
	switch algorithm {
	case algES256:
		generate = freshES256
	case algRS256:
		generate = freshRS256
	}
	e, err := generate()
	if err != nil {
		return entry{}, fmt.Errorf("make a key for %s: %w", algorithm, err)
	}
	e.Created, e.SignsFrom = now, from
	return e, nil
}

// key is an entry that was checked and is ready to be used.
type key struct {
	entry
	jwk     json.RawMessage // the public half, of signing keys
	ciphers *sync.Map       // from purpose to cipher.AEAD, of sealing keys
}

// set is the keys of one purpose. It does not change; what it answers depends
// on the time alone.
type set struct {
	keys []key // in the order of the file
	byID map[string]*key
}

// newSet holds what every purpose asks of a set: distinct ids, lives in order,
// for each algorithm one key without an end, and one of the required algorithm.
// prepare checks what the purpose asks of a key.
func newSet(entries []entry, required string, prepare func(*key) error) (*set, error) {
	s := &set{keys: make([]key, len(entries)), byID: map[string]*key{}}
	active := map[string]int{}
	for i, e := range entries {
		if e.ID == "" || s.byID[e.ID] != nil {
			return nil, fmt.Errorf("key id %q is empty or repeated", e.ID)
		}
		if !e.RetiresAt.IsZero() && (e.RetiresAt.Before(e.SignsFrom) || !e.GoneAt.IsZero() && e.GoneAt.Before(e.RetiresAt)) {
			return nil, fmt.Errorf("the times of key %q are out of order", e.ID)
		}
		if e.RetiresAt.IsZero() && !e.GoneAt.IsZero() {
			return nil, fmt.Errorf("key %q goes without being retired", e.ID)
		}
		if e.RetiresAt.IsZero() && !e.SignsFrom.IsZero() {
			active[e.Algorithm]++
		}
		s.keys[i].entry, s.keys[i].ciphers = e, &sync.Map{}
		s.byID[e.ID] = &s.keys[i]
		if err := prepare(&s.keys[i]); err != nil {
			return nil, err
		}
	}
	if len(active) == 0 {
		return nil, errors.New("it has no active key")
	}
	if active[required] == 0 {
		return nil, fmt.Errorf("it has no active key for %s", required)
	}
	for _, e := range entries {
		if n := active[e.Algorithm]; n != 1 {
			return nil, fmt.Errorf("it has %d active keys for %s", n, e.Algorithm)
		}
	}
	return s, nil
}

// inUse returns the key that everything new is made with: the earliest that is
// not retired. It is nil when the set has no key of that algorithm.
func (s *set) inUse(algorithm string, now time.Time) *key {
	var found *key
	for i := range s.keys {
		k := &s.keys[i]
		if k.Algorithm != algorithm || k.SignsFrom.IsZero() || k.retired(now) {
			continue
		}
		if found == nil || k.SignsFrom.Before(found.SignsFrom) {
			found = k
		}
	}
	return found
}

// usable returns the key with that id unless it is gone.
func (s *set) usable(id string, now time.Time) *key {
	k := s.byID[id]
	if k == nil || k.gone(now) {
		return nil
	}
	return k
}

// Info is what may be told of a key.
type Info struct {
	Purpose   string    `json:"purpose"`             // signing, sealing or pseudonym
	ID        string    `json:"id"`                  // kid of a signing key
	Algorithm string    `json:"algorithm"`           // ES256, RS256 or secret256
	State     string    `json:"state"`               // published, active or retired
	Created   time.Time `json:"created"`             // when it was made and published
	SignsFrom time.Time `json:"signs_from,omitzero"` // when it is used for new tokens or seals; zero: never
	RetiresAt time.Time `json:"retires_at,omitzero"` // when its successor takes over; zero: it has none
	GoneAt    time.Time `json:"gone_at,omitzero"`    // when it stops verifying and unsealing; zero: not settled
}

// List tells the keys that are not gone, by purpose in the order of their file.
// It holds no key material.
func (k *Keys) List() []Info {
	var out []Info
	now := k.cfg.Now()
	for _, s := range k.sources() {
		set := s.current(now)
		for i := range set.keys {
			e := &set.keys[i]
			if e.gone(now) {
				continue
			}
			info := Info{s.purpose, e.ID, e.Algorithm, statePublished, e.Created, e.SignsFrom, e.RetiresAt, e.GoneAt}
			switch {
			case e.retired(now):
				info.State = stateRetired
			case e == set.inUse(e.Algorithm, now):
				info.State = stateActive
			}
			out = append(out, info)
		}
	}
	return out
}
