package broker_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
)

// sealed is a record as it is stored.
func sealed(t *testing.T, r decisionlog.Record) decisionlog.Sealed {
	t.Helper()
	s, err := decisionlog.Seal(1, r)
	if err != nil {
		t.Fatalf("Seal(%+v) = %v", r, err)
	}
	return s
}

// What cannot be parsed leaves a digest and its length (design §6).
func TestMalformedClientIDLeavesADigest(t *testing.T) {
	for name, id := range map[string]string{
		"1 MB of URL":     "https://canary.example.com/" + strings.Repeat("canary/", 150_000),
		"1 MB of nothing": strings.Repeat("canary", 180_000),
		"newlines":        "https://canary.example.com/\ncanary: injected\r\n",
		"U2 user info":    "https://canary:canary@app.example.com/x",
		"U7 fragment":     "https://app.example.com/x#canary",
		"no UTF-8":        "https://app.example.com/canary\xff\xfe",
		"quotes":          `https://app.example.com/canary" canary \" canary`,
		"escapes":         "https://app.example.com/canary\x1b[31m",
		"opaque":          "canary",
		"scheme":          "canary://app.example.com/x",
	} {
		w := newWorld(t)
		o := w.admit(func(r *broker.Request) { r.ClientID = id })
		if o.reason != broker.ReasonClientIDMalformed && o.reason != broker.ReasonClientIDUnknown {
			t.Errorf("%s: Admit() = %v, want it refused as no identifier", name, o.err)
		}
		s := sealed(t, o.record)
		if all := string(s.Header) + string(s.Body); strings.Contains(all, "canary") || strings.ContainsAny(all, "\n\x1b") || len(all) > 4096 {
			t.Errorf("%s: the record has %d bytes and holds parts of the client_id: %.600s", name, len(all), all)
		}
		sum := sha256.Sum256([]byte(id))
		if want := fmt.Sprintf("sha256:%s (%d bytes)", hex.EncodeToString(sum[:]), len(id)); o.record.ClientIDDigest != want || o.record.ClientID != "" {
			t.Errorf("%s: digest %q, client_id %q, want %q and none", name, o.record.ClientIDDigest, o.record.ClientID, want)
		}
	}
}

// The operator still learns which rule was broken.
func TestMalformedClientIDNamesItsRule(t *testing.T) {
	w := newWorld(t)
	o := w.admit(func(r *broker.Request) { r.ClientID = "https://app.example.com/a/../b" })
	for _, want := range []string{"U5", "dot segments"} {
		if !strings.Contains(o.record.Detail, want) {
			t.Errorf("detail = %q, want it to name %q", o.record.Detail, want)
		}
	}
}

// A redirect_uri that is none leaves a digest too; one that is, its text.
func TestMismatchedRedirectInTheRecord(t *testing.T) {
	w := newWorld(t)
	for sent, shown := range map[string]bool{
		"https://app.example.com/elsewhere":    true,
		"https://canary:canary@app.example/cb": false,
		"javascript:canary()":                  false,
		"https://app.example.com/#canary":      false,
		strings.Repeat("canary", 100_000):      false,
	} {
		o := w.admit(func(r *broker.Request) { r.RedirectURI = &sent })
		w.refused(o, broker.ReasonRedirectMismatch)
		if got := strings.Contains(o.record.Detail, "elsewhere"); got != shown {
			t.Errorf("redirect_uri %.60q: detail = %.300q, shown %v, want %v", sent, o.record.Detail, got, shown)
		}
		s := sealed(t, o.record)
		if all := string(s.Header) + string(s.Body); strings.Contains(all, "canary") || len(all) > 8192 {
			t.Errorf("redirect_uri %.60q: the record has %d bytes and holds it", sent, len(all))
		}
	}
}

// A long list of redirect URIs is not repeated at length for each mismatch.
func TestMismatchIsBounded(t *testing.T) {
	w := newWorld(t)
	uris := []string{}
	for i := range 90 {
		uris = append(uris, fmt.Sprintf("https://app.example.com/a-rather-long-path/%d", i))
	}
	w.host.body = document(map[string]any{"redirect_uris": uris})
	if o := w.admit(); len(o.record.Detail) > 1500 {
		t.Errorf("detail has %d bytes, want at most 1500", len(o.record.Detail))
	}
}

func TestLogDown(t *testing.T) {
	w := newWorld(t)
	w.mustAdmit()
	w.lateErr = errors.New("the batch is closed")
	// Reuse writes no commit of its own: without the log it is refused.
	o := w.admit()
	if o.reason != broker.ReasonLogUnavailable || o.Decision.Allowed || o.commits != 0 {
		t.Errorf("Admit() without a log = %v, allowed %v, %d commits, want log_unavailable", o.err, o.Decision.Allowed, o.commits)
	}
	// A refusal stays what it is.
	w.policy.answer = deny(broker.PhaseURL)
	if o := w.admit(); o.reason != broker.ReasonPolicyDenied {
		t.Errorf("refused Admit() without a log = %v, want policy_denied", o.err)
	}
	// What has a commit does not need the batch.
	w.policy.answer = nil
	if o := w.admit(func(r *broker.Request) { r.Commits = true }); o.err != nil || !o.staged {
		t.Errorf("Admit() with a commit = %v, record staged %v", o.err, o.staged)
	}
}

// Commits puts the record of an admission into the step's own commit; a
// refusal that changes nothing is batched all the same.
func TestCommits(t *testing.T) {
	w := newWorld(t)
	w.mustAdmit()
	commits := func(r *broker.Request) { r.Commits = true }
	if o := w.admit(commits); o.err != nil || !o.staged || o.commits != 1 || o.record.Outcome != decisionlog.OutcomeReused {
		t.Errorf("Admit() = %v, staged %v, outcome %s, want a staged reuse", o.err, o.staged, o.record.Outcome)
	}
	w.policy.answer = deny(broker.PhaseURL)
	if o := w.admit(commits); o.staged || !o.unit.Empty() {
		t.Error("the record of a refusal that changes nothing was staged")
	}
}

// No client without its whole record (design §3): what cannot be written as
// JSON refuses, stages nothing and is recorded still.
func TestUnwritableRecord(t *testing.T) {
	spoil := func(_ broker.Query, d *broker.Decision) { d.Settings.Device = map[string]any{"f": func() {}} }
	w := newWorld(t)
	w.policy.answer = spoil
	o := w.admit()
	w.refused(o, broker.ReasonLogUnavailable)
	if _, found := w.row(); found || o.commits != 0 {
		t.Errorf("a client without a record: row %v, %d commits", found, o.commits)
	}
	w.policy.answer = func(q broker.Query, d *broker.Decision) { spoil(q, d); deny(broker.PhaseURL)(q, d) }
	w.refused(w.admit(), broker.ReasonPolicyDenied)
}

// What a denial says goes where it was meant to go (design §8).
func TestDenialTexts(t *testing.T) {
	w := newWorld(t)
	w.policy.answer = func(q broker.Query, d *broker.Decision) {
		deny(broker.PhaseURL)(q, d)
		d.UserMessage = "ask the help desk"
	}
	o := w.admit()
	var e *broker.Error
	if !errors.As(o.err, &e) || e.Detail != "ask the help desk" || !strings.Contains(e.Err.Error(), "not today") {
		t.Errorf("Admit() = %#v, want the user message for strangers and the message for operators", o.err)
	}
	w.policy.answer = deny(broker.PhaseURL)
	if o := w.admit(); !errors.As(o.err, &e) || e.Detail != "" || o.record.Phases[0].Denials[0].Code != "no" {
		t.Errorf("Admit() = %#v, want nothing for strangers", o.err)
	}
}

// The decision record of a person holds the pseudonym in its header and the
// name at most in the part that can be erased (design §6).
func TestPersonInTheRecord(t *testing.T) {
	w := newWorld(t)
	first := w.mustAdmit()
	o := w.mustAdmit(person(&broker.Bound{Incarnation: first.Client.Incarnation, GrantID: "grant-1"}))
	s := sealed(t, o.record)
	if strings.Contains(string(s.Header), "alice") || o.record.Subject != "pseudonym-of-5" || o.record.GrantID != "grant-1" || o.record.Phase != "user" {
		t.Errorf("header = %s, want the pseudonym and the grant alone", s.Header)
	}
	var in struct{ User struct{ Sub string } }
	if err := json.Unmarshal(o.record.Input, &in); err != nil || in.User.Sub != "alice" {
		t.Errorf("input = %s, want what the policy saw", o.record.Input)
	}
	if strings.Contains(string(s.Header), "192.0.2.1") {
		t.Errorf("header = %s, want no address", s.Header)
	}
}
