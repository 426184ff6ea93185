package broker_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"guestlist/broker"
)

// adding is the harmless document with one more redirect URI and without one
// of the two it had.
func adding() map[string]any {
	return map[string]any{"redirect_uris": []string{redirect + "2", redirect}}
}

// TestSN22ReapproveKeepsTheOldSet is SN-22, G-08: what a document adds waits,
// what it takes away is gone, and approval puts it in force.
func TestSN22ReapproveKeepsTheOldSet(t *testing.T) {
	w := newWorld(t)
	w.policy.settings.Document.OnChange = "reapprove"
	w.policy.settings.Redirect.Loopback = true
	first := w.mustAdmit()
	w.at(hour)
	w.host.body = document(adding())
	ask := func(uri string) outcome {
		return w.admit(func(r *broker.Request) { r.RedirectURI = &uri })
	}
	// Asked for what is not approved: refused, and the change is kept.
	o := ask(redirect + "2")
	w.refused(o, broker.ReasonRedirectMismatch)
	row, _ := w.row()
	if row.Pending == nil || row.Pending.SHA256 != sha(w.host.body) || !row.Pending.SeenAt.Equal(noon.Add(hour)) ||
		!slices.Equal(row.Pending.Changes, []string{"redirect_added", "redirect_removed"}) || o.commits != 1 {
		t.Fatalf("pending = %+v in %d commits", row.Pending, o.commits)
	}
	if row.DocumentSHA256 != first.Client.DocumentSHA256 || !row.FetchedAt.Equal(noon.Add(hour)) || row.Incarnation != first.Client.Incarnation {
		t.Errorf("row = %+v, want the approved document in force, seen now", row)
	}
	// The same again costs neither a fetch nor a commit.
	if o := ask(redirect + "2"); o.reason != broker.ReasonRedirectMismatch || o.hits != 0 || o.commits != 0 {
		t.Errorf("the same again: %v, %d fetches, %d commits", o.err, o.hits, o.commits)
	}
	w.refused(ask("http://127.0.0.1:5000/cb"), broker.ReasonRedirectMismatch) // taken away
	if o := ask(redirect); o.err != nil || !slices.Equal(o.Client.Document.RedirectURIs, []string{redirect}) {
		t.Errorf("what both list: %v, redirects %q", o.err, o.Client.Document.RedirectURIs)
	}
	// A later fetch of the same leaves when it was first seen.
	w.at(3 * hour)
	if o := ask(redirect); o.err != nil || o.hits != 1 || len(o.others) != 0 {
		t.Errorf("refetch: %v, %d fetches, records %v", o.err, o.hits, o.others)
	}
	if row, _ := w.row(); !row.Pending.SeenAt.Equal(noon.Add(hour)) {
		t.Errorf("first seen %v", row.Pending.SeenAt)
	}
	if _, err := w.approve(strings.Repeat("0", 64)); broker.ReasonOf(err) != broker.ReasonDocumentChanged {
		t.Errorf("Approve() of another digest = %v", err)
	}
	got, err := w.approve(row.Pending.SHA256)
	if err != nil || got.SHA256 != row.Pending.SHA256 || got.Before != first.Client.DocumentSHA256 || !slices.Equal(got.Changes, row.Pending.Changes) {
		t.Fatalf("Approve() = %+v, %v", got, err)
	}
	if o := ask(redirect + "2"); o.err != nil || o.hits != 0 || o.commits != 0 {
		t.Errorf("after approval: %v, %d fetches", o.err, o.hits)
	}
	if len(w.versions) != 2 {
		t.Errorf("%d versions, want two: one waited and came into force", len(w.versions))
	}
	if _, err := w.approve(""); broker.ReasonOf(err) != broker.ReasonNothingWaits {
		t.Errorf("Approve() of nothing = %v", err)
	}
}

// What waits follows its host: replaced when it changes again, dropped when it
// goes back or the document is withdrawn, in force when policy lets it.
func TestPendingFollowsItsHost(t *testing.T) {
	for _, tt := range []struct {
		name    string
		then    func(*world)
		pending string // SHA-256; empty: none
		force   string
	}{
		{"another", func(w *world) {
			w.host.body = document(map[string]any{"scope": "a", "redirect_uris": []string{redirect, redirect + "3"}})
		},
			sha(document(map[string]any{"scope": "a", "redirect_uris": []string{redirect, redirect + "3"}})), sha(document(nil))},
		{"back", func(w *world) { w.host.body = document(nil) }, "", sha(document(nil))},
		{"withdrawn", func(w *world) { w.host.err = gone() }, "", sha(document(nil))},
		{"trouble", func(w *world) { w.host.err = trouble() }, sha(document(adding())), sha(document(nil))},
		{"policy lets it", func(w *world) { w.policy.settings.Document.OnChange = "reconsent" }, "", sha(document(adding()))},
		{"policy lets it, in trouble", func(w *world) {
			w.policy.settings.Document.OnChange = "accept"
			w.host.err = trouble()
		}, "", sha(document(adding()))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.policy.settings.Document.OnChange = "reapprove"
			w.mustAdmit()
			w.at(hour)
			w.host.body = document(adding())
			w.mustAdmit()
			w.at(2 * hour)
			tt.then(w)
			w.admit()
			row, _ := w.row()
			pending := ""
			if row.Pending != nil {
				pending = row.Pending.SHA256
			}
			if pending != tt.pending || row.DocumentSHA256 != tt.force {
				t.Errorf("pending %q, in force %q, want %q, %q", pending, row.DocumentSHA256, tt.pending, tt.force)
			}
		})
	}
}

// Approving a document that stops the client lets flows go on, and older
// grants with them.
func TestApproveOfMovedKeys(t *testing.T) {
	w := keyWorld(t)
	w.policy.settings.Document.OnChange = "deny"
	w.host.body = document(keyed(nil))
	w.mustAdmit()
	w.at(hour)
	w.host.body = document(keyed(map[string]any{"jwks": keySet(map[string]map[string]any{"b": keyTwo})}))
	w.refused(w.admit(), broker.ReasonDocumentChanged)
	w.refused(w.admit(person(nil)), broker.ReasonDocumentChanged)
	got, err := w.approve("")
	if err != nil || !slices.Equal(got.Changes, []string{"keys_moved"}) {
		t.Fatalf("Approve() = %+v, %v", got, err)
	}
	w.mustAdmit()
	w.mustAdmit(person(nil))
	if row, _ := w.row(); !row.KeysChangedAt.IsZero() {
		t.Errorf("keys changed at %v after approval, want never", row.KeysChangedAt)
	}
}

// A host that goes back to what was approved has changed nothing.
func TestHostGoesBack(t *testing.T) {
	w := newWorld(t)
	w.policy.settings.Document.OnChange = "deny"
	w.mustAdmit()
	w.at(hour)
	w.host.body = document(adding())
	w.refused(w.admit(), broker.ReasonDocumentChanged)
	w.at(2 * hour)
	w.host.body = document(nil)
	w.mustAdmit()
	if row, _ := w.row(); row.Pending != nil {
		t.Errorf("pending = %+v", row.Pending)
	}
}

// G-09: what was replaced without continuity is dated, for the grants that rest
// on it; keys that were noted before count no more.
func TestKeysChangedAt(t *testing.T) {
	both := map[string]any{"token_endpoint_auth_methods_supported": []string{"private_key_jwt", "none"}}
	for name, tt := range map[string]struct {
		after map[string]any
		moved bool // KeysChangedAt
		keys  int  // that are kept
	}{
		"moved":    {map[string]any{"jwks": keySet(map[string]map[string]any{"b": keyTwo})}, true, 0},
		"weakened": {both, true, 1},
		"rotated":  {map[string]any{"jwks": keySet(map[string]map[string]any{"a": keyOne, "b": keyTwo})}, false, 1},
		"cosmetic": {map[string]any{"client_name": "B"}, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := keyWorld(t)
			w.host.body = document(keyed(nil))
			w.mustAdmit()
			row, _ := w.row()
			row.Keys = []broker.KeyPrint{{ID: "a", Thumbprint: "t"}}
			w.rows[clientID] = row
			w.at(hour)
			w.host.body = document(keyed(tt.after))
			w.mustAdmit()
			row, _ = w.row()
			if row.KeysChangedAt.Equal(noon.Add(hour)) != tt.moved || row.KeysChangedAt.IsZero() == tt.moved || len(row.Keys) != tt.keys {
				t.Errorf("keys changed at %v, %d noted, want now: %v, %d", row.KeysChangedAt, len(row.Keys), tt.moved, tt.keys)
			}
		})
	}
}

// SN-22, G-09: what is approved is all that was shown and nothing else: keys
// that came after an operator looked, and grants that a change of keys stopped
// before, are not approved with a document.
func TestApproveIsBoundToAllThatWaits(t *testing.T) {
	w := newWorld(t)
	w.policy.settings.Document.OnChange = "reapprove"
	w.mustAdmit()
	row, _ := w.row()
	stopped := noon.Add(-hour)
	row.KeysChangedAt = stopped
	row.Pending = &broker.Pending{Published: []byte(strings.Replace(string(row.Published), "{", `{"software_version":"2",`, 1)), SHA256: strings.Repeat("a", 64), SeenAt: noon, Changes: []string{"redirect_added"}}
	seen := row.Waits()
	if seen != row.Pending.SHA256 {
		t.Errorf("Waits() = %s with a document alone, want its digest", seen)
	}
	row.PendingKeys = []broker.KeyPrint{{ID: "a", Thumbprint: "t"}}
	w.rows[clientID] = row
	w.at(time.Minute)
	if _, err := w.approve(seen); broker.ReasonOf(err) != broker.ReasonDocumentChanged {
		t.Errorf("Approve() of the document alone, with keys that came since = %v", err)
	}
	other := row
	other.PendingKeys = []broker.KeyPrint{{ID: "a", Thumbprint: "u"}}
	if other.Waits() == row.Waits() {
		t.Error("other keys wait under the same digest")
	}
	got, err := w.approve(row.Waits())
	row, _ = w.row()
	if err != nil || !got.Keys || len(row.PendingKeys) != 0 || !row.KeysChangedAt.Equal(stopped) {
		t.Errorf("Approve() = %+v, %v, keys changed at %v, want %v still", got, err, row.KeysChangedAt, stopped)
	}
	if row.Waits() != row.DocumentSHA256 {
		t.Errorf("Waits() = %s, want the grants that are still stopped", row.Waits())
	}
}

// Keys that changed without continuity are approved where no document waits.
func TestApproveOfKeysAlone(t *testing.T) {
	w := newWorld(t)
	w.mustAdmit()
	row, _ := w.row()
	row.KeysChangedAt, row.PendingKeys = noon, []broker.KeyPrint{{ID: "a", Thumbprint: "t"}}
	w.rows[clientID] = row
	if _, err := w.approve(strings.Repeat("0", 64)); broker.ReasonOf(err) != broker.ReasonDocumentChanged {
		t.Errorf("Approve() of another digest = %v", err)
	}
	w.at(time.Minute)
	got, err := w.approve("")
	row, _ = w.row()
	if err != nil || !got.Keys || len(got.Changes) != 0 || !row.KeysChangedAt.IsZero() || len(row.Keys) != 1 || len(row.PendingKeys) != 0 {
		t.Errorf("Approve() = %+v, %v, row %+v", got, err, row)
	}
}
