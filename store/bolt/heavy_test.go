//go:build heavy

package bolt_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/store"
)

// TestHeavyChurn: rounds of clients that come with a grant and a history, end
// and are swept. The file grows to what a round takes and no further (G-15,
// B14).
func TestHeavyChurn(t *testing.T) {
	const rounds, each = 30, 1000
	path := filepath.Join(t.TempDir(), "store.db")
	s := open(t, path)
	now, n := at, 0
	var sizes []int64
	for range rounds {
		for range each / 100 {
			u := s.Begin()
			for range 100 {
				n++
				id := fmt.Sprintf("https://app-%06d.example/oauth/client.json", n*48_271%1_000_003)
				body := fmt.Appendf(nil, `{"client_id":%q,"client_name":"Client","redirect_uris":["http://127.0.0.1/callback"]}`, id)
				u.CreateClient(broker.Client{ID: id, Incarnation: uint64(n), Published: body, Policy: []string{"p"}, CreatedAt: now, ExpiresAt: now.Add(time.Hour)})
				u.PutVersion(broker.Version{ClientID: id, SHA256: id, Published: body, SeenAt: now})
				u.PutGrant(store.Grant{ID: fmt.Sprint(n), ClientID: id, Incarnation: uint64(n), CreatedAt: now, ExpiresAt: now.Add(time.Hour)})
			}
			if err := s.Commit(t.Context(), u); err != nil {
				t.Fatal(err)
			}
		}
		now = now.Add(2 * time.Hour)
		for {
			rows, err := s.Expired(t.Context(), now, 500)
			if err != nil {
				t.Fatal(err)
			}
			if len(rows) == 0 {
				break
			}
			u := s.Begin()
			for _, c := range rows {
				u.EndClient(c.ID, c.Incarnation, now, "client_ended")
			}
			if err := s.Commit(t.Context(), u); err != nil {
				t.Fatal(err)
			}
		}
		now = now.Add(store.SeenKept)
		if swept, err := s.Sweep(t.Context(), now, 10*each); err != nil || swept != 4*each {
			t.Fatalf("Sweep() = %d, %v, want grants, histories and marks of %d clients and hosts", swept, err, each)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, info.Size())
	}
	t.Logf("file after rounds of %d clients, MB: first %.1f, tenth %.1f, last %.1f", each, float64(sizes[0])/1e6, float64(sizes[9])/1e6, float64(sizes[rounds-1])/1e6)
	if sizes[rounds-1] > sizes[9] {
		t.Errorf("the file grew from %d bytes after 10 rounds to %d after %d", sizes[9], sizes[rounds-1], rounds)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := dump(path); err != nil || len(left) > 10 {
		t.Errorf("%d rows are left of %d clients, %v", len(left), rounds*each, err)
	}
}
