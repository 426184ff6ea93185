package decisionlog_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"guestlist/broker/decisionlog"
)

// outcomes are all outcomes that a record may have.
var outcomes = []string{
	decisionlog.OutcomeAdmitted, decisionlog.OutcomeReused, decisionlog.OutcomeRefused, decisionlog.OutcomeHeld,
	decisionlog.OutcomePruned, decisionlog.OutcomeIssued, decisionlog.OutcomeGranted, decisionlog.OutcomeDone,
}

// memberNames are the JSON names of a record.
func memberNames() []string {
	var out []string
	for f := range reflect.TypeFor[decisionlog.Record]().Fields() {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
			out = append(out, name)
		}
	}
	return out
}

// CU-21 G-29: every event says when it is written, with which outcomes and
// members; actor is a member exactly where somebody is named.
func TestEventsCatalogue(t *testing.T) {
	t.Parallel()
	known, members := map[string]bool{}, memberNames()
	for _, e := range decisionlog.Events() {
		if known[e.Name] {
			t.Errorf("%s is there twice", e.Name)
		}
		known[e.Name] = true
		if !strings.HasSuffix(e.When, ".") || len(e.Outcomes) == 0 {
			t.Errorf("%s: when %q, outcomes %q", e.Name, e.When, e.Outcomes)
		}
		for _, o := range e.Outcomes {
			if !slices.Contains(outcomes, o) {
				t.Errorf("%s: there is no outcome %q", e.Name, o)
			}
		}
		all := slices.Concat(e.Has, e.May)
		for _, m := range all {
			if !slices.Contains(members, m) {
				t.Errorf("%s: there is no member %q", e.Name, m)
			}
		}
		if named := slices.Contains(all, "actor"); named != (e.Actor != "") {
			t.Errorf("%s: actor is a member: %v, and described as %q", e.Name, named, e.Actor)
		}
	}
	for _, a := range decisionlog.Aliases() {
		if known[a.Name] || !strings.HasSuffix(a.When, ".") || len(a.Means) == 0 {
			t.Errorf("alias %s: an event too, or not described", a.Name)
		}
		for _, s := range a.Means {
			i := slices.IndexFunc(decisionlog.Events(), func(e decisionlog.Event) bool { return e.Name == s.Event })
			if i < 0 || s.Outcome != "" && !slices.Contains(decisionlog.Events()[i].Outcomes, s.Outcome) {
				t.Errorf("alias %s means %+v, which no record is", a.Name, s)
			}
		}
	}
	for _, name := range demanded {
		if len(decisionlog.Select(name)) == 0 {
			t.Errorf("Select(%q) = nothing; auditors ask for it", name)
		}
	}
}

// demanded are the names of the requirements: G-29's, H-10's and the log's own.
var demanded = strings.Fields(`admission.decided document.fetched document.rejected document.changed document.withdrawn
	document.pinned document.approved document.unpinned client.created client.refreshed client.expired client.pruned
	client.blocked client.unblocked client.revoked client.keys_changed person.signed_in person.sign_in_failed
	person.signed_out consent.granted consent.refused consent.withdrawn token.issued token.refreshed
	token.repeated_in_grace token.reuse_detected token.replay_detected token.revoked token.introspected grant.ended
	policy.activated policy.rejected facts.changed facts.rejected keys.rotated config.reloaded admin.request log.exported
	client.admitted client.refused client.held client.changed client.deleted policy.loaded policy.failed`)

func TestSelect(t *testing.T) {
	t.Parallel()
	created := decisionlog.Record{Event: "admission.decided", Outcome: "admitted"}
	refreshed := created
	refreshed.Refreshed = true
	invalid := decisionlog.Record{Event: "admission.decided", Outcome: "refused", PublicReason: "document_invalid"}
	for _, tt := range []struct {
		name string
		r    decisionlog.Record
		want bool
	}{
		{"admission.decided", created, true},
		{"client.created", created, true},
		{"client.created", refreshed, false},
		{"client.refreshed", refreshed, true},
		{"client.refreshed", created, false},
		{"client.refreshed", decisionlog.Record{Event: "document.fetched", Outcome: "done"}, true},
		{"document.rejected", invalid, true},
		{"document.rejected", decisionlog.Record{Event: "admission.decided", Outcome: "refused", PublicReason: "try_later"}, false},
		{"document.", decisionlog.Record{Event: "document.pinned"}, true},
		{"document.", created, false},
		{"document", decisionlog.Record{Event: "document.pinned"}, false},
		{"", created, false},
		{"no.such", created, false},
	} {
		got := slices.ContainsFunc(decisionlog.Select(tt.name), func(s decisionlog.Selection) bool { return s.Holds(tt.r) })
		if got != tt.want {
			t.Errorf("Select(%q) holds %s %s = %v, want %v", tt.name, tt.r.Event, tt.r.Outcome, got, tt.want)
		}
	}
}

// CU-21 G-29: no author writes an event by a name of its own.
func TestEventsByConstant(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	seen := 0
	for _, dir := range []string{"broker", "server", "store", "cmd"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") ||
				strings.Contains(path, "storetest") || strings.HasSuffix(path, filepath.Join("decisionlog", "events.go")) {
				return err
			}
			src, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			found, n := eventLiterals(t, path, src)
			seen += n
			for _, f := range found {
				t.Errorf("%s: write the constant of package decisionlog, which documents it", f)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if seen < 20 {
		t.Errorf("%d places name an event: the search finds nothing", seen)
	}
	bad := `package p; func f() { r := Record{Event: "x.y"}; r.Event = "x.y"; s.note(v, "x.y", o); log.Str("event", "token.issued"); g("token.issued") }`
	if found, _ := eventLiterals(t, "bad.go", []byte(bad)); len(found) != 4 {
		t.Errorf("eventLiterals(%s) = %q, want 4", bad, found)
	}
}

// authors are the functions that take the name of an event.
var authors = []string{"note", "event", "tell", "act", "actRecord", "recordAct", "endGrant", "stageToken", "tokenRecord"}

// eventLiterals finds string literals where an event is named, and any that is
// the name of an event; n is how often a constant stands there.
func eventLiterals(t *testing.T, path string, src []byte) (found []string, n int) {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, src, 0)
	if err != nil {
		t.Fatal(err)
	}
	note := func(e ast.Expr, named bool) {
		switch e := e.(type) {
		case *ast.BasicLit:
			text, _ := strconv.Unquote(e.Value)
			known := slices.ContainsFunc(decisionlog.Events(), func(x decisionlog.Event) bool { return x.Name == text })
			if e.Kind == token.STRING && (known || named && strings.Contains(text, ".")) {
				found = append(found, set.Position(e.Pos()).String()+" "+text)
			}
		case *ast.SelectorExpr:
			if strings.HasPrefix(e.Sel.Name, "Event") {
				n++
			}
		}
	}
	ast.Inspect(file, func(node ast.Node) bool {
		switch x := node.(type) {
		case *ast.KeyValueExpr:
			key, ok := x.Key.(*ast.Ident)
			note(x.Value, ok && key.Name == "Event")
		case *ast.AssignStmt:
			for i, to := range x.Lhs {
				sel, ok := to.(*ast.SelectorExpr)
				if i < len(x.Rhs) {
					note(x.Rhs[i], ok && sel.Sel.Name == "Event")
				}
			}
		case *ast.CallExpr:
			name := ""
			switch f := x.Fun.(type) {
			case *ast.SelectorExpr:
				name = f.Sel.Name
			case *ast.Ident:
				name = f.Name
			}
			for _, a := range x.Args {
				if name != "Str" { // a log line
					note(a, slices.Contains(authors, name))
				}
			}
		}
		return true
	})
	return found, n
}
