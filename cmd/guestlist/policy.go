package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"guestlist/policies"
)

// policyCommand works on policy directories, and asks a running server about
// its own.
func policyCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "policy", Short: "Check policies, ask what they decide, and which a running server uses",
		Args: noArgs, RunE: showHelp, DisableFlagsInUseLine: true,
	}
	c.AddCommand(
		policyCheckCommand(),
		policyEvalCommand(),
		policyFmtCommand(),
		policyAllowCommand(),
		policyNewCommand(),
		policySchemaCommand(),
		policyTestCommand(),
		policyListCommand(), policyReferenceCommand(),
		policyStatusCommand(),
		policyWhoCanCommand(),
	)
	return c
}

// policyCheckCommand loads a directory and lists what is wrong.
func policyCheckCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "check DIR",
		Short: "Load a policy directory as the server does, and list everything that is wrong with it",
		Long: "Load a policy directory as the server does. A server's revision covers the maxima of\n" +
			"its configuration too, so that guestlist status prints another for the same files.\n\n" +
			"Exit code 0: clean; 1: it does not load; 2: it loads, with warnings or with no policy at all.",
		Example: "  guestlist policy check guests",
		Args:    oneArg,
	}
	format := outputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		root, err := directory(args[0])
		if err != nil {
			return err
		}
		set, found, err := policies.Load(c.Context(), policies.Config{FS: root, Now: time.Now})
		if len(found) == 0 && err != nil {
			return err
		}
		if len(found) > 0 || *format != "table" {
			if err := findingsTable(found).print(c.OutOrStdout(), *format); err != nil {
				return err
			}
		}
		switch {
		case err != nil:
			return fmt.Errorf("%s does not load: %s", args[0], count(len(found), "finding"))
		case len(found) > 0:
			return &findings{text: fmt.Sprintf("%s loads, with %s", args[0], count(len(found), "warning"))}
		}
		if len(set.Policies()) == 0 {
			return &findings{text: fmt.Sprintf("%s loads, with no policy, so that nobody is admitted. Remedy: name a package admission.policies.NAME", args[0])}
		}
		fmt.Fprintf(c.ErrOrStderr(), "%s is clean: %s, revision %s\n", args[0], policyCount(len(set.Policies())), set.Revision())
		return nil
	}
	return c
}

// findingsTable shows findings, one a row.
func findingsTable(found []policies.Finding) table {
	t := table{columns: []string{"WHERE", "SEVERITY", "CODE", "MESSAGE", "REMEDY"}}
	for _, f := range foundIn(found) {
		where := f.File
		if f.Line > 0 {
			where += ":" + strconv.Itoa(f.Line)
		}
		t.rows = append(t.rows, []string{where, f.Severity, f.Code, f.Message, f.Remedy})
		t.values = append(t.values, f)
	}
	return t
}

// count writes a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// policyCount writes how many policies there are.
func policyCount(n int) string {
	if n == 1 {
		return "1 policy"
	}
	return strconv.Itoa(n) + " policies"
}

// directory opens a policy directory.
func directory(path string) (fs.FS, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no directory %s. Remedy: name the one that holds the .rego files, or make one with guestlist init", path)
	}
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is not a directory. Remedy: name the policy directory, which holds .rego files and data.json or data.yaml", path)
	}
	return os.DirFS(path), nil
}

// policySource says where policy eval takes its policies from.
type policySource struct{ dir, starter, config, facts string }

// load returns the policies and, from a configuration, what else it says.
func (p policySource) load(c *cobra.Command) (*policies.Set, *config, error) {
	cfg := policies.Config{}
	var from *config
	n := 0
	for _, v := range []string{p.dir, p.starter, p.config} {
		if v != "" {
			n++
		}
	}
	if n == 0 {
		p.config = os.Getenv(configEnv)
	}
	switch {
	case n > 1 || n == 0 && p.config == "":
		return nil, nil, errors.New("name the policies by one of --policies DIR, --starter NAME and --config FILE, and by one only")
	case p.dir != "":
		root, err := directory(p.dir)
		if err != nil {
			return nil, nil, err
		}
		cfg.FS = root
	case p.starter != "":
		root, ok := policies.Starter(p.starter)
		if !ok {
			return nil, nil, fmt.Errorf("starter %q: want one of %s", p.starter, strings.Join(policies.StarterNames(), ", "))
		}
		cfg.FS = root
	default:
		loaded, err := loadConfig(p.config)
		if err != nil {
			return nil, nil, err
		}
		from, cfg.FS, cfg.Maxima = &loaded, os.DirFS(loaded.Policies.Path), maximaOf(loaded)
	}
	set, _, err := policies.Load(c.Context(), cfg)
	if err != nil {
		return nil, nil, err
	}
	if p.facts == "" && from != nil {
		p.facts = from.Facts
	}
	set, err = withFacts(set, p.facts)
	return set, from, err
}
