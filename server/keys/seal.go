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

// buildSealing is the set of the sealing keys.
func buildSealing(entries []entry) (*set, error) {
	return newSet(entries, algSecret, func(key *key) error {
		if _, err := key.secret(); err != nil {
			return err
		}
		if id, err := decodeBase64(key.ID); err != nil || len(id) != secretIDBytes {
			return fmt.Errorf("key id %q is not %d bytes in base64url", key.ID, secretIDBytes)
		}
		return nil
	})
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
	key, err := k.sealing.inUse(algSecret)
	if err != nil {
		return "", fmt.Errorf("seal for %s: %w", purpose, err)
	}
	id, err := decodeBase64(key.ID)
	if err != nil {
		return "", fmt.Errorf("seal for %s: %w", purpose, err)
	}
	aead, err := key.aead(purpose)
	if err != nil {
		return "", fmt.Errorf("seal for %s: %w", purpose, err)
	}
	out := make([]byte, 0, sealedOverhead+len(plaintext))
	out = append(out, sealVersion)
	out = append(out, id...)
	data := slices.Concat(out, context)
	nonce := make([]byte, chacha20poly1305.NonceSizeX)
	rand.Read(nonce)
	out = append(out, nonce...)
	out = aead.Seal(out, nonce, plaintext, data)
	return base64.RawURLEncoding.EncodeToString(out), nil
}

// Unseal gives back what Seal was given. All refusals are the same error,
// whatever is wrong with the value: the key being gone is no other. A value has exactly one accepted spelling,
// so its hash can stand for it in a mark of what was spent.
func (k *Keys) Unseal(purpose, sealed string, context []byte) ([]byte, error) {
	refused := errors.New("unseal: the value is not valid here")
	raw, err := decodeBase64(sealed)
	if err != nil || len(raw) < sealedOverhead || raw[0] != sealVersion {
		return nil, refused
	}
	header, rest := raw[:sealHeaderBytes], raw[sealHeaderBytes:]
	key := k.sealing.usable(base64.RawURLEncoding.EncodeToString(header[1:]))
	if key == nil {
		return nil, refused
	}
	aead, err := key.aead(purpose)
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

// aead is the cipher of one purpose, derived from a sealing key at its first
// use. It lives as long as the key; purposes are constants of the callers, so
// there are few.
func (k *key) aead(purpose string) (cipher.AEAD, error) {
	if c, ok := k.ciphers.Load(purpose); ok {
		return c.(cipher.AEAD), nil
	}
	c, err := k.derive(purpose)
	if err != nil {
		return nil, err
	}
	k.ciphers.Store(purpose, c)
	return c, nil
}

// derive makes the cipher of one purpose.
func (k *key) derive(purpose string) (cipher.AEAD, error) {
	secret, err := k.secret()
	if err != nil {
		return nil, err
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
