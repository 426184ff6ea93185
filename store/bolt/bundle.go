package bolt

import (
	"bytes"
	"compress/flate"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"guestlist/broker"
	"guestlist/store"
)

// bundleRow is a broker.Bundle without the bytes of its files.
type bundleRow struct {
	Files  map[string][]byte `json:"files"` // name → key in bundleFileBucket
	Maxima json.RawMessage   `json:"maxima,omitempty"`
}

// packedFile is one file of a bundle on its way into the store.
type packedFile struct{ sum, deflated []byte }

// packBundle splits a bundle into its row and its files.
func packBundle(b broker.Bundle) (bundleRow, []packedFile, error) {
	row := bundleRow{Files: make(map[string][]byte, len(b.Files)), Maxima: b.Maxima}
	var files []packedFile
	for name, body := range b.Files {
		sum := sha256.Sum256(body)
		row.Files[name] = sum[:]
		var out bytes.Buffer
		w, err := flate.NewWriter(&out, flate.DefaultCompression)
		if err == nil {
			_, err = w.Write(body)
		}
		if err == nil {
			err = w.Close()
		}
		if err != nil {
			return row, nil, fmt.Errorf("%w: compress %s of a bundle: %w", store.ErrUnavailable, quoted(name), err)
		}
		files = append(files, packedFile{sum[:], out.Bytes()})
	}
	return row, files, nil
}

// Activate stages what is in force from now on, and a new epoch.
func (u *unit) Activate(a broker.Activation, b broker.Bundle) {
	revision := []byte(a.Revision)
	row, files, err := packBundle(b)
	if err != nil && u.err == nil {
		u.err = err
	}
	raw := u.freeze(bundleBucket, revision, row)
	u.stage(nil, func(t *txn) error {
		t.st.Epoch++
		t.st.Revision, t.st.Facts, t.wrote = a.Revision, a.Facts, true
		a.Epoch = t.st.Epoch
		if err := t.save(activationBucket, epochKey(a.Epoch), a); err != nil {
			return err
		}
		if kept, err := t.get(bundleBucket, revision); err != nil || kept != nil {
			return err
		}
		for _, f := range files {
			if err := t.hold(bundleFileBucket, f.sum, f.deflated); err != nil {
				return err
			}
		}
		return t.put(bundleBucket, revision, raw)
	})
}

// epochKey orders as epochs do.
func epochKey(epoch uint64) []byte { return binary.BigEndian.AppendUint64(nil, epoch) }

// Activation returns the last activation of that epoch or an earlier one.
func (u *unit) Activation(ctx context.Context, epoch uint64) (a broker.Activation, ok bool, err error) {
	err = u.s.read(ctx, func(v view) error {
		bk, err := v.bucket(activationBucket)
		if err != nil {
			return err
		}
		cur := bk.Cursor()
		key, _ := cur.Seek(epochKey(epoch))
		switch {
		case key == nil:
			key, _ = cur.Last()
		case !bytes.Equal(key, epochKey(epoch)):
			key, _ = cur.Prev()
		}
		if key == nil {
			return nil
		}
		a, ok, err = load[broker.Activation](v, activationBucket, key)
		return err
	})
	return a, ok, err
}

// Bundle returns the bytes of a revision.
func (s *Store) Bundle(ctx context.Context, revision string) (out broker.Bundle, ok bool, err error) {
	err = s.read(ctx, func(v view) error {
		row, found, err := load[bundleRow](v, bundleBucket, []byte(revision))
		if err != nil || !found {
			return err
		}
		out, ok = broker.Bundle{Files: make(map[string][]byte, len(row.Files)), Maxima: row.Maxima}, true
		for name, sum := range row.Files {
			if out.Files[name], err = v.bundleFile(sum); err != nil {
				return err
			}
		}
		return nil
	})
	return out, ok && err == nil, err
}

// bundleFile returns the bytes of one file; they must be those that were
// stored.
func (v view) bundleFile(sum []byte) ([]byte, error) {
	refs, raw, err := v.held(bundleFileBucket, sum)
	if err != nil {
		return nil, err
	}
	if refs == 0 {
		return nil, damaged(bundleFileBucket, sum, "the bytes are missing")
	}
	body, err := io.ReadAll(flate.NewReader(bytes.NewReader(raw)))
	if err != nil {
		return nil, damaged(bundleFileBucket, sum, err.Error())
	}
	if got := sha256.Sum256(body); !bytes.Equal(got[:], sum) {
		return nil, damaged(bundleFileBucket, sum, "the bytes are others")
	}
	return body, nil
}

// SweepMaterial deletes what no kept record was decided by.
func (s *Store) SweepMaterial(ctx context.Context, oldest time.Time) (int, error) {
	limit, bundles := oldest.Add(-store.BundleKept), 0
	err := s.submit(ctx, []op{{apply: func(t *txn) (err error) {
		bundles, err = t.sweepBundles(limit)
		return err
	}}})
	if err != nil {
		return 0, err
	}
	documents, err := s.sweepDocuments(ctx, limit)
	return bundles + documents, err
}

// sweepBundles deletes the activations that another one followed at limit or
// before, and the bundles that none names any more.
func (t *txn) sweepBundles(limit time.Time) (int, error) {
	named := map[string]bool{}
	var over []broker.Activation // followed in time; the last one is in force
	var last *broker.Activation
	if err := eachRow(t.view, activationBucket, func(_ []byte, a broker.Activation) error {
		if last != nil && !a.At.After(limit) {
			over = append(over, *last)
		} else if last != nil {
			named[last.Revision] = true
		}
		last = &a
		return nil
	}); err != nil || last == nil {
		return 0, err
	}
	named[last.Revision] = true
	gone := map[string]bundleRow{}
	err := eachRow(t.view, bundleBucket, func(key []byte, row bundleRow) error {
		if !named[string(key)] {
			gone[string(key)] = row
		}
		return nil
	})
	for _, a := range over {
		err = errors.Join(err, t.del(activationBucket, epochKey(a.Epoch)))
	}
	for revision, row := range gone {
		for _, sum := range row.Files {
			err = errors.Join(err, t.release(bundleFileBucket, sum))
		}
		err = errors.Join(err, t.del(bundleBucket, []byte(revision)))
	}
	return len(gone), err
}

// eachRow decodes every row of a bucket in the order of keys. visit must not
// write.
func eachRow[T any](v view, b bucket, visit func(key []byte, row T) error) error {
	bk, err := v.bucket(b)
	if err != nil {
		return err
	}
	return bk.ForEach(func(key, _ []byte) error {
		row, _, err := load[T](v, b, key)
		if err != nil {
			return err
		}
		return visit(key, row)
	})
}
