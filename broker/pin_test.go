package broker_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/broker/cimd"
)

// pinned is a document that can be pinned for the harmless client.
func pinned(change map[string]any) []byte {
	m := map[string]any{"client_uri": "https://app.example.com/"}
	maps.Copy(m, change)
	return document(m)
}

// pin has an operator store a document.
func (w *world) pin(body []byte) {
	w.t.Helper()
	w.do(func(u *unit) error { return w.b.PinClient(w.t.Context(), u, "olga", clientID, body) })
}

// SN-04: a pinned document needs what its host is not there to be asked for,
// and errors name it.
func TestSN04PinDemandsMembers(t *testing.T) {
	for name, test := range map[string]struct {
		id     string
		body   []byte
		reason broker.Reason
		want   string
	}{
		"no client_uri":         {body: document(nil), reason: broker.ReasonDocumentMember, want: "missing: client_uri. Remedy: pin a copy that has them"},
		"no response_types":     {body: pinned(map[string]any{"response_types": nil}), reason: broker.ReasonDocumentMember, want: "missing: response_types"},
		"no redirect_uris":      {body: pinned(map[string]any{"redirect_uris": nil}), reason: broker.ReasonDocumentMember, want: "missing: redirect_uris"},
		"two of them":           {body: document(map[string]any{"response_types": nil}), reason: broker.ReasonDocumentMember, want: "missing: client_uri, response_types"},
		"client_uri of no use":  {body: pinned(map[string]any{"client_uri": "http://app.example.com/"}), reason: broker.ReasonDocumentMember, want: "client_uri"},
		"another client_id":     {body: pinned(map[string]any{"client_id": clientID + "/"}), reason: broker.ReasonDocumentMismatch, want: "D3"},
		"a secret":              {body: pinned(map[string]any{"client_secret": "x"}), reason: broker.ReasonDocumentSecret, want: "D8"},
		"no JSON":               {body: []byte("<html>"), reason: broker.ReasonDocumentNotJSON, want: "JSON"},
		"no client identifier":  {id: "s6BhdRkqt3", body: pinned(nil), reason: broker.ReasonRequestInvalid, want: "https://"},
		"a registered client":   {id: registeredID, body: pinned(map[string]any{"client_id": registeredID}), reason: broker.ReasonRequestInvalid, want: "configuration"},
		"everything is there":   {body: pinned(nil)},
		"cimd profile, no name": {body: pinned(map[string]any{"client_name": nil})},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, withRegistered)
			if test.id == "" {
				test.id = clientID
			}
			u := w.begin()
			err := w.b.PinClient(t.Context(), u, "olga", test.id, test.body)
			if test.reason == "" {
				if err != nil || u.Empty() {
					t.Errorf("PinClient() = %v, want a pin", err)
				}
				return
			}
			if broker.ReasonOf(err) != test.reason || !strings.Contains(err.Error(), test.want) || !u.Empty() {
				t.Errorf("PinClient() = %v, want %s with %q and nothing staged", err, test.reason, test.want)
			}
		})
	}
}

// SN-02 SN-03: a pinned client needs no fetch when its row is due, and the row
// is made again from the pin; its own changes are in force with the next flow.
func TestSN03PinnedRowIsMadeAgain(t *testing.T) {
	w := newWorld(t)
	w.pin(pinned(nil))
	if r := w.last("document.pinned"); r.Actor != "olga" || r.ClientID != clientID || r.DocumentSHA256 != sha(pinned(nil)) {
		t.Errorf("record = %+v", r)
	}
	first := w.mustAdmit()
	if first.hits != 0 || first.Client.Registration != broker.RegistrationPinned || first.record.Registration != "pinned" {
		t.Fatalf("Admit() = %d fetches, registration %s", first.hits, first.Client.Registration)
	}
	if in := first.asked[0].Input; in.Registration != broker.RegistrationPinned {
		t.Errorf("policy was asked about registration %s", in.Registration)
	}
	if in := first.asked[1].Input.Provenance; in.From != "pin" {
		t.Errorf("provenance = %+v, want from the pin", in)
	}
	if o := w.mustAdmit(); !o.Reused || o.hits != 0 || o.commits != 0 {
		t.Errorf("a fresh row: reused %v, %d fetches, %d commits", o.Reused, o.hits, o.commits)
	}
	w.at(2 * time.Hour)
	if o := w.mustAdmit(); o.Reused || o.hits != 0 || o.Client.Incarnation != first.Client.Incarnation || !o.Client.FetchedAt.Equal(w.clock()) {
		t.Errorf("a due row: reused %v, %d fetches, %+v", o.Reused, o.hits, o.Client)
	}
	w.pin(pinned(map[string]any{"client_name": "Renamed"}))
	if o := w.mustAdmit(); o.hits != 0 || o.Client.Document.ClientName != "Renamed" || o.Client.Incarnation != first.Client.Incarnation {
		t.Errorf("a changed pin: %d fetches, %+v", o.hits, o.Client)
	}
	w.at(60 * 24 * time.Hour)
	if o := w.mustAdmit(); o.hits != 0 || o.Client.Incarnation == first.Client.Incarnation || len(o.others) != 1 {
		t.Errorf("an expired row: %d fetches, life %d of %d", o.hits, o.Client.Incarnation, first.Client.Incarnation)
	}
}

// SN-04: once the pin is gone the host counts again, and its trouble is not
// bridged by what was pinned.
func TestSN04UnpinnedNeedsTheHost(t *testing.T) {
	w := newWorld(t)
	w.pin(pinned(nil))
	w.mustAdmit()
	w.do(func(u *unit) error { return w.b.UnpinClient(t.Context(), u, "otto", clientID) })
	if r := w.last("document.unpinned"); r.Actor != "otto" || r.ClientID != clientID {
		t.Errorf("record = %+v", r)
	}
	w.host.err = trouble()
	w.refused(w.admit(), broker.ReasonFetchTimeout)
	if err := w.b.UnpinClient(t.Context(), w.begin(), "otto", clientID); broker.ReasonOf(err) != broker.ReasonRequestInvalid {
		t.Errorf("UnpinClient of what is not pinned = %v, want a refusal", err)
	}
	w = newWorld(t)
	w.mustAdmit()
	w.blockErr = errStore
	w.refused(w.admit(), broker.ReasonStoreUnavailable)
}

// B14: strangers cannot take the room of a client that an operator vouches
// for.
func TestB14OperatorsClientsNeedNoRoom(t *testing.T) {
	w := newWorld(t, withRegistered, func(c *broker.Config) { c.Caps = broker.Caps{Total: 1} })
	w.pin(pinned(nil))
	other := "https://other.example.com/x"
	asking := func(id string) func(*broker.Request) { return func(r *broker.Request) { r.ClientID = id } }
	w.host.body = document(map[string]any{"client_id": other, "redirect_uris": []string{redirect}})
	w.policy.settings.Redirect.Relation = "cross_site"
	w.mustAdmit(asking(other))
	w.mustAdmit()
	w.mustAdmit(asking(registeredID))
	w.refused(w.admit(asking(other+"y")), broker.ReasonClientCapReached)
}

// registeredID is a client of the configuration.
const registeredID = "https://console.example.net/client"

// withRegistered is a configuration with clients of its own.
func withRegistered(c *broker.Config) {
	id, err := cimd.Parse(registeredID)
	if err != nil {
		panic(err)
	}
	opaque, err := cimd.Opaque("s6BhdRkqt3")
	if err != nil {
		panic(err)
	}
	c.Registered = []broker.Registered{
		{ID: id, Published: document(map[string]any{"client_id": registeredID})},
		{ID: opaque, Published: document(map[string]any{"client_id": "s6BhdRkqt3"})},
	}
}

// CU-17 B29: a registered client is never fetched, an operator's block does
// not need its host, and policy reads nothing of a URL that is none.
func TestCU17Registered(t *testing.T) {
	w := newWorld(t, withRegistered)
	w.policy.settings.Redirect.Relation = "cross_site"
	opaque := func(r *broker.Request) { r.ClientID = "s6BhdRkqt3" }
	o := w.mustAdmit(opaque)
	if o.hits != 0 || o.Client.Registration != broker.RegistrationRegistered || o.record.ClientID != "s6BhdRkqt3" || o.record.Registration != "registered" {
		t.Errorf("Admit() = %d fetches, %+v", o.hits, o.record)
	}
	in := o.asked[0].Input.Client
	if in.Scheme != "" || in.Host != "" || in.Path != "" || in.Labels == nil || len(in.Labels)+len(in.Segments)+len(in.Parents)+len(in.Warnings) != 0 ||
		in.Segments == nil || in.Parents == nil || in.Warnings == nil {
		t.Errorf("input.client = %+v, want typed empty members", in)
	}
	w.block(broker.BlockDocument, o.Client.DocumentSHA256)
	w.refused(w.admit(opaque), broker.ReasonDocumentBlocked)
	if _, found := w.rows["s6BhdRkqt3"]; found {
		t.Error("the blocked registered client is still there")
	}
	w.readErr = errStore
	o = w.admit(func(r *broker.Request) { r.ClientID = registeredID })
	w.refused(o, broker.ReasonStoreUnavailable)
	if o.hits != 0 {
		t.Errorf("%d fetches while the store is away, want none: it never falls through to the web", o.hits)
	}
}

// A configuration of clients that cannot be is refused.
func TestCU17RegisteredRefused(t *testing.T) {
	good := broker.Config{}
	withRegistered(&good)
	for name, list := range map[string][]broker.Registered{
		"twice":              {good.Registered[0], good.Registered[0]},
		"no identifier":      {{Published: good.Registered[0].Published}},
		"document of others": {{ID: good.Registered[1].ID, Published: good.Registered[0].Published}},
		"no document":        {{ID: good.Registered[0].ID}},
	} {
		w := newWorld(t)
		w.cfg.Registered = list
		if _, err := broker.New(w.cfg); err == nil {
			t.Errorf("%s: New() = nil, want an error", name)
		}
	}
}

// What nobody meets ends in a sweep: blocked clients, and those whose
// identifier the configuration took over or gave up (B29).
func TestSweepEndsWhatIsKeptOut(t *testing.T) {
	w := newWorld(t, withRegistered)
	w.policy.settings.Redirect.Relation = "cross_site"
	w.mustAdmit()
	w.mustAdmit(func(r *broker.Request) { r.ClientID = registeredID })
	w.mustAdmit(func(r *broker.Request) { r.ClientID = "s6BhdRkqt3" })
	if n := w.sweep(); n != 0 {
		t.Fatalf("Sweep() = %d, want none", n)
	}
	w.cfg.Registered = nil
	w.b = w.newBroker()
	if n := w.sweep(); n != 2 {
		t.Errorf("Sweep() = %d without the configured clients, want 2", n)
	}
	if _, found := w.row(); !found {
		t.Error("the sweep ended a client that lives")
	}
}

// B30: a policy that is removed and restored revives nothing, also not a client
// that nobody met meanwhile; a policy that a request would meet at another hour
// is not removed.
func TestSweepEndsWhatNoPolicyNames(t *testing.T) {
	for name, c := range map[string]struct {
		onPolicyChange string
		answer         func(broker.Query, *broker.Decision)
		want           int
	}{
		"named":                  {"revoke", nil, 0},
		"denied":                 {"revoke", deny(broker.PhaseURL), 0},
		"no policy names it":     {"revoke", unmatched, 1},
		"named at another hour":  {"revoke", elsewhere, 0},
		"its grants go on":       {"keep", unmatched, 0},
		"its refreshes are over": {"stop_refresh", unmatched, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.policy.settings.OnPolicyChange = c.onPolicyChange
			w.mustAdmit()
			w.policy.answer = c.answer
			if n := w.sweep(); n != c.want {
				t.Errorf("Sweep() = %d, want %d", n, c.want)
			}
		})
	}
}
