package decisionlog_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"guestlist/broker/decisionlog"
)

// computed is a record with texts that policies spell out and texts that they
// compute, side by side.
func computed() decisionlog.Record {
	r := sample()
	r.Policy, r.Labels = []string{"agents"}, map[string]string{"gold": "true"}
	r.Phases = []decisionlog.Phase{
		{Phase: "document", Allowed: true, Warnings: []decisionlog.Denial{
			{Policy: "agents", Rule: "warn", Code: "odd", Message: "an odd client", Location: "agents.rego:3"},
			{Policy: "agents", Rule: "warn", Code: "seen", Message: "seen at 192.0.2.7", Effect: "refuse", Location: "agents.rego:5", Computed: []string{"message"}},
		}},
		{Phase: "user", Reason: "policy_denied", Denials: []decisionlog.Denial{
			{Policy: "agents", Rule: "deny_user", Code: "no_alice", Message: "not alice", UserMessage: "Sorry, alice.", Remedy: "ask alice@corp.example", Effect: "refuse",
				Computed: []string{"code", "message", "user_message", "remedy"}},
			{Policy: "agents", Rule: "deny_user", Code: "plain", Message: "as written", UserMessage: "Dear alice", Computed: []string{"user_message"}},
		}},
	}
	for to, v := range map[*json.RawMessage]any{&r.Settings: map[string]any{"tags": []string{"gold", "at 198.51.100.7"}}, &r.Effective: map[string]any{"scopes": []string{"mail:alice"}}} {
		if err := r.Set(to, v); err != nil {
			panic(err)
		}
	}
	r.NoteComputed(true)
	return r
}

// TestComputedStandsInTheBody: what a policy computed is in no byte of the
// header, is found in its place, and goes with the body; what a policy spells
// out stays.
func TestComputedStandsInTheBody(t *testing.T) {
	t.Parallel()
	r := computed()
	s, err := decisionlog.Seal(7, r)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"alice", "192.0.2.7", "Sorry"} {
		if bytes.Contains(s.Header, []byte(text)) || !bytes.Contains(s.Body, []byte(text)) {
			t.Errorf("%q is not in the body alone:\n%s\n%s", text, s.Header, s.Body)
		}
	}
	got, err := s.Record()
	if err != nil {
		t.Fatal(err)
	}
	if have, want := texts(got), texts(computed()); have != want {
		t.Errorf("Record() reads\n%s\nwant\n%s", have, want)
	}
	if have, want := texts(r), texts(computed()); have != want {
		t.Errorf("Seal changed the record it was given to\n%s", have)
	}
	s.Body, s.Salt = nil, nil
	got, err = s.Record()
	want := "agents.warn odd an odd client; ; ; agents.rego:3\nagents.warn seen ; ; ; agents.rego:5\nagents.deny_user  ; ; ; \nagents.deny_user plain as written; ; ; \n \n"
	if err != nil || texts(got) != want || !got.Computes("/phases/1/denials/0/code") || !got.Computes("/settings") || got.Computes("/phases/1/denials/1/message") {
		t.Errorf("erased, Record() reads\n%s\n%q, %v, want\n%s", texts(got), got.Computed, err, want)
	}
}

// texts are those of the denials and warnings of a record, and its terms.
func texts(r decisionlog.Record) string {
	var b strings.Builder
	for _, p := range r.Phases {
		for _, d := range slices.Concat(p.Denials, p.Warnings) {
			fmt.Fprintf(&b, "%s.%s %s %s; %s; %s; %s\n", d.Policy, d.Rule, d.Code, d.Message, d.UserMessage, d.Remedy, d.Location)
		}
	}
	fmt.Fprintf(&b, "%s %s\n", r.Settings, r.Effective)
	return b.String()
}

// TestMaskComputed: a mask reaches what is computed by the pointer to its
// place, and nothing else of the same members.
func TestMaskComputed(t *testing.T) {
	t.Parallel()
	const message, first = "/phases/1/denials/0/message", "/phases/1/denials/0"
	for name, tt := range map[string]struct {
		edits          []decisionlog.Edit
		erased, masked string
		gone, left     string
	}{
		"one text":              {[]decisionlog.Edit{remove(message)}, message, "", "not alice", "Sorry, alice."},
		"one text replaced":     {[]decisionlog.Edit{upsert(message, `"not you"`)}, "", message, "not alice", "not you"},
		"a denial":              {[]decisionlog.Edit{remove(first)}, first, "", "no_alice", "as written"},
		"every text":            {[]decisionlog.Edit{remove("/phases")}, "/phases", "", "Dear alice", "an odd client"},
		"every text, one twice": {[]decisionlog.Edit{remove("/phases"), upsert(message, `"x"`)}, "/phases", "", "not alice", "as written"},
		"what is spelt out":     {[]decisionlog.Edit{remove("/phases/1/denials/1/message"), remove("/phases/0/warnings/0"), remove("/phases/1/denials/0/policy")}, "", "", "-", "as written"},
		"what is not there":     {[]decisionlog.Edit{remove("/phases/2"), remove("/phases/1/denials/00/message"), remove("/phases/1/warnings/0/message"), remove(message + "/x")}, "", "", "-", "not alice"},
		"settings":              {[]decisionlog.Edit{remove("/settings")}, "/settings", "", "at 198.51.100.7", "mail:alice"},
		"a tag":                 {[]decisionlog.Edit{remove("/settings/tags/1")}, "/settings/tags/1", "", "at 198.51.100.7", "gold"},
		"a granted scope":       {[]decisionlog.Edit{upsert("/effective/scopes/0", `"mail:…"`)}, "", "/effective/scopes/0", "mail:alice", "mail:…"},
	} {
		before := computed()
		r, err := before.Mask(tt.edits)
		if err != nil || strings.Join(r.Erased, " ") != tt.erased || strings.Join(r.Masked, " ") != tt.masked {
			t.Errorf("%s: Mask() erased %q, masked %q, %v, want %q and %q", name, r.Erased, r.Masked, err, tt.erased, tt.masked)
			continue
		}
		s, err := decisionlog.Seal(7, r)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := s.Record(); err != nil || strings.Contains(texts(again), tt.gone) || !strings.Contains(texts(again), tt.left) {
			t.Errorf("%s: sealed and read again\n%s%v\nwant no %q, but %q", name, texts(again), err, tt.gone, tt.left)
		}
		if tt.masked != "" && bytes.Contains(s.Header, []byte(tt.left)) {
			t.Errorf("%s: what takes its place is in the header: %s", name, s.Header)
		}
		if texts(before) != texts(computed()) {
			t.Errorf("%s: Mask changed the record it was given", name)
		}
	}
	for _, path := range []string{message, first, "/phases", "/phases/1/denials"} {
		if r, err := computed().Mask([]decisionlog.Edit{upsert(path, `{"message":"x"}`)}); !errors.Is(err, decisionlog.ErrMaskValue) {
			t.Errorf("Mask(%s with an object) = %q, %v, want %v", path, texts(r), err, decisionlog.ErrMaskValue)
		}
	}
	spelt := computed()
	spelt.NoteComputed(false)
	if r, err := spelt.Mask([]decisionlog.Edit{remove("/settings"), remove("/effective")}); err != nil || r.Erased != nil || len(r.Settings) == 0 {
		t.Errorf("Mask() of settings that are spelt out: erased %q, %s, %v", r.Erased, r.Settings, err)
	}
}

// TestWithheldComputed: a record that cannot be masked keeps nothing that was
// computed.
func TestWithheldComputed(t *testing.T) {
	t.Parallel()
	r := computed().Withhold("it did not finish in its time")
	s, err := decisionlog.Seal(7, r)
	if err != nil || bytes.Contains(s.Header, []byte("alice")) || bytes.Contains(s.Body, []byte("alice")) || bytes.Contains(s.Body, []byte("192.0.2.7")) {
		t.Errorf("withheld: %s\n%s\n%v", s.Header, s.Body, err)
	}
	if want := append([]string{"/detail", "/input", "/result", "/source"}, r.Computed...); !slices.Equal(r.Erased, slices.Sorted(slices.Values(want))) {
		t.Errorf("withheld, erased = %q, want %q", r.Erased, want)
	}
}

// TestComputedProperty: whichever texts are computed, none of them is in the
// header, all others are, and the record reads as it was made.
func TestComputedProperty(t *testing.T) {
	t.Parallel()
	members := []string{"code", "message", "user_message", "remedy"}
	rapid.Check(t, func(t *rapid.T) {
		r, n := sample(), 0
		var inHeader, inBody []string
		denials := func() (out []decisionlog.Denial) {
			for range rapid.IntRange(0, 3).Draw(t, "denials") {
				d := decisionlog.Denial{Policy: "p", Rule: "deny"}
				for i, to := range []*string{&d.Code, &d.Message, &d.UserMessage, &d.Remedy} {
					n++
					*to = fmt.Sprintf("<%d>%s", n, rapid.StringMatching("[a-zé\"\\\\\n]{0,8}").Draw(t, "text"))
					mark := fmt.Sprintf("\\u003c%d\\u003e", n) // as JSON writes it
					if rapid.Bool().Draw(t, "computed") {
						d.Computed, inBody = append(d.Computed, members[i]), append(inBody, mark)
					} else {
						inHeader = append(inHeader, mark)
					}
				}
				out = append(out, d)
			}
			return out
		}
		for range rapid.IntRange(0, 3).Draw(t, "phases") {
			r.Phases = append(r.Phases, decisionlog.Phase{Phase: "user", Denials: denials(), Warnings: denials()})
		}
		r.NoteComputed(false)
		s, err := decisionlog.Seal(1, r)
		if err != nil {
			t.Fatal(err)
		}
		for _, mark := range inBody {
			if bytes.Contains(s.Header, []byte(mark)) || !bytes.Contains(s.Body, []byte(mark)) {
				t.Fatalf("%s is computed, and not in the body alone:\n%s\n%s", mark, s.Header, s.Body)
			}
		}
		for _, mark := range inHeader {
			if !bytes.Contains(s.Header, []byte(mark)) || bytes.Contains(s.Body, []byte(mark)) {
				t.Fatalf("%s is spelt out, and not in the header alone:\n%s\n%s", mark, s.Header, s.Body)
			}
		}
		got, err := s.Record()
		if err != nil || written(t, got) != written(t, r) {
			t.Fatalf("Record() = %s, %v\nwant %s", written(t, got), err, written(t, r))
		}
	})
}

// written is a record as JSON.
func written(t *rapid.T, r decisionlog.Record) string {
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestComputedOfOthers: a text whose place is not in the record is put nowhere,
// and a record of an older program, whose texts stand in the header, reads as
// it did.
func TestComputedOfOthers(t *testing.T) {
	t.Parallel()
	older := computed()
	older.Computed = nil
	s, err := decisionlog.Seal(7, older)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.Record(); err != nil || texts(got) != texts(older) || got.Computed != nil {
		t.Errorf("an older record reads\n%s%v, want\n%s", texts(got), err, texts(older))
	}
	r := computed()
	r.Computed = []string{"", "/", "/phases", "/phases/9/denials/0/message", "/phases/1/denials/0/policy", "/phases/1/others/0/message", "/detail", "/client_id"}
	if s, err = decisionlog.Seal(7, r); err != nil {
		t.Fatal(err)
	}
	got, err := s.Record()
	if err != nil || !reflect.DeepEqual(got.Phases, stripped(r).Phases) || got.ClientID != r.ClientID || got.Detail != r.Detail {
		t.Errorf("with pointers to nothing, Record() = %+v, %v", got, err)
	}
}

// stripped is r as it is read, without what is not written.
func stripped(r decisionlog.Record) decisionlog.Record {
	b, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	var out decisionlog.Record
	if err := json.Unmarshal(b, &out); err != nil {
		panic(err)
	}
	return out
}
