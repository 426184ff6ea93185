package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"guestlist/broker/decisionlog"
	"guestlist/store"
)

// TestEventsOfTheProcess is CU-21, G-29: what only the whole program writes,
// as its golden files have it. The same trouble twice is one record.
func TestEventsOfTheProcess(t *testing.T) {
	dir := configDir(t)
	policies := filepath.Join(dir, "policies", "p.rego")
	facts, people := filepath.Join(dir, "facts.yaml"), filepath.Join(dir, "people.yaml")
	writeTestFile(t, policies, "package admission.defaults\n\nsettings := {}\n")
	writeTestFile(t, filepath.Join(dir, "policies", "facts.schema.json"), `{"type": "object", "properties": {"freeze": {"type": "boolean", "default": false}}}`)
	writeTestFile(t, facts, "freeze: false\n")
	c, err := parseIn(dir, minimalConfig+"facts: facts.yaml\n")
	if err != nil {
		t.Fatal(err)
	}
	p, err := planFrom(c)
	if err != nil {
		t.Fatal(err)
	}
	a, err := open(t.Context(), p, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	defer a.close(t.Context())
	for range 2 {
		writeTestFile(t, people, "- {username: carol, wrong: member}\n")
		a.people.Count()
		a.people.Count()
		writeTestFile(t, facts, "freeze: maybe\n")
		a.renew(t.Context())
		writeTestFile(t, policies, "package admission.defaults\n\nsettings := {")
		if err := a.reload(t.Context(), "SIGHUP"); err == nil {
			t.Fatal("a broken policy was loaded")
		}
	}
	stranger := decisionlog.Record{DecisionID: "d", Timestamp: time.Now(), Event: decisionlog.EventRequestRefused, Outcome: decisionlog.OutcomeRefused, Detail: "d"}
	if err := errors.Join(a.batch.Add(stranger), a.batch.Flush(t.Context())); err != nil {
		t.Fatal(err)
	}
	const later = 91 * 24 * time.Hour
	a.retainer.ages = map[decisionlog.Class]time.Duration{decisionlog.ClassStrangers: later - 24*time.Hour}
	a.retainer.now, a.retainer.ran = func() time.Time { return time.Now().Add(later) }, func() time.Duration { return later }
	a.retainer.round(t.Context())
	for _, event := range []string{decisionlog.EventConfigReloaded, decisionlog.EventFactsRejected, decisionlog.EventPolicyRejected, decisionlog.EventLogErased} {
		a.wasFired(t, dir, event)
	}
}

// wasFired compares the one record of an event with its golden file.
func (a *app) wasFired(t *testing.T, dir, event string) {
	t.Helper()
	if err := a.batch.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	sealed, err := a.store.Records(t.Context(), store.RecordQuery{Event: event})
	if err != nil || len(sealed) != 1 {
		t.Fatalf("%d records %s (%v), want one", len(sealed), event, err)
	}
	whole, err := sealed[0].JSON()
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(whole, &m); err != nil {
		t.Fatal(err)
	}
	m["seq"], m["decision_id"], m["revision"], m["timestamp"] = 1, "DECISION_ID", "REVISION", "2026-11-25T12:00:00Z"
	out, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	out = append([]byte(strings.ReplaceAll(string(out), dir, "DIR")), '\n')
	file := filepath.Join("..", "..", "testdata", "records", event+".json")
	if *updatePages {
		if err := os.WriteFile(file, out, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(out, want) {
		t.Errorf("%s (%v) has:\n%s\nthe record is:\n%s", file, err, want, out)
	}
}
