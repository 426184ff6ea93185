package server_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/server/servertest"
	"guestlist/server/signin"
	"guestlist/store"
	"guestlist/store/bolt"
)

// childEnv holds what a re-executed test binary is to be, as JSON.
const childEnv = "GUESTLIST_SERVER_TEST_CHILD"

// The points at which a child kills itself.
const (
	pointBefore   = "before"   // a commit was not handed over yet
	pointInside   = "inside"   // in the committer's transaction, before the sync
	pointSynced   = "synced"   // after the sync, before those who wait are told
	pointTold     = "told"     // after the commit was told, before the answer is written
	pointAnswered = "answered" // after the answer was written
	pointOutside  = "outside"  // wherever it is: its parent does it
)

// points are all of them.
var points = []string{pointBefore, pointInside, pointSynced, pointTold, pointAnswered, pointOutside}

// childSpec says what a child is to be, and when it ends.
type childSpec struct {
	Dir   string    // of store and keys
	Now   time.Time // of its clock at first
	Point string    // where it kills itself
	Count int       // the how many-th time it is there
	Apart bool      // its store commits records apart from what they are about
}

// childReady is what a child says once it serves.
type childReady struct {
	Issuer  string
	Socket  string // of operators
	Control string // URL that the driver sets documents and clock by
}

// TestMain is a child, or runs the tests.
func TestMain(m *testing.M) {
	raw := os.Getenv(childEnv)
	if raw == "" {
		os.Exit(m.Run())
	}
	flag.Parse()
	var spec childSpec
	if err := json.Unmarshal([]byte(raw), &spec); err != nil {
		panic(err)
	}
	serveChild(spec)
}

// childTB is the testing.TB of a child: what goes wrong ends it.
type childTB struct{ testing.TB }

func (childTB) Helper()                  {}
func (childTB) Cleanup(func())           {}
func (childTB) Context() context.Context { return context.Background() }
func (childTB) Logf(f string, a ...any)  { fmt.Fprintf(os.Stderr, f+"\n", a...) }
func (c childTB) Fatalf(f string, a ...any) {
	c.Logf(f, a...)
	os.Exit(3)
}
func (c childTB) Errorf(f string, a ...any) { c.Fatalf(f, a...) }
func (c childTB) Fatal(a ...any)            { c.Fatalf("%s", fmt.Sprint(a...)) }

// killer ends the process at its point.
type killer struct {
	childSpec
	left atomic.Int64
}

// at ends the process where this is the point, the last time that it counts.
func (k *killer) at(point string) {
	if point != k.Point || k.left.Add(-1) != 0 {
		return
	}
	syscall.Kill(syscall.Getpid(), syscall.SIGKILL)
	select {} // nothing more happens here while the signal is on its way
}

// killing is a store around whose commits the process may end.
type killing struct {
	store.Store
	k *killer
}

// Commit implements store.Store.
func (s killing) Commit(ctx context.Context, u store.Unit) error {
	s.k.at(pointBefore)
	err := s.Store.Commit(ctx, u)
	s.k.at(pointTold)
	return err
}

// salts is a source of chance that notices that a record is being sealed, which
// happens inside the committer's transaction and nowhere else.
type salts struct {
	io.Reader
	k *killer
}

// Read implements io.Reader.
func (s salts) Read(p []byte) (int, error) {
	if s.k.Point == pointInside && committing() {
		s.k.at(pointInside)
	}
	return s.Reader.Read(p)
}

// committing reports whether the caller is the committer in a transaction.
func committing() bool {
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for more := true; more; {
		var f runtime.Frame
		if f, more = frames.Next(); strings.HasSuffix(f.Function, "bolt.(*txn).appendRecord") {
			return true
		}
	}
	return false
}

// front ends the process after an answer is on its way.
func (k *killer) front(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r)
		http.NewResponseController(w).Flush()
		k.at(pointAnswered)
	})
}

// serveChild serves until it is killed.
func serveChild(spec childSpec) {
	k := &killer{childSpec: spec}
	k.left.Store(int64(spec.Count))
	rand.Reader = salts{rand.Reader, k}
	s := servertest.New(childTB{}, servertest.Options{
		Dir: spec.Dir, Start: spec.Now, Policy: failPolicies(), SignIns: signin.Rate{Burst: 1000, Every: time.Millisecond}, Front: k.front,
		Observe: servertest.Observer{Commits: func(bolt.Committed) { k.at(pointSynced) }},
		Wrap: func(st store.Store) store.Store {
			st = killing{st, k}
			if spec.Apart {
				st = servertest.Apart{Store: st}
			}
			return st
		},
	})
	control := httptest.NewServer(controls(s))
	ready, _ := json.Marshal(childReady{s.Issuer, operatorSocket(childTB{}, s), control.URL})
	os.Stdout.Write(append(ready, '\n'))
	select {}
}

// controls are what the driver does to the world around the server, and what
// the program does of itself.
func controls(s *servertest.Server) http.Handler {
	m := http.NewServeMux()
	answer := func(path string, act func(r *http.Request) error) {
		m.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			if err := act(r); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
			}
		})
	}
	answer("/publish", func(r *http.Request) error {
		var members map[string]any
		err := json.NewDecoder(r.Body).Decode(&members)
		s.Docs.Publish(r.URL.Query().Get("id"), members)
		return err
	})
	answer("/advance", func(r *http.Request) error {
		d, err := time.ParseDuration(r.URL.Query().Get("by"))
		s.Clock.Advance(d)
		return err
	})
	answer("/flush", func(r *http.Request) error { return s.Batch.Flush(r.Context()) })
	answer("/facts", func(r *http.Request) error {
		var facts map[string]any
		if err := json.NewDecoder(r.Body).Decode(&facts); err != nil {
			return err
		}
		return s.SetFacts(facts)
	})
	answer("/activate", func(r *http.Request) error {
		all := failPolicies()
		all["more.rego"] = failPolicy("more", fmt.Sprintf("%q", r.URL.Query().Get("id")), "")
		return s.Activate(all)
	})
	answer("/sweep", func(r *http.Request) error { return sweep(r.Context(), s.Kept, s.Broker, s.Clock.Now()) })
	return m
}

// sweep ends clients whose life is over, as the program does of itself.
func sweep(ctx context.Context, st store.Store, b *broker.Broker, now time.Time) error {
	rows, err := st.Expired(ctx, now, 100)
	if err != nil {
		return err
	}
	u := st.Begin()
	if n, err := b.Sweep(ctx, u, rows); err != nil || n == 0 {
		return err
	}
	return st.Commit(ctx, u)
}

// control has the child's world changed; an error means that it is gone.
func (r childReady) control(path string, body any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	resp, err := http.Post(r.Control+path, "application/json", bytes.NewReader(raw))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		return fmt.Errorf("%s: %s", path, text)
	}
	return nil
}
