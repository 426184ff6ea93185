package broker_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/broker/cimd"
)

// A hundred first requests at once are one fetch, which spends one of the
// budget (B28, G-16).
func TestB28_G16_OneFetchForABurst(t *testing.T) {
	w, h := crowd(t, broker.Budgets{PerSource: 1})
	h.flying = make(chan string, 100)
	gate := make(chan struct{})
	h.slow["app.example"] = gate
	req := w.request
	asks("app.example", "/c", "192.0.2.1")(&req)
	var wg sync.WaitGroup
	admit := func() {
		wg.Go(func() {
			a, err := w.b.Admit(t.Context(), w.begin(), req)
			if err != nil {
				t.Errorf("Admit() = %v", err)
				return
			}
			if a.Client.Published[0] != '{' {
				t.Error("the document was changed by another caller")
			}
			a.Client.Published[0] = 'x'
		})
	}
	admit()
	<-h.flying
	for range 99 {
		admit()
	}
	close(gate)
	wg.Wait()
	if n := h.count(); n != 1 {
		t.Errorf("%d fetches, want 1", n)
	}
	// Units that read the store before the row was committed, and ask later.
	w.at(2*time.Second - 1)
	if a, err := w.b.Admit(t.Context(), w.begin(), req); err != nil || a.Reused || h.count() != 1 {
		t.Errorf("a moment later: Admit() = %v, reused %v, %d fetches, want the same document", err, a.Reused, h.count())
	}
	w.at(2 * time.Second)
	w.limited(w.admit(asks("app.example", "/c", "192.0.2.1")), broker.ReasonRateLimited, 58*time.Second)
}

// A failure is shared by those who waited for it and by nobody else (F9, F10,
// G-16).
func TestG16_FailureIsNoAnswer(t *testing.T) {
	w, h := crowd(t, broker.Budgets{PerSource: 30, PerDomain: 60, Total: 600})
	h.breaks("app.example", gone())
	w.refused(w.admit(asks("app.example", "/c", "192.0.2.1")), broker.ReasonFetchStatus)
	h.breaks("app.example", nil)
	w.mustAdmit(asks("app.example", "/c", "192.0.2.1"))
}

// The pace of one URL that fails: free, free, then 1 s doubling to 30 s, none
// of which costs the host a request; a success forgets it (B25, G-16).
func TestB25_Pacing(t *testing.T) {
	for name, fails := range map[string]struct {
		reason broker.Reason
		how    func(h *everyHost)
	}{
		"transient": {broker.ReasonFetchTimeout, func(h *everyHost) { h.breaks("app.example", trouble()) }},
		"404":       {broker.ReasonFetchStatus, func(h *everyHost) { h.breaks("app.example", gone()) }},
	} {
		t.Run(name, func(t *testing.T) {
			w, h := crowd(t, broker.Budgets{PerSource: 1000})
			fails.how(h)
			ask := asks("app.example", "/c", "192.0.2.1")
			hits := func() int {
				h.mu.Lock()
				defer h.mu.Unlock()
				return h.hits["https://app.example/c"]
			}
			w.refused(w.admit(ask), fails.reason)
			now := time.Duration(0)
			for i, gap := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
				gap *= time.Second
				w.refused(w.admit(ask), fails.reason)
				if hits() != i+2 {
					t.Fatalf("%d fetches after %d failures", hits(), i+2)
				}
				w.limited(w.admit(ask), broker.ReasonFetchPaced, gap)
				w.at(now + gap - 1)
				w.limited(w.admit(ask), broker.ReasonFetchPaced, 1)
				if hits() != i+2 {
					t.Errorf("a paced request cost a fetch")
				}
				w.mustAdmit(asks("other.example", "/c", "198.51.100.1")) // is not paced
				now += gap
				w.at(now)
			}
			h.mu.Lock()
			h.body = nil
			h.mu.Unlock()
			h.breaks("app.example", nil)
			w.mustAdmit(ask)
			// Afterwards it is one that has not failed.
			now += 2 * time.Hour
			w.at(now)
			h.breaks("app.example", gone())
			w.refused(w.admit(ask), broker.ReasonFetchStatus)
			w.refused(w.admit(ask), broker.ReasonFetchStatus)
		})
	}
}

// A known client whose host is in trouble is served from its row while it is
// usable, paced or not (B24).
func TestB24_PacedAndUsable(t *testing.T) {
	w, h := crowd(t, broker.Budgets{PerSource: 30, PerDomain: 60, Total: 600})
	ask := asks("app.example", "/c", "192.0.2.1")
	w.mustAdmit(ask)
	w.at(2 * time.Hour)
	h.breaks("app.example", trouble())
	for i := range 5 {
		if o := w.mustAdmit(ask); !o.Reused {
			t.Errorf("request %d: not from the row", i)
		}
	}
	if n := h.count(); n != 3 {
		t.Errorf("%d fetches, want the first and two that failed", n)
	}
	w.at(48 * time.Hour)
	w.refused(w.admit(ask), broker.ReasonFetchTimeout)
	w.limited(w.admit(ask), broker.ReasonFetchPaced, 2*time.Second)
}

// Successes are never paced, not even of documents that must not be kept
// (G-17).
func TestG17_SuccessIsNotPaced(t *testing.T) {
	w, h := crowd(t, broker.Budgets{PerSource: 1})
	w.policy.settings.Document.TTLFloor = 0
	h.fresh = 0
	ask := asks("app.example", "/c", "192.0.2.1")
	for i := range 20 {
		w.at(time.Duration(i) * 2 * time.Second)
		w.mustAdmit(ask)
		if h.count() != i+1 {
			t.Fatalf("%d fetches after %d flows 2 s apart", h.count(), i+1)
		}
	}
}

// What is remembered of failures is bounded: the URL that failed longest ago
// is forgotten.
func TestB25_PacingIsBounded(t *testing.T) {
	w, h := crowd(t, broker.Budgets{PerSource: 100_000, PerDomain: 100_000, Total: 100_000})
	h.breaks("app.example", gone())
	fail := func(path string) {
		w.refused(w.admit(asks("app.example", path, "192.0.2.1")), broker.ReasonFetchStatus)
	}
	for _, path := range []string{"/a", "/a", "/b", "/b"} {
		fail(path)
	}
	w.limited(w.admit(asks("app.example", "/a", "192.0.2.1")), broker.ReasonFetchPaced, time.Second)
	for i := range 9_999 {
		fail(fmt.Sprintf("/%d", i))
	}
	w.limited(w.admit(asks("app.example", "/b", "192.0.2.1")), broker.ReasonFetchPaced, time.Second)
	fail("/a")
}

// What is kept for a moment is bounded in number and in bytes.
func TestB28_KeptDocumentsAreBounded(t *testing.T) {
	for name, c := range map[string]struct{ others, padding int }{"number": {256, 0}, "bytes": {40, 60_000}} {
		t.Run(name, func(t *testing.T) {
			w, h := crowd(t, broker.Budgets{PerSource: 100_000, PerDomain: 100_000, Total: 100_000})
			h.body = func(id cimd.ID) []byte {
				return document(map[string]any{"client_id": id.String(), "redirect_uris": []string{"https://" + id.Host + "/cb"},
					"x": fmt.Sprintf("%*d", c.padding, 1)})
			}
			ask := func(path string) {
				req := w.request
				asks("app.example", path, "192.0.2.1")(&req)
				if _, err := w.b.Admit(t.Context(), w.begin(), req); err != nil {
					t.Fatalf("Admit() = %v", err)
				}
			}
			ask("/first")
			for i := range c.others - 1 {
				ask(fmt.Sprintf("/%d", i))
			}
			before := h.count()
			ask(fmt.Sprintf("/%d", c.others-2))
			if h.count() != before {
				t.Error("the last document was not kept")
			}
			if c.padding == 0 {
				ask("/first")
				if h.count() != before {
					t.Errorf("of %d documents the first was not kept", c.others)
				}
			}
			ask("/more")
			before = h.count()
			ask("/first")
			if h.count() != before+1 {
				t.Error("the first document was kept beyond the bounds")
			}
		})
	}
}

// A panic about a document is a refusal, not the end of the process.
func TestPanicInAFetch(t *testing.T) {
	w, h := crowd(t, broker.Budgets{PerSource: 30, PerDomain: 60, Total: 600})
	h.body = func(cimd.ID) []byte { panic("a fault in reading") }
	w.refused(w.admit(asks("app.example", "/c", "192.0.2.1")), broker.ReasonServerTrouble)
	h.body = nil
	w.mustAdmit(asks("app.example", "/c", "192.0.2.1"))
}
