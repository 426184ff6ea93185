package policies_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"testing/fstest"

	"guestlist/policies"
)

// Loading the bytes of a revision gives the revision again, whatever it is
// made of; tests are no part of it (G-04).
func TestBundleGivesTheRevisionAgain(t *testing.T) {
	chance := rand.New(rand.NewPCG(1, 2))
	for i := range 16 {
		cfg := anyConfig(chance, i)
		set, _, err := policies.Load(t.Context(), cfg)
		if err != nil {
			t.Fatalf("%d: Load() = %v", i, err)
		}
		again, err := policies.LoadBundle(t.Context(), set.Bundle(), policies.Config{})
		if err != nil {
			t.Fatalf("%d: LoadBundle() = %v", i, err)
		}
		if again.Revision() != set.Revision() || !reflect.DeepEqual(again.Bundle(), set.Bundle()) {
			t.Errorf("%d: LoadBundle() = revision %s of %v, want %s of %v", i, again.Revision(), again.Bundle(), set.Revision(), set.Bundle())
		}
		if _, ok := set.Bundle().Files["p_test.rego"]; ok {
			t.Errorf("%d: Bundle() holds a test, which no revision covers", i)
		}
	}
}

// anyConfig makes policies of chance; each bit of i is a part that they have.
func anyConfig(chance *rand.Rand, i int) policies.Config {
	root := fstest.MapFS{"p_test.rego": file("package p_test\n")}
	for n := range chance.IntN(4) {
		root[fmt.Sprintf("p%d.rego", n)] = file(fmt.Sprintf("package admission.policies.p%d\n\nclient_ids := {\"https://h%d.example/**\"}\n\nsettings := {\"client_ttl\": \"%dd\"}\n", n, n, 1+chance.IntN(90)))
	}
	if i&1 != 0 {
		root["lists/data.json"] = file(fmt.Sprintf(`{"n": %d.50, "big": 12345678901234567890}`, chance.Int()))
	}
	if i&2 != 0 {
		root["facts.schema.json"] = file(`{"type": "object", "properties": {"freeze": {"type": "boolean", "default": false}}}`)
	}
	cfg := policies.Config{FS: root}
	if i&4 != 0 {
		cfg.Guardrails = fstest.MapFS{"g.rego": file("package admission.guardrails\n\nceiling := {\"client_ttl\": \"9d\"}\n")}
	}
	if i&8 != 0 {
		cfg.Maxima = map[string]any{"client_ttl": "45d", "document": map[string]any{"max_bytes": 1024 + chance.IntN(9000)}}
	}
	return cfg
}

func file(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }

// Bytes that make no revision are an error, not an empty set.
func TestLoadBundleRefuses(t *testing.T) {
	set, _, err := policies.Load(t.Context(), policies.Config{FS: fstest.MapFS{"p.rego": file("package admission.policies.p\n\nclient_ids := {\"https://a.example/**\"}\n\nsettings := {}\n")}})
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(files map[string][]byte, maxima *[]byte){
		"a policy that does not compile": func(files map[string][]byte, _ *[]byte) {
			files["p.rego"] = []byte("package admission.policies.p\n\ndenny := 1\n")
		},
		"no maxima": func(_ map[string][]byte, maxima *[]byte) { *maxima = nil },
	} {
		b := set.Bundle()
		files, maxima := map[string][]byte{"p.rego": b.Files["p.rego"]}, []byte(b.Maxima)
		spoil(files, &maxima)
		b.Files, b.Maxima = files, maxima
		if got, err := policies.LoadBundle(t.Context(), b, policies.Config{}); err == nil {
			t.Errorf("%s: LoadBundle() = revision %s, want an error", name, got.Revision())
		}
	}
}
