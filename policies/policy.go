package policies

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
)

// modes of a policy.
const (
	modeEnforce = "enforce"
	modeWarn    = "warn"   // ranks; its denials become warnings
	modeShadow  = "shadow" // neither ranks nor vetoes; listed
	modeOff     = "off"    // as if it were not there
)

// guardrailsName is what decisions call the guardrails; no policy has this name.
const guardrailsName = "guardrails"

// policy is one policy, or admission.anyone, or the guardrails, ready to be
// asked.
type policy struct {
	name, title, reviewBy string
	description           string
	authors               []string
	kind                  kind
	file                  string
	line                  int
	unit                  *runtime
	mode                  string
	priority              int
	registrations         []string
	entries               []*entry
	exact                 bool // every pattern names one URL
	rules                 map[string]*rule
	settings              partial            // when constant
	settled               *terms             // settings completed and bounded, when all of it is constant; no row is in it
	open                  bool               // admission.anyone: settings.open of constant settings
	list                  string             // data path of client_ids_from
	waivers               map[waived]*waiver // of the guardrails
}

// settles reports whether the policy gives settings at all.
func (p *policy) settles() bool { return p.rules["settings"] != nil }

// ranks reports whether the policy can win.
func (p *policy) ranks() bool {
	return p.settles() && (p.mode == modeEnforce || p.mode == modeWarn)
}

// settingsRule is the name of the rule that gives settings or ceiling.
func (p *policy) settingsRule() string {
	if p.kind == kindGuardrails {
		return "ceiling"
	}
	return "settings"
}

// buildPolicy makes a policy of a package. Constants are evaluated here.
func (rt *runtime) buildPolicy(ctx context.Context, p *pkg, d *reader, out *report) *policy {
	pol := &policy{name: p.name, kind: p.kind, file: p.file, line: p.line, unit: rt, mode: modeEnforce,
		registrations: []string{"cimd", "pinned"}, rules: map[string]*rule{}}
	if p.kind == kindGuardrails {
		pol.name = guardrailsName
	}
	pol.annotate(p, out)
	for name, parsed := range p.rules {
		r, err := rt.prepare(p, name, parsed, d)
		if err != nil {
			out.fail(p.file, parsed[0].Location.Row, "rego_error", "", "policy %s: rule %s: %v", pol.name, name, err)
			continue
		}
		pol.rules[name] = r
	}
	if out.failed() {
		return pol
	}
	pol.readConstants(ctx, out)
	pol.readPatterns(ctx, p, out)
	pol.readSettings(ctx, out)
	pol.readWaivers(ctx, out)
	pol.checkApplies(ctx, out)
	if out.failed() {
		return pol
	}
	pol.checkCare(out)
	pol.checkRows(out)
	pol.checkShared(out)
	return pol
}

// annotate reads the METADATA of the package.
func (p *policy) annotate(src *pkg, out *report) {
	for _, a := range src.module.Annotations {
		if a.Scope != "package" {
			continue
		}
		p.title, p.description = a.Title, a.Description
		for _, who := range a.Authors {
			s := who.Name
			if who.Email != "" {
				s = strings.TrimSpace(s + " <" + who.Email + ">")
			}
			p.authors = append(p.authors, s)
		}
		if v, ok := a.Custom["review_by"]; ok {
			p.reviewBy, ok = v.(string)
			if _, err := time.Parse(time.DateOnly, p.reviewBy); !ok || err != nil {
				out.fail(src.file, src.line, "metadata", `write review_by: "2027-03-31"`, "policy %s: custom.review_by is no date", p.name)
			}
		}
	}
}

// readConstants reads priority, mode and registrations.
func (p *policy) readConstants(ctx context.Context, out *report) {
	p.constant(ctx, "priority", out, func(v any) error {
		n, ok := v.(json.Number)
		i, err := strconv.Atoi(string(n))
		if !ok || err != nil || i < -100 || i > 100 {
			return wanted("a whole number from -100 to 100", v)
		}
		p.priority = i
		return nil
	})
	p.constant(ctx, "mode", out, func(v any) (err error) {
		p.mode, err = readEnum(modeEnforce, modeWarn, modeShadow, modeOff).read(v)
		return err
	})
	p.constant(ctx, "registrations", out, func(v any) (err error) {
		known := []string{"cimd", "pinned", "registered"}
		p.registrations, err = readSome(strings.Join(known, ", "), oneOf(known...)).read(v)
		return err
	})
}

// constant evaluates a rule at load, if the policy has it, and hands its value
// to read.
func (p *policy) constant(ctx context.Context, name string, out *report, read func(any) error) {
	r := p.rules[name]
	if r == nil {
		return
	}
	v, err := r.value(ctx)
	if err == nil {
		err = read(v)
	}
	if err != nil {
		out.fail(p.file, r.line, name+"_invalid", "", "policy %s: %s: %v", p.name, name, err)
	}
}

// readPatterns reads client_ids or the list of client_ids_from.
func (p *policy) readPatterns(ctx context.Context, src *pkg, out *report) {
	if p.kind != kindPolicy {
		return
	}
	own, from := p.rules["client_ids"], src.rules["client_ids_from"]
	switch {
	case own != nil && from != nil:
		out.fail(p.file, from[0].Location.Row, "client_ids_twice", "keep one of them", "policy %s has client_ids and client_ids_from", p.name)
	case own == nil && from == nil:
		out.fail(p.file, p.line, "client_ids_missing", "name the clients: client_ids := {\"https://…\"}", "policy %s names no client", p.name)
	case from != nil:
		at, why := bareReference(src, from)
		if why == "" && !exists(p.unit.base, at) {
			why = "does not lead to a data file"
		}
		if why != "" {
			out.fail(p.file, from[0].Location.Row, "client_ids_from_invalid", "write: client_ids_from := data.lists.partners", "policy %s: client_ids_from %s", p.name, why)
			return
		}
		p.list = strings.Join(at, ".")
		p.unit.loadList(p, at, out)
	default:
		p.constant(ctx, "client_ids", out, p.readClientIDs)
	}
	p.exact = !slices.ContainsFunc(p.entries, func(e *entry) bool { return !e.pattern.exact() })
}

// errNotRegistered explains what a policy needs that names an opaque
// client_id. Most often it is a URL that lost its scheme.
var errNotRegistered = errors.New(`it is no URL (a pattern begins with https://), so it can only be a registered client; for one of those write registrations := {"registered"}`)

func (p *policy) readClientIDs(v any) error {
	list, ok := v.([]any)
	if !ok {
		return wanted("a set of patterns", v)
	}
	for _, e := range list {
		s, ok := e.(string)
		if !ok {
			return wanted("a set of patterns", e)
		}
		pat, err := parseClientID(s)
		if err == nil && pat.opaque && !slices.Contains(p.registrations, "registered") {
			err = errNotRegistered
		}
		if err != nil {
			return fmt.Errorf("pattern %q: %w", clip(s, 200), err)
		}
		p.entries = append(p.entries, &entry{pattern: &pat, policy: p})
	}
	return nil
}

// bareReference reads client_ids_from as written: one rule, no body, a
// reference to data with constant parts.
func bareReference(src *pkg, rules []*ast.Rule) (path []string, why string) {
	r := rules[0]
	if len(rules) > 1 || r.Else != nil || r.Default || r.Head.Value == nil || len(r.Body) != 1 || !r.Body[0].Equal(ast.NewExpr(ast.BooleanTerm(true))) {
		return nil, "is not one bare reference"
	}
	ref, ok := r.Head.Value.Value.(ast.Ref)
	if v, isVar := r.Head.Value.Value.(ast.Var); isVar {
		ref, ok = ast.Ref{ast.NewTerm(v)}, true
	}
	if !ok {
		return nil, "is not one bare reference"
	}
	for _, imp := range src.module.Imports {
		if base, isRef := imp.Path.Value.(ast.Ref); isRef && ref[0].Value.Compare(imp.Name()) == 0 {
			ref = append(slices.Clone(base), ref[1:]...)
		}
	}
	path = stringPath(ref)
	if !ref.HasPrefix(ast.DefaultRootRef) || len(path) == 0 || len(path) != len(ref)-1 {
		return nil, "is not a reference to data with constant parts"
	}
	return path, ""
}
