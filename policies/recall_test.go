package policies_test

import (
	"sync"
	"testing"

	"guestlist/broker"
)

// TestRecallAnswersOnlyTheSameQuestion asks one set, which remembers, the
// questions that a fresh set, which does not, answers too.
func TestRecallAnswersOnlyTheSameQuestion(t *testing.T) {
	f := one(admits + `
deny contains {"code": "late", "message": "closed"} if input.clock.hour > 20

deny_document contains {"code": "n", "message": sprintf("n is %v", [input.published.n])} if input.published.n > 0

deny_user contains {"code": "who", "message": input.user.sub} if input.user.sub != "alice"
`)
	hour := func(h int) func(*broker.Query) { return func(q *broker.Query) { q.Input.Clock.Hour = h } }
	published := func(n any) func(*broker.Query) {
		return func(q *broker.Query) { q.Input.Published = map[string]any{"n": n} }
	}
	sub := func(s string) func(*broker.Query) { return func(q *broker.Query) { q.Input.User.Sub = s } }
	set := load(t, f)
	for i, changes := range [][]func(*broker.Query){
		{hour(12)}, {hour(21)}, {hour(21)}, {hour(22)}, {hour(12)},
		{published(1)}, {published(1.5)}, {published(-1)}, {published(1)}, {published("1")}, {published(0)},
		{published(0), sub("bob")}, {published(0), sub("carol")}, {published(0), sub("carol")}, {published(0), sub("alice")},
	} {
		for _, phase := range []broker.Phase{broker.PhaseURL, broker.PhaseDocument, broker.PhaseUser} {
			got, want := decide(t, set, example, phase, changes...), decide(t, load(t, f), example, phase, changes...)
			if got.Allowed != want.Allowed || got.Reason != want.Reason || got.Detail != want.Detail || len(got.Denials) != len(want.Denials) {
				t.Errorf("question %d, %s: Decide = %v %s %q, want %v %s %q", i, phase, got.Allowed, got.Reason, got.Detail, want.Allowed, want.Reason, want.Detail)
			}
		}
	}
	var wg sync.WaitGroup
	for _, who := range []string{"alice", "bob"} {
		for range 4 {
			wg.Go(func() {
				for range 50 {
					d := decide(t, set, example, broker.PhaseUser, published(0), sub(who))
					if d.Allowed != (who == "alice") || !d.Allowed && d.Detail != who {
						t.Errorf("Decide for %s = %v, %q", who, d.Allowed, d.Detail)
					}
				}
			})
		}
	}
	wg.Wait()
}
