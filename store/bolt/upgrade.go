package bolt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"guestlist/broker"
	"guestlist/store"
)

// required lists the buckets without which a file of that format is damaged.
// Format 1 had neither tokens nor the list of grants, format 2 no counts of
// clients, format 3 no blocks, pins and versions, and each client's document
// in its row, format 4 no marks of when hosts were first seen, format 5 no
// summaries of records, no activations and no bundles, format 6 no holds and no
// documents that only records refer to. The list, the counts and
// the summaries can be built from the rows and the records at any time.
func required(version int) []bucket {
	since4 := []bucket{blockBucket, pinBucket, versionBucket, keptBucket, clientEndBucket, bodyBucket}
	since6 := []bucket{activationBucket, bundleBucket, bundleFileBucket}
	since7 := []bucket{holdBucket, leftBucket}
	return slices.DeleteFunc(buckets(), func(b bucket) bool {
		return b == grantListBucket || b == countBucket || b == hitsBucket || b == summaryBucket || version < 2 && (b == refreshBucket || b == accessBucket) ||
			version < 4 && slices.Contains(since4, b) || version < 5 && b == seenBucket ||
			version < 6 && slices.Contains(since6, b) || version < 7 && slices.Contains(since7, b)
	})
}

// upgrade brings a file that an earlier program wrote to the present format,
// in one transaction; a file that is up to date is not written to. An error
// leaves the file as it was, and closed.
func upgrade(path string, db *bbolt.DB, file *os.File) error {
	err := guarded(path, func() error {
		var old bool
		err := db.View(func(tx *bbolt.Tx) (err error) {
			old, err = outdated(viewOf(tx))
			return err
		})
		if err != nil || !old {
			return err
		}
		return db.Update(renew)
	})
	var f *fault
	switch {
	case err == nil:
		return nil
	case errors.As(err, &f):
		return errors.Join(err, abandon(file))
	}
	return errors.Join(fmt.Errorf("bring %s to format %d: %w", path, fileVersion, err), db.Close())
}

// outdated reports whether there is something to upgrade.
func outdated(v view) (bool, error) {
	f, _, err := load[format](v, metaBucket, []byte(formatKey))
	return f.Format < fileVersion || slices.ContainsFunc(formerBuckets(), v.has) ||
		slices.ContainsFunc([]bucket{grantListBucket, countBucket, hitsBucket, summaryBucket}, func(b bucket) bool { return !v.has(b) }), err
}

// has reports whether there is such a bucket.
func (v view) has(b bucket) bool { return v.tx.Bucket([]byte(b)) != nil }

// renew adds what the present format has beyond an earlier one, and takes away
// what it has no more. Summaries from beside an index lack what the index had,
// and are written anew afterwards.
func renew(tx *bbolt.Tx) error {
	t := &txn{view: viewOf(tx)}
	counted := t.has(hitsBucket)
	gone := formerBuckets()
	if slices.ContainsFunc(gone, t.has) {
		gone = append(gone, summaryBucket)
	}
	for _, b := range gone {
		if err := tx.DeleteBucket([]byte(b)); err != nil && !errors.Is(err, berrors.ErrBucketNotFound) {
			return err
		}
	}
	for _, b := range buckets() {
		if _, err := tx.CreateBucketIfNotExists([]byte(b)); err != nil {
			return err
		}
	}
	f, _, err := load[format](t.view, metaBucket, []byte(formatKey))
	if err != nil {
		return err
	}
	if err := t.listGrants(); err != nil {
		return err
	}
	if !counted {
		if err := t.countRecords(); err != nil {
			return err
		}
	}
	if err := errors.Join(t.countClients(), t.sightAll(), t.saveHits()); err != nil {
		return err
	}
	if f.Format < 4 {
		err = t.moveDocuments()
	}
	if err != nil {
		return err
	}
	f.Format = fileVersion
	return t.save(metaBucket, []byte(formatKey), f)
}

// moveDocuments takes the documents out of the rows of clients, and enters
// the clients by their end.
func (t *txn) moveDocuments() error {
	bk, err := t.bucket(clientBucket)
	if err != nil {
		return err
	}
	var ids [][]byte // a bucket is not written to while it is walked
	if err := bk.ForEach(func(key, _ []byte) error { ids = append(ids, bytes.Clone(key)); return nil }); err != nil {
		return err
	}
	for _, id := range ids {
		c, _, err := load[broker.Client](t.view, clientBucket, id)
		if err != nil {
			return err
		}
		row, body := splitClient(c)
		if err := errors.Join(t.hold(bodyBucket, row.Published, body), t.save(clientBucket, id, row), t.put(clientEndBucket, clientEndKey(c.ID, c.ExpiresAt))); err != nil {
			return err
		}
	}
	return nil
}

// listGrants enters every grant in the list.
func (t *txn) listGrants() error {
	bk, err := t.bucket(grantBucket)
	if err != nil {
		return err
	}
	return bk.ForEach(func(key, _ []byte) error {
		g, _, err := load[store.Grant](t.view, grantBucket, key)
		if err != nil {
			return err
		}
		return t.listGrant(g)
	})
}

// countRecords counts the hits of policies.
func (t *txn) countRecords() error {
	bk, err := t.bucket(recordBucket)
	if err != nil {
		return err
	}
	return bk.ForEach(func(key, _ []byte) error {
		if len(key) != 8 {
			return damaged(recordBucket, key, "the key is no sequence number")
		}
		s, err := t.record(binary.BigEndian.Uint64(key))
		if err != nil {
			return err
		}
		return t.countAgain(s)
	})
}
