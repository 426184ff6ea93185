//go:build heavy

package server_test

import (
	"testing"
	"time"
)

// TestHeavyKilled (PF-38) is TestKilled 200 times.
func TestHeavyKilled(t *testing.T) {
	l := newLoop(t, uint64(time.Now().UnixNano()), false)
	l.rounds(200)
	for _, point := range points {
		if l.reached[point] == 0 {
			t.Errorf("seed %d: no round ended at the point %s", l.seed, point)
		}
	}
}
