package bolt_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/store"
	"guestlist/store/bolt"
)

// former turns a closed store into one that the program before tokens and the
// list of grants wrote.
func former(t *testing.T, path string) {
	t.Helper()
	raw, err := json.Marshal(map[string]any{"format": 1, "created": at})
	if err != nil {
		t.Fatal(err)
	}
	edit(t, path, func(tx *bbolt.Tx) error {
		return errors.Join(
			inlined(tx), tx.DeleteBucket([]byte("client_counts")), tx.DeleteBucket([]byte("refresh")), tx.DeleteBucket([]byte("access")), tx.DeleteBucket([]byte("grants_listed")),
			tx.Bucket([]byte("meta")).Put([]byte("format"), sealed("meta", "format", 1, raw)),
		)
	})
}

// listedClients are the clients of listed, in the order of their ends.
var listedClients = []broker.Client{
	{ID: "https://b.example/", Incarnation: 3, Published: []byte(`{"b":1}`), DocumentSHA256: "eb8ed3ccb5023093b56f490a46501e88d09736687e609fdbc1c71b3df8b9ccd3", ExpiresAt: at},
	{ID: "https://a.example/1", Domain: "a.example", Incarnation: 1, Published: []byte(`{"a":1}`), DocumentSHA256: "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862", CreatedAt: at.Add(time.Minute), ExpiresAt: at.Add(time.Hour)},
	{ID: "https://a.example/2", Domain: "a.example", Incarnation: 2, Published: []byte(`{"a":1}`), DocumentSHA256: "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862", CreatedAt: at, ExpiresAt: at.Add(2 * time.Hour)},
}

// inlined makes the rows of listedClients and the two records what they were
// before format 4, and deletes the buckets that came with it.
func inlined(tx *bbolt.Tx) error {
	for _, c := range listedClients {
		row, err := json.Marshal(c)
		if err == nil {
			err = tx.Bucket([]byte("clients")).Put([]byte(c.ID), sealed("clients", c.ID, 1, row))
		}
		if err != nil {
			return err
		}
	}
	records := tx.Bucket([]byte("records"))
	for seq := range uint64(2) {
		key := string(binary.BigEndian.AppendUint64(nil, seq+1))
		value := records.Get([]byte(key))
		if value == nil {
			continue // another store
		}
		plain, err := inflated(value[1+binary.Size(uint32(0)):])
		if err == nil {
			err = records.Put([]byte(key), sealed("records", key, 1, plain))
		}
		if err != nil {
			return err
		}
	}
	for _, b := range []string{"blocks", "pins", "versions", "versions_kept", "clients_by_end", "bodies", "first_seen", "policy_hits", "activations", "bundles", "bundle_files", "holds", "bodies_left"} {
		if err := tx.DeleteBucket([]byte(b)); err != nil {
			return err
		}
	}
	return nil
}

// listed makes a closed store with grants and a summary.
func listed(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "store.db")
	s := open(t, path)
	u := s.Begin()
	for i, id := range []string{"b", "c", "a"} {
		u.PutGrant(store.Grant{ID: id, Subject: "alice", ClientID: "c", CreatedAt: at.Add(time.Duration(i)), ExpiresAt: at})
	}
	u.EndGrant("c", at, "gone")
	for _, c := range listedClients {
		u.CreateClient(c)
	}
	u.Append(decisionlog.Record{DecisionID: "other", RequestID: "first", Timestamp: at, Event: "admission.decided", Phases: []decisionlog.Phase{
		{Phase: "url", Candidates: []decisionlog.Candidate{{Policy: "p"}}},
	}})
	u.Append(decisionlog.Record{DecisionID: "summary", RequestID: "first", LastRequestID: "last", Count: 2, Timestamp: at})
	if err := errors.Join(s.Commit(t.Context(), u), s.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// found is what the indexes of s say about the rows of listed.
func found(t *testing.T, s *bolt.Store) (ids []string, seqs []uint64) {
	t.Helper()
	grants, err := s.Grants(context.Background(), store.GrantQuery{Subject: "alice", ClientID: "c"})
	byClient, err2 := s.Grants(context.Background(), store.GrantQuery{ClientID: "c"})
	records, err3 := s.Records(context.Background(), store.RecordQuery{RequestID: "last"})
	if err := errors.Join(err, err2, err3); err != nil || !reflect.DeepEqual(grants, byClient) {
		t.Errorf("Grants() = %v, by client %v, %v, want the same", grants, byClient, err)
	}
	for _, g := range grants {
		ids = append(ids, g.ID)
	}
	for _, r := range records {
		seqs = append(seqs, r.Seq)
	}
	return ids, seqs
}

// TestUpgrade: a file from before an index opens with the index built, works,
// and is not rebuilt again.
func TestUpgrade(t *testing.T) {
	wantIDs, wantSeqs := []string{"a", "c", "b"}, []uint64{2}
	for name, spoil := range map[string]func(t *testing.T, path string){
		"format 1": former,
		"without the list of grants": func(t *testing.T, path string) {
			edit(t, path, func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("grants_listed")) })
		},
		"without counts of clients (format 2)": func(t *testing.T, path string) {
			raw, err := json.Marshal(map[string]any{"format": 2, "created": at})
			if err != nil {
				t.Fatal(err)
			}
			edit(t, path, func(tx *bbolt.Tx) error {
				return errors.Join(inlined(tx), tx.DeleteBucket([]byte("client_counts")), tx.Bucket([]byte("meta")).Put([]byte("format"), sealed("meta", "format", 1, raw)))
			})
		},
		"without blocks, pins and versions, with documents in the rows of clients (format 3)": func(t *testing.T, path string) {
			raw, err := json.Marshal(map[string]any{"format": 3, "created": at})
			if err != nil {
				t.Fatal(err)
			}
			edit(t, path, func(tx *bbolt.Tx) error {
				if err := inlined(tx); err != nil {
					return err
				}
				return tx.Bucket([]byte("meta")).Put([]byte("format"), sealed("meta", "format", 1, raw))
			})
		},
		"without marks of when hosts were first seen (format 4)": func(t *testing.T, path string) {
			raw, err := json.Marshal(map[string]any{"format": 4, "created": at})
			if err != nil {
				t.Fatal(err)
			}
			edit(t, path, func(tx *bbolt.Tx) error {
				return errors.Join(tx.DeleteBucket([]byte("first_seen")), tx.DeleteBucket([]byte("policy_hits")), tx.Bucket([]byte("meta")).Put([]byte("format"), sealed("meta", "format", 1, raw)))
			})
		},
		"without bundles, without summaries, with indexes that they replace (format 5)": func(t *testing.T, path string) {
			raw, err := json.Marshal(map[string]any{"format": 5, "created": at})
			if err != nil {
				t.Fatal(err)
			}
			edit(t, path, func(tx *bbolt.Tx) error {
				_, err := tx.CreateBucket([]byte("records_client_id"))
				_, err2 := tx.CreateBucket([]byte("records_grant"))
				return errors.Join(err, err2, tx.DeleteBucket([]byte("activations")), tx.DeleteBucket([]byte("bundles")), tx.DeleteBucket([]byte("bundle_files")),
					tx.DeleteBucket([]byte("records_summary")), tx.Bucket([]byte("meta")).Put([]byte("format"), sealed("meta", "format", 1, raw)))
			})
		},
		"without holds, without documents that records refer to (format 6)": func(t *testing.T, path string) {
			raw, err := json.Marshal(map[string]any{"format": 6, "created": at})
			if err != nil {
				t.Fatal(err)
			}
			edit(t, path, func(tx *bbolt.Tx) error {
				return errors.Join(tx.DeleteBucket([]byte("holds")), tx.DeleteBucket([]byte("bodies_left")), tx.Bucket([]byte("meta")).Put([]byte("format"), sealed("meta", "format", 1, raw)))
			})
		},
		"without hits of policies": func(t *testing.T, path string) {
			edit(t, path, func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("policy_hits")) })
		},
		"without counts of clients": func(t *testing.T, path string) {
			edit(t, path, func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("client_counts")) })
		},
		"as it is": func(*testing.T, string) {},
	} {
		t.Run(name, func(t *testing.T) {
			path := listed(t)
			spoil(t, path)
			s := open(t, path)
			if ids, seqs := found(t, s); !reflect.DeepEqual(ids, wantIDs) || !reflect.DeepEqual(seqs, wantSeqs) {
				t.Errorf("grants %v, records %v, want %v, %v", ids, seqs, wantIDs, wantSeqs)
			}
			if hits, err := s.Hits(t.Context()); err != nil || !reflect.DeepEqual(hits, map[string]store.Hits{"p": {Matched: 1, LastAt: at}}) {
				t.Errorf("Hits() = %v, %v, want one of p, counted once", hits, err)
			}
			clients, err := s.Expired(t.Context(), at.Add(24*time.Hour), 10)
			if err != nil || !reflect.DeepEqual(clients, listedClients) {
				t.Errorf("Expired() = %.2000v, %v, want %.2000v", clients, err, listedClients)
			}
			u := s.Begin()
			if got, err := u.ClientCount(t.Context(), "a.example", nil); err != nil || got.Total != 3 || got.PerDomain != 2 {
				t.Errorf("ClientCount() = %+v, %v, want 3 in all, 2 of the domain", got, err)
			}
			if seen, err := u.FirstSeen(t.Context(), "a.example"); err != nil || !seen.Equal(at) {
				t.Errorf("FirstSeen() = %v, %v, want the earlier of its clients, %v", seen, err, at)
			}
			u.PutBlock(broker.Block{Kind: broker.BlockHost, Value: "h"})
			u.PutHold(store.Hold{ID: "h"})
			u.PutRefresh(store.Refresh{Hash: "r", KeepUntil: at})
			u.PutAccess(store.Access{Key: "k", ExpiresAt: at})
			u.PutGrant(store.Grant{ID: "d", Subject: "alice", ClientID: "c", CreatedAt: at.Add(time.Hour)})
			if err := errors.Join(s.Commit(t.Context(), u), s.Close()); err != nil {
				t.Fatal(err)
			}
			if n := formatOf(t, path); n != 7 {
				t.Errorf("format after opening = %d, want 7", n)
			}
			before := read(t, path)
			s = open(t, path)
			if ids, _ := found(t, s); !reflect.DeepEqual(ids, append([]string{"d"}, wantIDs...)) {
				t.Errorf("after reopening: grants %v, want d before %v", ids, wantIDs)
			}
			if err := s.Close(); err != nil || !bytes.Equal(read(t, path), before) {
				t.Errorf("opening an up to date file changed it, %v", err)
			}
		})
	}
}

// formatOf reads the format number of a closed store.
func formatOf(t *testing.T, path string) int {
	t.Helper()
	var f struct{ Format int }
	edit(t, path, func(tx *bbolt.Tx) error {
		value := tx.Bucket([]byte("meta")).Get([]byte("format"))
		return json.Unmarshal(value[1+binary.Size(uint32(0)):], &f)
	})
	return f.Format
}
