package bolt_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"go.etcd.io/bbolt"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/store"
	"guestlist/store/bolt"
)

// disk is a file system of a test's choice.
type disk struct {
	free atomic.Int64
	size int64 // zero: it does not say
	fail error
}

func (d *disk) ask() (free, size int64, err error) { return d.free.Load(), d.size, d.fail }

// onDisk opens a store on d with a reserve, and returns the changes that it
// told of.
func onDisk(t *testing.T, d *disk, reserve int64) (*bolt.Store, *[]bolt.RoomChange) {
	t.Helper()
	told := new([]bolt.RoomChange)
	s, err := bolt.Open(bolt.Config{
		Path: filepath.Join(t.TempDir(), "store.db"), Reserve: reserve, Disk: d.ask,
		RoomChanged: func(c bolt.RoomChange) { *told = append(*told, c) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, told
}

const mib = 1 << 20

// TestRoom: as room shrinks, things are given up in their order, and come back
// with a quarter more than they went with.
func TestRoom(t *testing.T) {
	d := &disk{size: 1 << 40}
	s, told := onDisk(t, d, 64*mib)
	if s.Room() != broker.RoomForAll {
		t.Errorf("before the first Measure: %d, want room for all", s.Room())
	}
	if _, known := s.Free(); known {
		t.Error("before the first Measure Free is known")
	}
	d.free.Store(1000 * mib)
	if err := s.Measure(t.Context()); err != nil {
		t.Fatal(err)
	}
	all, known, tokens, ends := broker.RoomForAll, broker.RoomForKnown, broker.RoomForTokens, broker.RoomForEnds
	for i, c := range []struct {
		free int64 // MiB
		want broker.Room
	}{
		{100, all}, {65, all}, {63, known}, {64, known}, {70, known}, {79, known}, {81, all}, {70, all}, // the first border, and back
		{63, known}, {33, known}, {31, tokens}, {39, tokens}, {41, known}, {33, known}, {31, tokens}, // the second
		{9, tokens}, {7, ends}, {9, ends}, {11, tokens}, {9, tokens}, {7, ends}, {3, ends}, // the third
		{39, tokens}, {79, known}, {1000, all}, {3, ends}, {1000, all}, // several at once
	} {
		inside, _ := s.Free()
		d.free.Store(d.free.Load() + c.free*mib - inside) // the file itself has room too
		if err := s.Measure(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s.Room() != c.want {
			t.Errorf("%d: with %d MiB free of a reserve of 64: room %d, want %d", i, c.free, s.Room(), c.want)
		}
		if low := s.Low(); (low == nil) != (c.want == all) || low != nil && !strings.Contains(low.Error(), c.want.Waits()+" wait") {
			t.Errorf("%d: Low() = %v with room %d", i, low, c.want)
		}
	}
	for i, c := range *told {
		if c.Was == c.Is || i > 0 && (*told)[i-1].Is != c.Was || c.Reserve != 64*mib {
			t.Errorf("change %d is %+v after %+v", i, c, (*told)[max(0, i-1)])
		}
	}
	if n := len(*told); n != 14 {
		t.Errorf("%d changes were told, want one for each time that the room became another: 14", n)
	}
}

// TestReserve: what is reserved when nobody says so, and when it is off.
func TestReserve(t *testing.T) {
	for name, c := range map[string]struct {
		reserve, size, free int64
		want                broker.Room
	}{
		"a large disk, 256 MiB are not free":  {0, 1 << 40, 255 * mib, broker.RoomForKnown},
		"a large disk, they are":              {0, 1 << 40, 257 * mib, broker.RoomForAll},
		"a small disk, a twentieth is free":   {0, 1000 * mib, 51 * mib, broker.RoomForAll},
		"a small disk, less is":               {0, 1000 * mib, 49 * mib, broker.RoomForKnown},
		"off, nothing is free":                {-1, 1 << 40, 0, broker.RoomForAll},
		"a disk that does not say how it is":  {0, 0, 0, broker.RoomForAll},
		"spelled out, and more than is there": {2000 * mib, 1000 * mib, 900 * mib, broker.RoomForTokens},
	} {
		t.Run(name, func(t *testing.T) {
			d := &disk{size: c.size}
			d.free.Store(c.free)
			s, _ := onDisk(t, d, c.reserve)
			if err := s.Measure(t.Context()); err != nil || s.Room() != c.want {
				t.Errorf("Measure = %v, room %d, want %d", err, s.Room(), c.want)
			}
		})
	}
	d := &disk{size: 1 << 40, fail: errors.New("no answer")}
	s, _ := onDisk(t, d, 0)
	if err := s.Measure(t.Context()); !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "no answer") {
		t.Errorf("Measure = %v, want the system's error", err)
	}
}

// TestRoomInside: pages that are free in the file are room, because the store
// writes on them again. The rows come in one commit: where many rewrite the
// same large pages, how much of the file stays free is chance.
func TestRoomInside(t *testing.T) {
	d := &disk{size: 1 << 40}
	s, _ := onDisk(t, d, 8*mib)
	commit := func(row func(u store.Unit, hash string)) (int64, broker.Room) {
		u := s.Begin()
		for i := range 20 {
			row(u, fmt.Sprint(i))
		}
		if err := errors.Join(s.Commit(t.Context(), u), s.Measure(t.Context())); err != nil {
			t.Fatal(err)
		}
		n, _ := s.Free()
		return n, s.Room()
	}
	big := strings.Repeat("x", mib)
	full, room := commit(func(u store.Unit, hash string) { u.PutSession(store.Session{Hash: hash, Username: big}) })
	if full > mib || room != broker.RoomForEnds {
		t.Errorf("in a full file %d bytes are free, room %d", full, room)
	}
	free, room := commit(func(u store.Unit, hash string) { u.EndSession(hash) })
	if free < full+19*mib || free > full+22*mib || room != broker.RoomForAll {
		t.Errorf("with 20 MiB of rows gone %d bytes are free, %d before, room %d", free, full, room)
	}
}

// TestBallast: part of the reserve is put aside in the file, stays there over
// a restart, counts as room all the time, and is handed out when the disk is
// full.
func TestBallast(t *testing.T) {
	d := &disk{size: 1 << 40}
	d.free.Store(1 << 40)
	path := filepath.Join(t.TempDir(), "store.db")
	size := func() int64 {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	start := func() *bolt.Store {
		s, err := bolt.Open(bolt.Config{Path: path, Reserve: 32 * mib, Disk: d.ask})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Measure(t.Context()); err != nil || s.Syncs() != 0 {
			t.Fatalf("the first Measure: %v, %d commits, want none", err, s.Syncs())
		}
		if err := s.Measure(t.Context()); err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := start()
	held, syncs := size(), s.Syncs()
	if held < mib || syncs < 1 {
		t.Errorf("the file has %d bytes, want a mebibyte put aside", held)
	}
	if err := s.Measure(t.Context()); err != nil || s.Syncs() != syncs {
		t.Errorf("a third Measure: %v, %d commits, want none", err, s.Syncs()-syncs)
	}
	s.Close()
	s = start()
	defer s.Close()
	d.free.Store(0)
	for i := range 2 {
		syncs := s.Syncs()
		if err := s.Measure(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n, _ := s.Free(); n < mib || n > 3*mib || s.Room() != broker.RoomForEnds {
			t.Errorf("on a full disk %d bytes are left, room %d, want the mebibyte that was put aside", n, s.Room())
		}
		if handedOut := s.Syncs() > syncs; handedOut != (i == 0) {
			t.Errorf("Measure %d on a full disk: handed out = %v, want it the first time", i+1, handedOut)
		}
	}
	if size() > held {
		t.Errorf("the file grew from %d to %d bytes while it was handed out", held, size())
	}
}

// lowDisk runs in a child, because the limit is the process's: a file that may
// not grow gives things up in order, finds room for ends on what was put aside
// when the limit comes at once, and everything comes back with the room.
func lowDisk(path string) error {
	ctx := context.Background()
	var told []string
	s, err := bolt.Open(bolt.Config{Path: path, Reserve: 16 * mib, RoomChanged: func(c bolt.RoomChange) {
		told = append(told, fmt.Sprint(c.Was, ">", c.Is))
	}})
	if err != nil {
		return err
	}
	defer s.Close()
	if err := errors.Join(s.Measure(ctx), s.Measure(ctx)); err != nil || s.Room() != broker.RoomForAll {
		return fmt.Errorf("without a limit: %v, room %d", err, s.Room())
	}
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		return err
	}
	bound := func(n uint64) error {
		return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: n, Max: was.Max})
	}
	put := func(i, n int) error { // n bytes in rows, small enough to lie on a page
		u := s.Begin()
		for part := 0; n > 0; n, part = n-3000, part+1 {
			u.PutSession(store.Session{Hash: fmt.Sprint(i, "-", part), Username: strings.Repeat("x", min(n, 3000))})
		}
		u.Append(decisionlog.Record{DecisionID: fmt.Sprint("d", i), Event: "person.signed_in", Outcome: "granted"})
		return s.Commit(ctx, u)
	}
	if err := nothingAtAll(ctx, s, put, bound, was.Cur); err != nil {
		return err
	}
	if err := bound(40 * mib); err != nil {
		return err
	}
	told = nil
	n := 0
	for ; s.Room() < broker.RoomForEnds && n < 2000; n++ {
		if err := put(n, 60_000); err != nil {
			return fmt.Errorf("with room %d: %w", s.Room(), err)
		}
		if err := s.Measure(ctx); err != nil {
			return err
		}
	}
	if want := []string{"0>1", "1>2", "2>3"}; !slices.Equal(told, want) {
		return fmt.Errorf("the room went %q, want %q", told, want)
	}
	// Two mebibytes are left, for ends.
	for i := range n {
		u := s.Begin()
		for part := range 20 {
			u.EndSession(fmt.Sprint(i, "-", part))
		}
		u.Append(decisionlog.Record{DecisionID: fmt.Sprint("e", i), Event: "person.signed_out", Outcome: "done"})
		if err := s.Commit(ctx, u); err != nil {
			return fmt.Errorf("end %d of %d on a full disk: %w", i, n, err)
		}
	}
	if err := errors.Join(bound(was.Cur), s.Measure(ctx)); err != nil || s.Room() != broker.RoomForAll || s.Healthy() != nil {
		return fmt.Errorf("with room again: %v, room %d, health %v", err, s.Room(), s.Healthy())
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if err := bound(uint64(info.Size())); err != nil {
		return err
	}
	if err := suddenlyFull(ctx, s, put); err != nil {
		return err
	}
	if err := errors.Join(bound(was.Cur), s.Measure(ctx)); err != nil || s.Room() != broker.RoomForAll {
		return fmt.Errorf("with room again: %v, room %d", err, s.Room())
	}
	if info, err = os.Stat(path); err != nil {
		return err
	}
	if err := bound(uint64(info.Size())); err != nil {
		return err
	}
	return mismeasured(ctx, s, put, func() error { return bound(was.Cur) })
}

// nothingAtAll lets no page be written, and sees room for all with the first
// commit that works again, without another look.
func nothingAtAll(ctx context.Context, s *bolt.Store, put func(i, n int) error, bound func(uint64) error, open uint64) error {
	if err := bound(8 << 10); err != nil {
		return err
	}
	if err := put(50_000, 100); !errors.Is(err, store.ErrUnavailable) || s.Room() != broker.RoomForEnds {
		return fmt.Errorf("where nothing can be written: %v, room %d", err, s.Room())
	}
	if err := errors.Join(bound(open), s.Probe(ctx)); err != nil || s.Room() != broker.RoomForAll {
		return fmt.Errorf("with the first commit that works: %v, room %d", err, s.Room())
	}
	return nil
}

// suddenlyFull lets a file run into a limit that nothing measured.
func suddenlyFull(ctx context.Context, s *bolt.Store, put func(i, n int) error) error {
	i := 10_000
	for ; s.Room() == broker.RoomForAll; i++ {
		if err := put(i, 60_000); err != nil {
			return fmt.Errorf("unit %d: %w, want it written on what was put aside", i, err)
		}
	}
	if s.Room() != broker.RoomForEnds || s.Low() == nil {
		return fmt.Errorf("room %d, Low() = %v, want room for ends", s.Room(), s.Low())
	}
	for n := range 50 {
		u := s.Begin()
		u.EndSession(fmt.Sprint(10_000+n, "-0"))
		u.Append(decisionlog.Record{DecisionID: fmt.Sprint("f", n), Event: "person.signed_out", Outcome: "done"})
		if err := s.Commit(ctx, u); err != nil {
			return fmt.Errorf("end %d on what was put aside: %w", n, err)
		}
	}
	return nil
}

// mismeasured lets a commit find no room for what is too large for the pages
// that are free, and watches what is given up for it come back.
func mismeasured(ctx context.Context, s *bolt.Store, put func(i, n int) error, unbound func() error) error {
	u := s.Begin()
	u.PutSession(store.Session{Hash: "large", Username: strings.Repeat("x", 64*mib)})
	if err := s.Commit(ctx, u); !errors.Is(err, store.ErrUnavailable) || s.Room() != broker.RoomForEnds {
		return fmt.Errorf("a row of 64 MiB: %v, room %d, want a refusal and room for ends", err, s.Room())
	}
	if err := s.Measure(ctx); err != nil || s.Room() != broker.RoomForEnds || s.Healthy() == nil {
		return fmt.Errorf("before anything was written: %v, room %d, health %v", err, s.Room(), s.Healthy())
	}
	if err := errors.Join(s.Probe(ctx), unbound()); err != nil {
		return err
	}
	for n := range 3 * 4 {
		if err := s.Measure(ctx); err != nil {
			return err
		}
		if want := broker.RoomForEnds - broker.Room((n+1)/4); s.Room() != want {
			return fmt.Errorf("%d measurements after the failure: room %d, want %d", n+1, s.Room(), want)
		}
	}
	return put(40_000, 64<<10)
}

// TestLowDisk (trap F11): a file that may not grow any more.
func TestLowDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	if err := child("low", path).Run(); err != nil {
		t.Errorf("child = %v, want it to find everything in order", err)
	}
	checkFile(t, path)
}

// checkFile looks at a closed file with bbolt's own eyes, and at its records:
// no number is missing, and each is what was sealed.
func checkFile(t *testing.T, path string) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	err = db.View(func(tx *bbolt.Tx) error {
		for err := range tx.Check() {
			t.Errorf("page check: %v", err)
		}
		return nil
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	s := open(t, path)
	defer s.Close()
	next := uint64(1)
	for {
		page, err := s.Records(t.Context(), store.RecordQuery{After: next - 1})
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, r := range page {
			if _, err := r.Record(); err != nil || r.Seq != next {
				t.Fatalf("record %d: sequence %d, %v", next, r.Seq, err)
			}
			next++
		}
	}
	if next == 1 {
		t.Error("there are no records: the check looked at nothing")
	}
}
