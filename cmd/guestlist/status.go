package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// statusCommand asks a running server how it is.
func statusCommand() *cobra.Command {
	server := &serverFlags{}
	c := &cobra.Command{
		Use:   "status",
		Short: "Ask a running server how it is, and what is wrong",
		Long:  "Ask a running server how it is. Exit code 0: nothing is wrong; 1: it could not be asked; 2: something is wrong.",
		Example: "  guestlist status --config guestlist.yaml\n" +
			"  guestlist status --socket /run/guestlist/admin.sock -o json",
		Args: noArgs,
	}
	server.register(c)
	format := outputFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		client, err := server.client()
		if err != nil {
			return err
		}
		raw, err := client.Status(c.Context())
		if err != nil {
			return err
		}
		var values map[string]any
		if err := json.Unmarshal(raw, &values); err != nil {
			return fmt.Errorf("read the server's answer: %w", err)
		}
		t := table{columns: []string{"WHAT", "VALUE"}, values: []any{values}}
		wrong := 0
		for _, name := range slices.Sorted(maps.Keys(values)) {
			t.rows = append(t.rows, []string{name, fmt.Sprint(values[name])})
			if strings.HasSuffix(name, "_problem") {
				wrong++
			}
		}
		w := c.OutOrStdout()
		if *format == "json" {
			err = printJSON(w, values)
		} else {
			err = t.print(w, *format)
		}
		if err == nil && wrong > 0 {
			return &findings{text: count(wrong, "problem")}
		}
		return err
	}
	return c
}
