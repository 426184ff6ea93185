package admin_test

import (
	"context"
	"testing"
	"time"

	"guestlist/broker/decisionlog"
	"guestlist/server/admin"
	"guestlist/store"
)

// meddling is a store in which something happens between what an act looked at
// and its commit, once.
type meddling struct {
	store.Store
	before func()
}

func (m *meddling) Commit(ctx context.Context, u store.Unit) error {
	if before := m.before; before != nil {
		m.before = nil
		before()
	}
	return m.Store.Commit(ctx, u)
}

// G-01: what a hold kept is looked at again when it is dropped, also where
// erasing went past it in the meantime.
func TestDropHoldWhileErasingGoesOn(t *testing.T) {
	var m *meddling
	e := start(t, func(c *admin.Config) {
		m = &meddling{Store: c.Store}
		c.Store = m
	})
	e.log()
	h, err := e.client.Hold(t.Context(), admin.RecordFilter{Since: noon.Add(3 * time.Second)}, "case-7")
	if err != nil {
		t.Fatalf("Hold() = %v", err)
	}
	place := store.RetainPlace(decisionlog.ClassStrangers)
	e.commit(func(u store.Unit) { u.PutCursor(place, 2) })
	m.before = func() { e.commit(func(u store.Unit) { u.PutCursor(place, 6) }) }
	if _, err := e.client.DropHold(t.Context(), h.ID); err != nil || m.before != nil {
		t.Fatalf("DropHold() = %v", err)
	}
	if got, err := e.store.Begin().Cursor(t.Context(), place); err != nil || got > 3 {
		t.Errorf("erasing goes on behind record %d, %v, want before the first one that was held, 4", got, err)
	}
}
