package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"go.etcd.io/bbolt"

	"guestlist/broker/decisionlog"
	"guestlist/store"
)

// scanStep is how many records one view looks at, so that a query over a
// large log never holds a reader open for long.
const scanStep = 500

func seqKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

// appendRecord seals r, stores it and its index entries.
func (t *txn) appendRecord(r decisionlog.Record) error {
	seq := t.st.Seq + 1
	sealed, err := decisionlog.Seal(seq, r)
	if err != nil {
		return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	packed, err := t.pack.pack(sealed)
	if err != nil {
		return fmt.Errorf("%w: compress a record: %w", store.ErrUnavailable, err)
	}
	if err := t.put(recordBucket, seqKey(seq), packed); err != nil {
		return err
	}
	for _, entry := range []struct {
		bucket bucket
		value  string
	}{
		{byRequestBucket, r.RequestID}, {byRequestBucket, r.LastRequestID}, {byDecisionBucket, r.DecisionID},
		{byClientBucket, r.ClientID}, {byGrantBucket, r.GrantID},
	} {
		if err := t.indexRecord(entry.bucket, entry.value, seq); err != nil {
			return err
		}
	}
	t.countHits(r)
	t.st.Seq, t.appended = seq, true
	return nil
}

// indexRecord enters a record under a value; an empty one is not entered.
func (t *txn) indexRecord(b bucket, value string, seq uint64) error {
	if value == "" {
		return nil
	}
	return t.put(b, append(lengthPrefixed(value), seqKey(seq)...))
}

// record returns a copy of one sealed record.
func (v view) record(seq uint64) (decisionlog.Sealed, error) {
	key := seqKey(seq)
	raw, err := v.get(recordBucket, key)
	if err != nil {
		return decisionlog.Sealed{}, err
	}
	header, salt, body, err := v.unpack.unpack(raw)
	if err != nil {
		return decisionlog.Sealed{}, damaged(recordBucket, key, err.Error())
	}
	s := decisionlog.Sealed{Seq: seq, Header: bytes.Clone(header)}
	if len(body) > 0 {
		s.Salt, s.Body = bytes.Clone(salt), bytes.Clone(body)
	}
	return s, nil
}

// scan walks the records of one query over several views.
type scan struct {
	q      store.RecordQuery
	bucket bucket // index, or the records themselves
	prefix []byte // in front of the sequence number
	pos    uint64 // last sequence number looked at
	limit  int
	list   []decisionlog.Sealed
	done   bool
}

// Records lists sealed decision records. It uses an index when the query
// names a decision, request, grant or client.
func (s *Store) Records(ctx context.Context, q store.RecordQuery) ([]decisionlog.Sealed, error) {
	sc := &scan{q: q, bucket: recordBucket, pos: q.After, limit: q.Limit}
	if sc.limit <= 0 {
		sc.limit = defaultLimit
	}
	if q.Newest {
		sc.pos = math.MaxUint64
	}
	for _, index := range []struct {
		bucket bucket
		value  string
	}{
		{byDecisionBucket, q.DecisionID}, {byRequestBucket, q.RequestID}, {byGrantBucket, q.GrantID}, {byClientBucket, q.ClientID},
	} {
		if index.value != "" {
			sc.bucket, sc.prefix = index.bucket, lengthPrefixed(index.value)
			break
		}
	}
	for !sc.done {
		if err := s.read(ctx, sc.step); err != nil {
			return nil, err
		}
	}
	return sc.list, nil
}

// step looks at up to scanStep records.
func (sc *scan) step(v view) error {
	bk, err := v.bucket(sc.bucket)
	if err != nil {
		return err
	}
	cur := bk.Cursor()
	key, value := sc.first(cur)
	for range scanStep {
		if len(key) != len(sc.prefix)+8 || !bytes.HasPrefix(key, sc.prefix) {
			sc.done = true
			return nil
		}
		seq := binary.BigEndian.Uint64(key[len(sc.prefix):])
		if seq <= sc.q.After {
			sc.done = true
			return nil
		}
		if _, err := unseal(sc.bucket, key, value); err != nil {
			return err
		}
		if err := sc.take(v, seq); err != nil || sc.done {
			return err
		}
		sc.pos = seq
		if sc.q.Newest {
			key, value = cur.Prev()
		} else {
			key, value = cur.Next()
		}
	}
	return nil
}

// first moves to the record next to pos.
func (sc *scan) first(cur *bbolt.Cursor) (key, value []byte) {
	at := append(bytes.Clone(sc.prefix), seqKey(sc.pos)...)
	key, value = cur.Seek(at)
	switch {
	case sc.q.Newest && key == nil:
		return cur.Last()
	case sc.q.Newest:
		return cur.Prev()
	case bytes.Equal(key, at):
		return cur.Next()
	}
	return key, value
}

// take keeps the record when it fits.
func (sc *scan) take(v view, seq uint64) error {
	s, err := v.record(seq)
	if err != nil {
		return err
	}
	ok, err := fits(sc.q, s)
	if err != nil || !ok {
		return err
	}
	sc.list = append(sc.list, s)
	sc.done = len(sc.list) == sc.limit
	return nil
}

// header is the part of a record's header that queries look at.
type header struct {
	Timestamp     time.Time `json:"timestamp"`
	RequestID     string    `json:"request_id"`
	LastRequestID string    `json:"last_request_id"`
	DecisionID    string    `json:"decision_id"`
	ClientID      string    `json:"client_id"`
	GrantID       string    `json:"grant_id"`
	Event         string    `json:"event"`
	Outcome       string    `json:"outcome"`
	Reason        string    `json:"reason"`
}

func headerOf(s decisionlog.Sealed) (h header, err error) {
	if err := json.Unmarshal(s.Header, &h); err != nil {
		return h, damaged(recordBucket, seqKey(s.Seq), err.Error())
	}
	return h, nil
}

// fits reports whether every set member of q fits the header of s.
func fits(q store.RecordQuery, s decisionlog.Sealed) (bool, error) {
	h, err := headerOf(s)
	if err != nil {
		return false, err
	}
	if q.RequestID != "" && q.RequestID != h.RequestID && q.RequestID != h.LastRequestID {
		return false, nil
	}
	for _, m := range [][2]string{
		{q.DecisionID, h.DecisionID}, {q.ClientID, h.ClientID}, {q.GrantID, h.GrantID},
		{q.Event, h.Event}, {q.Outcome, h.Outcome}, {q.Reason, h.Reason},
	} {
		if m[0] != "" && m[0] != m[1] {
			return false, nil
		}
	}
	after := q.Since.IsZero() || !h.Timestamp.Before(q.Since)
	before := q.Until.IsZero() || h.Timestamp.Before(q.Until)
	return after && before, nil
}
