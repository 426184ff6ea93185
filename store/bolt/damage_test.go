package bolt_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/store"
	"guestlist/store/bolt"
)

var at = time.Unix(1_790_000_000, 0).UTC()

// furnished makes a closed store with one row of each kind.
func furnished(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "store.db")
	s := open(t, path)
	u := s.Begin()
	u.CreateClient(broker.Client{ID: "https://a.example/c", Incarnation: 1, CreatedAt: at, ExpiresAt: at, Tags: []string{strings.Repeat("t", 200)}, Published: []byte("{\"a\":1}")})
	u.PutVersion(broker.Version{ClientID: "https://a.example/c", SHA256: "a", Published: []byte("{\"b\":1}"), SeenAt: at})
	u.PutPin(broker.Pin{ID: "https://a.example/p", Published: []byte("{}")})
	u.PutVersion(broker.Version{ClientID: "https://a.example/p", SHA256: "p", SeenAt: at})
	u.PutBlock(broker.Block{Kind: broker.BlockHost, Value: "b.example"})
	u.PutGrant(store.Grant{ID: "grant-1", ClientID: "https://a.example/c", Incarnation: 1, ExpiresAt: at})
	u.PutCode(store.Code{Hash: "code-1", KeepUntil: at})
	u.PutSession(store.Session{Hash: "session-1", ExpiresAt: at})
	u.PutRefresh(store.Refresh{Hash: "refresh-1", GrantID: "grant-1", KeepUntil: at})
	u.PutAccess(store.Access{Key: "access-1", GrantID: "grant-1", ExpiresAt: at})
	u.Spend(store.SpendTicket, "ticket-1", at)
	u.PutCursor("cursor-1", 1)
	u.Append(decisionlog.Record{DecisionID: "decision-1", ClientID: "https://a.example/c", Timestamp: at, Detail: "detail", Event: "admission.decided",
		Phases: []decisionlog.Phase{{Phase: "url", Candidates: []decisionlog.Candidate{{Policy: "p"}}}}})
	if err := s.Commit(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// reads are one read of every kind of row.
func reads(s *bolt.Store) map[string]func() error {
	ctx := context.Background()
	return map[string]func() error{
		"clients": func() error { _, _, err := s.Begin().Client(ctx, "https://a.example/c"); return err },
		"bodies": func() error {
			_, err := s.Versions(ctx, "https://a.example/c")
			_, _, err2 := s.Begin().Client(ctx, "https://a.example/c")
			return errors.Join(err, err2)
		},
		"versions":       func() error { _, err := s.Versions(ctx, "https://a.example/c"); return err },
		"versions_kept":  func() error { _, err := s.Sweep(ctx, at.Add(store.VersionsKept), 100); return err },
		"clients_by_end": func() error { _, err := s.Expired(ctx, at, 1); return err },
		"first_seen":     func() error { _, err := s.Begin().FirstSeen(ctx, "a.example"); return err },
		"policy_hits":    func() error { _, err := s.Hits(ctx); return err },
		"pins":           func() error { _, err := s.Pins(ctx); return err },
		"blocks":         func() error { _, err := s.Blocks(ctx); return err },
		"grants":         func() error { _, _, err := s.Begin().Grant(ctx, "grant-1"); return err },
		"codes":          func() error { _, _, err := s.Begin().Code(ctx, "code-1"); return err },
		"sessions":       func() error { _, _, err := s.Begin().Session(ctx, "session-1"); return err },
		"refresh":        func() error { _, _, err := s.Begin().Refresh(ctx, "refresh-1"); return err },
		"access":         func() error { _, _, err := s.Begin().Access(ctx, "access-1"); return err },
		"spent":          func() error { _, err := s.Begin().Spent(ctx, store.SpendTicket, "ticket-1"); return err },
		"cursors":        func() error { _, err := s.Begin().Cursor(ctx, "cursor-1"); return err },
		"records":        func() error { _, err := s.Records(ctx, store.RecordQuery{}); return err },
		"grants_listed":  func() error { _, err := s.Grants(ctx, store.GrantQuery{}); return err },
		"grants_by_client": func() error {
			u := s.Begin()
			u.EndClient("https://a.example/c", 1, at, "gone")
			return s.Commit(ctx, u)
		},
		"expiry": func() error { _, err := s.Sweep(ctx, at, 1); return err },
	}
}

// TestFlippedByte flips every byte of every value, one after the other.
func TestFlippedByte(t *testing.T) {
	for name := range reads(nil) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := furnished(t)
			whole := read(t, path)
			var key, value []byte
			edit(t, path, func(tx *bbolt.Tx) error {
				k, v := tx.Bucket([]byte(name)).Cursor().First()
				key, value = bytes.Clone(k), bytes.Clone(v)
				return nil
			})
			if n := bytes.Count(whole, append(bytes.Clone(key), value...)); n == 0 || len(value) == 0 {
				t.Fatal("the row is not in the file")
			}
			// Every eighth byte of long values: opening takes its time.
			for i := 0; i < len(value); i += 1 + len(value)/few(20) {
				spoilt := bytes.Clone(value)
				spoilt[i] ^= 1 << (i % 8)
				raw := bytes.ReplaceAll(whole, append(bytes.Clone(key), value...), append(bytes.Clone(key), spoilt...))
				write(t, path, raw)
				s := open(t, path)
				err := reads(s)[name]()
				if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "bucket "+name+", key ") {
					t.Errorf("byte %d of %d flipped: read = %v, want an error that names bucket and key", i, len(value), err)
				}
				s.Close()
			}
		})
	}
}

// few is n, or a fifth of it where the race detector makes everything slow:
// these rounds have one goroutine.
func few(n int) int {
	if testing.Short() {
		return n / 5
	}
	return n
}

// TestKeyInError proves that an error shows a key escaped and bounded.
func TestKeyInError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	id := "https://a.example/\n\x1b[31m" + strings.Repeat("p", 2000)
	s := open(t, path)
	u := s.Begin()
	u.CreateClient(broker.Client{ID: id, Incarnation: 1})
	if err := errors.Join(s.Commit(t.Context(), u), s.Close()); err != nil {
		t.Fatal(err)
	}
	edit(t, path, func(tx *bbolt.Tx) error { return tx.Bucket([]byte("clients")).Put([]byte(id), []byte("x")) })
	s = open(t, path)
	_, _, err := s.Begin().Client(t.Context(), id)
	if err == nil || len(err.Error()) > 400 || strings.ContainsAny(err.Error(), "\n\x1b") || !strings.Contains(err.Error(), `https://a.example/\n\x1b[31m`) {
		t.Errorf("Client() = %q, want a short error with the key escaped", err)
	}
}

// TestSwappedValues proves that a value found under another key is noticed.
func TestSwappedValues(t *testing.T) {
	path := furnished(t)
	edit(t, path, func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte("grants"))
		return b.Put([]byte("grant-2"), bytes.Clone(b.Get([]byte("grant-1"))))
	})
	s := open(t, path)
	if _, _, err := s.Begin().Grant(t.Context(), "grant-2"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Grant() of a value that belongs to another key = %v, want ErrUnavailable", err)
	}
}

// TestDamagedRowHurtsItsUnitOnly: a unit that meets a damaged row half-way
// fails and leaves nothing; the next one works.
func TestDamagedRowHurtsItsUnitOnly(t *testing.T) {
	path := furnished(t)
	edit(t, path, func(tx *bbolt.Tx) error { return tx.Bucket([]byte("grants")).Put([]byte("grant-1"), []byte("x")) })
	s := open(t, path)
	u := s.Begin()
	u.PutCursor("cursor-1", 7)
	u.EndClient("https://a.example/c", 1, at, "gone")
	if err := s.Commit(t.Context(), u); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Commit() = %v, want ErrUnavailable", err)
	}
	if s.Healthy() == nil {
		t.Error("Healthy() = nil, want the damaged row")
	}
	_, client, err := s.Begin().Client(t.Context(), "https://a.example/c")
	cursor, err2 := s.Begin().Cursor(t.Context(), "cursor-1")
	if err := errors.Join(err, err2); err != nil || !client || cursor != 1 {
		t.Errorf("after the failed unit: client %v, cursor %d, %v, want true, 1", client, cursor, err)
	}
	if err := errors.Join(s.Probe(t.Context()), s.Healthy()); err != nil {
		t.Errorf("after a later commit: %v, want health", err)
	}
	// The sweep goes round it and says so.
	n, err := s.Sweep(t.Context(), at.Add(2*store.GrantKept), 100)
	if n != 5 || !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), `"grant-1"`) {
		t.Errorf("Sweep() = %d, %v, want 5 and the damaged grant", n, err)
	}
}

// TestNoise overwrites pages with noise: whatever is asked answers or fails,
// and nothing ends the process.
func TestNoise(t *testing.T) {
	path := furnished(t)
	whole := read(t, path)
	rnd := rand.New(rand.NewPCG(1, 2))
	opened := 0
	for range few(150) {
		raw := bytes.Clone(whole)
		for range 1 + rnd.IntN(4) {
			raw[2*4096+rnd.IntN(len(raw)-2*4096)] = byte(rnd.Uint32())
		}
		write(t, path+".x", raw)
		s, err := bolt.Open(bolt.Config{Path: path + ".x", Timeout: 60 * time.Millisecond})
		if err != nil {
			if !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("Open() = %v, want ErrUnavailable", err)
			}
			if strings.Contains(err.Error(), "in use") {
				t.Fatalf("Open() = %v: an earlier store kept its lock", err)
			}
			continue
		}
		opened++
		for name, read := range reads(s) {
			if err := read(); err != nil && !errors.Is(err, store.ErrUnavailable) && !errors.Is(err, broker.ErrConflict) {
				t.Errorf("%s = %v, want ErrUnavailable", name, err)
			}
		}
		if err := s.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	}
	if opened == 0 {
		t.Error("no noisy file could be opened: the test looked at nothing")
	}
}

// TestFaultInCommitter: pages that make bbolt panic inside the committer stop
// all writing, and closing gives the file free.
func TestFaultInCommitter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := open(t, path)
	id := func(i int) string { return fmt.Sprintf("https://a.example/%05d", i) }
	u := s.Begin()
	for i := range 400 {
		u.CreateClient(broker.Client{ID: id(i), Incarnation: 1, Published: make([]byte, 100)})
	}
	if err := errors.Join(s.Commit(t.Context(), u), s.Close()); err != nil {
		t.Fatal(err)
	}
	// Make no sense of the head of every leaf page that holds a client in
	// the middle; the bucket's first page stays as it is.
	raw := read(t, path)
	spoilt := 0
	for page := 0; page < len(raw); page += 4096 {
		if bytes.Contains(raw[page:page+4096], []byte(id(200)+"\x01")) {
			raw[page+8] ^= 0x50
			spoilt++
		}
	}
	write(t, path, raw)
	s = open(t, path)
	u = s.Begin()
	u.CreateClient(broker.Client{ID: id(200), Incarnation: 2})
	first := s.Commit(t.Context(), u)
	second := s.Probe(t.Context())
	for _, err := range []error{first, second, s.Healthy()} {
		if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "is damaged, restore a backup") {
			t.Errorf("Commit() = %v, then Probe() = %v, Healthy() = %v, want ErrUnavailable for all", first, second, s.Healthy())
		}
	}
	if _, ok, err := s.Begin().Client(t.Context(), id(0)); err != nil || !ok {
		t.Errorf("Client() on a sound page = %v, %v, want the row", ok, err)
	}
	if _, _, err := s.Begin().Client(t.Context(), id(200)); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Client() on a damaged page = %v, want ErrUnavailable", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close() = %v", err)
	}
	again, err := bolt.Open(bolt.Config{Path: path, Timeout: 60 * time.Millisecond})
	if err != nil {
		t.Fatalf("Open() after %d pages were spoilt = %v, want the lock given up", spoilt, err)
	}
	again.Close()
}
