package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"guestlist/broker/decisionlog"
)

// evalList is a policy directory that uses every phase.
const evalList = `package admission.policies.agents

client_ids := {"https://app.example/client.json"}

settings := {
	"scopes": {"ceiling": ["read", "write"], "default": ["read"]},
	"grant_types": ["authorization_code", "refresh_token"],
	"refresh_token": {"issue": true},
}

deny contains {"code": "pushed", "message": "push the request"} if {
	"admin" in input.request.scopes
	not input.request.par
}

deny contains {"code": "agent", "message": "no robots"} if input.request.source.user_agent == "robot"

deny contains {"code": "night", "message": "closed"} if input.clock.date == "1999-12-25"

deny contains {"code": "new", "message": "the host is new"} if input.client.host_first_seen == input.time

deny contains {"code": "again", "message": "no second consent"} if "consent" in input.request.prompt

deny_user contains {"code": "level", "message": "a better sign-in"} if {
	"write" in input.effective.scopes
	input.user.acr != "gold"
}

deny_user contains {"code": "team", "message": "another team"} if input.user.claims.team == 7

deny_refresh contains {"code": "network", "message": "from elsewhere"} if input.now.source.ip != "192.0.2.1"

deny_refresh contains {"code": "left", "message": "left the team"} if not "eng" in input.user.groups
`

const evalDocument = `{"client_id":"https://app.example/client.json","client_name":"App","redirect_uris":["https://app.example/cb"],"grant_types":["authorization_code","refresh_token"]}`

// evalFiles writes what the tests of policy eval name, and goes there.
func evalFiles(t *testing.T) {
	t.Helper()
	clearEnvironment(t)
	t.Setenv(configEnv, "")
	dir := t.TempDir()
	t.Chdir(dir)
	for name, text := range map[string]string{
		"list/agents.rego": evalList, "client.json": evalDocument,
		"gold.yaml":  "sub: ada\ngroups: [eng]\nacr: gold\n",
		"plain.json": `{"sub":"ben","groups":["eng"],"claims":{"team":7}}`,
		"typo.yaml":  "sub: ada\ngroup: [eng]\n", "nobody.yaml": "groups: [eng]\n", "later.yaml": "sub: ada\nauth_time: 2199-01-01T00:00:00Z\n", "broken.yaml": "sub: [\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		writeTestFile(t, path, text)
	}
}

// evalArgs splits a command line in which a comma stands between scopes.
func evalArgs(line string) []string {
	args := append(strings.Fields("policy eval https://app.example/client.json --policies list"), strings.Fields(line)...)
	return append(args, "--host-first-seen", "-1d")
}

// TestEvalFacts is G-02: each fact of a request reaches the phase that reads
// it, and the answer goes as far as the facts do.
func TestEvalFacts(t *testing.T) {
	evalFiles(t)
	const doc = " --document client.json"
	for _, c := range []struct {
		args, outcome, phase, code string
		exit                       int
	}{
		{doc, "admitted", "document", "", 0},
		{"--phase url" + doc, "open", "url", "", 0},
		{"--phase url", "open", "url", "", 0},
		{"", "open", "url", "", exitError},
		{"--scope admin" + doc, "refused", "url", "pushed", exitFindings},
		{"--scope admin --par --phase url" + doc, "open", "url", "", 0},
		{"--user-agent robot" + doc, "refused", "url", "agent", exitFindings},
		{"--at 1999-12-25T12:00:00Z" + doc, "refused", "url", "night", exitFindings},
		{"--prompt consent" + doc, "refused", "url", "again", exitFindings},
		{"--user ada --scope write" + doc, "refused", "user", "level", exitFindings},
		{"--user ada --scope write --phase document" + doc, "admitted", "document", "", 0},
		{"--user gold.yaml --scope write" + doc, "admitted", "user", "", 0},
		{"--user plain.json" + doc, "refused", "user", "team", exitFindings},
		{"--user gold.yaml --refresh-after 2h" + doc, "admitted", "refresh", "", 0},
		{"--user gold.yaml --refresh-after 2h --phase user" + doc, "admitted", "user", "", 0},
		{"--user gold.yaml --refresh-after 2h --refresh-source 198.51.100.7" + doc, "refused", "refresh", "network", exitFindings},
		{"--user gold.yaml --refresh-after 2h --refresh-groups ops" + doc, "refused", "refresh", "left", exitFindings},
	} {
		t.Run(c.args, func(t *testing.T) {
			code, stdout, stderr := runProgram(t, "", append(evalArgs(c.args), "-o", "ndjson")...)
			var a struct {
				Outcome, Phase string
				Notes          []string
				Records        []decisionlog.Record
			}
			if err := json.Unmarshal([]byte(stdout), &a); err != nil || strings.Count(stdout, "\n") != 1 {
				t.Fatalf("exit %d, %v in %s%s", code, err, stdout, stderr)
			}
			if code != c.exit || a.Outcome != c.outcome || a.Phase != c.phase || len(a.Notes) != 1 {
				t.Errorf("exit %d, %s in phase %s, notes %q (%s); want exit %d, %s in phase %s", code, a.Outcome, a.Phase, a.Notes, stderr, c.exit, c.outcome, c.phase)
			}
			phases := a.Records[len(a.Records)-1].Phases
			var got []string
			for _, d := range phases[len(phases)-1].Denials {
				got = append(got, d.Code)
			}
			if strings.Join(got, " ") != c.code {
				t.Errorf("denials %q, want %q", got, c.code)
			}
		})
	}
	// The host is new where nobody says otherwise.
	args := evalArgs(doc)
	if code, stdout, _ := runProgram(t, "", args[:len(args)-2]...); code != exitFindings || !strings.Contains(stdout, "new by agents.deny: the host is new\n      at         agents.rego:20\n") {
		t.Errorf("a host that is new: exit %d\n%s", code, stdout)
	}
}

// TestEvalMisuse: every fact that no request can have, or that nothing would
// read, is an error of one line that says what to write instead.
func TestEvalMisuse(t *testing.T) {
	evalFiles(t)
	for args, want := range map[string]string{
		"--source here": `--source "here": want an address`,
		"--user a --refresh-after 2h --refresh-source x": `--refresh-source "x": want an address`,
		"--phase token":                      `--phase "token": want url, document, user or refresh`,
		"--document client.json --fetch":     "Remedy: leave one of them out",
		"--document none.json":               "none.json",
		"--groups eng":                       "Remedy: add --user NAME",
		"--user gold.yaml --groups eng":      "Remedy: write the groups into gold.yaml",
		"--user none.yaml":                   "Remedy: name the file of the person, or the person without .json or .yaml",
		"--user typo.yaml":                   `unknown field "group". Remedy: write sub, groups`,
		"--user broken.yaml":                 "Remedy: write sub, groups",
		"--user nobody.yaml":                 "names nobody. Remedy: write sub",
		"--user later.yaml":                  "auth_time comes after the request. Remedy:",
		"--refresh-source 192.0.2.1":         "Remedy: add --refresh-after 2h",
		"--refresh-after 2h":                 "Remedy: add --user NAME",
		"--refresh-after soon --user a":      `--refresh-after "soon": want a duration`,
		"--refresh-after 0s --user a":        `--refresh-after "0s": want a duration`,
		"--phase user":                       "Remedy: add --user NAME",
		"--phase refresh --user a":           "Remedy: add --refresh-after 2h",
		"--at noon":                          `--at "noon": want RFC 3339`,
		"--at 2h":                            "a duration with its sign",
		"--first-seen +2h":                   "comes after the request. Remedy: write a time before it",
		"--prompt none":                      `--prompt "none": want login, consent or select_account`,
		"--fetch --config x --policies list": "by one only",
	} {
		code, stdout, stderr := runProgram(t, "", evalArgs(args)...)
		if code != exitError || stdout != "" || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("policy eval %s = exit %d, %q, %q; want exit %d and one line with %q", args, code, stdout, stderr, exitError, want)
		}
	}
}

// TestEvalNothingToRefresh: terms without a refresh token are a finding.
func TestEvalNothingToRefresh(t *testing.T) {
	evalFiles(t)
	writeTestFile(t, "list/agents.rego", strings.Replace(evalList, `"issue": true`, `"issue": false`, 1))
	code, stdout, stderr := runProgram(t, "", evalArgs("--document client.json --user gold.yaml --refresh-after 2h")...)
	if code != exitFindings || !strings.Contains(stderr, "nothing to refresh") || strings.Contains(stdout, "phase refresh") {
		t.Errorf("exit %d, %s\n%s", code, stderr, stdout)
	}
}

// TestEvalExplainsWhatIsNoIdentifier: a client_id that is malformed is a
// refusal with its rule, not an error.
func TestEvalExplainsWhatIsNoIdentifier(t *testing.T) {
	evalFiles(t)
	for id, want := range map[string]string{
		"https://app.example/a/../client.json": "U5: it must not contain dot segments",
		"http://app.example/client.json":       "client_id_malformed",
		"app":                                  "client_id_unknown",
	} {
		code, stdout, stderr := runProgram(t, "", "policy", "eval", id, "--policies", "list")
		if code != exitFindings || !strings.Contains(stdout, want) || stderr != "" {
			t.Errorf("policy eval %s = exit %d, %s\n%s, want %q", id, code, stderr, stdout, want)
		}
	}
}

// TestReadmeAskBefore runs the commands of the README about policy eval.
func TestReadmeAskBefore(t *testing.T) {
	_, text, ok := strings.Cut(section(t, "For security teams"), "\n### Ask before anybody knocks\n")
	if !ok {
		t.Fatal("README has no such section")
	}
	text, _, _ = strings.Cut(text, "\n### ")
	dir := readmeDir(t)
	files(t, dir, text)
	list := examples(text)
	if len(list) < 3 {
		t.Fatalf("%d commands, want at least 3", len(list))
	}
	for _, e := range list {
		e.check(t, dir)
	}
}
