package main

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"guestlist/broker/decisionlog"
	"guestlist/broker/export"
	"guestlist/store"
	"guestlist/store/bolt"
)

// switchable is a sink that can be told to fail, or to hang without heed of
// its context.
type switchable struct {
	mu   sync.Mutex
	err  error
	hang chan struct{} // nil: it does not
	got  int
}

func (s *switchable) Send(_ context.Context, records []export.Record) error {
	s.mu.Lock()
	hang := s.hang
	s.mu.Unlock()
	if hang != nil {
		<-hang
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.got += len(records)
	}
	return s.err
}

// exportApp is what of an app exports.
func exportApp(t *testing.T, sinks map[string]export.Sink) (*app, func(n int)) {
	t.Helper()
	s, err := bolt.Open(bolt.Config{Path: filepath.Join(t.TempDir(), "guestlist.db")})
	if err != nil {
		t.Fatal(err)
	}
	a := &app{store: s, log: zerolog.Nop()}
	for name, sink := range sinks {
		a.plan.exporters = append(a.plan.exporters, exporterPlan{Config: export.Config{Name: name, Sink: sink}})
	}
	if err := a.prepareExport(); err != nil {
		t.Fatal(err)
	}
	return a, func(n int) {
		t.Helper()
		for range n {
			r := decisionlog.Record{DecisionID: "d", Timestamp: time.Now(), Event: "keys.rotated", Outcome: decisionlog.OutcomeDone}
			if err := (store.Log{Store: s}).Append(t.Context(), []decisionlog.Record{r}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestExportStatus: the status says how far each exporter is, and calls it a
// problem once it has failed for a minute.
func TestExportStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead, good := &switchable{err: errors.New("post to logs.example: status 500")}, &switchable{}
		a, say := exportApp(t, map[string]export.Sink{"dead": dead, "good": good})
		defer a.store.Close()
		ctx, cancel := context.WithCancel(t.Context())
		stopped := a.export(ctx)
		began := time.Now().UTC().Format(time.RFC3339)
		say(2)
		want := func(dead string, problem any) {
			t.Helper()
			synctest.Wait()
			out := map[string]any{}
			a.exportStatus(t.Context(), out)
			if out["exporter_good"] != "up to date" || out["exporter_dead"] != dead || out["exporter_dead_problem"] != problem {
				t.Errorf("status %v, want %q and problem %v", out, dead, problem)
			}
		}
		want("2 records behind, the oldest of "+began, nil)
		time.Sleep(2 * time.Minute)
		say(1)
		want("3 records behind, the oldest of "+began, "since "+began+": post to logs.example: status 500")
		dead.mu.Lock()
		dead.err = nil
		dead.mu.Unlock()
		time.Sleep(2 * time.Minute)
		want("up to date", nil)
		cancel()
		stopped()
	})
}

// TestExportSlowSinkSlowsNoCommit: while a sink hangs, commits go on as fast as
// ever; the end of the program does not wait for it for ever.
func TestExportSlowSinkSlowsNoCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said strings.Builder
		slow := &switchable{hang: make(chan struct{})}
		a, say := exportApp(t, map[string]export.Sink{"slow": slow})
		a.log = zerolog.New(&said)
		ctx, cancel := context.WithCancel(t.Context())
		stopped := a.export(ctx)
		began := time.Now()
		say(500)
		if d := time.Since(began); d > 0 { // time stands still unless everybody waits
			t.Errorf("500 commits waited %s for the sink", d)
		}
		lags, err := a.exportLags(t.Context())
		if err != nil || len(lags) != 1 || lags[0].Behind != 500 {
			t.Errorf("exportLags() = %+v, %v, want 500 behind", lags, err)
		}
		cancel()
		began = time.Now()
		stopped()
		if d := time.Since(began); d != exportStopWithin || !strings.Contains(said.String(), "log.export_stuck") {
			t.Errorf("stopping took %s, and said %q", d, said.String())
		}
		close(slow.hang)
		synctest.Wait()
		if err := a.store.Close(); err != nil {
			t.Error(err)
		}
	})
}
