package bolt

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/store"
)

// Config says which file to open, and how.
type Config struct {
	// Path of the file; required. A new file is made with mode 0600 in a
	// directory that exists.
	Path string
	// Timeout is how long to wait while another process holds the file.
	// Zero means one second.
	Timeout time.Duration
	// InitialMmapSize is how many bytes of address space are mapped at
	// start, so that growth below it never waits for readers. Zero means
	// 64 MiB. It takes neither memory nor disk.
	InitialMmapSize int
	// Now stamps the creation of a new file and nothing else. Nil means
	// time.Now.
	Now func() time.Time
	// Compacted is told when Open compacted the file, or tried to. Nil means
	// that nobody is told.
	Compacted func(Compaction)
	// Summarised is told how many records of how many are summarised, while
	// Open does that for a file of an earlier program, which may take a minute
	// for a million. Nil means that nobody is told.
	Summarised func(done, all uint64)
	// Committed is told of every transaction by the committer, which waits for
	// it: it must be quick and must not call the Store. Nil means that nobody is
	// told.
	Committed func(Committed)
	// Mask is given every decision record when it is staged, and returns what is
	// written instead: the same record less what nobody may read. It must not
	// change what the record points to, and must not call the Store. Nil means
	// that records are written as they are.
	Mask func(decisionlog.Record) decisionlog.Record
	// Reserve is how many bytes must be free for everything to be done: with
	// less, things are given up as broker.Room has them. Zero means 256 MiB, or
	// a twentieth of the file system where that is less; negative: nothing is
	// ever given up. Nothing is measured but by Measure.
	Reserve int64
	// Disk says how many bytes of the file system are free for the store and
	// how many it has; no size: not known. Nil means that the system is asked.
	Disk func() (free, size int64, err error)
	// RoomChanged is told by the committer when there is room for more or less
	// than before, as Committed is. Nil means that nobody is told.
	RoomChanged func(RoomChange)
}

// Committed is one transaction that was made durable, or was not.
type Committed struct {
	Units int           // that shared it, probes and those whose precondition was lost included
	Took  time.Duration // of the machine, whatever Config.Now says
	Err   error         // why none of them took effect
}

// Store keeps the contract of package store in one file.
type Store struct {
	path string
	db   *bbolt.DB
	file *os.File // the open file of db

	gate   sync.RWMutex // held for reading while a request is queued
	closed bool
	queue  chan *request
	idle   chan struct{} // closed when the committer has ended

	mu      sync.Mutex
	health  error
	changed chan struct{}

	told func(Committed)
	mask func(decisionlog.Record) decisionlog.Record // nil: none
	room room

	broken  error              // written by the committer: no further commit is possible
	seal    decisionlog.Sealer // the committer's
	pack    packer             // the committer's
	tail    tail               // the committer's
	ballast int64              // bytes that are put aside; the committer's
	decoded decoded

	commits atomic.Uint64
	syncs   atomic.Uint64
}

// Begin starts a unit of work. A unit is for one goroutine.
func (s *Store) Begin() store.Unit { return &unit{s: s} }

// Commit applies u, alone or together with other units, in one synced
// transaction. See the contract in package store.
func (s *Store) Commit(ctx context.Context, u store.Unit) error {
	w, ok := u.(*unit)
	if !ok || w.s != s {
		return fmt.Errorf("%w: commit: the unit was begun by another store", store.ErrUnavailable)
	}
	if w.used.Swap(true) {
		return fmt.Errorf("%w: commit: the unit was committed before", store.ErrUnavailable)
	}
	if w.err != nil {
		return w.err
	}
	if err := s.submit(ctx, w.ops); err != nil {
		return err
	}
	if !w.Empty() {
		s.commits.Add(1)
	}
	return nil
}

// Commits says how many units with writes were committed since Open. Probes
// and sweeps do not count.
func (s *Store) Commits() uint64 { return s.commits.Load() }

// Syncs says how many transactions were made durable since Open; units that
// were committed together share one.
func (s *Store) Syncs() uint64 { return s.syncs.Load() }

// Changed returns a channel that is closed after the next commit that
// appends a record.
func (s *Store) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// Healthy returns nil when the last commit took effect, else why not. A unit
// that lost a precondition says nothing about health.
func (s *Store) Healthy() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.health
}

// Probe commits a mark to find out whether writing works.
func (s *Store) Probe(ctx context.Context) error {
	return s.submit(ctx, []op{{apply: func(t *txn) error {
		return t.save(metaBucket, []byte("probe"), struct{}{})
	}}})
}

// Close waits for commits under way, then releases the file. Closing twice
// does nothing.
func (s *Store) Close() error {
	s.gate.Lock()
	if s.closed {
		s.gate.Unlock()
		return nil
	}
	s.closed = true
	close(s.queue)
	s.gate.Unlock()
	<-s.idle
	release := s.db.Close
	if s.broken != nil {
		// bbolt may hold its writer lock for ever.
		release = func() error { return abandon(s.file) }
	}
	if err := release(); err != nil {
		return fmt.Errorf("%w: close %s: %w", store.ErrUnavailable, s.path, err)
	}
	return nil
}

// read runs fn in a short view.
func (s *Store) read(ctx context.Context, fn func(view) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: read %s: %w", store.ErrUnavailable, s.path, err)
	}
	var inner error
	err := guarded(s.path, func() error {
		return s.db.View(func(tx *bbolt.Tx) error {
			inner = fn(viewOf(tx))
			return nil
		})
	})
	switch {
	case inner != nil:
		return inner
	case err != nil:
		return fmt.Errorf("%w: read %s: %w", store.ErrUnavailable, s.path, err)
	}
	return nil
}

// guarded runs fn and turns a panic, a memory fault included, into a *fault.
func guarded(path string, fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = &fault{path: path, value: p}
		}
	}()
	return fn()
}

// fault is a panic while bbolt was at work, as damaged pages cause it.
type fault struct {
	path  string
	value any
}

// Error implements error.
func (f *fault) Error() string {
	return fmt.Sprintf("%s is damaged, restore a backup: %.200s", f.path, fmt.Sprint(f.value))
}

// lost is the error of a precondition that no longer holds.
func lost(sentinel error, format string, args ...any) error {
	return fmt.Errorf("%w: %s", sentinel, fmt.Sprintf(format, args...))
}

// conflict is lost with broker.ErrConflict.
func conflict(format string, args ...any) error { return lost(broker.ErrConflict, format, args...) }
