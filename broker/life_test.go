package broker_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
)

const (
	hour = time.Hour
	flow = 11 * time.Minute // ticket and code
)

func TestExpiry(t *testing.T) {
	for _, test := range []struct {
		name                string
		fresh, stale, ttl   time.Duration
		ago                 time.Duration
		freshUntil, expires time.Duration // from noon
	}{
		{"usable until is the latest", hour, 24 * hour, 720 * hour, 0, hour, 25 * hour},
		{"stale_if_error 0: a flow of the last fresh moment", hour, 0, 720 * hour, 0, hour, hour + flow},
		{"stale_if_error within a flow", hour, 5 * time.Minute, 720 * hour, 0, hour, hour + flow},
		{"client_ttl before usable until", hour, 24 * hour, 3 * hour, 0, hour, 3 * hour},
		{"client_ttl before fresh until", hour, 24 * hour, 10 * time.Minute, 0, hour, 10 * time.Minute},
		{"never fresh", 0, 0, 720 * hour, 0, 0, flow},
		{"fresh counts from the start of the flight joined", hour, 24 * hour, 720 * hour, 4 * time.Second, hour - 4*time.Second, 25*hour - 4*time.Second},
		{"never fresh, flight joined", 0, 0, 720 * hour, 4 * time.Second, -4 * time.Second, flow},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.host.fresh, w.host.ago = test.fresh, test.ago
			s := &w.policy.settings
			s.Document.TTLFloor, s.Document.StaleIfError, s.ClientTTL = 0, broker.Duration(test.stale), broker.Duration(test.ttl)
			w.mustAdmit()
			row, _ := w.row()
			if got := row.FreshUntil.Sub(noon); got != test.freshUntil {
				t.Errorf("fresh until noon + %v, want %v", got, test.freshUntil)
			}
			if got := row.UsableUntil.Sub(row.FreshUntil); got != test.stale {
				t.Errorf("usable for %v after freshness, want %v", got, test.stale)
			}
			if got := row.ExpiresAt.Sub(noon); got != test.expires {
				t.Errorf("expires noon + %v, want %v", got, test.expires)
			}
		})
	}
}

// Settings that depend on the document are unknown when it is fetched; their
// ceiling bounds its freshness all the same.
func TestCeilingOfDocumentPhaseSettings(t *testing.T) {
	w := newWorld(t)
	w.host.fresh = 10 * hour
	w.policy.answer = func(q broker.Query, d *broker.Decision) {
		d.Settings = broker.StrictSettings()
		if q.Input.Phase != broker.PhaseURL {
			d.Settings.Document.TTLCeiling = broker.Duration(hour)
		}
	}
	w.mustAdmit()
	if row, _ := w.row(); row.FreshUntil.Sub(noon) != hour {
		t.Errorf("fresh for %v, want the ceiling of 1h", row.FreshUntil.Sub(noon))
	}
}

func TestSN02_TenStartsOneFetch(t *testing.T) {
	w := newWorld(t)
	first := w.mustAdmit()
	for i := range 9 {
		w.at(time.Duration(i+1) * 6 * time.Minute)
		o := w.mustAdmit()
		if !o.Reused || o.hits != 0 || o.commits != 0 || !o.unit.Empty() || o.record.Outcome != decisionlog.OutcomeReused ||
			o.Client.Incarnation != first.Client.Incarnation || o.record.Incarnation != first.Client.Incarnation || o.phases() != "url document" {
			t.Errorf("start %d: reused %v, %d fetches, %d commits, %s", i+2, o.Reused, o.hits, o.commits, o.record.Outcome)
		}
	}
	w.at(hour - 1)
	if o := w.mustAdmit(); o.hits != 0 {
		t.Error("the last fresh moment fetched")
	}
	w.at(hour)
	o := w.mustAdmit()
	if o.hits != 1 || o.Reused || o.record.Outcome != decisionlog.OutcomeAdmitted || !slices.Equal(o.unit.wrote, []string{"update", "append"}) {
		t.Errorf("at fresh until: %d fetches, reused %v, staged %v, want 1, false, an update", o.hits, o.Reused, o.unit.wrote)
	}
	row, _ := w.row()
	if row.Incarnation != first.Client.Incarnation || !row.CreatedAt.Equal(noon) || row.FreshUntil.Sub(noon) != 2*hour || row.ExpiresAt.Sub(noon) != 26*hour {
		t.Errorf("refetched row = %+v, want the same incarnation and later ends", row)
	}
	if !slices.Equal(o.unit.epochs, []uint64{w.epoch}) {
		t.Errorf("RequireEpoch was called with %v, want %d", o.unit.epochs, w.epoch)
	}
}

func TestRefetchNeverShortensALifeThatGrantsMadeLonger(t *testing.T) {
	w := newWorld(t)
	w.mustAdmit()
	extend := func(until time.Duration) {
		row, _ := w.row()
		row.ExpiresAt = noon.Add(until)
		w.rows[clientID] = row
	}
	extend(7 * 24 * hour)
	w.at(hour)
	w.mustAdmit()
	if row, _ := w.row(); row.ExpiresAt.Sub(noon) != 7*24*hour {
		t.Errorf("expires noon + %v, want the end of the grant, 168h", row.ExpiresAt.Sub(noon))
	}
	// But never past client_ttl.
	extend(90 * 24 * hour)
	w.at(2 * hour)
	w.mustAdmit()
	if row, _ := w.row(); row.ExpiresAt.Sub(noon) != 720*hour+2*hour {
		t.Errorf("expires noon + %v, want client_ttl from now, 722h", row.ExpiresAt.Sub(noon))
	}
}

// TestChangedDocument is A10: which members changed is told to policy and kept.
func TestChangedDocument(t *testing.T) {
	w := newWorld(t)
	w.mustAdmit()
	w.at(hour)
	w.host.body = document(map[string]any{"client_name": "Another", "redirect_uris": []string{redirect}, "scope": "mcp:read", "x_vendor": 1, "token_endpoint_auth_method": nil})
	o := w.mustAdmit()
	want := []string{"client_name", "redirect_uris", "scope", "token_endpoint_auth_method"}
	if got := o.asked[1].Input.Provenance.Changed; !slices.Equal(got, want) {
		t.Errorf("changed = %v, want %v", got, want)
	}
	row, _ := w.row()
	if row.Document.ClientName != "Another" || row.DocumentSHA256 != o.record.DocumentSHA256 || string(row.Published) != string(w.host.body) {
		t.Errorf("row = %+v, want the new document", row)
	}
	w.at(2 * hour)
	if got := w.mustAdmit().asked[1].Input.Provenance.Changed; len(got) != 0 {
		t.Errorf("changed = %v for the same document, want none", got)
	}
}

func TestStaleIfError(t *testing.T) {
	for _, test := range []struct {
		name string
		at   time.Duration
		ok   bool
	}{
		{"at fresh until", hour, true},
		{"last usable moment", hour + 5*time.Minute - 1, true},
		{"at usable until", hour + 5*time.Minute, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.policy.settings.Document.StaleIfError = broker.Duration(5 * time.Minute)
			w.mustAdmit()
			before, _ := w.row()
			w.at(test.at)
			w.host.err = trouble()
			o := w.admit()
			row, found := w.row()
			if o.hits != 1 || !found || row.FreshUntil != before.FreshUntil || row.UsableUntil != before.UsableUntil {
				t.Errorf("%d fetches, row %+v, want 1 and the row as it was", o.hits, row)
			}
			if !test.ok {
				w.refused(o, broker.ReasonFetchTimeout)
				return
			}
			if o.err != nil || !o.Reused || o.asked[1].Input.Provenance.From != "store" {
				t.Errorf("Admit() = %v, reused %v, want reuse", o.err, o.Reused)
			}
			// Expires is at least the admission plus ticket and code (design §5).
			if until := noon.Add(test.at + flow); row.ExpiresAt.Before(until) || !o.Client.ExpiresAt.Equal(row.ExpiresAt) {
				t.Errorf("expires noon + %v, told %v, want at least %v", row.ExpiresAt.Sub(noon), o.Client.ExpiresAt.Sub(noon), test.at+flow)
			}
		})
	}
	t.Run("stale_if_error 0", func(t *testing.T) {
		w := newWorld(t)
		w.policy.settings.Document.StaleIfError = 0
		w.mustAdmit()
		w.at(hour)
		w.host.err = trouble()
		w.refused(w.admit(), broker.ReasonFetchTimeout)
	})
}

// A client that is let in again always outlives the flow that this starts,
// within client_ttl.
func TestReuseCoversItsFlow(t *testing.T) {
	w := newWorld(t)
	w.policy.settings.ClientTTL = broker.Duration(30 * time.Minute)
	w.mustAdmit()
	w.at(25 * time.Minute)
	o := w.mustAdmit()
	row, _ := w.row()
	if want := 25*time.Minute + flow; row.ExpiresAt.Sub(noon) != want || !slices.Equal(o.unit.wrote, []string{"extend", "append"}) || !o.Reused || o.hits != 0 {
		t.Errorf("expires noon + %v, staged %v, want %v by an extension", row.ExpiresAt.Sub(noon), o.unit.wrote, want)
	}
	if !slices.Equal(o.unit.epochs, []uint64{w.epoch}) {
		t.Errorf("RequireEpoch was called with %v, want %d", o.unit.epochs, w.epoch)
	}
	w.policy.settings.ClientTTL = broker.Duration(time.Minute)
	w.at(25*time.Minute + flow - 1)
	w.mustAdmit()
	if row, _ := w.row(); row.ExpiresAt.Sub(noon) != 26*time.Minute+flow-1 {
		t.Errorf("expires noon + %v, want client_ttl from now", row.ExpiresAt.Sub(noon))
	}
}

// 404, 410, invalid and mismatching documents end usability at once, and later
// trouble does not bring it back (B24, Q3).
func TestB24_EndOfUsability(t *testing.T) {
	for name, end := range map[string]func(*world){
		"404":         func(w *world) { w.host.err = gone() },
		"D1 invalid":  func(w *world) { w.host.body = []byte("{") },
		"D3 mismatch": func(w *world) { w.host.body = document(map[string]any{"client_id": "https://evil.example/x"}) },
		"denied anew": func(w *world) {
			w.host.body = document(map[string]any{"client_name": "Bank"})
			w.policy.answer = func(q broker.Query, d *broker.Decision) {
				if q.Document != nil && q.Document.ClientName == "Bank" {
					deny(broker.PhaseDocument)(q, d)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			first := w.mustAdmit()
			w.at(hour)
			end(w)
			o := w.admit()
			row, found := w.row()
			if o.err == nil || !o.staged || !found || !row.UsableUntil.Equal(noon.Add(hour)) || row.Fresh(noon.Add(hour)) {
				t.Fatalf("Admit() = %v, row %+v, want a refusal that ends usability", o.err, row)
			}
			if row.Incarnation != first.Client.Incarnation || !row.ExpiresAt.Equal(first.Client.ExpiresAt) || row.DocumentSHA256 != first.Client.DocumentSHA256 {
				t.Errorf("row = %+v, want the life and the document as they were", row)
			}
			if !slices.Equal(o.unit.epochs, []uint64{w.epoch}) {
				t.Errorf("RequireEpoch was called with %v, want %d", o.unit.epochs, w.epoch)
			}
			// Once is enough: a flood of like requests costs no commits.
			if again := w.admit(); again.err == nil || again.commits != 0 {
				t.Errorf("the same again: %v, %d commits, want a refusal and none", again.err, again.commits)
			}
			w.at(hour + time.Minute)
			w.host.err = trouble()
			w.refused(w.admit(), broker.ReasonFetchTimeout)
			w.at(hour + 2*time.Minute) // later than any pace
			// The host mended: the same life goes on.
			w.host.err, w.host.body = nil, document(nil)
			if o := w.mustAdmit(); o.Client.Incarnation != first.Client.Incarnation {
				t.Error("an ended usability ended the life")
			}
		})
	}
}

// A refusal of the same document, or of the request alone, costs nothing.
func TestRefusalLeavesUsability(t *testing.T) {
	other := "https://app.example.com/other"
	for name, change := range map[string]func(*broker.Request){
		"mismatch": func(r *broker.Request) { r.RedirectURI = &other },
		"fault":    func(r *broker.Request) { r.Fault = broker.Refuse(broker.ReasonPKCERequired, "no") },
	} {
		w := newWorld(t)
		w.mustAdmit()
		w.at(hour)
		if o := w.admit(change); o.err == nil || o.commits != 0 {
			t.Errorf("%s: Admit() = %v, %d commits, want a refusal without", name, o.err, o.commits)
		}
		w.host.err = trouble()
		if o := w.admit(); o.err != nil {
			t.Errorf("%s: Admit() in trouble = %v, want reuse", name, o.err)
		}
	}
}

func TestPF11_PF12_ExpiredAndAdmittedAnew(t *testing.T) {
	w := newWorld(t)
	first := w.mustAdmit()
	w.at(25*hour - 1)
	w.host.err = trouble()
	if o := w.admit(); o.err != nil || len(o.others) != 0 {
		t.Fatalf("Admit() in the last moment = %v, pruned %v", o.err, o.others)
	}
	w = newWorld(t)
	first = w.mustAdmit()
	w.at(25 * hour)
	o := w.mustAdmit()
	if want := []string{"end", "append", "create", "version", "append"}; !slices.Equal(o.unit.wrote, want) || o.commits != 1 || o.hits != 1 {
		t.Errorf("staged %v in %d commits, want %v in one", o.unit.wrote, o.commits, want)
	}
	if o.Client.Incarnation == first.Client.Incarnation || o.Reused || len(o.asked[1].Input.Provenance.Changed) != 0 {
		t.Errorf("incarnation %d after %d, want another", o.Client.Incarnation, first.Client.Incarnation)
	}
	if row, _ := w.row(); row.Incarnation != o.Client.Incarnation || !row.CreatedAt.Equal(noon.Add(25*hour)) {
		t.Errorf("row = %+v, want the new life", row)
	}
	pruned(t, w, o, first, broker.ReasonClientEnded)
}

// pruned checks the end of a client and its record.
func pruned(t *testing.T, w *world, o, first outcome, reason broker.Reason) {
	t.Helper()
	if want := fmt.Sprintf("%s %d %s", clientID, first.Client.Incarnation, reason); !slices.Equal(w.ended, []string{want}) {
		t.Errorf("ended %q, want %q once", w.ended, want)
	}
	if len(o.others) != 1 {
		t.Fatalf("%d records of pruning, want 1", len(o.others))
	}
	r := o.others[0]
	if r.Outcome != decisionlog.OutcomePruned || r.Reason != string(reason) || r.ClientID != clientID || r.Incarnation != first.Client.Incarnation ||
		r.DocumentSHA256 != first.Client.DocumentSHA256 || r.RequestID != "req-1" || r.Revision != "rev-1" || r.Epoch != w.epoch || r.DecisionID == o.record.DecisionID {
		t.Errorf("record of pruning = %+v", r)
	}
	if !slices.Contains(o.unit.epochs, w.epoch) {
		t.Errorf("RequireEpoch was called with %v, want %d: a prune is decided under an epoch too", o.unit.epochs, w.epoch)
	}
}

func TestPF12_ExpiredAndRefused(t *testing.T) {
	for name, refuse := range map[string]func(*world){
		"denied":    func(w *world) { w.policy.answer = deny(broker.PhaseURL) },
		"unmatched": func(w *world) { w.policy.answer = unmatched },
		"gone":      func(w *world) { w.host.err = gone() },
		"trouble":   func(w *world) { w.host.err = trouble() },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			first := w.mustAdmit()
			w.at(25 * hour)
			refuse(w)
			o := w.admit()
			if _, found := w.row(); found || o.err == nil || o.commits != 1 {
				t.Errorf("Admit() = %v, row %v, %d commits, want a refusal that prunes", o.err, found, o.commits)
			}
			pruned(t, w, o, first, broker.ReasonClientEnded)
		})
	}
}

// A stranger who asks for what no policy names must not end what others were
// given (design §5).
func TestAnotherRequestPrunesNobody(t *testing.T) {
	w := newWorld(t)
	first := w.mustAdmit()
	w.policy.answer = elsewhere
	o := w.admit()
	w.refused(o, broker.ReasonNoPolicyMatched)
	if row, found := w.row(); !found || row.Incarnation != first.Client.Incarnation || o.commits != 0 {
		t.Errorf("row %v, %d commits, want the first life and none", found, o.commits)
	}
}

func TestPF12_UnmatchedIsPruned(t *testing.T) {
	w := newWorld(t)
	first := w.mustAdmit()
	w.policy.answer = unmatched
	o := w.admit()
	w.refused(o, broker.ReasonNoPolicyMatched)
	if _, found := w.row(); found || o.hits != 0 {
		t.Errorf("row %v, %d fetches, want neither", found, o.hits)
	}
	pruned(t, w, o, first, broker.ReasonNoPolicyMatched)
	if o.record.Phases[0].NearestMiss == "" {
		t.Error("the record does not name the nearest miss")
	}
	// A denial ends nobody.
	w.policy.answer = nil
	second := w.mustAdmit()
	if second.Client.Incarnation == first.Client.Incarnation {
		t.Error("a pruned life came back")
	}
	w.policy.answer = deny(broker.PhaseURL)
	if o := w.admit(); o.commits != 0 {
		t.Error("a denial ended something")
	}
}

// B30: what fell out of a tightened profile is judged as stored, and refused.
func TestStoredDocumentIsJudgedAgain(t *testing.T) {
	w := newWorld(t)
	w.policy.settings.Document.Profile = "cimd"
	w.host.body = document(map[string]any{"client_name": nil})
	w.mustAdmit()
	w.policy.settings.Document.Profile = "mcp"
	o := w.admit()
	w.refused(o, broker.ReasonDocumentName)
	if o.hits != 0 {
		t.Error("a fresh document was fetched")
	}
	// The same for settings that no longer allow its redirect.
	w = newWorld(t)
	w.mustAdmit()
	w.policy.settings.Redirect.Relation = "same_origin"
	w.policy.settings.Redirect.Hosts = []string{}
	w.refused(w.admit(), broker.ReasonRedirectNotAllowed)
}

// Two first requests at once: one row, and the loser is told to run again
// (B28); a revision that is swapped meanwhile has the same effect.
func TestB28_RaceOfFirstRequests(t *testing.T) {
	w := newWorld(t)
	one, two := w.begin(), w.begin()
	for _, u := range []*unit{one, two} {
		if _, err := w.b.Admit(t.Context(), u, w.request); err != nil {
			t.Fatal(err)
		}
	}
	if err := one.commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := two.commit(t.Context()); err != broker.ErrConflict {
		t.Errorf("second commit = %v, want ErrConflict", err)
	}
	w.at(hour)
	late := w.begin()
	if _, err := w.b.Admit(t.Context(), late, w.request); err != nil {
		t.Fatal(err)
	}
	w.epoch++
	if err := late.commit(t.Context()); err != broker.ErrConflict {
		t.Errorf("commit under an older epoch = %v, want ErrConflict", err)
	}
}

func TestProceed(t *testing.T) {
	for _, test := range []struct {
		name    string
		world   func(*world)
		bound   func(first outcome) *broker.Bound
		reason  broker.Reason
		phases  string
		gone    bool
		outcome string
	}{
		{name: "allowed", bound: func(f outcome) *broker.Bound {
			return &broker.Bound{Incarnation: f.Client.Incarnation, DocumentSHA256: f.Client.DocumentSHA256}
		}, phases: "user"},
		{name: "no fetch past freshness", world: func(w *world) { w.at(2 * hour) }, phases: "user"},
		{name: "another incarnation", bound: func(f outcome) *broker.Bound { return &broker.Bound{Incarnation: f.Client.Incarnation + 1} },
			reason: broker.ReasonClientEnded},
		{name: "G-10 B8 another document", bound: func(f outcome) *broker.Bound {
			return &broker.Bound{Incarnation: f.Client.Incarnation, DocumentSHA256: strings.Repeat("0", 64)}
		}, reason: broker.ReasonDocumentChanged},
		{name: "any document of that life", bound: func(f outcome) *broker.Bound { return &broker.Bound{Incarnation: f.Client.Incarnation} }, phases: "user"},
		{name: "no row", world: func(w *world) { w.rows = map[string]broker.Client{} }, reason: broker.ReasonClientEnded, gone: true},
		{name: "PF-12 expired", world: func(w *world) { w.at(25 * hour) }, reason: broker.ReasonClientEnded, gone: true},
		{name: "denied", world: func(w *world) { w.policy.answer = deny(broker.PhaseUser) }, reason: broker.ReasonPolicyDenied, phases: "user"},
		{name: "PF-12 unmatched", world: func(w *world) { w.policy.answer = unmatched }, reason: broker.ReasonNoPolicyMatched, phases: "user", gone: true},
		{name: "named for other requests", world: func(w *world) { w.policy.answer = elsewhere }, reason: broker.ReasonNoPolicyMatched, phases: "user"},
		{name: "a damaged row", world: func(w *world) {
			row := w.rows[clientID]
			row.Published = []byte("{")
			w.rows[clientID] = row
		}, reason: broker.ReasonServerTrouble},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			first := w.mustAdmit()
			if test.world != nil {
				test.world(w)
			}
			var bound *broker.Bound
			if test.bound != nil {
				bound = test.bound(first)
			}
			o := w.admit(person(bound))
			if test.reason != "" {
				w.refused(o, test.reason)
			} else if o.err != nil || o.RedirectURI != redirect || o.Client.Incarnation != first.Client.Incarnation || !slices.Equal(o.Decision.Effective.Scopes, []string{"mcp:read"}) {
				t.Errorf("Admit() = %+v, %v", o.Admission, o.err)
			}
			if o.hits != 0 || o.phases() != test.phases {
				t.Errorf("SN-06: %d fetches, phases %q, want 0 and %q", o.hits, o.phases(), test.phases)
			}
			if _, found := w.row(); found == test.gone {
				t.Errorf("row found: %v, want %v", found, !test.gone)
			}
		})
	}
}

func TestEndGrantIsCarried(t *testing.T) {
	w := newWorld(t)
	w.mustAdmit()
	w.policy.answer = func(q broker.Query, d *broker.Decision) {
		deny(broker.PhaseUser)(q, d)
		d.EndGrant = true
	}
	o := w.admit(person(nil))
	if !o.Decision.EndGrant || o.err == nil {
		t.Errorf("Admit() = %v, end_grant %v, want it carried to the caller", o.err, o.Decision.EndGrant)
	}
}

// The caller's request is not changed under it.
func TestAdmitLeavesTheRequestAlone(t *testing.T) {
	w := newWorld(t)
	w.mustAdmit()
	who := &broker.UserInput{Sub: "alice"}
	w.mustAdmit(func(r *broker.Request) { person(nil)(r); r.Person = who })
	if who.Groups != nil || who.Claims != nil {
		t.Errorf("person = %+v, want it as given", who)
	}
}
