package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// repository returns the root of the source tree.
func repository(t testing.TB) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// section returns one "## " section of the README.
func section(t testing.TB, title string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(repository(t), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(b), "\n## "+title+"\n")
	if !ok {
		t.Fatalf("README has no section %q", title)
	}
	text, _, _ := strings.Cut(rest, "\n## ")
	return text
}

// example is one command of the README with the output shown under it.
type example struct {
	command string
	output  string
}

// examples returns the commands of a section's console blocks.
func examples(text string) []example {
	var out []example
	for _, block := range regexp.MustCompile("(?s)```console\n(.*?)```").FindAllStringSubmatch(text, -1) {
		for _, part := range strings.Split("\n"+block[1], "\n$ ")[1:] {
			command, output, _ := strings.Cut(part, "\n")
			out = append(out, example{command, strings.TrimRight(output, "\n")})
		}
	}
	return out
}

// files writes the files that a section shows under "Save this as `NAME`".
func files(t testing.TB, dir, text string) {
	t.Helper()
	for _, m := range regexp.MustCompile("(?s)Save this as `([^`]+)`[^\n]*\n\n```[a-z]+\n(.*?)```").FindAllStringSubmatch(text, -1) {
		path := filepath.Join(dir, m[1])
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(m[2]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// like reports whether got fits a shown output, in which … stands for any
// text within a line, and on a line of its own for any lines.
func like(got, shown string) bool {
	expr := regexp.QuoteMeta(strings.TrimRight(shown, "\n") + "\n")
	expr = strings.ReplaceAll(expr, "\n…\n", "\n(?s:.*\n)??")
	expr = strings.ReplaceAll(expr, "…", "[^\n]*")
	return regexp.MustCompile("^" + expr + "$").MatchString(strings.TrimRight(got, "\n") + "\n")
}

// words splits a command line; quotes are not needed in the README.
func words(command string) []string { return strings.Fields(command) }

// readmeDir is a folder in which the README's commands find what they name.
func readmeDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(repository(t), "testdata"), filepath.Join(dir, "testdata")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// check runs an example and compares its output with what is shown.
func (e example) check(t *testing.T, dir string) {
	t.Helper()
	w := words(e.command)
	if w[0] != "guestlist" {
		t.Fatalf("command %q is not guestlist's", e.command)
	}
	cmd := guestlist(w[1:]...)
	cmd.Dir = dir
	stdout, stderr, _ := runCommand(t, cmd)
	if got := stdout + stderr; !like(got, e.output) {
		t.Errorf("$ %s\nprints:\n%s\nthe README shows:\n%s", e.command, got, e.output)
	}
}

func TestReadmeTwoCommands(t *testing.T) {
	got := examples(section(t, "Two commands"))
	if len(got) != 2 || got[0].command != "go run ./cmd/guestlist serve --dev" || got[1].command != "go test ./..." {
		t.Fatalf("the two commands are %+v", got)
	}
	// The first is TestDevLinkPlaysAWholeAdmission; the second is this run,
	// and what .ci/run calls.
	ci, err := os.ReadFile(filepath.Join(repository(t), ".ci", "run"))
	if err != nil || !strings.Contains(string(ci), got[1].command) {
		t.Errorf(".ci/run does not call %q (%v)", got[1].command, err)
	}
}

func TestReadmeFirstGuestList(t *testing.T) {
	text := section(t, "A first guest list")
	dir := readmeDir(t)
	files(t, dir, text)
	list := examples(text)
	if len(list) < 3 {
		t.Fatalf("%d commands, want at least 3", len(list))
	}
	for _, e := range list {
		e.check(t, dir)
	}
	if !strings.Contains(text, "`guestlist serve --dev --policies guests`") {
		t.Fatal("the section does not say how to see it in a browser")
	}
	cmd := guestlist("serve", "--dev", "--policies", "guests", "--listen", "127.0.0.1:0")
	cmd.Dir = dir
	p := start(t, cmd)
	link := p.find(p.out, "Open:\n\n  ", "\n")
	// The list does not name the demo client.
	if resp, body := newPerson(t, devPerson, "").get(link); resp.StatusCode != http.StatusForbidden || !strings.Contains(body, "client_not_admitted") {
		t.Errorf("demo client under the first guest list: %d\n%s", resp.StatusCode, body)
	}
}

// TestReadmeHowDocumentsAreFetched loads the section's configuration and checks
// its policy; with a wildcard it would be refused (G-18).
func TestReadmeHowDocumentsAreFetched(t *testing.T) {
	text := section(t, "How documents are fetched")
	yaml := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindStringSubmatch(text)
	if yaml == nil {
		t.Fatal("no configuration is shown")
	}
	if c, err := parseIn(configDir(t), minimalConfig+yaml[1]); err != nil || c.CIMD.Retries != 2 || c.Outbound.EgressProxy.URL == "" {
		t.Errorf("the configuration is %+v, %v", c.Outbound, err)
	}
	dir := readmeDir(t)
	files(t, dir, text)
	list := examples(text)
	if len(list) != 1 {
		t.Fatalf("%d commands, want 1", len(list))
	}
	list[0].check(t, dir)
	files(t, dir, strings.Replace(text, "https://agent.corp.example/", "https://*.corp.example/", 1))
	stdout, stderr, code := output(t, "policy", "check", filepath.Join(dir, "guests"))
	if code == 0 || !strings.Contains(stdout+stderr, "exact URLs") {
		t.Errorf("policy check with a wildcard: exit %d\n%s%s", code, stdout, stderr)
	}
}

func TestReadmeReadingADecision(t *testing.T) {
	text := section(t, "Reading a decision")
	_, _, password, socket, link := devServer(t)
	resp, body := newPerson(t, devPerson, password).play(link)
	if resp.StatusCode != http.StatusOK || len(marked(body, "claims")) != 1 {
		t.Fatalf("the demo admission: %d\n%s", resp.StatusCode, body)
	}
	stdout, _, _ := output(t, "audit", "ls", "--socket", socket, "--event", "admission.decided", "-o", "ndjson")
	id := regexp.MustCompile(`"request_id":"([0-9a-f]+)"`).FindStringSubmatch(stdout)
	if id == nil {
		t.Fatalf("no request id in %s", stdout)
	}
	list := examples(text)
	if len(list) < 2 {
		t.Fatalf("%d commands, want at least 2", len(list))
	}
	for _, e := range list {
		e.command = strings.NewReplacer("SOCKET", socket, "REQUEST_ID", id[1]).Replace(e.command)
		e.check(t, t.TempDir())
	}
}

func TestReadmeTheOperatorsHand(t *testing.T) {
	text := section(t, "The operator's hand")
	_, _, password, socket, link := devServer(t)
	if resp, body := newPerson(t, devPerson, password).play(link); resp.StatusCode != http.StatusOK {
		t.Fatalf("the demo admission: %d\n%s", resp.StatusCode, body)
	}
	list := examples(text)
	if len(list) < 9 {
		t.Fatalf("%d commands, want at least 9", len(list))
	}
	for _, e := range list {
		e.command = strings.ReplaceAll(e.command, "SOCKET", socket)
		e.check(t, t.TempDir())
	}
	// Every command that acts or looks is in the section.
	for _, c := range clientCommand().Commands() {
		if !strings.Contains(text, "client "+c.Name()) {
			t.Errorf("the section does not name client %s", c.Name())
		}
	}
}

// TestReadmeProtectAnMCPServer runs the section's four commands as separate
// processes on free ports: the document host, Guestlist, the MCP server and
// the MCP client, whose tool call returns a result.
func TestReadmeProtectAnMCPServer(t *testing.T) {
	text := section(t, "Protect an MCP server")
	list := examples(text)
	if len(list) != 4 {
		t.Fatalf("%d commands, want 4", len(list))
	}
	bin := t.TempDir()
	build := exec.Command("go", "build", "-o", bin+"/", "./examples/...")
	build.Dir = repository(t)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the examples: %v\n%s", err, out)
	}
	dir := t.TempDir()
	document, issuer, mcp := freePort(t), freePort(t), freePort(t)
	ports := strings.NewReplacer("8443", document, "8080", issuer, "9000", mcp)
	command := func(e example) *exec.Cmd {
		w := words(ports.Replace(e.command))
		if w[0] != "go" || w[1] != "run" {
			t.Fatalf("command %q is not go run", e.command)
		}
		var cmd *exec.Cmd
		if w[2] == "./cmd/guestlist" {
			// The README's server listens on 8080 and its resource on 9000 by default.
			cmd = guestlist(append(w[3:], "--listen", "127.0.0.1:"+issuer, "--resource", "http://127.0.0.1:"+mcp+"/mcp")...)
		} else {
			cmd = exec.Command(filepath.Join(bin, filepath.Base(w[2])), w[3:]...)
		}
		if strings.HasSuffix(w[2], "mcp-server") {
			cmd.Args = append(cmd.Args, "--listen", "127.0.0.1:"+mcp)
		}
		cmd.Dir = dir
		return cmd
	}
	doc := start(t, command(list[0]))
	doc.find(doc.out, "ready: ", "\n")
	server := start(t, command(list[1]))
	password := server.find(server.out, "password ", "\n")
	server.find(server.errs, `"server.started"`, "\n")
	protected := start(t, command(list[2]))
	protected.find(protected.out, "ready: ", "\n")
	client := start(t, command(list[3]))
	link := client.find(client.errs, "open: ", "\n")
	if resp, body := newPerson(t, devPerson, password).play(link); resp.StatusCode != http.StatusOK {
		t.Fatalf("the person's way ended with %d\n%s", resp.StatusCode, body)
	}
	select {
	case <-client.done:
	case <-time.After(patience):
		t.Fatalf("the client did not finish within %s", patience)
	}
	got, _ := client.out.text()
	errs, _ := client.errs.text()
	if shown := ports.Replace(list[3].output); !like(got, lastLine(shown)) {
		t.Errorf("the tool call printed %q, the README shows %q\n%s", got, lastLine(shown), errs)
	}
	if !strings.Contains(got, `"demo"`) || !strings.Contains(got, "https://mcp-client.example/oauth/client.json") {
		t.Errorf("the tool call's result %q names neither person nor client\n%s", got, errs)
	}
}

// lastLine returns the last line of a shown output.
func lastLine(s string) string { return s[strings.LastIndex(s, "\n")+1:] }

// freePort returns a loopback port that nobody listens on, below those that
// the system gives to outgoing connections, so that none takes it meanwhile.
func freePort(t testing.TB) string {
	t.Helper()
	for range 100 {
		port := fmt.Sprint(15_000 + rand.IntN(15_000))
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no free port between 15000 and 30000")
	return ""
}
