package bolt

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// Documents, and the files of policy bundles, are kept once, under the SHA-256
// of their bytes, with the number of rows that refer to them in front.

// bodySum is the key of a document; nil for none.
func bodySum(body []byte) []byte {
	if len(body) == 0 {
		return nil
	}
	sum := sha256.Sum256(body)
	return sum[:]
}

// shortSum is what is stored of a hash beside the key of the same document:
// nothing, where they agree. fullSum undoes it.
func shortSum(sum string, key []byte) string {
	if sum == hex.EncodeToString(key) {
		return ""
	}
	return sum
}

func fullSum(sum string, key []byte) string {
	if sum == "" {
		return hex.EncodeToString(key)
	}
	return sum
}

// held returns the bytes under sum, which point into the file, and how many
// rows refer to them.
func (v view) held(b bucket, sum []byte) (refs uint64, body []byte, err error) {
	raw, err := v.get(b, sum)
	if err != nil || raw == nil {
		return 0, nil, err
	}
	refs, n := binary.Uvarint(raw)
	if n <= 0 || refs == 0 {
		return 0, nil, damaged(b, sum, "the number of references is wrong")
	}
	return refs, raw[n:], nil
}

// body returns a copy of the bytes under sum, nil when sum is empty.
func (v view) body(sum []byte) ([]byte, error) {
	if len(sum) == 0 {
		return nil, nil
	}
	refs, body, err := v.held(bodyBucket, sum)
	if err == nil && refs == 0 {
		err = damaged(bodyBucket, sum, "the document is missing")
	}
	return bytes.Clone(body), err
}

// hold adds one row that refers to body.
func (t *txn) hold(b bucket, sum, body []byte) error {
	if len(sum) == 0 {
		return nil
	}
	refs, _, err := t.held(b, sum)
	if err != nil {
		return err
	}
	return t.put(b, sum, binary.AppendUvarint(nil, refs+1), body)
}

// release takes one such row away; the last takes the bytes along.
func (t *txn) release(b bucket, sum []byte) error {
	if len(sum) == 0 {
		return nil
	}
	refs, body, err := t.held(b, sum)
	switch {
	case err != nil:
		return err
	case refs == 0:
		return damaged(b, sum, "the bytes are missing")
	case refs == 1:
		return t.del(b, sum)
	}
	return t.put(b, sum, binary.AppendUvarint(nil, refs-1), bytes.Clone(body))
}
