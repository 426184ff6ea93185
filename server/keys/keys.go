// Package keys holds the server's own keys: one set for signing tokens (ES256),
// one for sealing values that travel through strangers' hands, and one for
// pseudonyms of people in decision records.
//
// The sets live outside the store, one JSON file per purpose in a key
// directory, because a backup of the store must not carry the keys that make
// its contents worth stealing. A set is a versioned list, so that a key can be
// published before it is used and verify after it was retired:
//
//	published   verifies and unseals, and stands in the key set; not used yet
//	active      used for everything new; one per algorithm
//	retired     verifies and unseals what it made; never used again
//
// A missing file is made with one fresh active key. A file that exists is never
// replaced or repaired: one that others can read, that is damaged, or that a
// newer version wrote stops Open with the file's name and what to do.
//
// Anyone who can read the directory can issue tokens in this server's name.
package keys

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Config says where the keys are.
type Config struct {
	// Dir is the key directory, required. It is created with mode 0700 if it
	// does not exist; one that everybody may write to is refused. It must be on
	// a file system with hard links.
	Dir string
	// Now gives the creation time noted in a fresh key; default time.Now.
	// Nothing else in this package depends on the clock.
	Now func() time.Time
}

// Keys is an opened key directory. It does not change after Open, so all
// methods may be called by any number of goroutines.
type Keys struct {
	signing   signingSet
	sealing   sealingSet
	pseudonym []byte
	jwks      []byte
}

// Open reads the key directory and makes what is missing in it. When several
// processes open the same empty directory at once, all end with the same keys.
//
// Errors name the file and the remedy, never key material. A key file that was
// lost is made anew, because Open cannot tell it from a first start: tokens and
// sealed values of the lost key are void then.
func Open(cfg Config) (*Keys, error) {
	if cfg.Dir == "" {
		return nil, errors.New("key directory: no path given; set one")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if err := prepareDir(cfg.Dir); err != nil {
		return nil, err
	}
	k := new(Keys)
	sets := []struct {
		purpose string
		fresh   func() (entry, error)
		use     func([]entry) error
	}{
		{"signing", freshSigning, k.useSigning},
		{"sealing", freshSecret, k.useSealing},
		{"pseudonym", freshSecret, k.usePseudonym},
	}
	for _, set := range sets {
		path := filepath.Join(cfg.Dir, set.purpose+".json")
		entries, err := loadOrCreate(path, set.purpose, cfg.Now, set.fresh)
		if err != nil {
			return nil, err
		}
		if err := set.use(entries); err != nil {
			return nil, damaged(path, err)
		}
	}
	return k, nil
}

func prepareDir(dir string) error {
	info, err := os.Stat(dir)
	if errors.Is(err, os.ErrNotExist) {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("create key directory %s: %w", dir, err)
		}
		if err := syncDir(filepath.Dir(dir)); err != nil {
			return err
		}
		info, err = os.Stat(dir)
	}
	if err != nil {
		return fmt.Errorf("open key directory %s: %w", dir, err)
	}
	if !info.IsDir() {
		return fmt.Errorf("key directory %s is not a directory; name one that is, or one that does not exist yet", dir)
	}
	if info.Mode().Perm()&0o002 != 0 {
		return fmt.Errorf("key directory %s may be written to by everybody (mode %04o); run: chmod 700 %s", dir, info.Mode().Perm(), dir)
	}
	return nil
}

// Pseudonym gives the name under which a person appears in decision records: 22
// characters of base64url (16 bytes of a keyed HMAC-SHA256). The same subject
// has the same pseudonym as long as the pseudonym key lives; without the key a
// guessed subject cannot be confirmed.
func (k *Keys) Pseudonym(subject string) string {
	mac := hmac.New(sha256.New, k.pseudonym)
	mac.Write([]byte(subject))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}

func (k *Keys) usePseudonym(entries []entry) error {
	for _, e := range entries {
		secret, err := e.secret()
		if err != nil {
			return err
		}
		if e.State == stateActive {
			k.pseudonym = secret
		}
	}
	return nil
}

// JWKS is the public JSON Web Key Set (RFC 7517) of the signing keys, in the
// order of the key file, with published and retired keys. The caller owns the
// returned bytes.
func (k *Keys) JWKS() []byte {
	return bytes.Clone(k.jwks)
}

// Format keeps key material out of logs whatever verb a Keys is printed with.
func (k *Keys) Format(f fmt.State, _ rune) {
	fmt.Fprint(f, "keys(secret)")
}
