package servertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/store"
)

// Ledger is all that a store holds of clients, grants, codes, tokens, sessions,
// operators' acts and activations, beside its records, so that the ones can be
// held against the others. What is there is listed from the file itself: what
// the store would not find is found.
type Ledger struct {
	Records  []decisionlog.Record // by sequence number, from 1
	Bare     []uint64             // numbers of the records whose bodies are gone
	Clients  map[string]broker.Client
	Grants   map[string]store.Grant
	Codes    map[string]store.Code    // by hash
	Refresh  map[string]store.Refresh // by hash
	Access   map[string]store.Access  // by key
	Sessions map[string]store.Session // by hash
	Blocks   []broker.Block
	Pins     map[string]broker.Pin
	Holds    []store.Hold
	Versions map[string][]broker.Version // by client, of those with a row or a pin
	Hits     map[string]store.Hits
	Epoch    uint64
	InForce  []broker.Activation // by epoch from 1; zero where there is none
	Bundles  map[string]bool     // revisions of InForce whose bytes are there
	Counted  int                 // clients as the store counts them
	Living   map[string]int      // grants that have not ended, by client, as the store counts them

	// Pseudonym names a person in records.
	Pseudonym func(username string) string
	// Now is when the store is looked at: what is kept for a time may be gone.
	Now time.Time
	// Repeated says that a batch of records may have been written twice, since
	// its commit took effect unheard.
	Repeated bool

	found []string
}

// listed are the buckets whose rows no query lists.
var listed = []string{"grants", "codes", "refresh", "access", "sessions"}

// ReadLedger reads a store and its file, which nobody may write to meanwhile. A
// record that cannot be read, or whose body is not what its header says, and a
// gap in the numbers of the records are errors.
func ReadLedger(ctx context.Context, st store.Store, file string) (*Ledger, error) {
	keys, err := keysOf(file)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", file, err)
	}
	l := &Ledger{
		Clients: map[string]broker.Client{}, Pins: map[string]broker.Pin{}, Versions: map[string][]broker.Version{},
		Bundles: map[string]bool{}, Living: map[string]int{},
	}
	if err := l.readRecords(ctx, st); err != nil {
		return nil, err
	}
	if err := l.readClients(ctx, st); err != nil {
		return nil, err
	}
	if err := l.readActs(ctx, st); err != nil {
		return nil, err
	}
	u := st.Begin()
	if l.Grants, err = rows(ctx, keys["grants"], u.Grant); err != nil {
		return nil, err
	}
	if l.Codes, err = rows(ctx, keys["codes"], u.Code); err != nil {
		return nil, err
	}
	if l.Refresh, err = rows(ctx, keys["refresh"], u.Refresh); err != nil {
		return nil, err
	}
	if l.Access, err = rows(ctx, keys["access"], u.Access); err != nil {
		return nil, err
	}
	l.Sessions, err = rows(ctx, keys["sessions"], u.Session)
	return l, err
}

// keysOf lists the keys of the listed buckets in a copy of the file, since the
// store may hold it.
func keysOf(file string) (map[string][]string, error) {
	dir, err := os.MkdirTemp("", "ledger")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	copied := filepath.Join(dir, "copy.db")
	if err := copyUsed(copied, file); err != nil {
		return nil, err
	}
	db, err := bbolt.Open(copied, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	keys := map[string][]string{}
	return keys, db.View(func(tx *bbolt.Tx) error {
		for _, name := range listed {
			b := tx.Bucket([]byte(name))
			if b == nil {
				return fmt.Errorf("there is no bucket %s", name)
			}
			if err := b.ForEach(func(k, _ []byte) error { keys[name] = append(keys[name], string(k)); return nil }); err != nil {
				return err
			}
		}
		return nil
	})
}

// copyUsed copies a file up to what bbolt has not used yet, which is most of a
// small one.
func copyUsed(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close()
	chunk := make([]byte, 256<<10)
	for unused := make([]byte, len(chunk)); ; {
		n, err := io.ReadFull(in, chunk)
		if n == 0 || bytes.Equal(chunk[:n], unused[:n]) {
			return out.Close()
		}
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
		if _, err := out.Write(chunk[:n]); err != nil {
			return err
		}
	}
}

// rows reads each of these keys.
func rows[T any](ctx context.Context, keys []string, get func(context.Context, string) (T, bool, error)) (map[string]T, error) {
	out := map[string]T{}
	for _, k := range keys {
		row, found, err := get(ctx, k)
		if err != nil || !found {
			return nil, fmt.Errorf("row %q of the file: found=%v, %w", k, found, err)
		}
		out[k] = row
	}
	return out, nil
}

// readRecords reads every record, page by page.
func (l *Ledger) readRecords(ctx context.Context, st store.Store) error {
	for {
		page, err := st.Records(ctx, store.RecordQuery{After: uint64(len(l.Records))})
		if err != nil || len(page) == 0 {
			return err
		}
		for _, s := range page {
			r, err := s.Record()
			if err != nil {
				return err
			}
			if want := uint64(len(l.Records) + 1); s.Seq != want {
				return fmt.Errorf("record %d has the number %d", want, s.Seq)
			}
			if l.Records = append(l.Records, r); s.Body == nil {
				l.Bare = append(l.Bare, s.Seq)
			}
		}
	}
}

// readClients reads clients, pins, their versions and what is counted of them.
func (l *Ledger) readClients(ctx context.Context, st store.Store) error {
	for after := ""; ; {
		page, err := st.Clients(ctx, store.ClientQuery{After: after})
		if err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		for _, c := range page {
			l.Clients[c.ID], after = c, c.ID
			if l.Living[c.ID], err = st.LiveGrants(ctx, c.ID, c.Incarnation); err != nil {
				return err
			}
			if l.Versions[c.ID], err = st.Versions(ctx, c.ID); err != nil {
				return err
			}
		}
	}
	pins, err := st.Pins(ctx)
	if err != nil {
		return err
	}
	for _, p := range pins {
		l.Pins[p.ID] = p
		if l.Versions[p.ID], err = st.Versions(ctx, p.ID); err != nil {
			return err
		}
	}
	counts, err := st.Begin().ClientCount(ctx, "", nil)
	l.Counted = counts.Total
	return err
}

// readActs reads blocks, holds, hits, the epoch and what was in force under each.
func (l *Ledger) readActs(ctx context.Context, st store.Store) (err error) {
	if l.Blocks, err = st.Blocks(ctx); err != nil {
		return err
	}
	if l.Holds, _, err = st.Holds(ctx); err != nil {
		return err
	}
	if l.Hits, err = st.Hits(ctx); err != nil {
		return err
	}
	u := st.Begin()
	if l.Epoch, err = u.Epoch(ctx); err != nil {
		return err
	}
	for epoch := uint64(1); epoch <= l.Epoch; epoch++ {
		a, _, err := u.Activation(ctx, epoch)
		if err != nil {
			return err
		}
		l.InForce = append(l.InForce, a)
		if _, l.Bundles[a.Revision], err = st.Bundle(ctx, a.Revision); err != nil {
			return err
		}
	}
	return nil
}
