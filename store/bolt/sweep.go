package bolt

import (
	"bytes"
	"context"
	"errors"
	"time"

	"guestlist/store"
)

// sweepStep is how many rows one transaction deletes at most: a large one
// leaves many pending pages that make every later commit dearer.
const sweepStep = 200

// Kinds of rows in the expiry index.
const (
	sessionKind = 's'
	codeKind    = 'c'
	grantKind   = 'g'
	spentKind   = 'm'
	refreshKind = 'r'
	accessKind  = 'a'

	versionsKind = 'v' // all versions of one client
	seenKind     = 'f' // a mark of when a name was first seen, by the name itself
)

func expiryKey(kind byte, key []byte, until time.Time) []byte {
	return append(append(timeKey(until), kind), key...)
}

// setExpiry makes the row due at until. was is the time that the index holds
// for it now, nil for a new row.
func (t *txn) setExpiry(kind byte, key []byte, was *time.Time, until time.Time) error {
	if was != nil {
		if was.Equal(until) {
			return nil
		}
		if err := t.del(expiryBucket, expiryKey(kind, key, *was)); err != nil {
			return err
		}
	}
	return t.put(expiryBucket, expiryKey(kind, key, until), nil)
}

// Sweep deletes up to max rows that are due at now, oldest first, a few per
// transaction. Damaged rows are left where they are and reported.
func (s *Store) Sweep(ctx context.Context, now time.Time, max int) (int, error) {
	total := 0
	var after []byte
	var bad []error
	for total < max {
		step := &sweep{now: now, after: after, max: min(max-total, sweepStep)}
		if err := s.submit(ctx, []op{{apply: step.run}}); err != nil {
			return total, err
		}
		total += step.deleted
		bad = append(bad, step.bad...)
		if step.last == nil {
			break
		}
		after = step.last
	}
	return total, errors.Join(bad...)
}

// sweep is one transaction's share.
type sweep struct {
	now   time.Time
	after []byte // index key to go on behind
	max   int

	deleted int
	last    []byte // index key to go on behind; nil when nothing more is due
	bad     []error
}

// run deletes what is due. It may run again on a fresh transaction.
func (w *sweep) run(t *txn) error {
	w.deleted, w.last, w.bad = 0, nil, nil
	due, err := w.due(t)
	if err != nil {
		return err
	}
	for _, key := range due {
		if err := w.remove(t, key); err != nil {
			return err
		}
	}
	if len(due) == w.max {
		w.last = due[len(due)-1]
	}
	return nil
}

// due lists index keys whose time has come.
func (w *sweep) due(t *txn) ([][]byte, error) {
	bk, err := t.bucket(expiryBucket)
	if err != nil {
		return nil, err
	}
	var keys [][]byte
	end := timeKey(w.now)
	cur := bk.Cursor()
	key, value := cur.Seek(w.after)
	if w.after != nil && bytes.Equal(key, w.after) {
		key, value = cur.Next()
	}
	for ; len(key) > timeKeyLen && bytes.Compare(key[:timeKeyLen], end) <= 0 && len(keys) < w.max; key, value = cur.Next() {
		if _, err := unseal(expiryBucket, key, value); err != nil {
			w.bad = append(w.bad, err)
			continue
		}
		keys = append(keys, bytes.Clone(key))
	}
	return keys, nil
}

// remove deletes one row with its index entries.
func (w *sweep) remove(t *txn, index []byte) error {
	key := index[timeKeyLen+1:]
	switch index[timeKeyLen] {
	case versionsKind:
		return w.removeKept(t, index, t.sweepVersions)
	case seenKind:
		return w.removeKept(t, index, t.sweepSeen)
	}
	b, ok := map[byte]bucket{
		sessionKind: sessionBucket, codeKind: codeBucket, grantKind: grantBucket, spentKind: spentBucket,
		refreshKind: refreshBucket, accessKind: accessBucket,
	}[index[timeKeyLen]]
	if !ok {
		w.bad = append(w.bad, damaged(expiryBucket, index, "the kind of row is unknown"))
		return nil
	}
	if b == grantBucket {
		g, ok, err := load[store.Grant](t.view, b, key)
		if err != nil {
			w.bad = append(w.bad, err)
			return nil
		}
		if ok {
			if err := t.forgetGrant(g); err != nil {
				return err
			}
		}
	}
	if err := t.del(b, key); err != nil {
		return err
	}
	w.deleted++
	return t.del(expiryBucket, index)
}

// removeKept deletes what is kept of something that is gone.
func (w *sweep) removeKept(t *txn, index []byte, forget func(name string, now time.Time) (gone bool, err error)) error {
	gone, err := forget(string(index[timeKeyLen+1:]), w.now)
	if err != nil {
		w.bad = append(w.bad, err)
		return nil
	}
	if gone {
		w.deleted++
	}
	return t.del(expiryBucket, index)
}
