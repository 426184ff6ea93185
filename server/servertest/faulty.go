package servertest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/store"
)

// Fault is a way in which an operation of a store fails.
type Fault string

const (
	// FaultRefused fails before anything took effect, with store.ErrUnavailable.
	FaultRefused Fault = "refused"
	// FaultDown fails a write like FaultRefused, and everything after it, reads
	// included, until Heal.
	FaultDown Fault = "down"
	// FaultUnheard has a write take effect and tells the caller that it failed
	// with store.ErrUnavailable.
	FaultUnheard Fault = "unheard"
	// FaultConflict loses a unit to somebody who was first: broker.ErrConflict.
	FaultConflict Fault = "conflict"
	// FaultSpent loses a unit that spends something: broker.ErrSpent.
	FaultSpent Fault = "spent"
)

// Faults are all of them; what may leave a record twice comes last.
func Faults() []Fault {
	return []Fault{FaultRefused, FaultDown, FaultConflict, FaultSpent, FaultUnheard}
}

// Faulty is a store that fails at the operation it was armed for. It counts
// every call of store.Store and store.Unit that can fail. Wrap with it by
// Options.Wrap; Healed it is the store that it wraps.
type Faulty struct {
	store.Store

	mu     sync.Mutex
	kind   Fault
	left   int    // operations until the fault; zero: disarmed
	struck string // what failed first
	health error
}

// Arm has the nth operation from now on fail, counted from 1, of those that
// can fail in that way.
func (f *Faulty) Arm(kind Fault, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kind, f.left, f.struck = kind, n, ""
}

// Heal ends all trouble and returns the operation that failed first, empty
// where none did.
func (f *Faulty) Heal() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left = 0
	return f.struck
}

// strikes counts an operation, and reports whether it is to fail.
func (f *Faulty) strikes(op string, can bool) (Fault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	down := f.kind == FaultDown && f.struck != ""
	if f.left == 0 || !can && !down {
		return "", false
	}
	if f.left--; f.left > 0 {
		return "", false
	}
	if f.struck == "" {
		f.struck = op
	}
	if f.kind == FaultDown {
		f.left = 1
	}
	return f.kind, true
}

// armed is the kind that Arm was told.
func (f *Faulty) armed() Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.kind
}

// unavailable is the error of a store in trouble.
func unavailable(op string) error {
	return fmt.Errorf("%w: %s: disk trouble", store.ErrUnavailable, op)
}

// reads reports the failure of a read, which only a refusal can be.
func (f *Faulty) reads(op string) error {
	if _, struck := f.strikes(op, f.armed() == FaultRefused); struck {
		return unavailable(op)
	}
	return nil
}

// writes makes a write that may fail.
func (f *Faulty) writes(op string, unit, spends bool, write func() error) error {
	armed := f.armed()
	kind, struck := f.strikes(op, (unit || armed != FaultConflict) && (spends || armed != FaultSpent))
	var err error
	switch {
	case !struck:
		err = write()
	case kind == FaultConflict:
		return fmt.Errorf("%w: %s", broker.ErrConflict, op)
	case kind == FaultSpent:
		return fmt.Errorf("%w: %s", broker.ErrSpent, op)
	case kind == FaultUnheard:
		if err = write(); err == nil {
			err = unavailable(op)
		}
	default:
		err = unavailable(op)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if struck {
		f.health = err
	} else if err == nil {
		f.health = nil
	}
	return err
}

// read is a read of one value.
func read[T any](f *Faulty, op string, fn func() (T, error)) (v T, err error) {
	if err := f.reads(op); err != nil {
		return v, err
	}
	return fn()
}

// find is a read of a row that may be absent.
func find[T any](f *Faulty, op string, fn func() (T, bool, error)) (v T, found bool, err error) {
	if err := f.reads(op); err != nil {
		return v, false, err
	}
	return fn()
}

// Begin implements store.Store.
func (f *Faulty) Begin() store.Unit { return &faultyUnit{Unit: f.Store.Begin(), f: f} }

// Commit implements store.Store. A unit with preconditions alone counts too.
func (f *Faulty) Commit(ctx context.Context, u store.Unit) error {
	w := u.(*faultyUnit)
	return f.writes("Commit", true, w.spends, func() error { return f.Store.Commit(ctx, w.Unit) })
}

// Clients implements store.Store.
func (f *Faulty) Clients(ctx context.Context, q store.ClientQuery) ([]broker.Client, error) {
	return read(f, "Clients", func() ([]broker.Client, error) { return f.Store.Clients(ctx, q) })
}

// Expired implements store.Store.
func (f *Faulty) Expired(ctx context.Context, now time.Time, max int) ([]broker.Client, error) {
	return read(f, "Expired", func() ([]broker.Client, error) { return f.Store.Expired(ctx, now, max) })
}

// Records implements store.Store.
func (f *Faulty) Records(ctx context.Context, q store.RecordQuery) ([]decisionlog.Sealed, error) {
	return read(f, "Records", func() ([]decisionlog.Sealed, error) { return f.Store.Records(ctx, q) })
}

// LiveGrants implements store.Store.
func (f *Faulty) LiveGrants(ctx context.Context, clientID string, incarnation uint64) (int, error) {
	return read(f, "LiveGrants", func() (int, error) { return f.Store.LiveGrants(ctx, clientID, incarnation) })
}

// Blocks implements store.Store.
func (f *Faulty) Blocks(ctx context.Context) ([]broker.Block, error) {
	return read(f, "Blocks", func() ([]broker.Block, error) { return f.Store.Blocks(ctx) })
}

// Pins implements store.Store.
func (f *Faulty) Pins(ctx context.Context) ([]broker.Pin, error) {
	return read(f, "Pins", func() ([]broker.Pin, error) { return f.Store.Pins(ctx) })
}

// Versions implements store.Store.
func (f *Faulty) Versions(ctx context.Context, clientID string) ([]broker.Version, error) {
	return read(f, "Versions", func() ([]broker.Version, error) { return f.Store.Versions(ctx, clientID) })
}

// Grants implements store.Store.
func (f *Faulty) Grants(ctx context.Context, q store.GrantQuery) ([]store.Grant, error) {
	return read(f, "Grants", func() ([]store.Grant, error) { return f.Store.Grants(ctx, q) })
}

// Offline implements store.Store.
func (f *Faulty) Offline(ctx context.Context, now time.Time) (map[string]bool, error) {
	return read(f, "Offline", func() (map[string]bool, error) { return f.Store.Offline(ctx, now) })
}

// Bundle implements store.Store.
func (f *Faulty) Bundle(ctx context.Context, revision string) (broker.Bundle, bool, error) {
	return find(f, "Bundle", func() (broker.Bundle, bool, error) { return f.Store.Bundle(ctx, revision) })
}

// Document implements store.Store.
func (f *Faulty) Document(ctx context.Context, sha256 string) ([]byte, bool, error) {
	return find(f, "Document", func() ([]byte, bool, error) { return f.Store.Document(ctx, sha256) })
}

// SweepMaterial implements store.Store.
func (f *Faulty) SweepMaterial(ctx context.Context, oldest time.Time) (n int, err error) {
	err = f.writes("SweepMaterial", false, false, func() error { n, err = f.Store.SweepMaterial(ctx, oldest); return err })
	return n, err
}

// Overdue implements store.Store.
func (f *Faulty) Overdue(ctx context.Context, q store.Retain) (store.Overdue, error) {
	return read(f, "Overdue", func() (store.Overdue, error) { return f.Store.Overdue(ctx, q) })
}

// OldestInput implements store.Store.
func (f *Faulty) OldestInput(ctx context.Context, after uint64) (store.Oldest, error) {
	return read(f, "OldestInput", func() (store.Oldest, error) { return f.Store.OldestInput(ctx, after) })
}

// Holds implements store.Store.
func (f *Faulty) Holds(ctx context.Context) (holds []store.Hold, number uint64, err error) {
	if err := f.reads("Holds"); err != nil {
		return nil, 0, err
	}
	return f.Store.Holds(ctx)
}

// Hits implements store.Store.
func (f *Faulty) Hits(ctx context.Context) (map[string]store.Hits, error) {
	return read(f, "Hits", func() (map[string]store.Hits, error) { return f.Store.Hits(ctx) })
}

// Sweep implements store.Store.
func (f *Faulty) Sweep(ctx context.Context, now time.Time, max int) (n int, err error) {
	err = f.writes("Sweep", false, false, func() error { n, err = f.Store.Sweep(ctx, now, max); return err })
	return n, err
}

// Healthy implements store.Store.
func (f *Faulty) Healthy() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.health
}

// Probe implements store.Store.
func (f *Faulty) Probe(ctx context.Context) error {
	return f.writes("Probe", false, false, func() error { return f.Store.Probe(ctx) })
}
