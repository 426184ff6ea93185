package signin

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"time"

	"guestlist/store"
)

// NewSession returns the cookie of a person who has just given their password
// and the row that remembers it. The cookie is 256 random bits in base64url
// without padding; only its hash is in the row, so a copy of the store opens
// no session. The session ends ttl after now whether or not it is used. The
// caller stages the row and sets the cookie once that is committed.
func NewSession(now time.Time, p Person, ttl time.Duration) (cookie string, s store.Session) {
	secret := make([]byte, 32)
	rand.Read(secret) // never fails
	cookie = base64.RawURLEncoding.EncodeToString(secret)
	return cookie, store.Session{
		Hash:      SessionHash(cookie),
		Username:  p.Username,
		AuthTime:  now,
		AMR:       []string{"pwd"}, // RFC 8176 section 2
		ExpiresAt: now.Add(ttl),
	}
}

// SessionHash returns the key of the session that a cookie names, the
// SHA-256 of the cookie's text in hexadecimal. It accepts any text: a cookie
// that was never issued has a hash no row has.
func SessionHash(cookie string) string {
	sum := sha256.Sum256([]byte(cookie))
	return hex.EncodeToString(sum[:])
}
