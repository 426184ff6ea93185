package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

func TestPolicySchema(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "schemas")
	stdout, stderr, code := output(t, "policy", "schema", "--dir", dir)
	if code != 0 || strings.Count(stdout, dir) != 6 {
		t.Fatalf("--dir: exit %d\n%s%s", code, stdout, stderr)
	}
	for _, name := range []string{"input", "settings", "list", "facts", "scenes", "mask"} {
		stdout, _, code := output(t, "policy", "schema", name)
		if file := readTestFile(t, filepath.Join(dir, name+".schema.json")); code != 0 || stdout != file || !json.Valid([]byte(stdout)) {
			t.Errorf("schema %s: exit %d, %d bytes printed, %d written", name, code, len(stdout), len(file))
		}
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{nil, 0, "facts.schema.json\ninput.schema.json\nlist.schema.json\nmask.schema.json\nscenes.schema.json\nsettings.schema.json\n"},
		{[]string{"input", "--phase", "url"}, 0, `"url"`},
		{[]string{"inputs"}, 1, "there are input, settings, list, facts, mask, scenes"},
		{[]string{"input", "--phase", "consent"}, 1, "want one of url, document, user, refresh"},
		{[]string{"scenes", "--phase", "url"}, 1, "scenes"},
		{[]string{"--phase", "url"}, 1, "policy schema input --phase url"},
		{[]string{"input", "--dir", dir}, 1, "leave out the name"},
	} {
		stdout, stderr, code := output(t, append([]string{"policy", "schema"}, c.args...)...)
		if code != c.code || !strings.Contains(stdout+stderr, c.want) {
			t.Errorf("policy schema %v: exit %d, want %d and %q\n%s%s", c.args, code, c.code, c.want, stdout, stderr)
		}
	}
}
