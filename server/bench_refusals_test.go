package server_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/server/servertest"
)

// BenchmarkRefusal compares a refusal that is counted in a flood with one that
// has a record of its own, the writing of both included, and says what a Batch
// costs where 8 callers are refused at once.
func BenchmarkRefusal(b *testing.B) {
	const round = 256
	single, flood := newRefuser(b), newRefuser(b)
	for i := range 2000 { // until it counts
		flood.refuse("192.0.2.1", i)
	}
	var one, counted time.Duration
	for b.Loop() {
		one += single.timed(b, round, func(i int) string {
			single.Clock.Advance(20 * time.Millisecond)
			return fmt.Sprintf("192.0.2.%d", i)
		})
		counted += flood.timed(b, round, func(int) string { return "192.0.2.1" })
	}
	n := float64(b.N) * round
	b.ReportMetric(float64(one)/n, "ns/single")
	b.ReportMetric(float64(counted)/n, "ns/counted")
	b.ReportMetric(float64(counted)/float64(one), "counted/single")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkRefusalAdded is the Batch's part of a refusal in a flood, with its
// lock, from 8 goroutines for each core.
func BenchmarkRefusalAdded(b *testing.B) {
	s := newRefuser(b)
	r := refusedRecord(s)
	b.SetParallelism(8)
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if err := s.Batch.Add(r); err != nil {
				b.Error(err)
			}
		}
	})
}

// refuser is a server that refuses all.
type refuser struct{ *servertest.Server }

func newRefuser(b *testing.B) refuser {
	return refuser{servertest.New(b, servertest.Options{Policy: policy(), Log: io.Discard})}
}

// refuse answers one request of a stranger.
func (s refuser) refuse(source string, i int) {
	q := s.Request(fmt.Sprintf("https://h%d.nobody.example/c", i), nil)
	serveFrom(s.Server, httptest.NewRequest(http.MethodGet, s.Issuer+"/authorize?"+q.Encode(), nil), source)
}

// timed refuses n requests and writes what they leave.
func (s refuser) timed(b *testing.B, n int, source func(i int) string) time.Duration {
	began := time.Now()
	for i := range n {
		s.refuse(source(i), i)
	}
	if err := s.Batch.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}

// refusedRecord is the record of a refusal.
func refusedRecord(s refuser) decisionlog.Record {
	at := s.Clock.Now()
	return decisionlog.Record{
		DecisionID: broker.NewID(), Timestamp: at, Event: decisionlog.EventRequestRefused, Outcome: decisionlog.OutcomeRefused,
		Reason: string(broker.ReasonNoPolicyMatched), RequestID: broker.NewRequestID(at), Source: "192.0.2.1",
	}
}
