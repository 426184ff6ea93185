package broker_test

import (
	"strings"
	"testing"
	"time"

	"guestlist/broker"
)

// A request id says when it was given out, to the millisecond, and no two are
// alike (G-01).
func TestRequestIDCarriesItsTime(t *testing.T) {
	at := time.Date(2026, 11, 26, 4, 50, 12, 345_678_901, time.FixedZone("CET", 3600))
	seen := map[string]bool{}
	for range 1000 {
		id := broker.NewRequestID(at)
		if len(id) != 32 || seen[id] {
			t.Fatalf("NewRequestID(%v) = %q, want 32 digits of that moment, each time others", at, id)
		}
		seen[id] = true
		if got, ok := broker.RequestIDTime(id); !ok || !got.Equal(at.Truncate(time.Millisecond)) || got.Location() != time.UTC {
			t.Fatalf("RequestIDTime(%q) = %v, %v, want %v", id, got, ok, at.Truncate(time.Millisecond).UTC())
		}
	}
	if id := broker.NewRequestID(time.UnixMilli(0x0123456789ab)); !strings.HasPrefix(id, "0123456789ab") {
		t.Errorf("NewRequestID = %q, want the milliseconds 0123456789ab first", id)
	}
	for _, id := range []string{"", "r1", strings.Repeat("g", 32), strings.Repeat("A", 32), strings.Repeat("0", 31), strings.Repeat("0", 33), strings.Repeat("0", 34)} {
		if at, ok := broker.RequestIDTime(id); ok {
			t.Errorf("RequestIDTime(%q) = %v, want no request id", id, at)
		}
	}
}
