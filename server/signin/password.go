package signin

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
)

const (
	minPasswordRunes = 8
	maxPasswordBytes = 1024
	saltBytes        = 16
	keyBytes         = 32
)

// cost is the price of one argon2id hash (RFC 9106 section 3.1).
type cost struct {
	memory  uint32 // KiB
	passes  uint32
	threads uint8
}

// defaultCost takes about 50 ms of a core (trap F12).
var defaultCost = cost{memory: 19 * 1024, passes: 2, threads: 1}

// What a people file may ask for. A stranger's guess makes the server pay it.
const (
	maxMemory  = 64 * 1024
	maxPasses  = 10
	maxThreads = 4
)

// phc is a parsed password hash in PHC string format.
type phc struct {
	cost
	salt, key []byte
}

// HashPassword returns the PHC string that a people file keeps for password:
// argon2id, version 19, 19 MiB, two passes, one thread, a new salt each time.
// It refuses fewer than 8 characters and more than 1024 bytes. A newline at
// the end belongs to the password; a caller that reads lines removes it.
func HashPassword(password []byte) (string, error) {
	if utf8.RuneCount(password) < minPasswordRunes {
		return "", fmt.Errorf("the password has fewer than %d characters", minPasswordRunes)
	}
	if len(password) > maxPasswordBytes {
		return "", fmt.Errorf("the password has more than %d bytes", maxPasswordBytes)
	}
	h := phc{cost: defaultCost, salt: make([]byte, saltBytes)}
	rand.Read(h.salt) // never fails
	h.key = h.derive(password, keyBytes)
	return h.String(), nil
}

func (h phc) derive(password []byte, size int) []byte {
	return argon2.IDKey(password, h.salt, h.passes, h.memory, h.threads, uint32(size))
}

func (h phc) matches(password []byte) bool {
	return subtle.ConstantTimeCompare(h.derive(password, len(h.key)), h.key) == 1
}

// String returns the one PHC string of h.
func (h phc) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
		h.memory, h.passes, h.threads, b64.EncodeToString(h.salt), b64.EncodeToString(h.key))
}

// parsePHC reads a password hash. Its errors never quote what they read.
func parsePHC(s string) (phc, error) {
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" {
		return phc{}, errors.New("not an argon2id hash in PHC string format")
	}
	if parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return phc{}, fmt.Errorf("not argon2 version %d", argon2.Version)
	}
	var h phc
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.memory, &h.passes, &h.threads); err != nil {
		return phc{}, errors.New("its parameters are not m=…,t=…,p=…")
	}
	var err error
	if h.salt, err = base64.RawStdEncoding.DecodeString(parts[4]); err != nil {
		return phc{}, errors.New("its salt is not base64 without padding")
	}
	if h.key, err = base64.RawStdEncoding.DecodeString(parts[5]); err != nil {
		return phc{}, errors.New("its hash is not base64 without padding")
	}
	if err := h.inBounds(); err != nil {
		return phc{}, err
	}
	if h.String() != s {
		return phc{}, errors.New("it is not written in the one way PHC string format allows")
	}
	return h, nil
}

// inBounds applies RFC 9106 section 3.1 below and our own limits above.
func (h phc) inBounds() error {
	if h.passes < 1 || h.passes > maxPasses {
		return fmt.Errorf("t is not between 1 and %d", maxPasses)
	}
	if h.threads < 1 || h.threads > maxThreads {
		return fmt.Errorf("p is not between 1 and %d", maxThreads)
	}
	if h.memory < 8*uint32(h.threads) || h.memory > maxMemory {
		return fmt.Errorf("m is not between 8 times p and %d (KiB)", maxMemory)
	}
	if len(h.salt) < 8 || len(h.salt) > 64 {
		return errors.New("its salt is not between 8 and 64 bytes")
	}
	if len(h.key) < 16 || len(h.key) > 64 {
		return errors.New("its hash is not between 16 and 64 bytes")
	}
	return nil
}
