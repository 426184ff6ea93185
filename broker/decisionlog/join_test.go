package decisionlog_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"guestlist/broker/decisionlog"
)

// marshalled is the native view by decoding the stored bytes and encoding them.
func marshalled(t *testing.T, s decisionlog.Sealed) string {
	t.Helper()
	r, err := s.Record()
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(struct {
		Seq uint64 `json:"seq"`
		decisionlog.Record
		Erased bool `json:"body_erased,omitempty"`
	}{s.Seq, r, s.Body == nil})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// unescaped is a text with U+FFFD as it is, which stands escaped where a record
// was no UTF-8.
func unescaped(b []byte) string { return strings.ReplaceAll(string(b), `\ufffd`, "\ufffd") }

// TestJSONIsTheRecord: the native view, which is made of the stored bytes, says
// byte by byte what they decode to.
func TestJSONIsTheRecord(t *testing.T) {
	hostile := `{"seq":1,"body_digest":"",` + "<&>\u2028\n\xff\"}"
	records := viewed()
	records["hostile"], records["empty"] = crowded(hostile), decisionlog.Record{}
	for _, e := range decisionlog.Events() {
		records[e.Name] = fired(t, e.Name)
	}
	for name, r := range records {
		for _, seq := range []uint64{1, 1_000_000} {
			s, err := decisionlog.Seal(seq, r)
			if err != nil {
				t.Fatal(err)
			}
			spaced := s
			spaced.Header = bytes.Replace(s.Header, []byte(`,"body_digest"`), []byte(",\n \"body_digest\""), 1)
			broken := s
			broken.Header = bytes.Replace(s.Header, []byte(`,"timestamp"`), []byte(",\n\"timestamp\""), 1)
			elsewhere := s
			elsewhere.Seq++
			for form, s := range map[string]decisionlog.Sealed{
				"": s, ", erased": {Seq: s.Seq, Header: s.Header}, ", spaced": spaced, ", broken up": broken, ", of another place": elsewhere,
			} {
				if got, err := s.JSON(); err != nil || unescaped(got) != marshalled(t, s) {
					t.Errorf("%s%s: JSON() = %s, %v\nwant %s", name, form, got, err, marshalled(t, s))
				}
			}
		}
	}
}

// TestJSONRefuses what cannot be read or proven.
func TestJSONRefuses(t *testing.T) {
	good, err := decisionlog.Seal(7, viewed()["decided"])
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(s *decisionlog.Sealed){
		"a body of another record":  func(s *decisionlog.Sealed) { s.Body = []byte(`{"detail":"other"}`) },
		"no body but not erased":    func(s *decisionlog.Sealed) { s.Body = []byte{} },
		"another salt":              func(s *decisionlog.Sealed) { s.Salt = make([]byte, 16) },
		"a header cut short":        func(s *decisionlog.Sealed) { s.Header = s.Header[:len(s.Header)-1] },
		"a header of nothing":       func(s *decisionlog.Sealed) { s.Header = nil },
		"a header without a digest": func(s *decisionlog.Sealed) { s.Header = []byte(`{"seq":7,"body_digest":"","event":"x"}`) },
		"a header of a digest only": func(s *decisionlog.Sealed) { s.Header = []byte(`{"seq":7,"body_digest":"`) },
	} {
		s := good
		change(&s)
		if got, err := s.JSON(); err == nil {
			t.Errorf("%s: JSON() = %s, want an error", name, got)
		}
	}
}
