package main

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"guestlist/broker"
	"guestlist/server/servertest"
	"guestlist/store"
)

// lookWorld is a server with one client that has a live grant of 90 days.
func lookWorld(t *testing.T) (*servertest.Server, *looker, string) {
	t.Helper()
	const client = "https://client.example.com/oauth/client.json"
	s := servertest.New(t, servertest.Options{Policy: map[string]string{"p.rego": `# METADATA
# title: Example
# authors: [Team <team@corp.example>]
package admission.policies.example

client_ids := {"https://client.example.com/**"}

settings := {
	"scopes": {"ceiling": ["mcp:read"]},
	"redirect": {"loopback": true},
	"grant_types": ["authorization_code", "refresh_token"],
	"refresh_token": {"issue": true, "ttl": "90d", "idle": "90d"},
	"client_ttl": "90d",
}
`}})
	s.Docs.Publish(client, map[string]any{"grant_types": []string{"authorization_code", "refresh_token"}})
	p := s.Browser().Play(s.Request(client, nil))
	if status, answer, _ := s.Token(s.Exchange(client, p, nil)); status != http.StatusOK {
		t.Fatalf("token: %d %v", status, answer)
	}
	l := &looker{store: s.Store, broker: s.Broker, every: 24 * time.Hour, now: s.Clock.Now, log: zerolog.New(failing{t})}
	return s, l, client
}

// failing is a log that must stay empty.
type failing struct{ t *testing.T }

// Write implements io.Writer.
func (f failing) Write(p []byte) (int, error) {
	f.t.Errorf("logged %s", p)
	return len(p), nil
}

// TestSN06BackgroundLook: a document that nobody asks for is looked at about
// once a day, a withdrawn one again an hour later, and that of a client without
// a live grant never.
func TestSN06BackgroundLook(t *testing.T) {
	s, l, client := lookWorld(t)
	for _, step := range []struct {
		name    string
		advance time.Duration
		status  int
		hits    int
	}{
		{"fresh", time.Hour, 0, 0},
		{"more than a day later", 27 * time.Hour, 0, 1},
		{"soon after", time.Hour, 0, 0},
		{"the next day, withdrawn", 27 * time.Hour, http.StatusNotFound, 1},
		{"within the hour", 30 * time.Minute, http.StatusNotFound, 0},
		{"an hour later", 30 * time.Minute, http.StatusNotFound, 1},
		{"soon after", time.Hour, http.StatusNotFound, 0},
		{"the next day", 27 * time.Hour, http.StatusNotFound, 1},
	} {
		s.Clock.Advance(step.advance)
		if step.status != 0 {
			s.Docs.Set(client, servertest.Answer{Status: step.status})
		}
		hits := s.Docs.Total()
		if err := l.round(t.Context()); err != nil {
			t.Fatalf("%s: round() = %v", step.name, err)
		}
		if n := s.Docs.Total() - hits; n != step.hits {
			t.Errorf("%s: %d fetches, want %d", step.name, n, step.hits)
		}
	}
	row, found, err := s.Store.Begin().Client(t.Context(), client)
	if err != nil || !found || row.GoneAt.IsZero() {
		t.Errorf("row = %+v, %v, %v, want it gone", row, found, err)
	}
	if r := s.Records(store.RecordQuery{Event: "document.withdrawn"}); len(r) != 2 {
		t.Errorf("%d records document.withdrawn, want two", len(r))
	}
	grants, err := s.Store.Grants(t.Context(), store.GrantQuery{ClientID: client})
	if err != nil || len(grants) != 1 {
		t.Fatalf("grants = %v, %v", grants, err)
	}
	u := s.Store.Begin()
	u.EndGrant(grants[0].ID, s.Clock.Now(), "consent_withdrawn")
	if err := s.Store.Commit(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	s.Clock.Advance(48 * time.Hour)
	hits := s.Docs.Total()
	if err := l.round(t.Context()); err != nil || s.Docs.Total() != hits {
		t.Errorf("without a live grant: %v, %d fetches, want none", err, s.Docs.Total()-hits)
	}
}

// roundsOnly is a store with more clients than one round goes through, whose
// time has not come.
type roundsOnly struct {
	store.Store
	room  broker.Room
	after []string
}

// Room implements store.Store.
func (r *roundsOnly) Room() broker.Room { return r.room }

// Clients implements store.Store.
func (r *roundsOnly) Clients(_ context.Context, q store.ClientQuery) ([]broker.Client, error) {
	r.after = append(r.after, q.After)
	rows := make([]broker.Client, q.Limit)
	rows[len(rows)-1].ID = string(rune('a' + len(r.after) - 1))
	return rows, nil
}

// TestLookOff: off is off, and run looks a few rounds each minute until it is
// told to stop.
func TestLookOff(t *testing.T) {
	l := &looker{}
	l.run(t.Context()) // returns at once
	synctest.Test(t, func(t *testing.T) {
		w := &roundsOnly{}
		l := &looker{store: w, every: time.Hour, now: time.Now, log: zerolog.Nop()}
		go l.run(t.Context())
		time.Sleep(lookEvery*3 + time.Second)
		synctest.Wait()
		if got := strings.Join(w.after, ","); got != ",a,b,c,d,e,f,g,h,i,j,k" {
			t.Errorf("rounds began behind %q, want each where the last one ended", got)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		w := &roundsOnly{room: broker.RoomForEnds}
		go (&looker{store: w, every: time.Hour, now: time.Now, log: zerolog.Nop()}).run(t.Context())
		time.Sleep(lookEvery*3 + time.Second)
		synctest.Wait()
		if len(w.after) != 0 {
			t.Errorf("%d rounds where the store is short of room, want none", len(w.after))
		}
	})
}
