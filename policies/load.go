package policies

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/open-policy-agent/opa/v1/version"

	"guestlist/broker"
)

// defaultDeadline bounds one decision where Config does not.
const defaultDeadline = 50 * time.Millisecond

// Config says what to load. The zero value loads a set that admits nobody.
type Config struct {
	// FS is the root that holds .rego files and data.json or data.yaml files;
	// the directory of a data file is its path below data. Files named
	// *_test.rego are checked and take no part in decisions. Nil means empty.
	FS fs.FS
	// Guardrails is a root of its own for admission.guardrails, its data and
	// its libraries; FS may then not define that package. Nil means that
	// admission.guardrails may come from FS.
	Guardrails fs.FS
	// Maxima bound the settings of every policy: a partial settings object
	// with the names that policies use. Nil means no bound.
	Maxima map[string]any
	// Facts are the values of input.facts, as WithFacts takes them: what they
	// leave out has its default. Nil means all defaults.
	Facts map[string]any
	// Deadline bounds one decision; each matching policy has an equal share. It
	// counts time in which the evaluation ran: pauses of a busy machine count
	// in part, up to 20 times the deadline on the wall. Zero means 50 ms.
	Deadline time.Duration
	// Now is the clock for warnings about days that have passed: reviews, rows
	// and waivers. It decides nothing. Nil means that no day is looked at.
	Now func() time.Time
}

// Load reads, compiles and checks policies. It returns a complete Set and its
// warnings, or no Set, every finding, and an error that names those of severity
// error.
func Load(ctx context.Context, cfg Config) (*Set, []Finding, error) {
	out := &report{}
	if cfg.Now != nil {
		out.today = cfg.Now()
	}
	set, err := load(ctx, cfg, cfg.sources(out), out)
	if err != nil {
		return nil, out.list, err
	}
	findings, err := out.result()
	if err != nil {
		return nil, findings, err
	}
	return set, findings, nil
}

// sources reads the roots.
func (cfg Config) sources(out *report) []*source {
	sources := []*source{readSource(cfg.FS, "", out)}
	if cfg.Guardrails != nil {
		sources = append(sources, readSource(cfg.Guardrails, guardrailsLabel, out))
	}
	return sources
}

// load makes a set of what was read, the second source being the guardrails'
// own root. It reports findings on out; what it returns counts only when none is an
// error. Its own error is one that no file is to blame for.
func load(ctx context.Context, cfg Config, sources []*source, out *report) (*Set, error) {
	if cfg.Deadline < 0 {
		return nil, errors.New("load policies: the deadline is negative")
	}
	s := &Set{deadline: cfg.Deadline, maxima: readMaxima(cfg.Maxima, out), index: &index{}, keys: newInputKeys()}
	if s.deadline == 0 {
		s.deadline = defaultDeadline
	}
	units := make([]*unit, 0, len(sources))
	for i, from := range sources {
		units = append(units, parseUnit(from, i > 0, out))
	}
	if len(units) > 1 {
		refuseGuardrails(units[0], out)
	}
	s.readFacts(units, cfg.Facts, out)
	for _, u := range units {
		s.addUnit(ctx, u, out)
	}
	if out.failed() {
		return nil, nil
	}
	s.finish(out)
	s.checkWaivers(out)
	contract, err := json.Marshal([]any{broker.Contract, capabilities(), inputSchema(factsSchema{})})
	if err != nil {
		return nil, fmt.Errorf("digest the contract: %w", err)
	}
	maxima, err := json.Marshal(cfg.Maxima)
	if err != nil {
		return nil, fmt.Errorf("digest the maxima: %w", err)
	}
	s.bundle = bundleOf(maxima, sources)
	s.revision = digest(maxima, string(contract), sources...)
	s.engine = "opa/" + version.Version
	return s, nil
}

// readMaxima decodes the server maxima; they are a bound, so they name only
// what has a meet.
func readMaxima(m map[string]any, out *report) partial {
	if len(m) == 0 {
		return nil
	}
	v, err := plain(m)
	var p partial
	if err == nil {
		p, err = decodeSettings(v)
	}
	if err == nil {
		err = checkBound(p)
	}
	if err != nil {
		out.fail("maxima", 0, "maxima_invalid", "", "server maxima: %v", err)
	}
	return p
}

// refuseGuardrails holds that guardrails with a root of their own come from
// there alone.
func refuseGuardrails(u *unit, out *report) {
	for _, p := range u.packages {
		if p.kind == kindGuardrails {
			out.fail(p.file, p.line, "guardrails_twice", "move it to the guardrails root", "admission.guardrails has a root of its own")
		}
	}
}

// addUnit compiles and checks one unit and takes its policies into the set.
func (s *Set) addUnit(ctx context.Context, u *unit, out *report) {
	for _, p := range u.packages {
		p.checkDenials(out)
		p.checkMask(u.facts, out)
		p.checkNever(p.totalSchema(u.facts), out)
		p.checkWords(out)
	}
	if out.failed() {
		return
	}
	c := u.compile(u.admission(), inputSchema(u.facts), out)
	if c == nil {
		return
	}
	u.compileTests(out)
	c.checkRefs(out)
	if out.failed() {
		return
	}
	c.checkReads(out)
	if out.failed() {
		return
	}
	rt, d := c.runtime(), newReader(c.compiler)
	s.readClaims(c, d)
	for _, p := range u.packages {
		switch p.kind {
		case kindPolicy:
			s.policies = append(s.policies, rt.buildPolicy(ctx, p, d, out))
		case kindAnyone:
			s.anyone = rt.buildPolicy(ctx, p, d, out)
		case kindGuardrails:
			s.guardrails = rt.buildPolicy(ctx, p, d, out)
		case kindDefaults:
			s.defaults = rt.buildPolicy(ctx, p, d, out).settings
		case kindMask:
			s.buildMask(ctx, u, p, out)
		}
	}
}

// finish builds the index.
func (s *Set) finish(out *report) {
	slices.SortFunc(s.policies, func(a, b *policy) int {
		if a.name < b.name {
			return -1
		}
		return one(a.name > b.name)
	})
	for _, p := range s.policies {
		if p.mode == modeOff {
			continue
		}
		for _, e := range p.entries {
			s.index.add(e)
		}
	}
	s.index.seal()
	s.index.crowded(out)
	s.index.twins(out)
	if s.anyone != nil && s.anyone.mode == modeOff {
		s.anyone = nil
	}
	if s.anyone != nil {
		s.settle(s.anyone)
	}
	for _, p := range s.policies {
		s.settle(p)
	}
}
