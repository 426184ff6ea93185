package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"guestlist/policies/authoring"
)

// defaultOwner stands in new policies until a team writes its own name.
const defaultOwner = "Identity team <iam@corp.example>"

// initCommand writes a first policy directory.
func initCommand() *cobra.Command {
	var owner string
	c := &cobra.Command{
		Use:   "init DIR",
		Short: "Write a policy directory that a team can keep under version control",
		Long: "Write policies with tests, a list, guardrails, defaults and settings for editors, as a\n" +
			"directory that passes policy check at once and admits nobody yet. A file that is there is\n" +
			"kept as it is and named; when the directory would not load with the new ones, none is written.\n\n" +
			"Exit code 0: done; 1: nothing could be written.",
		Example: "  guestlist init guests --owner 'Identity team <iam@corp.example>'",
		Args:    oneArg,
	}
	format := outputFlag(c)
	c.Flags().StringVar(&owner, "owner", defaultOwner, "who answers for the policies")
	c.RunE = func(c *cobra.Command, args []string) error {
		placed, err := authoring.Init(c.Context(), args[0], authoring.Options{Owner: owner, Now: time.Now()})
		if err != nil {
			return err
		}
		t, written := table{columns: []string{"FILE", "STATE", "WHY"}}, 0
		for _, p := range placed {
			state := "written"
			if p.Kept == "" {
				written++
			} else {
				state = "kept"
			}
			t.rows = append(t.rows, []string{p.Path, state, p.Kept})
			t.values = append(t.values, map[string]any{"file": p.Path, "state": state, "why": p.Kept})
		}
		if err := t.print(c.OutOrStdout(), *format); err != nil {
			return err
		}
		fmt.Fprintf(c.ErrOrStderr(), "%s: %s written, %d kept. Next: guestlist policy check %s\n", args[0], count(written, "file"), len(placed)-written, args[0])
		return nil
	}
	return c
}
