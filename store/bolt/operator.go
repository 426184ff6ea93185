package bolt

import (
	"bytes"
	"context"

	"guestlist/broker"
)

// blockKey is kind and value, each able to hold any byte.
func blockKey(kind broker.BlockKind, value string) []byte {
	return append(lengthPrefixed(string(kind)), value...)
}

// Blocked returns the block of that kind and value.
func (u *unit) Blocked(ctx context.Context, kind broker.BlockKind, value string) (broker.Block, bool, error) {
	return fetch[broker.Block](ctx, u.s, blockBucket, blockKey(kind, value))
}

// PutBlock stages a block and a new epoch.
func (u *unit) PutBlock(b broker.Block) { u.putRaised(blockBucket, blockKey(b.Kind, b.Value), b) }

// DropBlock stages the end of a block and a new epoch.
func (u *unit) DropBlock(kind broker.BlockKind, value string) {
	u.dropRaised(blockBucket, blockKey(kind, value))
}

// Pin returns the pinned document of a client.
func (u *unit) Pin(ctx context.Context, id string) (broker.Pin, bool, error) {
	return fetch[broker.Pin](ctx, u.s, pinBucket, []byte(id))
}

// PutPin stages a pin and a new epoch.
func (u *unit) PutPin(p broker.Pin) { u.putRaised(pinBucket, []byte(p.ID), p) }

// DropPin stages the end of a pin and a new epoch.
func (u *unit) DropPin(id string) { u.dropRaised(pinBucket, []byte(id)) }

// putRaised stages a row that makes what was decided before stale.
func (u *unit) putRaised(b bucket, key []byte, row any) {
	raw := u.freeze(b, key, row)
	u.stage(nil, func(t *txn) error {
		t.st.Epoch++
		return t.put(b, key, raw)
	})
}

// dropRaised stages the end of such a row.
func (u *unit) dropRaised(b bucket, key []byte) {
	u.stage(nil, func(t *txn) error {
		t.st.Epoch++
		return t.del(b, key)
	})
}

// Blocks lists every block by kind and value.
func (s *Store) Blocks(ctx context.Context) ([]broker.Block, error) {
	return listed[broker.Block](ctx, s, blockBucket, nil)
}

// Pins lists every pin in the order of client identifiers.
func (s *Store) Pins(ctx context.Context) ([]broker.Pin, error) {
	return listed[broker.Pin](ctx, s, pinBucket, nil)
}

// LiveGrants counts the grants of one incarnation that have not ended.
func (s *Store) LiveGrants(ctx context.Context, clientID string, incarnation uint64) (int, error) {
	n, prefix := 0, liveGrantPrefix(clientID, incarnation)
	err := s.read(ctx, func(v view) error {
		bk, err := v.bucket(liveGrantBucket)
		if err != nil {
			return err
		}
		cur := bk.Cursor()
		for k, _ := cur.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = cur.Next() {
			n++
		}
		return nil
	})
	return n, err
}

// listed decodes the rows whose keys begin with prefix, in their order.
func listed[T any](ctx context.Context, s *Store, b bucket, prefix []byte) ([]T, error) {
	var rows []T
	err := s.read(ctx, func(v view) error {
		rows = nil
		bk, err := v.bucket(b)
		if err != nil {
			return err
		}
		cur := bk.Cursor()
		for k, _ := cur.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix); k, _ = cur.Next() {
			row, _, err := load[T](v, b, k)
			if err != nil {
				return err
			}
			rows = append(rows, row)
		}
		return nil
	})
	return rows, err
}
