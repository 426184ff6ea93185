package main_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"mime"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// idsFile is the generated table id → tests.
const idsFile = "testdata/requirements/ids.md"

// An id as requirement texts write it, and as a test function's name does
// (TestCanary_F11, TestLifetimeMatrix_PF14, TestB19RealDocuments). What is
// called a trap, or stands at either end of a range, is not an id: a range
// names nothing that somebody had looked at.
var (
	idInText = regexp.MustCompile(`(?:^|[^\w./:-])((?:[UDFAQMBX][1-9][0-9]?)|(?:(?:PF|SN|CU|H|G)-[0-9]{2}))\b`)
	idInName = regexp.MustCompile(`(PF|SN|CU|H|G|[UDFAQMBX])([0-9]{1,2})(?:[^0-9]|$)`)
	notIDs   = regexp.MustCompile(`(?i)\btraps?(:? F?[0-9]+[a-z]?(,| and|, and| to)?)+|\b[A-Z]+-?[0-9]+(-| to |–)[A-Z]+-?[0-9]+\b`)
)

// idsIn lists the ids in a comment or a case name.
func idsIn(text string) []string {
	var ids []string
	text = notIDs.ReplaceAllString(strings.Join(strings.Fields(text), " "), " ")
	for { // one at a time: two ids may share the space between them
		m := idInText.FindStringSubmatchIndex(text)
		if m == nil {
			return ids
		}
		ids = append(ids, text[m[2]:m[3]])
		text = text[m[3]:]
	}
}

// idsInName lists the ids in the name of a test function.
func idsInName(name string) []string {
	var ids []string
	for _, m := range idInName.FindAllStringSubmatchIndex(name, -1) {
		if strings.HasSuffix(name[:m[0]], "Trap") {
			continue
		}
		if before := name[m[0]-1]; before != '_' && (before < 'a' || before > 'z') && (before < '0' || before > '9') {
			continue // the tail of an abbreviation, as in SHA256
		}
		family, number := name[m[2]:m[3]], name[m[4]:m[5]]
		switch {
		case len(family) == 2 || family == "H" || family == "G":
			ids = append(ids, fmt.Sprintf("%s-%02s", family, number))
		case !strings.HasPrefix(number, "0"):
			ids = append(ids, family+number)
		}
	}
	return ids
}

// mention is one declaration of a test file: the ids it names and the other
// declarations of its package that it uses.
type mention struct {
	ids  []string
	uses []string
	test string // package.Test, empty for helpers and tables
}

// mentions reads the test files of one folder. Ids count in the names and
// comments of test functions, in comments inside them, and in the text of
// their cases; what stands beside a table or a helper counts for the tests
// that use it. Methods are not followed: their names are too common.
func mentions(t *testing.T, tree fs.FS, dir string) map[string]*mention {
	t.Helper()
	files, err := fs.Glob(tree, path.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*mention{}
	for _, name := range files {
		src, err := fs.ReadFile(tree, name)
		if err != nil {
			t.Fatal(err)
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, name, src, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for i, decl := range file.Decls {
			first, end := decl.Pos(), file.FileEnd
			if doc := docOf(decl); doc != nil {
				first = doc.Pos()
			}
			if i+1 < len(file.Decls) {
				end = file.Decls[i+1].Pos()
				if doc := docOf(file.Decls[i+1]); doc != nil {
					end = doc.Pos()
				}
			}
			m := &mention{ids: commentIDs(file, first, end)}
			for _, key := range declared(decl) {
				all[file.Name.Name+"."+key] = m
			}
			m.read(file, decl, strings.TrimSuffix(file.Name.Name, "_test"))
			for i, name := range m.uses {
				m.uses[i] = file.Name.Name + "." + name
			}
		}
	}
	return all
}

// docOf is the comment above a declaration.
func docOf(decl ast.Decl) *ast.CommentGroup {
	if f, ok := decl.(*ast.FuncDecl); ok {
		return f.Doc
	}
	return decl.(*ast.GenDecl).Doc
}

// declared are the names that a declaration makes.
func declared(decl ast.Decl) (names []string) {
	if f, ok := decl.(*ast.FuncDecl); ok {
		if f.Recv != nil {
			return nil
		}
		return []string{f.Name.Name}
	}
	for _, spec := range decl.(*ast.GenDecl).Specs {
		switch spec := spec.(type) {
		case *ast.ValueSpec:
			for _, name := range spec.Names {
				names = append(names, name.Name)
			}
		case *ast.TypeSpec:
			names = append(names, spec.Name.Name)
		}
	}
	return names
}

// commentIDs lists the ids in the comments of a stretch of a file.
func commentIDs(file *ast.File, from, to token.Pos) (ids []string) {
	for _, group := range file.Comments {
		if group.Pos() >= from && group.End() <= to {
			ids = append(ids, idsIn(group.Text())...)
		}
	}
	return ids
}

// read adds what a declaration's name, texts and identifiers say.
func (m *mention) read(file *ast.File, decl ast.Decl, pkg string) {
	if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && (strings.HasPrefix(f.Name.Name, "Test") || strings.HasPrefix(f.Name.Name, "Fuzz")) {
		m.test = pkg + "." + f.Name.Name
		m.ids = append(m.ids, idsInName(f.Name.Name)...)
	}
	member := map[*ast.Ident]bool{} // of something, no name of its own
	ast.Inspect(decl, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			member[n.Sel] = true
		case *ast.KeyValueExpr:
			if key, ok := n.Key.(*ast.Ident); ok {
				member[key] = true
			}
		case *ast.Ident:
			local := n.Obj != nil && file.Scope.Lookup(n.Name) != n.Obj
			if !member[n] && !local {
				m.uses = append(m.uses, n.Name)
			}
		case *ast.BasicLit:
			if text, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING && strings.Contains(text, " ") {
				m.ids = append(m.ids, idsIn(text)...)
			}
		}
		return true
	})
}

// carriers maps each id to the tests of the tree that carry it, and lists all
// tests.
func carriers(t *testing.T, tree fs.FS) (found map[string]map[string]bool, tests map[string]bool) {
	t.Helper()
	found, tests = map[string]map[string]bool{}, map[string]bool{}
	carry := func(id, test string) {
		if found[id] == nil {
			found[id] = map[string]bool{}
		}
		found[id][test] = true
	}
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case !d.IsDir():
			return nil
		case d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && name != ".":
			return fs.SkipDir
		case name == "cmd/guestlist":
			// This file's own list of ids proves nothing.
			tree = without{tree, []string{"cmd/guestlist/ids_test.go", "cmd/guestlist/requirements_test.go"}}
		}
		all := mentions(t, tree, name)
		for _, m := range all {
			if m.test == "" {
				continue
			}
			tests[m.test] = true
			for _, id := range m.reached(all) {
				carry(id, m.test)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range vectorRows(t, tree) {
		carry(v[0], v[1])
	}
	return found, tests
}

// without is a tree that lacks some files.
type without struct {
	fs.FS
	names []string
}

// Glob leaves the files out.
func (w without) Glob(pattern string) ([]string, error) {
	names, err := fs.Glob(w.FS, pattern)
	return slices.DeleteFunc(names, func(n string) bool { return slices.Contains(w.names, n) }), err
}

// reached lists the ids of a declaration and of what it uses.
func (m *mention) reached(all map[string]*mention) (ids []string) {
	seen := map[*mention]bool{m: true}
	for queue := []*mention{m}; len(queue) > 0; queue = queue[1:] {
		ids = append(ids, queue[0].ids...)
		for _, name := range queue[0].uses {
			if next := all[name]; next != nil && next.test == "" && !seen[next] {
				seen[next] = true
				queue = append(queue, next)
			}
		}
	}
	return ids
}

// vectorTests are the tests that play a vector file row by row and hold each
// verdict. Rows of documents.json about status, media type and size are played
// over the wire by package fetch.
var vectorTests = map[string]string{
	"client_id_urls.json":          "cimd.TestVectorsClientIDURLs",
	"documents.json":               "cimd.TestVectorsDocuments",
	"documents.json over the wire": "fetch.TestDocumentVectors_F4_F5_D5_F15",
	"redirect_uris.json":           "cimd.TestVectorsRedirectURIs",
}

// vectorRows lists the ids in the rules of the vector files with the test
// that plays the row.
func vectorRows(t *testing.T, tree fs.FS) (rows [][2]string) {
	t.Helper()
	for file, test := range vectorTests {
		if path.Ext(file) != ".json" {
			continue
		}
		raw, err := fs.ReadFile(tree, "testdata/vectors/"+file)
		if err != nil {
			t.Fatal(err)
		}
		var cases []struct {
			Rule  string
			Input json.RawMessage
		}
		if err := json.Unmarshal(raw, &cases); err != nil || len(cases) < 20 {
			t.Fatalf("%s has %d rows: %v", file, len(cases), err)
		}
		for _, c := range cases {
			by := test
			if file == "documents.json" && overTheWire(c.Input) {
				by = vectorTests["documents.json over the wire"]
			}
			for _, id := range idsIn(c.Rule) {
				rows = append(rows, [2]string{id, by})
			}
		}
	}
	return rows
}

// overTheWire says whether a document row is about its transport.
func overTheWire(input []byte) bool {
	var answer struct {
		Status      int
		ContentType string `json:"content_type"`
		PadToBytes  int    `json:"pad_to_bytes"`
	}
	if err := json.Unmarshal(input, &answer); err != nil {
		return false // a row of another file
	}
	media, _, err := mime.ParseMediaType(answer.ContentType)
	isJSON := err == nil && (media == "application/json" || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json"))
	return answer.Status != 200 || !isJSON || answer.PadToBytes > 5120
}

// idTable writes the table id → tests.
func idTable(found map[string]map[string]bool) string {
	var b strings.Builder
	b.WriteString("# Requirement ids and the tests that carry them\n\n")
	b.WriteString("Made from the test files by `go test -run TestRequirementIDs ./cmd/guestlist -update`; the test fails when this file is stale.\n")
	b.WriteString("An id counts where a test's name, its comment, or the text of one of its cases names it.\n\n")
	b.WriteString("| id | what | tests |\n|---|---|---|\n")
	for _, r := range requirements {
		if tests := slices.Sorted(maps.Keys(found[r.id])); len(tests) > 0 {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", r.id, r.what, strings.Join(tests, ", "))
		}
	}
	return b.String()
}

// TestRequirementIDs holds that every id of issue C is carried by a test, and
// that the table of ids and tests is what the tree says.
func TestRequirementIDs(t *testing.T) {
	root := moduleRoot(t)
	found, tests := carriers(t, os.DirFS(root))
	for _, test := range vectorTests {
		if !tests[test] {
			t.Errorf("no test %s, which is said to play vectors", test)
		}
	}
	known := map[string]bool{}
	for _, r := range requirements {
		if known[r.id] {
			t.Errorf("%s stands twice in the list of requirements", r.id)
		}
		known[r.id] = true
		if r.due && len(found[r.id]) == 0 {
			t.Errorf("%s (%s): no test carries it", r.id, r.what)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(found)) {
		if !known[id] {
			t.Errorf("%s, named by %v, is not in the list of requirements", id, slices.Sorted(maps.Keys(found[id])))
		}
	}
	want, file := idTable(found), filepath.Join(root, idsFile)
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != want {
		t.Errorf("%s is stale (%v): run go test -run TestRequirementIDs ./cmd/guestlist -update", idsFile, err)
	}
}

// TestRequirementScan holds what counts as carrying an id.
func TestRequirementScan(t *testing.T) {
	const vectors = `[{"rule": "U1"}, {"rule": "U1"}, {"rule": "U1"}, {"rule": "U1"}, {"rule": "U1"}, {"rule": "U1"}, {"rule": "U1"},
		{"rule": "U1"}, {"rule": "U1"}, {"rule": "U1"}, {"rule": "U1"}, {"rule": "U1"}, {"rule": "U1"}, {"rule": "U1"}, {"rule": "U1"},
		{"rule": "U1"}, {"rule": "U1"}, {"rule": "U1"}, {"rule": "U1"}, {"rule": "U1-U3,U4 x"}]`
	for src, want := range map[string]string{
		"func TestCanary_F11(t *testing.T) {}":                                       "F11",
		"func TestMatrix_PF14_SN5(t *testing.T) {}":                                  "PF-14 SN-05",
		"func TestB19RealDocuments(t *testing.T) {}":                                 "B19",
		"func TestG11Page(t *testing.T) {}":                                          "G-11",
		"func FuzzU5(f *testing.F) {}":                                               "U5",
		"func TestSHA256(t *testing.T) {}":                                           "",
		"func TestTrapF3Basic(t *testing.T) {}":                                      "",
		"// x is PF-14, SN-05 (B3).\nfunc TestX(t *testing.T) {}":                    "B3 PF-14 SN-05",
		"// trap F3, traps\n// F9 and F10.\nfunc TestX(t *testing.T) {}":             "",
		"// x holds F4 to F15, U1-U3.\nfunc TestX(t *testing.T) {}":                  "",
		"// B7 is far away.\n\nfunc TestX(t *testing.T) {}":                          "",
		"func TestX(t *testing.T) {\n\t// B7: here.\n}":                              "B7",
		"func TestX(t *testing.T) { _ = \"D3 case\" }":                               "D3",
		"func TestX(t *testing.T) { _ = \"D3\" }":                                    "",
		"func TestX(t *testing.T) { _ = \"https://a.example/B3 x\" }":                "",
		"var rows = \"D3 case\"\n\nfunc TestX(t *testing.T) { _ = rows }":            "D3",
		"var rows = \"D3 case\"\n\nfunc TestX(t *testing.T) {}":                      "",
		"func help() { _ = \"D3 case\" }\n\nfunc TestX(t *testing.T) { help() }":     "D3",
		"func help() { _ = \"D3 case\" }\n\nfunc TestX(t *testing.T) { x.help() }":   "",
		"var rows = \"D3 case\"\n\nfunc TestX(t *testing.T) { rows := 1; _ = rows }": "",
		"var rows = \"D3 case\"\n\nfunc TestX(t *testing.T) { _ = a{rows: 1} }":      "",
		"func TestY(t *testing.T) { _ = \"D3 case\" }\nfunc TestX() { TestY(t) }":    "D3",
	} {
		tree := fstest.MapFS{"broker/x_test.go": {Data: []byte("package broker_test\n\n" + src + "\n")}}
		for _, name := range []string{"client_id_urls", "documents", "redirect_uris"} {
			tree["testdata/vectors/"+name+".json"] = &fstest.MapFile{Data: []byte(vectors)}
		}
		found, _ := carriers(t, tree)
		for _, id := range []string{"U1", "U4"} {
			if len(found[id]) != 3 && len(found[id]) != 2 {
				t.Errorf("vectors: %s is carried by %v, want the tests that play them", id, found[id])
			}
			delete(found, id)
		}
		if got := strings.Join(slices.Sorted(maps.Keys(found)), " "); got != want {
			t.Errorf("%s\ncarries %q, want %q", src, got, want)
		}
	}
}
