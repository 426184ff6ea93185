package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"guestlist/broker"
	"guestlist/broker/rehearsal"
	"guestlist/policies"
	"guestlist/policies/authoring"
	"guestlist/policies/corpus"
)

// testFlags choose what policy test does.
type testFlags struct {
	run       string
	each      time.Duration
	library   bool
	threshold float64
	config    string
	resource  []string
	issuer    string
	at        string
	all       bool
	update    bool
}

// policyTestCommand tries a policy directory out before it is in force.
func policyTestCommand() *cobra.Command {
	var f testFlags
	c := &cobra.Command{
		Use:   "test DIR",
		Short: "Run the tests of a policy directory, and show what a change of it decides otherwise",
		Long: "Run every rule test_… of *_test.rego with strict built-in errors: opa test leaves a built-in that\n" +
			"fails undefined, so that a denial with a mistake in it passes.\n\n" +
			"Then decide imagined requests as the server would: real clients, lookalikes, every kind of redirect,\n" +
			"people, refreshes, the patterns of the directory, and the team's own in DIR/scenes.json. What comes out\n" +
			"is compared with DIR/decisions.golden, which is committed beside the policies: its diff is what a\n" +
			"change of policy does. Requests come on " + corpus.Noon().Format("Monday 2 January 2006, 15:04 MST") + ", to the resource of eval;\n" +
			"what the golden file rests on instead (--at, --config, --issuer, --resource) is kept in its head and holds again.\n" +
			"The revision and line numbers are not in it. --update writes it when nothing else is found.\n" +
			"--run is for the work on a test: only tests that it names run, and nothing else.\n\n" +
			"Exit code 0: all is well; 1: it does not load; 2: a test failed, a decision changed, or coverage is below --threshold.",
		Example: "  guestlist policy test guests\n  guestlist policy test guests --update\n  guestlist policy test guests --threshold 80 --config guestlist.yaml",
		Args:    oneArg,
	}
	format := outputFlag(c)
	fl := c.Flags()
	fl.StringVar(&f.run, "run", "", "only tests whose name data.PACKAGE.TEST this regular expression matches")
	fl.DurationVar(&f.each, "deadline", 5*time.Second, "of one test")
	fl.BoolVar(&f.library, "library", false, "count the shipped library in the coverage too")
	fl.Float64Var(&f.threshold, "threshold", 0, "smallest coverage, in percent")
	fl.StringVar(&f.config, "config", "", "configuration file: its issuer, resources, maxima and facts")
	fl.StringSliceVar(&f.resource, "resource", nil, "resource that is configured")
	fl.StringVar(&f.issuer, "issuer", "", "issuer of the server")
	fl.StringVar(&f.at, "at", "", "time of the requests, RFC 3339")
	fl.BoolVar(&f.all, "all", false, "show requests too that end before a document is fetched")
	fl.BoolVar(&f.update, "update", false, "write DIR/decisions.golden")
	c.RunE = func(c *cobra.Command, args []string) error {
		t, err := f.trial(c, args[0])
		if err != nil {
			return err
		}
		if err := t.print(c.OutOrStdout(), *format, f.all); err != nil {
			return err
		}
		return t.end(c)
	}
	return c
}

// tried is what came of testing one directory.
type tried struct {
	dir       string
	tests     []policies.TestResult
	coverage  policies.Coverage
	decisions []corpus.Decision  // nil with --run
	changes   []string           // lines of a diff of decisions.golden
	found     []policies.Finding // of tests, coverage, scenes and golden file
	left      int                // patterns without scenes
	written   bool
}

// trial does all that the flags ask for.
func (f testFlags) trial(c *cobra.Command, dir string) (*tried, error) {
	root, err := directory(dir)
	if err != nil {
		return nil, err
	}
	if !(f.threshold >= 0 && f.threshold <= 100) { // nor is it no number
		return nil, fmt.Errorf("--threshold %v: want a percentage from 0 to 100", f.threshold)
	}
	golden, err := readGolden(filepath.Join(dir, corpus.GoldenFile))
	if err != nil {
		return nil, err
	}
	ground, err := f.ground(golden)
	if err != nil {
		return nil, err
	}
	set, found, err := policies.Load(c.Context(), policies.Config{FS: root, Maxima: ground.Maxima, Facts: ground.Facts})
	if err != nil {
		if err := findingsTable(found).print(c.ErrOrStderr(), "table"); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("%s does not load: %s", dir, count(len(found), "finding"))
	}
	report, err := policies.Test(c.Context(), policies.TestConfig{
		Config: policies.Config{FS: root}, Run: f.run, Each: f.each, Library: f.library,
	})
	if err != nil {
		return nil, err
	}
	t := &tried{dir: dir, tests: report.Tests, coverage: report.Coverage, found: report.Findings, changes: []string{}}
	t.failures()
	if f.run != "" {
		return t, nil
	}
	t.cover(f.threshold)
	if err := t.play(c, root, set, &ground); err != nil {
		return nil, err
	}
	return t, t.compare(golden, corpus.Golden(ground.Assumptions, t.decisions), f.update)
}

// readGolden reads the committed decisions, nil where there are none. A link is
// refused: whoever proposes a change of policies could have --update write into
// another file.
func readGolden(name string) ([]byte, error) {
	info, err := os.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file. Remedy: put the file itself there", name)
	}
	if err != nil {
		return nil, err
	}
	return os.ReadFile(name)
}

// ground is what imagined requests rest on beside the directory.
type ground struct {
	corpus.Assumptions
	registered []broker.Registered
	at         time.Time
}

// ground takes flags before the configuration, and that before what the golden
// file says.
func (f testFlags) ground(golden []byte) (ground, error) {
	g := ground{Assumptions: corpus.Assumed(golden)}
	if f.config != "" {
		cfg, err := loadConfig(f.config)
		if err != nil {
			return g, err
		}
		g.Issuer, g.Resources, g.Maxima, g.registered = cfg.Issuer, resourcesOf(cfg), maximaOf(cfg), cfg.Clients
		facts, err := readFacts(cfg.Facts)
		if err != nil {
			return g, err
		}
		g.Facts = facts.Values
	}
	if f.issuer != "" || g.Issuer == "" {
		g.Issuer = cmp.Or(f.issuer, "https://issuer.example")
	}
	if len(f.resource) > 0 {
		g.Resources = nil
	}
	for _, id := range f.resource {
		g.Resources = append(g.Resources, broker.Resource{ID: id, Name: id})
	}
	if len(g.Resources) == 0 {
		g.Resources = []broker.Resource{{ID: "https://resource.example", Name: "example"}}
	}
	if f.at != "" || g.At == "" {
		g.At = cmp.Or(f.at, corpus.Noon().Format(time.RFC3339))
	}
	var err error
	if g.at, err = time.Parse(time.RFC3339, g.At); err != nil {
		where := "--at"
		if f.at == "" {
			where = corpus.GoldenFile + ", its head: at"
		}
		return g, fmt.Errorf("%s %q: want RFC 3339, for instance 2026-11-25T12:00:00Z", where, g.At)
	}
	return g, g.check()
}

// check refuses what no server could have.
func (g ground) check() error {
	if what, remedy := issuerProblem(g.Issuer); what != "" {
		return fmt.Errorf("issuer %q %s. Remedy: %s", g.Issuer, what, remedy)
	}
	for _, r := range g.Resources {
		if what := resourceProblem(r.ID); what != "" {
			return fmt.Errorf("resource %q %s. Remedy: write the URL of the API, for instance https://mcp.example/mcp", r.ID, what)
		}
	}
	return nil
}

// play decides the shipped scenes, those of the directory, and those about its
// patterns.
func (t *tried) play(c *cobra.Command, root fs.FS, set *policies.Set, g *ground) error {
	scenes, err := corpus.Shipped()
	if err != nil {
		return err
	}
	own, err := corpus.Read(root)
	if err != nil {
		return err
	}
	for i := range own {
		own[i].Name = "own/" + own[i].Name
	}
	patterns, scopes := namedBy(set)
	listed, left := corpus.Listed(patterns)
	t.left, g.LeftOut = left, left
	for _, r := range g.Resources {
		scopes = append(scopes, r.Scopes...)
	}
	slices.Sort(scopes)
	stage := corpus.Stage{At: g.at, Scopes: slices.Compact(scopes), Facts: factsOf(set), Stage: rehearsal.Stage{
		Policy: set, Issuer: g.Issuer, Offer: offer(g.Resources), Zone: time.UTC, Registered: g.registered,
	}}
	t.decisions, err = stage.Play(c.Context(), append(append(scenes, own...), listed...))
	for _, d := range t.decisions {
		if d.Unexpected != "" {
			t.find(corpus.File, 0, "scene_unexpected", "correct the policy, or what the scene expects", d.Scene+": "+d.Unexpected)
		}
	}
	return err
}

// factsOf changes some facts of a set.
func factsOf(set *policies.Set) func(map[string]any) (broker.Policy, error) {
	return func(values map[string]any) (broker.Policy, error) {
		all := maps.Clone(set.Facts())
		if all == nil {
			all = map[string]any{}
		}
		maps.Copy(all, values)
		return set.WithFacts(all)
	}
}

// namedBy lists the patterns and the constant scopes of the policies in force.
func namedBy(set *policies.Set) (patterns, scopes []string) {
	scopes = []string{"mcp:read", "mcp:write", "offline_access"}
	for _, p := range set.Policies() {
		if p.Mode == "enforce" || p.Mode == "warn" {
			patterns, scopes = append(patterns, p.Patterns...), append(scopes, p.Scopes...)
		}
	}
	return patterns, scopes
}

// compare holds the decisions to the golden file, or writes it.
func (t *tried) compare(was, is []byte, update bool) error {
	t.changes = append(t.changes, corpus.Diff(was, is)...)
	if len(t.changes) == 0 {
		return nil
	}
	name := filepath.Join(t.dir, corpus.GoldenFile)
	if update && len(t.found) == 0 {
		t.written, t.changes = true, []string{}
		return authoring.Write(name, is)
	}
	f := policies.Finding{Severity: policies.SeverityWarning, File: corpus.GoldenFile, Code: "decisions_changed",
		Message: "the directory decides otherwise than was committed", Remedy: "read the diff; if it is meant: guestlist policy test " + t.dir + " --update"}
	switch {
	case update:
		f.Message, f.Remedy = "not written, because of the other findings", "resolve them first"
	case was == nil:
		t.changes = []string{}
		f.Code, f.Message, f.Remedy = "golden_missing", "no decisions are committed", "guestlist policy test "+t.dir+" --update"
	}
	t.found = append(t.found, f)
	return nil
}
