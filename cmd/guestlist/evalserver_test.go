package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"guestlist/broker/decisionlog"
)

// ask runs policy eval about the client of the site.
func (s *site) ask(args ...string) (page string, stderr string, code int) {
	s.t.Helper()
	return output(s.t, append([]string{"policy", "eval", processClient, "--config", s.config}, args...)...)
}

// TestEvalIsTheLiveDecisionInEveryPhase is G-02 for a person and for a refresh:
// a whole flow against a server, and policy eval about the same facts.
func TestEvalIsTheLiveDecisionInEveryPhase(t *testing.T) {
	s := newSite(t)
	s.write("policies/example.rego", strings.Replace(admitPolicy, `"redirect"`, `"grant_types": ["authorization_code", "refresh_token"], "refresh_token": {"issue": true}, "redirect"`, 1)+`
warn contains {"code": "sub", "message": "it is alice"} if input.user.sub == "alice"

deny_refresh contains {"code": "moved", "message": "moved"} if input.now.source.ip == input.request.source.ip
`)
	document := `{"client_id":"` + processClient + `","client_name":"Example","redirect_uris":["http://127.0.0.1/callback"],"grant_types":["authorization_code","refresh_token"]}`
	s.body.Store(&document)
	s.serve()
	resp, body := s.alice().play(s.authorizeLink())
	status, answer := s.exchange(code(t, resp, body))
	var tokens struct {
		Refresh string `json:"refresh_token"`
	}
	if err := json.Unmarshal([]byte(answer), &tokens); err != nil || tokens.Refresh == "" {
		t.Fatalf("exchange: %d %s", status, answer)
	}
	refreshed, err := http.PostForm(s.issuer+"/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {processClient}, "refresh_token": {tokens.Refresh}})
	if err != nil {
		t.Fatal(err)
	}
	defer refreshed.Body.Close()
	if b, _ := io.ReadAll(refreshed.Body); refreshed.StatusCode != http.StatusBadRequest {
		t.Fatalf("refresh: %d %s", refreshed.StatusCode, b)
	}
	stdout, stderr, exit := s.ask("--fetch", "--redirect-uri", "http://127.0.0.1:1/callback", "--source", "127.0.0.1", "--user", "alice", "--refresh-after", "1h", "-o", "json")
	if exit != exitFindings {
		t.Fatalf("policy eval: exit %d, %s%s", exit, stdout, stderr)
	}
	var eval struct {
		Records []map[string]any `json:"records"`
	}
	if err := json.Unmarshal([]byte(stdout), &eval); err != nil || len(eval.Records) != 3 {
		t.Fatalf("%v, records of policy eval: %s", err, stdout)
	}
	live := map[any]map[string]any{}
	for _, r := range s.audit() {
		if r["event"] == "admission.decided" {
			live[r["phase"]] = r
		}
	}
	for _, b := range eval.Records {
		a := live[b["phase"]]
		strip(a)
		strip(b)
		for _, member := range []string{"outcome", "reason", "public_reason", "phase", "policy", "phases", "settings", "effective", "cut", "revision", "detail", "document_sha256", "result"} {
			if !reflect.DeepEqual(a[member], b[member]) {
				t.Errorf("phase %v, %s: the server recorded %v, policy eval says %v", b["phase"], member, a[member], b[member])
			}
		}
	}
}

// TestEvalAsksTheRunningServer: its blocks and pins count while it answers, and
// the page says what counts.
func TestEvalAsksTheRunningServer(t *testing.T) {
	s := newSite(t)
	p := s.serve()
	hits := s.hits.Load()
	page, stderr, exit := s.ask("--fetch")
	if exit != 0 || s.hits.Load() != hits+1 || !strings.Contains(page, "\nnote             blocks and pins are those of the running server; its caps") {
		t.Errorf("policy eval --fetch: exit %d, %s, %d fetches\n%s", exit, stderr, s.hits.Load()-hits, page)
	}
	s.mustClient("", "block", "--url", processClient, "--reason", "incident", "--yes")
	if page, _, exit := s.ask("--fetch"); exit != exitFindings || !strings.Contains(page, "client_blocked") || s.hits.Load() != hits+1 {
		t.Errorf("a blocked client: exit %d, %d fetches\n%s", exit, s.hits.Load()-hits, page)
	}
	s.mustClient("", "unblock", "--url", processClient)
	s.write("pin.json", `{"client_id":"`+processClient+`","client_name":"Pinned","client_uri":"https://client.example.com","response_types":["code"],"redirect_uris":["http://127.0.0.1/callback"]}`)
	s.mustClient("", "pin", processClient, "--document", s.dir+"/pin.json")
	if page, stderr, exit := s.ask(); exit != 0 || !strings.Contains(page, "registration   pinned") || !strings.Contains(page, "pinned the client on the running server") {
		t.Errorf("a pinned client: exit %d, %s\n%s", exit, stderr, page)
	}
	p.stop(syscall.SIGTERM)
	if page, _, exit := s.ask("--phase", "url"); exit != 0 || !strings.Contains(page, "blocks and pins are not known: no server answers on") {
		t.Errorf("without a server: exit %d\n%s", exit, page)
	}
}

// TestEvalFetches: by the configuration's door, and what fails is told with its
// reason; a host out of reach leaves the question unanswered.
func TestEvalFetches(t *testing.T) {
	s := newSite(t)
	body := `{"client_id":"https://somebody.example/else","client_name":"x","redirect_uris":["http://127.0.0.1/callback"]}`
	s.body.Store(&body)
	if page, stderr, exit := s.ask("--fetch"); exit != exitFindings || !strings.Contains(page, "document_client_id_mismatch") {
		t.Errorf("another document: exit %d, %s\n%s", exit, stderr, page)
	}
	hits := s.hits.Load()
	page, _, exit := output(t, "policy", "eval", strings.Replace(processClient, "client.json", "other.json", 1), "--config", s.config, "--fetch")
	if exit != exitFindings || s.hits.Load() != hits {
		t.Errorf("a client that no policy names: exit %d, %d fetches\n%s", exit, s.hits.Load()-hits, page)
	}
	s.docs.Close()
	page, stderr, exit := s.ask("--fetch", "-o", "ndjson")
	var a struct{ Outcome, Reason string }
	if err := json.Unmarshal([]byte(page), &a); err != nil || exit != exitError || a.Outcome != decisionlog.OutcomeRefused || a.Reason != "fetch_connect" || !strings.Contains(stderr, "Remedy: give it with --document FILE") {
		t.Errorf("a host that is down: exit %d, %v, %+v, %s", exit, err, a, stderr)
	}
	config, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	s.write("guestlist.yaml", string(config)+"cimd: {admit: false}\n")
	if page, _, exit := s.ask("--fetch"); exit != exitFindings || !strings.Contains(page, "cimd_off") {
		t.Errorf("with cimd.admit false: exit %d\n%s", exit, page)
	}
}
