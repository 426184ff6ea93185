package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/cobra"
)

// TestMisuseNamesARemedy holds what somebody in a hurry gets wrong to an
// error of one line that says what to write instead.
func TestMisuseNamesARemedy(t *testing.T) {
	t.Setenv(configEnv, "")
	guests, empty := t.TempDir(), t.TempDir()
	const policy = "package admission.policies.a\nclient_ids := {\"https://app.example/client.json\"}\nsettings := {\"scopes\": {\"ceiling\": [\"a\"]}}\n"
	if err := os.WriteFile(filepath.Join(guests, "a.rego"), []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	eval := "policy eval https://app.example/client.json --policies " + guests
	for _, test := range []struct {
		name, args, want string
		code             int
	}{
		{"command", "bogus", "see guestlist --help", exitError},
		{"command below", "policy bogus", "see guestlist policy --help", exitError},
		{"argument", "serve extra", "only flags are wanted, not \"extra\". Remedy: see guestlist serve --help", exitError},
		{"argument in place of a flag", "client block agents.example", "not \"agents.example\". Remedy: see guestlist client block --help", exitError},
		{"two arguments", "client show https://a.example/a https://b.example/b", "one argument is wanted, not 2. Remedy: write guestlist client show URL", exitError},
		{"two servers", "client list --config a.yaml --socket b.sock", "may name two servers. Remedy: leave one of them out", exitError},
		{"two servers to rotate", "keys rotate --config a.yaml --socket b.sock", "may name two servers. Remedy: leave one of them out", exitError},
		{"two purposes", "keys rotate signing sealing", "one argument at most is wanted, not 2. Remedy: write guestlist keys rotate", exitError},
		// G-07, H-02: what chooses nothing would be about everything, and of two choices one would be dropped.
		{"revoke of no host", "client revoke --label mcp --host=", "--host is empty, so that it chooses nothing. Remedy: give it a value", exitError},
		{"block of two hosts", "client block --host a.example --host b.example --reason x", `--host is given twice, as "a.example" and "b.example". Remedy: one command for each`, exitError},
		{"hold of no person", "audit hold add --client https://a.example/a --person= --reason x", "--person is empty", exitError},
		{"list of no policy", "audit ls --policy=", "--policy is empty", exitError},
		{"export from no time", "audit export --from=", "--from is empty", exitError},
		{"list until the zero time", "audit ls --until 0001-01-01", `--until "0001-01-01": want a time`, exitError},
		{"list of a reversed range", "audit ls --after 5 --before 3", "--before 3: no record is before it and behind 5", exitError},
		{"list before the first number", "audit ls --before 0", "--before 0: no record is before it", exitError},
		{"report of no host", "report clients --host=", "--host is empty", exitError},
		{"gate on no scope", "policy who-can " + guests + " --scope=", "--scope is empty", exitError},
		{"gate on no client", "policy who-can " + guests + " --client=", "--client is empty", exitError},
		{"server by no socket", "client list --socket=", "--socket is empty", exitError},
		{"policy directory that is not there", "policy check " + filepath.Join(empty, "none"), "Remedy: name the one that holds the .rego files", exitError},
		{"flag", "policy check --bogus", "see guestlist policy check --help", exitError},
		{"help for what is not there", "help bogus", `unknown command "bogus"`, exitError},
		{"help for what is not there below", "help policy bogus", "see guestlist policy --help", exitError},
		{"no directory", "policy check", "guestlist policy check DIR", exitError},
		{"no id", "audit why", "guestlist audit why ID", exitError},
		{"no policy", "policy check " + empty, "admission.policies.NAME", exitFindings},
		{"two sources of policies", eval + " --starter development", "by one only", exitError},
		{"format of a command that writes", "init " + filepath.Join(empty, "new") + " -o yaml", "want table, json, ndjson or csv", exitError},
		{"sheet of one thing", "policy new a --document none.json -o csv", `output format "csv": want table, json or ndjson`, exitError},
		{"gate without policies", "policy who-can " + empty, "Remedy: name the directory that holds the policies", exitError},
		{"file for a directory", "policy check " + filepath.Join(guests, "a.rego"), "Remedy: name the policy directory", exitError},
		{"eval format", eval + " -o yaml", `output format "yaml"`, exitError},
		{"eval source", eval + " --source here", `--source "here"`, exitError},
		{"eval resource", eval + " --resource here", `--resource "here"`, exitError},
		{"eval issuer", eval + " --issuer here", `--issuer "here"`, exitError},
		{"eval groups of nobody", eval + " --groups eng", "--user", exitError},
		{"development resource", "serve --dev --resource here", `--resource "here"`, exitError},
		{"development resource without --dev", "serve --config x --resource https://api.example", "--dev only", exitError},
	} {
		t.Run(test.name, func(t *testing.T) {
			code, stdout, stderr := runProgram(t, "", strings.Fields(test.args)...)
			if code != test.code || stdout != "" || !strings.Contains(stderr, test.want) || strings.Count(stderr, "\n") != 1 {
				t.Errorf("%s = exit %d, %q, %q, want exit %d and one line with %q", test.args, code, stdout, stderr, test.code, test.want)
			}
		})
	}
}

// TestFormatIsReadFirst: a command with a format that it does not have does
// nothing.
func TestFormatIsReadFirst(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "guests")
	if code, _, stderr := runProgram(t, "", "init", dir, "-o", "yaml"); code != exitError {
		t.Fatalf("init -o yaml = exit %d, %q", code, stderr)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("init -o yaml wrote a directory")
	}
}

func TestHelpNamesTheCommand(t *testing.T) {
	for args, want := range map[string]string{
		"":                  "Usage:\n  guestlist\n  guestlist [command]",
		"help":              "Usage:\n  guestlist\n  guestlist [command]",
		"policy":            "Usage:\n  guestlist policy\n  guestlist policy [command]",
		"help policy check": "Usage:\n  guestlist policy check DIR",
	} {
		code, stdout, stderr := runProgram(t, "", strings.Fields(args)...)
		if code != 0 || stderr != "" || !strings.Contains(stdout, want) {
			t.Errorf("guestlist %s = exit %d, %q, %q, want %q", args, code, stdout, stderr, want)
		}
	}
}

// TestCommandsHaveExamples: whoever is in a hurry reads the example first.
func TestCommandsHaveExamples(t *testing.T) {
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		for _, below := range c.Commands() {
			walk(below)
		}
		if c.HasSubCommands() || c.Name() == "help" || c.Name() == "version" {
			return
		}
		if !strings.HasPrefix(c.Example, "  "+c.CommandPath()) && !strings.Contains(c.Example, "\n  "+c.CommandPath()) {
			t.Errorf("%s --help has the examples %q, want one of the command", c.CommandPath(), c.Example)
		}
	}
	walk(newRoot())
}

// TestTablesEndWithoutBlanks: what is pasted into a file is clean there.
func TestTablesEndWithoutBlanks(t *testing.T) {
	code, stdout, stderr := runProgram(t, "", "init", filepath.Join(t.TempDir(), "guests"))
	if code != 0 || !strings.Contains(stdout, "\nci.sh ") {
		t.Fatalf("init = exit %d, %q, %q", code, stdout, stderr)
	}
	for line := range strings.Lines(stdout) {
		if strings.HasSuffix(line, " \n") {
			t.Errorf("init prints %q, which ends with a blank", line)
		}
	}
}

// TestFullDisk holds every output that is cut short to exit code 1: a help
// text, a list that a library writes, a table, and findings.
func TestFullDisk(t *testing.T) {
	t.Setenv(configEnv, "")
	for _, args := range []string{"", "policy eval --help", "help audit", "policy schema", "policy schema input", "version", "version -o json", "policy eval nonsense --starter deny_all --phase url"} {
		t.Run(args, func(t *testing.T) {
			var errs strings.Builder
			code := run(t.Context(), strings.Fields(args), strings.NewReader(""), fullDisk{}, &errs)
			if want := "no space left"; code != exitError || !strings.Contains(errs.String(), want) || strings.Count(errs.String(), "\n") != 1 {
				t.Errorf("%q on a full disk = exit %d, %q, want exit %d and one line with %q", args, code, errs.String(), exitError, want)
			}
		})
	}
}

// fullDisk takes nothing.
type fullDisk struct{}

// Write implements io.Writer.
func (fullDisk) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// TestH02_ServerIsFoundByABrokenConfiguration holds the commands that ask a
// running server to admin.socket alone: a client must be blocked while the
// policy directory is gone, a secret is another user's, or somebody edits.
func TestH02_ServerIsFoundByABrokenConfiguration(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(configEnv, "")
	socket := filepath.Join(dir, "admin.sock")
	for _, test := range []struct{ name, config, want string }{
		{"policy directory and secret gone", "issuer: https://auth.example\npolicies: {path: gone, unsigned: true}\nresources: [{id: 'https://api.example', secret_file: gone}]\nadmin: {socket: admin.sock}\n", "no server answers on " + socket},
		{"misspelt member", "isuer: https://auth.example\nadmin: {socket: admin.sock}\n", "no server answers on " + socket},
		{"misspelt section", "admn: {socket: admin.sock}\n", "admn: unknown member (did you mean admin?)"},
		{"socket that is no path", "admin: {socket: [a]}\n", "admin.socket: "},
		{"no socket", "issuer: https://auth.example\n", "sets no admin.socket"},
		{"not YAML", "admin: {socket: admin.sock\n", "not YAML"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(dir, "guestlist.yaml")
			if err := os.WriteFile(path, []byte(test.config), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, args := range [][]string{{"status"}, {"client", "block", "--host", "a.example", "--reason", "x", "--yes"}, {"audit", "ls"}, {"policy", "status"}} {
				code, stdout, stderr := runProgram(t, "", append(args, "--config", path)...)
				if code != exitError || stdout != "" || !strings.Contains(stderr, test.want) {
					t.Errorf("%v with %s = exit %d, %q, %q, want exit %d and %q", args, test.name, code, stdout, stderr, exitError, test.want)
				}
			}
		})
	}
}
