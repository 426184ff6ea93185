package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"guestlist/broker"
	"guestlist/policies"
	"guestlist/policies/authoring"
	"guestlist/server/admin"
)

// factsWait is how long facts set waits until the server has what it wrote,
// which takes half a second unless the machine is very busy.
const factsWait = 20 * time.Second

// factsCommand works on the file of facts. It needs no running server: one
// that runs reads the file again when it changes.
func factsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "facts",
		Short: "Set and list the facts that policies read, such as a change freeze",
		Args:  noArgs,
		RunE:  showHelp,

		DisableFlagsInUseLine: true,
	}
	c.AddCommand(factsSet(), factsList())
	return c
}

// factsPlace is what the configuration says about facts.
type factsPlace struct {
	config
	set *policies.Set // the facts of the directory, no policy
}

// findFacts reads the configuration, and which facts the policies have.
func findFacts(flag string) (factsPlace, error) {
	path, err := findConfig(flag)
	if err != nil {
		return factsPlace{}, err
	}
	cfg, err := loadConfig(path)
	if err != nil {
		return factsPlace{}, err
	}
	set, err := policies.LoadFacts(os.DirFS(cfg.Policies.Path))
	if err != nil {
		return factsPlace{}, fmt.Errorf("%s: %w", cfg.Policies.Path, err)
	}
	return factsPlace{cfg, set}, nil
}

func factsSet() *cobra.Command {
	var configPath string
	c := &cobra.Command{
		Use:   "set NAME=VALUE...",
		Short: "Give facts other values; a running server has them within a second",
		Long: "Give facts other values in the file that the configuration names as facts. Values are\n" +
			"as facts.schema.json of the policies has them: true or false, a number, text, a,b,c for\n" +
			"a list and nothing for an empty one. Nothing is written unless all of it fits.\n\n" +
			"Policies beside the schema are not looked at, so that a freeze can be set while one of\n" +
			"them is broken. Where a server answers at admin.socket, the command waits until it has\n" +
			"the new values.",
		Example: "  guestlist facts set change_freeze=true --config guestlist.yaml\n" +
			"  guestlist facts set change_freeze=true office_networks=192.0.2.0/24,198.51.100.0/24 --config guestlist.yaml",
		Args: someArgs,
	}
	c.Flags().StringVar(&configPath, "config", "", "configuration file that names the file of facts (or "+configEnv+")")
	c.RunE = func(c *cobra.Command, args []string) error {
		at, err := findFacts(configPath)
		if err != nil {
			return err
		}
		if at.Facts == "" {
			return fmt.Errorf("the configuration names no file of facts. Remedy: write facts: facts.yaml into it, and start the server again")
		}
		change, err := readAssignments(at.set, args)
		if err != nil {
			return err
		}
		before, after, err := authoring.SetFacts(at.Facts, at.set, change)
		if err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(change)) {
			is, was := written(after.Facts()[name]), "?"
			if before != nil {
				was = written(before.Facts()[name])
			}
			if was == is {
				fmt.Fprintf(c.OutOrStdout(), "%s: %s already\n", name, is)
			} else {
				fmt.Fprintf(c.OutOrStdout(), "%s: %s → %s\n", name, was, is)
			}
		}
		return tellFacts(c, at, after)
	}
	return c
}

// readAssignments reads NAME=VALUE by the types of the schema.
func readAssignments(set *policies.Set, args []string) (map[string]any, error) {
	change := map[string]any{}
	for _, arg := range args {
		name, text, ok := strings.Cut(arg, "=")
		if !ok {
			return nil, fmt.Errorf("%.80q: want NAME=VALUE, for instance change_freeze=true", arg)
		}
		if _, twice := change[name]; twice {
			return nil, fmt.Errorf("%s is given twice", name)
		}
		v, err := set.ParseFact(name, text)
		if err != nil {
			return nil, fmt.Errorf("%.80s: %w", name, err)
		}
		change[name] = v
	}
	return change, nil
}

// tellFacts says whether a running server has the facts.
func tellFacts(c *cobra.Command, at factsPlace, after *policies.Set) error {
	sum, err := broker.FactsDigest(after.Facts())
	if err != nil {
		return err
	}
	out := c.OutOrStdout()
	if at.Admin.Socket == "" {
		fmt.Fprintf(out, "written to %s; a running server reads it within a second\n", at.Facts)
		return nil
	}
	client := admin.NewClient(at.Admin.Socket)
	var said serverFacts
	for end := time.Now().Add(factsWait); ; {
		if said, err = askFacts(c.Context(), client); err != nil {
			fmt.Fprintf(out, "written to %s; no server answers at %s, the next start reads it\n", at.Facts, at.Admin.Socket)
			return nil
		}
		if said.SHA256 == sum {
			fmt.Fprintf(out, "in force: %s has it\n", at.Issuer)
			return nil
		}
		if time.Now().After(end) {
			break
		}
		select {
		case <-c.Context().Done():
			return c.Context().Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	if said.Problem == "" {
		said.Problem = "its facts are others. Remedy: guestlist policy check, and guestlist status, say whether it reads these policies and this file"
	}
	return fmt.Errorf("written to %s, but the running server has not taken it over: %s", at.Facts, said.Problem)
}

// serverFacts is what the status of a server says about facts.
type serverFacts struct {
	SHA256  string `json:"facts_sha256"`
	Problem string `json:"facts_problem"`
}

// askFacts asks a running server.
func askFacts(ctx context.Context, client *admin.Client) (serverFacts, error) {
	var said serverFacts
	raw, err := client.Status(ctx)
	if err == nil {
		err = json.Unmarshal(raw, &said)
	}
	return said, err
}

// factRow is a fact for machines.
type factRow struct {
	Name        string   `json:"name"`
	Type        string   `json:"type"`
	Value       any      `json:"value"`
	Default     any      `json:"default"`
	Description string   `json:"description"`
	Format      string   `json:"format,omitempty"`
	Enum        []any    `json:"enum,omitempty"`
	Minimum     *float64 `json:"minimum,omitempty"`
	Maximum     *float64 `json:"maximum,omitempty"`
}

func factsList() *cobra.Command {
	var configPath string
	c := &cobra.Command{
		Use:   "list",
		Short: "List the facts that the policies have, with their values",
		Long: "List the facts that facts.schema.json of the policies names, each with the value that the\n" +
			"file of facts gives it, or its default.",
		Example: "  guestlist facts list --config guestlist.yaml",
		Args:    noArgs,
	}
	c.Flags().StringVar(&configPath, "config", "", "configuration file that names the file of facts (or "+configEnv+")")
	format := outputFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		at, err := findFacts(configPath)
		if err != nil {
			return err
		}
		set := at.set
		if _, err := os.Stat(at.Facts); at.Facts != "" && !os.IsNotExist(err) {
			if set, err = withFacts(set, at.Facts); err != nil {
				return err
			}
		} else if at.Facts != "" {
			fmt.Fprintf(c.ErrOrStderr(), "guestlist: there is no file %s yet; guestlist facts set makes it\n", at.Facts)
		}
		return factsTable(set.ListFacts()).print(c.OutOrStdout(), *format)
	}
	return c
}

// factsTable shows facts, one a row.
func factsTable(list []policies.Fact) table {
	t := table{columns: []string{"NAME", "TYPE", "VALUE", "DEFAULT", "DESCRIPTION"}}
	for _, f := range list {
		t.rows = append(t.rows, []string{f.Name, f.Type, written(f.Value), written(f.Default), f.Description})
		t.values = append(t.values, factRow{f.Name, f.Type, f.Value, f.Default, f.Description, f.Format, f.Enum, f.Minimum, f.Maximum})
	}
	return t
}
