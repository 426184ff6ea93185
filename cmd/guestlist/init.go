package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"guestlist/policies/authoring"
	"guestlist/policies/corpus"
)

// defaultOwner stands in new policies until a team writes its own name.
const defaultOwner = "Identity team <iam@corp.example>"

// initCommand writes a first policy directory.
func initCommand() *cobra.Command {
	var owner string
	c := &cobra.Command{
		Use:   "init DIR",
		Short: "Write a policy directory that a team can keep under version control",
		Long: "Write policies with tests, a list, guardrails, defaults, the library of rules, facts, schemas\n" +
			"and settings for editors, as a directory that passes policy check at once and admits nobody yet. A file that is there is\n" +
			"kept as it is and named; when the directory would not load with the new ones, none is written.\n\n" +
			"Exit code 0: done; 1: nothing could be written.",
		Example: "  guestlist init guests --owner 'Identity team <iam@corp.example>'",
		Args:    oneArg,
	}
	format := outputFlag(c)
	c.Flags().StringVar(&owner, "owner", defaultOwner, "who answers for the policies")
	c.RunE = func(c *cobra.Command, args []string) error {
		schemas, err := schemaFiles(".guestlist/")
		if err != nil {
			return err
		}
		placed, err := authoring.Init(c.Context(), args[0], authoring.Options{Owner: owner, Now: time.Now(), More: schemas})
		if err != nil {
			return err
		}
		written := 0
		for _, p := range placed {
			written += boolInt(p.Kept == "")
		}
		kept, err := firstGolden(c, args[0])
		if err != nil {
			return err
		}
		placed, written = append(placed, authoring.Placed{Path: corpus.GoldenFile, Kept: kept}), written+boolInt(kept == "")
		if err := placedTable(placed).print(c.OutOrStdout(), *format); err != nil {
			return err
		}
		fmt.Fprintf(c.ErrOrStderr(), "%s: %s written, %d kept. Next: guestlist policy check %s\n", args[0], count(written, "file"), len(placed)-written, args[0])
		return nil
	}
	return c
}

// placedTable shows which files were written and why others were not.
func placedTable(placed []authoring.Placed) table {
	t := table{columns: []string{"FILE", "STATE", "WHY"}}
	for _, p := range placed {
		state := "written"
		if p.Kept != "" {
			state = "kept"
		}
		t.rows = append(t.rows, []string{p.Path, state, p.Kept})
		t.values = append(t.values, map[string]any{"file": p.Path, "state": state, "why": p.Kept})
	}
	return t
}

// firstGolden commits what the directory decides now, so that policy test has
// something to compare with. It says why where it did not.
func firstGolden(c *cobra.Command, dir string) (kept string, err error) {
	if _, err := os.Lstat(filepath.Join(dir, corpus.GoldenFile)); !errors.Is(err, fs.ErrNotExist) {
		return "it is there, and policy test compares with it", err
	}
	t, err := testFlags{update: true}.trial(c, dir)
	if err == nil && !t.written {
		kept = "policy test finds something: see guestlist policy test " + dir
	}
	return kept, err
}
