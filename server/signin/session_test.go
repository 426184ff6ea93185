package signin_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"reflect"
	"testing"
	"time"

	"guestlist/server/signin"
	"guestlist/store"
)

func TestNewSession(t *testing.T) {
	now := newClock().Now()
	cookie, got := signin.NewSession(now, signin.Person{Username: "ada"}, 12*time.Hour)
	if raw, err := base64.RawURLEncoding.DecodeString(cookie); err != nil || len(raw) != 32 {
		t.Errorf("NewSession cookie %q has %d bytes, %v, want 32 in base64url", cookie, len(raw), err)
	}
	sum := sha256.Sum256([]byte(cookie))
	want := store.Session{
		Hash:      hex.EncodeToString(sum[:]),
		Username:  "ada",
		AuthTime:  now,
		AMR:       []string{"pwd"},
		ExpiresAt: now.Add(12 * time.Hour),
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("NewSession = %+v, want %+v", got, want)
	}
	if again, _ := signin.NewSession(now, signin.Person{Username: "ada"}, time.Hour); again == cookie {
		t.Errorf("NewSession twice = %q both times, want different cookies", again)
	}
	if hash := signin.SessionHash(cookie); hash != got.Hash {
		t.Errorf("SessionHash(cookie) = %q, want the row's %q", hash, got.Hash)
	}
}
