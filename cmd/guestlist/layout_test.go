package main_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
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

// The tree's law (design §2). A package that does not fit is a reason to
// change a table here and in the design in one commit, not to bend it.

const modulePath = "guestlist"

// Limits of style: production files and functions.
const (
	maxFileLines = 300
	maxFuncLines = 50
)

// oversized names the files and functions ("dir/file.go" or
// "dir/file.go:Name") that may pass the limits. It may only ever shrink.
var oversized = []string{}

// topLevel are the only folders that may stand beside .ci and dotfiles.
var topLevel = []string{"broker", "policies", "store", "server", "cmd", "examples", "testdata"}

// Groups of the table: "broker and below", "store and below".
var (
	brokerDown = []string{"broker", "broker/cimd", "broker/disk", "broker/fetch", "broker/decisionlog"}
	storeDown  = append([]string{"store"}, brokerDown...)
	serverDown = append([]string{
		"server/admin", "server/grants", "server/issuers", "server/keys", "server/metrics", "server/pages", "server/signin", "server/tracing",
	}, storeDown...)
	everything = append([]string{
		"broker/export", "broker/rehearsal", "policies", "policies/authoring", "policies/corpus", "server", "server/servertest", "store/bolt", "store/postgres", "store/storetest",
	}, serverDown...)
)

// mayImport says which of our packages a package may import. A package that
// is missing here is a finding.
var mayImport = map[string][]string{
	"broker/cimd":         {},
	"broker/disk":         {},
	"broker/fetch":        {"broker/cimd"},
	"broker/decisionlog":  {},
	"broker/export":       {"broker/decisionlog", "broker/disk", "broker/fetch"},
	"broker":              {"broker/cimd", "broker/fetch", "broker/decisionlog"},
	"broker/rehearsal":    {"broker", "broker/cimd", "broker/fetch", "broker/decisionlog"},
	"policies":            {"broker", "broker/cimd", "broker/decisionlog"},
	"policies/authoring":  {"policies", "broker", "broker/cimd", "broker/disk"},
	"policies/corpus":     {"broker", "broker/cimd", "broker/decisionlog", "broker/rehearsal"},
	"store":               brokerDown,
	"store/bolt":          storeDown,
	"store/postgres":      storeDown,
	"store/storetest":     storeDown,
	"server/grants":       append([]string{"server/keys"}, storeDown...),
	"server/keys":         {"broker/disk"},
	"server/signin":       append([]string{"server/keys"}, storeDown...),
	"server/issuers":      storeDown,
	"server/metrics":      {"broker", "broker/decisionlog"},
	"server/pages":        {},
	"server/tracing":      {},
	"server/admin":        storeDown,
	"server":              serverDown,
	"server/servertest":   everything,
	"cmd/guestlist":       everything,
	"examples/mcp-server": {},
	"examples/mcp-client": {},
}

// testKits are packages for tests. They may do what test files may, and only
// test files and kits may import them.
var testKits = []string{"store/storetest", "server/servertest"}

// fence says where a foreign module may be imported.
type fence struct {
	module   string
	packages []string // ours; nil means everywhere
	tests    bool     // test files anywhere may import it too
}

// fences lists every foreign module that may be imported at all; a module
// that is missing here is a finding.
var fences = []fence{
	{module: "github.com/open-policy-agent/opa", packages: []string{"policies"}},
	{module: "github.com/ory/fosite", packages: []string{"server/grants"}},
	{module: "github.com/go-jose/go-jose/v3", packages: []string{"server/grants"}},
	{module: "github.com/go-jose/go-jose/v4", packages: []string{"server/keys", "examples/mcp-server"}, tests: true},
	{module: "go.etcd.io/bbolt", packages: []string{"store/bolt"}, tests: true},
	{module: "go.opentelemetry.io/proto/otlp", packages: []string{"broker/export", "server/tracing"}, tests: true},
	{module: "google.golang.org/protobuf", packages: []string{"broker/export", "server/tracing"}, tests: true},
	{module: "github.com/prometheus/client_golang", packages: []string{"server/metrics"}},
	{module: "go.opentelemetry.io/otel", packages: []string{"server/tracing"}},
	{module: "github.com/jackc/pgx/v5", packages: []string{"store/postgres"}},
	{module: "code.dny.dev/ssrf", packages: []string{"broker/fetch"}},
	{module: "github.com/gorilla/mux", packages: []string{"server"}},
	{module: "github.com/spf13/cobra", packages: []string{"cmd/guestlist"}},
	{module: "github.com/spf13/pflag", packages: []string{"cmd/guestlist"}},
	{module: "github.com/fsnotify/fsnotify", packages: []string{"cmd/guestlist"}},
	{module: "github.com/goccy/go-yaml", packages: []string{"cmd/guestlist", "server/signin", "policies"}},
	{module: "github.com/modelcontextprotocol/go-sdk", packages: []string{"examples/mcp-server", "examples/mcp-client"}, tests: true},
	{module: "golang.org/x/net", packages: []string{"broker/cimd", "broker/fetch"}, tests: true},
	{module: "golang.org/x/mod", packages: []string{"broker/decisionlog"}},
	{module: "github.com/rogpeppe/go-internal", packages: []string{}, tests: true},
	{module: "github.com/chromedp/chromedp", packages: []string{}, tests: true},
	{module: "github.com/chromedp/cdproto", packages: []string{}, tests: true},
	{module: "golang.org/x/sys", packages: []string{}, tests: true},
	{module: "pgregory.net/rapid", packages: []string{}, tests: true},
	{module: "github.com/google/jsonschema-go", packages: []string{}, tests: true},
	{module: "github.com/rs/zerolog"},
	{module: "golang.org/x/crypto"},
	{module: "golang.org/x/sync"},
	{module: "golang.org/x/time"},
}

// outboundNames are the ways of the standard library to reach out. Their mere
// mention is a finding outside outboundPlaces.
var outboundNames = map[string][]string{
	"net/http": {
		"Client", "DefaultClient", "Transport", "DefaultTransport", "Get", "Head", "Post", "PostForm",
		"NewRequest", "NewRequestWithContext",
	},
	"net": {
		"Dial", "DialTimeout", "DialTCP", "DialUDP", "DialIP", "DialUnix", "Dialer", "Resolver", "DefaultResolver",
		"LookupHost", "LookupIP", "LookupAddr", "LookupCNAME", "LookupMX", "LookupNS", "LookupPort", "LookupSRV", "LookupTXT",
		"ResolveTCPAddr", "ResolveUDPAddr", "ResolveIPAddr",
	},
	"crypto/tls": {"Dial", "DialWithDialer", "Dialer"},
}

// outboundImports are packages of the standard library that reach out, or
// start programs that can.
var outboundImports = []string{"net/http/httputil", "net/rpc", "net/rpc/jsonrpc", "net/smtp", "net/textproto", "os/exec", "plugin"}

// outboundPlaces are the files that may reach out: the guarded door, the two
// ends of the admin socket (a Unix socket; its server asks whether another
// process still holds it), the development demo, and the examples.
var outboundPlaces = []string{
	"broker/fetch/*.go",
	"server/admin/client.go",
	"server/admin/socket.go",
	"cmd/guestlist/dev*.go",
	"examples/*/*.go",
}

// unfinished are words that mark unfinished work; they are put together here
// so that this file does not contain them.
var unfinished = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|X` + `XX)\b`)

// TestLayout holds issue A 1: imports, fences, outbound calls and sizes.
func TestLayout(t *testing.T) {
	findings, files := checkTree(t, os.DirFS(moduleRoot(t)))
	if files < 100 {
		t.Errorf("checked %d Go files, want the whole module", files)
	}
	for _, f := range findings {
		t.Error(f)
	}
}

// moduleRoot is the folder of go.mod, found from here upward.
func moduleRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("no go.mod here or above")
		}
		dir = up
	}
}

// checkTree reports what in a module breaks the law, and how many Go files it
// looked at.
func checkTree(t *testing.T, tree fs.FS) (findings []string, files int) {
	t.Helper()
	used := map[string]bool{}
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := strings.HasPrefix(d.Name(), ".") && name != "."
		switch {
		case d.IsDir() && (hidden || d.Name() == "testdata"):
			return fs.SkipDir
		case d.IsDir() && name != "." && !strings.Contains(name, "/") && !slices.Contains(topLevel, name):
			findings = append(findings, fmt.Sprintf("%s: folder at the top level, which is fixed: %s", name, strings.Join(topLevel, " ")))
			return fs.SkipDir
		case d.IsDir() || hidden || path.Ext(name) != ".go":
			return nil
		}
		src, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		files++
		findings = append(findings, checkFile(name, src, used)...)
		return nil
	})
	if err != nil {
		t.Fatalf("walk the module: %v", err)
	}
	for _, name := range oversized {
		if !used[name] {
			findings = append(findings, fmt.Sprintf("%s: named as oversized but it is not; drop the exception", name))
		}
	}
	return findings, files
}

// source is one parsed Go file.
type source struct {
	name string // slash separated, from the module root
	pkg  string // folder
	test bool   // a test file or part of a test kit
	set  *token.FileSet
	file *ast.File
	used map[string]bool // exceptions met so far
	out  []string        // findings
}

// report adds a finding.
func (s *source) report(pos token.Pos, format string, args ...any) {
	where := s.name
	if pos.IsValid() {
		where += ":" + strconv.Itoa(s.set.Position(pos).Line)
	}
	s.out = append(s.out, where+": "+fmt.Sprintf(format, args...))
}

// checkFile holds one file against every table.
func checkFile(name string, src []byte, used map[string]bool) []string {
	s := &source{name: name, pkg: path.Dir(name), set: token.NewFileSet(), used: used}
	s.test = strings.HasSuffix(name, "_test.go") || slices.Contains(testKits, s.pkg)
	var err error
	s.file, err = parser.ParseFile(s.set, name, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return []string{fmt.Sprintf("%s: %v", name, err)}
	}
	if word := unfinished.Find(src); word != nil {
		s.report(token.NoPos, "contains %s", word)
	}
	s.checkImports()
	s.checkInit()
	if !s.test {
		s.checkOutbound()
		s.checkSizes(src)
	}
	return s.out
}

// checkImports holds the import table and the fences.
func (s *source) checkImports() {
	allowed, known := mayImport[s.pkg]
	if !known {
		s.report(token.NoPos, "package %s is not in the table", s.pkg)
		return
	}
	for _, spec := range s.file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			s.report(spec.Pos(), "import path %s", spec.Path.Value)
			continue
		}
		if ours, ok := strings.CutPrefix(imported, modulePath+"/"); ok {
			if !slices.Contains(allowed, ours) && !s.mayTest(ours) {
				s.report(spec.Pos(), "%s must not import %s", s.pkg, ours)
			}
			if !s.test && slices.Contains(testKits, ours) {
				s.report(spec.Pos(), "%s is for tests", ours)
			}
			continue
		}
		s.checkForeign(spec.Pos(), imported)
	}
}

// mayTest reports whether this is a test file that may import a package of
// ours beyond the table: everything but commands. Examples stay free of us,
// and a kit keeps to its row.
func (s *source) mayTest(ours string) bool {
	return strings.HasSuffix(s.name, "_test.go") && !strings.HasPrefix(s.pkg, "examples/") && slices.Contains(everything, ours)
}

// checkForeign holds the fences for one import.
func (s *source) checkForeign(pos token.Pos, imported string) {
	first, _, _ := strings.Cut(imported, "/")
	if !strings.Contains(first, ".") { // the standard library
		if imported == "C" {
			s.report(pos, "cgo: the program is one static binary")
		}
		return
	}
	for _, f := range fences {
		if imported != f.module && !strings.HasPrefix(imported, f.module+"/") {
			continue
		}
		if f.packages != nil && !slices.Contains(f.packages, s.pkg) && !(s.test && f.tests) {
			s.report(pos, "%s must not import %s, which is fenced in %v", s.pkg, imported, f.packages)
		}
		return
	}
	s.report(pos, "%s is in no fence", imported)
}

// checkInit refuses init functions.
func (s *source) checkInit() {
	for _, d := range s.file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
			s.report(f.Pos(), "func init")
		}
	}
}

// checkOutbound refuses every way out but the named ones.
func (s *source) checkOutbound() {
	for _, place := range outboundPlaces {
		if ok, err := path.Match(place, s.name); ok && err == nil {
			return
		}
	}
	local := map[string][]string{} // name in this file: what must not be mentioned of it
	for _, spec := range s.file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // reported by checkImports
		}
		if slices.Contains(outboundImports, imported) {
			s.report(spec.Pos(), "%s reaches out", imported)
		}
		names, ok := outboundNames[imported]
		switch {
		case !ok:
		case spec.Name == nil:
			local[path.Base(imported)] = names
		case spec.Name.Name == ".":
			s.report(spec.Pos(), "dot import of %s hides ways out", imported)
		default:
			local[spec.Name.Name] = names
		}
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok && slices.Contains(local[x.Name], sel.Sel.Name) {
				s.report(sel.Pos(), "%s.%s outside the outbound door", x.Name, sel.Sel.Name)
			}
		}
		return true
	})
}

// checkSizes holds the limits of files and functions.
func (s *source) checkSizes(src []byte) {
	lines := strings.Count(string(src), "\n")
	if lines > maxFileLines && !s.excepted(s.name) {
		s.report(token.NoPos, "%d lines, want at most %d", lines, maxFileLines)
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		name := "func literal"
		switch f := n.(type) {
		case *ast.FuncDecl:
			name = f.Name.Name
			if isTable(f) {
				return true
			}
		case *ast.FuncLit:
		default:
			return true
		}
		long := s.set.Position(n.End()).Line - s.set.Position(n.Pos()).Line + 1
		if long > maxFuncLines && !s.excepted(s.name+":"+name) {
			s.report(n.Pos(), "%s has %d lines, want at most %d", name, long, maxFuncLines)
		}
		return true
	})
}

// isTable reports whether f does nothing but return one composite literal;
// tables may be as long as their subject. Function literals in it are measured
// like any others.
func isTable(f *ast.FuncDecl) bool {
	if f.Body == nil || len(f.Body.List) != 1 {
		return false
	}
	ret, ok := f.Body.List[0].(*ast.ReturnStmt)
	if !ok || len(ret.Results) != 1 {
		return false
	}
	_, ok = ret.Results[0].(*ast.CompositeLit)
	return ok
}

// excepted reports whether name may pass a limit.
func (s *source) excepted(name string) bool {
	if !slices.Contains(oversized, name) {
		return false
	}
	s.used[name] = true
	return true
}

// TestLayoutFindings plants one fault at a time in a tree that has none.
func TestLayoutFindings(t *testing.T) {
	lines := func(n int) string { return strings.Repeat("\t_ = 0\n", n) }
	rows := strings.Repeat("\t\t0,\n", 2*maxFuncLines)
	good := map[string]string{
		"go.mod":                          "module guestlist\n",
		".ci/run":                         "#!/bin/sh\n",
		"testdata/old.go":                 "package anything\n\nimport _ \"example.com/elsewhere\"\n",
		"broker/broker.go":                "package broker\n\nimport (\n\t\"net/http\"\n\n\t\"guestlist/broker/cimd\"\n)\n\nvar _ = cimd.Parse\nvar _ http.Header\n",
		"broker/broker_test.go":           "package broker_test\n\nimport (\n\t\"net/http\"\n\n\t_ \"guestlist/store/bolt\"\n\t_ \"pgregory.net/rapid\"\n)\n\nvar _ = http.Get\n",
		"broker/cimd/id.go":               "package cimd\n\nfunc Parse() {\n" + lines(maxFuncLines-2) + "}\n\nfunc table() []int {\n\treturn []int{\n" + rows + "\t}\n}\n",
		"broker/fetch/guarded.go":         "package fetch\n\nimport (\n\t\"net/http\"\n\n\t_ \"code.dny.dev/ssrf\"\n)\n\nvar _ http.Client\n",
		"cmd/guestlist/devdemo.go":        "package main\n\nimport \"net/http\"\n\nvar _ http.Client\n",
		"examples/mcp-server/main.go":     "package main\n\nimport \"net/http\"\n\nvar _ = http.Get\n",
		"policies/load.go":                "package policies\n\nimport _ \"github.com/open-policy-agent/opa/v1/ast\"\n",
		"server/keys/jwt.go":              "package keys\n\nimport _ \"github.com/go-jose/go-jose/v4\"\n",
		"server/server.go":                "package server\n\nimport _ \"github.com/gorilla/mux\"\n\ntype T struct{}\n\nfunc (T) init() {}\n",
		"store/bolt/store.go":             "package bolt\n\nimport _ \"go.etcd.io/bbolt\"\n",
		"store/bolt/long_test.go":         "package bolt_test\n" + strings.Repeat("\n", 2*maxFileLines),
		"policies/starter/guest.rego":     "package admission\n",
		"examples/mcp-client/call.go":     "package main\n\nimport _ \"github.com/modelcontextprotocol/go-sdk/mcp\"\n",
		"server/grants/compose.go":        "package grants\n\nimport _ \"github.com/ory/fosite\"\n",
		"server/admin/client.go":          "package admin\n\nimport \"net\"\n\nvar _ net.Dialer\n",
		"broker/decisionlog/export.go":    "package decisionlog\n\nimport _ \"github.com/rs/zerolog\"\n",
		"server/grants/compose_test.go":   "package grants_test\n\nimport _ \"github.com/go-jose/go-jose/v4\"\n",
		"cmd/guestlist/example_test.go":   "package main_test\n\nimport _ \"github.com/modelcontextprotocol/go-sdk/mcp\"\n",
		"server/signin/people.go":         "package signin\n\nimport _ \"github.com/goccy/go-yaml\"\n",
		"cmd/guestlist/main.go":           "package main\n\nimport _ \"github.com/spf13/cobra\"\n",
		"cmd/guestlist/watch.go":          "package main\n\nimport _ \"github.com/fsnotify/fsnotify\"\n",
		"server/servertest/browser.go":    "package servertest\n\nimport (\n\t\"net/http\"\n\n\t_ \"golang.org/x/net/html\"\n\t_ \"guestlist/store/bolt\"\n)\n\nvar _ http.Client\n",
		"server/server_test.go":           "package server_test\n\nimport _ \"guestlist/server/servertest\"\n",
		"server/pages/testdata/golden.go": "not Go at all",
	}
	tests := []struct {
		name, file, content, want string
	}{
		{"nothing planted", "broker/cimd/doc.go", "package cimd\n", ""},
		{"broker imports server", "broker/life.go", "package broker\n\nimport _ \"guestlist/server\"\n", "broker must not import server"},
		{"broker imports policies", "broker/life.go", "package broker\n\nimport _ \"guestlist/policies\"\n", "broker must not import policies"},
		{"server imports policies", "server/edge.go", "package server\n\nimport _ \"guestlist/policies\"\n", "server must not import policies"},
		{"server imports a store", "server/edge.go", "package server\n\nimport _ \"guestlist/store/bolt\"\n", "server must not import store/bolt"},
		{"policies import store", "policies/set.go", "package policies\n\nimport _ \"guestlist/store\"\n", "policies must not import store"},
		{"cimd imports ours", "broker/cimd/doc.go", "package cimd\n\nimport _ \"guestlist/broker/fetch\"\n", "broker/cimd must not import broker/fetch"},
		{"example imports ours", "examples/mcp-server/verify.go", "package main\n\nimport _ \"guestlist/server/keys\"\n", "examples/mcp-server must not import server/keys"},
		{"example's test imports ours", "examples/mcp-server/verify_test.go", "package main\n\nimport _ \"guestlist/server/keys\"\n", "examples/mcp-server must not import server/keys"},
		{"test imports a command", "broker/life_test.go", "package broker_test\n\nimport _ \"guestlist/cmd/guestlist\"\n", "broker must not import cmd/guestlist"},
		{"package not in the table", "broker/utils/u.go", "package utils\n", "package broker/utils is not in the table"},
		{"package at the root", "root.go", "package guestlist\n", "package . is not in the table"},
		{"OPA outside policies", "broker/life.go", "package broker\n\nimport _ \"github.com/open-policy-agent/opa/v1/rego\"\n", "fenced in [policies]"},
		{"OPA in another's test", "broker/life_test.go", "package broker_test\n\nimport _ \"github.com/open-policy-agent/opa/v1/rego\"\n", "fenced in [policies]"},
		{"Fosite outside grants", "server/token.go", "package server\n\nimport _ \"github.com/ory/fosite\"\n", "fenced in [server/grants]"},
		{"go-jose v3 outside grants", "server/keys/old.go", "package keys\n\nimport _ \"github.com/go-jose/go-jose/v3\"\n", "fenced in [server/grants]"},
		{"go-jose v4 outside keys", "server/token.go", "package server\n\nimport _ \"github.com/go-jose/go-jose/v4/jwt\"\n", "fenced in [server/keys"},
		{"bbolt outside its store", "store/store.go", "package store\n\nimport _ \"go.etcd.io/bbolt\"\n", "fenced in [store/bolt]"},
		{"ssrf outside fetch", "broker/life.go", "package broker\n\nimport _ \"code.dny.dev/ssrf\"\n", "fenced in [broker/fetch]"},
		{"mux outside server", "server/admin/api.go", "package admin\n\nimport _ \"github.com/gorilla/mux\"\n", "fenced in [server]"},
		{"cobra outside cmd", "server/edge.go", "package server\n\nimport _ \"github.com/spf13/cobra\"\n", "fenced in [cmd/guestlist]"},
		{"pflag outside cmd", "server/edge.go", "package server\n\nimport _ \"github.com/spf13/pflag\"\n", "fenced in [cmd/guestlist]"},
		{"fsnotify outside cmd", "policies/set.go", "package policies\n\nimport _ \"github.com/fsnotify/fsnotify\"\n", "fenced in [cmd/guestlist]"},
		{"YAML outside its three", "server/edge.go", "package server\n\nimport _ \"github.com/goccy/go-yaml/ast\"\n", "fenced in [cmd/guestlist server/signin policies]"},
		{"MCP SDK in production", "server/edge.go", "package server\n\nimport _ \"github.com/modelcontextprotocol/go-sdk/mcp\"\n", "fenced in [examples/mcp-server examples/mcp-client]"},
		{"test kit in production", "broker/life.go", "package broker\n\nimport _ \"pgregory.net/rapid\"\n", "fenced in []"},
		{"kit in production", "cmd/guestlist/serve.go", "package main\n\nimport _ \"guestlist/server/servertest\"\n", "server/servertest is for tests"},
		{"kit beyond its row", "store/storetest/suite.go", "package storetest\n\nimport _ \"guestlist/server\"\n", "store/storetest must not import server"},
		{"unknown module", "broker/life.go", "package broker\n\nimport _ \"example.com/elsewhere\"\n", "example.com/elsewhere is in no fence"},
		{"module with a longer name", "policies/set.go", "package policies\n\nimport _ \"github.com/open-policy-agent/opax\"\n", "is in no fence"},
		{"cgo", "broker/life.go", "package broker\n\nimport \"C\"\n", "cgo"},
		{"stray client", "broker/life.go", "package broker\n\nimport \"net/http\"\n\nvar c = &http.Client{}\n", "http.Client outside the outbound door"},
		{"stray client under another name", "broker/life.go", "package broker\n\nimport web \"net/http\"\n\nvar c = new(web.Client)\n", "web.Client outside the outbound door"},
		{"stray client by dot import", "broker/life.go", "package broker\n\nimport . \"net/http\"\n\nvar c = &Client{}\n", "dot import of net/http"},
		{"stray get", "server/edge.go", "package server\n\nimport \"net/http\"\n\nfunc f() { http.Get(\"x\") }\n", "http.Get outside the outbound door"},
		{"stray default client", "server/edge.go", "package server\n\nimport \"net/http\"\n\nvar c = http.DefaultClient\n", "http.DefaultClient outside the outbound door"},
		{"stray transport", "server/edge.go", "package server\n\nimport \"net/http\"\n\nvar c = http.Transport{}\n", "http.Transport outside the outbound door"},
		{"stray request", "server/edge.go", "package server\n\nimport \"net/http\"\n\nvar c = http.NewRequestWithContext\n", "http.NewRequestWithContext outside the outbound door"},
		{"stray dialer", "cmd/guestlist/serve.go", "package main\n\nimport \"net\"\n\nvar d net.Dialer\n", "net.Dialer outside the outbound door"},
		{"stray dial", "server/admin/api.go", "package admin\n\nimport \"net\"\n\nvar d = net.Dial\n", "net.Dial outside the outbound door"},
		{"stray look-up", "policies/set.go", "package policies\n\nimport \"net\"\n\nvar d = net.LookupHost\n", "net.LookupHost outside the outbound door"},
		{"stray TLS dial", "server/edge.go", "package server\n\nimport \"crypto/tls\"\n\nvar d = tls.Dial\n", "tls.Dial outside the outbound door"},
		{"stray program", "server/edge.go", "package server\n\nimport _ \"os/exec\"\n", "os/exec reaches out"},
		{"long file", "broker/life.go", "package broker\n" + strings.Repeat("\n", maxFileLines), "301 lines, want at most 300"},
		{"long function", "broker/life.go", "package broker\n\nfunc f() {\n" + lines(maxFuncLines-1) + "}\n", "f has 51 lines, want at most 50"},
		{"long method", "broker/life.go", "package broker\n\ntype T int\n\nfunc (T) M() {\n" + lines(maxFuncLines-1) + "}\n", "M has 51 lines, want at most 50"},
		{"long literal", "broker/life.go", "package broker\n\nvar f = func() {\n" + lines(maxFuncLines-1) + "}\n", "func literal has 51 lines, want at most 50"},
		{"long function around a table", "broker/life.go", "package broker\n\nfunc f() []int {\n\tprintln()\n\treturn []int{\n" + rows + "\t}\n}\n", "f has 105 lines, want at most 50"},
		{"long function in a table", "broker/life.go", "package broker\n\nfunc f() []any {\n\treturn []any{func() {\n" + lines(maxFuncLines-1) + "\t}}\n}\n", "func literal has 51 lines, want at most 50"},
		{"init", "broker/life.go", "package broker\n\nfunc init() {}\n", "func init"},
		{"init in a test", "broker/life_test.go", "package broker_test\n\nfunc init() {}\n", "func init"},
		{"unfinished", "broker/life.go", "package broker\n\n// TO" + "DO: more\n", "contains TO" + "DO"},
		{"unfinished test", "broker/life_test.go", "package broker_test\n\n// FIX" + "ME\n", "contains FIX" + "ME"},
		{"top-level folder", "internal/x.txt", "x\n", "internal: folder at the top level"},
		{"no Go", "broker/life.go", "pakcage broker\n", "expected 'package'"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tree := fstest.MapFS{}
			for name, content := range good {
				tree[name] = &fstest.MapFile{Data: []byte(content)}
			}
			tree[tt.file] = &fstest.MapFile{Data: []byte(tt.content)}
			got, _ := checkTree(t, tree)
			switch {
			case tt.want == "" && len(got) > 0:
				t.Errorf("findings = %q, want none", got)
			case tt.want != "" && (len(got) != 1 || !strings.Contains(got[0], tt.want)):
				t.Errorf("findings = %q, want one that says %q", got, tt.want)
			case tt.want != "" && !strings.HasPrefix(got[0], strings.TrimSuffix(tt.file, "/x.txt")):
				t.Errorf("finding %q does not begin with the place %s", got[0], tt.file)
			}
		})
	}
}
