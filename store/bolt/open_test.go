package bolt_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"guestlist/store"
	"guestlist/store/bolt"
)

// made makes a store with one row in it, closes it and returns its path.
func made(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "store.db")
	s := open(t, path)
	u := s.Begin()
	u.PutSession(store.Session{Hash: "s", ExpiresAt: time.Unix(9, 0)})
	if err := s.Commit(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// edit changes a closed store behind its back.
func edit(t *testing.T, path string, fn func(tx *bbolt.Tx) error) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(fn), db.Close()); err != nil {
		t.Fatal(err)
	}
}

// sealed is the documented form of a value, written down once more: version,
// CRC-32C over bucket, key (each behind its length), version and payload.
func sealed(bucket, key string, version byte, payload []byte) []byte {
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	for _, s := range []string{bucket, key} {
		sum.Write(append([]byte{byte(len(s))}, s...))
	}
	sum.Write([]byte{version})
	sum.Write(payload)
	return append(sum.Sum([]byte{version}), payload...)
}

func TestOpenRefuses(t *testing.T) {
	for _, test := range []struct {
		name  string
		spoil func(t *testing.T, path string)
		want  string
	}{
		{"newer format", func(t *testing.T, path string) {
			raw, _ := json.Marshal(map[string]any{"format": 8, "created": time.Unix(0, 0)})
			edit(t, path, func(tx *bbolt.Tx) error {
				return tx.Bucket([]byte("meta")).Put([]byte("format"), sealed("meta", "format", 1, raw))
			})
		}, "use the newer program"},
		{"newer value format", func(t *testing.T, path string) {
			edit(t, path, func(tx *bbolt.Tx) error {
				return tx.Bucket([]byte("meta")).Put([]byte("state"), sealed("meta", "state", 2, []byte("{}")))
			})
		}, "the value has format 2"},
		{"text", func(t *testing.T, path string) { write(t, path, []byte("hello\n")) }, "is not a store file"},
		{"long text", func(t *testing.T, path string) { write(t, path, bytes.Repeat([]byte("hello\n"), 9999)) }, "is not a store file"},
		{"empty", func(t *testing.T, path string) { write(t, path, nil) }, "is empty"},
		{"bbolt file of another program", func(t *testing.T, path string) {
			write(t, path, nil)
			edit(t, path, func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("theirs")); return err })
		}, "of another program"},
		{"bbolt file of another program with the same bucket", func(t *testing.T, path string) {
			write(t, path, nil)
			edit(t, path, func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("meta")); return err })
		}, "of another program"},
		{"bucket missing", func(t *testing.T, path string) {
			edit(t, path, func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("spent")) })
		}, "bucket spent is missing"},
		{"tokens missing", func(t *testing.T, path string) {
			edit(t, path, func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("refresh")) })
		}, "bucket refresh is missing"},
		{"earlier format with a bucket missing", func(t *testing.T, path string) {
			former(t, path)
			edit(t, path, func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("codes")) })
		}, "bucket codes is missing"},
		{"earlier format with a damaged grant", func(t *testing.T, path string) {
			former(t, path)
			edit(t, path, func(tx *bbolt.Tx) error { return tx.Bucket([]byte("grants")).Put([]byte("g"), []byte("x")) })
		}, `bucket grants, key "g"`},
		{"earlier format with a damaged record", func(t *testing.T, path string) {
			former(t, path)
			edit(t, path, func(tx *bbolt.Tx) error { return tx.Bucket([]byte("records")).Put([]byte("r"), []byte("x")) })
		}, `bucket records, key "r"`},
		{"state missing", func(t *testing.T, path string) {
			edit(t, path, func(tx *bbolt.Tx) error { return tx.Bucket([]byte("meta")).Delete([]byte("state")) })
		}, `key "state"`},
		{"cut short", func(t *testing.T, path string) {
			if err := os.Truncate(path, 4*4096); err != nil {
				t.Fatal(err)
			}
		}, "restore a backup"},
		{"both first pages damaged", func(t *testing.T, path string) {
			raw := read(t, path)
			raw[30] ^= 1
			raw[4096+30] ^= 1
			write(t, path, raw)
		}, "is not a store file, or its first pages are damaged"},
		{"all other pages damaged", func(t *testing.T, path string) {
			raw := read(t, path)
			for i := 2 * 4096; i < len(raw); i++ {
				raw[i] ^= 0xff
			}
			write(t, path, raw)
		}, "restore a backup"},
		{"locked", func(t *testing.T, path string) { open(t, path) }, "is in use by another process"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := made(t)
			test.spoil(t, path)
			before := read(t, path)
			for range 2 { // the first try must not have left a lock
				s, err := bolt.Open(bolt.Config{Path: path, Timeout: 60 * time.Millisecond})
				if err == nil {
					s.Close()
				}
				if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
					t.Errorf("Open() = %v, want ErrUnavailable with the path and %q", err, test.want)
				}
			}
			if !bytes.Equal(read(t, path), before) {
				t.Error("Open changed the file")
			}
		})
	}
}

func TestOpenWhere(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]string{
		"":                               "the path is empty",
		dir:                              "is not a regular file",
		filepath.Join(dir, "no", "file"): "the directory must exist",
	} {
		_, err := bolt.Open(bolt.Config{Path: path})
		if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), want) {
			t.Errorf("Open(%q) = %v, want ErrUnavailable and %q", path, err, want)
		}
	}
}

func TestOpenNew(t *testing.T) {
	path := made(t)
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode of a new file = %v, %v, want 0600", info.Mode(), err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("directory of a new store = %v, %v, want the file alone", entries, err)
	}
	s := open(t, path)
	if _, ok, err := s.Begin().Session(context.Background(), "s"); err != nil || !ok {
		t.Errorf("after reopening: Session() = %v, %v, want the row", ok, err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func write(t *testing.T, path string, raw []byte) {
	t.Helper()
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}
