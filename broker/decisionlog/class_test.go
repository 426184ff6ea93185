package decisionlog_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"guestlist/broker/decisionlog"
)

// G-01: every record is of exactly one class, told from its header.
func TestClassOf(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		r    decisionlog.Record
		want decisionlog.Class
	}{
		{"a person", decisionlog.Record{Event: "token.issued", Outcome: "issued", Subject: "p"}, decisionlog.ClassPeople},
		{"a person who was refused", decisionlog.Record{Event: "admission.decided", Outcome: "refused", Subject: "p"}, decisionlog.ClassPeople},
		{"a person's event", decisionlog.Record{Event: "person.sign_in_failed", Outcome: "refused"}, decisionlog.ClassPeople},
		{"a person and an actor", decisionlog.Record{Event: "consent.withdrawn", Outcome: "done", Subject: "p", Actor: "root"}, decisionlog.ClassPeople},
		{"a stranger", decisionlog.Record{Event: "admission.decided", Outcome: "refused"}, decisionlog.ClassStrangers},
		{"a request", decisionlog.Record{Event: "request.refused", Outcome: "refused"}, decisionlog.ClassStrangers},
		{"a client", decisionlog.Record{Event: "admission.decided", Outcome: "admitted"}, decisionlog.ClassClients},
		{"a client's end", decisionlog.Record{Event: "client.expired", Outcome: "pruned"}, decisionlog.ClassClients},
		{"an act on a client", decisionlog.Record{Event: "client.revoked", Outcome: "done", Actor: "root"}, decisionlog.ClassOperators},
		{"an act that was refused", decisionlog.Record{Event: "admin.request", Outcome: "refused"}, decisionlog.ClassOperators},
		{"policies", decisionlog.Record{Event: "policy.rejected", Outcome: "refused"}, decisionlog.ClassOperators},
		{"facts", decisionlog.Record{Event: "facts.changed", Outcome: "done"}, decisionlog.ClassOperators},
		{"keys", decisionlog.Record{Event: "keys.rotated", Outcome: "done"}, decisionlog.ClassOperators},
		{"configuration", decisionlog.Record{Event: "config.reloaded", Outcome: "done"}, decisionlog.ClassOperators},
		{"the log itself", decisionlog.Record{Event: "log.erased", Outcome: "done"}, decisionlog.ClassOperators},
		{"an event that begins alike", decisionlog.Record{Event: "personal.event", Outcome: "done"}, decisionlog.ClassClients},
		{"nothing", decisionlog.Record{}, decisionlog.ClassClients},
	} {
		if got := decisionlog.ClassOf(tt.r); got != tt.want {
			t.Errorf("%s: ClassOf() = %s, want %s", tt.name, got, tt.want)
		}
	}
	reference, seen := decisionlog.Reference(nil), map[decisionlog.Class]bool{}
	for _, c := range decisionlog.Classes() {
		if seen[c.Class] || !strings.Contains(reference, "| `"+string(c.Class)+"` | "+c.Meaning+" |") {
			t.Errorf("the class %s is there twice, or lacks its line in the reference", c.Class)
		}
		seen[c.Class] = true
	}
}

// G-01 G-04: without its body a record is the same leaf, of the same class,
// says that it is erased, and is what the schema takes.
func TestErasedRecord(t *testing.T) {
	t.Parallel()
	r := sample()
	r.Path, r.Detail = "admission/v1", "canary of the body"
	whole, err := decisionlog.Seal(3, r)
	if err != nil {
		t.Fatal(err)
	}
	erased := whole
	erased.Body, erased.Salt = nil, nil
	if whole.LeafHash() != erased.LeafHash() {
		t.Errorf("LeafHash() differs without the body")
	}
	left, err := erased.Record()
	if err != nil || decisionlog.ClassOf(left) != decisionlog.ClassOf(r) {
		t.Errorf("Record() = %v, %v, want the class of before", left, err)
	}
	for s, want := range map[*decisionlog.Sealed]bool{&whole: false, &erased: true} {
		b, err := s.JSON()
		var m map[string]any
		if err == nil {
			err = json.Unmarshal(b, &m)
		}
		if said, _ := m["body_erased"].(bool); err != nil || said != want || bytes.Contains(b, []byte("canary")) == want {
			t.Errorf("JSON() = %s, %v, want erased %v", b, err, want)
		}
		if err := recordSchema(t).Validate(m); err != nil {
			t.Errorf("the schema refuses it: %v", err)
		}
	}
}
