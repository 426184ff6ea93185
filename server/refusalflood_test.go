package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/server/admin"
	"guestlist/server/servertest"
	"guestlist/store"
	"guestlist/store/bolt"
)

// TestRefusalFlood is design §6, G-15 and B40: a flood of refusals costs few
// syncs and bounded space, loses none, hides none that is never summarised, and
// every id of it is explained.
func TestRefusalFlood(t *testing.T) { refusalFlood(t, 4_000) }

// floodSecond is how many refusals come in one second of the flood.
const floodSecond = 1000

// sentRefusal is one request of the flood.
type sentRefusal struct {
	id, source string
	reason     broker.Reason
}

// floodRequests are requests that are refused, each for its reason.
func floodRequests(s *servertest.Server) []func(i int) (*http.Request, broker.Reason) {
	get := func(q url.Values) *http.Request {
		return httptest.NewRequest(http.MethodGet, s.Issuer+"/authorize?"+q.Encode(), nil)
	}
	return []func(i int) (*http.Request, broker.Reason){
		func(i int) (*http.Request, broker.Reason) {
			return get(s.Request(fmt.Sprintf("https://h%d.nobody.example/c", i), nil)), broker.ReasonNoPolicyMatched
		},
		func(i int) (*http.Request, broker.Reason) {
			return get(s.Request(fmt.Sprintf("https://user%d@nobody.example/c", i), nil)), broker.ReasonClientIDMalformed
		},
		func(i int) (*http.Request, broker.Reason) {
			form := url.Values{"grant_type": {"authorization_code"}, "client_id": {client}, "code": {fmt.Sprint(i)}, "redirect_uri": {redirectURI}, "code_verifier": {servertest.Verifier}}
			return tokenRequest(s, form), broker.ReasonCodeUnknown
		},
		func(int) (*http.Request, broker.Reason) {
			return httptest.NewRequest(http.MethodGet, s.Issuer+"/token", nil), broker.ReasonRequestInvalid
		},
	}
}

// tokenRequest is a POST to the token endpoint.
func tokenRequest(s *servertest.Server, form url.Values) *http.Request {
	r := httptest.NewRequest(http.MethodPost, s.Issuer+"/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// floodSource is where the i-th refusal comes from: one address, 1,000 of them,
// 300 IPv6 networks with a new address each time, or a network of its own.
func floodSource(i int) string {
	switch i % 4 {
	case 0:
		return "192.0.2.1"
	case 1:
		return fmt.Sprintf("198.51.%d.%d", i/4%1000/250, i/4%250)
	case 2:
		return fmt.Sprintf("2001:db8:1:%x::%x", i/4%300, i+1)
	}
	return fmt.Sprintf("2001:db8:%x:%x::1", 2+i>>16, i&0xffff)
}

// serveFrom answers a request from an address.
func serveFrom(s *servertest.Server, r *http.Request, source string) *httptest.ResponseRecorder {
	r.RemoteAddr = "[" + source + "]:40000"
	w := httptest.NewRecorder()
	s.Handler.ServeHTTP(w, r)
	return w
}

// refusalFlood sends n refusals, floodSecond in a second.
func refusalFlood(t *testing.T, n int) {
	var syncs atomic.Int64
	s := start(t, servertest.Options{Log: io.Discard, Observe: servertest.Observer{Commits: func(bolt.Committed) { syncs.Add(1) }}})
	block := broker.Block{Kind: broker.BlockHost, Value: "blocked.example", Reason: "phishing", Actor: "olga"}
	operate(t, s, func(u store.Unit) error { return s.Broker.Block(t.Context(), u, block) })
	known := func() *http.Request {
		return httptest.NewRequest(http.MethodGet, s.Issuer+"/authorize?"+s.Request(client, nil).Encode(), nil)
	}
	if w := serveFrom(s, known(), "203.0.113.9"); w.Code != http.StatusOK {
		t.Fatalf("the known client: status %d", w.Code)
	}
	check(t, s.Batch.Flush(t.Context()))
	file := filepath.Join(s.Dir, "guestlist.db")
	size, heap := fileSize(t, file), heapSize()
	syncs.Store(0)

	sent := make([]sentRefusal, n)
	refuse := floodRequests(s)
	var single, warm int
	var most uint64
	for from := 0; from < n; from += floodSecond {
		s.Clock.Advance(time.Second)
		var senders sync.WaitGroup
		for worker := range 4 {
			senders.Go(func() {
				for i := from + worker; i < min(n, from+floodSecond); i += 4 {
					r, reason := refuse[i/4%len(refuse)](i)
					source := floodSource(i)
					w := serveFrom(s, r, source)
					sent[i] = sentRefusal{w.Header().Get("X-Request-Id"), source, reason}
				}
			})
		}
		senders.Wait()
		for _, r := range []*http.Request{ // from where the flood comes
			httptest.NewRequest(http.MethodGet, s.Issuer+"/authorize?"+s.Request("https://blocked.example/c", nil).Encode(), nil),
			tokenRequest(s, url.Values{"grant_type": {"authorization_code"}, "code": {"x"}, "client_assertion": {"x.y.z"}, "client_assertion_type": {servertest.AssertionType}}),
		} {
			serveFrom(s, r, "192.0.2.1")
			single++
		}
		if w := serveFrom(s, known(), "203.0.113.9"); w.Code != http.StatusOK {
			t.Errorf("the known client in the flood: status %d", w.Code)
		}
		warm++
		most = max(most, heapSize())
		check(t, s.Batch.Flush(context.Background()))
	}
	took := int(syncs.Load())
	seconds := (n + floodSecond - 1) / floodSecond
	if bound := 8 + 3*seconds; took > bound {
		t.Errorf("%d syncs in %d s, want at most %d", took, seconds, bound)
	}
	grown := fileSize(t, file) - size // by steps of bbolt's
	written, mean := checkFlood(t, s, sent, single, warm)
	if n >= 50_000 && (written > n*mean/8 || grown > int64(n*mean/3)) {
		t.Errorf("%d bytes were written and the file grew by %d in %d refusals, want at most an eighth and a third of what a record of %d bytes each has", written, grown, n, mean)
	}
	t.Logf("%d refusals: %d syncs; %d bytes in records, %.0f for a refusal where a record of one has %d; the file grew by %d, the heap by at most %d KiB",
		n, took, written, float64(written)/float64(n), mean, grown, int64(most-min(most, heap))/1024)
	explained(t, s, sent)
}

// checkFlood reads the whole log, and returns how many bytes its refusals have,
// before compression, and a record of one refusal.
func checkFlood(t *testing.T, s *servertest.Server, sent []sentRefusal, single, warm int) (written, mean int) {
	t.Helper()
	want, got := map[string]int{}, map[string]int{}
	for _, r := range sent {
		want[string(r.reason)]++
	}
	records, summaries, bytes, reused := 0, 0, 0, 0
	q := store.RecordQuery{After: 1, Limit: 1000}
	for {
		page, err := s.Store.Records(t.Context(), q)
		check(t, err)
		for _, sealed := range page {
			q.After = sealed.Seq
			r, err := sealed.Record()
			check(t, err)
			switch {
			case r.Outcome == decisionlog.OutcomeReused:
				reused++
			case r.Outcome == decisionlog.OutcomeRefused && r.Count == 0:
				records++
				bytes += len(sealed.Header) + len(sealed.Body)
			case r.Outcome == decisionlog.OutcomeRefused:
				summaries++
			}
			if r.Outcome == decisionlog.OutcomeRefused {
				written += len(sealed.Header) + len(sealed.Body)
				got[r.Reason] += max(1, r.Count)
			}
		}
		if len(page) < q.Limit {
			break
		}
	}
	for reason, n := range want {
		if got[reason] != n {
			t.Errorf("%d refusals are recorded as %s, want %d", got[reason], reason, n)
		}
	}
	if n := got["host_blocked"] + got["assertion_invalid"]; n != single || reused != warm {
		t.Errorf("%d refusals by a block and bad assertions, %d known clients, want %d and %d", n, reused, single, warm)
	}
	for _, reason := range []string{"host_blocked", "assertion_invalid"} {
		for _, r := range s.Records(store.RecordQuery{Reason: reason}) {
			if r.Count != 0 {
				t.Errorf("%s is summarised: %+v", reason, r)
			}
		}
	}
	t.Logf("%d records of one refusal, %d summaries", records, summaries)
	return written, bytes / max(1, records)
}

// explained asks for up to 1,000 ids of the flood.
func explained(t *testing.T, s *servertest.Server, sent []sentRefusal) {
	t.Helper()
	why := asker(t, s)
	verdicts := map[string]int{}
	asked := min(1000, len(sent)/20)
	picks := rand.New(rand.NewPCG(1, 0))
	for range asked {
		r := sent[picks.IntN(len(sent))]
		w, err := why.Why(t.Context(), r.id, time.Time{}, false)
		if err != nil || w.RequestID != r.id || len(w.Records) == 0 {
			t.Fatalf("why %s = %+v, %v, want what is known", r.id, w, err)
		}
		verdict := "named"
		if w.Unnamed != nil {
			verdict = w.Unnamed.Verdict
		}
		fits := false
		for _, raw := range w.Records {
			var rec decisionlog.Record
			check(t, json.Unmarshal(raw, &rec))
			fits = fits || rec.Reason == string(r.reason) && (rec.Source == "" || decisionlog.Subscriber(rec.Source) == decisionlog.Subscriber(r.source))
		}
		if !fits || verdict != "several" && w.Reason != string(r.reason) {
			t.Errorf("why %s of %s, %s = %+v", r.id, r.source, r.reason, w)
		}
		verdicts[verdict]++
	}
	if verdicts["summarised"] == 0 || verdicts["several"] > asked/8 {
		t.Errorf("verdicts %v, want mostly one record that counts it", verdicts)
	}
	t.Logf("of %d ids: %v", asked, verdicts)
	last := s.Records(store.RecordQuery{Summaries: true, Limit: 1})[0].LastRequestID
	if w, err := why.Why(t.Context(), last, time.Time{}, false); err != nil || w.RequestID != last || w.Unnamed != nil {
		t.Errorf("why %s, the last of a summary = %+v, %v", last, w, err)
	}
	unknown := 0
	for range 20 {
		w, err := why.Why(t.Context(), broker.NewRequestID(s.Clock.Now()), time.Time{}, false)
		if err == nil && w.Unnamed != nil && w.Unnamed.Verdict == admin.UnnamedUnrecorded && w.Reason == "" {
			unknown++
		}
	}
	if unknown < 15 {
		t.Errorf("of 20 ids that no answer had %d are told to be in no record, want nearly all", unknown)
	}
}

// fileSize is the size of a file in bytes.
func fileSize(t *testing.T, name string) int64 {
	t.Helper()
	info, err := os.Stat(name)
	check(t, err)
	return info.Size()
}

// heapSize is what is reachable, after a collection.
func heapSize() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
