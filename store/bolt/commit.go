package bolt

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"guestlist/broker"
	"guestlist/store"
)

// batchMax is how many units share one transaction at most.
const batchMax = 256

// request is one unit on its way through the committer.
type request struct {
	ops   []op
	taken atomic.Bool // by the committer, or withdrawn by its owner
	done  chan error  // one answer
}

// submit queues ops and waits for the answer. Until the committer takes them
// a canceled ctx withdraws them.
func (s *Store) submit(ctx context.Context, ops []op) error {
	r := &request{ops: ops, done: make(chan error, 1)}
	if err := s.enqueue(ctx, r); err != nil {
		return err
	}
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		if r.taken.CompareAndSwap(false, true) {
			return withdrawn(ctx)
		}
		return <-r.done
	}
}

// enqueue hands r to the committer.
func (s *Store) enqueue(ctx context.Context, r *request) error {
	s.gate.RLock()
	defer s.gate.RUnlock()
	if s.closed {
		return fmt.Errorf("%w: %s is closed", store.ErrUnavailable, s.path)
	}
	if ctx.Err() != nil {
		return withdrawn(ctx)
	}
	select {
	case s.queue <- r:
		return nil
	case <-ctx.Done():
		return withdrawn(ctx)
	}
}

func withdrawn(ctx context.Context) error {
	return fmt.Errorf("%w: commit withdrawn: %w", store.ErrUnavailable, context.Cause(ctx))
}

// commitLoop is the committer. It ends when the queue is closed and empty.
func (s *Store) commitLoop() {
	defer close(s.idle)
	s.countBallast()
	for first := range s.queue {
		if batch := s.gather(first); len(batch) > 0 {
			s.commitBatch(batch)
		}
	}
}

// gather takes what waits, up to batchMax, and leaves out what was withdrawn.
func (s *Store) gather(first *request) []*request {
	batch := make([]*request, 0, batchMax)
	// Writers that were just answered get a turn to come back first.
	runtime.Gosched()
	for r := first; r != nil; {
		if r.taken.CompareAndSwap(false, true) {
			batch = append(batch, r)
		}
		if len(batch) == batchMax {
			return batch
		}
		select {
		case r = <-s.queue: // nil when closed
		default:
			r = nil
		}
	}
	return batch
}

// errRerun says that a unit failed half-way, so that the transaction has to
// be done again without it.
var errRerun = errors.New("rerun")

// commitBatch answers every request of batch.
func (s *Store) commitBatch(batch []*request) {
	answers := make([]error, len(batch))
	began, ill := time.Now(), s.Healthy() != nil
	t, err := s.run(batch, answers)
	if noRoom(err) {
		s.fullUp()
		if s.giveWay() {
			t, err = s.run(batch, answers)
		}
	}
	s.report(t, err, answers)
	if ill && err == nil && s.room.wanted >= 0 {
		_ = s.judge() // what cannot be measured now is measured again soon
	}
	if s.told != nil {
		s.told(Committed{Units: len(batch), Took: time.Since(began), Err: err})
	}
	for i, r := range batch {
		if err != nil {
			answers[i] = err
		}
		r.done <- answers[i]
	}
}

// run runs batch in one transaction, less the requests that fail half-way.
func (s *Store) run(batch []*request, answers []error) (t *txn, err error) {
	out := make([]bool, len(batch))
	clear(answers)
	for {
		if t, err = s.attempt(batch, answers, out); !errors.Is(err, errRerun) {
			return t, err
		}
	}
}

// attempt runs one transaction over the requests that are not out.
func (s *Store) attempt(batch []*request, answers []error, out []bool) (*txn, error) {
	if s.broken != nil {
		return nil, s.broken
	}
	var t *txn
	err := guarded(s.path, func() error {
		tx, err := s.db.Begin(true)
		if err != nil {
			return fmt.Errorf("begin: %w", err)
		}
		if t, err = s.begin(tx); err == nil {
			err = t.applyAll(batch, answers, out)
		}
		if err != nil || !t.wrote {
			tx.Rollback()
			return err
		}
		return s.sync(tx)
	})
	var f *fault
	switch {
	case err == nil:
		s.tail, s.ballast = t.tail, t.ballast
		return t, nil
	case errors.Is(err, errRerun):
		return t, err
	case errors.As(err, &f):
		s.broken = fmt.Errorf("%w: commit to %s: %w; nothing is written until a restart", store.ErrUnavailable, s.path, err)
		return nil, s.broken
	}
	return nil, fmt.Errorf("%w: commit to %s: %w", store.ErrUnavailable, s.path, err)
}

// applyAll applies request after request; what one does, the next one sees.
func (t *txn) applyAll(batch []*request, answers []error, out []bool) error {
	for i, r := range batch {
		if out[i] {
			continue
		}
		if answers[i] = t.check(r.ops); answers[i] != nil {
			continue
		}
		if answers[i] = t.apply(r.ops); answers[i] != nil {
			out[i] = true
			return errRerun
		}
	}
	if !t.wrote {
		return nil
	}
	return t.finish()
}

func (t *txn) check(ops []op) error {
	for _, o := range ops {
		if o.check == nil {
			continue
		}
		if err := o.check(t); err != nil {
			return err
		}
	}
	return nil
}

func (t *txn) apply(ops []op) error {
	for _, o := range ops {
		if o.apply == nil {
			continue
		}
		if err := o.apply(t); err != nil {
			return err
		}
	}
	return nil
}

// sync commits tx durably. When the last write of a commit fails, readers may
// already see a state that no restart has to bring back; then nothing more is
// written on top of it.
func (s *Store) sync(tx *bbolt.Tx) error {
	id := tx.ID()
	err := tx.Commit()
	if err == nil {
		s.syncs.Add(1)
		return nil
	}
	seen := 0
	viewErr := s.db.View(func(tx *bbolt.Tx) error { seen = tx.ID(); return nil })
	if viewErr != nil || seen >= id {
		return &fault{path: s.path, value: fmt.Sprintf("the last page of a commit did not reach the disk: %v", err)}
	}
	return err
}

// report keeps health and wakes those who wait for records.
func (s *Store) report(t *txn, err error, answers []error) {
	for _, a := range answers {
		if err == nil && a != nil && !errors.Is(a, broker.ErrSpent) && !errors.Is(a, broker.ErrConflict) {
			err = a
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err != nil:
		s.health = err
	case t.wrote:
		s.health = nil
	}
	if t != nil && t.appended {
		close(s.changed)
		s.changed = make(chan struct{})
	}
}
