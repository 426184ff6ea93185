package bolt

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"strings"
	"time"

	"guestlist/broker"
	"guestlist/store"
)

// seenName is how much of the hash of a name is the key of its mark: nobody
// finds a name that shares it with a given one.
const seenName = 10

func seenKey(name string) []byte {
	sum := sha256.Sum256([]byte(name))
	return sum[:seenName]
}

// seenMark says when a host or a client was first admitted.
type seenMark struct {
	first int64 // Unix seconds
	until int64 // Unix seconds: kept at least until then; zero: no end is set
}

// seen returns the mark of a name.
func (v view) seen(name string) (m seenMark, ok bool, err error) {
	key := seenKey(name)
	raw, err := v.get(seenBucket, key)
	if err != nil || raw == nil {
		return seenMark{}, false, err
	}
	r := bytes.NewReader(raw)
	if m.first, err = binary.ReadVarint(r); err == nil && r.Len() > 0 {
		m.until, err = binary.ReadVarint(r)
	}
	if err != nil || r.Len() > 0 {
		return seenMark{}, false, damaged(seenBucket, key, "the mark is no time")
	}
	return m, true, nil
}

// saveSeen stores a mark.
func (t *txn) saveSeen(name string, m seenMark) error {
	raw := binary.AppendVarint(nil, m.first)
	if m.until != 0 {
		raw = binary.AppendVarint(raw, m.until)
	}
	return t.put(seenBucket, seenKey(name), raw)
}

// hostOf is the host of a client identifier URL, without port; empty: it is no
// URL.
func hostOf(id string) string {
	rest, ok := strings.CutPrefix(id, "https://")
	if !ok {
		return ""
	}
	if end := strings.IndexAny(rest, ":/?"); end >= 0 {
		rest = rest[:end]
	}
	return rest
}

// sight marks a name that is seen at a time, and keeps an earlier mark.
func (t *txn) sight(name string, at time.Time) error {
	if name == "" || at.IsZero() {
		return nil
	}
	m, ok, err := t.seen(name)
	if err != nil || ok && m.first <= at.Unix() {
		return err
	}
	m.first = at.Unix()
	return t.saveSeen(name, m)
}

// keepSeen keeps the mark of a name until a time, or longer where that is
// settled. A name without a mark stays so.
func (t *txn) keepSeen(name string, until time.Time) error {
	m, ok, err := t.seen(name)
	if err != nil || !ok || until.Unix() <= m.until {
		return err
	}
	var was *time.Time
	if m.until != 0 {
		was = new(time.Unix(m.until, 0))
	}
	m.until = until.Unix()
	return errors.Join(t.saveSeen(name, m), t.setExpiry(seenKind, []byte(name), was, time.Unix(m.until, 0)))
}

// partSeen marks a client that ends, and keeps its mark and that of its host
// for a while.
func (t *txn) partSeen(id string, since, at time.Time) error {
	host, until := hostOf(id), at.Add(store.SeenKept)
	if host == "" {
		return nil
	}
	if err := errors.Join(t.sight(id, since), t.sight(host, since)); err != nil {
		return err
	}
	return errors.Join(t.keepSeen(id, until), t.keepSeen(host, until))
}

// sweepSeen deletes the mark of a client, or of a host that has none any more,
// and reports whether it did; else it is looked at again after a while.
func (t *txn) sweepSeen(name string, now time.Time) (gone bool, err error) {
	if hostOf(name) == "" {
		lives, err := t.hostLives(name)
		if err != nil || lives {
			return false, errors.Join(err, t.keepSeen(name, now.Add(store.SeenKept)))
		}
	}
	return true, t.del(seenBucket, seenKey(name))
}

// hostLives reports whether a client of a host has a row.
func (v view) hostLives(host string) (bool, error) {
	bk, err := v.bucket(clientBucket)
	if err != nil {
		return false, err
	}
	for _, end := range []string{"/", ":", "?"} {
		prefix := []byte("https://" + host + end)
		if k, _ := bk.Cursor().Seek(prefix); bytes.HasPrefix(k, prefix) {
			return true, nil
		}
	}
	return false, nil
}

// FirstSeen returns when a host first had a client, or when a client that has
// no row any more was first admitted.
func (u *unit) FirstSeen(ctx context.Context, name string) (at time.Time, err error) {
	err = u.s.read(ctx, func(v view) error {
		m, ok, err := v.seen(name)
		if ok {
			at = time.Unix(m.first, 0).UTC()
		}
		return err
	})
	return at, err
}

// sightAll marks the host of every client that has a row.
func (t *txn) sightAll() error {
	bk, err := t.bucket(clientBucket)
	if err != nil {
		return err
	}
	return bk.ForEach(func(key, _ []byte) error {
		c, _, err := load[life](t.view, clientBucket, key)
		if err != nil {
			return err
		}
		return t.sight(hostOf(string(key)), c.since())
	})
}

// since is broker.Client.Since.
func (l life) since() time.Time {
	return broker.Client{CreatedAt: l.CreatedAt, FirstSeen: l.FirstSeen}.Since()
}
