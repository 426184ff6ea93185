package broker_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"guestlist/broker"
)

// preview asks and checks that nothing was staged or recorded.
func (w *world) preview(id string) broker.Preview {
	w.t.Helper()
	u := w.begin()
	records, late, commits := len(w.records), len(w.later), w.commits
	got, err := w.b.Preview(w.t.Context(), u, id)
	if err != nil {
		w.t.Fatalf("Preview(%q) = %v", id, err)
	}
	if !u.Empty() || len(w.records) != records || len(w.later) != late || w.commits != commits {
		w.t.Errorf("Preview(%q) staged %v, %d records", id, u.wrote, len(w.records)+len(w.later)-records-late)
	}
	return got
}

// TestSN19Preview: the server's own order of checks, and how far it came.
func TestSN19Preview(t *testing.T) {
	for _, tt := range []struct {
		name    string
		id      string
		world   func(*world)
		reached string
		reason  broker.Reason
		hits    int
	}{
		{name: "allowed", reached: "document", hits: 1},
		{name: "form", id: "https://app.example.com", reached: "form", reason: broker.ReasonClientIDMalformed},
		{name: "unknown name", id: "app", reached: "known", reason: broker.ReasonClientIDUnknown},
		{name: "H-02 blocked", world: func(w *world) {
			w.blocks["host app.example.com"] = broker.Block{Kind: broker.BlockHost, Value: "app.example.com"}
		},
			reached: "known", reason: broker.ReasonHostBlocked},
		{name: "denied by url", world: func(w *world) { w.policy.answer = deny(broker.PhaseURL) }, reached: "url", reason: broker.ReasonPolicyDenied},
		{name: "nobody names it", world: func(w *world) { w.policy.answer = unmatched }, reached: "url", reason: broker.ReasonNoPolicyMatched},
		{name: "gone", world: func(w *world) { w.host.err = gone() }, reached: "fetch", reason: broker.ReasonFetchStatus, hits: 1},
		{name: "invalid", world: func(w *world) { w.host.body = []byte("{") }, reached: "document", reason: broker.ReasonDocumentNotJSON, hits: 1},
		{name: "denied by document", world: func(w *world) { w.policy.answer = deny(broker.PhaseDocument) }, reached: "document", reason: broker.ReasonPolicyDenied, hits: 1},
	} {
		for _, known := range []bool{false, true} {
			t.Run(tt.name, func(t *testing.T) {
				w := newWorld(t)
				if known {
					w.mustAdmit()
					w.at(time.Minute)
				}
				if tt.world != nil {
					tt.world(w)
				}
				id := clientID
				if tt.id != "" {
					id = tt.id
				}
				hits := w.host.count()
				got := w.preview(id)
				if got.Reached != tt.reached || got.Reason != tt.reason || got.Allowed != (tt.reason == "") || got.ClientID != id {
					t.Errorf("Preview() = %+v, want %s %s", got, tt.reached, tt.reason)
				}
				if n := w.host.count() - hits; n != tt.hits {
					t.Errorf("%d fetches, want %d", n, tt.hits)
				}
				if row, found := w.row(); known && (!found || !row.WithdrawnAt.IsZero()) {
					t.Errorf("row = %+v, want it as it was", row)
				}
			})
		}
	}
}

func TestPreviewTells(t *testing.T) {
	w := newWorld(t)
	w.policy.settings.Document.OnChange = "reapprove"
	first := w.mustAdmit()
	w.host.body = document(map[string]any{"redirect_uris": []string{"http://127.0.0.1/cb", redirect + "2", redirect}, "x_vendor": 1})
	got := w.preview(clientID)
	if !got.Allowed || !got.Known || got.InForce != first.Client.DocumentSHA256 || !got.Waits || !slices.Equal(got.Changes, []string{"redirect_added"}) {
		t.Errorf("Preview() = %+v, want a change that would wait", got)
	}
	if string(got.Published) != string(w.host.body) || got.Provenance.SHA256 != sha(w.host.body) || !slices.Equal(got.Dropped, []string{"x_vendor"}) || got.Document.ClientName != "App" {
		t.Errorf("document: %+v, dropped %q, provenance %+v", got.Document, got.Dropped, got.Provenance)
	}
	// Loopback is off: policy is asked about the first redirect URI that is left.
	if got.Request.RedirectURI != redirect+"2" || got.Request.Redirect.Kind != "https" || len(got.Redirects) != 2 || len(got.Cut) == 0 {
		t.Errorf("asked about %+v, redirects %+v, cut %+v", got.Request, got.Redirects, got.Cut)
	}
	if len(got.Phases) != 2 || !slices.Equal(got.Effective.Scopes, []string{"mcp:read"}) || !slices.Equal(got.Effective.Resources, []string{resource}) || !slices.Equal(got.Settings.Tags, []string{"tag"}) {
		t.Errorf("phases %+v, effective %+v", got.Phases, got.Effective)
	}
	body := document(map[string]any{"client_name": "Pinned"})
	w.pins[clientID] = broker.Pin{ID: clientID, Published: body, SHA256: sha(body)}
	hits := w.host.count()
	if got := w.preview(clientID); got.Registration != broker.RegistrationPinned || got.Document.ClientName != "Pinned" || got.Waits || w.host.count() != hits {
		t.Errorf("Preview() of a pinned client = %+v after %d fetches", got, w.host.count()-hits)
	}
}

// A preview of one whose life is over sees a stranger, and ends nobody.
func TestPreviewOfAnExpiredClient(t *testing.T) {
	w := newWorld(t)
	w.mustAdmit()
	w.at(30 * 24 * hour)
	if got := w.preview(clientID); got.Known || !got.Allowed || got.InForce != "" {
		t.Errorf("Preview() = %+v, want a client nobody knows", got)
	}
	if _, found := w.row(); !found {
		t.Error("a preview ended a client")
	}
}

// Failures of strangers pace a preview too; no budget does.
func TestPreviewIsPaced(t *testing.T) {
	w := newWorld(t, func(c *broker.Config) {
		c.Budgets = broker.Budgets{PerSource: 1, PerDomain: 1, Total: 1, Concurrent: 1}
	})
	for range 3 {
		if got := w.preview(clientID); !got.Allowed {
			t.Errorf("Preview() = %+v", got)
		}
	}
	if n := w.host.count(); n != 3 {
		t.Errorf("%d fetches, want one for each: a preview shows what its host has now", n)
	}
	w.host.err = trouble()
	w.preview(clientID)
	w.preview(clientID)
	hits := w.host.count()
	if got := w.preview(clientID); got.Reason != broker.ReasonFetchPaced || w.host.count() != hits {
		t.Errorf("Preview() after two failures = %+v", got)
	}
}

func TestPreviewWithoutAStore(t *testing.T) {
	w := newWorld(t)
	w.readErr = errors.New("disk on fire")
	if _, err := w.b.Preview(t.Context(), w.begin(), clientID); broker.ReasonOf(err) != broker.ReasonStoreUnavailable {
		t.Errorf("Preview() = %v, want store_unavailable", err)
	}
}
