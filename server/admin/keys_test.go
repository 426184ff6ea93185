package admin_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"guestlist/server/admin"
	"guestlist/store"
)

func TestRotateIsRecordedWithItsActor(t *testing.T) {
	var e *env
	var asked string
	var before []string
	e = start(t, func(c *admin.Config) {
		c.Rotate = func(_ context.Context, purpose string) error {
			asked = purpose
			for _, r := range e.records() {
				before = append(before, r.Event)
			}
			return nil
		}
	})
	if err := e.client.Rotate(context.Background(), "sealing"); err != nil {
		t.Fatalf("Rotate() = %v, want no error", err)
	}
	if asked != "sealing" || strings.Join(before, " ") != "keys.rotation_asked" {
		t.Errorf("rotated %q after the records %q, want sealing after keys.rotation_asked", asked, before)
	}
	records := e.records()
	if len(records) != 2 {
		t.Fatalf("%d records, want 2", len(records))
	}
	for i, event := range []string{"keys.rotation_asked", "keys.rotated"} {
		r := records[i]
		if r.Event != event || r.Outcome != "done" || r.Actor != me(t) || !r.Timestamp.Equal(noon) || !strings.Contains(r.Detail, "sealing") || r.DecisionID == "" {
			t.Errorf("record %d = %+v, want %s of sealing by %s", i, r, event, me(t))
		}
	}
}

func TestRotateThatFailsIsNotRecordedAsDone(t *testing.T) {
	e := start(t, func(c *admin.Config) {
		c.Rotate = func(context.Context, string) error { return errors.New("the pseudonym key is never rotated") }
	})
	err := e.client.Rotate(context.Background(), "pseudonym\n"+strings.Repeat("x", 1000))
	var r *admin.Refusal
	if !errors.As(err, &r) || r.Status != 422 || !strings.Contains(r.Text, "never rotated") {
		t.Errorf("Rotate() = %v, want 422 with the reason", err)
	}
	records := e.records()
	if len(records) != 1 || records[0].Event != "keys.rotation_asked" || len(records[0].Detail) > 60 || strings.Contains(records[0].Detail, "\n") {
		t.Errorf("records = %+v, want one keys.rotation_asked with a short detail", records)
	}
}

func TestRotateWithoutRecordDoesNothing(t *testing.T) {
	called := false
	e := start(t, func(c *admin.Config) {
		c.Store = unwritable{c.Store}
		c.Rotate = func(context.Context, string) error { called = true; return nil }
	})
	if status, _, _ := e.raw("POST", "/v1/keys/rotate?purpose=signing"); status != 503 || called {
		t.Errorf("rotate = %d, called %v; want 503 and not called", status, called)
	}
}

// full is a store that takes no more once it is said to be full.
type full struct {
	store.Store
	now *bool
}

func (f full) Commit(ctx context.Context, u store.Unit) error {
	if *f.now {
		return store.ErrUnavailable
	}
	return f.Store.Commit(ctx, u)
}

func TestRotateWhoseOutcomeIsNotRecordedSaysSo(t *testing.T) {
	now := false
	e := start(t, func(c *admin.Config) {
		c.Store = full{c.Store, &now}
		c.Rotate = func(context.Context, string) error { now = true; return nil }
	})
	if status, _, text := e.raw("POST", "/v1/keys/rotate?purpose=signing"); status != 503 || !strings.Contains(text, "the signing key is rotated, but") {
		t.Errorf("rotate = %d %q, want 503 that says the key is rotated", status, text)
	}
}

func TestRotateRequestsAreStrict(t *testing.T) {
	able := start(t, func(c *admin.Config) { c.Rotate = func(context.Context, string) error { return nil } })
	unable := start(t, nil)
	for _, test := range []struct {
		name           string
		e              *env
		method, target string
		status         int
	}{
		{"good", able, "POST", "/v1/keys/rotate?purpose=signing", 200},
		{"by GET", able, "GET", "/v1/keys/rotate?purpose=signing", 405},
		{"no purpose", able, "POST", "/v1/keys/rotate", 400},
		{"two purposes", able, "POST", "/v1/keys/rotate?purpose=signing&purpose=sealing", 400},
		{"unknown parameter", able, "POST", "/v1/keys/rotate?purpose=signing&at=now", 400},
		{"not offered", unable, "POST", "/v1/keys/rotate?purpose=signing", 404},
	} {
		if status, _, text := test.e.raw(test.method, test.target); status != test.status {
			t.Errorf("%s: %s %s = %d %q, want %d", test.name, test.method, test.target, status, text, test.status)
		}
	}
}

func TestNoServerIsToldApart(t *testing.T) {
	socket := filepath.Join(shortDir(t), "s")
	err := admin.NewClient(socket).Rotate(context.Background(), "signing")
	var none *admin.NoServer
	if !errors.As(err, &none) || none.Socket != socket {
		t.Errorf("Rotate() = %v, want a NoServer for %s", err, socket)
	}
	e := start(t, nil)
	if err := e.client.Rotate(context.Background(), "signing"); errors.As(err, &none) || err == nil {
		t.Errorf("Rotate() of a server that cannot = %v, want another error than NoServer", err)
	}
}
