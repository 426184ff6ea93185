package store_test

import (
	"errors"
	"fmt"
	"testing"

	"guestlist/broker"
	"guestlist/store"
)

// staged is a unit of which only that matters, whether something is staged.
type staged struct {
	store.Unit
	empty bool
}

func (s *staged) Empty() bool { return s.empty }

// TestStep: a lost spend is final, a conflict is not, and half a step is never
// committed (design §7).
func TestStep(t *testing.T) {
	refused := broker.Refuse(broker.ReasonPolicyDenied, "no")
	spent, conflict := fmt.Errorf("code: %w", broker.ErrSpent), fmt.Errorf("epoch: %w", broker.ErrConflict)
	down := fmt.Errorf("disk: %w", store.ErrUnavailable)
	for name, tt := range map[string]struct {
		result       error   // of the step
		empty        bool    // it stages nothing
		commits      []error // what commits say, in order
		runs, writes int
		lost         error
	}{
		"done":                     {commits: []error{nil}, runs: 1, writes: 1},
		"refused, and ended":       {result: refused, commits: []error{nil}, runs: 1, writes: 1},
		"nothing staged":           {result: refused, empty: true, runs: 1},
		"a lost spend":             {commits: []error{spent}, runs: 1, writes: 1, lost: spent},
		"a conflict":               {commits: []error{conflict, nil}, runs: 2, writes: 2},
		"a conflict, then a spend": {commits: []error{conflict, spent}, runs: 2, writes: 2, lost: spent},
		"conflicts":                {commits: []error{conflict, conflict, conflict}, runs: store.Tries, writes: store.Tries, lost: conflict},
		"no disk":                  {commits: []error{down}, runs: 1, writes: 1, lost: down},
		"no reading":               {result: down, runs: 1},
		"no reading, as a refusal": {result: &broker.Error{Reason: broker.ReasonStoreUnavailable, Err: errors.New("x")}, runs: 1},
	} {
		runs, writes := 0, 0
		units := map[store.Unit]bool{}
		result, lost := store.Step(func() store.Unit { return &staged{empty: tt.empty} }, func(u store.Unit) error {
			writes++
			if !units[u] || writes > len(tt.commits) {
				return errors.New("committed what was not run, or once too often")
			}
			return tt.commits[writes-1]
		}, func(u store.Unit) error {
			if runs++; units[u] {
				t.Errorf("%s: run again on the same unit", name)
			}
			units[u] = true
			return tt.result
		})
		if result != tt.result || lost != tt.lost || runs != tt.runs || writes != tt.writes {
			t.Errorf("%s: Step = %v, lost %v, after %d runs and %d commits, want %v, %v, %d and %d", name, result, lost, runs, writes, tt.result, tt.lost, tt.runs, tt.writes)
		}
	}
}
