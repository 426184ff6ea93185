// Package keys holds the server's own keys: one set for signing tokens (ES256,
// and RS256 where it is asked for), one for sealing values that travel through
// strangers' hands, and one for pseudonyms of people in decision records.
//
// The sets live outside the store, one JSON file per purpose in a key
// directory, because a backup of the store must not carry the keys that make
// its contents worth stealing. A set is a versioned list of keys with the times
// of their lives, so that a key can be published before it is used and verify
// after it was retired:
//
//	published   verifies and unseals, and stands in the key set; not used yet
//	active      used for everything new; one per algorithm
//	retired     verifies and unseals what it made; never used again
//	gone        nothing; it leaves the file at the next rotation or Open
//
// The state of a key follows from the clock whenever a key is used: nothing
// runs in the background. The key in use is the earliest one that is not
// retired, so there is always one, even when the clock stands before its time.
//
// A missing file is made with one fresh active key. A file that exists is never
// repaired: one that others can read, that is damaged, or that a newer version
// wrote stops Open with the file's name and what to do. A process that has the
// directory open follows what others write there, and goes on with the last
// good set when it cannot; see [Keys.Problem].
//
// Anyone who can read the directory can issue tokens in this server's name.
package keys

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"guestlist/broker/disk"
)

// The purposes, which also name the files.
const (
	purposeSigning   = "signing"
	purposeSealing   = "sealing"
	purposePseudonym = "pseudonym"
)

const (
	defaultPublishFor  = 10 * time.Minute
	defaultRetireAfter = 2 * time.Hour
	// publishedMin is how long the published key set may be kept by others;
	// PublishFor must be longer, or they meet tokens of a key they do not know.
	publishedMin = 5 * time.Minute
	// retiredMin is the longest life of an access token; RetireAfter must be
	// longer, or tokens die before their end.
	retiredMin = 60 * time.Minute
)

// Config says where the keys are and how they are rotated.
type Config struct {
	// Dir is the key directory, required. It is created with mode 0700 if it
	// does not exist; one that everybody may write to is refused. It must be on
	// a file system with hard links and file locks.
	Dir string
	// Now is the clock that the lives of keys follow; default time.Now. It is
	// called by any number of goroutines.
	Now func() time.Time
	// RS256 asks for an RS256 key (RSA 2048) beside the ES256 one: Open makes
	// one, in use at once, if the directory has none, which takes a core up to
	// half a second, once. A directory that has one uses it in any case.
	RS256 bool
	// Existing opens only what is there: Open makes and removes nothing, and a
	// missing directory or file is an error.
	Existing bool
	// PublishFor is how long a new key is published before it is used; default
	// 10 minutes. It must exceed 5 minutes, for which the key set may be cached.
	PublishFor time.Duration
	// RetireAfter is how long a key verifies and unseals after its last use;
	// default 2 hours. It must exceed 60 minutes, the longest life of an access
	// token.
	RetireAfter time.Duration
}

// withDefaults checks cfg and fills in what it leaves out.
func (cfg Config) withDefaults() (Config, error) {
	if cfg.Dir == "" {
		return cfg, errors.New("key directory: no path given; set one")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.PublishFor == 0 {
		cfg.PublishFor = defaultPublishFor
	}
	if cfg.RetireAfter == 0 {
		cfg.RetireAfter = defaultRetireAfter
	}
	if cfg.PublishFor <= publishedMin {
		return cfg, fmt.Errorf("keys are published for %v before use: it must be longer than %v, for which the key set may be cached", cfg.PublishFor, publishedMin)
	}
	if cfg.RetireAfter <= retiredMin {
		return cfg, fmt.Errorf("keys are retired for %v after use: it must be longer than %v, the longest life of an access token", cfg.RetireAfter, retiredMin)
	}
	return cfg, nil
}

// Keys is an opened key directory. All methods may be called by any number of
// goroutines. It sees what other processes write to the directory within a
// second of use, and at once when it meets the id of a key it does not know.
// The pseudonym key is the exception: it stays what it was at Open, or at
// Destroy.
type Keys struct {
	cfg       Config
	signing   *source
	sealing   *source
	pseudonym *source
	secret    atomic.Pointer[[]byte] // of pseudonyms
}

// Open reads the key directory, makes what is missing in it and removes keys
// that are gone. When several processes open the same empty directory at once,
// all end with the same keys. A file of an older format is read, and written in
// the newest only when a key is added or removed.
//
// Errors name the file and the remedy, never key material. A key file that was
// lost is made anew, because Open cannot tell it from a first start: tokens and
// sealed values of the lost key are void then. A gone key that cannot be removed
// is no error, see [Keys.Problem].
func Open(cfg Config) (*Keys, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := prepareDir(cfg.Dir, !cfg.Existing); err != nil {
		return nil, err
	}
	k := &Keys{
		cfg:       cfg,
		signing:   newSource(cfg, purposeSigning, buildSigning),
		sealing:   newSource(cfg, purposeSealing, buildSealing),
		pseudonym: newSource(cfg, purposePseudonym, buildPseudonym),
	}
	for _, s := range k.sources() {
		if err := s.open(); err != nil {
			return nil, err
		}
	}
	k.takeSecret()
	return k, nil
}

// sources returns the sets in the order in which they are listed.
func (k *Keys) sources() []*source { return []*source{k.signing, k.sealing, k.pseudonym} }

func prepareDir(dir string, create bool) error {
	info, err := os.Stat(dir)
	if create && errors.Is(err, os.ErrNotExist) {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("create key directory %s: %w", dir, err)
		}
		if err := disk.SyncDir(filepath.Dir(dir)); err != nil {
			return fmt.Errorf("create key directory %s: %w", dir, err)
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
// has the same pseudonym as long as the pseudonym key lives, see Destroy; without
// the key a guessed subject cannot be confirmed.
func (k *Keys) Pseudonym(subject string) string {
	mac := hmac.New(sha256.New, *k.secret.Load())
	mac.Write([]byte(subject))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}

// buildPseudonym is the set of the pseudonym key.
func buildPseudonym(entries []entry) (*set, error) {
	return newSet(entries, algSecret, func(key *key) error {
		_, err := key.secret()
		return err
	})
}

// Format keeps key material out of logs whatever verb a Keys is printed with.
func (k *Keys) Format(f fmt.State, _ rune) {
	fmt.Fprint(f, "keys(secret)")
}
