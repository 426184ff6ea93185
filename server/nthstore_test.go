package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/server/admin"
	"guestlist/server/servertest"
	"guestlist/server/signin"
	"guestlist/store"
)

// trial is one scenario on one server, whose store fails at one operation after
// the other. Each round has a client and a browser of its own.
type trial struct {
	*servertest.Server
	t     *testing.T
	f     *servertest.Faulty
	admin *admin.Client
	round int
	twice bool // a batch may have been written twice

	id     string                // the client of this round
	b      *servertest.Browser   // the person's
	page   servertest.Page       // where the person is
	tokens map[string]any        // that the client has
	key    *servertest.ClientKey // of the client; nil: it is public
}

// told is what somebody was told.
type told struct {
	meant bool // what the scenario is about came of it
	page  servertest.Page
	err   error // of an act of an operator, which has no page
}

// what shows an answer in messages.
func (a told) what() string {
	if a.page.Status == 0 {
		return fmt.Sprint(a.err)
	}
	return fmt.Sprintf("status %d, location %q, %.700s", a.page.Status, a.page.Location, brief(a.page))
}

// scenario is one step, with what comes before it.
type scenario struct {
	kind  string               // first segment of the path of the client, by which policies know it
	doc   map[string]any       // members of its document; nil: a public client that may refresh
	ready func(*trial)         // what comes before, on a store that works
	act   func(*trial) told    // what the store fails in
	again func(*trial) told    // what the caller does then, on a store that works; nil: act
	holds func(*trial) string  // what must hold after act came out as meant, beside rows and records; nil: nothing
	spent broker.Reason        // of a refusal of again after a commit that took effect unheard; empty: none
	gone  func(err error) bool // the same of an operator's act; nil: none
	start func(*trial) told    // how the caller begins anew where again is refused; nil: a flow from its start
	grant []string             // outcomes of which the request has a record when act came out as meant
	noted string               // event of the record that a read has, where the store can take it at all
	none  bool                 // the store is not asked, and nothing can fail
}

// failPolicy is a policy for the clients of one kind.
func failPolicy(kind, pattern, more string) string {
	return "# METADATA\n# title: " + kind + "\n# authors: [Team <team@corp.example>]\npackage admission.policies." + kind + "\n\n" + `client_ids := {` + pattern + `}

settings := {
	"scopes": {"ceiling": ["mcp:read", "mcp:write"], "default": ["mcp:read"]},
	"redirect": {"relation": "cross_site", "loopback": true},
	"grant_types": ["authorization_code", "refresh_token"],
	"refresh_token": {"issue": true},
	"token_endpoint_auth_methods": ["none", "private_key_jwt"],
	` + more + `
}
`
}

// failPolicies has one policy for each kind of client.
func failPolicies() map[string]string {
	facts := `{"type": "object", "properties": {"freeze": {"type": "boolean", "default": false}, "round": {"type": "integer", "default": 0}}}`
	out := map[string]string{"facts.schema.json": facts}
	for kind, more := range map[string]string{
		"plain": ``, "once": `"consent": {"mode": "once", "max_age": "30d"},`, "approval": `"consent": {"mode": "approval"},`,
		"held": `"document": {"on_change": "reapprove"},`, "brief": `"client_ttl": "1h",`,
		"opaque": `"access_token": {"format": "opaque"},`,
	} {
		out[kind+".rego"] = failPolicy(kind, `"https://client.example.com/`+kind+`/*"`, more)
	}
	exact := make([]string, 150)
	for i := range exact {
		exact[i] = fmt.Sprintf("%q", fmt.Sprintf("https://client.example.com/skip/%d", i))
	}
	out["skip.rego"] = failPolicy("skip", strings.Join(exact, ", "), `"consent": {"mode": "skip"},`)
	out["denied.rego"] = failPolicy("denied", `"https://client.example.com/denied/*"`, "") +
		"\ndeny_user contains {\"code\": \"nobody\", \"message\": \"m\"} if input.user.sub != \"\"\n"
	out["ending.rego"] = failPolicy("ending", `"https://client.example.com/ending/*"`, "") +
		"\ndeny_refresh contains {\"code\": \"frozen\", \"message\": \"m\", \"effect\": \"end_grant\"} if input.facts.freeze\n"
	return out
}

// try runs a scenario with every operation failing in each way, one after the
// other, and says how many there were.
func (sc scenario) try(t *testing.T) map[servertest.Fault]int {
	x := &trial{t: t}
	x.Server = servertest.New(t, servertest.Options{
		Policy: failPolicies(), SignIns: signin.Rate{Burst: 1000, Every: time.Millisecond},
		Wrap: func(st store.Store) store.Store {
			x.f = &servertest.Faulty{Store: st}
			return x.f
		},
	})
	x.admin = operators(t, x.Server)
	struck := map[servertest.Fault]int{}
	for _, kind := range servertest.Faults() {
		for n := 1; x.play(sc, kind, n); n++ {
			struck[kind] = n
			if n == 100 {
				t.Fatal("the scenario does not come to an end")
			}
		}
		if t.Failed() {
			return struck
		}
	}
	return struck
}

// play is one round, in which the nth operation fails; it reports whether there
// was one.
func (x *trial) play(sc scenario, kind servertest.Fault, n int) bool {
	x.Clock.Advance(2 * time.Minute)
	x.round++
	x.id, x.b, x.key = fmt.Sprintf("https://client.example.com/%s/%d", sc.kind, x.round), x.Browser(), nil
	doc := sc.doc
	if doc == nil {
		doc = refreshing
	}
	x.Docs.Publish(x.id, doc)
	sc.ready(x)
	x.f.Arm(kind, n)
	got := sc.act(x)
	struck := x.f.Heal()
	where := fmt.Sprintf("%s of operation %d, %s", kind, n, struck)
	x.hold(sc, kind, where, got)
	if sc.noted != "" {
		x.noted(sc, where, struck != "")
	}
	if struck == "" {
		if !got.meant {
			x.t.Errorf("nothing failed, and the answer is %s", got.what())
		}
		return false
	}
	if !got.meant {
		x.retry(sc, kind, where)
	}
	return true
}

// hold holds an answer against what is stored.
func (x *trial) hold(sc scenario, kind servertest.Fault, where string, got told) {
	x.t.Helper()
	x.audit(kind, where)
	if got.meant && sc.holds != nil {
		if wrong := sc.holds(x); wrong != "" {
			x.t.Errorf("%s: the answer is as meant, but %s", where, wrong)
		}
	}
	if got.page.Status == 0 {
		return
	}
	outcomes := map[string]bool{}
	for _, r := range x.Records(store.RecordQuery{RequestID: got.page.Header.Get("X-Request-Id")}) {
		outcomes[r.Outcome] = true
	}
	for _, want := range sc.grant {
		if got.meant && !outcomes[want] {
			x.t.Errorf("%s: the answer is as meant, but its request has records %v, want %s", where, outcomes, want)
		}
	}
	unheard := kind == servertest.FaultUnheard
	if !got.meant && !unheard && (outcomes[decisionlog.OutcomeIssued] || outcomes[decisionlog.OutcomeGranted]) {
		x.t.Errorf("%s: records %v of a request that was told %s", where, outcomes, got.what())
	}
	if !got.meant && kind != servertest.FaultSpent && got.page.Status != http.StatusServiceUnavailable {
		x.t.Errorf("%s: %s, want 503", where, got.what())
	}
}

// retry does the step again on a store that works.
func (x *trial) retry(sc scenario, kind servertest.Fault, where string) {
	x.t.Helper()
	again, start := sc.again, sc.start
	if again == nil {
		again = sc.act
	}
	if start == nil {
		start = (*trial).anew
	}
	got := again(x)
	if got.meant && sc.holds != nil {
		if wrong := sc.holds(x); wrong != "" {
			x.t.Errorf("%s: it was done again, but %s", where, wrong)
		}
	}
	if !got.meant && kind == servertest.FaultUnheard && x.refusedAs(sc, got) {
		got = start(x)
	}
	if !got.meant {
		x.t.Errorf("%s: afterwards, on a store that works: %s", where, got.what())
	} // rows and records are looked at in the next round
}

// refusedAs reports whether what took effect unheard is why it cannot be done
// again.
func (x *trial) refusedAs(sc scenario, got told) bool {
	if got.page.Status == 0 {
		return sc.gone != nil && sc.gone(got.err)
	}
	for _, r := range x.Records(store.RecordQuery{RequestID: got.page.Header.Get("X-Request-Id")}) {
		if sc.spent != "" && r.Reason == string(sc.spent) {
			return true
		}
	}
	return false
}

// anew is a flow from its start to its tokens.
func (x *trial) anew() told {
	x.b = x.Browser()
	x.consented()
	return x.redeem()
}

// audit holds rows and records against each other.
func (x *trial) audit(kind servertest.Fault, where string) {
	x.t.Helper()
	x.twice = x.twice || kind == servertest.FaultUnheard
	for _, v := range x.violations() {
		x.t.Errorf("%s: %s", where, v)
	}
}

// violations are where rows and records do not agree.
func (x *trial) violations() []string {
	x.t.Helper()
	check(x.t, x.Batch.Flush(x.t.Context()))
	l, err := servertest.ReadLedger(x.t.Context(), x.Store, filepath.Join(x.Dir, "guestlist.db"))
	check(x.t, err)
	l.Pseudonym, l.Now, l.Repeated = x.Keys.Pseudonym, x.Clock.Now(), x.twice
	return l.Violations()
}

// request is an authorization request of the round's client.
func (x *trial) request() servertest.Page { return x.b.Authorize(x.Server.Request(x.id, nil)) }

// asked plays to the consent page.
func (x *trial) asked() {
	x.t.Helper()
	if x.page = x.request(); isSignIn(x.page) {
		x.page = x.b.SignIn(x.page, servertest.Person)
	}
	if !isConsent(x.page) {
		x.t.Fatalf("no consent page: status %d\n%s", x.page.Status, brief(x.page))
	}
}

// consented plays to a code.
func (x *trial) consented() {
	x.t.Helper()
	x.asked()
	if x.page = x.b.Submit(x.page, "decision", allow()); x.page.Param("code") == "" {
		x.t.Fatalf("no code: status %d\n%s", x.page.Status, brief(x.page))
	}
}

// exchanged plays to tokens.
func (x *trial) exchanged() {
	x.t.Helper()
	x.consented()
	if got := x.redeem(); !got.meant {
		x.t.Fatalf("no tokens: %s", got.what())
	}
}

// asserted adds the client's assertion where it has a key.
func (x *trial) asserted(form url.Values) url.Values {
	if x.key != nil {
		for k, v := range x.Asserted(x.key, x.id) {
			form[k] = v
		}
	}
	return form
}

// token posts to the token endpoint; tokens that come of it are kept.
func (x *trial) token(form url.Values) servertest.Page {
	x.t.Helper()
	p := post(x.t, x.Server, x.asserted(form), nil)
	if p.Status == http.StatusOK {
		x.tokens = answerOf(x.t, p)
	}
	return p
}

// redeem exchanges the code of the page.
func (x *trial) redeem() told {
	p := x.token(x.Exchange(x.id, x.page, nil))
	return told{meant: p.Status == http.StatusOK, page: p}
}

// rotate refreshes with a token.
func (x *trial) rotate(token any) servertest.Page {
	return x.token(url.Values{"grant_type": {"refresh_token"}, "client_id": {x.id}, "refresh_token": {token.(string)}})
}

// grants are those of the round's client, newest first.
func (x *trial) grants() []store.Grant {
	x.t.Helper()
	list, err := x.Store.Grants(x.t.Context(), store.GrantQuery{ClientID: x.id})
	check(x.t, err)
	return list
}

// ended says what is wrong where a grant of the round's client lives.
func (x *trial) ended() string {
	for _, g := range x.grants() {
		if g.EndedAt.IsZero() {
			return "the grant " + g.ID + " lives"
		}
	}
	return ""
}

// TestNthOperationFails: whichever operation of the store fails in whichever
// way, at every step of every kind, nothing is there without its record, nobody
// was told yes before both are, and whoever was told no gets through, or is
// refused for what did happen.
func TestNthOperationFails(t *testing.T) {
	t.Parallel()
	for name, sc := range scenarios() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			struck := sc.try(t)
			if struck[servertest.FaultRefused] == 0 && !sc.none {
				t.Error("no operation failed")
			}
			t.Logf("operations that failed: %v", struck)
		})
	}
}

// TestRecordsApartAreFound: a store that writes records after what they are
// about, and stops in between, is found out, whatever the scenario made.
func TestRecordsApartAreFound(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, want string
		ready      func(*trial)
		act        func(*trial)
	}{
		{"admission", "admitted by a record false", nothing, func(x *trial) { x.request() }},
		{"consent", "no record of a consent", (*trial).asked, func(x *trial) { x.b.Submit(x.page, "decision", allow()) }},
		{"exchange", "no record that issued it", (*trial).consented, func(x *trial) { x.redeem() }},
		{"refresh", "1 later ones, 1 spent", (*trial).exchanged, func(x *trial) { x.rotate(x.tokens["refresh_token"]) }},
		{"reuse", "by its records for []", func(x *trial) { refreshed(x); x.Clock.Advance(time.Minute) }, func(x *trial) { wantsRefusal(x) }},
		{"revocation", "ended true, by a record false", (*trial).exchanged, func(x *trial) { givesBack("access_token")(x) }},
		{"block", "has as its last record", nothing, func(x *trial) { _ = x.block() }},
		{"pin", "is pinned: true", nothing, func(x *trial) { _ = x.admin.Pin(x.t.Context(), x.id, x.document("Pinned")) }},
		{"sign-in", "sessions of a person", signingIn, func(x *trial) { x.b.SignIn(x.page, servertest.Person) }},
		{"activation", "in force; its record has", nothing, func(x *trial) { _ = x.SetFacts(map[string]any{"round": 7}) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			x := &trial{t: t, id: "https://client.example.com/plain/1"}
			x.Server = servertest.New(t, servertest.Options{Policy: failPolicies(), Wrap: func(st store.Store) store.Store {
				x.f = &servertest.Faulty{Store: st}
				return servertest.Apart{Store: x.f}
			}})
			x.admin, x.b = operators(t, x.Server), x.Browser()
			x.Docs.Publish(x.id, refreshing)
			tt.ready(x)
			if found := x.violations(); len(found) > 0 {
				t.Fatalf("before anything failed: %q", found)
			}
			x.f.Arm(servertest.FaultDown, 2)
			tt.act(x)
			if struck := x.f.Heal(); struck == "" {
				t.Fatal("the second commit was not reached")
			}
			if found := x.violations(); !strings.Contains(strings.Join(found, "\n"), tt.want) {
				t.Errorf("found %q, want %q", found, tt.want)
			}
		})
	}
}
