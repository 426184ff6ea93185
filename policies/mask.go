package policies

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"guestlist/broker/decisionlog"
)

// maskRule is the rule of admission.mask, and the name of its schema.
const maskRule = "mask"

// maskTime bounds the masking of one record as Config.Deadline bounds a
// decision.
const maskTime = 20 * time.Millisecond

// Operations of an element of mask, as in OPA's decision log.
const (
	opRemove = "remove"
	opUpsert = "upsert"
)

// mask is admission.mask, ready to be asked.
type mask struct {
	rule  *rule
	reads []string // members of the record that it reads
	fixed []decisionlog.Edit
}

// Masked is what became of a record that could not be masked. Its text says
// nothing of the record.
type Masked struct{ why string }

func (m *Masked) Error() string { return "mask a record: " + m.why }

// Mask returns what is to be kept of r: all of it without admission.mask. With
// an error, a *Masked, that is r without its body, and its MaskError says why;
// whoever writes r writes that. r itself is not changed.
func (s *Set) Mask(ctx context.Context, r decisionlog.Record) (out decisionlog.Record, err error) {
	if s.mask == nil {
		return r, nil
	}
	withhold := func(why string) (decisionlog.Record, error) {
		why = s.mask.rule.at(s.mask.rule.line) + ": " + why
		return r.Withhold(why), &Masked{why}
	}
	defer func() {
		if recover() != nil {
			out, err = withhold("the policy engine stopped")
		}
	}()
	edits, err := s.mask.edits(ctx, r)
	if err == nil {
		out, err = r.Mask(edits)
	}
	if err != nil {
		return withhold(maskFault(err))
	}
	return out, nil
}

// errMaskForm says that an element of mask cannot be read.
var errMaskForm = errors.New(`an element is neither a JSON pointer nor {"op": "remove", "path": …} nor {"op": "upsert", "path": …, "value": …}`)

// maskFault says what went wrong without a word of the record, which the text
// of an error may quote.
func maskFault(err error) string {
	for _, known := range []error{errMaskForm, decisionlog.ErrMaskPath, decisionlog.ErrMaskValue, decisionlog.ErrMaskSize, decisionlog.ErrMaskBody} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	var e *evalError
	if errors.As(err, &e) && e.kind != "" {
		return e.kind + " at " + e.at
	}
	return "the evaluation failed"
}

// edits are what the policies want done to r.
func (m *mask) edits(ctx context.Context, r decisionlog.Record) ([]decisionlog.Edit, error) {
	if m.rule.constant {
		return m.fixed, nil
	}
	input, err := recordTerm(r, m.reads)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, wallTime*maskTime)
	defer cancel()
	t, err := m.rule.eval(ctx, input, newBudget(ctx, maskTime))
	if err != nil {
		return nil, err
	}
	return readEdits(t)
}

// readEdits reads the value of the rule mask; nil is undefined.
func readEdits(t *ast.Term) ([]decisionlog.Edit, error) {
	if t == nil {
		return nil, nil
	}
	set, ok := t.Value.(ast.Set)
	if !ok {
		return nil, errMaskForm
	}
	size := measure{values: 20 * decisionlog.MaxEdits, text: decisionlog.MaxEditText}
	if set.Len() > decisionlog.MaxEdits || !size.fits(t) {
		return nil, decisionlog.ErrMaskSize
	}
	out := make([]decisionlog.Edit, 0, set.Len())
	err := set.Iter(func(t *ast.Term) error {
		e, err := readEdit(t)
		out = append(out, e)
		return err
	})
	return out, err
}

// readEdit reads one element.
func readEdit(t *ast.Term) (decisionlog.Edit, error) {
	v, err := fromTerm(t)
	if err != nil {
		return decisionlog.Edit{}, errMaskForm
	}
	if path, ok := v.(string); ok {
		return decisionlog.Edit{Path: path}, nil
	}
	m, _ := v.(map[string]any)
	path, ok := m["path"].(string)
	value, upserts := m["value"]
	op := opRemove
	if upserts {
		op = opUpsert
	}
	if !ok || m["op"] != op || len(m) != 2+one(upserts) {
		return decisionlog.Edit{}, errMaskForm
	}
	e := decisionlog.Edit{Path: path}
	if upserts {
		e.Value, err = json.Marshal(value)
	}
	return e, err
}

// buildMask prepares admission.mask with the libraries that it uses. They are
// compiled apart from the policies, whose input is another one.
func (s *Set) buildMask(ctx context.Context, u *unit, p *pkg, out *report) {
	about := &policy{name: p.name, kind: p.kind, file: p.file, line: p.line}
	about.annotate(p, out)
	about.checkCare(out)
	if p.rules[maskRule] == nil {
		out.fail(p.file, p.line, "mask_invalid", `write: mask contains "/input/request/source/user_agent"`, "package %s has no rule mask", p.name)
		return
	}
	part := u.usedBy(p)
	c := part.compile(part.modules, recordSchema(u.facts), out)
	if c == nil {
		return
	}
	c.checkRefs(out)
	if out.failed() {
		return
	}
	d := newReader(c.compiler)
	r, err := c.runtime().prepare(p, maskRule, p.rules[maskRule], d)
	if err != nil {
		out.fail(p.file, p.line, "rego_error", "", "package %s: rule mask: %v", p.name, err)
		return
	}
	s.mask = &mask{rule: r, reads: slices.Sorted(maps.Keys(d.all(compiledRules(c.compiler, p)[maskRule])))}
	s.readMaskClaims(s.mask, d)
	if r.constant {
		s.mask.readConstant(ctx, u.facts, out)
	}
}

// readConstant evaluates a rule that reads nothing of the record, once.
func (m *mask) readConstant(ctx context.Context, facts factsSchema, out *report) {
	ctx, cancel := context.WithTimeout(ctx, loadTime)
	defer cancel()
	t, err := m.rule.eval(ctx, nil, newBudget(ctx, loadTime))
	if err == nil {
		m.fixed, err = readEdits(t)
	}
	if err == nil {
		_, err = decisionlog.Record{}.Mask(m.fixed)
	}
	if err != nil {
		out.fail(m.rule.file, m.rule.line, "mask_invalid", "", "rule mask: %v", err)
		return
	}
	for _, e := range m.fixed {
		checkMaskPath(facts, e.Path, m.rule.file, m.rule.line, out)
	}
}

// admission are the modules that decide, and what is theirs and the mask's.
func (u *unit) admission() map[string]*ast.Module {
	out := maps.Clone(u.modules)
	for _, p := range u.packages {
		if p.kind == kindMask {
			delete(out, p.file)
		}
	}
	return out
}

// usedBy is the part of a unit that a package is and uses: libraries by their
// imports and references.
func (u *unit) usedBy(p *pkg) *unit {
	part := *u
	part.packages, part.tests = []*pkg{p}, nil
	part.modules = map[string]*ast.Module{p.file: p.module}
	for i := 0; i < len(part.packages); i++ {
		ast.WalkRefs(part.packages[i].module, func(ref ast.Ref) bool {
			for _, lib := range u.packages {
				if lib.kind == kindLibrary && part.modules[lib.file] == nil && leadsInto(ref, lib) {
					part.modules[lib.file] = lib.module
					part.packages = append(part.packages, lib)
				}
			}
			return false
		})
	}
	return &part
}

// leadsInto reports whether a reference, or an import, leads into a package.
func leadsInto(ref ast.Ref, p *pkg) bool {
	path := strings.Join(stringPath(ref), sep) + sep
	own := strings.Join(p.path, sep) + sep
	return ref.HasPrefix(ast.DefaultRootRef) && len(ref) > 1 && (strings.HasPrefix(path, own) || strings.HasPrefix(own, path))
}

// recordTerm is a record as admission.mask reads it, of its members those that
// are read.
func recordTerm(r decisionlog.Record, reads []string) (*ast.Term, error) {
	var pairs [][2]*ast.Term
	for _, m := range recordMembers {
		if !slices.Contains(reads, m.name) {
			continue
		}
		v, err := m.term(r)
		if err != nil {
			return nil, err
		}
		if v == nil {
			continue
		}
		pairs = append(pairs, [2]*ast.Term{ast.StringTerm(m.name), v})
	}
	return ast.ObjectTerm(pairs...), nil
}

// jsonTerm is a raw member of a record, nil where it has none.
func jsonTerm(raw json.RawMessage) (*ast.Term, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	v, err := ast.ValueFromReader(bytes.NewReader(raw))
	if err != nil {
		return nil, decisionlog.ErrMaskBody
	}
	return ast.NewTerm(v), nil
}
