package bolt_test

import (
	"context"
	"encoding/json"
	"path/filepath"
	"testing"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/store"
	"guestlist/store/bolt"
)

// TestMask: every record is masked when it is staged, those that are committed
// together with a change and those of a batch.
func TestMask(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	told := 0
	s, err := bolt.Open(bolt.Config{Path: path, Mask: func(r decisionlog.Record) decisionlog.Record {
		told++
		r, err := r.Mask([]decisionlog.Edit{{Path: "/source"}, {Path: "/input/secret"}, {Path: "/detail", Value: json.RawMessage(`"masked"`)}})
		if err != nil {
			t.Errorf("Mask() = %v", err)
		}
		return r
	}})
	if err != nil {
		t.Fatal(err)
	}
	rec := func(id string) decisionlog.Record {
		return decisionlog.Record{DecisionID: id, Timestamp: at, Event: "person.signed_in", Outcome: "refused", Reason: "x",
			Detail: "canary-detail", Source: "canary-source", Input: json.RawMessage(`{"secret": "canary-input", "rest": 1}`)}
	}
	u := s.Begin()
	u.CreateClient(broker.Client{ID: "c", Incarnation: 1})
	u.Append(rec("with a change"))
	if err := s.Commit(context.Background(), u); err != nil {
		t.Fatal(err)
	}
	if err := (store.Log{Store: s}).Append(context.Background(), []decisionlog.Record{rec("of a batch"), rec("of a batch too")}); err != nil {
		t.Fatal(err)
	}
	sealed, err := s.Records(context.Background(), store.RecordQuery{})
	if err != nil || len(sealed) != 3 || told != 3 {
		t.Fatalf("Records() = %d of them, %v, want 3; masked %d", len(sealed), err, told)
	}
	for _, one := range sealed {
		r, err := one.Record()
		if err != nil || r.Source != "" || r.Detail != "masked" || string(r.Input) != `{"rest":1}` || len(r.Erased) != 2 || len(r.Masked) != 1 {
			t.Errorf("Record() = %+v, %v, want it masked", r, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
