package decisionlog_test

import (
	"encoding/json"
	"regexp"
	"testing"
	"time"

	"guestlist/broker/decisionlog"
)

// TestSetChangesNothingStored compares what Seal makes of members that Set
// wrote with what it makes of the same members from elsewhere, byte by byte
// but for the salted digest; the former by one Sealer for all.
func TestSetChangesNothingStored(t *testing.T) {
	hostile := `"input":0,"result":0,"settings":0,"effective":0 <&> é` + "\u2028"
	values := map[string]any{
		"object": map[string]any{"html": "<&>\u2028", "n": 0, "settings": 0, "effective": 0},
		"null":   nil,
		"zero":   0,
		"text":   hostile,
	}
	var all decisionlog.Sealer
	for name, v := range values {
		for members := range 16 {
			raw, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			set, plain := crowded(hostile), crowded(hostile)
			into := []*json.RawMessage{&set.Settings, &set.Effective, &set.Input, &set.Result}
			for i, to := range []*json.RawMessage{&plain.Settings, &plain.Effective, &plain.Input, &plain.Result} {
				if members&(1<<i) == 0 {
					continue
				}
				*to = raw
				if err := set.Set(into[i], v); err != nil {
					t.Fatal(err)
				}
			}
			got, err := all.Seal(3, set)
			if err != nil {
				t.Fatalf("%s, members %04b: %v", name, members, err)
			}
			want, err := decisionlog.Seal(3, plain)
			if err != nil {
				t.Fatal(err)
			}
			if string(got.Body) != string(want.Body) || undigested(got) != undigested(want) {
				t.Errorf("%s, members %04b: Seal =\n%s\n%s\nwant\n%s\n%s", name, members, got.Header, got.Body, want.Header, want.Body)
			}
			if _, err := got.Record(); err != nil {
				t.Errorf("%s, members %04b: Record: %v", name, members, err)
			}
		}
	}
}

// TestSealMixes: a member that Set wrote goes to its own place, also behind one
// from elsewhere that holds something of that name. Masking a consent's record
// leaves such a pair.
func TestSealMixes(t *testing.T) {
	terms, granted := `{"claims":{"effective":0,"n":1}}`, `{"scopes":["mcp:read","mcp:write"]}`
	for _, computed := range []bool{false, true} {
		r := decisionlog.Record{Settings: json.RawMessage(terms), Effective: json.RawMessage(granted)}
		if r.NoteComputed(computed); !computed {
			if err := r.Set(&r.Effective, map[string][]string{"scopes": {"mcp:read"}}); err != nil {
				t.Fatal(err)
			}
		} else if masked, err := r.Mask([]decisionlog.Edit{{Path: "/effective/scopes/1"}}); err != nil {
			t.Fatal(err)
		} else {
			r = masked
		}
		s, err := decisionlog.Seal(1, r)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Record()
		if err != nil || string(got.Settings) != terms || string(got.Effective) != `{"scopes":["mcp:read"]}` {
			t.Errorf("computed %v: settings %s, effective %s, %v, want the former as they were and the latter without mcp:write", computed, got.Settings, got.Effective, err)
		}
	}
}

// TestSealStillChecksWhatSetDidNotWrite: a member that was replaced after Set
// is checked and compacted.
func TestSealStillChecksWhatSetDidNotWrite(t *testing.T) {
	r := sample()
	if err := r.Set(&r.Input, map[string]int{"a": 1}); err != nil {
		t.Fatal(err)
	}
	r.Input = json.RawMessage(`{ "a": 1 `)
	if s, err := decisionlog.Seal(1, r); err == nil {
		t.Errorf("Seal of broken JSON = %s, want an error", s.Body)
	}
	if err := r.Set(&r.Result, func() {}); err == nil || r.Result != nil {
		t.Errorf("Set of a function = %v, member %s, want an error and no member", err, r.Result)
	}
}

// crowded is a record whose other members look like raw ones.
func crowded(text string) decisionlog.Record {
	end := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	return decisionlog.Record{
		DecisionID: text, Timestamp: end, Event: text, Outcome: text, Labels: map[string]string{"settings": "0", "effective": text},
		Policy: []string{text}, Phases: []decisionlog.Phase{{Phase: text, Why: text}},
		Cut: []decisionlog.Cut{{Member: "settings", Value: text}}, ExpiresAt: &end,
		Metrics: map[string]int64{"settings": 0, "effective": 0, "input": 0}, Detail: text, Source: text,
	}
}

var digests = regexp.MustCompile(`"body_digest":"[0-9a-f]{64}"`)

func undigested(s decisionlog.Sealed) string {
	return digests.ReplaceAllString(string(s.Header), "")
}
