package broker_test

import (
	"errors"
	"testing"
	"time"

	"guestlist/broker"
)

const host = "app.example.com"

// TestFirstSeen: what policies read of when a client and its host came first,
// in every phase.
func TestFirstSeen(t *testing.T) {
	day := 24 * time.Hour
	created := func(first time.Time) broker.Client {
		return broker.Client{ID: clientID, Incarnation: 3, CreatedAt: noon.Add(-2 * day), FirstSeen: first, ExpiresAt: noon.Add(-time.Hour), Registration: broker.RegistrationCIMD}
	}
	for _, test := range []struct {
		name         string
		seen         map[string]time.Time
		row          broker.Client // zero: none
		client, host time.Time
	}{
		{"never", nil, broker.Client{}, noon, noon},
		{"host", map[string]time.Time{host: noon.Add(-9 * day)}, broker.Client{}, noon, noon.Add(-9 * day)},
		{"client that ended", map[string]time.Time{host: noon.Add(-9 * day), clientID: noon.Add(-3 * day)}, broker.Client{}, noon.Add(-3 * day), noon.Add(-9 * day)},
		{"host forgotten", map[string]time.Time{clientID: noon.Add(-3 * day)}, broker.Client{}, noon.Add(-3 * day), noon.Add(-3 * day)},
		{"a clock that went back", map[string]time.Time{host: noon.Add(day), clientID: noon.Add(day)}, broker.Client{}, noon, noon},
		{"row that ends now", nil, created(time.Time{}), noon.Add(-2 * day), noon.Add(-2 * day)},
		{"row of a later life", nil, created(noon.Add(-8 * day)), noon.Add(-8 * day), noon.Add(-8 * day)},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			if test.seen != nil {
				w.seen = test.seen
			}
			if test.row.ID != "" {
				w.rows[clientID] = test.row
			}
			cold := w.mustAdmit()
			for _, q := range cold.asked {
				if c := q.Input.Client; c.FirstSeen != test.client || c.HostFirstSeen != test.host || c.AdmittedBefore {
					t.Errorf("phase %s: first seen %v, host %v, admitted before %v; want %v, %v, false", q.Input.Phase, c.FirstSeen, c.HostFirstSeen, c.AdmittedBefore, test.client, test.host)
				}
			}
			row, _ := w.row()
			if !row.Since().Equal(test.client) || !row.CreatedAt.Equal(noon) {
				t.Errorf("row of %v, since %v; want %v, since %v", row.CreatedAt, row.Since(), noon, test.client)
			}
			delete(w.seen, clientID)
			w.at(time.Minute)
			refresh := func(r *broker.Request) { person(nil)(r); r.Refresh = &broker.Refresh{} }
			for _, q := range append(w.mustAdmit().asked, w.mustAdmit(refresh).asked...) {
				if c := q.Input.Client; c.FirstSeen != test.client {
					t.Errorf("a minute later, phase %s: first seen %v, want %v", q.Input.Phase, c.FirstSeen, test.client)
				}
			}
		})
	}
}

// A store that cannot tell lets nobody in.
func TestFirstSeenUnreadable(t *testing.T) {
	w := newWorld(t)
	w.seenErr = errors.New("gone")
	w.refused(w.admit(), broker.ReasonStoreUnavailable)
	if n := w.host.count(); n != 0 {
		t.Errorf("%d fetches, want none", n)
	}
}
