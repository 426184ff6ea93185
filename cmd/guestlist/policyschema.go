package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"guestlist/broker"
	"guestlist/policies"
	"guestlist/policies/authoring"
	"guestlist/policies/corpus"
)

// policySchemaCommand prints the schemas for editors.
func policySchemaCommand() *cobra.Command {
	var phase, dir string
	c := &cobra.Command{
		Use:   "schema [NAME]",
		Short: "Print the JSON Schemas of what policies are made of, for editors",
		Long: "Print a JSON Schema: input, which policies read; settings, which they give; list, the data.json\n" +
			"of a list; facts, the form of facts.schema.json; scenes, the form of scenes.json; mask, a decision\n" +
			"record as admission.mask reads it. Without a name, list them, or write all into --dir as\n" +
			"NAME.schema.json. guestlist init puts them where editors look; opa check --schema takes the one\n" +
			"of input.\n\n" +
			"Exit code 0: done; 1: not done.",
		Example: "  guestlist policy schema input --phase url\n  guestlist policy schema --dir guests/.guestlist",
		Args:    optionalArg,
	}
	fl := c.Flags()
	fl.StringVar(&phase, "phase", "", "input as it is in one phase: url, document, user or refresh (default: in any)")
	fl.StringVar(&dir, "dir", "", "write all schemas into this directory")
	c.RunE = func(c *cobra.Command, args []string) error {
		switch {
		case len(args) == 1 && dir != "":
			return errors.New("--dir is for all schemas. Remedy: leave out the name")
		case len(args) == 1:
			return printSchema(c, args[0], phase)
		case phase != "":
			return errors.New("--phase is for one schema. Remedy: guestlist policy schema input --phase " + phase)
		}
		all, err := schemaFiles("")
		if err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(all)) {
			if dir != "" {
				if err := os.MkdirAll(dir, 0o755); err != nil {
					return err
				}
				name = filepath.Join(dir, name)
				if err := authoring.Write(name, all[filepath.Base(name)]); err != nil {
					return err
				}
			}
			fmt.Fprintln(c.OutOrStdout(), name)
		}
		return nil
	}
	return c
}

func printSchema(c *cobra.Command, name, phase string) error {
	s, err := schemaNamed(name, broker.Phase(phase))
	if err != nil {
		return err
	}
	return printJSON(c.OutOrStdout(), s)
}

// schemaNamed finds a schema, those of the program's own files included.
func schemaNamed(name string, phase broker.Phase) (map[string]any, error) {
	if name == "scenes" && phase == "" {
		return corpus.Schema(), nil
	}
	s, err := policies.Schema(name, phase)
	if err != nil && !slices.Contains(append(policies.SchemaNames(), "scenes"), name) {
		err = fmt.Errorf("%w, scenes", err)
	}
	return s, err
}

// schemaFiles are all schemas as files below a folder.
func schemaFiles(below string) (map[string][]byte, error) {
	out := map[string][]byte{}
	for _, name := range append(policies.SchemaNames(), "scenes") {
		s, err := schemaNamed(name, "")
		if err != nil {
			return nil, err
		}
		var b bytes.Buffer
		if err := printJSON(&b, s); err != nil {
			return nil, err
		}
		out[below+name+".schema.json"] = b.Bytes()
	}
	return out, nil
}
