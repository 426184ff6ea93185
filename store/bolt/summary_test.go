package bolt_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"guestlist/broker/decisionlog"
	"guestlist/store"
	"guestlist/store/bolt"
)

// summarised makes a closed store with that many records, of which each tenth
// has another event.
func summarised(t *testing.T, n int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "store.db")
	s := open(t, path)
	u := s.Begin()
	for i := range n {
		r := decisionlog.Record{DecisionID: fmt.Sprint(i), Timestamp: at.Add(time.Duration(i) * time.Second), Event: "often", ClientID: fmt.Sprintf("https://h%d.example/c", i)}
		if i%10 == 0 {
			r.Event = "tenth"
		}
		u.Append(r)
	}
	if err := errors.Join(s.Commit(t.Context(), u), s.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// tenths are the sequence numbers of what a store says about the event.
func tenths(t *testing.T, s *bolt.Store) (seqs []uint64) {
	t.Helper()
	list, err := s.Records(t.Context(), store.RecordQuery{Event: "tenth"})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		seqs = append(seqs, r.Seq)
	}
	return seqs
}

// summaries are the rows of the bucket of a closed store.
func summaries(t *testing.T, path string) map[string][]byte {
	t.Helper()
	rows := map[string][]byte{}
	edit(t, path, func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("records_summary")).ForEach(func(k, v []byte) error { rows[string(k)] = bytes.Clone(v); return nil })
	})
	return rows
}

// TestSummariesAreBuilt: opening a file of an earlier format writes the
// summaries that the program writes today, tells how far it is, and goes on
// where a crash left it. A record that cannot be read leaves its block without
// one, and hides no other block's.
func TestSummariesAreBuilt(t *testing.T) {
	const records, blocks = 20_000, 78
	path := summarised(t, records)
	want := summaries(t, path)
	if len(want) != blocks {
		t.Fatalf("%d summaries of %d records, want %d", len(want), records, blocks)
	}
	key := func(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
	edit(t, path, func(tx *bbolt.Tx) error {
		raw, err := json.Marshal(map[string]any{"format": 5, "created": at})
		return errors.Join(err, tx.DeleteBucket([]byte("records_summary")), tx.Bucket([]byte("meta")).Put([]byte("format"), sealed("meta", "format", 1, raw)))
	})
	var told []uint64
	s, err := bolt.Open(bolt.Config{Path: path, Summarised: func(done, all uint64) { told = append(told, done, all) }})
	if err != nil {
		t.Fatal(err)
	}
	found := tenths(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if full := uint64(blocks * 256); !reflect.DeepEqual(told, []uint64{64 * 256, full, full, full}) {
		t.Errorf("Summarised was told %v, want 64 blocks of %d, then all", told, blocks)
	}
	if got := summaries(t, path); !reflect.DeepEqual(got, want) {
		t.Errorf("%d summaries are other ones than were written with the records", len(got))
	}
	edit(t, path, func(tx *bbolt.Tx) error { // the rest of the work, with a record of block 76 spoilt
		b := tx.Bucket([]byte("records_summary"))
		return errors.Join(b.Delete(key(76)), b.Delete(key(77)), tx.Bucket([]byte("records")).Put(key(76*256+2), []byte("damaged")))
	})
	s = open(t, path)
	if again := tenths(t, s); !reflect.DeepEqual(again, found) || len(found) != 1000 {
		t.Errorf("%d and %d records with the event, want the same 1000", len(found), len(again))
	}
	_, err = s.Records(t.Context(), store.RecordQuery{Event: "tenth", After: 76 * 256})
	if !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Records() over a damaged record without a summary = %v, want ErrUnavailable", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := summaries(t, path); got[string(key(76))] != nil || !bytes.Equal(got[string(key(77))], want[string(key(77))]) {
		t.Error("the summaries behind a damaged record are not as they should be")
	}
}

// TestIndexesGiveWay: a file with indexes of ids, which earlier programs kept,
// loses them, and has summaries that know ids instead.
func TestIndexesGiveWay(t *testing.T) {
	path := summarised(t, 300)
	want := summaries(t, path)
	former := []string{"records_request", "records_decision"}
	edit(t, path, func(tx *bbolt.Tx) error {
		for _, name := range former {
			b, err := tx.CreateBucket([]byte(name))
			if err := errors.Join(err, b.Put([]byte("\x027\x00\x00\x00\x00\x00\x00\x00\x08"), []byte("index"))); err != nil {
				return err
			}
		}
		return tx.Bucket([]byte("records_summary")).Put(make([]byte, 8), []byte("knows no ids"))
	})
	s := open(t, path)
	for _, id := range []string{"7", "299"} {
		if list, err := s.Records(t.Context(), store.RecordQuery{DecisionID: id}); err != nil || len(list) != 1 {
			t.Errorf("Records(decision %s) = %d records, %v, want one", id, len(list), err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := summaries(t, path); len(want) != 1 || !reflect.DeepEqual(got, want) {
		t.Errorf("%d summaries after opening, want the %d that were written with the records", len(got), len(want))
	}
	edit(t, path, func(tx *bbolt.Tx) error {
		for _, name := range former {
			if tx.Bucket([]byte(name)) != nil {
				t.Errorf("the bucket %s is there still", name)
			}
		}
		return nil
	})
}

// TestDamagedRecordHidesNoOtherID: what cannot be read in a block without a
// summary is an error only to who finds nothing.
func TestDamagedRecordHidesNoOtherID(t *testing.T) {
	path := summarised(t, 300)
	edit(t, path, func(tx *bbolt.Tx) error {
		records := tx.Bucket([]byte("records"))
		for _, seq := range []uint64{8, 280} {
			if err := records.Put(binary.BigEndian.AppendUint64(nil, seq), []byte("damaged")); err != nil {
				return err
			}
		}
		return nil
	})
	s := open(t, path)
	for id, damaged := range map[string]bool{
		"6": false, "298": false, // others, of a block with a summary and of one without
		"7": true, "279": true, // the damaged ones
		"nobody's": true, // may have been one of them
	} {
		list, err := s.Records(t.Context(), store.RecordQuery{DecisionID: id})
		if errors.Is(err, store.ErrUnavailable) != damaged || damaged == (len(list) == 1) {
			t.Errorf("Records(decision %s) = %d records, %v, want an error: %v", id, len(list), err, damaged)
		}
	}
}

// TestSummaryFlippedByte: a damaged summary is an error, never another answer.
func TestSummaryFlippedByte(t *testing.T) {
	path := summarised(t, 256)
	value := summaries(t, path)[string(make([]byte, 8))]
	for i := 0; i < len(value); i += 1 + len(value)/few(20) {
		spoilt := bytes.Clone(value)
		spoilt[i] ^= 1 << (i % 8)
		edit(t, path, func(tx *bbolt.Tx) error { return tx.Bucket([]byte("records_summary")).Put(make([]byte, 8), spoilt) })
		s := open(t, path)
		_, err := s.Records(t.Context(), store.RecordQuery{Event: "tenth"})
		if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "bucket records_summary, key ") {
			t.Errorf("byte %d of %d flipped: Records() = %v, want an error that names bucket and key", i, len(value), err)
		}
		s.Close()
	}
}
