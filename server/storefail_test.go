package server_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"guestlist/broker"
	"guestlist/server/servertest"
	"guestlist/store"
)

// flaky is a store whose commits fail while it is down, and from the nth on.
type flaky struct {
	store.Store

	mu     sync.Mutex
	down   bool
	left   int // commits until it goes down by itself; negative: never
	health error
}

// fault says why a commit does not work now.
func (f *flaky) fault() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left == 0 {
		f.down = true
	}
	f.left--
	if f.down {
		f.health = fmt.Errorf("%w: disk full", store.ErrUnavailable)
		return f.health
	}
	f.health = nil
	return nil
}

// Commit implements store.Store.
func (f *flaky) Commit(ctx context.Context, u store.Unit) error {
	if err := f.fault(); err != nil {
		return err
	}
	return f.Store.Commit(ctx, u)
}

// Healthy implements store.Store.
func (f *flaky) Healthy() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.health
}

// Probe implements store.Store.
func (f *flaky) Probe(ctx context.Context) error {
	if err := f.fault(); err != nil {
		return err
	}
	return f.Store.Probe(ctx)
}

// set takes the store down or brings it back.
func (f *flaky) set(down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down, f.left = down, -1
}

// failing starts a server on a flaky store that works.
func failing(t *testing.T) (*servertest.Server, *flaky) {
	var f *flaky
	s := start(t, servertest.Options{Wrap: func(st store.Store) store.Store {
		f = &flaky{Store: st, left: -1}
		return f
	}})
	return s, f
}

// TestFailedCommits takes the store down before each step of the flow in
// turn: never an allow whose commit failed, never a state without its record,
// and the same step works once the store does (design §3).
func TestFailedCommits(t *testing.T) {
	t.Parallel()
	for n, name := range []string{"authorize", "sign-in", "consent allow", "token", "consent deny", "sign-out"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, f := failing(t)
			b := s.Browser()
			var p servertest.Page
			var again func() servertest.Page
			steps := []func() servertest.Page{
				func() servertest.Page { return b.Authorize(s.Request(client, nil)) },
				func() servertest.Page { return b.SignIn(p, servertest.Person) },
				func() servertest.Page { return b.Submit(p, "decision", allow()) },
				func() servertest.Page { return post(t, s, s.Exchange(client, p, nil), nil) },
			}
			switch name {
			case "consent deny":
				steps[2] = func() servertest.Page { return b.Submit(p, "decision", url.Values{"decision": {"deny"}}) }
				n = 2
			case "sign-out":
				steps[2] = func() servertest.Page { return b.Submit(p, "", nil) } // the form without named elements
				n = 2
			}
			for i := range n {
				p = steps[i]()
			}
			again = steps[n]
			before, cookies := s.Store.Commits(), b.Cookies()
			f.set(true)
			got := again()
			if name == "token" {
				if a := answerOf(t, got); got.Status != http.StatusServiceUnavailable || a["error"] != "temporarily_unavailable" || a["access_token"] != nil {
					t.Errorf("status %d\n%s", got.Status, got.Body)
				}
			} else if got.Status != http.StatusServiceUnavailable || got.Location != "" || mark(got, "reason") != string(broker.PublicServerTrouble) {
				t.Errorf("status %d, location %q, want a page with 503\n%s", got.Status, got.Location, brief(got))
			}
			if strings.Contains(b.Cookies(), "session") != strings.Contains(cookies, "session") {
				t.Errorf("cookies were %q, are %q", cookies, b.Cookies())
			}
			if s.Store.Commits() != before {
				t.Error("something was committed")
			}
			wantReady(t, s, http.StatusServiceUnavailable)
			f.set(false)
			wantReady(t, s, http.StatusOK)
			wantRecord(t, s, got, broker.ReasonStoreUnavailable)
			wantPairs(t, s)
			if next := again(); next.Status >= 400 || name == "consent allow" && next.Param("code") == "" {
				t.Errorf("the same step afterwards: status %d, location %q\n%s", next.Status, next.Location, next.Body)
			}
			wantPairs(t, s)
		})
	}
}

// wantReady checks the readiness answer, which tells strangers nothing.
func wantReady(t *testing.T, s *servertest.Server, status int) {
	t.Helper()
	p := send(t, "GET", s.Issuer+"/readyz", "", nil)
	if p.Status != status || strings.Contains(p.Body, "disk") {
		t.Errorf("/readyz: status %d, body %q, want %d", p.Status, p.Body, status)
	}
	if live := send(t, "GET", s.Issuer+"/livez", "", nil); live.Status != http.StatusOK {
		t.Errorf("/livez: status %d, want 200", live.Status)
	}
}

// wantPairs checks that state and records agree: each client has the record
// that admitted it, each record of a grant has its grant.
func wantPairs(t *testing.T, s *servertest.Server) {
	t.Helper()
	rows, err := s.Store.Clients(t.Context(), store.ClientQuery{})
	if err != nil {
		t.Fatal(err)
	}
	admitted := s.Records(store.RecordQuery{Event: "admission.decided", Outcome: "admitted"})
	if len(rows) != len(admitted) {
		t.Errorf("%d clients, %d records of an admission", len(rows), len(admitted))
	}
	for _, r := range s.Records(store.RecordQuery{Event: "consent.granted"}) {
		if _, found, err := s.Store.Begin().Grant(t.Context(), r.GrantID); err != nil || !found {
			t.Errorf("grant %s of a record: found=%v err=%v", r.GrantID, found, err)
		}
	}
}

// TestNthCommitFails: whichever commit of a flow is the one that fails, a
// person who starts again gets through, and no allow came before its record.
func TestNthCommitFails(t *testing.T) {
	t.Parallel()
	for n := range 6 {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			s, f := failing(t)
			f.mu.Lock()
			f.left = n
			f.mu.Unlock()
			b := s.Browser()
			p := b.Play(s.Request(client, nil))
			if (p.Param("code") != "") != (n > 2) {
				t.Errorf("code %v after %d good commits", p.Param("code") != "", n)
			}
			if p.Param("code") != "" {
				got := post(t, s, s.Exchange(client, p, nil), nil)
				if (got.Status == http.StatusOK) != (n > 3) {
					t.Errorf("token status %d after %d good commits", got.Status, n)
				}
			}
			f.set(false)
			wantReady(t, s, http.StatusOK)
			p = codePage(t, s, b, nil)
			if got := post(t, s, s.Exchange(client, p, nil), nil); got.Status != http.StatusOK {
				t.Errorf("afterwards: status %d\n%s", got.Status, got.Body)
			}
			wantPairs(t, s)
		})
	}
}

// TestLogUnavailable: while batched records cannot be written, a client that
// needs no commit is not let in either.
func TestLogUnavailable(t *testing.T) {
	t.Parallel()
	s, f := failing(t)
	b := s.Browser()
	p := atConsent(t, s, b, nil)
	f.set(true)
	if err := s.Batch.Flush(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("Flush = %v, want the store's error", err)
	}
	got := b.Authorize(s.Request(client, nil))
	if got.Status != http.StatusServiceUnavailable || got.Location != "" {
		t.Errorf("authorize: status %d, location %q, want a page with 503", got.Status, got.Location)
	}
	wantReady(t, s, http.StatusServiceUnavailable)
	f.set(false)
	wantReady(t, s, http.StatusOK)
	wantRecord(t, s, got, broker.ReasonLogUnavailable)
	if p = b.Submit(p, "decision", allow()); p.Param("code") == "" {
		t.Errorf("afterwards: status %d, location %q, want a code", p.Status, p.Location)
	}
}

// moving is a store whose first commits lose against a policy activation.
type moving struct {
	store.Store

	mu    sync.Mutex
	loses int
}

// Commit implements store.Store.
func (m *moving) Commit(ctx context.Context, u store.Unit) error {
	m.mu.Lock()
	m.loses--
	lost := m.loses >= 0
	m.mu.Unlock()
	if lost {
		return broker.ErrConflict
	}
	return m.Store.Commit(ctx, u)
}

// TestConflictsRerun: a step that lost against a newer epoch is run again, at
// most three times in all (design §7).
func TestConflictsRerun(t *testing.T) {
	t.Parallel()
	for loses, status := range []int{200, 200, 200, 503} {
		var m *moving
		s := start(t, servertest.Options{Wrap: func(st store.Store) store.Store {
			m = &moving{Store: st}
			return m
		}})
		m.mu.Lock()
		m.loses = loses // from now on: the activation at the start is over
		m.mu.Unlock()
		p := s.Browser().Authorize(s.Request(client, nil))
		if p.Status != status {
			t.Errorf("%d conflicts: status %d, want %d", loses, p.Status, status)
		}
		if status == http.StatusOK {
			wantPairs(t, s)
		} else {
			wantNobody(t, s)
		}
	}
}
