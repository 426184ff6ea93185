package bolt

import (
	"context"
	"math"

	"guestlist/broker/decisionlog"
	"guestlist/store"
)

// How many records, and how many summaries, one view looks at, so that a query
// over a large log never holds a reader open for long.
const (
	scanStep  = 500
	blockStep = 4000
)

// scan walks the records of one query over several views.
type scan struct {
	q     store.RecordQuery
	terms []uint32 // that a record must have
	among []choice // one of which a record must fit; none: any does
	pos   uint64   // sequence number that was looked at last
	limit int
	list  []decisionlog.Sealed
	done  bool

	skipBad bool  // pass over records that cannot be read
	byID    bool  // the same in blocks of which nothing is known: hardly any record is looked for
	bad     error // of one that was passed over
}

// choice is a store.Choice as it is stored.
type choice struct{ all, any, none []uint32 }

// newScan begins at the end that the query names.
func newScan(q store.RecordQuery) *scan {
	sc := &scan{q: q, pos: q.After, limit: q.Limit}
	if sc.limit <= 0 {
		sc.limit = defaultLimit
	}
	if sc.q.Before == 0 {
		sc.q.Before = math.MaxUint64
	}
	if q.Newest {
		sc.pos = sc.q.Before
	}
	sc.done = q.After == math.MaxUint64 // nothing is behind it, and it has no successor
	sc.terms = keysOf(q.Terms())
	for _, c := range q.Choices() {
		sc.among = append(sc.among, choice{keysOf(c.All), keysOf(c.Any), keysOf(c.None)})
	}
	return sc
}

// Records lists sealed decision records. It reads those that the summaries of
// their blocks do not rule out. What cannot be read is an error; but in a block
// without a summary it is no error to a query by an id that finds another record.
func (s *Store) Records(ctx context.Context, q store.RecordQuery) ([]decisionlog.Sealed, error) {
	sc := newScan(q)
	sc.byID = q.RequestID != "" || q.DecisionID != ""
	for !sc.done {
		if err := s.read(ctx, sc.stepBlocks); err != nil {
			return nil, err
		}
	}
	if len(sc.list) == 0 {
		return nil, sc.bad
	}
	return sc.list, nil
}

// stepBlocks looks at up to scanStep records that a summary does not rule out.
func (sc *scan) stepBlocks(v view) error {
	st, err := v.state()
	if err != nil {
		return err
	}
	looked := 0
	for range blockStep {
		from, to := sc.pos+1, st.Seq // of the next block, as far as it is in range
		if sc.q.Newest {
			from, to = 1, min(sc.pos-1, st.Seq)
		}
		from, to = max(from, sc.q.After+1), min(to, sc.q.Before-1)
		if from > to {
			sc.done = true
			return nil
		}
		if start := from - (from-1)%blockLen; sc.q.Newest {
			from = max(from, to-(to-1)%blockLen)
		} else {
			to = min(to, start+blockLen-1)
		}
		n, err := sc.block(v, from, to, scanStep-looked)
		if looked += n; err != nil || sc.done || looked >= scanStep {
			return err
		}
	}
	return nil
}

// block looks at up to most records from one sequence number to another one of
// the same block, and returns at how many.
func (sc *scan) block(v view, from, to uint64, most int) (looked int, err error) {
	among, err := sc.candidates(v, (from-1)/blockLen)
	if err != nil {
		return 0, err
	}
	seq, by := from, uint64(1)
	if sc.q.Newest {
		seq, by = to, math.MaxUint64 // one less
	}
	for ; from <= seq && seq <= to; seq += by {
		if among.has(seq) {
			if looked == most {
				return looked, nil
			}
			looked++
			err := sc.take(v, seq)
			if err != nil && (sc.skipBad || sc.byID && among == everyPosting) {
				sc.bad, err = err, nil
			}
			if err != nil || sc.done {
				return looked, err
			}
		}
		sc.pos = seq
	}
	return looked, nil
}

// candidates are the records of a block that its summary does not rule out;
// all, where it has none.
func (sc *scan) candidates(v view, block uint64) (postings, error) {
	raw, err := v.get(summaryBucket, seqKey(block))
	if err != nil {
		return postings{}, err
	}
	if raw == nil {
		return everyPosting, nil
	}
	sum, ok := readSummary(raw)
	if !ok {
		return postings{}, damaged(summaryBucket, seqKey(block), "the summary is cut short")
	}
	if !sc.q.Since.IsZero() && sc.q.Since.Unix() > sum.last || !sc.q.Until.IsZero() && sc.q.Until.Unix() < sum.first {
		return postings{}, nil
	}
	among := everyPosting
	for _, term := range sc.terms {
		among = among.and(sum.find(term))
	}
	if len(sc.among) == 0 || among == (postings{}) {
		return among, nil
	}
	var chosen postings
	for _, c := range sc.among {
		chosen = chosen.or(c.in(sum, among))
	}
	return chosen, nil
}

// in returns those of some records that a summary does not rule out for c.
func (c choice) in(sum summary, among postings) postings {
	for _, term := range c.all {
		among = among.and(sum.find(term))
	}
	if len(c.any) > 0 && among != (postings{}) {
		var any postings
		for _, term := range c.any {
			any = any.or(sum.find(term))
		}
		among = among.and(any)
	}
	for _, term := range c.none {
		if found := sum.find(term); found != everyPosting { // which may mean that it cannot tell
			among = among.less(found)
		}
	}
	return among
}

// take keeps the record when it fits.
func (sc *scan) take(v view, seq uint64) error {
	sc.pos = seq
	s, err := v.record(seq)
	var r decisionlog.Record
	if err == nil {
		r, err = factsOf(s)
	}
	if err != nil || !sc.q.Fits(r) {
		return err
	}
	sc.list = append(sc.list, s)
	sc.done = len(sc.list) == sc.limit
	return nil
}
