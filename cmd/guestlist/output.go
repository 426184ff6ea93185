package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// outputFlag adds -o to a command and returns where its value lands.
func outputFlag(c *cobra.Command) *string {
	return c.Flags().StringP("output", "o", "table", "output format: table, json or ndjson")
}

// table is a result that can be shown in every output format.
type table struct {
	columns []string
	rows    [][]string // cells, for people
	values  []any      // the same rows, for machines
}

// print writes t as format says.
func (t table) print(w io.Writer, format string) error {
	switch format {
	case "json":
		values := t.values
		if values == nil {
			values = []any{}
		}
		return printJSON(w, values)
	case "ndjson":
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		for _, v := range t.values {
			if err := e.Encode(v); err != nil {
				return err
			}
		}
		return nil
	case "table":
		tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
		fmt.Fprintln(tw, strings.Join(t.columns, "\t"))
		for _, row := range t.rows {
			fmt.Fprintln(tw, strings.Join(clean(row), "\t"))
		}
		return tw.Flush()
	}
	return fmt.Errorf("output format %q: want table, json or ndjson", format)
}

// printJSON writes one indented JSON value.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// clean keeps cells on one line and terminals quiet.
func clean(row []string) []string {
	out := make([]string, len(row))
	for i, cell := range row {
		out[i] = strings.Map(func(r rune) rune {
			if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
				return ' '
			}
			return r
		}, cell)
	}
	return out
}
