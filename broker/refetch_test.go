package broker_test

import (
	"slices"
	"testing"
	"time"

	"guestlist/broker"
)

// refetch asks for a fetch as an operator and commits what it staged.
func (w *world) refetch() (broker.Refetched, error) {
	w.t.Helper()
	u := w.begin()
	got, err := w.b.Refetch(w.t.Context(), u, "root", clientID)
	w.commit(u, err)
	return got, err
}

// approve approves as an operator and commits what it staged.
func (w *world) approve(sha256 string) (broker.Approved, error) {
	w.t.Helper()
	u := w.begin()
	got, err := w.b.Approve(w.t.Context(), u, "root", clientID, sha256)
	w.commit(u, err)
	return got, err
}

// commit commits an operator's unit; with an error nothing may be staged that
// would be lost.
func (w *world) commit(u *unit, err error) {
	w.t.Helper()
	if err == nil && !u.Empty() {
		if cerr := u.commit(w.t.Context()); cerr != nil {
			w.t.Fatalf("commit = %v", cerr)
		}
	}
}

// TestG27Refetch is G-27: an operator's fetch now, whatever is fresh, with its
// record; it reacts as on_change says.
func TestG27Refetch(t *testing.T) {
	for _, tt := range []struct {
		name     string
		onChange string
		host     func(*world)
		result   string
		reason   broker.Reason
		usable   bool // the stored document still stands in for its host
		fresh    bool
	}{
		{"unchanged", "reconsent", func(*world) {}, "unchanged", "", true, true},
		{"changed", "reconsent", func(w *world) { w.host.body = document(map[string]any{"scope": "mcp:read"}) }, "changed", "", true, true},
		{"waiting", "reapprove", func(w *world) {
			w.host.body = document(map[string]any{"redirect_uris": []string{redirect, redirect + "2", "http://127.0.0.1/cb"}})
		}, "waiting", "", true, true},
		{"trouble", "reconsent", func(w *world) { w.host.err = trouble() }, "failed", broker.ReasonFetchTimeout, true, false},
		{"gone", "reconsent", func(w *world) { w.host.err = gone() }, "withdrawn", broker.ReasonFetchStatus, false, false},
		{"invalid", "reconsent", func(w *world) { w.host.body = []byte("{") }, "withdrawn", broker.ReasonDocumentNotJSON, false, false},
		{"denied by url", "reconsent", func(w *world) { w.policy.answer = deny(broker.PhaseURL) }, "failed", broker.ReasonPolicyDenied, true, true},
		{"denied by document", "reconsent", func(w *world) { w.policy.answer = deny(broker.PhaseDocument) }, "failed", broker.ReasonPolicyDenied, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.policy.settings.Document.OnChange = tt.onChange
			w.mustAdmit()
			w.at(time.Minute)
			tt.host(w)
			got, err := w.refetch()
			if err != nil || got.Result != tt.result || got.Reason != tt.reason || got.Waiting != (tt.result == "waiting") {
				t.Errorf("Refetch() = %+v, %v, want %s %s", got, err, tt.result, tt.reason)
			}
			row, _ := w.row()
			if usable := w.now.Before(row.UsableUntil); usable != tt.usable || row.Fresh(w.now) != tt.fresh || !got.FreshUntil.Equal(row.FreshUntil) {
				t.Errorf("usable %v, fresh %v until %v, told %v, want %v, %v", usable, row.Fresh(w.now), row.FreshUntil, got.FreshUntil, tt.usable, tt.fresh)
			}
			if r := w.last("document.fetched"); r.Actor != "root" || r.Reason != string(tt.reason) || r.ClientID != clientID || r.Source != "" {
				t.Errorf("record = %+v, want the actor and %q", r, tt.reason)
			}
			if w.commits != 3 {
				t.Errorf("%d commits, want one for the fetch", w.commits-2)
			}
		})
	}
}

// One client has 30 s between two such fetches; nothing is told then.
func TestRefetchCoolsDown(t *testing.T) {
	w := newWorld(t)
	w.mustAdmit()
	w.refetch()
	w.at(30*time.Second - 1)
	hits := w.host.count()
	_, err := w.refetch()
	e, ok := err.(*broker.Error)
	if !ok || e.Reason != broker.ReasonFetchPaced || e.RetryAfter != 1 || w.host.count() != hits {
		t.Errorf("Refetch() = %v after %d fetches, want fetch_paced for 1ns", err, w.host.count()-hits)
	}
	w.at(30 * time.Second)
	if got, err := w.refetch(); err != nil || got.Result != "unchanged" {
		t.Errorf("Refetch() = %+v, %v after 30s", got, err)
	}
	// No budget of strangers pays, and no pace of theirs stops it.
	w.host.err = trouble()
	for i := range 3 {
		w.at(time.Hour * time.Duration(i+1))
		w.admit()
		w.admit()
		if got, err := w.refetch(); err != nil || got.Reason != broker.ReasonFetchTimeout {
			t.Errorf("Refetch() while paced = %+v, %v, want its own failure", got, err)
		}
	}
}

func TestRefetchOfNobody(t *testing.T) {
	w := newWorld(t)
	if _, err := w.refetch(); broker.ReasonOf(err) != broker.ReasonClientIDUnknown || w.host.count() != 0 {
		t.Errorf("Refetch() = %v with %d fetches, want client_id_unknown", err, w.host.count())
	}
	u := w.begin()
	if _, err := w.b.Refetch(t.Context(), u, "root", "http://x"); broker.ReasonOf(err) != broker.ReasonClientIDMalformed {
		t.Errorf("Refetch(http://x) = %v", err)
	}
}

// SN-22, SN-01: the host's document waits beside the pinned one until it is
// approved, or goes when the host goes back.
func TestSN22_RefetchOfAPin(t *testing.T) {
	w := newWorld(t)
	pinned := document(map[string]any{"client_name": "Pinned"})
	w.pins[clientID] = broker.Pin{ID: clientID, Published: pinned, SHA256: sha(pinned), Actor: "alice", At: noon}
	got, err := w.refetch()
	pin := w.pins[clientID]
	if err != nil || got.Result != "waiting" || got.Registration != broker.RegistrationPinned || !slices.Equal(got.Changes, []string{"cosmetic"}) ||
		pin.Pending == nil || pin.Pending.SHA256 != sha(w.host.body) || pin.SHA256 != sha(pinned) {
		t.Fatalf("Refetch() = %+v, %v, pin %+v, want the host's document waiting", got, err, pin)
	}
	if _, found := w.row(); found {
		t.Error("a row was made")
	}
	approved, err := w.approve(pin.Pending.SHA256)
	pin = w.pins[clientID]
	if err != nil || approved.Before != sha(pinned) || pin.SHA256 != sha(w.host.body) || pin.Pending != nil || pin.Actor != "root" {
		t.Errorf("Approve() = %+v, %v, pin %+v", approved, err, pin)
	}
	if r := w.last("document.approved"); r.Actor != "root" || r.DocumentSHA256 != pin.SHA256 || r.ClientID != clientID || r.Registration != "pinned" {
		t.Errorf("record = %+v", r)
	}
	w.at(time.Minute)
	if got, err := w.refetch(); err != nil || got.Result != "unchanged" {
		t.Errorf("Refetch() of the same = %+v, %v", got, err)
	}
	w.at(2 * time.Minute)
	w.host.body = document(map[string]any{"client_name": "Other"})
	w.refetch()
	w.at(3 * time.Minute)
	w.host.body = pin.Published
	if got, _ := w.refetch(); got.Result != "unchanged" || w.pins[clientID].Pending != nil {
		t.Errorf("Refetch() after the host went back = %+v, pin %+v", got, w.pins[clientID])
	}
	w.at(4 * time.Minute)
	w.host.err = gone()
	if got, err := w.refetch(); err != nil || got.Result != "failed" || w.pins[clientID].SHA256 != pin.SHA256 {
		t.Errorf("Refetch() of a host that lost it = %+v, %v", got, err)
	}
}
