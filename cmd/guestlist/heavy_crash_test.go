//go:build heavy

package main

import (
	"testing"
	"time"
)

// TestHeavyProgramKilled (PF-38) is TestProgramKilled 50 times, on five stores.
func TestHeavyProgramKilled(t *testing.T) {
	acts := map[string]int{}
	for i := range uint64(5) {
		c := newCrash(t, uint64(time.Now().UnixNano())+i)
		if c.rounds(10); t.Failed() {
			return
		}
		for what, n := range c.acts {
			acts[what] += n
		}
	}
	for _, what := range []string{
		"active", "not active", "refreshed", "refreshed after a lost answer", "reuse detected", "revoked", "access token revoked", "blocked", "activated",
		"refused after its end",
	} {
		if acts[what] == 0 {
			t.Errorf("never: %s, in %v", what, acts)
		}
	}
}
