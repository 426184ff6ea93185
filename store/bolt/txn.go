package bolt

import (
	"encoding/json"
	"fmt"

	"go.etcd.io/bbolt"

	"guestlist/broker/decisionlog"
	"guestlist/store"
)

// bucket names one top-level bucket of the file.
type bucket string

const (
	metaBucket       bucket = "meta"             // rows format, state, probe
	clientBucket     bucket = "clients"          // client identifier → clientRow
	clientEndBucket  bucket = "clients_by_end"   // time, client identifier
	bodyBucket       bucket = "bodies"           // SHA-256 → how many rows refer to it, bytes
	leftBucket       bucket = "bodies_left"      // SHA-256 of a document that only records may refer to → time of the newest record then
	countBucket      bucket = "client_counts"    // allClients, registrable domain, or "=" and policy → countRow
	grantBucket      bucket = "grants"           // grant id → store.Grant
	liveGrantBucket  bucket = "grants_by_client" // client, incarnation, grant id; grants that have not ended
	grantListBucket  bucket = "grants_listed"    // member, its value, time, grant id; see listKeys
	refreshBucket    bucket = "refresh"          // hash → store.Refresh
	accessBucket     bucket = "access"           // key → store.Access
	codeBucket       bucket = "codes"            // hash → store.Code
	sessionBucket    bucket = "sessions"         // hash → store.Session
	spentBucket      bucket = "spent"            // kind, key → spentRow
	cursorBucket     bucket = "cursors"          // exporter → cursorRow
	blockBucket      bucket = "blocks"           // kind, value → broker.Block
	pinBucket        bucket = "pins"             // client identifier → broker.Pin
	versionBucket    bucket = "versions"         // client identifier, time, number → versionRow
	keptBucket       bucket = "versions_kept"    // client identifier → keptRow
	seenBucket       bucket = "first_seen"       // hash of a host, or of the identifier of a client that ended → seenMark
	hitsBucket       bucket = "policy_hits"      // policy → store.Hits
	activationBucket bucket = "activations"      // epoch → broker.Activation
	bundleBucket     bucket = "bundles"          // revision → bundleRow
	bundleFileBucket bucket = "bundle_files"     // SHA-256 → how many bundles hold it, deflated bytes
	expiryBucket     bucket = "expiry"           // time, kind, key of the row to sweep
	recordBucket     bucket = "records"          // sequence number → sealed record
	summaryBucket    bucket = "records_summary"  // number of a block of records → what they can be found by
	holdBucket       bucket = "holds"            // identifier → store.Hold
)

// buckets lists what a complete file holds.
func buckets() []bucket {
	return []bucket{
		metaBucket, clientBucket, grantBucket, liveGrantBucket, codeBucket, sessionBucket, spentBucket,
		cursorBucket, expiryBucket, recordBucket, summaryBucket,
		refreshBucket, accessBucket, grantListBucket, countBucket, blockBucket, pinBucket, versionBucket,
		clientEndBucket, bodyBucket, keptBucket, seenBucket, hitsBucket, activationBucket, bundleBucket, bundleFileBucket,
		holdBucket, leftBucket,
	}
}

// formerBuckets are those of earlier programs: indexes of records, which
// summaries replace.
func formerBuckets() []bucket {
	return []bucket{"records_client_id", "records_grant", "records_request", "records_decision"}
}

// stateKey is the key of the state row in metaBucket.
const stateKey = "state"

// state is what the whole store has once.
type state struct {
	Epoch    uint64 `json:"epoch"`
	Revision string `json:"revision"`        // active policy revision
	Facts    string `json:"facts,omitempty"` // digest of its facts
	Seq      uint64 `json:"seq"`             // of the last record
	Holds    uint64 `json:"holds,omitempty"` // grows with each hold that is put or dropped
}

// view reads through one bbolt transaction. Nothing it returns outlives it
// but decoded rows.
type view struct {
	tx     *bbolt.Tx
	unpack *unpacker
}

func viewOf(tx *bbolt.Tx) view { return view{tx: tx, unpack: &unpacker{}} }

// bucket returns a bucket that every complete file has.
func (v view) bucket(b bucket) (*bbolt.Bucket, error) {
	if bk := v.tx.Bucket([]byte(b)); bk != nil {
		return bk, nil
	}
	return nil, fmt.Errorf("%w: bucket %s is missing; the file is damaged, restore a backup", store.ErrUnavailable, b)
}

// get returns the payload of key, nil when absent.
func (v view) get(b bucket, key []byte) ([]byte, error) {
	bk, err := v.bucket(b)
	if err != nil {
		return nil, err
	}
	value := bk.Get(key)
	if value == nil {
		return nil, nil
	}
	return unseal(b, key, value)
}

// state returns the state row; a store without one is damaged.
func (v view) state() (state, error) {
	st, ok, err := load[state](v, metaBucket, []byte(stateKey))
	if err == nil && !ok {
		err = damaged(metaBucket, []byte(stateKey), "the row is missing")
	}
	return st, err
}

// load decodes one row.
func load[T any](v view, b bucket, key []byte) (row T, ok bool, err error) {
	raw, err := v.get(b, key)
	if err != nil || raw == nil {
		return row, false, err
	}
	if err := json.Unmarshal(raw, &row); err != nil {
		var none T
		return none, false, damaged(b, key, err.Error())
	}
	return row, true, nil
}

// txn is the transaction that a batch of units shares.
type txn struct {
	view
	st       state
	wrote    bool // something is to be committed
	appended bool // a record among it
	seal     *decisionlog.Sealer
	pack     *packer
	tail     tail
	ballast  int64                 // bytes that are put aside
	hits     map[string]store.Hits // of the records in it, by policy; not stored yet
}

// begin reads the state that a batch starts from.
func (s *Store) begin(tx *bbolt.Tx) (*txn, error) {
	t := &txn{view: viewOf(tx), seal: &s.seal, pack: &s.pack, tail: s.tail, ballast: s.ballast}
	var err error
	t.st, err = t.state()
	return t, err
}

// finish writes counts and the state back.
func (t *txn) finish() error {
	if err := t.saveHits(); err != nil {
		return err
	}
	raw, err := encode(metaBucket, []byte(stateKey), t.st)
	if err != nil {
		return err
	}
	return t.put(metaBucket, []byte(stateKey), raw)
}

// put stores an encoded row, which may come in parts.
func (t *txn) put(b bucket, key []byte, payload ...[]byte) error {
	bk, err := t.bucket(b)
	if err != nil {
		return err
	}
	t.wrote = true
	if b == recordBucket || b == summaryBucket {
		bk.FillPercent = 1 // keys only grow: half a page would stay empty for ever
	}
	if err := bk.Put(key, seal(b, key, payload...)); err != nil {
		return fmt.Errorf("%w: write bucket %s, key %s: %w", store.ErrUnavailable, b, quoted(string(key)), err)
	}
	return nil
}

// save encodes and stores a row.
func (t *txn) save(b bucket, key []byte, row any) error {
	raw, err := encode(b, key, row)
	if err != nil {
		return err
	}
	return t.put(b, key, raw)
}

// del deletes a row; an absent one changes nothing.
func (t *txn) del(b bucket, key []byte) error {
	bk, err := t.bucket(b)
	if err != nil {
		return err
	}
	t.wrote = true
	if err := bk.Delete(key); err != nil {
		return fmt.Errorf("%w: delete bucket %s, key %s: %w", store.ErrUnavailable, b, quoted(string(key)), err)
	}
	return nil
}
