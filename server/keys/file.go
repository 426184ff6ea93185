package keys

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// fileFormat is the newest format of a key file this version reads; it grows
// only when an older version would misread the file.
const fileFormat = 1

const maxFileBytes = 1 << 20

const (
	statePublished = "published"
	stateActive    = "active"
	stateRetired   = "retired"
)

const (
	algES256 = "ES256"
	// algSecret marks 32 random bytes from which the purpose derives what it
	// needs.
	algSecret = "secret256"
)

const (
	secretBytes   = 32
	secretIDBytes = 8
)

// keyFile is the content of one key file. Keys stays raw, because the checksum
// covers the bytes of that member.
type keyFile struct {
	Format   int             `json:"format"`
	Purpose  string          `json:"purpose"`
	Keys     json.RawMessage `json:"keys"`
	Checksum string          `json:"checksum"`
}

// entry is one key of a set.
type entry struct {
	ID        string          `json:"id"`
	Algorithm string          `json:"algorithm"`
	Created   time.Time       `json:"created"`
	State     string          `json:"state"`
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

// damaged wraps what is wrong with a file. The reason must not quote key material.
func damaged(path string, reason error) error {
	return fmt.Errorf("key file %s is damaged: %w; restore it from a backup, or move it away to have a new key made "+
		"(what the old key signed or sealed is void then)", path, reason)
}

func loadOrCreate(path, purpose string, now func() time.Time, fresh func() (entry, error)) ([]entry, error) {
	entries, err := load(path, purpose)
	if !errors.Is(err, os.ErrNotExist) {
		return entries, err
	}
	key, err := fresh()
	if err != nil {
		return nil, fmt.Errorf("make the %s key: %w", purpose, err)
	}
	key.Created, key.State = now().UTC().Truncate(time.Second), stateActive
	if err := create(path, purpose, []entry{key}); err != nil {
		return nil, err
	}
	return load(path, purpose)
}

func load(path, purpose string) ([]entry, error) {
	raw, err := read(path)
	if err != nil {
		return nil, err
	}
	var version struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(raw, &version); err != nil || version.Format < 1 {
		return nil, damaged(path, errors.New("it is not a key file"))
	}
	if version.Format > fileFormat {
		return nil, fmt.Errorf("key file %s has format %d, this version reads up to %d; run the newer version that wrote it, "+
			"or restore the file from a backup of before the upgrade", path, version.Format, fileFormat)
	}
	var file keyFile
	if err := decodeStrict(raw, &file); err != nil {
		return nil, damaged(path, errors.New("it is not a key file"))
	}
	if file.Purpose != purpose {
		return nil, damaged(path, fmt.Errorf("its keys are for %q, not for %q", file.Purpose, purpose))
	}
	if sum, err := checksum(file); err != nil || sum != file.Checksum {
		return nil, damaged(path, errors.New("the checksum does not match"))
	}
	var entries []entry
	if err := decodeStrict(file.Keys, &entries); err != nil {
		return nil, damaged(path, errors.New("its list of keys cannot be read"))
	}
	if err := checkSet(entries); err != nil {
		return nil, damaged(path, err)
	}
	return entries, nil
}

// read returns the bytes of a key file that only its owner can read.
func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open key file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("open key file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("key file %s is not a regular file; move it away", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("key file %s is open to others (mode %04o); run: chmod 600 %s "+
			"(and replace the key if somebody else may have read it)", path, info.Mode().Perm(), path)
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read key file: %w", err)
	}
	if len(raw) > maxFileBytes {
		return nil, damaged(path, fmt.Errorf("it is longer than %d bytes", maxFileBytes))
	}
	return raw, nil
}

// checkSet holds what every purpose asks of a set: known states, distinct ids,
// and one active key per algorithm.
func checkSet(entries []entry) error {
	ids, active := map[string]bool{}, map[string]int{}
	for _, e := range entries {
		if e.ID == "" || ids[e.ID] {
			return fmt.Errorf("key id %q is empty or repeated", e.ID)
		}
		ids[e.ID] = true
		switch e.State {
		case stateActive:
			active[e.Algorithm]++
		case statePublished, stateRetired:
		default:
			return fmt.Errorf("key %q has the unknown state %q", e.ID, e.State)
		}
	}
	if len(active) == 0 {
		return errors.New("it has no active key")
	}
	for algorithm, n := range active {
		if n > 1 {
			return fmt.Errorf("it has %d active keys for %s", n, algorithm)
		}
	}
	return nil
}

// create writes a file that does not exist yet. The hard link makes the
// complete file appear at once and fails if another process was faster, which
// is no error: the caller reads what is there. A crash may leave a temporary
// file behind, whose key nobody ever used.
func create(path, purpose string, entries []entry) error {
	raw, err := encode(purpose, entries)
	if err != nil {
		return fmt.Errorf("encode key file %s: %w", path, err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+purpose+".*.tmp") // mode 0600
	if err != nil {
		return fmt.Errorf("create key file %s: %w", path, err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(raw)
	if err == nil {
		err = tmp.Sync()
	}
	if err := errors.Join(err, tmp.Close()); err != nil {
		return fmt.Errorf("write key file %s: %w", path, err)
	}
	if err := os.Link(tmp.Name(), path); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("create key file %s: %w", path, err)
	}
	return syncDir(filepath.Dir(path))
}

func encode(purpose string, entries []entry) ([]byte, error) {
	keys, err := json.Marshal(entries)
	if err != nil {
		return nil, err
	}
	file := keyFile{Format: fileFormat, Purpose: purpose, Keys: keys}
	if file.Checksum, err = checksum(file); err != nil {
		return nil, err
	}
	raw, err := json.MarshalIndent(file, "", "  ")
	return append(raw, '\n'), err
}

// checksum covers format, purpose and keys, not the white space between them.
func checksum(file keyFile) (string, error) {
	var sum bytes.Buffer
	fmt.Fprintf(&sum, "%d\n%s\n", file.Format, file.Purpose)
	if err := json.Compact(&sum, file.Keys); err != nil {
		return "", err
	}
	digest := sha256.Sum256(sum.Bytes())
	return "sha256:" + hex.EncodeToString(digest[:]), nil
}

// decodeStrict refuses unknown members. raw must be known to be one JSON value:
// what follows the first is not looked at.
func decodeStrict(raw []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	return dec.Decode(into)
}

// syncDir makes a new name in dir survive a power loss.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync directory %s: %w", dir, err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync directory %s: %w", dir, err)
	}
	return nil
}
