package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"guestlist/broker"
	"guestlist/policies"
)

// whoCanFlags are what somebody could be granted.
type whoCanFlags struct {
	ask    policies.WhoCanQuery
	config string
	at     string
	allow  []string
	refuse bool // --never
}

// policyWhoCanCommand asks which policies could ever grant something.
func policyWhoCanCommand() *cobra.Command {
	var f whoCanFlags
	c := &cobra.Command{
		Use:   "who-can [DIR]",
		Short: "List the policies, patterns and rows that could ever grant something, and on which conditions",
		Long: "List which policies, patterns and list rows could ever grant what the flags name, all of it\n" +
			"at once, and what must still hold for that. What pattern and question fix is known, all else is\n" +
			"left open: documents, people, facts, the hour. Whoever is not listed cannot. Exact means that\n" +
			"nothing but the conditions is left; otherwise the reason stands beside them. Conditions may\n" +
			"exclude one another, and what refuses only a later refresh is not among them.\n\n" +
			"Without a flag it lists who could be admitted at all. A configuration adds its maxima and\n" +
			"resources, and its policies where no DIR is named.\n\n" +
			"As a gate, --allow names policies that may.\n" +
			"Exit code 0: nobody else could; 1: the question could not be asked; 2: somebody could.",
		Example: "  guestlist policy who-can guests --scope mcp:write\n" +
			"  guestlist policy who-can guests --loopback --allow desktop_apps\n" +
			"  guestlist policy who-can --config guestlist.yaml --consent skip --client https://agents.example/oauth/client.json",
		Args: optionalArg,
	}
	format := outputFlag(c)
	fl := c.Flags()
	fl.StringSliceVar(&f.ask.Scopes, "scope", nil, "scope; of several, all of them in one grant")
	fl.StringSliceVar(&f.ask.Resources, "resource", nil, "resource that tokens are for")
	fl.StringSliceVar(&f.ask.Grants, "grant", nil, "grant type, for instance refresh_token")
	fl.BoolVar(&f.ask.Loopback, "loopback", false, "a redirect to loopback")
	fl.BoolVar(&f.ask.PrivateScheme, "private-scheme", false, "a redirect to a private-use scheme")
	chooseFlag(fl, &f.ask.Relation, "redirect", "a redirect to another origin: same_site or cross_site")
	chooseFlag(fl, &f.ask.Consent, "consent", "skip: the person is not asked; once: not always")
	fl.BoolVar(&f.ask.Refresh, "refresh", false, "refresh tokens are issued")
	fl.BoolVar(&f.ask.Network, "network", false, "a private network is opened for the document")
	fl.BoolVar(&f.ask.Anyone, "open", false, "by admission.anyone, which takes every valid client identifier")
	fl.BoolVar(&f.ask.NoKey, "no-key", false, "the client may authenticate without a key")
	chooseFlag(fl, &f.ask.Client, "client", "only this client identifier")
	fl.StringSliceVar(&f.allow, "allow", nil, "policy that may: it does not count for the exit code")
	fl.BoolVar(&f.refuse, "never", false, "list too what settings would grant and a denial always refuses")
	fl.IntVar(&f.ask.Limit, "limit", 200, "patterns and rows to list; the rest is counted")
	chooseFlag(fl, &f.at, "at", "rows and waivers that are over by then do not count, RFC 3339 (default: now)")
	fl.DurationVar(&f.ask.Deadline, "deadline", 10*time.Second, "when to stop looking closer")
	fl.StringVar(&f.config, "config", "", "configuration file: its maxima, resources and policies")
	c.RunE = func(c *cobra.Command, args []string) error { return f.run(c, args, *format) }
	return c
}

// run asks, shows and judges.
func (f whoCanFlags) run(c *cobra.Command, args []string, format string) error {
	set, err := f.load(c, args)
	if err != nil {
		return err
	}
	if len(set.Policies()) == 0 {
		return errors.New("no policy is there to ask, so that this is no gate. Remedy: name the directory that holds the policies")
	}
	answer, err := policies.WhoCan(c.Context(), set, f.ask)
	if err != nil {
		return fmt.Errorf("%w. Remedy: see %s --help", err, c.CommandPath())
	}
	shown := answer.Could
	if f.refuse {
		shown = append(slices.Clone(shown), answer.Never...)
	}
	if len(shown) > 0 || format != "table" {
		if err := f.table(shown).print(c.OutOrStdout(), format); err != nil {
			return err
		}
	}
	f.notes(c.ErrOrStderr(), answer)
	return f.verdict(c.ErrOrStderr(), answer)
}

// load reads the policies, and what of the configuration the answer depends
// on.
func (f *whoCanFlags) load(c *cobra.Command, args []string) (*policies.Set, error) {
	if f.ask.Limit < 1 || f.ask.Deadline <= 0 {
		return nil, errors.New("--limit and --deadline are more than nothing. Remedy: leave them out")
	}
	for _, name := range []string{"scope", "resource", "grant"} {
		if fl := c.Flags().Lookup(name); fl.Changed && fl.Value.String() == "[]" {
			return nil, emptyChoice(name)
		}
	}
	f.ask.At = time.Now().UTC()
	if f.at != "" {
		at, err := time.Parse(time.RFC3339, f.at)
		if err != nil {
			return nil, fmt.Errorf("--at %q: want RFC 3339, for instance 2026-11-25T12:00:00Z", f.at)
		}
		f.ask.At = at.UTC()
	}
	if f.config == "" && len(args) == 0 {
		f.config = os.Getenv(configEnv)
	}
	load := policies.Config{}
	switch {
	case f.config != "":
		cfg, err := loadConfig(f.config)
		if err != nil {
			return nil, err
		}
		load.FS, load.Maxima, f.ask.Offered = os.DirFS(cfg.Policies.Path), maximaOf(cfg), resourcesOf(cfg)
	case len(args) == 0:
		return nil, fmt.Errorf("no policies are named. Remedy: write %s DIR, or add --config FILE", c.CommandPath())
	}
	if len(args) > 0 {
		root, err := directory(args[0])
		if err != nil {
			return nil, err
		}
		load.FS = root
	}
	set, _, err := policies.Load(c.Context(), load)
	if err != nil {
		return nil, err
	}
	return set, f.known(set)
}

// known refuses policies to allow and resources that are not there.
func (f *whoCanFlags) known(set *policies.Set) error {
	var have []string
	for _, p := range set.Policies() {
		have = append(have, p.Name)
	}
	for _, name := range f.allow {
		if !slices.Contains(have, name) {
			return fmt.Errorf("--allow %s: there is no such policy. Remedy: name one of %s", name, strings.Join(have, ", "))
		}
	}
	for _, id := range f.ask.Resources {
		if what := resourceProblem(id); what != "" {
			return fmt.Errorf("--resource %q %s. Remedy: write the URL of the API, for instance https://mcp.example/mcp", id, what)
		}
		if f.ask.Offered != nil && !slices.ContainsFunc(f.ask.Offered, func(r broker.Resource) bool { return broker.SameResource(r.ID, id) }) {
			return fmt.Errorf("--resource %s is none that the configuration has. Remedy: write it as resources[].id has it", id)
		}
	}
	return nil
}

// table shows grants, a line each.
func (f whoCanFlags) table(list []policies.WhoCanGrant) table {
	t := table{columns: []string{"POLICY", "PATTERN", "ROW", "CONDITIONS", "EXACT", "WHERE"}}
	for _, g := range list {
		texts := make([]string, 0, len(g.Conditions))
		values := make([]any, 0, len(g.Conditions))
		for _, n := range g.Conditions {
			texts = append(texts, n.String())
			values = append(values, map[string]any{"kind": n.Kind, "text": n.Text, "policy": n.Policy, "rule": n.Rule, "code": n.Code, "where": n.Where})
		}
		row, exact := g.Row, "yes"
		if g.Expires != "" {
			row += " until " + g.Expires
		}
		if !g.Exact {
			exact = "no: " + strings.Join(g.Inexact, "; ")
		}
		t.rows = append(t.rows, []string{g.Policy, g.Pattern, row, strings.Join(texts, "; "), exact, g.Where})
		t.values = append(t.values, map[string]any{
			"policy": g.Policy, "title": g.Title, "mode": g.Mode, "pattern": g.Pattern, "row": g.Row, "expires": g.Expires,
			"registrations": g.Registrations, "conditions": values, "exact": g.Exact, "inexact": append([]string{}, g.Inexact...), "where": g.Where,
			"allowed": slices.Contains(f.allow, g.Policy),
		})
	}
	return t
}

// notes says what the table does not.
func (f whoCanFlags) notes(w io.Writer, a policies.WhoCanAnswer) {
	for i, s := range a.Unnamed {
		text := fmt.Sprintf("scope %s is named by no ceiling of these policies", visible(s))
		if a.Nearest[i] != "" {
			text += "; the nearest that is: " + visible(a.Nearest[i])
		}
		fmt.Fprintln(w, text)
	}
	if a.Beyond > 0 {
		fmt.Fprintf(w, "%d more could and are not listed. Remedy: --limit, or --client\n", a.Beyond)
	}
	if len(a.Never) > 0 && !f.refuse {
		fmt.Fprintf(w, "for %s settings would grant it and something always refuses. Remedy: --never lists them\n", count(len(a.Never), "pattern"))
	}
}

// verdict is the summary, and the error that makes exit code 2.
func (f whoCanFlags) verdict(w io.Writer, a policies.WhoCanAnswer) error {
	var others, allowed []string
	n := 0
	for _, p := range a.Policies {
		if slices.Contains(f.allow, p.Policy) {
			allowed = append(allowed, p.Policy)
			continue
		}
		others = append(others, p.Policy)
		n += p.Count
	}
	looked := fmt.Sprintf("%s looked at", count(a.Looked, "pattern"))
	may := ""
	if len(allowed) > 0 {
		may = " but " + strings.Join(allowed, ", ") + ", which may"
	}
	if len(others) == 0 {
		fmt.Fprintf(w, "nobody could%s; %s\n", may, looked)
		return nil
	}
	names := others
	if len(names) > 10 {
		names = append(slices.Clone(names[:10]), fmt.Sprintf("%d more", len(others)-10))
	}
	return &findings{text: fmt.Sprintf("%s of %s could: %s; %s", count(n, "pattern"), policyCount(len(others)), strings.Join(names, ", "), looked)}
}
