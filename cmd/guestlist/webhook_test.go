package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/store"
	"guestlist/store/bolt"
)

// hook is a webhook on a store of its own, with a receiver that a test steers.
type hook struct {
	*webhook
	t     *testing.T
	store *bolt.Store

	mu     sync.Mutex
	answer func(n int) error // of the nth post, from 1; nil: taken
	posts  []delivery        // taken
	tries  [][]byte          // every body
	header []http.Header
}

func newHook(t *testing.T, change ...func(*webhook)) *hook {
	t.Helper()
	s, err := bolt.Open(bolt.Config{Path: filepath.Join(t.TempDir(), "guestlist.db")})
	if err != nil {
		t.Fatal(err)
	}
	h := &hook{t: t, store: s}
	h.webhook = h.renewed()
	for _, c := range change {
		c(h.webhook)
	}
	return h
}

// renewed is the webhook as the next start of the program makes it.
func (h *hook) renewed() *webhook {
	return &webhook{
		name: "webhook:test", url: "https://hooks.example/", secret: []byte("a secret of the receiver"), kinds: webhookKinds, perMinute: 10,
		issuer: "https://id.example", log: store.Log{Store: h.store}, sights: sights{h.store}, post: h.receive, trouble: zerolog.Nop(),
	}
}

// receive is the receiver.
func (h *hook) receive(ctx context.Context, _ string, header http.Header, body []byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tries, h.header = append(h.tries, body), append(h.header, header)
	if h.answer != nil {
		if err := h.answer(len(h.tries)); err != nil {
			return err
		}
	}
	var d delivery
	if err := json.Unmarshal(body, &d); err != nil {
		h.t.Errorf("delivery %s: %v", body, err)
	}
	h.posts = append(h.posts, d)
	return nil
}

// say appends records to the log.
func (h *hook) say(records ...decisionlog.Record) {
	h.t.Helper()
	for i := range records {
		if records[i].DecisionID == "" {
			records[i].DecisionID = broker.NewID()
		}
		records[i].Timestamp = time.Now()
	}
	if err := (store.Log{Store: h.store}).Append(h.t.Context(), records); err != nil {
		h.t.Fatal(err)
	}
}

// told are the events of all deliveries, as kind event reason.
func (h *hook) told() (out []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, d := range h.posts {
		for _, e := range d.Events {
			out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", e.Kind, e.Event, e.Reason, strings.Join(e.First, "+"))))
		}
	}
	return out
}

// counted is what summaries stand for.
func (h *hook) counted() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, d := range h.posts {
		for _, s := range d.Summaries {
			n += s.Count
		}
	}
	return n
}

// play runs the webhook while do plays, in a bubble of time.
func play(t *testing.T, do func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, do)
}

// start runs the webhook until stop.
func (h *hook) start() (stop func()) {
	ctx, cancel := context.WithCancel(h.t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { h.run(ctx) })
	synctest.Wait()
	return func() { cancel(); wg.Wait() }
}

func (h *hook) close() { h.store.Close() }

// wait lets time pass.
func wait(d time.Duration) { time.Sleep(d); synctest.Wait() }

func refusal(reason string) decisionlog.Record {
	return decisionlog.Record{Event: "admission.decided", Outcome: decisionlog.OutcomeRefused, Reason: reason, RequestID: broker.NewID()}
}

func admission(id string) decisionlog.Record {
	return decisionlog.Record{Event: "admission.decided", Outcome: decisionlog.OutcomeAdmitted, ClientID: id}
}

// TestWebhookTells: refusals, changes and first sights, and nothing else; a
// first sight is a client's first admission ever, and a host's.
func TestWebhookTells(t *testing.T) {
	play(t, func(t *testing.T) {
		h := newHook(t)
		defer h.close()
		h.say(refusal("no_policy_matched"), admission("https://old.example/a")) // before it was configured
		defer h.start()()
		h.say(
			refusal("policy_denied"),
			decisionlog.Record{Event: "token.issued", Outcome: decisionlog.OutcomeIssued},
			decisionlog.Record{Event: "admission.decided", Outcome: decisionlog.OutcomeReused, ClientID: "https://a.example/1"},
			decisionlog.Record{Event: "document.changed", Outcome: decisionlog.OutcomeDone},
			decisionlog.Record{Event: "policy.rejected", Outcome: decisionlog.OutcomeRefused},
			decisionlog.Record{Event: "client.blocked", Outcome: decisionlog.OutcomeDone},
			admission("https://a.example/1"), admission("https://a.example/1"), admission("https://a.example/2"),
			admission("https://old.example/a"), admission("https://a.example:8443/1"), admission("registered"),
		)
		wait(5 * time.Second)
		want := []string{
			"refusals admission.decided policy_denied", "changes document.changed", "changes policy.rejected", "changes client.blocked",
			"first_sights admission.decided  client+host", "first_sights admission.decided  client",
			"first_sights admission.decided  client+host", "first_sights admission.decided  client",
		}
		if got := h.told(); !slices.Equal(got, want) {
			t.Errorf("told %q\nwant %q", got, want)
		}
		if len(h.posts) != 1 || h.posts[0].Issuer != "https://id.example" || h.counted() != 0 {
			t.Errorf("%d posts, %d counted, want what happens together in one", len(h.posts), h.counted())
		}
	})
}

// TestWebhookSelects: a receiver hears what it asked for.
func TestWebhookSelects(t *testing.T) {
	play(t, func(t *testing.T) {
		h := newHook(t, func(w *webhook) { w.kinds = []string{kindChanges} })
		defer h.close()
		defer h.start()()
		h.say(refusal("policy_denied"), decisionlog.Record{Event: "document.changed", Outcome: decisionlog.OutcomeDone}, admission("https://a.example/1"))
		wait(5 * time.Second)
		if got := h.told(); !slices.Equal(got, []string{"changes document.changed"}) {
			t.Errorf("told %q, want the change alone", got)
		}
	})
}

// TestWebhookRate: what is beyond the rate of a minute is counted by reason,
// and every refusal is told or counted exactly once.
func TestWebhookRate(t *testing.T) {
	play(t, func(t *testing.T) {
		h := newHook(t)
		defer h.close()
		defer h.start()()
		const n = 1000
		for i := range n {
			h.say(refusal([]string{"policy_denied", "no_policy_matched"}[i%2]))
		}
		h.say(decisionlog.Record{Event: "request.refused", Outcome: decisionlog.OutcomeRefused, Reason: "csrf_failed", Count: 7})
		wait(59 * time.Second)
		if got := len(h.told()); got != 10 {
			t.Errorf("%d events in the first minute, want 10", got)
		}
		for range 10 {
			h.say(refusal("fetch_dns"))
		}
		wait(2 * time.Minute)
		if told, counted := len(h.told()), h.counted(); told+counted != n+7+10 || told > 30 {
			t.Errorf("%d told, %d counted, want %d in all and 10 a minute", told, counted, n+17)
		}
		reasons := map[string]int{}
		var last uint64
		for _, d := range h.posts {
			for _, s := range d.Summaries {
				reasons[s.Reason] += s.Count
				if s.FirstSeq > s.LastSeq || s.FirstSeq <= last || s.FirstRequestID == "" && s.Reason != "csrf_failed" {
					t.Errorf("summary %+v, want a range and requests to look up", s)
				}
			}
			for _, s := range d.Summaries {
				last = max(last, s.LastSeq)
			}
		}
		if reasons["csrf_failed"] != 7 || reasons["policy_denied"] < 490 {
			t.Errorf("counted %v", reasons)
		}
		if len(h.posts) > 6 {
			t.Errorf("%d posts, want few", len(h.posts))
		}
	})
}

// TestWebhookBigRate: a delivery has at most 100 events, and no event is
// counted while the minute has room.
func TestWebhookBigRate(t *testing.T) {
	play(t, func(t *testing.T) {
		h := newHook(t, func(w *webhook) { w.perMinute = 250 })
		defer h.close()
		defer h.start()()
		var all []decisionlog.Record
		for range 240 {
			all = append(all, refusal("policy_denied"))
		}
		h.say(all...)
		wait(30 * time.Second)
		if len(h.told()) != 240 || h.counted() != 0 || len(h.posts) != 3 {
			t.Errorf("%d told, %d counted in %d posts, want 240, 0, 3", len(h.told()), h.counted(), len(h.posts))
		}
	})
}

// TestWebhookRepeats: a post that was not taken is repeated with the same
// bytes, ever more slowly; the status says so meanwhile, and the log once.
func TestWebhookRepeats(t *testing.T) {
	play(t, func(t *testing.T) {
		var log strings.Builder
		h := newHook(t, func(w *webhook) { w.trouble = zerolog.New(&log) })
		defer h.close()
		h.answer = func(n int) error {
			if n <= 12 {
				return errors.New("post to hooks.example: status 500")
			}
			return nil
		}
		defer h.start()()
		h.say(refusal("policy_denied"))
		wait(time.Minute)
		if p := h.problem.Load(); p == nil || *p != "post to hooks.example: status 500" {
			t.Errorf("problem = %v, want it said", p)
		}
		if n := len(h.tries); n < 5 || n > 7 {
			t.Errorf("%d tries in a minute, want them ever slower", n)
		}
		wait(time.Hour)
		if len(h.posts) != 1 || len(h.tries) != 13 || h.problem.Load() != nil {
			t.Fatalf("%d taken after %d tries, problem %v", len(h.posts), len(h.tries), h.problem.Load())
		}
		for i, b := range h.tries {
			if string(b) != string(h.tries[0]) || h.header[i].Get("Guestlist-Delivery") != h.posts[0].ID {
				t.Errorf("try %d differs from the first", i+1)
			}
		}
		if f, w := strings.Count(log.String(), "webhook.failing"), strings.Count(log.String(), "webhook.working"); f != 1 || w != 1 {
			t.Errorf("log says failing %d times, working %d times, want once each:\n%s", f, w, log.String())
		}
	})
}

// TestWebhookRestart: what was taken is not told again after a restart, what
// was not is, with the same identifiers.
func TestWebhookRestart(t *testing.T) {
	play(t, func(t *testing.T) {
		h := newHook(t)
		defer h.close()
		stop := h.start()
		one, two := refusal("policy_denied"), admission("https://a.example/1")
		one.DecisionID, two.DecisionID = "one", "two"
		h.say(one)
		wait(5 * time.Second)
		h.answer = func(int) error { return errors.New("gone") }
		h.say(two)
		wait(5 * time.Second)
		stop()
		if len(h.posts) != 1 || len(h.tries) < 3 {
			t.Fatalf("%d taken, %d tries, want one taken and the other tried", len(h.posts), len(h.tries))
		}
		h.answer, h.webhook = nil, h.renewed()
		defer h.start()()
		wait(5 * time.Second)
		if len(h.posts) != 2 || len(h.posts[1].Events) != 1 || h.posts[1].Events[0].ID != "two" || !slices.Equal(h.posts[1].Events[0].First, []string{"client", "host"}) {
			t.Errorf("after the restart %+v, want the second event as it was", h.posts[1:])
		}
	})
}

// TestWebhookHangs: a receiver that never answers holds up neither the log nor
// the end of the program, and afterwards nothing is missing.
func TestWebhookHangs(t *testing.T) {
	play(t, func(t *testing.T) {
		h := newHook(t)
		defer h.close()
		taken := h.post
		h.post = func(ctx context.Context, url string, header http.Header, body []byte) error {
			<-ctx.Done()
			return ctx.Err()
		}
		stop := h.start()
		for range 50 {
			h.say(refusal("policy_denied"))
			wait(time.Second)
		}
		began := time.Now()
		stop()
		if took := time.Since(began); took > 0 {
			t.Errorf("stopping took %s", took)
		}
		h.webhook = h.renewed()
		h.post = taken
		defer h.start()()
		wait(2 * time.Minute)
		if told, counted := len(h.told()), h.counted(); told+counted != 50 {
			t.Errorf("%d told, %d counted, want 50 in all", told, counted)
		}
	})
}

// TestWebhookStoreTrouble: a log that cannot be read is a problem of the
// webhook's, which it says and outlives.
func TestWebhookStoreTrouble(t *testing.T) {
	play(t, func(t *testing.T) {
		h := newHook(t)
		l := &faultyLog{Log: h.log, broken: true}
		h.log = l
		defer h.close()
		defer h.start()()
		if p := h.problem.Load(); p == nil || *p != "disk on fire" {
			t.Errorf("problem = %v", p)
		}
		l.set(false)
		wait(10 * time.Minute)
		h.say(refusal("policy_denied"))
		wait(10 * time.Second)
		if len(h.told()) != 1 || h.problem.Load() != nil {
			t.Errorf("told %q, problem %v, want it told", h.told(), h.problem.Load())
		}
	})
}

// faultyLog cannot be read while it is broken.
type faultyLog struct {
	decisionlog.Log
	mu     sync.Mutex
	broken bool
}

func (l *faultyLog) set(broken bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken = broken
}

func (l *faultyLog) Position(ctx context.Context, name string) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken {
		return 0, errors.New("disk on fire")
	}
	return l.Log.Position(ctx, name)
}

// TestWebhookSignature: the header is an HMAC over time and body.
func TestWebhookSignature(t *testing.T) {
	w := &webhook{secret: []byte("secret")}
	h := w.header("d1", []byte(`{"a":1}`), time.Unix(1795000000, 0))
	mac := hmac.New(sha256.New, []byte("secret"))
	mac.Write([]byte(`1795000000.{"a":1}`))
	if want := "t=1795000000,v1=" + hex.EncodeToString(mac.Sum(nil)); h.Get("Guestlist-Signature") != want || h.Get("Guestlist-Delivery") != "d1" || h.Get("Content-Type") != "application/json" {
		t.Errorf("header = %v, want signature %s", h, want)
	}
}

// TestWebhookTellsNoPerson: of a record with everything in it, neither persons
// nor input nor what a stranger wrote leaves.
func TestWebhookTellsNoPerson(t *testing.T) {
	play(t, func(t *testing.T) {
		h := newHook(t)
		defer h.close()
		defer h.start()()
		r := refusal("policy_denied")
		r.Detail, r.Source, r.Subject, r.Input, r.Result = "CANARY1", "192.0.2.77", "CANARY2", json.RawMessage(`{"a":"CANARY3"}`), json.RawMessage(`{"a":"CANARY4"}`)
		r.Settings, r.Cut, r.Labels = json.RawMessage(`{"a":"CANARY5"}`), []decisionlog.Cut{{Member: "scope", Value: "CANARY6"}}, map[string]string{"t": "CANARY7"}
		r.Phases = []decisionlog.Phase{{Phase: "user", Denials: []decisionlog.Denial{{Policy: "agents", Code: "c", Message: "CANARY8"}}}}
		r.GrantID, r.TokenID = "CANARY9", "CANARY0"
		h.say(r)
		wait(5 * time.Second)
		if len(h.tries) != 1 || strings.Contains(string(h.tries[0]), "CANARY") || strings.Contains(string(h.tries[0]), "192.0.2.77") {
			t.Errorf("posts %q, want one without personal members", h.tries)
		}
	})
}
