package bolt

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"guestlist/broker/decisionlog"
	"guestlist/store"
)

// EraseBodies stages the end of the bodies of records.
func (u *unit) EraseBodies(seqs []uint64) {
	seqs = slices.Clone(seqs)
	u.stage(nil, func(t *txn) error {
		for _, seq := range seqs {
			if err := t.eraseBody(seq); err != nil {
				return err
			}
		}
		return nil
	})
}

// eraseBody stores a record once more, without salt and body.
func (t *txn) eraseBody(seq uint64) error {
	s, err := t.record(seq)
	if err != nil || s.Body == nil {
		return nil // reported by who reads it
	}
	packed, err := t.pack.pack(decisionlog.Sealed{Seq: seq, Header: s.Header})
	if err != nil {
		return err
	}
	return t.put(recordBucket, seqKey(seq), packed)
}

// walk looks for bodies that are past their age.
type walk struct {
	q     store.Retain
	holds []store.Hold
	out   store.Overdue
	bad   []error

	left  int    // records to look at yet
	ahead uint64 // a record of a later time than now: what follows it is to be looked for
	upTo  uint64 // records before this one are past their age whatever their times are
	done  bool
}

// walkSteps is how many views one call of Overdue or OldestInput takes at
// most, each of scanStep records.
const walkSteps = 8

// Overdue finds bodies that are past their age. It goes through the records in
// their order, and so stops at the first one that is not.
func (s *Store) Overdue(ctx context.Context, q store.Retain) (store.Overdue, error) {
	if q.Max <= 0 {
		q.Max = sweepStep
	}
	w := &walk{q: q, out: store.Overdue{Place: q.After}}
	var err error
	if w.holds, w.out.Holds, err = s.Holds(ctx); err != nil {
		return w.out, err
	}
	for range walkSteps {
		if err := s.read(ctx, w.step); err != nil {
			return w.out, errors.Join(append(w.bad, err)...)
		}
		if w.ahead != 0 {
			if err := w.behind(ctx, s); err != nil {
				return w.out, errors.Join(append(w.bad, err)...)
			}
		}
		if w.done {
			return w.out, errors.Join(w.bad...)
		}
	}
	w.out.More = true
	return w.out, errors.Join(w.bad...)
}

// step looks at up to scanStep records.
func (w *walk) step(v view) error {
	st, err := v.state()
	if err != nil {
		return err
	}
	for range scanStep {
		seq := w.out.Place + 1
		if w.done = seq > st.Seq; w.done {
			return nil
		}
		sealed, err := v.record(seq)
		var r decisionlog.Record
		if err == nil {
			r, err = factsOf(sealed)
		}
		if err != nil {
			w.bad, w.out.Place = append(w.bad, err), seq
			continue
		}
		if seq >= w.upTo {
			switch {
			case r.Timestamp.After(w.q.Now):
				w.ahead = seq
				return nil
			case !r.Timestamp.Before(w.q.Before):
				w.done = true
				return nil
			}
		}
		if w.takes(sealed, r) {
			if len(w.out.Seqs) == w.q.Max {
				w.out.More, w.done = true, true
				return nil
			}
			w.out.Seqs = append(w.out.Seqs, seq)
		}
		w.out.Place = seq
	}
	return nil
}

// emptyBody is the body of a record that has no personal member.
const emptyBody = "{}"

// takes reports whether a record that is past its age loses its body.
func (w *walk) takes(s decisionlog.Sealed, r decisionlog.Record) bool {
	return s.Body != nil && string(s.Body) != emptyBody && r.Event != decisionlog.EventLogErased && decisionlog.ClassOf(r) == w.q.Class &&
		!slices.ContainsFunc(w.holds, func(h store.Hold) bool { return h.Filter.Fits(r) })
}

// behind looks for the first record behind one that is ahead of now, which is
// as old as that one at least.
func (w *walk) behind(ctx context.Context, s *Store) error {
	sc := newScan(store.RecordQuery{After: w.ahead, Until: w.q.Now.Add(1), Limit: 1})
	sc.skipBad = true // reported when the walk comes to it
	for !sc.done {
		if err := s.read(ctx, sc.stepBlocks); err != nil {
			return err
		}
	}
	if w.ahead, w.done = 0, true; len(sc.list) == 0 {
		return nil
	}
	r, err := factsOf(sc.list[0])
	if err == nil && r.Timestamp.Before(w.q.Before) {
		w.upTo, w.done = sc.list[0].Seq, false
	}
	return err
}

// OldestInput finds the first record whose input is kept.
func (s *Store) OldestInput(ctx context.Context, after uint64) (store.Oldest, error) {
	out := store.Oldest{Place: after, More: true}
	for range walkSteps {
		err := s.read(ctx, func(v view) (err error) {
			out, err = v.oldestInput(out.Place)
			return err
		})
		if err != nil || !out.More {
			return out, err
		}
	}
	return out, nil
}

// oldestInput looks at up to scanStep records.
func (v view) oldestInput(place uint64) (store.Oldest, error) {
	out := store.Oldest{Place: place}
	st, err := v.state()
	if err != nil {
		return out, err
	}
	for range scanStep {
		if out.Place >= st.Seq {
			return out, nil
		}
		s, err := v.record(out.Place + 1)
		if at, ok := inputOf(s); err == nil && ok {
			out.At = at
			return out, nil
		}
		out.Place++
	}
	out.More = true
	return out, nil
}

// inputOf returns the time of a record that has an input.
func inputOf(s decisionlog.Sealed) (at time.Time, ok bool) {
	var body struct {
		Input json.RawMessage `json:"input"`
	}
	if len(s.Body) <= len(emptyBody) || json.Unmarshal(s.Body, &body) != nil || len(body.Input) == 0 {
		return at, false
	}
	r, err := factsOf(s)
	return r.Timestamp, err == nil
}
