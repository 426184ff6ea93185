package bolt_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/store"
)

// BenchmarkCommit commits a client of 1 KiB with its record from 1, 8 and 64
// writers. Compare it with BenchmarkDurableWrite of the same run.
func BenchmarkCommit(b *testing.B) {
	for _, writers := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			s := open(b, filepath.Join(b.TempDir(), "store.db"))
			var n atomic.Int64
			// RunParallel starts parallelism times GOMAXPROCS goroutines.
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(min(writers, runtime.GOMAXPROCS(0))))
			b.SetParallelism(max(1, writers/runtime.GOMAXPROCS(0)))
			syncs := s.Syncs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					id := fmt.Sprintf("https://app.example/%d", n.Add(1))
					u := s.Begin()
					u.CreateClient(broker.Client{ID: id, Incarnation: 1, Published: bytes.Repeat([]byte("x"), 300)})
					u.Append(decisionlog.Record{DecisionID: id, ClientID: id, RequestID: id, Detail: strings.Repeat("d", 300)})
					if err := s.Commit(context.Background(), u); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/float64(s.Syncs()-syncs), "units/sync")
		})
	}
}

// BenchmarkDurableWrite is what the disk takes for one write of 1 KiB that is
// synced.
func BenchmarkDurableWrite(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "raw"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	kib := bytes.Repeat([]byte("x"), 1024)
	for b.Loop() {
		if _, err := f.WriteAt(kib, 0); err != nil {
			b.Fatal(err)
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkClient reads one of 10,000 clients.
func BenchmarkClient(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "store.db"))
	u := s.Begin()
	id := func(i int) string { return fmt.Sprintf("https://app.example/%d", i) }
	for i := range 10_000 {
		u.CreateClient(broker.Client{ID: id(i), Incarnation: 1, Published: bytes.Repeat([]byte("x"), 500), ExpiresAt: time.Unix(1, 0)})
	}
	if err := s.Commit(context.Background(), u); err != nil {
		b.Fatal(err)
	}
	var read store.Unit = s.Begin()
	for i := 0; b.Loop(); i++ {
		if _, ok, err := read.Client(context.Background(), id(i%10_000)); err != nil || !ok {
			b.Fatal(ok, err)
		}
	}
}
