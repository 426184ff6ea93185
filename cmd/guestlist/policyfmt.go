package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"guestlist/policies/authoring"
)

// policyFmtCommand lays Rego files out.
func policyFmtCommand() *cobra.Command {
	var check, diff bool
	c := &cobra.Command{
		Use:   "fmt DIR|FILE…",
		Short: "Lay Rego files out in the one form that reviews expect",
		Long: "Lay Rego files out as opa fmt does, tests included, and name those that were changed.\n" +
			"Each file is replaced whole and keeps its mode. When a file does not parse, none is written.\n\n" +
			"Exit code 0: done; 1: a file does not parse; 2: with --check, a file is not formatted.",
		Example: "  guestlist policy fmt guests\n  guestlist policy fmt --check --diff guests",
		Args:    someArgs,
	}
	format := outputFlag(c)
	c.Flags().BoolVar(&check, "check", false, "write nothing; exit code 2 when a file is not formatted")
	c.Flags().BoolVarP(&diff, "diff", "d", false, "show what changes, in place of names")
	c.RunE = func(c *cobra.Command, args []string) error {
		if diff && *format != "table" {
			return errors.New("--diff is a text of its own. Remedy: leave out --output")
		}
		files, err := authoring.Format(args)
		if err != nil {
			return fmt.Errorf("nothing is written:\n%w", err)
		}
		changed, err := write(files, check)
		if err != nil {
			return err
		}
		if err := showFormatted(c.OutOrStdout(), changed, check, diff, *format); err != nil {
			return err
		}
		what := count(len(changed), "file") + " of " + fmt.Sprint(len(files))
		if check && len(changed) > 0 {
			return &findings{text: what + " not formatted. Remedy: guestlist policy fmt " + strings.Join(args, " ")}
		}
		if len(changed) == 0 {
			what = count(len(files), "file") + ", nothing to change"
		} else {
			what += " formatted"
		}
		fmt.Fprintln(c.ErrOrStderr(), what)
		return nil
	}
	return c
}

// write replaces the files that formatting changes, unless they are only
// checked, and returns them.
func write(files []authoring.Formatted, check bool) ([]authoring.Formatted, error) {
	var changed []authoring.Formatted
	for _, f := range files {
		if !f.Changed() {
			continue
		}
		if !check {
			if err := authoring.Write(f.Path, f.After); err != nil {
				return nil, fmt.Errorf("%w (%s written before)", err, count(len(changed), "file"))
			}
		}
		changed = append(changed, f)
	}
	return changed, nil
}

// showFormatted names the files, or shows their difference.
func showFormatted(w io.Writer, changed []authoring.Formatted, check, diff bool, format string) error {
	if diff {
		for _, f := range changed {
			if _, err := io.WriteString(w, lineDiff(f.Path, f.Before, f.After)); err != nil {
				return err
			}
		}
		return nil
	}
	if len(changed) == 0 && format == "table" {
		return nil
	}
	t := table{columns: []string{"FILE", "STATE"}}
	state := "formatted"
	if check {
		state = "not formatted"
	}
	for _, f := range changed {
		t.rows = append(t.rows, []string{f.Path, state})
		t.values = append(t.values, map[string]any{"file": f.Path, "state": strings.ReplaceAll(state, " ", "_")})
	}
	return t.print(w, format)
}
