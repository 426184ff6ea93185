package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// requestID opens a link and returns the id of the answer.
func (s *site) requestID(link string) string {
	s.t.Helper()
	resp, err := http.Get(link)
	if err != nil {
		s.t.Fatal(err)
	}
	resp.Body.Close()
	return resp.Header.Get("X-Request-Id")
}

// G-01: audit why says what is known of an id that no record names, whether
// nothing was refused or a flood's refusals were counted.
func TestAuditWhyUnnamed(t *testing.T) {
	s := newSite(t)
	s.serve()
	help := s.requestID(s.issuer + "/help/request_invalid")
	s.why([]string{help}, "request          "+help+"\n", "\ngiven out        20", "\nknown            nothing recorded at that moment has this id")

	var ids []string
	for range 400 {
		ids = append(ids, s.requestID(strings.Replace(s.authorizeLink(), "client_id=", "client_id=https%3A%2F%2Fnobody.example%2Fc&x=", 1)))
	}
	counted := 0
	for i := 70; i < len(ids); i += 30 {
		stdout, stderr, exit := output(t, "audit", "why", ids[i], "-o", "json", "--config", s.config)
		var w whyAnswer
		if err := json.Unmarshal([]byte(stdout), &w); err != nil || exit != 0 || w.RequestID != ids[i] || w.Reason != "no_policy_matched" || len(w.Records) == 0 {
			t.Fatalf("audit why %s = exit %d, %s%s, %v, want the reason", ids[i], exit, stdout, stderr, err)
		}
		if w.Unnamed == nil {
			continue
		}
		counted++
		s.why([]string{ids[i]}, "\ngiven out        20", "\nknown            one of ", " like refusals of 127.0.0.1/32 that one record counts", "\nstranger saw     client_not_admitted\n", "\nreason           no_policy_matched: ", "like refusals, the last with request id ")
	}
	if counted == 0 {
		t.Error("none of 400 refusals was counted")
	}
}
