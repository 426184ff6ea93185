package bolt

import (
	"context"
	"encoding/binary"
	"fmt"

	"go.etcd.io/bbolt"

	"guestlist/broker/decisionlog"
	"guestlist/store"
)

// tail is what the summary of the last block, which is not full yet, will say.
// It is kept in memory only: queries read the few records themselves.
type tail struct {
	known   bool // entries are those of the records that are there
	spoilt  bool // one of them cannot be read: the block stays without a summary
	entries []entry
}

func entryOf(r decisionlog.Record) entry {
	return entry{at: r.Timestamp.Unix(), terms: keysOf(store.TermsOf(r))}
}

// summarise notes a new record, and writes the summary of a block that is full.
func (t *txn) summarise(seq uint64, r decisionlog.Record) error {
	if !t.tail.known {
		t.tail = t.block((seq-1)/blockLen, seq-1)
	}
	t.tail.entries = append(t.tail.entries, entryOf(r))
	if seq%blockLen != 0 {
		return nil
	}
	full := t.tail
	t.tail = tail{known: true}
	return t.putSummary((seq-1)/blockLen, full)
}

// putSummary writes the summary of a full block. One with a record that cannot
// be read gets none, and is read record by record.
func (t *txn) putSummary(block uint64, full tail) error {
	if full.spoilt {
		return nil
	}
	return t.put(summaryBucket, seqKey(block), writeSummary(full.entries))
}

// block reads the records of a block, up to and with the last one.
func (v view) block(block, last uint64) tail {
	out := tail{known: true}
	for seq := block*blockLen + 1; seq <= last; seq++ {
		s, err := v.record(seq)
		var r decisionlog.Record
		if err == nil {
			r, err = factsOf(s)
		}
		out.spoilt = out.spoilt || err != nil
		out.entries = append(out.entries, entryOf(r))
	}
	return out
}

// buildStep is how many blocks one transaction summarises.
const buildStep = 64

// summariseAll writes the summaries that a file of an earlier program lacks, in
// steps: what a crash interrupts goes on when the file is opened again. It
// tells after each step how many records of how many are done.
func (s *Store) summariseAll(told func(done, all uint64)) error {
	next, all, err := s.unsummarised()
	for err == nil && next < all {
		end := min(next+buildStep, all)
		err = guarded(s.path, func() error {
			return s.db.Update(func(tx *bbolt.Tx) error {
				t := &txn{view: viewOf(tx)}
				for b := next; b < end; b++ {
					if err := t.putSummary(b, t.block(b, (b+1)*blockLen)); err != nil {
						return err
					}
				}
				return nil
			})
		})
		if next = end; err == nil && told != nil {
			told(end*blockLen, all*blockLen)
		}
	}
	if err != nil {
		return fmt.Errorf("summarise the records of %s: %w", s.path, err)
	}
	return nil
}

// unsummarised returns the first full block behind all that have a summary,
// and how many full blocks there are.
func (s *Store) unsummarised() (next, all uint64, err error) {
	err = s.read(context.Background(), func(v view) error {
		st, err := v.state()
		if err != nil {
			return err
		}
		bk, err := v.bucket(summaryBucket)
		if err != nil {
			return err
		}
		if key, _ := bk.Cursor().Last(); len(key) == 8 {
			next = binary.BigEndian.Uint64(key) + 1
		}
		all = st.Seq / blockLen
		return nil
	})
	return next, all, err
}
