package bolt_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/store/bolt"
)

// fired is a record as the program writes it, from the golden files, with ids
// of its own.
func fired(b *testing.B, event string) func() decisionlog.Record {
	b.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "testdata", "records", event+".json"))
	if err != nil {
		b.Fatal(err)
	}
	var r decisionlog.Record
	if err := json.Unmarshal(raw, &r); err != nil {
		b.Fatal(err)
	}
	for _, member := range []*json.RawMessage{&r.Settings, &r.Effective, &r.Input, &r.Result} {
		if *member == nil {
			continue
		}
		if err := r.Set(member, *member); err != nil {
			b.Fatal(err)
		}
	}
	return func() decisionlog.Record {
		r := r
		r.DecisionID, r.RequestID, r.Timestamp = broker.NewID(), broker.NewID(), time.Now()
		return r
	}
}

// BenchmarkAppend seals, compresses and stores admissions, one and 128 of them a
// commit. Time and allocations are those of a commit; the CPU time of a record
// has no waiting for the disk in it.
func BenchmarkAppend(b *testing.B) {
	for _, n := range []int{1, 128} {
		b.Run(fmt.Sprintf("records=%d", n), func(b *testing.B) {
			record, s := fired(b, decisionlog.EventAdmissionDecided), open(b, filepath.Join(b.TempDir(), "store.db"))
			b.ReportAllocs()
			began := cpu(b)
			for b.Loop() {
				appendAll(b, s, record, n)
			}
			b.ReportMetric(float64(cpu(b)-began)/float64(b.N*n), "cpu-ns/record")
		})
	}
}

// cpu is the CPU time that this process has used.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// appendAll commits n records at once.
func appendAll(b *testing.B, s *bolt.Store, record func() decisionlog.Record, n int) {
	u := s.Begin()
	for range n {
		u.Append(record())
	}
	if err := s.Commit(context.Background(), u); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkOnFile says what one record takes in a file of 10,000: its pages,
// and those of each index. The file itself is larger by what bbolt reserves.
func BenchmarkOnFile(b *testing.B) {
	for _, event := range []string{decisionlog.EventAdmissionDecided, decisionlog.EventTokenIssued} {
		b.Run(event, func(b *testing.B) {
			const n = 10_000
			for b.Loop() {
				record, path := fired(b, event), filepath.Join(b.TempDir(), "store.db")
				s := open(b, path)
				for range n / 250 {
					appendAll(b, s, record, 250)
				}
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
				reportPages(b, path, n)
			}
		})
	}
}

// reportPages reports the pages of each bucket of the log.
func reportPages(b *testing.B, path string, records float64) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	err = db.View(func(tx *bbolt.Tx) error {
		for _, name := range []string{"records", "records_summary"} {
			pages := tx.Bucket([]byte(name)).Stats()
			b.ReportMetric(float64(pages.LeafAlloc+pages.BranchAlloc)/records, name+"-bytes")
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

// BenchmarkWriters commits a client of 1 KiB from 64 writers, with the record
// of its admission and without one.
func BenchmarkWriters(b *testing.B) {
	for _, logged := range []bool{true, false} {
		b.Run(fmt.Sprintf("log=%v", logged), func(b *testing.B) {
			record, s := fired(b, decisionlog.EventAdmissionDecided), open(b, filepath.Join(b.TempDir(), "store.db"))
			b.SetParallelism(64 / runtime.GOMAXPROCS(0))
			began, syncs, n := cpu(b), s.Syncs(), atomic.Int64{}
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					u := s.Begin()
					u.CreateClient(broker.Client{ID: fmt.Sprintf("https://app.example/%d", n.Add(1)), Incarnation: 1, Published: bytes.Repeat([]byte("x"), 300)})
					if logged {
						u.Append(record())
					}
					if err := s.Commit(context.Background(), u); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(cpu(b)-began)/float64(b.N), "cpu-ns/op")
			b.ReportMetric(float64(b.N)/float64(s.Syncs()-syncs), "units/sync")
		})
	}
}
