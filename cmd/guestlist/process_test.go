package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// The client and person of these tests.
const (
	processHost     = "client.example.com"
	processClient   = "https://" + processHost + "/oauth/client.json"
	processPassword = "correct horse battery"
	processVerifier = "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv"
	admitPolicy     = `# METADATA
# title: Example client
# authors: [Platform team <platform@corp.example>]
package admission.policies.example

client_ids := {"https://client.example.com/oauth/client.json"}

settings := {
	"scopes": {"ceiling": ["mcp:read"], "default": ["mcp:read"]},
	"redirect": {"loopback": true},
}
`
)

// site is a configured Guestlist on disk with a document host beside it.
type site struct {
	t      *testing.T
	dir    string
	config string
	issuer string
	hits   *atomic.Int64 // of the document host
	docs   *httptest.Server
	body   atomic.Pointer[string] // of the document; nil: the plain one
	each   bool                   // every path of the document host is a client that may refresh; set before serve
}

// newSite writes configuration, policies and people.
func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), hits: &atomic.Int64{}}
	tlsConfig, certificate, err := demoCertificate(processHost)
	if err != nil {
		t.Fatal(err)
	}
	docs := httptest.NewUnstartedServer(http.HandlerFunc(s.document))
	docs.TLS, docs.Config.ErrorLog = tlsConfig, log.New(io.Discard, "", 0) // of servers that end amid a fetch
	docs.StartTLS()
	t.Cleanup(docs.Close)
	s.docs = docs
	listen := "127.0.0.1:" + freePort(t)
	s.issuer = "http://" + listen
	s.config = filepath.Join(s.dir, "guestlist.yaml")
	s.write("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw})))
	s.write("policies/example.rego", admitPolicy)
	s.write("guestlist.yaml", fmt.Sprintf(`issuer: %s
listen: %s
store: bolt://%s/guestlist.db
policies: {path: policies, unsigned: true}
people: {file: people.yaml}
keys: {dir: keys}
admin: {socket: admin.sock}
resources:
  - id: https://mcp.example.com
    name: Example MCP server
    scopes: [mcp:read]
outbound:
  ca_file: ca.pem
  insecure_host_map: {"%s:443": "%s"}
`, s.issuer, listen, s.dir, processHost, docs.Listener.Addr()))
	cmd := guestlist("person", "add", "alice", "--config", s.config, "--password-stdin")
	cmd.Stdin = strings.NewReader(processPassword + "\n")
	if _, stderr, code := runCommand(t, cmd); code != 0 {
		t.Fatalf("person add: exit %d: %s", code, stderr)
	}
	return s
}

// document is the client's document.
func (s *site) document(w http.ResponseWriter, r *http.Request) {
	s.hits.Add(1)
	w.Header().Set("Content-Type", "application/json")
	if body := s.body.Load(); body != nil {
		io.WriteString(w, *body)
		return
	}
	if s.each {
		fmt.Fprintf(w, `{"client_id": "https://%s%s", "client_name": "Example", "redirect_uris": ["http://127.0.0.1/callback"], "grant_types": ["authorization_code", "refresh_token"]}`, processHost, r.URL.Path)
		return
	}
	json.NewEncoder(w).Encode(map[string]any{
		"client_id": processClient, "client_name": "Example", "redirect_uris": []string{"http://127.0.0.1/callback"},
	})
}

// write writes a file of the site.
func (s *site) write(name, text string) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// serve starts the server and waits until it answers.
func (s *site) serve() *process {
	s.t.Helper()
	p := start(s.t, guestlist("serve", "--config", s.config))
	p.find(p.errs, `"server.started"`, "\n")
	return p
}

// audit runs audit ls and decodes the records.
func (s *site) audit(args ...string) []map[string]any {
	s.t.Helper()
	stdout, stderr, code := output(s.t, append([]string{"audit", "ls", "--config", s.config, "-o", "json"}, args...)...)
	if code != 0 {
		s.t.Fatalf("audit ls: exit %d: %s", code, stderr)
	}
	var out []map[string]any
	if err := json.Unmarshal([]byte(stdout), &out); err != nil {
		s.t.Fatalf("audit ls: %v\n%s", err, stdout)
	}
	return out
}

// authorizeLink is an authorization request of the client.
func (s *site) authorizeLink() string {
	sum := sha256.Sum256([]byte(processVerifier))
	return s.issuer + "/authorize?" + url.Values{
		"response_type": {"code"}, "client_id": {processClient}, "redirect_uri": {"http://127.0.0.1:1/callback"}, "state": {"s"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}.Encode()
}

// alice is a browser that stops at the client's callback.
func (s *site) alice() *person {
	p := newPerson(s.t, "alice", processPassword)
	p.stopAt = func(u *url.URL) bool { return u.Path == "/callback" }
	return p
}

// code returns the code of an answer to the client.
func code(t *testing.T, resp *http.Response, body string) string {
	t.Helper()
	u, err := resp.Location()
	if err != nil || u.Query().Get("code") == "" {
		t.Fatalf("no code: status %d, location %q\n%s", resp.StatusCode, resp.Header.Get("Location"), body)
	}
	return u.Query().Get("code")
}

// exchange redeems a code.
func (s *site) exchange(code string) (int, string) {
	s.t.Helper()
	resp, err := http.PostForm(s.issuer+"/token", url.Values{
		"grant_type": {"authorization_code"}, "client_id": {processClient}, "code": {code},
		"code_verifier": {processVerifier}, "redirect_uri": {"http://127.0.0.1:1/callback"},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// TestKillBetweenClientAndCode is PF-38, B17: the client was created, the server
// is killed, and after a restart the flow goes on: the ticket, the session
// and the code of before are still good, and nothing is fetched again.
func TestKillBetweenClientAndCode(t *testing.T) {
	s := newSite(t)
	p := s.serve()
	alice := s.alice()
	resp, body := alice.get(s.authorizeLink())
	p.stop(syscall.SIGKILL)
	p = s.serve()
	resp, body = alice.submit(resp, body, "password", url.Values{"username": {"alice"}, "password": {processPassword}})
	resp, body = alice.submit(resp, body, "decision", url.Values{"decision": {"allow"}})
	c := code(t, resp, body)
	p.stop(syscall.SIGKILL)
	p = s.serve()
	status, answer := s.exchange(c)
	if status != http.StatusOK || !strings.Contains(answer, "access_token") {
		t.Fatalf("exchange after kill -9: %d %s", status, answer)
	}
	if n := s.hits.Load(); n != 1 {
		t.Errorf("%d fetches of the document, want 1", n)
	}
	if status, answer = s.exchange(c); status != http.StatusBadRequest || !strings.Contains(answer, "invalid_grant") {
		t.Errorf("second exchange: %d %s, want invalid_grant", status, answer)
	}
	issued := 0
	for _, r := range s.audit() {
		if r["event"] == "token.issued" {
			issued++
		}
	}
	if issued != 1 {
		t.Errorf("%d token.issued records, want 1", issued)
	}
	p.stop(syscall.SIGTERM)
}

// TestStoreThatCannotBeWritten fills the store's file up to a size limit: no
// code and no token comes out, the server is not ready and says so, and all
// recovers without a restart. Nothing is reserved, so that nothing waits before.
func TestStoreThatCannotBeWritten(t *testing.T) {
	s := newSite(t)
	s.add("store_reserve: 0\n")
	p := s.serve()
	alice := s.alice()
	resp, body := alice.get(s.authorizeLink())
	resp, body = alice.submit(resp, body, "password", url.Values{"username": {"alice"}, "password": {processPassword}})
	limit(t, p, tooSmall)
	refused, text := alice.submit(resp, body, "decision", url.Values{"decision": {"allow"}})
	if refused.StatusCode != http.StatusServiceUnavailable || !strings.Contains(text, "server_trouble") || refused.Header.Get("Location") != "" {
		t.Errorf("consent while the store cannot be written: %d, location %q\n%s", refused.StatusCode, refused.Header.Get("Location"), text)
	}
	p.find(p.errs, `"reason":"store_unavailable"`, "\n")
	if status := ready(t, s); status != http.StatusServiceUnavailable {
		t.Errorf("/readyz while the store cannot be written: %d, want 503", status)
	}
	limit(t, p, ^uint64(0))
	eventually(t, "ready once the limit is lifted", func() bool { return ready(t, s) == http.StatusOK })
	// Nothing was lost: the person presses the button once more.
	resp, body = alice.submit(resp, body, "decision", url.Values{"decision": {"allow"}})
	if status, answer := s.exchange(code(t, resp, body)); status != http.StatusOK {
		t.Errorf("after recovery: %d %s", status, answer)
	}
}

// ready asks /readyz.
func ready(t *testing.T, s *site) int {
	t.Helper()
	resp, err := http.Get(s.issuer + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// TestBrokenPolicies: at start a clear exit, at reload the last good revision
// goes on and says so, and a mended directory is in force within a second.
func TestBrokenPolicies(t *testing.T) {
	s := newSite(t)
	p := s.serve()
	link := s.authorizeLink()
	s.write("policies/example.rego", strings.Replace(admitPolicy, "settings :=", "denny :=", 1))
	line := p.find(p.errs, `"policy.rejected"`, "\n")
	for _, want := range []string{"example.rego", "denny", "the last good revision stays in force"} {
		if !strings.Contains(line, want) {
			t.Errorf("line %q does not say %q", line, want)
		}
	}
	stdout, _, exit := output(t, "status", "--config", s.config)
	if exit != exitFindings || !strings.Contains(stdout, "policy_problem") || !strings.Contains(stdout, "denny") {
		t.Errorf("status while the directory is broken: exit %d\n%s", exit, stdout)
	}
	if resp, body := s.alice().play(link); resp.Header.Get("Location") == "" {
		t.Errorf("while the directory is broken: %d\n%s", resp.StatusCode, body)
	}
	s.write("policies/example.rego", strings.Replace(admitPolicy, "client.example.com", "other.example.com", 1))
	s.turns("the policy named another client", http.StatusForbidden)
	// PF-12: the client that no policy names any more is gone, with a record.
	if got := s.audit("--event", "client.pruned"); len(got) != 1 {
		t.Errorf("client.pruned records = %v, want one", got)
	}
	if _, _, exit := output(t, "status", "--config", s.config, "-o", "json"); exit != 0 {
		t.Errorf("status of a mended server: exit %d", exit)
	}
	if stdout, _, _ := output(t, "client", "list", "--config", s.config, "-o", "ndjson"); strings.TrimSpace(stdout) != "" {
		t.Errorf("client list = %s, want none", stdout)
	}
	p.stop(syscall.SIGTERM)
	s.write("policies/example.rego", "package admission.policies.example\n\nnonsense if {\n")
	_, stderr, exit := output(t, "serve", "--config", s.config)
	if exit != exitError || !strings.Contains(stderr, "example.rego:") {
		t.Errorf("start with a broken policy: exit %d, %q", exit, stderr)
	}
}

// TestEmptiedDirectory: a directory in which no policy is left admits nobody,
// at once, and the log says so.
func TestEmptiedDirectory(t *testing.T) {
	s := newSite(t)
	p := s.serve()
	if resp, body := s.alice().get(s.authorizeLink()); resp.StatusCode != http.StatusOK {
		t.Fatalf("before: %d\n%s", resp.StatusCode, body)
	}
	if err := os.Remove(filepath.Join(s.dir, "policies", "example.rego")); err != nil {
		t.Fatal(err)
	}
	p.find(p.errs, `"policy.none"`, "\n")
	p.find(p.errs, `"policies":0`, "\n")
	if resp, body := s.alice().get(s.authorizeLink()); resp.StatusCode != http.StatusForbidden {
		t.Errorf("after the file was removed: %d\n%s", resp.StatusCode, body)
	}
}

// TestSIGHUPReloads applies a change when nothing is watched.
func TestSIGHUPReloads(t *testing.T) {
	s := newSite(t)
	config, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	s.write("guestlist.yaml", strings.Replace(string(config), "unsigned: true", "unsigned: true, watch: false", 1))
	p := s.serve()
	s.write("policies/example.rego", strings.Replace(admitPolicy, "client.example.com", "other.example.com", 1))
	time.Sleep(2 * settleFor)
	if resp, body := s.alice().get(s.authorizeLink()); resp.StatusCode != http.StatusOK {
		t.Fatalf("before SIGHUP: %d\n%s", resp.StatusCode, body)
	}
	text, _ := p.errs.text()
	before := strings.Count(text, `"policy.activated"`)
	p.cmd.Process.Signal(syscall.SIGHUP)
	eventually(t, "an activation after SIGHUP", func() bool {
		text, _ := p.errs.text()
		return strings.Count(text, `"policy.activated"`) > before
	})
	if resp, _ := s.alice().get(s.authorizeLink()); resp.StatusCode != http.StatusForbidden {
		t.Errorf("after SIGHUP: %d, want 403", resp.StatusCode)
	}
}

// TestEvalIsTheLiveDecision is G-02: policy eval, without a server, says what
// the server recorded, for an admitted and for a refused request.
func TestEvalIsTheLiveDecision(t *testing.T) {
	s := newSite(t)
	s.serve()
	s.write("document.json", `{"client_id":"`+processClient+`","client_name":"Example","redirect_uris":["http://127.0.0.1/callback"]}`+"\n")
	refused := strings.Replace(processClient, "client.json", "other.json", 1)
	for _, client := range []string{processClient, refused} {
		resp, _ := s.alice().get(strings.Replace(s.authorizeLink(), url.QueryEscape(processClient), url.QueryEscape(client), 1))
		live, stderr, _ := output(t, "audit", "why", resp.Header.Get("X-Request-Id"), "--config", s.config, "-o", "json")
		cmd := guestlist("policy", "eval", client, "--document", filepath.Join(s.dir, "document.json"), "--redirect-uri", "http://127.0.0.1:1/callback", "-o", "json")
		cmd.Env = append(cmd.Env, configEnv+"="+s.config)
		eval, evalErr, exit := runCommand(t, cmd)
		if want := map[bool]int{true: 0, false: exitFindings}[client == processClient]; exit != want {
			t.Errorf("policy eval %s: exit %d, want %d: %s", client, exit, want, evalErr)
		}
		a, b := decision(t, live+stderr), decision(t, eval)
		strip(a)
		strip(b)
		for _, member := range []string{"outcome", "reason", "public_reason", "phase", "policy", "phases", "settings", "effective", "cut", "revision"} {
			if !reflect.DeepEqual(a[member], b[member]) {
				t.Errorf("%s of %s: the server recorded %v, policy eval says %v", member, client, a[member], b[member])
			}
		}
	}
}

// decision is the one record of an answer about a request.
func decision(t *testing.T, why string) map[string]any {
	t.Helper()
	var answer struct {
		Records []map[string]any `json:"records"`
	}
	if err := json.Unmarshal([]byte(why), &answer); err != nil || len(answer.Records) != 1 {
		t.Fatalf("%v, %d records in %s", err, len(answer.Records), why)
	}
	return answer.Records[0]
}

// TestSecondServerIsRefused: the file belongs to one process, and stays whole.
func TestSecondServerIsRefused(t *testing.T) {
	s := newSite(t)
	s.serve()
	_, stderr, exit := output(t, "serve", "--config", s.config)
	if exit != exitError || !strings.Contains(stderr, "guestlist.db") {
		t.Errorf("second server: exit %d, %q", exit, stderr)
	}
	if ready(t, s) != http.StatusOK {
		t.Error("the first server suffered")
	}
}
