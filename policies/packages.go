package policies

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// pkg is one package of a unit, in one file.
type pkg struct {
	kind   kind
	name   string // the policy's name; else the package path
	path   []string
	file   string
	line   int
	module *ast.Module // as parsed
	rules  map[string][]*ast.Rule
}

// unit is what is compiled together: the policy root, or a guardrails root of
// its own.
type unit struct {
	source   *source
	own      bool // a guardrails root
	base     map[string]any
	packages []*pkg
	tests    map[string]*ast.Module
	modules  map[string]*ast.Module
	byPath   map[string]*pkg   // package path, joined
	paths    map[string]string // full path of every rule, joined, to its file
	facts    factsSchema
}

// sep joins paths; it cannot be part of a name that is written in Rego by
// accident.
const sep = "\x00"

var policyName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// parseUnit parses every module of a source and checks who defines what.
func parseUnit(s *source, own bool, out *report) *unit {
	u := &unit{source: s, own: own, base: s.loadData(out),
		tests: map[string]*ast.Module{}, modules: map[string]*ast.Module{},
		byPath: map[string]*pkg{}, paths: map[string]string{}}
	opts := ast.ParserOptions{RegoVersion: ast.RegoV1, ProcessAnnotation: true, Capabilities: capabilities()}
	for _, f := range s.files {
		if !isRego(f.path) {
			continue
		}
		name := s.name(f)
		m, err := ast.ParseModuleWithOpts(name, string(f.body), opts)
		if err != nil {
			reportAST(err, name, out)
			continue
		}
		if m == nil || m.Package == nil {
			out.fail(name, 0, "empty_module", "delete the file or give it a package", "the file has no package")
			continue
		}
		if isTest(f.path) {
			u.tests[name] = m
			continue
		}
		u.modules[name] = m
		u.addPackage(name, m, out)
		if len(u.packages) > maxPackages {
			s.outgrown(out, "packages", maxPackages)
			return u
		}
	}
	for _, p := range u.packages {
		u.checkPackage(p, out)
		p.checkNegations(out)
		p.checkOpenings(out)
		p.checkPatternCalls(out)
		p.checkArguments(out)
		p.checkOperands(out)
	}
	u.checkCopies(out)
	return u
}

// reportAST turns the engine's errors into findings.
func reportAST(err error, file string, out *report) {
	var many ast.Errors
	if !errors.As(err, &many) {
		var single *ast.Error
		if !errors.As(err, &single) {
			out.fail(file, 0, "rego_error", "", "%v", err)
			return
		}
		many = ast.Errors{single}
	}
	for _, e := range many {
		line := 0
		if e.Location != nil {
			file, line = e.Location.File, e.Location.Row
		}
		code, remedy := explainAST(e)
		out.fail(file, line, code, remedy, "%s", e.Message)
	}
}

// stringPath reads the constant strings of a reference after its head.
func stringPath(ref ast.Ref) []string {
	var out []string
	for _, t := range ref[1:] {
		s, ok := t.Value.(ast.String)
		if !ok {
			break
		}
		out = append(out, string(s))
	}
	return out
}

func (u *unit) addPackage(file string, m *ast.Module, out *report) {
	p := &pkg{file: file, line: 1, module: m, path: stringPath(m.Package.Path), rules: map[string][]*ast.Rule{}}
	if m.Package.Location != nil {
		p.line = m.Package.Location.Row
	}
	p.name = strings.Join(p.path, ".")
	if p.path[0] == "admission" && !p.classify(u.own) {
		code, remedy := "package_unknown", "policies are packages admission.policies.<name>; beside them stand admission.guardrails, admission.defaults, admission.anyone and admission.mask"
		if u.own {
			code, remedy = "package_not_guardrails", "the guardrails root holds admission.guardrails, its data and its libraries"
		}
		out.fail(file, p.line, code, remedy, "package %s has no place here", p.name)
		return
	}
	if old := u.byPath[strings.Join(p.path, sep)]; old != nil {
		out.fail(file, p.line, "package_twice", "keep each package in one file", "package %s is also in %s", strings.Join(p.path, "."), old.file)
		return
	}
	u.byPath[strings.Join(p.path, sep)] = p
	u.packages = append(u.packages, p)
}

// classify finds the kind of a package below admission.
func (p *pkg) classify(own bool) bool {
	switch {
	case len(p.path) == 2 && p.path[1] == "guardrails":
		p.kind = kindGuardrails
		return true
	case own:
		return false
	case len(p.path) == 2 && p.path[1] == "defaults":
		p.kind = kindDefaults
	case len(p.path) == 2 && p.path[1] == "anyone":
		p.kind, p.name = kindAnyone, "anyone"
	case len(p.path) == 2 && p.path[1] == "mask":
		p.kind = kindMask
	case len(p.path) == 3 && p.path[1] == "policies" && policyName.MatchString(p.path[2]) &&
		!slices.Contains([]string{"anyone", "defaults", "guardrails"}, p.path[2]):
		p.kind, p.name = kindPolicy, p.path[2]
	default:
		return false
	}
	return true
}

// checkPackage looks at the rules of a package as written.
func (u *unit) checkPackage(p *pkg, out *report) {
	specs := p.kind.specs()
	for _, r := range p.module.Rules {
		ref := r.Head.Ref()
		full := append(slices.Clone(p.path), headPath(ref)...)
		u.checkPath(p, full, r.Location, out)
		name := string(ref[0].Value.(ast.Var))
		if specs == nil && !u.own && strings.HasPrefix(name, "client_ids") {
			out.warn(p.file, p.line, "package_unknown", "to make it a policy, write package admission.policies.NAME", "package %s has %s and is no policy, so that nobody is admitted by it", p.name, name)
		}
		if specs == nil && !u.own && name == "mask" && r.Head.RuleKind() == ast.MultiValue { // system.log.mask is OPA's own
			out.warn(p.file, p.line, "package_unknown", "to mask records, write package admission.mask", "package %s has mask and is not the mask, so that no record is masked by it", p.name)
		}
		if specs == nil || strings.HasPrefix(name, "_") {
			continue
		}
		spec, ok := specs[name]
		if !ok {
			out.fail(p.file, r.Location.Row, "rule_unknown", misspelt(name, p.kind), "package %s: %s is no rule of %s", p.name, name, contractName)
			continue
		}
		p.rules[name] = append(p.rules[name], r)
		if why, remedy := wrongShape(r, spec); why != "" {
			out.fail(p.file, r.Location.Row, "rule_shape", remedy, "package %s: rule %s %s", p.name, name, why)
		}
	}
}

// headPath returns the constant names of a rule head.
func headPath(ref ast.Ref) []string {
	out := []string{string(ref[0].Value.(ast.Var))}
	return append(out, stringPath(ref)...)
}

// misspelt suggests what a rule was meant to be.
func misspelt(name string, k kind) string {
	if s := didYouMean(name, names(k.specs())); s != "" {
		return s
	}
	return "helper rules begin with an underscore: _" + name
}

// wrongShape says why a rule of the contract cannot be read.
func wrongShape(r *ast.Rule, spec ruleSpec) (why, remedy string) {
	switch {
	case len(r.Head.Args) > 0:
		return "is a function", "write it as a rule without arguments"
	case len(r.Head.Ref()) > 1:
		return "has a head of several parts", "give the whole value in one rule"
	case spec.shape == shapeSet && r.Head.RuleKind() != ast.MultiValue && !r.Default:
		return "is not a set", `write: ` + r.Head.Name.String() + ` contains {"code": "…", "message": "…"} if { … }`
	case spec.shape == shapeMask && r.Head.RuleKind() != ast.MultiValue:
		return "is not a set", `write: mask contains "/input/request/source/user_agent"`
	case spec.shape == shapeValue && r.Head.RuleKind() == ast.MultiValue && !slices.Contains([]string{"client_ids", "registrations", "waivers"}, r.Head.Name.String()):
		return "is a set", "give one value with :="
	}
	return "", ""
}

// checkPath holds: one path, one file; and no rule reaches into another
// package.
func (u *unit) checkPath(p *pkg, full []string, at *ast.Location, out *report) {
	key := strings.Join(full, sep)
	if file, ok := u.paths[key]; ok && file != p.file {
		out.fail(p.file, at.Row, "path_twice", "keep each rule in one file", "data.%s is also defined in %s", strings.Join(full, "."), file)
		return
	}
	u.paths[key] = p.file
	for i := len(p.path) + 1; i <= len(full); i++ {
		if other := u.byPath[strings.Join(full[:i], sep)]; other != nil {
			out.fail(p.file, at.Row, "head_leaves_package", "define it in "+other.file, "data.%s belongs to another package", strings.Join(full, "."))
		}
	}
	if len(full) > 0 && full[0] == "admission" && p.kind == kindLibrary {
		out.fail(p.file, at.Row, "head_leaves_package", "", "data.%s is below admission", strings.Join(full, "."))
	}
}
