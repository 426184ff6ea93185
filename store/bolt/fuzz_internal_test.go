package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/store"
)

// row is one stored value and a call that reads it.
type row struct {
	bucket bucket
	read   func(*Store) (found bool, err error)
}

// rows are a read of every kind of row that has a value.
var rows = []row{
	{clientBucket, func(s *Store) (bool, error) {
		_, ok, err := s.Begin().Client(bg, "https://a.example/c")
		return ok, err
	}},
	{bodyBucket, func(s *Store) (bool, error) { v, err := s.Versions(bg, "https://a.example/c"); return len(v) > 0, err }},
	{versionBucket, func(s *Store) (bool, error) { v, err := s.Versions(bg, "https://a.example/c"); return len(v) > 0, err }},
	{pinBucket, func(s *Store) (bool, error) { v, err := s.Pins(bg); return len(v) > 0, err }},
	{blockBucket, func(s *Store) (bool, error) { v, err := s.Blocks(bg); return len(v) > 0, err }},
	{grantBucket, func(s *Store) (bool, error) { _, ok, err := s.Begin().Grant(bg, "grant-1"); return ok, err }},
	{codeBucket, func(s *Store) (bool, error) { _, ok, err := s.Begin().Code(bg, "code-1"); return ok, err }},
	{sessionBucket, func(s *Store) (bool, error) { _, ok, err := s.Begin().Session(bg, "session-1"); return ok, err }},
	{refreshBucket, func(s *Store) (bool, error) { _, ok, err := s.Begin().Refresh(bg, "refresh-1"); return ok, err }},
	{accessBucket, func(s *Store) (bool, error) { _, ok, err := s.Begin().Access(bg, "access-1"); return ok, err }},
	{spentBucket, func(s *Store) (bool, error) { return s.Begin().Spent(bg, store.SpendTicket, "ticket-1") }},
	{cursorBucket, func(s *Store) (bool, error) { n, err := s.Begin().Cursor(bg, "cursor-1"); return n > 0, err }},
	{recordBucket, func(s *Store) (bool, error) { v, err := s.Records(bg, store.RecordQuery{}); return len(v) > 0, err }},
	{holdBucket, func(s *Store) (bool, error) { v, _, err := s.Holds(bg); return len(v) > 0, err }},
	{metaBucket, func(s *Store) (bool, error) { n, err := s.Begin().Epoch(bg); return n > 0, err }},
	{countBucket, func(s *Store) (bool, error) {
		c, err := s.Begin().ClientCount(bg, "a.example", nil)
		return c.Total > 0 || c.PerDomain > 0, err
	}},
}

var bg = context.Background()

// filled opens a store with one row of each kind. Nothing is synced: what is
// tested is what was read.
func filled(t testing.TB) *Store {
	t.Helper()
	s, err := Open(Config{Path: filepath.Join(t.TempDir(), "store.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	s.db.NoSync = true
	at := time.Unix(1_790_000_000, 0).UTC()
	u := s.Begin()
	u.CreateClient(broker.Client{ID: "https://a.example/c", Domain: "a.example", Incarnation: 1, ExpiresAt: at, Published: []byte(`{"a":1}`)})
	u.PutVersion(broker.Version{ClientID: "https://a.example/c", SHA256: "a", Published: []byte(`{"a":1}`), SeenAt: at})
	u.PutPin(broker.Pin{ID: "https://a.example/p", Published: []byte("{}")})
	u.PutBlock(broker.Block{Kind: broker.BlockHost, Value: "b.example"})
	u.PutGrant(store.Grant{ID: "grant-1", ClientID: "https://a.example/c", Incarnation: 1, ExpiresAt: at})
	u.PutCode(store.Code{Hash: "code-1", KeepUntil: at})
	u.PutSession(store.Session{Hash: "session-1", ExpiresAt: at})
	u.PutRefresh(store.Refresh{Hash: "refresh-1", GrantID: "grant-1", KeepUntil: at})
	u.PutAccess(store.Access{Key: "access-1", GrantID: "grant-1", ExpiresAt: at})
	u.Spend(store.SpendTicket, "ticket-1", at)
	u.PutCursor("cursor-1", 1)
	u.PutHold(store.Hold{ID: "hold-1", Filter: store.RecordQuery{Host: "a.example"}, At: at})
	u.Append(decisionlog.Record{DecisionID: "decision-1", ClientID: "https://a.example/c", Timestamp: at})
	if err := s.Commit(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	return s
}

// place is where a kind of row is stored, and what it was.
func (r row) place(t testing.TB, s *Store) (key, value []byte) {
	t.Helper()
	err := s.db.View(func(tx *bbolt.Tx) error {
		k, v := tx.Bucket([]byte(r.bucket)).Cursor().First()
		if r.bucket == metaBucket {
			k, v = []byte(stateKey), tx.Bucket([]byte(r.bucket)).Get([]byte(stateKey))
		}
		key, value = bytes.Clone(k), bytes.Clone(v)
		return nil
	})
	if err != nil || value == nil {
		t.Fatalf("bucket %s has no row: %v", r.bucket, err)
	}
	return key, value
}

// put writes a value as it is.
func (r row) put(t testing.TB, s *Store, key, value []byte) {
	t.Helper()
	if err := s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte(r.bucket)).Put(key, value) }); err != nil {
		t.Fatal(err)
	}
}

// proven is the checksum of doc.go, written a second time: Castagnoli over
// bucket and key, each behind its length, format and payload.
func proven(b bucket, key, value []byte) bool {
	if len(value) < 5 {
		return false
	}
	var covered []byte
	for _, part := range [][]byte{[]byte(b), key} {
		covered = append(binary.AppendUvarint(covered, uint64(len(part))), part...)
	}
	covered = append(append(covered, value[0]), value[5:]...)
	return crc32.Checksum(covered, crc32.MakeTable(crc32.Castagnoli)) == binary.BigEndian.Uint32(value[1:])
}

// FuzzStoredRow puts arbitrary bytes where a row is, as they are or behind a
// checksum that holds, and reads it through the store: nothing panics, and
// what has no good checksum is never a row.
func FuzzStoredRow(f *testing.F) {
	s := filled(f)
	for i, r := range rows {
		_, value := r.place(f, s)
		f.Add(uint8(i), value, false)
		f.Add(uint8(i), value[valueHead:], true)
		f.Add(uint8(i), []byte("null"), true)
		f.Add(uint8(i), []byte(`{"Published":"x","document":{"jwks":1},"expires_at":"","settings":3}`), true)
	}
	f.Add(uint8(0), []byte{}, false)
	f.Fuzz(func(t *testing.T, which uint8, value []byte, sealed bool) {
		r := rows[int(which)%len(rows)]
		key, was := r.place(t, s)
		if sealed {
			value = seal(r.bucket, key, value)
		}
		r.put(t, s, key, value)
		defer r.put(t, s, key, was)
		found, err := r.read(s)
		var panicked *fault
		switch {
		case errors.As(err, &panicked):
			t.Fatalf("bucket %s, value %q: reading panicked: %v", r.bucket, value, err)
		case err != nil && !errors.Is(err, store.ErrUnavailable):
			t.Errorf("bucket %s, value %q: error %v is not that of the contract", r.bucket, value, err)
		case err == nil && found && !proven(r.bucket, key, value):
			t.Errorf("bucket %s: the value %q is taken for a row, its checksum does not hold", r.bucket, value)
		}
	})
}

// TestStoredRowsAreRead holds that each read of the fuzz target finds its row
// when nothing was changed, and fails when one byte was.
func TestStoredRowsAreRead(t *testing.T) {
	s := filled(t)
	for _, r := range rows {
		if found, err := r.read(s); err != nil || !found {
			t.Errorf("bucket %s: found %v, %v, want the row", r.bucket, found, err)
		}
		key, was := r.place(t, s)
		if !proven(r.bucket, key, was) {
			t.Errorf("bucket %s: the second checksum is another than the first", r.bucket)
		}
		spoilt := bytes.Clone(was)
		spoilt[len(spoilt)-1] ^= 1
		r.put(t, s, key, spoilt)
		if found, err := r.read(s); err == nil {
			t.Errorf("bucket %s: a changed byte: found %v without an error", r.bucket, found)
		}
		r.put(t, s, key, was)
	}
}
