package broker_test

import (
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/broker/fetch"
)

// TestA10ConditionalFetch is F7, F8, SN-02, SN-05: a document that its host says
// still stands stays, as if it had been fetched, in one commit with its record;
// the door is told how long it was fresh, for a host that does not say (X21).
func TestA10ConditionalFetch(t *testing.T) {
	for name, valid := range map[string]fetch.Held{
		"entity tag": {ETag: `"v1"`}, "date": {LastModified: "Sun, 06 Nov 1994 08:49:37 GMT"},
		"both": {ETag: `"v1"`, LastModified: "Sun, 06 Nov 1994 08:49:37 GMT"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.host.valid = valid
			first := w.mustAdmit()
			if w.host.held != (fetch.Held{}) || first.Client.ETag != valid.ETag || first.Client.LastModified != valid.LastModified {
				t.Errorf("first fetch conditional on %+v, kept %q, %q", w.host.held, first.Client.ETag, first.Client.LastModified)
			}
			w.at(hour)
			w.host.fresh = 2 * hour
			o := w.mustAdmit()
			row, _ := w.row()
			asked := valid
			asked.FreshFor = hour
			if w.host.held != asked || o.hits != 1 || o.commits != 1 || !o.staged || o.Reused || len(o.others) != 0 {
				t.Errorf("conditional on %+v, %d fetches, %d commits, reused %v", w.host.held, o.hits, o.commits, o.Reused)
			}
			if row.FetchedAt.Sub(noon) != hour || row.FreshUntil.Sub(noon) != 3*hour || row.UsableUntil.Sub(noon) != 27*hour || row.ExpiresAt.Sub(noon) != 27*hour {
				t.Errorf("row = %+v, want ends counted from the answer", row)
			}
			if row.DocumentSHA256 != first.Client.DocumentSHA256 || string(row.Published) != string(w.host.body) || row.Incarnation != first.Client.Incarnation || row.ETag != valid.ETag {
				t.Errorf("row = %+v, want the document as it was", row)
			}
			if p := o.asked[1].Input.Provenance; p.From != "network" || p.Age != 0 || len(p.Changed) != 0 {
				t.Errorf("provenance = %+v", p)
			}
			if len(w.versions) != 1 {
				t.Errorf("%d versions, want one", len(w.versions))
			}
		})
	}
}

// B37: validators are sent for a copy only that would be accepted as it is, and
// never by those who have none.
func TestB37NoCopyNoCondition(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*world)
		reason broker.Reason
	}{
		{"profile tightened", func(w *world) { w.policy.settings.Document.Profile = "mcp" }, broker.ReasonDocumentName},
		{"limit lowered", func(w *world) { w.policy.settings.Document.MaxBytes = 50 }, ""},
		{"expired", func(w *world) { w.at(25 * hour) }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.policy.settings.Document.Profile = "cimd"
			w.host.body, w.host.valid = document(map[string]any{"client_name": nil}), fetch.Held{ETag: `"v1"`}
			w.mustAdmit()
			w.at(hour)
			tt.change(w)
			o := w.admit()
			if w.host.held != (fetch.Held{}) || o.hits != 1 || o.reason != tt.reason {
				t.Errorf("conditional on %+v, %d fetches, %v", w.host.held, o.hits, o.err)
			}
		})
	}
	// A host that says so to one who has no copy is refused.
	w := newWorld(t)
	w.host.same = true
	w.refused(w.admit(), broker.ReasonDocumentNotJSON)
	if _, found := w.row(); found {
		t.Error("a client without a document")
	}
}

// Q3: a host that has its document back, be it by 304, has never been away.
func TestQ3BroughtBack(t *testing.T) {
	w := newWorld(t)
	w.host.valid = fetch.Held{ETag: `"v1"`}
	w.mustAdmit()
	w.at(hour)
	w.host.err = gone()
	w.admit()
	w.at(2 * hour)
	w.admit()
	if row, _ := w.row(); row.WithdrawnAt.Sub(noon) != hour || row.GoneAt.Sub(noon) != 2*hour {
		t.Fatalf("withdrawn %v, gone %v", row.WithdrawnAt, row.GoneAt)
	}
	w.at(3 * hour)
	w.host.err = nil
	o := w.mustAdmit()
	if row, _ := w.row(); w.host.held.ETag != w.host.valid.ETag || !row.WithdrawnAt.IsZero() || !row.GoneAt.IsZero() || !row.Fresh(noon.Add(3*hour)) || o.commits != 1 {
		t.Errorf("row = %+v, want one that was never withdrawn", row)
	}
}

// Q3: withdrawn twice, an hour or more apart, is gone; then refreshes follow
// on_change. Each step is recorded once.
func TestQ3WithdrawnTwice(t *testing.T) {
	refresh := func(r *broker.Request) {
		person(nil)(r)
		r.Refresh = &broker.Refresh{}
	}
	for onChange, want := range map[string]broker.Reason{
		"accept": "", "reconsent": broker.ReasonDocumentWithdrawn, "reapprove": broker.ReasonDocumentWithdrawn, "deny": broker.ReasonDocumentWithdrawn,
	} {
		for name, end := range map[string]func(*world){"404": func(w *world) { w.host.err = gone() }, "invalid": func(w *world) { w.host.body = []byte("{") }} {
			t.Run(onChange+" "+name, func(t *testing.T) {
				w := newWorld(t)
				w.policy.settings.Document.OnChange = onChange
				w.mustAdmit()
				w.at(hour)
				end(w)
				if o := w.admit(); o.commits != 1 || len(o.others) != 1 || o.others[0].Event != "document.withdrawn" || o.others[0].Reason != string(o.reason) {
					t.Errorf("first: %d commits, records %+v", o.commits, o.others)
				}
				w.at(2*hour - time.Minute)
				if o := w.admit(); o.commits != 0 {
					t.Errorf("within the hour: %d commits", o.commits)
				}
				if o := w.admit(refresh); o.err != nil {
					t.Errorf("refresh after one look: %v", o.err)
				}
				w.at(2 * hour)
				if o := w.admit(); o.commits != 1 || len(o.others) != 1 || o.others[0].Event != "document.withdrawn" {
					t.Errorf("an hour later: %d commits, records %+v", o.commits, o.others)
				}
				w.at(4 * hour)
				if o := w.admit(); o.commits != 0 {
					t.Errorf("third: %d commits", o.commits)
				}
				o := w.admit(refresh)
				if o.reason != want || o.hits != 0 {
					t.Errorf("refresh: %v after %d fetches, want %q and none", o.err, o.hits, want)
				}
			})
		}
	}
}

// A10: a redirect URI that is removed is gone for all at the next fetch, also
// where that is the fetch of a request for it, and the grants of the others see
// the new document.
func TestRemovedRedirectIsLearntFromARefusedRequest(t *testing.T) {
	w := newWorld(t)
	first := w.mustAdmit()
	w.at(hour)
	w.host.body = document(map[string]any{"redirect_uris": []string{redirect + "2"}})
	o := w.admit()
	w.refused(o, broker.ReasonRedirectMismatch)
	row, _ := w.row()
	if row.DocumentSHA256 != sha(w.host.body) || row.Incarnation != first.Client.Incarnation || !row.WithdrawnAt.IsZero() || o.commits != 1 || o.RedirectURI != "" {
		t.Errorf("row = %+v in %d commits, redirect %q, want the new document in force", row, o.commits, o.RedirectURI)
	}
	if o := w.admit(); o.hits != 0 || o.commits != 0 || o.reason != broker.ReasonRedirectMismatch {
		t.Errorf("the same again: %v, %d fetches, %d commits", o.err, o.hits, o.commits)
	}
	// Where policy refuses the new one for everybody, the old one is withdrawn.
	w = newWorld(t)
	w.mustAdmit()
	w.at(hour)
	w.host.body = document(map[string]any{"redirect_uris": []string{redirect + "2"}})
	w.policy.answer = deny(broker.PhaseDocument)
	w.refused(w.admit(), broker.ReasonRedirectMismatch)
	if row, _ := w.row(); row.WithdrawnAt.IsZero() || row.DocumentSHA256 == sha(w.host.body) {
		t.Errorf("row = %+v, want it withdrawn", row)
	}
}

// Settings that are known only with the document decide about a change too.
func TestOnChangeOfDocumentPhaseSettings(t *testing.T) {
	w := newWorld(t)
	w.policy.answer = func(q broker.Query, d *broker.Decision) {
		if q.Input.Phase == broker.PhaseURL {
			d.Settings = broker.StrictSettings()
			return
		}
		d.Settings.Document.OnChange = "reapprove"
	}
	first := w.mustAdmit()
	w.at(hour)
	w.host.body = document(adding())
	o := w.mustAdmit()
	if row, _ := w.row(); row.Pending == nil || row.DocumentSHA256 != first.Client.DocumentSHA256 || o.phases() != "url document document" {
		t.Errorf("row = %+v after phases %s, want the new document waiting", row, o.phases())
	}
}

// B8, G-10: while a flow is under way its redirect URI is taken away by a
// document that waits: no code.
func TestG10_B8_PendingUnderAFlow(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change map[string]any
		reason broker.Reason
	}{
		{"redirect replaced", map[string]any{"redirect_uris": []string{redirect + "2", "http://127.0.0.1/cb"}}, broker.ReasonDocumentChanged},
		{"redirect added", map[string]any{"redirect_uris": []string{redirect, redirect + "2", "http://127.0.0.1/cb"}}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.policy.settings.Document.OnChange = "reapprove"
			first := w.mustAdmit()
			w.at(hour)
			w.host.body = document(tt.change)
			w.admit()
			o := w.admit(person(&broker.Bound{Incarnation: first.Client.Incarnation, DocumentSHA256: first.Client.DocumentSHA256}))
			if o.reason != tt.reason || o.hits != 0 {
				t.Errorf("the next step: %v after %d fetches, want %q", o.err, o.hits, tt.reason)
			}
		})
	}
}

// The host of a client that an operator pinned or unpinned decides nothing by
// on_change: the operator did.
func TestPinIsNoChangeOfTheHost(t *testing.T) {
	w := newWorld(t)
	w.policy.settings.Document.OnChange = "deny"
	w.mustAdmit()
	body := document(map[string]any{"scope": "mcp:read", "client_uri": "https://app.example.com/"})
	w.pins[clientID] = broker.Pin{ID: clientID, Published: body, SHA256: sha(body), Actor: "alice", At: noon}
	if o := w.mustAdmit(); o.Client.DocumentSHA256 != sha(body) || o.hits != 0 {
		t.Errorf("pinned: document %s after %d fetches", o.Client.DocumentSHA256, o.hits)
	}
	delete(w.pins, clientID)
	w.at(time.Minute)
	if o := w.mustAdmit(); o.Client.DocumentSHA256 != sha(w.host.body) || o.hits != 1 {
		t.Errorf("unpinned: document %s after %d fetches", o.Client.DocumentSHA256, o.hits)
	}
}
