package policies_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"guestlist/policies"
)

var updateReference = flag.Bool("update", false, "write reference.md anew")

// TestReference holds reference.md to the code.
func TestReference(t *testing.T) {
	got := policies.Reference()
	if *updateReference {
		if err := os.WriteFile("reference.md", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile("reference.md")
	if err != nil || string(have) != got {
		t.Errorf("reference.md is stale (%v): run go test -run TestReference ./policies -update", err)
	}
	for _, row := range []string{
		"| `access_token.ttl` | 1s to 60m | `\"5m\"` | the smaller | Life of an access token. |",
		"| `access_token.format` | one of jwt, opaque | `\"\"` | opaque over jwt |",
		"| `consent.mode` | one of always, once, skip, approval | `\"always\"` | approval over always over once over skip |",
		"| `jwks.same_origin` | true or false | `true` | true if either says so |",
		"| `redirect.loopback` | true or false | `false` | true if both say so |",
		"| `audiences` | a list of resource ids, or null | `null` | what both have |",
		"| `require.groups` | a list of group names | `[]` | all of both |",
		"| `tags` | a list of words | `[]` | cannot be bounded |",
		"| `input.now.source.ip` | string | refresh |",
		"| `waivers` | no input |",
	} {
		if !strings.Contains(got, row) {
			t.Errorf("the reference has no row %s", row)
		}
	}
	for _, line := range strings.Split(got, "\n") {
		if strings.Contains(line, "||") || strings.Contains(line, "|  |") || strings.HasSuffix(line, "| ? |") {
			t.Errorf("an empty cell: %s", line)
		}
	}
}

// Every code that load reports is in the reference.
func TestFindingCodesAreDocumented(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	call := regexp.MustCompile(`(?:\.(?:fail|warn|fault)\([^"\n]*|return |, remedy := |Finding\{Severity[^"\n]*)"([a-z]+(?:_[a-z]+)+|phase|metadata|unreadable)", `)
	reference, found := policies.Reference(), 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		body, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range call.FindAllStringSubmatch(string(body), -1) {
			found++
			if !strings.Contains(reference, "\n| `"+m[1]+"` | ") {
				t.Errorf("%s: finding code %s is not documented", name, m[1])
			}
		}
	}
	if found < 60 {
		t.Errorf("%d codes found in the source, want at least 60", found)
	}
	for _, kind := range []string{"broken", "warned"} {
		for _, name := range fixtures(t, kind) {
			body, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			code, _, _ := strings.Cut(strings.TrimPrefix(string(body), "# want: "), ":")
			if !strings.HasPrefix(code, "rego_") && !strings.Contains(reference, "\n| `"+code+"` | ") {
				t.Errorf("%s: finding code %s is not documented", name, code)
			}
		}
	}
}
