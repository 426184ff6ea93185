//go:build unix

package server_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"guestlist/broker/decisionlog"
	"guestlist/server/servertest"
	"guestlist/store"
)

// unlogged is a store that drops decision records when they are staged: neither
// sealed nor stored, while all else of the program makes and hands on records
// as ever.
type unlogged struct{ store.Store }

// mute is a unit of an unlogged store.
type mute struct{ store.Unit }

func (mute) Append(decisionlog.Record) {}

func (s unlogged) Begin() store.Unit { return mute{s.Store.Begin()} }

func (s unlogged) Commit(ctx context.Context, u store.Unit) error {
	return s.Store.Commit(ctx, u.(mute).Unit)
}

// BenchmarkLogShare measures what the decision log costs a request, in two
// servers that take turns: one as it is, one that drops every record when it is
// staged. Share is the part of the CPU time, in percent, that falls away with
// the records: masking, sealing, compressing, storing, summarising, and what
// that adds to a commit. All CPU time of the process counts, the kernel's for
// it, the committer's and the garbage collector's; waiting for the disk does
// not. What making the record and holding it in the batch costs is in both: see
// BenchmarkRecord of the broker.
//
//	authorize  the client known and fresh, the answer a sign-in page; 128 records go in one
//	           commit of their own, which counts and which the other server has not
//	handler    the same without HTTP around it and without the test's client
//	exchange   a code for tokens: one commit, which both have, with two records;
//	           what the flow before it left in the batch is written first
func BenchmarkLogShare(b *testing.B) {
	b.Run("authorize", func(b *testing.B) {
		turns(b, func(s *bench) func() time.Duration {
			ask := s.get("/authorize", s.Request(client, nil))
			return s.batched(func() { s.wire.do(ask).want(b, http.StatusOK) })
		})
	})
	b.Run("handler", func(b *testing.B) {
		turns(b, func(s *bench) func() time.Duration {
			r := httptest.NewRequest(http.MethodGet, s.Issuer+"/authorize?"+s.Request(client, nil).Encode(), nil)
			return s.batched(func() {
				w := httptest.NewRecorder()
				if s.Handler.ServeHTTP(w, r); w.Code != http.StatusOK {
					b.Fatal(w.Code)
				}
			})
		})
	})
	b.Run("exchange", func(b *testing.B) {
		turns(b, func(s *bench) func() time.Duration {
			return func() time.Duration {
				code := s.flow()
				s.flush()
				began := cpu(b)
				s.exchange(code)
				return cpu(b) - began
			}
		})
	})
}

// batched makes one turn of as many requests as a commit takes records, their
// commit included.
func (s *bench) batched(op func()) func() time.Duration {
	const n = 128
	return func() time.Duration {
		began := cpu(s.b)
		for range n {
			op()
		}
		s.flush()
		return (cpu(s.b) - began) / n
	}
}

// flush writes the records of the batch.
func (s *bench) flush() {
	if err := s.Batch.Flush(s.b.Context()); err != nil {
		s.b.Fatal(err)
	}
}

// turns lets a server with and one without a log take turns.
func turns(b *testing.B, of func(s *bench) func() time.Duration) {
	with, without := of(newBench(b)), of(newBench(b, func(o *servertest.Options) {
		o.Wrap = func(s store.Store) store.Store { return unlogged{s} }
	}))
	var logged, bare time.Duration
	for b.Loop() {
		logged += with()
		bare += without()
	}
	b.ReportMetric(0, "ns/op") // of two servers: means nothing
	b.ReportMetric(float64(logged.Nanoseconds())/float64(b.N), "cpu-ns/logged")
	b.ReportMetric(float64(bare.Nanoseconds())/float64(b.N), "cpu-ns/bare")
	b.ReportMetric(100*float64(logged-bare)/float64(logged), "%share")
}
