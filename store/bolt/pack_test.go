package bolt_test

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"guestlist/broker/decisionlog"
	"guestlist/store"
)

// inflated is the documented form of a record, written down once more: zero,
// the number of the form, deflate, in form 2 less the first 83 bytes.
func inflated(payload []byte) ([]byte, error) {
	dict, err := os.ReadFile("record.dict")
	code, err2 := os.ReadFile("record.code")
	if err := errors.Join(err, err2); err != nil {
		return nil, err
	}
	packed, ok := bytes.CutPrefix(payload, []byte{0, 1})
	if rest, short := bytes.CutPrefix(payload, []byte{0, 2}); short {
		packed, ok = append(code[:83], rest...), true
	}
	if !ok {
		return nil, fmt.Errorf("the record begins with % x", payload[:2])
	}
	return io.ReadAll(flate.NewReaderDict(bytes.NewReader(packed), dict))
}

// TestDictionaryStays: a file is unreadable with another dictionary.
func TestDictionaryStays(t *testing.T) {
	dict, err := os.ReadFile("record.dict")
	const want = "df1788cd7d306b72cb3c1ed3d073e4abc88d5f7c97eacfc99208e65521fc5707"
	if got := fmt.Sprintf("%x", sha256.Sum256(dict)); err != nil || got != want {
		t.Errorf("the dictionary has digest %s, %v, want %s for ever: give another one another number", got, err, want)
	}
}

// TestRecordsOfAllSizes: what comes back is what was sealed, in any order.
func TestRecordsOfAllSizes(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "store.db"))
	var want []decisionlog.Sealed
	for i, detail := range []string{"", "d", strings.Repeat("\x00\u2028", 3), strings.Repeat("long ", 100_000)} {
		r := decisionlog.Record{DecisionID: fmt.Sprint(i), Timestamp: at, Detail: detail}
		u := s.Begin()
		u.Append(r)
		if err := s.Commit(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		one, err := s.Records(t.Context(), store.RecordQuery{DecisionID: r.DecisionID})
		if err != nil || len(one) != 1 {
			t.Fatalf("Records(%d) = %d, %v, want one", i, len(one), err)
		}
		if got, err := one[0].Record(); err != nil || got.Detail != detail {
			t.Errorf("record %d has detail %.50q, %v, want %.50q", i, got.Detail, err, detail)
		}
		want = append(want, one[0])
	}
	if got, err := s.Records(t.Context(), store.RecordQuery{}); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("all records differ from each read alone, %v", err)
	}
}

// TestDamagedPack: a record whose checksum is right and whose content is not
// is an error and no panic.
func TestDamagedPack(t *testing.T) {
	const key = "\x00\x00\x00\x00\x00\x00\x00\x01"
	for name, payload := range map[string][]byte{
		"empty":                {},
		"no content":           {0, 1},
		"another form":         {0, 3, 1, 2, 3},
		"no code":              {0, 2},
		"a code cut short":     {0, 2, 0x05, 0x71},
		"code of nothing":      {0, 2, 0xff, 0xff, 0xff, 0xff, 0xff},
		"not compressed":       {0, 1, 0xff, 0xff, 0xff},
		"a length of its own":  {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01},
		"compressed nothing":   {0, 1, 0x03, 0x00},
		"header beyond":        {9, '{', '}'},
		"header alone":         {2, '{', '}'},
		"salt beyond":          {2, '{', '}', 9, 1},
		"header of zero bytes": {0, 0, 0},
	} {
		path := furnished(t)
		edit(t, path, func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte("records")).Put([]byte(key), sealed("records", key, 1, payload))
		})
		s := open(t, path)
		if got, err := s.Records(t.Context(), store.RecordQuery{}); !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "bucket records, key") {
			t.Errorf("%s: Records() = %v, %v, want an error that names bucket and key", name, got, err)
		}
		s.Close()
	}
}
