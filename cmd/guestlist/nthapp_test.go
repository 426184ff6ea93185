package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/broker/export"
	"guestlist/broker/fetch"
	"guestlist/server/keys"
	"guestlist/server/servertest"
	"guestlist/server/signin"
	"guestlist/store"
	"guestlist/store/bolt"
)

// faultyApp is an app on a store that fails where a test says.
type faultyApp struct {
	*app
	t   *testing.T
	dir string
	f   *servertest.Faulty

	reloads int                // of the people file
	due     []uint64           // records that are past their age
	ledger  *servertest.Ledger // as audit read it last
}

// newFaultyApp builds an app as open does, as far as its first policies.
func newFaultyApp(t *testing.T) *faultyApp {
	t.Helper()
	dir := configDir(t)
	writeTestFile(t, filepath.Join(dir, "policies", "p.rego"), "package admission.defaults\n\nsettings := {}\n")
	writeTestFile(t, filepath.Join(dir, "policies", "facts.schema.json"), `{"type": "object", "properties": {"round": {"type": "integer", "default": 0}}}`)
	writeTestFile(t, filepath.Join(dir, "facts.yaml"), "round: 0\n")
	writeTestFile(t, filepath.Join(dir, "people.yaml"), "[]\n")
	c, err := parseIn(dir, minimalConfig+"facts: facts.yaml\nstore_reserve: 0\n")
	orFail(t, err)
	p, err := planFrom(c)
	orFail(t, err)
	x := &faultyApp{app: &app{plan: p, log: zerolog.Nop()}, t: t, dir: dir}
	x.keys, err = keys.Open(keys.Config{Dir: p.keysDir, Now: time.Now})
	orFail(t, err)
	x.people, err = signin.Open(signin.Config{File: p.people, Now: time.Now, Reloaded: func(n int, err error) {
		x.configReloaded(fmt.Sprintf("people.file %s: %d people", p.people, n), err)
	}})
	orFail(t, err)
	door, err := fetch.New(p.fetching)
	orFail(t, err)
	orFail(t, x.measure())
	x.file, err = bolt.Open(x.storeConfig())
	orFail(t, err)
	x.f = &servertest.Faulty{Store: x.file}
	x.store = x.f
	orFail(t, x.assemble(x.keys, x.people, door))
	t.Cleanup(func() { x.close(context.Background()) })
	return x
}

// orFail ends the test on an error.
func orFail(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// write makes files of the app's directory say something.
func (x *faultyApp) write(name, text string) { writeTestFile(x.t, filepath.Join(x.dir, name), text) }

// audit holds rows and records against each other.
func (x *faultyApp) audit(kind servertest.Fault, where string) {
	x.t.Helper()
	orFail(x.t, x.batch.Flush(x.t.Context()))
	l, err := servertest.ReadLedger(x.t.Context(), x.file, x.plan.storePath)
	orFail(x.t, err)
	l.Pseudonym, l.Now, l.Repeated = x.keys.Pseudonym, time.Now(), kind == servertest.FaultUnheard
	x.ledger = l
	for _, v := range l.Violations() {
		x.t.Errorf("%s: %s", where, v)
	}
	if decides := x.broker.Revision(); len(l.InForce) > 0 && decides != "" && decides != l.InForce[len(l.InForce)-1].Revision {
		x.t.Errorf("%s: %.15s decides, and %.15s is stored", where, decides, l.InForce[len(l.InForce)-1].Revision)
	}
}

// has wants a record of an event that says something.
func (x *faultyApp) has(event, words string) {
	x.t.Helper()
	orFail(x.t, x.batch.Flush(x.t.Context()))
	list, err := x.file.Records(x.t.Context(), store.RecordQuery{Event: event, Newest: true})
	orFail(x.t, err)
	for _, s := range list {
		if r, err := s.Record(); err == nil && strings.Contains(r.Detail, words) {
			return
		}
	}
	x.t.Errorf("none of the %d records %s says %q", len(list), event, words)
}

// appScenarios are what the program does of itself or for whoever writes its
// files. Each round is the nth; what act returns is done again until it works.
var appScenarios = map[string]struct {
	fresh bool // each round has an app of its own
	ready func(*faultyApp, int)
	act   func(*faultyApp, int) error
	then  func(*faultyApp, int)
}{
	"start": {true, func(*faultyApp, int) {}, func(x *faultyApp, _ int) error { return x.reload(x.t.Context(), byStart) }, func(x *faultyApp, _ int) {
		x.has(decisionlog.EventPolicyActivated, x.plan.source)
	}},
	"reload": {false, started, func(x *faultyApp, n int) error {
		x.write("policies/p.rego", fmt.Sprintf("package admission.defaults\n\nsettings := {\"tags\": [\"t%d\"]}\n", n))
		return x.reload(x.t.Context(), "SIGHUP")
	}, func(x *faultyApp, _ int) {}},
	"reload refused": {false, started, func(x *faultyApp, n int) error {
		x.write("policies/p.rego", fmt.Sprintf("package admission.defaults\n\nsettings := { # %d", n))
		if x.reload(x.t.Context(), "SIGHUP") == nil {
			x.t.Fatal("a broken policy was loaded")
		}
		return x.batch.Flush(x.t.Context())
	}, func(x *faultyApp, n int) { x.has(decisionlog.EventPolicyRejected, "") }},
	"facts": {false, started, func(x *faultyApp, n int) error {
		x.write("facts.yaml", fmt.Sprintf("round: %d\n", n))
		x.renew(x.t.Context())
		if p := x.factsProblem.Load(); p != nil {
			return errors.New(*p)
		}
		return nil
	}, func(x *faultyApp, n int) { x.has(decisionlog.EventFactsChanged, fmt.Sprintf("→ %d", n)) }},
	"bodies past their age": {true, aging, ageRound, allAged},
	"people read again": {false, started, func(x *faultyApp, n int) error {
		orFail(x.t, x.batch.Add(decisionlog.Record{DecisionID: broker.NewID(), Timestamp: time.Now(), Event: decisionlog.EventRequestRefused, Outcome: decisionlog.OutcomeRefused}))
		before := x.batch.Flush(x.t.Context()) // the log may be in trouble already
		x.reloads++
		x.configReloaded(fmt.Sprintf("people.file people.yaml: reload %d.", x.reloads), nil)
		return errors.Join(before, x.batch.Flush(x.t.Context()))
	}, func(x *faultyApp, _ int) {
		for n := range x.reloads {
			x.has(decisionlog.EventConfigReloaded, fmt.Sprintf("reload %d.", n+1))
		}
	}},
}

// started has policies that load.
func started(x *faultyApp, n int) {
	x.write("policies/p.rego", fmt.Sprintf("package admission.defaults\n\nsettings := {\"tags\": [\"s%d\"]}\n", n))
	orFail(x.t, x.reload(x.t.Context(), byStart))
}

// TestNthOperationOfTheProgramFails: whichever operation of the store fails
// while policies, facts or people are taken over, what decides is what is
// stored, with its record; and while bodies are erased, those that are gone are
// due and have their record.
func TestNthOperationOfTheProgramFails(t *testing.T) {
	t.Parallel()
	for name, sc := range appScenarios {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x, round := newFaultyApp(t), 0
			for _, kind := range servertest.Faults() {
				for n, struck := 1, "?"; struck != ""; n++ {
					if round++; sc.fresh {
						x = newFaultyApp(t)
					}
					sc.ready(x, round)
					x.f.Arm(kind, n)
					err := sc.act(x, round)
					struck = x.f.Heal()
					where := fmt.Sprintf("%s of operation %d, %s (%v)", kind, n, struck, err)
					x.audit(kind, where)
					if err != nil {
						if struck == "" {
							t.Fatalf("nothing failed: %v", err)
						}
						if err := sc.act(x, round); err != nil {
							t.Errorf("%s: again, on a store that works: %v", where, err)
						}
					}
					x.audit(kind, where+", and again")
					sc.then(x, round)
					if t.Failed() || n > 50 {
						t.Fatalf("%s: round %d", where, n)
					}
				}
			}
			t.Logf("%d rounds", round)
		})
	}
}

// sinkOf collects what an exporter sends.
type sinkOf struct{ seqs []uint64 }

// Send implements export.Sink.
func (s *sinkOf) Send(_ context.Context, records []export.Record) error {
	for _, r := range records {
		s.seqs = append(s.seqs, r.Seq)
	}
	return nil
}

// TestNthOperationOfACursorFails: whichever operation fails under an exporter
// or a webhook, every record arrives, in order, and the next start goes on where
// the last one was, or repeats.
func TestNthOperationOfACursorFails(t *testing.T) {
	t.Parallel()
	const records = 5
	runs := map[string]func(context.Context, *testing.T, store.Store, *sinkOf){
		"exporter": func(ctx context.Context, t *testing.T, st store.Store, sink *sinkOf) {
			e, err := export.New(export.Config{Name: "test", Log: store.Log{Store: st}, Sink: sink, Records: 2})
			orFail(t, err)
			e.Run(ctx)
		},
		"webhook": func(ctx context.Context, t *testing.T, st store.Store, sink *sinkOf) {
			hookOf(st, sink).run(ctx)
		},
	}
	for name, run := range runs {
		for _, kind := range []servertest.Fault{servertest.FaultRefused, servertest.FaultDown, servertest.FaultUnheard} {
			struck := 0
			for n := 1; n == struck+1; n++ {
				synctest.Test(t, func(t *testing.T) {
					st, err := bolt.Open(bolt.Config{Path: filepath.Join(t.TempDir(), "store.db")})
					orFail(t, err)
					defer st.Close()
					f, sink := &servertest.Faulty{Store: st}, &sinkOf{}
					orFail(t, f.Commit(t.Context(), positioned(f)))
					appended := func(from int) {
						for i := range records {
							orFail(t, store.Log{Store: st}.Append(t.Context(), []decisionlog.Record{{
								DecisionID: fmt.Sprint(from + i), Timestamp: time.Now(), Event: decisionlog.EventAdmissionDecided,
								Outcome: decisionlog.OutcomeRefused, Reason: string(broker.ReasonPolicyDenied),
							}}))
						}
					}
					for i, arm := range []bool{true, false} { // the second start has no trouble
						ctx, cancel := context.WithCancel(t.Context())
						appended(i * records)
						if arm {
							f.Arm(kind, n)
						}
						ended := make(chan struct{})
						go func() { defer close(ended); run(ctx, t, f, sink) }()
						time.Sleep(time.Minute)
						synctest.Wait()
						if f.Heal() != "" && arm {
							struck = n
						}
						time.Sleep(20 * time.Minute)
						synctest.Wait()
						cancel()
						<-ended
					}
					if wrong := sink.wrong(2 * records); wrong != "" {
						t.Errorf("%s, %s of operation %d: %s: %v", name, kind, n, wrong, sink.seqs)
					}
				})
			}
			if struck == 0 {
				t.Errorf("%s: no operation failed as %s", name, kind)
			}
			t.Logf("%s: %d operations %s", name, struck, kind)
		}
	}
}

// positioned stages that both cursors begin with the past.
func positioned(st store.Store) store.Unit {
	u := st.Begin()
	u.PutCursor("test", 1)
	u.PutCursor("webhook:test", 1)
	return u
}

// hookOf is a webhook whose receiver takes everything.
func hookOf(st store.Store, sink *sinkOf) *webhook {
	return &webhook{
		name: "webhook:test", url: "https://hooks.example/", kinds: webhookKinds, perMinute: 100, log: store.Log{Store: st}, sights: sights{st}, trouble: zerolog.Nop(),
		post: func(_ context.Context, _ string, _ http.Header, body []byte) error {
			var d delivery
			if err := json.Unmarshal(body, &d); err != nil {
				return err
			}
			for _, e := range d.Events {
				sink.seqs = append(sink.seqs, e.Seq)
			}
			return nil
		},
	}
}

// wrong says which of so many records are missing, or out of order: one that
// comes again comes with all that follow it.
func (s *sinkOf) wrong(records uint64) string {
	next := uint64(1)
	for _, seq := range s.seqs {
		if seq > next {
			return fmt.Sprintf("record %d came before %d", seq, next)
		}
		next = seq + 1
	}
	if next != records+1 {
		return fmt.Sprintf("record %d is missing", next)
	}
	return ""
}
