package corpus_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"guestlist/policies/corpus"
)

func read(body string) ([]corpus.Scene, error) {
	return corpus.Read(fstest.MapFS{"scenes.json": {Data: []byte(body)}, "documents/a.json": {Data: []byte(`{"client_id":"x"}`)}})
}

func TestRead(t *testing.T) {
	got, err := read(`{"$schema": ".guestlist/scenes.schema.json", "scenes": [{"name": "ours/one", "purpose": "p", "client_id": "https://a.example/c",
		"document": "documents/a.json", "scope": "a {scopes}", "resource": "https://r.example", "par": true, "at": "2026-11-25T12:00:00Z",
		"user": {"name": "ada", "groups": ["eng"], "claims": {"x": {"y": [1]}}, "signed_in": "5m"},
		"refresh": {"after": "1d", "groups": [], "resource": ["https://r.example"]}, "facts": {"freeze": true}, "expect": {"outcome": "refused"}}]}`)
	if err != nil || len(got) != 1 {
		t.Fatalf("Read = %d scenes, %v", len(got), err)
	}
	s := got[0]
	if s.Name != "ours/one" || string(s.Document) != `{"client_id":"x"}` || len(s.Resource) != 1 || s.User.SignedIn.String() != "5m" ||
		s.Refresh.After.String() != "1d" || s.Refresh.Groups == nil || s.Facts["freeze"] != true || s.Expect.Outcome != corpus.Refused {
		t.Errorf("Read = %+v", s)
	}
	if got, err := corpus.Read(fstest.MapFS{}); err != nil || got != nil {
		t.Errorf("Read of nothing = %v, %v", got, err)
	}
}

func TestReadRefuses(t *testing.T) {
	scene := func(members string) string {
		return "{\"scenes\": [\n{\"name\": \"a\", \"client_id\": \"https://a.example/c\"" + members + "}]}"
	}
	for _, c := range []struct{ name, body, want string }{
		{"good", scene(""), ""},
		{"inline document", scene(`, "document": {"client_id": "x", "client_id_": 1}`), ""},
		{"not JSON", `{"scenes": [`, "scenes.json:1: "},
		{"empty", ``, "scenes.json:1: EOF"},
		{"a list", `[]`, "the file is an array; want an object"},
		{"a tail", scene("") + "{}", "data after the end"},
		{"nothing in it", `{}`, "the file needs the member scenes"},
		{"unknown member", scene(`, "clientid": 1`), `scenes.json:2: scenes[0] has no member "clientid"; it has at, client_id,`},
		{"another case", scene(`, "Scope": "a"`), `has no member "Scope"`},
		{"written twice", scene(`, "scope": "a", "scope": "b"`), "scenes[0].scope is written twice"},
		{"wrong type", scene(`, "scope": ["a"]`), "scenes[0].scope is an array; want a string"},
		{"null", scene(`, "user": null`), "scenes[0].user is null; want an object"},
		{"number for a resource", scene(`, "resource": [1]`), "scenes[0].resource[0] is a number; want a string"},
		{"unknown member of the user", scene(`, "user": {"name": "a", "group": []}`), `scenes[0].user has no member "group"`},
		{"nobody to refresh for", scene(`, "refresh": {"after": "2h"}`), "scene a: a refresh needs a user"},
		{"no name", `{"scenes": [{"client_id": "x"}]}`, "needs the member name"},
		{"a name with a space", `{"scenes": [{"name": "a b", "client_id": "x"}]}`, "does not fit"},
		{"two of a name", `{"scenes": [{"name": "a", "client_id": "x"}, {"name": "a", "client_id": "y"}]}`, "two scenes are called a"},
		{"a time that is none", scene(`, "at": "noon"`), "scenes.json: parsing time"},
		{"a duration that is none", scene(`, "user": {"name": "a", "signed_in": "soon"}`), "duration"},
		{"no such document", scene(`, "document": "documents/b.json"`), "document: open documents/b.json"},
		{"a document outside", scene(`, "document": "../b.json"`), "document: open ../b.json"},
		{"an outcome that is none", scene(`, "expect": {"outcome": "maybe"}`), "want one of [admitted refused]"},
		{"admitted for a reason", scene(`, "expect": {"outcome": "admitted", "reason": "policy_denied"}`), "what is admitted has no reason"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := read(c.body)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("Read = %v, want an error with %q", err, c.want)
			}
		})
	}
}

// The schema is JSON, closed, and says what each member means.
func TestSchema(t *testing.T) {
	b, err := json.Marshal(corpus.Schema())
	if err != nil {
		t.Fatal(err)
	}
	var walk func(at string, v any)
	walk = func(at string, v any) {
		m, ok := v.(map[string]any)
		if !ok {
			return
		}
		members, _ := m["properties"].(map[string]any)
		if members != nil && m["additionalProperties"] != false {
			t.Errorf("%s is open", at)
		}
		for name, sub := range members {
			if s := sub.(map[string]any); s["description"] == nil && s["items"] == nil {
				t.Errorf("%s.%s has no description", at, name)
			}
			walk(at+"."+name, sub)
		}
		walk(at+"[]", m["items"])
	}
	var whole any
	if err := json.Unmarshal(b, &whole); err != nil {
		t.Fatal(err)
	}
	walk("", whole)
}

// What stands for the file may be anything in a change that a stranger proposes.
func TestReadRefusesWhatIsNoFile(t *testing.T) {
	for name, link := range map[string]string{"scenes.json": "/dev/zero", "document.json": "/dev/zero"} {
		dir := t.TempDir()
		if name != "scenes.json" {
			text := `{"scenes": [{"name": "a", "client_id": "https://a.example.com/c", "document": "document.json"}]}`
			if err := os.WriteFile(filepath.Join(dir, "scenes.json"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink(link, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		if _, err := corpus.Read(os.DirFS(dir)); err == nil || !strings.Contains(err.Error(), "no regular file") {
			t.Errorf("%s leads to %s: %v, want an error", name, link, err)
		}
	}
}
