package broker_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/broker/fetch"
)

// look looks at the stored client as the background worker does.
func (w *world) look(frozen ...func(*broker.RequestInput)) *unit {
	w.t.Helper()
	row, _ := w.row()
	facts := w.request.Facts
	facts.RedirectURI, facts.Redirect = redirect, broker.RedirectInput{Kind: "https", Host: "app.example.com", Relation: "same_origin"}
	for _, f := range frozen {
		f(&facts)
	}
	u := w.begin()
	err := w.b.Look(w.t.Context(), u, row, facts)
	if err != nil {
		w.t.Fatalf("Look() = %v", err)
	}
	w.commit(u, err)
	return u
}

// TestSN06Look: what a look in the background finds has the effect of the start
// of a flow, with a record of its own in the same commit.
func TestSN06Look(t *testing.T) {
	for _, tt := range []struct {
		name     string
		onChange string
		find     func(*world)
		outcome  string   // of document.fetched
		reason   string   // of document.fetched
		others   []string // further records, event:outcome
		row      func(broker.Client, broker.Client) bool
	}{
		{"unchanged", "reconsent", func(w *world) {}, "done", "", nil,
			func(before, now broker.Client) bool {
				return now.FetchedAt.After(before.FetchedAt) && now.FreshUntil.Sub(now.FetchedAt) == hour && now.DocumentSHA256 == before.DocumentSHA256
			}},
		{"304", "reconsent", func(w *world) { w.host.body = []byte("not looked at"); w.host.same = true }, "done", "", nil,
			func(before, now broker.Client) bool {
				return now.FetchedAt.After(before.FetchedAt) && string(now.Published) == string(before.Published)
			}},
		{"changed", "reconsent", func(w *world) { w.host.body = document(map[string]any{"scope": "mcp:read"}) }, "done", "", []string{"document.changed:done"},
			func(before, now broker.Client) bool {
				return now.DocumentSHA256 != before.DocumentSHA256 && now.Pending == nil
			}},
		{"the grant's redirect is gone", "accept", func(w *world) {
			w.host.body = document(map[string]any{"redirect_uris": []string{redirect + "2"}})
		}, "done", "", []string{"document.changed:done"},
			func(before, now broker.Client) bool {
				return now.DocumentSHA256 != before.DocumentSHA256 && now.WithdrawnAt.IsZero()
			}},
		{"waiting", "deny", func(w *world) { w.host.body = document(map[string]any{"scope": "mcp:read"}) }, "done", "", []string{"document.changed:held"},
			func(before, now broker.Client) bool {
				return now.DocumentSHA256 == before.DocumentSHA256 && now.Pending != nil && now.FetchedAt.After(before.FetchedAt)
			}},
		{"B24 withdrawn", "reconsent", func(w *world) { w.host.err = gone() }, "refused", "fetch_status", []string{"document.withdrawn:done"},
			func(_, now broker.Client) bool { return !now.WithdrawnAt.IsZero() && now.GoneAt.IsZero() }},
		{"invalid", "reconsent", func(w *world) { w.host.body = []byte("[]") }, "refused", "document_not_json", []string{"document.withdrawn:done"},
			func(_, now broker.Client) bool { return !now.WithdrawnAt.IsZero() }},
		{"trouble", "reconsent", func(w *world) { w.host.err = trouble() }, "refused", "fetch_timeout", nil,
			func(before, now broker.Client) bool {
				return now.WithdrawnAt.IsZero() && now.UsableUntil.Equal(before.UsableUntil) && now.FetchedAt.Equal(before.FetchedAt)
			}},
		{"denied", "reconsent", func(w *world) { w.policy.answer = deny(broker.PhaseURL) }, "refused", "policy_denied", nil,
			func(before, now broker.Client) bool { return now.FetchedAt.Equal(before.FetchedAt) }},
		{"the new one is denied", "reconsent", func(w *world) {
			w.host.body = document(map[string]any{"client_name": "Bank"})
			w.policy.answer = deny(broker.PhaseDocument)
		}, "refused", "policy_denied", []string{"document.withdrawn:done"},
			func(before, now broker.Client) bool {
				return !now.WithdrawnAt.IsZero() && now.DocumentSHA256 == before.DocumentSHA256
			}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.policy.settings.Document.OnChange = tt.onChange
			w.host.valid = fetch.Held{ETag: `"v1"`}
			w.mustAdmit()
			before, _ := w.row()
			w.at(20 * hour)
			w.host.valid = fetch.Held{}
			tt.find(w)
			commits, records, late := w.commits, len(w.records), len(w.later)
			w.look()
			row, _ := w.row()
			if w.commits != commits+1 || len(w.later) != late || !row.LookedAt.Equal(noon.Add(20*hour)) || row.Incarnation != before.Incarnation {
				t.Errorf("%d commits, looked at %v, want one, now", w.commits-commits, row.LookedAt)
			}
			if !tt.row(before, row) {
				t.Errorf("row = %+v", row)
			}
			var others []string
			for _, r := range w.records[records:] {
				if r.Event != "document.fetched" {
					others = append(others, r.Event+":"+r.Outcome)
				} else if r.Outcome != tt.outcome || r.Reason != tt.reason || r.Actor != "" || r.Source != "" {
					t.Errorf("record = %+v, want %s %s of nobody", r, tt.outcome, tt.reason)
				}
			}
			if !slices.Equal(others, tt.others) || len(w.records)-records != len(tt.others)+1 {
				t.Errorf("records beside = %q, want %q", others, tt.others)
			}
		})
	}
}

// A look leaves alone whose document nobody is to fetch, and who is no more
// what it was.
func TestLookAtNobody(t *testing.T) {
	for name, change := range map[string]func(*world, *broker.Client){
		"another life": func(_ *world, row *broker.Client) { row.Incarnation++ },
		"pinned since": func(w *world, _ *broker.Client) {
			w.pins[clientID] = broker.Pin{ID: clientID, Published: document(nil), SHA256: sha(document(nil))}
		},
		"unpinned since": func(_ *world, row *broker.Client) { row.Registration = broker.RegistrationPinned },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.mustAdmit()
			row, _ := w.row()
			stored := row
			change(w, &stored)
			w.rows[clientID] = stored
			w.at(20 * hour)
			hits := w.host.count()
			u := w.begin()
			if err := w.b.Look(t.Context(), u, row, w.request.Facts); err != nil || !u.Empty() || w.host.count() != hits {
				t.Errorf("Look() = %v, staged %v, %d fetches, want nothing", err, u.wrote, w.host.count()-hits)
			}
		})
	}
	t.Run("cimd.admit false", func(t *testing.T) {
		w := newWorld(t)
		w.mustAdmit()
		w.cfg.AdmitOff = true
		w.b = w.newBroker()
		hits := w.host.count()
		if u := w.look(); !u.Empty() || w.host.count() != hits {
			t.Errorf("staged %v, %d fetches", u.wrote, w.host.count()-hits)
		}
	})
	t.Run("H-02 blocked", func(t *testing.T) {
		w := newWorld(t)
		w.mustAdmit()
		w.blocks["url "+clientID] = broker.Block{Kind: broker.BlockURL, Value: clientID, Reason: "bad"}
		hits := w.host.count()
		w.look()
		if _, found := w.row(); found || w.host.count() != hits {
			t.Errorf("row %v, %d fetches, want it ended without", found, w.host.count()-hits)
		}
	})
	t.Run("PF-12 no policy names it", func(t *testing.T) {
		w := newWorld(t)
		w.mustAdmit()
		w.policy.answer = unmatched
		hits := w.host.count()
		w.look()
		if _, found := w.row(); found || w.host.count() != hits {
			t.Errorf("row %v, %d fetches, want it ended without", found, w.host.count()-hits)
		}
	})
}

// Looks spend no budget of strangers, whatever comes of them.
func TestLookSpendsNoBudget(t *testing.T) {
	w := newWorld(t, func(c *broker.Config) {
		c.Budgets = broker.Budgets{PerSource: 1, PerDomain: 1, Total: 2, Concurrent: 1}
	})
	w.mustAdmit()
	w.at(hour)
	w.host.err = trouble()
	for i := range 5 {
		w.at(hour + time.Duration(i)*time.Minute/4)
		w.look()
	}
	w.host.err = nil
	w.rows = map[string]broker.Client{}
	w.at(hour + time.Minute + 20*time.Second) // past any pace, but a minute's budget could not be back
	w.mustAdmit()
}

func TestLookDue(t *testing.T) {
	const day = 24 * hour
	row := broker.Client{ID: clientID, Registration: broker.RegistrationCIMD, FetchedAt: noon, ExpiresAt: noon.Add(100 * day)}
	with := func(change func(*broker.Client)) broker.Client {
		c := row
		change(&c)
		return c
	}
	for _, tt := range []struct {
		name  string
		row   broker.Client
		every time.Duration
		at    time.Duration
		want  bool
	}{
		{"fresh enough", row, day, 20 * hour, false},
		{"a day and an eighth", row, day, 27 * hour, true},
		{"off", row, 0, 50 * day, false},
		{"pinned", with(func(c *broker.Client) { c.Registration = broker.RegistrationPinned }), day, 27 * hour, false},
		{"registered", with(func(c *broker.Client) { c.Registration = broker.RegistrationRegistered }), day, 27 * hour, false},
		{"looked at", with(func(c *broker.Client) { c.LookedAt = noon.Add(20 * hour) }), day, 27 * hour, false},
		{"its life is over", row, day, 100 * day, false},
		{"withdrawn, within the hour", with(func(c *broker.Client) { c.WithdrawnAt, c.LookedAt = noon, noon }), day, hour - 1, false},
		{"withdrawn, an hour ago", with(func(c *broker.Client) { c.WithdrawnAt, c.LookedAt = noon, noon }), day, hour, true},
		{"withdrawn, looked at since", with(func(c *broker.Client) { c.WithdrawnAt, c.LookedAt = noon, noon.Add(hour) }), day, 2 * hour, false},
		{"gone", with(func(c *broker.Client) { c.WithdrawnAt, c.LookedAt, c.GoneAt = noon, noon, noon.Add(hour) }), day, 2 * hour, false},
	} {
		if got := broker.LookDue(tt.row, tt.every, noon.Add(tt.at)); got != tt.want {
			t.Errorf("%s: LookDue() = %v, want %v", tt.name, got, tt.want)
		}
	}
	// A thousand clients that were fetched at one time are not all due at one.
	due := map[time.Duration]int{}
	for i := range 1000 {
		c := row
		c.ID = fmt.Sprintf("https://app%d.example.com/c", i)
		at := 20 * hour
		for !broker.LookDue(c, day, noon.Add(at)) {
			at += 30 * time.Minute
		}
		due[at]++
	}
	for at, n := range due {
		if at < 21*hour || at > 27*hour || n > 150 {
			t.Errorf("%d of 1000 due %v after their fetch, want them spread over 21 to 27 hours", n, at)
		}
	}
	if len(due) < 10 {
		t.Errorf("due at %d times, want them spread", len(due))
	}
}
