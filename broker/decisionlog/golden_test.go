package decisionlog_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"guestlist/broker/decisionlog"
)

// CU-21 G-29 H-10 G-01: every event has been fired (the tests of the servers
// write what was recorded to testdata/records), its record is what the schema
// and the catalogue say, and nothing else lies there.
func TestGoldenRecords(t *testing.T) {
	t.Parallel()
	schema := recordSchema(t)
	common := []string{"seq", "decision_id", "timestamp", "event", "outcome", "epoch"}
	dir := filepath.Join("..", "..", "testdata", "records")
	for _, e := range decisionlog.Events() {
		b, err := os.ReadFile(filepath.Join(dir, e.Name+".json"))
		if err != nil {
			t.Errorf("%s was never fired: %v", e.Name, err)
			continue
		}
		var r map[string]any
		if err := json.Unmarshal(b, &r); err != nil {
			t.Errorf("%s: %v", e.Name, err)
			continue
		}
		if err := schema.Validate(r); err != nil {
			t.Errorf("%s: the schema refuses it: %v", e.Name, err)
		}
		if r["event"] != e.Name {
			t.Errorf("%s: the event is %v", e.Name, r["event"])
		}
		for _, m := range e.Has {
			if _, ok := r[m]; !ok {
				t.Errorf("%s has no %s, which the catalogue says it always has", e.Name, m)
			}
		}
		for m := range r {
			if !slices.Contains(slices.Concat(common, e.Has, e.May), m) {
				t.Errorf("%s has %s, of which the catalogue says nothing", e.Name, m)
			}
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		name := strings.TrimSuffix(f.Name(), ".json")
		if !slices.ContainsFunc(decisionlog.Events(), func(e decisionlog.Event) bool { return e.Name == name }) {
			t.Errorf("%s is the record of no event", f.Name())
		}
	}
}
