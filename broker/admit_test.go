package broker_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/broker/fetch"
)

// phases lists the phases that a policy was asked.
func (o outcome) phases() string {
	var p []string
	for _, q := range o.asked {
		p = append(p, string(q.Input.Phase))
	}
	return strings.Join(p, " ")
}

func TestPF10_ColdAdmissionIsOneCommit(t *testing.T) {
	w := newWorld(t)
	o := w.mustAdmit()
	if o.hits != 1 || o.commits != 1 || o.phases() != "url document" {
		t.Errorf("Admit() = %d fetches, %d commits, phases %q, want 1, 1, url document", o.hits, o.commits, o.phases())
	}
	row, found := w.row()
	if !found || !row.ExpiresAt.After(noon) || row.Incarnation == 0 || row.Incarnation >= 1<<53 || !row.CreatedAt.Equal(noon) {
		t.Fatalf("row = %+v, found %v, want one with an incarnation below 2^53 and an expiry", row, found)
	}
	if row.Registration != broker.RegistrationCIMD || row.Revision != "rev-1" || !slices.Equal(row.Policy, []string{"p"}) ||
		!slices.Equal(row.Tags, []string{"tag"}) || string(row.Published) != string(w.host.body) || row.DocumentBytes != len(w.host.body) {
		t.Errorf("row = %+v", row)
	}
	if o.Client.Incarnation != row.Incarnation || o.Reused || o.RedirectURI != redirect || o.Registered != redirect || o.Epoch != w.epoch || o.Revision != "rev-1" {
		t.Errorf("Admit() = %+v", o.Admission)
	}
	r := o.record
	if r.Event != "admission.decided" || r.Outcome != decisionlog.OutcomeAdmitted || r.Reason != "" || r.ClientID != clientID ||
		r.RequestID != "req-1" || r.Incarnation != row.Incarnation || !r.ExpiresAt.Equal(row.ExpiresAt) || r.DocumentSHA256 != row.DocumentSHA256 ||
		r.Revision != "rev-1" || r.Engine != "fake 1" || r.Epoch != w.epoch || r.Phase != "document" || len(r.Phases) != 2 ||
		r.Path != broker.Contract || r.Labels["tag"] != "true" || len(r.DecisionID) != 32 {
		t.Errorf("record = %+v", r)
	}
	for _, raw := range []json.RawMessage{r.Settings, r.Effective, r.Input, r.Result} {
		if !json.Valid(raw) {
			t.Errorf("record holds %q, want JSON", raw)
		}
	}
	if want := []uint64{w.epoch}; !slices.Equal(o.unit.epochs, want) {
		t.Errorf("RequireEpoch was called with %v, want %v", o.unit.epochs, want)
	}
}

// Nothing to the right runs when something to the left said no (design §3).
func TestNothingRightOfARefusalRuns(t *testing.T) {
	other := "https://app.example.com/other"
	empty := ""
	for _, test := range []struct {
		name     string
		world    func(*world)
		request  func(*broker.Request)
		reason   broker.Reason
		reads    bool // the store was asked for the client
		phases   string
		hits     int
		redirect string
	}{
		{name: "U2 malformed id", request: func(r *broker.Request) { r.ClientID = "https://u:p@app.example.com/x" }, reason: broker.ReasonClientIDMalformed},
		{name: "U1 http id", request: func(r *broker.Request) { r.ClientID = "http://app.example.com/x" }, reason: broker.ReasonClientIDMalformed},
		{name: "opaque id", request: func(r *broker.Request) { r.ClientID = "my-client" }, reason: broker.ReasonClientIDUnknown, reads: true},
		{name: "empty id", request: func(r *broker.Request) { r.ClientID = "" }, reason: broker.ReasonClientIDUnknown},
		{name: "PF-02 PF-03 no policy matches", world: func(w *world) { w.policy.answer = unmatched },
			reason: broker.ReasonNoPolicyMatched, reads: true, phases: "url"},
		{name: "A13 policy(url) denies", world: func(w *world) { w.policy.answer = deny(broker.PhaseURL) },
			reason: broker.ReasonPolicyDenied, reads: true, phases: "url"},
		{name: "F6 transient fetch failure of a new client", world: func(w *world) { w.host.err = trouble() },
			reason: broker.ReasonFetchTimeout, reads: true, phases: "url", hits: 1},
		{name: "U12 404", world: func(w *world) { w.host.err = gone() },
			reason: broker.ReasonFetchStatus, reads: true, phases: "url", hits: 1},
		{name: "an unknown error of the door", world: func(w *world) { w.host.err = errors.New("?") },
			reason: broker.ReasonFetchFailed, reads: true, phases: "url", hits: 1},
		{name: "D1 no JSON", world: func(w *world) { w.host.body = []byte("<html>") },
			reason: broker.ReasonDocumentNotJSON, reads: true, phases: "url", hits: 1},
		{name: "D3 another client_id", world: func(w *world) { w.host.body = document(map[string]any{"client_id": other}) },
			reason: broker.ReasonDocumentMismatch, reads: true, phases: "url", hits: 1},
		{name: "D8 secret", world: func(w *world) { w.host.body = document(map[string]any{"client_secret": ""}) },
			reason: broker.ReasonDocumentSecret, reads: true, phases: "url", hits: 1},
		{name: "M12 redirect mismatch", request: func(r *broker.Request) { r.RedirectURI = &other },
			reason: broker.ReasonRedirectMismatch, reads: true, phases: "url", hits: 1},
		{name: "empty redirect", request: func(r *broker.Request) { r.RedirectURI = &empty },
			reason: broker.ReasonRedirectMismatch, reads: true, phases: "url", hits: 1},
		{name: "redirect absent with two", request: func(r *broker.Request) { r.RedirectURI = nil },
			reason: broker.ReasonRedirectMismatch, reads: true, phases: "url", hits: 1},
		{name: "policy(document) denies", world: func(w *world) { w.policy.answer = deny(broker.PhaseDocument) },
			reason: broker.ReasonPolicyDenied, reads: true, phases: "url document", hits: 1},
		{name: "PF-20 redirect not allowed", world: func(w *world) {
			w.host.body = document(map[string]any{"redirect_uris": []string{redirect, "https://other.example/cb"}})
		}, request: func(r *broker.Request) { uri := "https://other.example/cb"; r.RedirectURI = &uri },
			reason: broker.ReasonRedirectNotAllowed, reads: true, phases: "url document", hits: 1},
		{name: "Q8 no scope left is told by redirect", request: func(r *broker.Request) { r.Facts.Scopes = []string{"admin"} },
			reason: broker.ReasonScopeNotAllowed, reads: true, phases: "url document", hits: 1, redirect: redirect},
		{name: "M17 unknown resource is told by redirect", request: func(r *broker.Request) { r.Facts.Resources = []string{"https://x.example"} },
			reason: broker.ReasonResourceUnknown, reads: true, phases: "url document", hits: 1, redirect: redirect},
		{name: "M27 fault of the request is told by redirect",
			request: func(r *broker.Request) { r.Fault = broker.Refuse(broker.ReasonPKCERequired, "no challenge") },
			reason:  broker.ReasonPKCERequired, reads: true, phases: "url document", hits: 1, redirect: redirect},
		{name: "a fault waits for the redirect URI", request: func(r *broker.Request) {
			r.RedirectURI, r.Fault = &other, broker.Refuse(broker.ReasonPKCERequired, "no challenge")
		}, reason: broker.ReasonRedirectMismatch, reads: true, phases: "url", hits: 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			if test.world != nil {
				test.world(w)
			}
			if test.request == nil {
				test.request = func(*broker.Request) {}
			}
			before := w.reads
			o := w.admit(test.request)
			w.refused(o, test.reason)
			if o.phases() != test.phases || o.hits != test.hits || w.reads > before != test.reads {
				t.Errorf("phases %q, %d fetches, store read: %v; want %q, %d, %v", o.phases(), o.hits, w.reads > before, test.phases, test.hits, test.reads)
			}
			if o.RedirectURI != test.redirect {
				t.Errorf("RedirectURI = %q, want %q", o.RedirectURI, test.redirect)
			}
			if _, found := w.row(); found || o.commits != 0 || len(o.unit.epochs) != 0 {
				t.Errorf("a refused stranger left a row: %v, %d commits", found, o.commits)
			}
			if len(o.record.Phases) != len(o.asked) {
				t.Errorf("record has %d phases, want %d", len(o.record.Phases), len(o.asked))
			}
		})
	}
}

func TestPF01_AdmitOff(t *testing.T) {
	w := newWorld(t, func(c *broker.Config) { c.AdmitOff = true })
	o := w.admit()
	w.refused(o, broker.ReasonCIMDOff)
	if o.hits != 0 || len(o.asked) != 0 || o.commits != 0 || o.RedirectURI != "" {
		t.Errorf("Admit() = %d fetches, %d questions, %d commits, redirect %q, want none", o.hits, len(o.asked), o.commits, o.RedirectURI)
	}
	// A client from before is refused in later steps too (design §9).
	on := newWorld(t)
	on.mustAdmit()
	w.rows = on.rows
	w.refused(w.admit(person(nil)), broker.ReasonCIMDOff)
	if _, found := w.row(); !found {
		t.Error("the switch ended a client")
	}
}

// An outage never looks like a denial and opens no way round (1A, last
// paragraph).
func TestStoreDown(t *testing.T) {
	for _, step := range []string{"start", "person"} {
		w := newWorld(t)
		w.mustAdmit()
		w.readErr = errors.New("disk on fire")
		change := func(*broker.Request) {}
		if step == "person" {
			change = person(nil)
		}
		o := w.admit(change)
		w.refused(o, broker.ReasonStoreUnavailable)
		if o.hits != 0 || len(o.asked) != 0 || o.commits != 0 {
			t.Errorf("%s: %d fetches, %d questions, %d commits, want none", step, o.hits, len(o.asked), o.commits)
		}
	}
	// The epoch can be read and the row cannot.
	w := newWorld(t)
	u := &halfUnit{w.begin()}
	_, err := w.b.Admit(t.Context(), u, w.request)
	if got := broker.ReasonOf(err); got != broker.ReasonStoreUnavailable || w.host.count() != 0 || len(w.policy.queries()) != 0 {
		t.Errorf("Admit() without rows = %v, %d fetches, want store_unavailable and none", err, w.host.count())
	}
}

// halfUnit cannot read clients.
type halfUnit struct{ *unit }

func (halfUnit) Client(context.Context, string) (broker.Client, bool, error) {
	return broker.Client{}, false, errors.New("page 7 is damaged")
}

func TestNoPolicyIsActive(t *testing.T) {
	w := newWorld(t)
	b, err := broker.New(w.cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.b = b
	o := w.admit()
	w.refused(o, broker.ReasonServerTrouble)
	if o.hits != 0 || b.Revision() != "" {
		t.Errorf("Admit() before Activate: %d fetches, revision %q", o.hits, b.Revision())
	}
}

func TestNewChecksItsConfig(t *testing.T) {
	for name, spoil := range map[string]func(*broker.Config){
		"issuer": func(c *broker.Config) { c.Issuer = "" }, "fetch": func(c *broker.Config) { c.Fetch = nil },
		"later": func(c *broker.Config) { c.Later = nil }, "pseudonym": func(c *broker.Config) { c.Pseudonym = nil },
		"now": func(c *broker.Config) { c.Now = nil },
	} {
		cfg := newWorld(t).cfg
		spoil(&cfg)
		if b, err := broker.New(cfg); err == nil {
			t.Errorf("New() without a usable %s = %v, want an error", name, b)
		}
	}
}

func TestLimitsOfAFetch(t *testing.T) {
	d := func(v time.Duration) broker.Duration { return broker.Duration(v) }
	for _, test := range []struct {
		name                 string
		floor, ceiling       time.Duration // settings
		cache                broker.CacheBounds
		wantFloor, wantCeil  time.Duration
		wantDefault          time.Duration
		pattern, client      string
		allowPort, wantError bool
	}{
		{name: "SN-05 strict", floor: time.Minute, ceiling: 24 * time.Hour, wantFloor: time.Minute, wantCeil: 24 * time.Hour, wantDefault: time.Hour},
		{name: "PF-14 the server's floor is higher", floor: 0, ceiling: 24 * time.Hour, cache: broker.CacheBounds{Floor: 5 * time.Minute},
			wantFloor: 5 * time.Minute, wantCeil: 24 * time.Hour, wantDefault: time.Hour},
		{name: "PF-14 the server's ceiling is lower", floor: time.Minute, ceiling: 24 * time.Hour, cache: broker.CacheBounds{Default: 2 * time.Minute, Ceiling: time.Hour},
			wantFloor: time.Minute, wantCeil: time.Hour, wantDefault: 2 * time.Minute},
		{name: "PF-14 floor 0 honours no-store", floor: 0, ceiling: time.Hour, wantFloor: 0, wantCeil: time.Hour, wantDefault: time.Hour},
		{name: "U3 pattern spells out the port", floor: time.Minute, ceiling: time.Hour, wantFloor: time.Minute, wantCeil: time.Hour, wantDefault: time.Hour,
			client: "https://app.example.com:8443/oauth/client.json", pattern: "https://*.example.com:8443/oauth/*", allowPort: true},
		{name: "no port in the pattern", floor: time.Minute, ceiling: time.Hour, wantFloor: time.Minute, wantCeil: time.Hour, wantDefault: time.Hour,
			client: "https://app.example.com:8443/oauth/client.json", pattern: "https://app.example.com/a:1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, func(c *broker.Config) { c.Cache = test.cache })
			w.policy.settings.Network = broker.NetworkSettings{AllowCIDRs: []string{"10.1.0.0/16", "10.1.0.0/99"}, EgressProxy: "http://proxy.example.com:3128"}
			w.policy.settings.Document.TTLFloor, w.policy.settings.Document.TTLCeiling = d(test.floor), d(test.ceiling)
			w.policy.answer = func(_ broker.Query, dec *broker.Decision) { dec.Candidates[0].Pattern = test.pattern }
			w.admit(func(r *broker.Request) {
				if test.client != "" {
					r.ClientID = test.client
				}
			})
			want := fetch.Limits{MaxBytes: 5120, Floor: test.wantFloor, Default: test.wantDefault, Ceiling: test.wantCeil, AllowPort: test.allowPort}
			want.Network = fetch.Network{AllowCIDRs: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}, EgressProxy: "http://proxy.example.com:3128"}
			if !reflect.DeepEqual(w.host.lim, want) {
				t.Errorf("limits = %+v, want %+v", w.host.lim, want)
			}
		})
	}
}
