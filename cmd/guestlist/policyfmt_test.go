package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	loose = "package admission.policies.a\nclient_ids := {\"https://a.example.com/c\"}\n"
	laid  = "package admission.policies.a\n\nclient_ids := {\"https://a.example.com/c\"}\n"
)

func TestPolicyFmt(t *testing.T) {
	for _, c := range []struct {
		name   string
		files  map[string]string
		args   []string
		code   int
		stdout []string          // parts
		stderr []string          // parts
		after  map[string]string // content
	}{
		{"writes", map[string]string{"a.rego": loose, "b.rego": laid}, []string{"DIR"}, 0,
			[]string{"DIR/a.rego  formatted\n"}, []string{"1 file of 2 formatted"}, map[string]string{"a.rego": laid, "b.rego": laid}},
		{"tests and libraries too", map[string]string{"a_test.rego": loose, "lib/x.rego": loose}, []string{"DIR"}, 0,
			[]string{"a_test.rego", "lib/x.rego"}, []string{"2 files of 2"}, map[string]string{"a_test.rego": laid, "lib/x.rego": laid}},
		{"hidden files are nobody's", map[string]string{"a.rego": laid, ".old/a.rego": loose, ".b.rego": loose}, []string{"DIR"}, 0,
			nil, []string{"1 file, nothing to change"}, map[string]string{".old/a.rego": loose, ".b.rego": loose}},
		{"one file", map[string]string{"a.rego": loose, "b.rego": loose}, []string{"DIR/b.rego"}, 0,
			[]string{"DIR/b.rego"}, nil, map[string]string{"a.rego": loose, "b.rego": laid}},
		{"check writes nothing", map[string]string{"a.rego": loose}, []string{"DIR", "--check"}, 2,
			[]string{"DIR/a.rego  not formatted\n"}, []string{"1 file of 1 not formatted", "Remedy: guestlist policy fmt DIR"}, map[string]string{"a.rego": loose}},
		{"check of what is formatted", map[string]string{"a.rego": laid}, []string{"DIR", "--check"}, 0, nil, []string{"nothing to change"}, nil},
		{"diff", map[string]string{"a.rego": loose}, []string{"DIR", "--check", "--diff"}, 2,
			[]string{"--- DIR/a.rego\n+++ DIR/a.rego\n@@ -1,2 +1,3 @@\n package admission.policies.a\n+\n client_ids"}, nil, map[string]string{"a.rego": loose}},
		{"one file does not parse, none is written", map[string]string{"a.rego": loose, "b.rego": "package b\n\nx := {\n"}, []string{"DIR"}, 1,
			nil, []string{"nothing is written", "DIR/b.rego:4: "}, map[string]string{"a.rego": loose}},
		{"no such directory", nil, []string{"DIR/none"}, 1, nil, []string{"DIR/none", "Remedy"}, nil},
		{"no Rego file", map[string]string{"data.json": "{}"}, []string{"DIR/data.json"}, 1, nil, []string{"no Rego file"}, nil},
		{"nothing named", nil, nil, 1, nil, []string{"one argument or more", "policy fmt DIR|FILE"}, nil},
		{"diff is no table", map[string]string{"a.rego": loose}, []string{"DIR", "--diff", "-o", "json"}, 1, nil, []string{"Remedy"}, map[string]string{"a.rego": loose}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := treeOf(t, c.files)
			args := []string{"policy", "fmt"}
			for _, a := range c.args {
				args = append(args, strings.Replace(a, "DIR", dir, 1))
			}
			stdout, stderr, code := output(t, args...)
			stdout, stderr = strings.ReplaceAll(stdout, dir, "DIR"), strings.ReplaceAll(stderr, dir, "DIR")
			if code != c.code || !containsAll(stdout, c.stdout) || !containsAll(stderr, c.stderr) || c.stdout == nil && stdout != "" {
				t.Errorf("exit %d, want %d\nstdout %q, want %q\nstderr %q, want %q", code, c.code, stdout, c.stdout, stderr, c.stderr)
			}
			for name, want := range c.after {
				if got := readTestFile(t, filepath.Join(dir, name)); got != want {
					t.Errorf("%s = %q, want %q", name, got, want)
				}
			}
		})
	}
}

func TestPolicyFmtKeepsModeAndLinks(t *testing.T) {
	dir := treeOf(t, map[string]string{"shared/a.rego": loose})
	file, link := filepath.Join(dir, "shared/a.rego"), filepath.Join(dir, "a.rego")
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("shared/a.rego", link); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := output(t, "policy", "fmt", link); code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	info, err := os.Lstat(link)
	if err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is %v, %v", info, err)
	}
	if info, err = os.Stat(file); err != nil || info.Mode().Perm() != 0o640 || readTestFile(t, file) != laid {
		t.Errorf("the file is %v, %v: %s", info, err, readTestFile(t, file))
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "shared", ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// PF-09: json output parses.
func TestPolicyFmtJSON(t *testing.T) {
	dir := treeOf(t, map[string]string{"a.rego": loose})
	stdout, _, code := output(t, "policy", "fmt", "--check", dir, "-o", "json")
	var got []map[string]string
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || code != 2 || len(got) != 1 || got[0]["state"] != "not_formatted" {
		t.Errorf("exit %d, %v: %s", code, err, stdout)
	}
}

func TestLineDiff(t *testing.T) {
	for _, c := range []struct{ name, before, after, want string }{
		{"alike", "a\n", "a\n", ""},
		{"from nothing", "", "a\nb\n", "@@ -0,0 +1,2 @@\n+a\n+b\n"},
		{"to nothing", "a\n", "", "@@ -1,1 +0,0 @@\n-a\n"},
		{"no newline", "a", "b\n", "@@ -1,1 +1,1 @@\n-a\n\\ No newline at end of file\n+b\n"},
		{"two hunks", "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n", "1x\n2\n3\n4\n5\n6\n7\n8\n9\n10x\n",
			"@@ -1,4 +1,4 @@\n-1\n+1x\n 2\n 3\n 4\n@@ -7,4 +7,4 @@\n 7\n 8\n 9\n-10\n+10x\n"},
		{"near changes are one hunk", "1\n2\n3\n4\n5\n", "1x\n2\n3\n4\n5x\n", "@@ -1,5 +1,5 @@\n-1\n+1x\n 2\n 3\n 4\n-5\n+5x\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := c.want
			if want != "" {
				want = "--- f\n+++ f\n" + want
			}
			if got := lineDiff("f", []byte(c.before), []byte(c.after)); got != want {
				t.Errorf("lineDiff(%q, %q) = %q, want %q", c.before, c.after, got, want)
			}
		})
	}
}

// treeOf writes files below a directory of the test.
func treeOf(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		writeTestFile(t, path, text)
	}
	return dir
}

func readTestFile(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func containsAll(text string, parts []string) bool {
	for _, p := range parts {
		if !strings.Contains(text, p) {
			return false
		}
	}
	return true
}
