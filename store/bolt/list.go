package bolt

import (
	"bytes"
	"context"

	"go.etcd.io/bbolt"

	"guestlist/store"
)

// Members that grants are listed by.
const (
	listAll     = 'a'
	listClient  = 'c'
	listSubject = 's'
)

// listPrefix is the start of the keys of one member's value.
func listPrefix(member byte, value string) []byte {
	return append([]byte{member}, lengthPrefixed(value)...)
}

// listKeys are the keys under which a grant is listed: none of what they hold
// ever changes. Within one value they are in the order of CreatedAt.
func listKeys(g store.Grant) [][]byte {
	tail := append(timeKey(g.CreatedAt), g.ID...)
	return [][]byte{
		append(listPrefix(listAll, ""), tail...),
		append(listPrefix(listClient, g.ClientID), tail...),
		append(listPrefix(listSubject, g.Subject), tail...),
	}
}

// listGrant enters a grant in the list.
func (t *txn) listGrant(g store.Grant) error {
	for _, key := range listKeys(g) {
		if err := t.put(grantListBucket, key, nil); err != nil {
			return err
		}
	}
	return nil
}

// grantScan walks the grants of one query over several views.
type grantScan struct {
	q      store.GrantQuery
	prefix []byte
	pos    []byte // key last looked at; at first a key behind all of prefix
	limit  int
	list   []store.Grant
	done   bool
}

// Grants lists grants, newest first. It reads what the index of the named
// subject, else of the named client, holds.
func (s *Store) Grants(ctx context.Context, q store.GrantQuery) ([]store.Grant, error) {
	sc := &grantScan{q: q, prefix: listPrefix(listAll, ""), limit: q.Limit}
	switch {
	case q.Subject != "":
		sc.prefix = listPrefix(listSubject, q.Subject)
	case q.ClientID != "":
		sc.prefix = listPrefix(listClient, q.ClientID)
	}
	sc.pos = append(bytes.Clone(sc.prefix), bytes.Repeat([]byte{0xff}, timeKeyLen+1)...)
	if sc.limit <= 0 {
		sc.limit = defaultLimit
	}
	for !sc.done {
		if err := s.read(ctx, sc.step); err != nil {
			return nil, err
		}
	}
	return sc.list, nil
}

// step looks at up to scanStep grants.
func (sc *grantScan) step(v view) error {
	bk, err := v.bucket(grantListBucket)
	if err != nil {
		return err
	}
	cur := bk.Cursor()
	key, value := before(cur, sc.pos)
	for range scanStep {
		if len(key) < len(sc.prefix)+timeKeyLen || !bytes.HasPrefix(key, sc.prefix) {
			sc.done = true
			return nil
		}
		if _, err := unseal(grantListBucket, key, value); err != nil {
			return err
		}
		if err := sc.take(v, key); err != nil || sc.done {
			return err
		}
		sc.pos = bytes.Clone(key)
		key, value = cur.Prev()
	}
	return nil
}

// before moves to the last key in front of pos.
func before(cur *bbolt.Cursor, pos []byte) (key, value []byte) {
	if key, _ := cur.Seek(pos); key == nil {
		return cur.Last()
	}
	return cur.Prev()
}

// take keeps the grant of one key when it fits.
func (sc *grantScan) take(v view, key []byte) error {
	g, ok, err := load[store.Grant](v, grantBucket, key[len(sc.prefix)+timeKeyLen:])
	switch {
	case err != nil:
		return err
	case !ok:
		return damaged(grantListBucket, key, "the grant is missing")
	case sc.q.Subject != "" && g.Subject != sc.q.Subject,
		sc.q.ClientID != "" && g.ClientID != sc.q.ClientID,
		!sc.q.Live.IsZero() && !g.Live(sc.q.Live):
		return nil
	}
	sc.list = append(sc.list, g)
	sc.done = len(sc.list) == sc.limit
	return nil
}
