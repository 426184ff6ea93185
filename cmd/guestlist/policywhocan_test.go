package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReadmeWhoCanGetWhat runs what the README shows of who-can, and holds the
// exit codes that it tells.
func TestReadmeWhoCanGetWhat(t *testing.T) {
	_, text, ok := strings.Cut(section(t, "For security teams"), "\n### Who can get what\n")
	text, _, _ = strings.Cut(text, "\n### ")
	dir := t.TempDir()
	files(t, dir, text)
	list := examples(text)
	if !ok || len(list) != 3 {
		t.Fatalf("%d commands, want 3", len(list))
	}
	for i, code := range []int{2, 0, 0} {
		list[i].check(t, dir)
		cmd := guestlist(words(list[i].command)[1:]...)
		cmd.Dir = dir
		if _, _, got := runCommand(t, cmd); got != code {
			t.Errorf("$ %s ends with %d, want %d", list[i].command, got, code)
		}
	}
}

// TestWhoCanMisuse: each wrong question says what is wrong and what to do.
func TestWhoCanMisuse(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "p.rego"), []byte("package admission.policies.p\n\nclient_ids := {\"https://a.example/c\"}\n\nsettings := {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no policies":     {nil, "no policies are named. Remedy: write guestlist policy who-can DIR"},
		"no directory":    {[]string{dir + "/none"}, "there is no directory"},
		"unknown policy":  {[]string{dir, "--allow", "q"}, "--allow q: there is no such policy. Remedy: name one of p"},
		"time":            {[]string{dir, "--at", "noon"}, "want RFC 3339"},
		"relation":        {[]string{dir, "--redirect", "any"}, "want same_site or cross_site. Remedy:"},
		"consent":         {[]string{dir, "--consent", "never"}, "want once or skip. Remedy:"},
		"grant":           {[]string{dir, "--grant", "refresh"}, "want authorization_code or refresh_token, which are all that is given out. Remedy:"},
		"two redirects":   {[]string{dir, "--loopback", "--private-scheme"}, "one request has one redirect"},
		"resource":        {[]string{dir, "--resource", "api"}, "Remedy: write the URL of the API"},
		"client":          {[]string{dir, "--client", "http://a.example/c"}, "client \"http://a.example/c\""},
		"limit":           {[]string{dir, "--limit", "0"}, "--limit and --deadline are more than nothing"},
		"two directories": {[]string{dir, dir}, "one argument at most is wanted"},
	} {
		t.Run(name, func(t *testing.T) {
			stdout, stderr, code := runCommand(t, guestlist(append([]string{"policy", "who-can"}, c.args...)...))
			if code != 1 || stdout != "" || !strings.Contains(stderr, c.want) {
				t.Errorf("exit code %d, %q, %q; want 1 and %q", code, stdout, stderr, c.want)
			}
		})
	}
}
