package bolt

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"guestlist/broker"
	"guestlist/store"
)

// versionRow is a version as it is stored: its key names the client, its
// document lies apart, under the hash that Published holds here; SHA256 is
// empty where it says the same.
type versionRow struct {
	broker.Version
	ClientID  string `json:"client_id,omitempty"` // always empty
	Published []byte `json:"published,omitempty"` // SHA-256; empty: no document
}

// keptRow is how long the versions of a client are kept at least.
type keptRow struct {
	Until time.Time `json:"until"`
}

// versionKey is a key behind those of the same client and time, in order.
func versionKey(v broker.Version, taken [][]byte) []byte {
	at, n := append(lengthPrefixed(v.ClientID), timeKey(v.SeenAt)...), byte(0)
	for _, k := range taken {
		if bytes.HasPrefix(k, at) {
			n = k[len(k)-1] + 1
		}
	}
	return append(at, n)
}

// day is the UTC day of a time.
func day(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// PutVersion stages one more version of a client's document.
func (u *unit) PutVersion(v broker.Version) {
	row := versionRow{Version: v, Published: bodySum(v.Published)}
	row.Version.ClientID, row.Version.Published, row.Version.SHA256 = "", nil, shortSum(v.SHA256, row.Published)
	body, raw := bytes.Clone(v.Published), u.freeze(versionBucket, []byte(v.ClientID), row)
	u.stage(nil, func(t *txn) error {
		keys, rows, err := t.versions(v.ClientID)
		if err != nil {
			return err
		}
		today := 0
		for _, r := range rows {
			if day(r.SeenAt).Equal(day(v.SeenAt)) {
				today++
			}
		}
		if n := len(rows); today >= store.VersionsPerDay || n > 0 && rows[n-1].SHA256 == v.SHA256 {
			return nil
		}
		key := versionKey(v, keys)
		for i := range max(0, len(keys)+1-store.VersionsPerClient) {
			if err := t.dropVersion(keys[i], rows[i]); err != nil {
				return err
			}
		}
		if err := errors.Join(t.keep(row.Published, body), t.put(versionBucket, key, raw)); err != nil {
			return err
		}
		// The end of a client settles how long; one without a row has no end.
		if _, ok, err := t.lives(v.ClientID); ok || err != nil {
			return err
		}
		return t.keepVersions(v.ClientID, v.SeenAt.Add(store.VersionsKept))
	})
}

// versions are the keys and rows of a client's versions, oldest first.
func (v view) versions(clientID string) (keys [][]byte, rows []versionRow, err error) {
	bk, err := v.bucket(versionBucket)
	if err != nil {
		return nil, nil, err
	}
	prefix := lengthPrefixed(clientID)
	cur := bk.Cursor()
	for k, _ := cur.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = cur.Next() {
		row, _, err := load[versionRow](v, versionBucket, k)
		if err != nil {
			return nil, nil, err
		}
		row.Version.SHA256 = fullSum(row.Version.SHA256, row.Published)
		keys, rows = append(keys, bytes.Clone(k)), append(rows, row)
	}
	return keys, rows, nil
}

func (t *txn) dropVersion(key []byte, row versionRow) error {
	return errors.Join(t.letGo(row.Published), t.del(versionBucket, key))
}

// keepVersions keeps the versions of a client until a time, or longer where
// that is settled. A client that has none stays so.
func (t *txn) keepVersions(clientID string, until time.Time) error {
	key := []byte(clientID)
	row, ok, err := load[keptRow](t.view, keptBucket, key)
	if err != nil || ok && !until.After(row.Until) {
		return err
	}
	var was *time.Time
	if ok {
		was = &row.Until
	} else if keys, _, err := t.versions(clientID); err != nil || len(keys) == 0 {
		return err
	}
	return errors.Join(t.save(keptBucket, key, keptRow{until}), t.setExpiry(versionsKind, key, was, until))
}

// sweepVersions deletes the versions of a client that has neither a row nor a
// pin, and reports whether it did; else they are looked at again after a while.
func (t *txn) sweepVersions(clientID string, now time.Time) (gone bool, err error) {
	key := []byte(clientID)
	for _, b := range []bucket{clientBucket, pinBucket} {
		raw, err := t.get(b, key)
		if err != nil {
			return false, err
		}
		if raw != nil {
			return false, t.keepVersions(clientID, now.Add(store.VersionsKept))
		}
	}
	keys, rows, err := t.versions(clientID)
	if err != nil {
		return false, err
	}
	for i, key := range keys {
		if err := t.dropVersion(key, rows[i]); err != nil {
			return false, err
		}
	}
	return true, t.del(keptBucket, key)
}

// Versions lists a client's documents, newest first.
func (s *Store) Versions(ctx context.Context, clientID string) (list []broker.Version, err error) {
	err = s.read(ctx, func(v view) error {
		_, rows, err := v.versions(clientID)
		if err != nil {
			return err
		}
		list = make([]broker.Version, 0, len(rows))
		for _, row := range slices.Backward(rows) {
			row.Version.ClientID = clientID
			if row.Version.Published, err = v.body(row.Published); err != nil {
				return err
			}
			list = append(list, row.Version)
		}
		return nil
	})
	return list, err
}
