package broker

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"guestlist/broker/cimd"
)

// TestRereadIsBounded: strangers cannot make the program keep more than
// maxReread, from many goroutines at once.
func TestRereadIsBounded(t *testing.T) {
	r := &reread{}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 60 {
				raw := fmt.Sprintf("https://app%d.example.com/%d", i, g)
				id, err := cimd.Parse(raw)
				if err != nil {
					t.Error(err)
					return
				}
				body := fmt.Appendf(nil, `{"client_id": %q, "client_name": "n", "redirect_uris": ["https://app%d.example.com/cb"], "x": %q}`, raw, i, strings.Repeat("x", 30<<10))
				for range 2 {
					if p, err := r.document(body, id, cimd.ProfileMCP); err != nil || p.Document.ClientID != raw {
						t.Errorf("document() = %q, %v, want %q", p.Document.ClientID, err, raw)
					}
				}
			}
		})
	}
	wg.Wait()
	if n := len(r.parsed) * (30 << 10); r.bytes > maxReread || n > maxReread || len(r.parsed) == 0 {
		t.Errorf("kept %d documents, %d bytes counted, want at most %d", len(r.parsed), r.bytes, maxReread)
	}
}
