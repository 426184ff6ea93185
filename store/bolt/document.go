package bolt

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"
)

// keep is hold for a document. One that only records refer to passes to the
// row.
func (t *txn) keep(sum, body []byte) error {
	if len(sum) > 0 {
		left, err := t.get(leftBucket, sum)
		if err != nil || left != nil {
			return errors.Join(err, t.del(leftBucket, sum))
		}
	}
	return t.hold(bodyBucket, sum, body)
}

// letGo is release for a document: when the last row goes, the bytes stay for
// the records that may refer to them.
func (t *txn) letGo(sum []byte) error {
	if len(sum) == 0 {
		return nil
	}
	refs, _, err := t.held(bodyBucket, sum)
	if err != nil || refs != 1 {
		return errors.Join(err, t.release(bodyBucket, sum))
	}
	return t.put(leftBucket, sum, timeKey(t.newest()))
}

// newest is the time of the newest record; a log without one has none that
// refers to anything.
func (t *txn) newest() (at time.Time) {
	if s, err := t.record(t.st.Seq); err == nil {
		if r, err := factsOf(s); err == nil {
			at = r.Timestamp
		}
	}
	return at
}

// Document returns the bytes of a document.
func (s *Store) Document(ctx context.Context, sum string) (body []byte, ok bool, err error) {
	key, err := hex.DecodeString(sum)
	if err != nil || len(key) != sha256.Size {
		return nil, false, nil
	}
	err = s.read(ctx, func(v view) error {
		refs, raw, err := v.held(bodyBucket, key)
		body, ok = bytes.Clone(raw), refs > 0
		return err
	})
	return body, ok && err == nil, err
}

// sweepDocuments deletes the documents that only records from before limit may
// refer to, sweepStep of them in one transaction.
func (s *Store) sweepDocuments(ctx context.Context, limit time.Time) (int, error) {
	var due [][]byte
	err := s.read(ctx, func(v view) error {
		due = nil
		bk, err := v.bucket(leftBucket)
		if err != nil {
			return err
		}
		return bk.ForEach(func(sum, _ []byte) error {
			left, err := v.get(leftBucket, sum)
			if err == nil && bytes.Compare(left, timeKey(limit)) <= 0 {
				due = append(due, bytes.Clone(sum))
			}
			return err
		})
	})
	gone := 0
	for len(due) > 0 && err == nil {
		step := due[:min(len(due), sweepStep)]
		due = due[len(step):]
		n := 0
		err = s.submit(ctx, []op{{apply: func(t *txn) (err error) {
			n, err = t.dropDocuments(step)
			return err
		}}})
		gone += n
	}
	return gone, err
}

// dropDocuments deletes documents that only records refer to; those that a row
// has again stay.
func (t *txn) dropDocuments(sums [][]byte) (gone int, err error) {
	for _, sum := range sums {
		left, err := t.get(leftBucket, sum)
		if err != nil {
			return gone, err
		}
		if left == nil {
			continue
		}
		if err := errors.Join(t.release(bodyBucket, sum), t.del(leftBucket, sum)); err != nil {
			return gone, err
		}
		gone++
	}
	return gone, nil
}
