package broker_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/broker/cimd"
	"guestlist/broker/decisionlog"
	"guestlist/broker/fetch"
)

const (
	clientID = "https://app.example.com/oauth/client.json"
	redirect = "https://app.example.com/cb"
	resource = "https://mcp.example.net"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// document is the harmless document of the client with some members changed;
// a nil value takes the member away.
func document(change map[string]any) []byte {
	m := map[string]any{
		"client_id": clientID, "client_name": "App", "redirect_uris": []string{redirect, "http://127.0.0.1/cb"},
		"grant_types": []string{"authorization_code"}, "response_types": []string{"code"},
		"token_endpoint_auth_method": "none",
	}
	maps.Copy(m, change)
	maps.DeleteFunc(m, func(_ string, v any) bool { return v == nil })
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return b
}

// terms are settings that admit the harmless document for scope mcp:read.
func terms() broker.Settings {
	s := broker.StrictSettings()
	s.Scopes.Ceiling = []string{"mcp:read", "mcp:write"}
	s.Scopes.Default = []string{"mcp:read"}
	s.Tags = []string{"tag"}
	return s
}

func offer() broker.Offer {
	return broker.Offer{
		GrantTypes: []string{"authorization_code"}, ResponseTypes: []string{"code"}, AuthMethods: []string{"none"},
		Resources: []broker.Resource{{ID: resource, Name: "mcp", TokenFormat: "jwt"}},
	}
}

// world is everything around one broker: store, log, host of the document,
// policy and clock.
type world struct {
	t       testing.TB
	b       *broker.Broker
	cfg     broker.Config
	policy  *fakePolicy
	host    *fakeHost
	request broker.Request // what admit asks

	mu       sync.Mutex
	now      time.Time
	rows     map[string]broker.Client
	seen     map[string]time.Time // by host, and by identifier of clients that ended
	blocks   map[string]broker.Block
	pins     map[string]broker.Pin
	versions []broker.Version
	epoch    uint64
	revision string

	activation *broker.Activation // nil: nothing is in force
	bundle     broker.Bundle

	facts    string               // digest
	records  []decisionlog.Record // of the store's log
	later    []decisionlog.Record // of the batch
	reads    int
	commits  int
	ended    []string // "client incarnation reason" of EndClient
	lateErr  error    // of the batch
	readErr  error    // of the store
	blockErr error    // of looking a block or a pin up
	seenErr  error    // of looking up when a client came first
}

// newWorld activates a policy that admits the harmless document.
func newWorld(t testing.TB, change ...func(*broker.Config)) *world {
	t.Helper()
	w := &world{t: t, now: noon, rows: map[string]broker.Client{}, seen: map[string]time.Time{}, blocks: map[string]broker.Block{}, pins: map[string]broker.Pin{}, epoch: 7}
	w.policy = &fakePolicy{rev: "rev-1", settings: terms()}
	w.host = &fakeHost{w: w, body: document(nil), fresh: time.Hour}
	uri := redirect
	w.request = broker.Request{
		RequestID: "req-1", ClientID: clientID, RedirectURI: &uri,
		Facts: broker.RequestInput{ResponseType: "code", GrantType: "authorization_code", PKCE: true,
			Source: broker.SourceInput{IP: "192.0.2.1", UserAgent: "agent"}},
	}
	w.cfg = broker.Config{
		Issuer: "https://as.example.org", Fetch: w.host, Offer: offer(), Now: w.clock, Later: w.keep,
		Pseudonym: func(s string) string { return "pseudonym-of-" + fmt.Sprint(len(s)) },
	}
	for _, f := range change {
		f(&w.cfg)
	}
	w.b = w.newBroker()
	return w
}

// newBroker starts the program anew on the same store.
func (w *world) newBroker() *broker.Broker {
	w.t.Helper()
	b, err := broker.New(w.cfg)
	if err != nil {
		w.t.Fatalf("New() = %v", err)
	}
	u := w.begin()
	if err := b.Activate(w.t.Context(), w.policy, "test", "", u, u.commit); err != nil {
		w.t.Fatalf("Activate() = %v", err)
	}
	return b
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// at moves the clock to an offset from noon.
func (w *world) at(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = noon.Add(d)
}

func (w *world) keep(r decisionlog.Record) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lateErr == nil {
		w.later = append(w.later, r)
	}
	return w.lateErr
}

// row returns the stored row; present is false without one.
func (w *world) row() (broker.Client, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c, ok := w.rows[clientID]
	return c, ok
}

// outcome is one Admit and what it left behind.
type outcome struct {
	broker.Admission
	err     error
	reason  broker.Reason
	record  decisionlog.Record   // the one record of the decision
	others  []decisionlog.Record // of what the request met
	staged  bool                 // the record came with the commit
	commits int
	hits    int
	asked   []broker.Query
	unit    *unit
}

// admit runs w.request as an HTTP step does: decide, then commit once what was
// staged, whether it was refused or not.
func (w *world) admit(change ...func(*broker.Request)) outcome {
	w.t.Helper()
	req := w.request
	for _, f := range change {
		f(&req)
	}
	stored, late := len(w.records), len(w.later)
	hits, commits, asked := w.host.count(), w.commits, len(w.policy.queries())
	u := w.begin()
	a, err := w.b.Admit(w.t.Context(), u, req)
	if !u.Empty() {
		if cerr := u.commit(w.t.Context()); cerr != nil {
			w.t.Fatalf("commit = %v", cerr)
		}
	}
	o := outcome{Admission: a, err: err, commits: w.commits - commits, hits: w.host.count() - hits,
		asked: w.policy.queries()[asked:], unit: u}
	var e *broker.Error
	if errors.As(err, &e) {
		o.reason = e.Reason
	} else if err != nil {
		w.t.Fatalf("Admit() = %T %v, want an *Error", err, err)
	}
	w.sort(&o, stored, late)
	return o
}

// sort finds the one record of the decision among what was written.
func (w *world) sort(o *outcome, stored, late int) {
	w.t.Helper()
	n := 0
	for _, r := range w.records[stored:] {
		if r.Event != "admission.decided" {
			o.others = append(o.others, r)
			continue
		}
		o.record, o.staged = r, true
		n++
	}
	for _, r := range w.later[late:] {
		o.record = r
		n++
	}
	if want := 1; n != want && w.lateErr == nil {
		w.t.Errorf("Admit() left %d records, want %d", n, want)
	}
	if o.commits > 0 != o.staged {
		w.t.Errorf("Admit() led to %d commits, its record in the commit: %v", o.commits, o.staged)
	}
}

// mustAdmit is admit where a refusal ends the test.
func (w *world) mustAdmit(change ...func(*broker.Request)) outcome {
	w.t.Helper()
	o := w.admit(change...)
	if o.err != nil {
		w.t.Fatalf("Admit() = %v, want an admission", o.err)
	}
	return o
}

// refused checks a refusal and its record.
func (w *world) refused(o outcome, want broker.Reason) {
	w.t.Helper()
	if o.err == nil || o.reason != want {
		w.t.Errorf("Admit() = %v, want reason %s", o.err, want)
	}
	if o.Decision.Allowed {
		w.t.Errorf("Admit() = %v with a decision that allows", o.err)
	}
	if r := o.record; r.Outcome != decisionlog.OutcomeRefused || r.Reason != string(want) || r.PublicReason != string(want.Public()) {
		w.t.Errorf("record says %s, %s, %s; want refused, %s, %s", r.Outcome, r.Reason, r.PublicReason, want, want.Public())
	}
}

// unit is a unit of work over the world's maps.
type unit struct {
	w      *world
	checks []func() error
	writes []func()
	ends   map[uint64]bool
	epochs []uint64 // of RequireEpoch
	wrote  []string // names of the staged operations, in order
}

func (w *world) begin() *unit { return &unit{w: w, ends: map[uint64]bool{}} }

func (u *unit) read() error {
	u.w.reads++
	return u.w.readErr
}

func (u *unit) stage(name string, check func() error, write func()) {
	u.wrote = append(u.wrote, name)
	if check != nil {
		u.checks = append(u.checks, check)
	}
	u.writes = append(u.writes, write)
}

func (u *unit) Empty() bool { return len(u.wrote) == 0 }

func (u *unit) Epoch(context.Context) (uint64, error) {
	u.w.mu.Lock()
	defer u.w.mu.Unlock()
	return u.w.epoch, u.read()
}

func (u *unit) Activation(context.Context, uint64) (broker.Activation, bool, error) {
	u.w.mu.Lock()
	defer u.w.mu.Unlock()
	if u.w.activation == nil {
		return broker.Activation{}, false, u.read()
	}
	return *u.w.activation, true, u.read()
}

func (u *unit) ActiveRevision(context.Context) (revision, facts string, err error) {
	u.w.mu.Lock()
	defer u.w.mu.Unlock()
	return u.w.revision, u.w.facts, u.read()
}

func (u *unit) Client(_ context.Context, id string) (broker.Client, bool, error) {
	u.w.mu.Lock()
	defer u.w.mu.Unlock()
	if err := u.read(); err != nil {
		return broker.Client{}, false, err
	}
	c, ok := u.w.rows[id]
	return c, ok, nil
}

func (u *unit) RequireEpoch(epoch uint64) {
	u.epochs = append(u.epochs, epoch)
	u.checks = append(u.checks, func() error {
		if u.w.epoch != epoch {
			return broker.ErrConflict
		}
		return nil
	})
}

// lives is the precondition that an incarnation is there.
func (u *unit) lives(id string, incarnation uint64) func() error {
	return func() error {
		if c, ok := u.w.rows[id]; !ok || c.Incarnation != incarnation {
			return broker.ErrConflict
		}
		return nil
	}
}

func (u *unit) CreateClient(c broker.Client) {
	u.stage("create", func() error {
		if old, ok := u.w.rows[c.ID]; ok && !u.ends[old.Incarnation] {
			return broker.ErrConflict
		}
		return nil
	}, func() { u.w.rows[c.ID] = c })
}

func (u *unit) ClientCount(_ context.Context, domain string, policies []string) (broker.Caps, error) {
	u.w.mu.Lock()
	defer u.w.mu.Unlock()
	return u.w.count(domain, policies), u.read()
}

// count counts the rows: all, of a domain, of the busiest of these policies.
func (w *world) count(domain string, policies []string) broker.Caps {
	have := broker.Caps{Total: len(w.rows), PerDomain: w.of(domain)}
	for _, p := range policies {
		n := 0
		for _, c := range w.rows {
			if slices.Contains(c.Policy, p) {
				n++
			}
		}
		have.PerPolicy = max(have.PerPolicy, n)
	}
	return have
}

// of counts the rows of a domain.
func (w *world) of(domain string) int {
	n := 0
	for _, c := range w.rows {
		if c.Domain == domain {
			n++
		}
	}
	return n
}

func (u *unit) CapClients(domain string, policies []string, caps broker.Caps) {
	u.checks = append(u.checks, func() error {
		have := u.w.count(domain, policies)
		if have.Total >= caps.Total || have.PerDomain >= caps.PerDomain || len(policies) > 0 && have.PerPolicy >= caps.PerPolicy {
			return broker.ErrConflict
		}
		return nil
	})
}

func (u *unit) FirstSeen(_ context.Context, name string) (time.Time, error) {
	u.w.mu.Lock()
	defer u.w.mu.Unlock()
	return u.w.seen[name], errors.Join(u.read(), u.w.seenErr)
}

func (u *unit) Blocked(_ context.Context, kind broker.BlockKind, value string) (broker.Block, bool, error) {
	u.w.mu.Lock()
	defer u.w.mu.Unlock()
	b, ok := u.w.blocks[string(kind)+" "+value]
	return b, ok, errors.Join(u.read(), u.w.blockErr)
}

func (u *unit) PutBlock(b broker.Block) {
	u.stage("block", nil, func() { u.w.blocks[string(b.Kind)+" "+b.Value], u.w.epoch = b, u.w.epoch+1 })
}

func (u *unit) DropBlock(kind broker.BlockKind, value string) {
	u.stage("unblock", nil, func() { delete(u.w.blocks, string(kind)+" "+value); u.w.epoch++ })
}

func (u *unit) Pin(_ context.Context, id string) (broker.Pin, bool, error) {
	u.w.mu.Lock()
	defer u.w.mu.Unlock()
	p, ok := u.w.pins[id]
	return p, ok, errors.Join(u.read(), u.w.blockErr)
}

func (u *unit) PutPin(p broker.Pin) {
	u.stage("pin", nil, func() { u.w.pins[p.ID], u.w.epoch = p, u.w.epoch+1 })
}

func (u *unit) DropPin(id string) {
	u.stage("unpin", nil, func() { delete(u.w.pins, id); u.w.epoch++ })
}

func (u *unit) PutVersion(v broker.Version) {
	u.stage("version", nil, func() { u.w.versions = append(u.w.versions, v) })
}

func (u *unit) UpdateClient(c broker.Client) {
	u.stage("update", u.lives(c.ID, c.Incarnation), func() { u.w.rows[c.ID] = c })
}

func (u *unit) MoveKeys(c broker.Client) {
	u.stage("keys", u.lives(c.ID, c.Incarnation), func() {
		row := u.w.rows[c.ID]
		row.Keys, row.PendingKeys, row.KeysChangedAt = c.Keys, c.PendingKeys, c.KeysChangedAt
		u.w.rows[c.ID] = row
	})
}

func (u *unit) EndClient(id string, incarnation uint64, at time.Time, reason broker.Reason) {
	u.ends[incarnation] = true
	u.stage("end", u.lives(id, incarnation), func() {
		u.w.ended = append(u.w.ended, fmt.Sprintf("%s %d %s", id, incarnation, reason))
		delete(u.w.rows, id)
	})
}

func (u *unit) ExtendClient(id string, incarnation uint64, until time.Time) {
	u.stage("extend", nil, func() {
		if c, ok := u.w.rows[id]; ok && c.Incarnation == incarnation && until.After(c.ExpiresAt) {
			c.ExpiresAt = until
			u.w.rows[id] = c
		}
	})
}

func (u *unit) Append(r decisionlog.Record) {
	u.stage("append", nil, func() { u.w.records = append(u.w.records, r) })
}

func (u *unit) Activate(a broker.Activation, b broker.Bundle) {
	u.stage("activate", nil, func() {
		u.w.revision, u.w.facts, u.w.epoch = a.Revision, a.Facts, u.w.epoch+1
		u.w.activation, u.w.bundle = &a, b
	})
}

// commit applies all or nothing.
func (u *unit) commit(context.Context) error {
	u.w.mu.Lock()
	defer u.w.mu.Unlock()
	for _, check := range u.checks {
		if err := check(); err != nil {
			return err
		}
	}
	for _, write := range u.writes {
		write()
	}
	u.w.commits++
	return nil
}

// fakeHost is the host of one document.
type fakeHost struct {
	w     *world
	mu    sync.Mutex
	body  []byte
	fresh time.Duration // what the host's cache headers say
	ago   time.Duration // how long ago the flight that is joined was started
	err   error
	hits  int
	lim   fetch.Limits // of the last fetch
	valid fetch.Held   // validators that the host gives its document
	held  fetch.Held   // what the last fetch was conditional on
	same  bool         // answer 304 whatever was asked
}

func (h *fakeHost) Document(_ context.Context, _ cimd.ID, lim fetch.Limits, held fetch.Held) (fetch.Document, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hits++
	h.lim, h.held = lim, held
	if h.err != nil {
		return fetch.Document{}, h.err
	}
	got := fetch.Document{
		Body: slices.Clone(h.body), FetchedAt: h.w.clock().Add(-h.ago), FreshFor: max(min(h.fresh, lim.Ceiling), lim.Floor),
		ETag: h.valid.ETag, LastModified: h.valid.LastModified,
	}
	if asked := (fetch.Held{ETag: held.ETag, LastModified: held.LastModified}); h.same || asked != (fetch.Held{}) && asked == h.valid {
		got.Body, got.NotModified = nil, true
	}
	return got, nil
}

func (h *fakeHost) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.hits
}

// fakePolicy names every client, gives its settings and negotiates; answer may
// change what it says.
type fakePolicy struct {
	rev      string
	facts    map[string]any
	settings broker.Settings
	answer   func(q broker.Query, d *broker.Decision)
	claims   []string // that it reads

	mu    sync.Mutex
	asked []broker.Query
}

func (p *fakePolicy) Revision() string { return p.rev }
func (p *fakePolicy) Engine() string   { return "fake 1" }
func (p *fakePolicy) Bundle() broker.Bundle {
	return broker.Bundle{Files: map[string][]byte{"p.rego": []byte(p.rev)}}
}
func (p *fakePolicy) Facts() map[string]any {
	if p.facts == nil {
		return map[string]any{}
	}
	return p.facts
}

func (p *fakePolicy) Claims() ([]string, bool) { return p.claims, false }

func (p *fakePolicy) Decide(_ context.Context, q broker.Query) broker.Decision {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, q)
	d := broker.Decision{
		Phase: q.Input.Phase, Allowed: true, Winner: []string{"p"}, Why: "the only one", Settings: p.settings, Took: time.Millisecond,
		Candidates: []decisionlog.Candidate{{Policy: "p", Pattern: clientID, Mode: "enforce", Settles: true}},
	}
	if q.Document != nil {
		n := broker.Negotiate(p.settings, q.Input, *q.Document, q.Offer)
		d.Effective, d.Redirects, d.Cut = n.Effective, n.Redirects, n.Cut
		if n.Err != nil {
			d.Allowed, d.Reason, d.Detail = false, n.Err.Reason, n.Err.Err.Error()
		}
	}
	if p.answer != nil {
		p.answer(q, &d)
	}
	return d
}

func (p *fakePolicy) queries() []broker.Query {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

// deny makes a policy refuse in one phase.
func deny(phase broker.Phase) func(broker.Query, *broker.Decision) {
	return func(q broker.Query, d *broker.Decision) {
		if q.Input.Phase == phase {
			d.Allowed, d.Reason = false, broker.ReasonPolicyDenied
			d.Denials = []decisionlog.Denial{{Policy: "p", Rule: "deny", Code: "no", Message: "not today"}}
		}
	}
}

// unmatched makes a policy name nobody.
func unmatched(q broker.Query, d *broker.Decision) {
	*d = broker.Decision{Phase: q.Input.Phase, Reason: broker.ReasonNoPolicyMatched, Settings: broker.StrictSettings(), NearestMiss: "p: another host", Unnamed: true}
}

// elsewhere makes a policy name the client for other requests only.
func elsewhere(q broker.Query, d *broker.Decision) {
	unmatched(q, d)
	d.Unnamed = false
}

// trouble and gone are what the door of package fetch answers.
func trouble() error {
	return &fetch.Error{Reason: "fetch_timeout", Transient: true, Detail: "connect"}
}
func gone() error { return &fetch.Error{Reason: "fetch_status", Detail: "status 404"} }

// person signs in for a later step.
func person(bound *broker.Bound) func(*broker.Request) {
	return func(r *broker.Request) {
		r.Person = &broker.UserInput{Sub: "alice", Issuer: "https://as.example.org", AuthTime: noon}
		r.Bound = bound
		r.Facts.RedirectURI = redirect
		r.Facts.Redirect = broker.RedirectInput{Kind: "https", Host: "app.example.com", Relation: "same_origin"}
	}
}

// errStore is a store that cannot be read.
var errStore = errors.New("the disk is gone")

// sha is the digest of a document as rows hold it.
func sha(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// alive asks as introspection does, about an incarnation of the harmless
// client.
func (w *world) alive(incarnation uint64) bool {
	w.t.Helper()
	alive, _ := w.standing(&broker.Bound{Incarnation: incarnation})
	return alive
}

// standing is alive for a grant.
func (w *world) standing(bound *broker.Bound) (alive, endGrant bool) {
	w.t.Helper()
	u := w.begin()
	alive, endGrant, err := w.b.Alive(w.t.Context(), u, broker.Request{RequestID: "req-2", ClientID: w.request.ClientID, Facts: w.request.Facts, Bound: bound})
	if err != nil {
		w.t.Fatalf("Alive() = %v", err)
	}
	if !u.Empty() {
		if err := u.commit(w.t.Context()); err != nil {
			w.t.Fatalf("commit = %v", err)
		}
	}
	return alive, endGrant
}

// sweep sweeps every row in one commit, and says how many ended.
func (w *world) sweep() int {
	w.t.Helper()
	u := w.begin()
	n, err := w.b.Sweep(w.t.Context(), u, slices.Collect(maps.Values(w.rows)))
	if err != nil {
		w.t.Fatalf("Sweep() = %v", err)
	}
	if err := u.commit(w.t.Context()); err != nil {
		w.t.Fatalf("commit = %v", err)
	}
	return n
}
