package grants

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"

	"guestlist/store"
)

// answer is what the first use of a refresh token was given, and what had been
// asked for.
type answer struct {
	Token     Token    `json:"token"`
	Scopes    []string `json:"scopes"`
	Resources []string `json:"resources"`
}

// sealAnswer encrypts and authenticates a (XChaCha20-Poly1305, random nonce in
// front) for whoever presents token again. The store has no more than the
// token's SHA-256, from which the key does not follow: neither the file nor the
// server's own keys open it. next is the row of the successor, whose parent is
// the token.
func sealAnswer(token string, next store.Refresh, a answer) ([]byte, error) {
	plain, err := json.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("seal answer: %w", err)
	}
	aead, err := answerKey(token)
	if err != nil {
		return nil, fmt.Errorf("seal answer: %w", err)
	}
	nonce := make([]byte, chacha20poly1305.NonceSizeX, chacha20poly1305.NonceSizeX+len(plain)+chacha20poly1305.Overhead)
	rand.Read(nonce)
	return aead.Seal(nonce, nonce, plain, place(next.Parent, next.Hash, next.GrantID, next.ClientID)), nil
}

// openAnswer returns the answer in the row of the spent token. It opens in the
// row that it was sealed for alone, and only while that row names the successor
// in it.
func openAnswer(token string, r store.Refresh) (answer, error) {
	aead, err := answerKey(token)
	if err != nil {
		return answer{}, fmt.Errorf("open answer: %w", err)
	}
	if len(r.Answer) < chacha20poly1305.NonceSizeX {
		return answer{}, errors.New("open answer: it is cut short")
	}
	nonce, sealed := r.Answer[:chacha20poly1305.NonceSizeX], r.Answer[chacha20poly1305.NonceSizeX:]
	plain, err := aead.Open(nil, nonce, sealed, place(r.Hash, r.Successor, r.GrantID, r.ClientID))
	if err != nil {
		return answer{}, errors.New("open answer: it does not belong to this token, or was changed")
	}
	var a answer
	if err := json.Unmarshal(plain, &a); err != nil {
		return answer{}, errors.New("open answer: it is not an answer")
	}
	return a, nil
}

func answerKey(token string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(token), nil, "guestlist refresh answer 1", chacha20poly1305.KeySize)
	if err != nil {
		return nil, err
	}
	return chacha20poly1305.NewX(key)
}

// place is where an answer belongs, as associated data. No part has a NUL.
func place(parts ...string) []byte { return []byte(strings.Join(parts, "\x00")) }
