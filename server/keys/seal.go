package keys

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"
)

// sealVersion is the first byte of a sealed value. The whole is
//
//	version (1) | key id (8) | nonce (24) | ciphertext and tag
//
// in base64url. Version and key id are authenticated together with the
// caller's context; the purpose enters the key.
const sealVersion = 1

const sealHeaderBytes = 1 + secretIDBytes

// sealedOverhead is what sealing adds to the plaintext, in bytes before
// base64url.
const sealedOverhead = sealHeaderBytes + chacha20poly1305.NonceSizeX + chacha20poly1305.Overhead

type sealingSet struct {
	active string            // raw key id
	secret map[string][]byte // by raw key id
}

func (k *Keys) useSealing(entries []entry) error {
	k.sealing.secret = map[string][]byte{}
	for _, e := range entries {
		secret, err := e.secret()
		if err != nil {
			return err
		}
		id, err := decodeBase64(e.ID)
		if err != nil || len(id) != secretIDBytes {
			return fmt.Errorf("key id %q is not %d bytes in base64url", e.ID, secretIDBytes)
		}
		k.sealing.secret[string(id)] = secret
		if e.State == stateActive {
			k.sealing.active = string(id)
		}
	}
	return nil
}

// Seal encrypts and authenticates plaintext (XChaCha20-Poly1305, random nonce)
// and returns it in base64url. Unseal gives it back only for the same purpose
// and the same context. purpose is a constant of the caller and required;
// context may be empty. Neither is part of the result.
//
// The length of the plaintext shows. Sealing gives no expiry and no protection
// against replay: put a time into the plaintext and spend the value where that
// matters.
func (k *Keys) Seal(purpose string, plaintext, context []byte) (string, error) {
	if purpose == "" {
		return "", errors.New("seal: no purpose given")
	}
	aead, err := k.sealing.aead(k.sealing.active, purpose)
	if err != nil {
		return "", fmt.Errorf("seal for %s: %w", purpose, err)
	}
	out := make([]byte, 0, sealedOverhead+len(plaintext))
	out = append(out, sealVersion)
	out = append(out, k.sealing.active...)
	data := slices.Concat(out, context)
	nonce := make([]byte, chacha20poly1305.NonceSizeX)
	rand.Read(nonce)
	out = append(out, nonce...)
	out = aead.Seal(out, nonce, plaintext, data)
	return base64.RawURLEncoding.EncodeToString(out), nil
}

// Unseal gives back what Seal was given. All refusals are the same error,
// whatever is wrong with the value. A value has exactly one accepted spelling,
// so its hash can stand for it in a mark of what was spent.
func (k *Keys) Unseal(purpose, sealed string, context []byte) ([]byte, error) {
	refused := errors.New("unseal: the value is not valid here")
	raw, err := decodeBase64(sealed)
	if err != nil || len(raw) < sealedOverhead || raw[0] != sealVersion {
		return nil, refused
	}
	header, rest := raw[:sealHeaderBytes], raw[sealHeaderBytes:]
	aead, err := k.sealing.aead(string(header[1:]), purpose)
	if err != nil {
		return nil, refused
	}
	nonce, ciphertext := rest[:chacha20poly1305.NonceSizeX], rest[chacha20poly1305.NonceSizeX:]
	plaintext, err := aead.Open(nil, nonce, ciphertext, slices.Concat(header, context))
	if err != nil {
		return nil, refused
	}
	return plaintext, nil
}

// aead derives the cipher of one purpose from one key of the set.
func (s sealingSet) aead(id, purpose string) (cipher.AEAD, error) {
	secret, ok := s.secret[id]
	if !ok {
		return nil, errors.New("no such key")
	}
	key, err := hkdf.Key(sha256.New, secret, nil, "guestlist seal 1 "+purpose, chacha20poly1305.KeySize)
	if err != nil {
		return nil, err
	}
	return chacha20poly1305.NewX(key)
}

// decodeBase64 decodes unpadded base64url and refuses what the standard decoder
// forgives: line breaks and stray trailing bits, which would give one value
// several spellings.
func decodeBase64(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, errors.New("line break in base64url")
	}
	return base64.RawURLEncoding.Strict().DecodeString(s)
}
