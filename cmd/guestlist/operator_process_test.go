package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The resource of these tests.
const (
	operatorSecret   = "a secret of the resource, long enough"
	operatorDocument = `{"client_id":"` + processClient + `","client_name":"Example","client_uri":"https://client.example.com/","redirect_uris":["http://127.0.0.1/callback"],"response_types":["code"]}`
)

// operatorSite is a running site whose resource can introspect, and whose
// policy names all clients of the host, gives a label, and has more settings and
// rules.
func operatorSite(t *testing.T, settings, rules string) *site {
	t.Helper()
	s := newSite(t)
	s.write("secret", operatorSecret)
	config, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	s.write("guestlist.yaml", strings.Replace(string(config), "    scopes: [mcp:read]\n", "    scopes: [mcp:read]\n    token_format: opaque\n    secret_file: secret\n", 1))
	s.write("policies/example.rego", strings.NewReplacer(
		"oauth/client.json", "oauth/*", `"redirect": {"loopback": true},`, `"redirect": {"loopback": true}, "tags": ["mcp"], `+settings,
	).Replace(admitPolicy)+rules)
	s.serve()
	return s
}

// client runs guestlist client about this site.
func (s *site) client(args ...string) (stdout, stderr string, code int) {
	s.t.Helper()
	return output(s.t, append(append([]string{"client"}, args...), "--config", s.config)...)
}

// mustClient is client for a command that has to work.
func (s *site) mustClient(want string, args ...string) string {
	s.t.Helper()
	stdout, stderr, code := s.client(args...)
	if code != 0 || !strings.Contains(stdout, want) {
		s.t.Fatalf("client %q = exit %d, %q, %q, want exit 0 and %q", args, code, stdout, stderr, want)
	}
	return stdout
}

// token plays a whole flow.
func (s *site) token(alice *person) string {
	s.t.Helper()
	resp, body := alice.play(s.authorizeLink())
	status, answer := s.exchange(code(s.t, resp, body))
	var got struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(answer), &got); err != nil || status != http.StatusOK {
		s.t.Fatalf("exchange: %d %s", status, answer)
	}
	return got.AccessToken
}

// active asks introspection about a token.
func (s *site) active(token string) bool {
	s.t.Helper()
	req, err := http.NewRequest("POST", s.issuer+"/introspect", strings.NewReader(url.Values{"token": {token}}.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape("Example MCP server"), url.QueryEscape(operatorSecret))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	var got struct{ Active bool }
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("introspect: %d, %v", resp.StatusCode, err)
	}
	return got.Active
}

// refused starts a flow that has to end on a page, without a fetch.
func (s *site) refused(link string) string {
	s.t.Helper()
	before := s.hits.Load()
	resp, body := s.alice().get(link)
	if resp.StatusCode != http.StatusForbidden || !strings.Contains(body, "client_not_admitted") {
		s.t.Errorf("GET %s = %d, want a page that refuses\n%s", link, resp.StatusCode, body)
	}
	if n := s.hits.Load() - before; n != 0 {
		s.t.Errorf("a refused flow fetched %d times, want 0", n)
	}
	return body
}

// H-02, H-03, H-10: block a host: nothing without a yes, then introspection is
// inactive at once and a new flow is refused without a fetch; taken back, the
// client comes in again and what ended stays ended.
func TestBlockInARunningServer(t *testing.T) {
	s := operatorSite(t, "", "")
	alice := s.alice()
	token := s.token(alice)
	stdout, stderr, code := s.client("block", "--host", processHost, "--reason", "incident 7")
	if code != exitFindings || stdout != "the block ends 1 client and 1 grant\n" || !strings.Contains(stderr, "add --yes") {
		t.Errorf("block without a yes = exit %d, %q, %q", code, stdout, stderr)
	}
	if !s.active(token) || s.mustClient("", "blocks", "-o", "json") != "[]\n" {
		t.Errorf("block without a yes changed something")
	}
	s.mustClient("blocked the host "+processHost+": 1 client and 1 grant ended", "block", "--host", processHost, "--reason", "incident 7", "--yes")
	if s.active(token) {
		t.Errorf("the token of a blocked client is active")
	}
	s.refused(s.authorizeLink())
	s.mustClient("incident 7", "blocks")
	s.mustClient("unblocked the host "+processHost, "unblock", "--host", processHost)
	again := s.token(alice)
	if s.active(token) || !s.active(again) {
		t.Errorf("after the block: old token active %v, new %v, want false, true", s.active(token), s.active(again))
	}
	var events []string
	for _, r := range s.audit() {
		if actor, _ := r["actor"].(string); actor != "" && r["event"] != "admin.request" && r["event"] != "log.exported" { // reads are sampled
			events = append(events, r["event"].(string))
		}
	}
	if got := strings.Join(events, " "); got != "client.blocked client.pruned client.unblocked" {
		t.Errorf("acts in the log = %s", got)
	}
}

// G-07, SN-20: revoke by label; the client may come again, its old token stays
// dead.
func TestRevokeInARunningServer(t *testing.T) {
	s := operatorSite(t, "", "")
	alice := s.alice()
	token := s.token(alice)
	sheet := s.mustClient(processClient+",Example,", "list", "--label", "mcp", "-o", "csv")
	if lines := strings.Count(sheet, "\n"); lines != 2 {
		t.Errorf("client list -o csv has %d lines, want a head and one client:\n%s", lines, sheet)
	}
	if _, _, code := s.client("revoke", "--label", "mcp"); code != exitFindings || !s.active(token) {
		t.Errorf("revoke without a yes = exit %d, token active %v", code, s.active(token))
	}
	s.mustClient("revoked: 1 client and 1 grant ended", "revoke", "--label", "mcp", "--reason", "keys leaked", "--yes")
	if s.active(token) || s.mustClient("", "list", "-o", "json") != "[]\n" {
		t.Errorf("the token or the client is still there after revoke")
	}
	if next := s.token(alice); !s.active(next) || s.active(token) {
		t.Errorf("after revoke: old token active %v, new %v, want false, true", s.active(token), s.active(next))
	}
	if list, stderr, code := output(t, "audit", "ls", "--config", s.config, "--event", "clients.revoked"); code != 0 || !strings.Contains(list, "done (1 client)") {
		t.Errorf("audit ls = exit %d, %q, %q, want how many clients ended", code, list, stderr)
	}
	if bulk := s.audit("--event", "clients.revoked"); len(bulk) != 1 || bulk[0]["count"] != 1.0 || !strings.Contains(bulk[0]["detail"].(string), "keys leaked") {
		t.Errorf("clients.revoked = %v, want one with a count and why", bulk)
	}
}

// SN-01, SN-03, SN-04: only pinned clients come in; their snapshot is used
// while the host is down, and what the host changes has no effect. Unpinned,
// the host counts again.
func TestPinInARunningServer(t *testing.T) {
	s := operatorSite(t, "", "\nregistrations := {\"pinned\"}\n")
	s.refused(s.authorizeLink())
	s.write("client.json", operatorDocument)
	file := filepath.Join(s.dir, "client.json")
	s.mustClient("pinned "+processClient, "pin", processClient, "--document", file)
	s.mustClient("pinned", "list", "--registration", "pinned")
	s.docs.Close()
	if token := s.token(s.alice()); !s.active(token) {
		t.Errorf("the token of a pinned client is not active")
	}
	if n := s.hits.Load(); n != 0 {
		t.Errorf("%d fetches of a pinned document, want 0", n)
	}
	s.refused(strings.Replace(s.authorizeLink(), "client.json", "sibling.json", 1))
	shown := s.mustClient("pinned", "show", processClient)
	if !strings.Contains(shown, "registration     pinned") || !strings.Contains(shown, "live grants      1") {
		t.Errorf("client show = %s, want a pinned client with a grant", shown)
	}
	s.mustClient("unpinned", "unpin", processClient)
	s.refused(s.authorizeLink())
}

// A pin is refused with what is missing.
func TestPinThatIsRefused(t *testing.T) {
	s := operatorSite(t, "", "")
	s.write("short.json", strings.Replace(operatorDocument, `,"response_types":["code"]`, "", 1))
	s.write("empty.json", "")
	s.write("large.json", strings.Repeat(" ", maxDocument+1))
	for file, want := range map[string]string{
		"short.json": "missing: response_types", "empty.json": "is empty", "large.json": "more than 65536 bytes", "none.json": "no such file",
	} {
		_, stderr, code := s.client("pin", processClient, "--document", filepath.Join(s.dir, file))
		if code != exitError || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("client pin --document %s = exit %d, %q, want exit 1 and %q", file, code, stderr, want)
		}
	}
	s.token(s.alice())
	if _, stderr, code := s.client("pin", processClient); code != exitError || !strings.Contains(stderr, "missing: client_uri") {
		t.Errorf("client pin of a document that lacks members = exit %d, %q", code, stderr)
	}
}

// SN-19: a preview explains as audit why does, and leaves store and log as
// they were.
func TestPreviewInARunningServer(t *testing.T) {
	s := operatorSite(t, "", "")
	stdout := s.mustClient("would be         admitted", "preview", processClient)
	for _, want := range []string{
		"checks           form passed, known passed, url passed, fetch passed, document passed",
		"    winner       example", "  settings\n", "    access_token.ttl", "  effective\n", "  members that are kept\n", "    client_name",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("client preview prints no %q:\n%s", want, stdout)
		}
	}
	stdout, _, code := s.client("preview", "https://"+processHost+"/elsewhere")
	if code != exitFindings || !strings.Contains(stdout, "no_policy_matched") || !strings.Contains(stdout, "url refused") || !strings.Contains(stdout, "nearest miss") {
		t.Errorf("client preview of a client that no policy names = exit %d\n%s", code, stdout)
	}
	if n := s.hits.Load(); n != 1 {
		t.Errorf("%d fetches for a preview that fetches and one that is refused before, want 1", n)
	}
	broken := `{"client_id":"https://other.example/c"}`
	s.body.Store(&broken)
	stdout, _, code = s.client("preview", processClient, "-o", "json")
	if code != exitFindings || !strings.Contains(stdout, `"reason": "document_client_id_mismatch"`) {
		t.Errorf("client preview of a broken document = exit %d\n%s", code, stdout)
	}
	if list := s.mustClient("", "list", "-o", "json"); list != "[]\n" {
		t.Errorf("previews left clients: %s", list)
	}
	for _, r := range s.audit() {
		if r["client_id"] != nil {
			t.Errorf("previews left the record %v", r)
		}
	}
}

// G-27, G-08: refresh shows what changed and follows it; too soon it is an
// error that says when; history has both documents.
func TestRefreshInARunningServer(t *testing.T) {
	s := operatorSite(t, "", "")
	s.token(s.alice())
	next := strings.Replace(operatorDocument, `"Example"`, `"Example 2"`, 1)
	s.body.Store(&next)
	stdout, stderr, code := s.client("refresh", processClient)
	if code != 0 || !strings.Contains(stdout, "result           changed") || !strings.Contains(stdout, "    + Example 2\n") || !strings.Contains(stdout, "    - Example\n") {
		t.Errorf("client refresh = exit %d, %s\n%s", code, stderr, stdout)
	}
	_, stderr, code = s.client("refresh", processClient)
	if code != exitError || !strings.Contains(stderr, "try again in ") {
		t.Errorf("client refresh at once = exit %d, %q, want exit 1 and when", code, stderr)
	}
	if n := s.hits.Load(); n != 2 {
		t.Errorf("%d fetches, want 2", n)
	}
	history := s.mustClient("    + Example 2\n", "history", processClient, "--diff")
	if !strings.Contains(history, "cosmetic") || !strings.Contains(history, "the oldest that is kept") {
		t.Errorf("client history --diff = %s", history)
	}
}

// SN-22, G-12: with review the last approved document stays in force until an
// operator approves the one that waits.
func TestApproveInARunningServer(t *testing.T) {
	s := operatorSite(t, `"document": {"on_change": "reapprove"},`, "")
	old := operatorDocument
	s.body.Store(&old)
	alice := s.alice()
	s.token(alice)
	next := strings.Replace(operatorDocument, `"http://127.0.0.1/callback"`, `"http://127.0.0.1/callback","http://127.0.0.1/new"`, 1)
	s.body.Store(&next)
	stdout, stderr, code := s.client("refresh", processClient)
	if code != exitFindings || !strings.Contains(stdout, "result           waiting") || !strings.Contains(stdout, "    + http://127.0.0.1/new\n") {
		t.Fatalf("client refresh = exit %d, %s\n%s", code, stderr, stdout)
	}
	s.mustClient(processClient, "list", "--state", "pending")
	s.token(alice) // by the old document
	link := strings.Replace(s.authorizeLink(), "callback", "new", 1)
	if resp, body := s.alice().get(link); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("a redirect URI that waits = %d\n%s", resp.StatusCode, body)
	}
	if _, stderr, code := s.client("approve", processClient, "--digest", digestLike("a")); code != exitError || !strings.Contains(stderr, "does not wait") {
		t.Errorf("approve of another digest = exit %d, %q", code, stderr)
	}
	stdout = s.mustClient("approved ", "approve", processClient)
	if !strings.Contains(stdout, "    + http://127.0.0.1/new\n") || !strings.Contains(stdout, "redirect_added") {
		t.Errorf("client approve = %s, want what differs", stdout)
	}
	if resp, body := s.alice().get(link); resp.StatusCode != http.StatusOK {
		t.Errorf("the approved redirect URI = %d\n%s", resp.StatusCode, body)
	}
	if _, stderr, code := s.client("approve", processClient); code != exitError || !strings.Contains(stderr, "nothing") {
		t.Errorf("approve when nothing waits = exit %d, %q", code, stderr)
	}
}
