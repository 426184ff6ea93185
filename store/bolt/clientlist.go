package bolt

import (
	"bytes"
	"context"
	"errors"
	"time"

	"guestlist/broker"
	"guestlist/store"
)

// defaultLimit is what a zero Limit of a query means.
const defaultLimit = 1000

// clientEndKey orders clients by the end of their lives.
func clientEndKey(id string, end time.Time) []byte { return append(timeKey(end), id...) }

// Clients lists client rows in the order of their identifiers.
func (s *Store) Clients(ctx context.Context, q store.ClientQuery) ([]broker.Client, error) {
	limit := q.Limit
	if limit <= 0 {
		limit = defaultLimit
	}
	var list []broker.Client
	err := s.read(ctx, func(v view) error {
		bk, err := v.bucket(clientBucket)
		if err != nil {
			return err
		}
		cur := bk.Cursor()
		key, _ := cur.Seek([]byte(q.After))
		if key != nil && bytes.Equal(key, []byte(q.After)) {
			key, _ = cur.Next()
		}
		for ; key != nil && len(list) < limit; key, _ = cur.Next() {
			c, _, err := v.client(key)
			if err != nil {
				return err
			}
			list = append(list, c)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// Expired lists clients whose life is over, the earliest end first.
func (s *Store) Expired(ctx context.Context, now time.Time, max int) ([]broker.Client, error) {
	var list []broker.Client
	var bad []error
	end := timeKey(now)
	err := s.read(ctx, func(v view) error {
		bk, err := v.bucket(clientEndBucket)
		if err != nil {
			return err
		}
		cur := bk.Cursor()
		for key, value := cur.First(); len(list) < max && len(key) > timeKeyLen && bytes.Compare(key[:timeKeyLen], end) <= 0; key, value = cur.Next() {
			if _, err := unseal(clientEndBucket, key, value); err != nil {
				bad = append(bad, err)
				continue
			}
			c, ok, err := v.client(key[timeKeyLen:])
			switch {
			case err != nil:
				bad = append(bad, err)
			case !ok:
				bad = append(bad, damaged(clientEndBucket, key, "the client is missing"))
			default:
				list = append(list, c)
			}
		}
		return nil
	})
	return list, errors.Join(append(bad, err)...)
}
