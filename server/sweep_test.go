package server_test

import (
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/server/servertest"
	"guestlist/store"
)

// TestSweepEndsClientsNobodyMeets is PF-13: a client that is never met again
// does not stay, and its end has a record; one that lives is left alone.
func TestSweepEndsClientsNobodyMeets(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, servertest.Options{})
	s.Docs.Publish(client, nil)
	s.Browser().Authorize(s.Request(client, nil))
	sweep := func() int {
		t.Helper()
		rows, err := s.Store.Expired(t.Context(), s.Clock.Now(), 500)
		check(t, err)
		u := s.Store.Begin()
		n, err := s.Broker.Sweep(t.Context(), u, rows)
		check(t, err)
		check(t, s.Store.Commit(t.Context(), u))
		return n
	}
	row, _, err := s.Store.Begin().Client(t.Context(), client)
	check(t, err)
	s.Clock.Advance(row.ExpiresAt.Sub(s.Clock.Now()) - time.Nanosecond)
	if n := sweep(); n != 0 {
		t.Errorf("%d swept just before the end, want none", n)
	}
	s.Clock.Advance(time.Nanosecond)
	if n := sweep(); n != 1 {
		t.Errorf("%d swept at the end, want one", n)
	}
	if _, found, err := s.Store.Begin().Client(t.Context(), client); found || err != nil {
		t.Errorf("the row is still there: %v (%v)", found, err)
	}
	if r := s.Records(store.RecordQuery{Event: "client.expired"}); len(r) != 1 || r[0].Reason != string(broker.ReasonClientEnded) {
		t.Errorf("records = %+v, want one client.expired", r)
	}
}
