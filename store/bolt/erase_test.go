package bolt_test

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"guestlist/broker/decisionlog"
	"guestlist/store"
)

// refusals makes a closed store with the records of n strangers, an hour
// between two of them.
func refusals(t *testing.T, n int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "store.db")
	s := open(t, path)
	u := s.Begin()
	for i := range n {
		u.Append(decisionlog.Record{
			DecisionID: "decision", RequestID: "request", Timestamp: at.Add(time.Duration(i) * time.Hour), Event: decisionlog.EventRequestRefused,
			Outcome: decisionlog.OutcomeRefused, Reason: "request_invalid", Detail: "what the stranger wrote", Source: "198.51.100.7",
		})
	}
	if err := s.Commit(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// rows walks through every row of a closed store.
func rows(t *testing.T, path string, do func(bucket string, b *bbolt.Bucket, key, value []byte) error) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Update(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			return b.ForEach(func(key, value []byte) error { return do(string(name), b, key, value) })
		})
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestErasedIsInNoRow: a body whose record was erased is in no row of the file,
// neither beside the record nor in what finds it, and the record's own row is
// no longer than that of a record that never had one.
func TestErasedIsInNoRow(t *testing.T) {
	path := refusals(t, 2)
	s := open(t, path)
	u := s.Begin()
	u.EraseBodies([]uint64{1})
	if err := s.Commit(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	var sizes []int
	rows(t, path, func(bucket string, _ *bbolt.Bucket, key, value []byte) error {
		if bucket == "records" {
			sizes = append(sizes, len(value))
			return nil
		}
		for _, part := range []string{"stranger", "198.51.100.7"} {
			if bytes.Contains(key, []byte(part)) || bytes.Contains(value, []byte(part)) {
				t.Errorf("bucket %s, key %q has %q of a body", bucket, key, part)
			}
		}
		return nil
	})
	// 16 bytes of salt do not compress.
	if len(sizes) != 2 || sizes[0] > sizes[1]-16-len("what the stranger wrote")/2 {
		t.Errorf("rows of an erased record and a whole one have %v bytes", sizes)
	}
}

// TestDamagedRecordIsPassedOver: erasing by age reports a record that cannot be
// read, and goes on behind it.
func TestDamagedRecordIsPassedOver(t *testing.T) {
	path := refusals(t, 3)
	rows(t, path, func(bucket string, b *bbolt.Bucket, key, value []byte) error {
		if bucket != "records" || key[7] != 2 {
			return nil
		}
		value = slices.Clone(value)
		value[len(value)-1] ^= 1
		return b.Put(key, value)
	})
	s := open(t, path)
	defer s.Close()
	out, err := s.Overdue(t.Context(), store.Retain{Class: decisionlog.ClassStrangers, Before: at.Add(3 * time.Hour), Now: at.Add(4 * time.Hour)})
	if want := []uint64{1, 3}; !slices.Equal(out.Seqs, want) || out.Place != 3 || out.More {
		t.Errorf("Overdue = %+v, want %v", out, want)
	}
	if err == nil || !strings.Contains(err.Error(), "records") {
		t.Errorf("the damaged record is not reported: %v", err)
	}
}
