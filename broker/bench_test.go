package broker_test

import (
	"testing"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
)

// BenchmarkAdmit is the cost of an admission beside policy, store and network:
// parsing, negotiation, input and record.
func BenchmarkAdmit(b *testing.B) {
	for _, warm := range []bool{true, false} {
		name := "cold"
		if warm {
			name = "warm"
		}
		b.Run(name, func(b *testing.B) {
			w := newWorld(b, func(c *broker.Config) { c.Later = func(decisionlog.Record) error { return nil } })
			p := benchPolicy{w.policy}
			u := w.begin()
			if err := w.b.Activate(b.Context(), p, "bench", "", u, u.commit); err != nil {
				b.Fatal(err)
			}
			if warm {
				u := w.begin()
				if _, err := w.b.Admit(b.Context(), u, w.request); err != nil {
					b.Fatal(err)
				}
				if err := u.commit(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				a, err := w.b.Admit(b.Context(), w.begin(), w.request)
				if err != nil || a.Reused != warm {
					b.Fatalf("Admit() = %v, reused %v, want %v", err, a.Reused, warm)
				}
				w.policy.asked = w.policy.asked[:0]
			}
		})
	}
}

// benchPolicy is another revision of the same policy.
type benchPolicy struct{ *fakePolicy }

func (benchPolicy) Revision() string { return "rev-bench" }

// BenchmarkRecord writes the record of an admission that was decided: of a
// client known and fresh, of one whose document was just fetched, of one whom
// no policy names and of one whom a rule refuses. Seal is what comes after, see
// package decisionlog.
func BenchmarkRecord(b *testing.B) {
	for name, prepare := range map[string]func(w *world){
		"warm":    func(w *world) { w.mustAdmit() },
		"cold":    func(w *world) {},
		"missed":  func(w *world) { w.policy.answer = unmatched },
		"refused": func(w *world) { w.policy.answer = deny(broker.PhaseDocument) },
	} {
		b.Run(name, func(b *testing.B) {
			w := newWorld(b)
			prepare(w)
			write := broker.Author(b.Context(), w.b, w.begin(), w.request)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := write(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
