package decisionlog_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"guestlist/broker/decisionlog"
)

// fired is a record as the program writes it, from the golden files.
func fired(b testing.TB, event string) decisionlog.Record {
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
	return r
}

// BenchmarkSeal seals the record of an admission, of a token and of an act, as
// a store does: one after the other.
// Bytes are those of header and body, before the store compresses them.
func BenchmarkSeal(b *testing.B) {
	for _, event := range []string{decisionlog.EventAdmissionDecided, decisionlog.EventTokenIssued, decisionlog.EventClientBlocked} {
		b.Run(event, func(b *testing.B) {
			r := fired(b, event)
			var sealer decisionlog.Sealer
			var s decisionlog.Sealed
			var err error
			b.ReportAllocs()
			for b.Loop() {
				if s, err = sealer.Seal(1_000_000, r); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(s.Header)+len(s.Body)), "bytes")
		})
	}
}

// BenchmarkView shows a sealed record of an admission in each view.
func BenchmarkView(b *testing.B) {
	s, err := decisionlog.Seal(1_000_000, fired(b, decisionlog.EventAdmissionDecided))
	if err != nil {
		b.Fatal(err)
	}
	for _, name := range decisionlog.Views() {
		write, err := decisionlog.View(name)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := write(s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
