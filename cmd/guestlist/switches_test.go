package main

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
)

// G-13, G-25: each switch says what it stops and what it does not.
func TestSwitchesInWords(t *testing.T) {
	for _, tt := range []struct {
		admit, advertise bool
		means, says      []string
	}{
		{true, true, []string{"come in where a policy admits"}, []string{"says client_id_metadata_document_supported"}},
		{true, false, []string{"come in where a policy admits"}, []string{"Stops the metadata", "Does not stop a client that comes"}},
		{false, true, []string{"Stops every client that is known by its document alone", "nothing is fetched", "Does not stop: registered and pinned clients; revocation"},
			[]string{"Says nothing while admit is false"}},
		{false, false, []string{"Ends nothing"}, []string{"Stops the metadata"}},
	} {
		admit, advertise := switches(tt.admit, tt.advertise)
		for text, parts := range map[string][]string{admit: tt.means, advertise: tt.says} {
			for _, part := range parts {
				if !strings.Contains(text, part) {
					t.Errorf("switches(%v, %v) says %q, want %q in it", tt.admit, tt.advertise, text, part)
				}
			}
		}
	}
}

// TestPF01SwitchedOffProcess: cimd.admit in the configuration, and what status
// makes of it (G-13).
func TestPF01SwitchedOffProcess(t *testing.T) {
	s := newSite(t)
	s.add("cimd: {admit: false}\nhelp: {ask: \"the identity team\", url: \"mailto:iam@corp.example\"}\n")
	p := s.serve()
	defer p.stop(syscall.SIGTERM)
	resp, body := s.alice().get(s.authorizeLink())
	if resp.StatusCode != http.StatusForbidden || s.hits.Load() != 0 {
		t.Errorf("authorize: status %d with %d fetches, want 403 without", resp.StatusCode, s.hits.Load())
	}
	if !strings.Contains(body, "the identity team") || !strings.Contains(body, `href="mailto:iam@corp.example"`) {
		t.Errorf("the refusal does not say whom to ask:\n%s", body)
	}
	if _, meta := s.alice().get(s.issuer + "/.well-known/oauth-authorization-server"); strings.Contains(meta, "client_id_metadata_document_supported") {
		t.Errorf("metadata = %s, want no flag", meta)
	}
	admit, advertise := switches(false, true)
	text, _, code := output(t, "status", "--config", s.config)
	for _, want := range []string{admit, advertise} {
		if code != 0 || !strings.Contains(text, want) {
			t.Errorf("status: exit %d, want %q in\n%s", code, want, text)
		}
	}
	raw, _, _ := output(t, "status", "--config", s.config, "-o", "json")
	var got map[string]any
	if err := json.Unmarshal([]byte(raw), &got); err != nil || got["admit"] != false || got["advertise"] != true || got["admit_means"] != admit || got["advertise_means"] != advertise {
		t.Errorf("status -o json = %s, %v, want the same words", raw, err)
	}
}

// add appends to the configuration.
func (s *site) add(text string) {
	s.t.Helper()
	b, err := os.ReadFile(s.config)
	if err != nil {
		s.t.Fatal(err)
	}
	s.write("guestlist.yaml", string(b)+text)
}
