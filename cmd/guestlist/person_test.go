package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"guestlist/server/signin"
)

// runProgram runs the program and returns its exit code and outputs.
func runProgram(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(stdin), &out, &errs)
	return code, out.String(), errs.String()
}

func TestPersonCommands(t *testing.T) {
	clearEnvironment(t)
	dir := configDir(t)
	conf := filepath.Join(dir, "guestlist.yaml")
	people := filepath.Join(dir, "people.yaml")
	writeTestFile(t, conf, strings.ReplaceAll(minimalConfig, "DIR", dir))

	steps := []struct {
		name, stdin string
		env         string // GUESTLIST_CONFIG
		args        []string
		stdout      string
	}{
		{"list nobody", "", "", []string{"list", "--config", conf, "-o", "json"}, "[]\n"},
		{"add by --config", "correct horse\n", "", []string{"add", "ada", "--full-name", "Ada L.", "--email", "ada@corp.example", "--groups", "eng,ops", "--password-stdin", "--config", conf},
			"added ada to " + people + "\n"},
		{"add by --file", "battery staple", "", []string{"add", "ben", "--password-stdin", "--file", people}, "added ben to " + people + "\n"},
		{"passwd by " + configEnv, "another secret\r\n", conf, []string{"passwd", "ada", "--password-stdin"}, "changed the password of ada in " + people + "\n"},
		{"--file wins over " + configEnv, "", "none.yaml", []string{"list", "--file", people, "-o", "ndjson"},
			`{"username":"ada","full_name":"Ada L.","email":"ada@corp.example","groups":["eng","ops"],"disabled":false}` + "\n" +
				`{"username":"ben","full_name":"","email":"","groups":[],"disabled":false}` + "\n"},
		{"list as a table", "", "", []string{"list", "--file", people},
			"USERNAME  FULL NAME  EMAIL             GROUPS   DISABLED\n" +
				"ada       Ada L.     ada@corp.example  eng,ops  false\n" +
				"ben                                             false\n"},
	}
	for _, tt := range steps {
		t.Setenv(configEnv, tt.env)
		code, stdout, stderr := runProgram(t, tt.stdin, append([]string{"person"}, tt.args...)...)
		told := ""
		if tt.name == "list nobody" {
			told = "guestlist: there is no file " + people + " yet; guestlist person add makes it\n"
		}
		if code != 0 || stdout != tt.stdout || stderr != told {
			t.Fatalf("%s: exit %d, %q, %q, want 0, %q", tt.name, code, stdout, stderr, tt.stdout)
		}
	}
	signsIn(t, people, "ada", "another secret")
	signsIn(t, people, "ben", "battery staple")
}

// signsIn proves which password counts.
func signsIn(t *testing.T, file, name, password string) {
	t.Helper()
	p, err := signin.Open(signin.Config{File: file})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.SignIn(t.Context(), name, password, "192.0.2.1"); err != nil {
		t.Errorf("SignIn(%q, %q) = %v, want nil", name, password, err)
	}
}

func TestPersonRefuses(t *testing.T) {
	clearEnvironment(t)
	dir := configDir(t)
	people := filepath.Join(dir, "people.yaml")
	broken := filepath.Join(dir, "guestlist.yaml")
	writeTestFile(t, broken, "issuer: [\n")
	for _, tt := range []struct {
		name, stdin string
		args        []string
		want        string
	}{
		{"no --password-stdin", "secret secret", []string{"add", "ada", "--file", people}, "add --password-stdin"},
		{"no --password-stdin for passwd", "secret secret", []string{"passwd", "ada", "--file", people}, "add --password-stdin"},
		{"no file", "secret secret", []string{"add", "ada", "--password-stdin"}, "add --config FILE, or set GUESTLIST_CONFIG, or name the people file with --file"},
		{"both files", "secret secret", []string{"add", "ada", "--password-stdin", "--file", people, "--config", broken}, "config file"},
		{"broken configuration", "secret secret", []string{"add", "ada", "--password-stdin", "--config", broken}, "guestlist.yaml:1: not YAML"},
		{"empty password", "\n", []string{"add", "ada", "--password-stdin", "--file", people}, "fewer than 8"},
		{"short password of newlines", "1234567\n", []string{"add", "ada", "--password-stdin", "--file", people}, "fewer than 8"},
		{"endless password", strings.Repeat("x", 1<<20), []string{"add", "ada", "--password-stdin", "--file", people}, "1024"},
		{"bad name", "secret secret", []string{"add", "a da", "--password-stdin", "--file", people}, "username"},
		{"no name", "secret secret", []string{"add", "--password-stdin", "--file", people}, "one argument is wanted"},
		{"unknown person", "secret secret", []string{"passwd", "eve", "--password-stdin", "--file", people}, "nobody is called"},
		{"unknown format", "", []string{"list", "--file", people, "-o", "xml"}, `output format "xml"`},
		{"unknown command", "", []string{"remove", "ada"}, "remove"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, stdout, stderr := runProgram(t, tt.stdin, append([]string{"person"}, tt.args...)...)
			if code != exitError || stdout != "" || !strings.Contains(stderr, tt.want) || !strings.HasPrefix(stderr, "guestlist: ") {
				t.Errorf("exit %d, %q, %q, want %d and an error that says %q", code, stdout, stderr, exitError, tt.want)
			}
		})
	}
	if _, err := os.Stat(people); err == nil {
		t.Errorf("%s is there, want nothing written", people)
	}
}

func TestVersion(t *testing.T) {
	code, stdout, stderr := runProgram(t, "", "version", "-o", "json")
	var got map[string]string
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || code != 0 || stderr != "" {
		t.Fatalf("version -o json = exit %d, %q, %q, want a JSON object", code, stdout, stderr)
	}
	if got["go"] != runtime.Version() || got["guestlist"] == "" || !strings.HasPrefix(got["opa"], "v1.") ||
		!strings.HasPrefix(got["fosite"], "v0.") || !strings.HasPrefix(got["bbolt"], "v1.") {
		t.Errorf("version -o json = %v, want go %s and the versions of opa, fosite and bbolt", got, runtime.Version())
	}
	want := "guestlist " + got["guestlist"] + "\n"
	if code, stdout, _ := runProgram(t, "", "version"); code != 0 || !strings.HasPrefix(stdout, want) || !strings.Contains(stdout, "\nopa       "+got["opa"]+"\n") {
		t.Errorf("version = exit %d, %q, want it to begin with %q", code, stdout, want)
	}
	if code, stdout, _ := runProgram(t, "", "version", "-o", "ndjson"); code != 0 || strings.Count(stdout, "\n") != 1 || !strings.HasPrefix(stdout, `{"guestlist":`) {
		t.Errorf("version -o ndjson = exit %d, %q, want one line", code, stdout)
	}
	if code, _, stderr := runProgram(t, "", "version", "-o", "yaml"); code != exitError || !strings.Contains(stderr, `output format "yaml"`) {
		t.Errorf("version -o yaml = exit %d, %q, want %d", code, stderr, exitError)
	}
}
