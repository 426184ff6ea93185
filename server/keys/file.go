package keys

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// fileFormat is the newest format of a key file this version reads, and the one
// it writes; it grows only when an older version would misread the file.
//
//	1  each key has a state; ES256 is the only algorithm that signs
//	2  each key has the times of its life instead; RS256 too
const fileFormat = 2

const maxFileBytes = 1 << 20

// keyFile is the content of one key file. Keys stays raw, because the checksum
// covers the bytes of that member.
type keyFile struct {
	Format   int             `json:"format"`
	Purpose  string          `json:"purpose"`
	Keys     json.RawMessage `json:"keys"`
	Checksum string          `json:"checksum"`
}

// entry1 is one key in a file of format 1.
type entry1 struct {
	ID        string          `json:"id"`
	Algorithm string          `json:"algorithm"`
	Created   time.Time       `json:"created"`
	State     string          `json:"state"`
	Key       jose.JSONWebKey `json:"key"`
}

// entry gives a key of format 1 a life. When a retired key was used last is not
// known; how long it stays is settled when the file is written next.
func (old entry1) entry() (entry, error) {
	e := entry{ID: old.ID, Algorithm: old.Algorithm, Created: old.Created, Key: old.Key}
	switch old.State {
	case stateActive:
		e.SignsFrom = old.Created
	case stateRetired:
		e.SignsFrom, e.RetiresAt = old.Created, old.Created
	case statePublished:
	default:
		return entry{}, fmt.Errorf("key %q has the unknown state %q", old.ID, old.State)
	}
	return e, nil
}

// damaged wraps what is wrong with a file. The reason must not quote key material.
func damaged(path string, reason error) error {
	return fmt.Errorf("key file %s is damaged: %w; restore it from a backup, or move it away to have a new key made "+
		"(what the old key signed or sealed is void then)", path, reason)
}

// load reads a key file of any format. What the purpose asks of the keys is not
// checked.
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
	entries, err := decodeEntries(file)
	if err != nil {
		return nil, damaged(path, err)
	}
	return entries, nil
}

func decodeEntries(file keyFile) ([]entry, error) {
	unreadable := errors.New("its list of keys cannot be read")
	if file.Format > 1 {
		var entries []entry
		if err := decodeStrict(file.Keys, &entries); err != nil {
			return nil, unreadable
		}
		return entries, nil
	}
	var old []entry1
	if err := decodeStrict(file.Keys, &old); err != nil {
		return nil, unreadable
	}
	entries := make([]entry, len(old))
	for i, o := range old {
		var err error
		if entries[i], err = o.entry(); err != nil {
			return nil, err
		}
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
