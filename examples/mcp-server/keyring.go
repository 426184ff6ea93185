package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/modelcontextprotocol/go-sdk/auth"
)

// How long fetched keys are trusted, and how soon a key id that was not among
// them may cause another fetch: strangers choose key ids.
const (
	keysFreshFor = 5 * time.Minute
	keysRetryGap = 10 * time.Second
)

// maxKeySet bounds the answer of the issuer, in bytes.
const maxKeySet = 64 << 10

// keyring holds the issuer's public keys. They are fetched when first needed,
// so the issuer may start later than this server.
type keyring struct {
	issuer string
	client *http.Client
	now    func() time.Time

	mu      sync.Mutex // held while fetching: one fetch serves all that wait
	keys    map[string]*ecdsa.PublicKey
	fetched time.Time
}

// newKeyring fetches nothing yet.
func newKeyring(issuer string, now func() time.Time) *keyring {
	client := &http.Client{
		Timeout:       5 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("redirects are not followed") },
	}
	return &keyring{issuer: issuer, client: client, now: now}
}

// find returns the key with the id, or nil when the issuer has none such. An
// error means that the keys could not be fetched; the next call tries again.
func (k *keyring) find(ctx context.Context, id string) (*ecdsa.PublicKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	age := k.now().Sub(k.fetched)
	key := k.keys[id]
	if k.keys != nil && age < keysFreshFor && (key != nil || age < keysRetryGap) {
		return key, nil
	}
	keys, err := k.fetch(ctx)
	if err != nil {
		return nil, err
	}
	k.keys, k.fetched = keys, k.now()
	return keys[id], nil
}

// fetch asks the issuer's metadata (RFC 8414) for the place of its keys, and
// fetches them.
func (k *keyring) fetch(ctx context.Context) (map[string]*ecdsa.PublicKey, error) {
	meta, err := auth.GetAuthServerMetadata(ctx, k.issuer, k.client)
	switch {
	case err != nil:
		return nil, fmt.Errorf("metadata: %w", err)
	case meta == nil:
		return nil, errors.New("metadata: the issuer publishes none")
	case meta.Issuer != k.issuer:
		return nil, fmt.Errorf("metadata: issuer is %q, want %q", meta.Issuer, k.issuer)
	}
	if _, err := parseSecure(meta.JWKSURI); err != nil {
		return nil, fmt.Errorf("metadata: jwks_uri %q: %w", meta.JWKSURI, err)
	}
	set, err := k.get(ctx, meta.JWKSURI)
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", meta.JWKSURI, err)
	}
	return usable(set), nil
}

// get fetches a key set.
func (k *keyring) get(ctx context.Context, uri string) (jose.JSONWebKeySet, error) {
	var set jose.JSONWebKeySet
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, uri, nil)
	if err != nil {
		return set, err
	}
	resp, err := k.client.Do(req)
	if err != nil {
		return set, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return set, fmt.Errorf("status %s", resp.Status)
	}
	return set, json.NewDecoder(io.LimitReader(resp.Body, maxKeySet)).Decode(&set)
}

// usable keeps the keys that can verify ES256 signatures. An id that two keys
// share is ambiguous and dropped.
func usable(set jose.JSONWebKeySet) map[string]*ecdsa.PublicKey {
	keys := map[string]*ecdsa.PublicKey{}
	for _, j := range set.Keys {
		public, ok := j.Key.(*ecdsa.PublicKey)
		fits := ok && public.Curve == elliptic.P256() && (j.Use == "" || j.Use == "sig") && (j.Algorithm == "" || j.Algorithm == string(jose.ES256))
		if fits && len(set.Key(j.KeyID)) == 1 {
			keys[j.KeyID] = public
		}
	}
	return keys
}
