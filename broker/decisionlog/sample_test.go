package decisionlog_test

import (
	"strconv"
	"testing"
	"time"

	"guestlist/broker/decisionlog"
)

func TestSample(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		quiet bool
		at    []int // seconds
		want  []bool
	}{
		"one a minute":                  {false, []int{0, 30, 59, 60, 90, 119, 120}, []bool{true, false, false, true, false, false, true}},
		"one without a pause":           {true, []int{0, 30, 59, 60, 90, 149, 209}, []bool{true, false, false, false, false, false, true}},
		"a clock that goes back":        {false, []int{100, 0, 30}, []bool{true, true, false}},
		"a pause of a minute, not less": {true, []int{0, 59, 118, 178}, []bool{true, false, false, true}},
	} {
		s := decisionlog.Sample{Quiet: tt.quiet}
		for i, at := range tt.at {
			if got := s.Pick("k", start.Add(time.Duration(at)*time.Second)); got != tt.want[i] {
				t.Errorf("%s: Pick at %d s = %v, want %v", name, at, got, tt.want[i])
			}
		}
	}
	var s decisionlog.Sample
	picked := 0
	for i := range 20_000 {
		if s.Pick(strconv.Itoa(i), start) {
			picked++
		}
	}
	if picked != 10_000 {
		t.Errorf("%d of 20,000 keys in one period, want 10,000", picked)
	}
	if !s.Pick("new", start.Add(time.Minute)) {
		t.Error("a key of the next period is not picked")
	}
}
