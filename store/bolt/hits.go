package bolt

import (
	"context"
	"encoding/json"

	"guestlist/broker/decisionlog"
	"guestlist/store"
)

// countHits notes what a record of this transaction adds.
func (t *txn) countHits(r decisionlog.Record) {
	for name, h := range store.HitsOf(r) {
		if t.hits == nil {
			t.hits = map[string]store.Hits{}
		}
		sum := t.hits[name]
		sum.Add(h)
		t.hits[name] = sum
	}
}

// saveHits adds what was noted to the stored counts, once a transaction.
func (t *txn) saveHits() error {
	var all map[string]store.Hits // read once, for the first name that is new
	for name, more := range t.hits {
		key := []byte(name)
		h, ok, err := load[store.Hits](t.view, hitsBucket, key)
		if err == nil && !ok && all == nil {
			all, err = t.allHits()
		}
		if err == nil && !ok {
			err = t.roomForHits(all)
		}
		if err != nil {
			return err
		}
		h.Add(more)
		if all != nil {
			all[name] = h
		}
		if err := t.save(hitsBucket, key, h); err != nil {
			return err
		}
	}
	t.hits = nil
	return nil
}

// roomForHits forgets the policy that was hit least recently where one more
// would be too many.
func (t *txn) roomForHits(all map[string]store.Hits) error {
	if len(all) < store.MaxHits {
		return nil
	}
	oldest := ""
	for name, h := range all {
		if oldest == "" || h.LastAt.Before(all[oldest].LastAt) {
			oldest = name
		}
	}
	delete(all, oldest)
	return t.del(hitsBucket, []byte(oldest))
}

func (v view) allHits() (map[string]store.Hits, error) {
	bk, err := v.bucket(hitsBucket)
	if err != nil {
		return nil, err
	}
	out := map[string]store.Hits{}
	return out, bk.ForEach(func(key, _ []byte) (err error) {
		out[string(key)], _, err = load[store.Hits](v, hitsBucket, key)
		return err
	})
}

// Hits returns how often each policy took part in decisions.
func (s *Store) Hits(ctx context.Context) (hits map[string]store.Hits, err error) {
	err = s.read(ctx, func(v view) (err error) {
		hits, err = v.allHits()
		return err
	})
	return hits, err
}

// countAgain counts a record that an earlier program stored.
func (t *txn) countAgain(s decisionlog.Sealed) error {
	var r decisionlog.Record
	if err := json.Unmarshal(s.Header, &r); err != nil {
		return damaged(recordBucket, seqKey(s.Seq), err.Error())
	}
	t.countHits(r)
	return nil
}
