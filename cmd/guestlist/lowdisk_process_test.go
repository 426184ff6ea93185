package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"guestlist/store"
	"guestlist/store/bolt"
)

// lowSite is a watched site with a reserve of 8 MiB, whose policy gives refresh
// tokens and would let a second client in.
func lowSite(t *testing.T) (s *site, base string) {
	t.Helper()
	s, base = watchedSite(t)
	text, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	s.write("guestlist.yaml", strings.Replace(string(text), "scopes: [mcp:read]", "scopes: [mcp:read]\n    secret_file: resource.secret", 1)+"store_reserve: 8388608\n")
	s.write("resource.secret", strings.Repeat("r", 43))
	rego := strings.Replace(admitPolicy, "client.json\"}", "client.json\", \"https://client.example.com/oauth/other.json\"}", 1)
	s.write("policies/example.rego", strings.Replace(rego, `"redirect"`, "\"grant_types\": [\"authorization_code\", \"refresh_token\"],\n\t\"refresh_token\": {\"issue\": true},\n\t\"redirect\"", 1))
	s.publish(processClient)
	return s, base
}

// publish makes the document that of a client that wants refresh tokens.
func (s *site) publish(client string) {
	body := fmt.Sprintf(`{"client_id": %q, "client_name": "Example", "redirect_uris": ["http://127.0.0.1/callback"], "grant_types": ["authorization_code", "refresh_token"]}`, client)
	s.body.Store(&body)
}

// send posts a form and returns status and the answer, decoded where it is JSON.
func (s *site) send(path string, form url.Values, name string) (int, map[string]any) {
	s.t.Helper()
	r, err := http.NewRequest(http.MethodPost, s.issuer+path, strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if name != "" {
		r.SetBasicAuth(name, strings.Repeat("r", 43))
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	var out map[string]any
	_ = json.Unmarshal(b, &out) // a revocation has no answer
	return resp.StatusCode, out
}

// tokens plays a flow to its tokens.
func (s *site) tokens() map[string]any {
	s.t.Helper()
	resp, body := s.alice().play(s.authorizeLink())
	status, text := s.exchange(code(s.t, resp, body))
	var out map[string]any
	if err := json.Unmarshal([]byte(text), &out); err != nil || status != http.StatusOK || out["refresh_token"] == nil {
		s.t.Fatalf("tokens: %d %s", status, text)
	}
	return out
}

// TestLowDiskOfARunningServer (trap F11): a server whose file may grow less and
// less gives up new clients, then new grants, then tokens, and says so; what
// ends something and what only reads go on. When nothing at all can be written
// it says that, and without a restart all goes on when there is room again. No
// record is missing afterwards.
func TestLowDiskOfARunningServer(t *testing.T) {
	s, base := lowSite(t)
	p := s.serve()
	lost, kept := s.tokens(), s.tokens()
	other := strings.Replace(s.authorizeLink(), "client.json", "other.json", 1)
	refresh := func(tokens map[string]any) (int, map[string]any) {
		return s.send("/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {processClient}, "refresh_token": {tokens["refresh_token"].(string)}}, "")
	}
	revoke := func(tokens map[string]any) int {
		status, _ := s.send("/revoke", url.Values{"client_id": {processClient}, "token": {tokens["refresh_token"].(string)}}, "")
		return status
	}
	active := func(tokens map[string]any) any {
		_, got := s.send("/introspect", url.Values{"token": {tokens["access_token"].(string)}}, "Example MCP server")
		return got["active"]
	}

	limit(t, p, 6<<20)
	p.find(p.errs, `"waits":"new clients"`, "\n")
	if resp, body := s.alice().get(other); resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") != "60" {
		t.Errorf("a new client: %d\n%s", resp.StatusCode, body)
	}
	third := s.tokens()

	limit(t, p, 3<<20)
	p.find(p.errs, `"waits":"new clients and new grants"`, "\n")
	resp, body := s.alice().get(s.authorizeLink())
	if to := resp.Header.Get("Location"); !strings.Contains(to, "error=temporarily_unavailable") || !strings.Contains(to, "state=s") {
		t.Errorf("a known client: %d, location %q\n%s", resp.StatusCode, to, body)
	}
	status, next := refresh(third)
	if status != http.StatusOK {
		t.Errorf("refresh: %d %v", status, next)
	}

	limit(t, p, 1<<20)
	p.find(p.errs, `"waits":"new clients, new grants and tokens"`, "\n")
	if status, answer := refresh(next); status != http.StatusServiceUnavailable || answer["error"] != "temporarily_unavailable" {
		t.Errorf("refresh: %d %v", status, answer)
	}
	if status := revoke(lost); status != http.StatusOK || active(lost) != false || active(kept) != true {
		t.Errorf("revocation: %d, active %v and of another %v", status, active(lost), active(kept))
	}
	s.wantLow(base)

	limit(t, p, tooSmall)
	if status := revoke(kept); status != http.StatusServiceUnavailable || active(kept) != true {
		t.Errorf("a revocation that cannot be written: %d, active %v", status, active(kept))
	}

	limit(t, p, ^uint64(0))
	p.find(p.errs, `"store.room_again"`, "\n")
	if status, answer := refresh(next); status != http.StatusOK {
		t.Errorf("refresh with room again: %d %v", status, answer)
	}
	if status := revoke(kept); status != http.StatusOK || active(kept) != false {
		t.Errorf("revocation with room again: %d, active %v", status, active(kept))
	}
	s.publish(strings.Replace(processClient, "client.json", "other.json", 1))
	if resp, body := s.alice().get(other); resp.StatusCode != http.StatusOK {
		t.Errorf("a new client with room again: %d\n%s", resp.StatusCode, body)
	}
	if stdout, _, exit := output(t, "status", "--config", s.config); exit != 0 {
		t.Errorf("status with room again: exit %d\n%s", exit, stdout)
	}
	p.stop(syscall.SIGTERM)
	s.wantWhole()
}

// wantLow checks what operators are told while there is room for ends alone.
func (s *site) wantLow(base string) {
	s.t.Helper()
	stdout, _, exit := output(s.t, "status", "--config", s.config)
	if exit != exitFindings || !strings.Contains(stdout, "store_problem") || !strings.Contains(stdout, "new clients, new grants and tokens wait") {
		s.t.Errorf("status: exit %d\n%s", exit, stdout)
	}
	if status, text := monitor(s.t, base+"/readyz"); status != http.StatusOK || !strings.Contains(text, `"degraded"`) || !strings.Contains(text, "the reserve is 8388608") {
		s.t.Errorf("/readyz: %d %s", status, text)
	}
	_, text := monitor(s.t, base+"/metrics")
	for _, want := range []string{"guestlist_component_up{component=\"store\"} 0", "guestlist_store_free_bytes ", "guestlist_refusals_total{reason=\"store_low\"} 3"} {
		if !strings.Contains(text, want) {
			s.t.Errorf("metrics lack %q", want)
		}
	}
}

// wantWhole opens the store of a stopped server: no record is missing, each is
// what was sealed, and every refusal that a stranger saw is among them.
func (s *site) wantWhole() {
	s.t.Helper()
	kept, err := bolt.Open(bolt.Config{Path: filepath.Join(s.dir, "guestlist.db"), Timeout: 10 * time.Second})
	if err != nil {
		s.t.Fatal(err)
	}
	defer kept.Close()
	records, err := kept.Records(s.t.Context(), store.RecordQuery{})
	if err != nil {
		s.t.Fatal(err)
	}
	low := 0
	for i, sealed := range records {
		r, err := sealed.Record()
		if err != nil || sealed.Seq != uint64(i+1) {
			s.t.Fatalf("record %d: sequence %d, %v", i+1, sealed.Seq, err)
		}
		if r.Reason == "store_low" {
			low += max(1, r.Count)
		}
	}
	if low != 3 {
		s.t.Errorf("the records tell of %d refusals for want of room, want 3", low)
	}
}
