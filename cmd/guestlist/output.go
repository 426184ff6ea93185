package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"guestlist/broker/decisionlog"
)

// outputFlag adds -o to a command that shows a list, and returns where its
// value lands.
func outputFlag(c *cobra.Command) *string { return formatFlag(c, "table", "json", "ndjson", "csv") }

// oneFlag adds -o to a command that shows one thing, which is no sheet.
func oneFlag(c *cobra.Command) *string { return formatFlag(c, "table", "json", "ndjson") }

// formatFlag adds -o with these formats; another is refused before the command
// does anything.
func formatFlag(c *cobra.Command, formats ...string) *string {
	f := &outputFormat{name: formats[0], of: formats}
	c.Flags().VarP(f, "output", "o", "output format: "+f.wanted())
	return &f.name
}

// outputFormat is the value of -o.
type outputFormat struct {
	name string
	of   []string
}

// String implements pflag.Value.
func (f *outputFormat) String() string { return f.name }

// Type implements pflag.Value.
func (f *outputFormat) Type() string { return "string" }

// Set implements pflag.Value.
func (f *outputFormat) Set(name string) error {
	if !slices.Contains(f.of, name) {
		return &formatError{name: name, wanted: f.wanted()}
	}
	f.name = name
	return nil
}

// wanted lists the formats.
func (f *outputFormat) wanted() string {
	last := len(f.of) - 1
	return strings.Join(f.of[:last], ", ") + " or " + f.of[last]
}

// formatError says that -o names no format of its command.
type formatError struct{ name, wanted string }

// Error implements error.
func (e *formatError) Error() string {
	return fmt.Sprintf("output format %q: want %s", e.name, e.wanted)
}

// table is a result that can be shown in every output format.
type table struct {
	columns []string
	rows    [][]string // cells, for people
	values  []any      // the same rows, for machines
	sheet   [][]string // names and cells of csv; nil: columns in lower case, and rows
}

// print writes t as format says. What strangers chose reaches no terminal and
// no spreadsheet as it is.
func (t table) print(w io.Writer, format string) error {
	switch format {
	case "json":
		values := t.values
		if values == nil {
			values = []any{}
		}
		return printJSON(w, values)
	case "ndjson":
		for _, v := range t.values {
			if err := printLine(w, v); err != nil {
				return err
			}
		}
		return nil
	case "table":
		return t.printAligned(w)
	case "csv":
		return t.printCSV(w)
	}
	return &formatError{name: format, wanted: "table, json, ndjson or csv"}
}

// printAligned writes t in columns, without blanks at the ends of lines.
func (t table) printAligned(w io.Writer) error {
	var b bytes.Buffer
	tw := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, strings.Join(t.columns, "\t"))
	for _, row := range t.rows {
		fmt.Fprintln(tw, strings.Join(visibleRow(row), "\t"))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(b.String()) {
		if _, err := io.WriteString(w, strings.TrimRight(line, " \n")+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// printCSV writes t as RFC 4180 has it, with cells that no spreadsheet takes
// for a formula.
func (t table) printCSV(w io.Writer) error {
	sheet := t.sheet
	if sheet == nil {
		names := make([]string, len(t.columns))
		for i, c := range t.columns {
			names[i] = strings.ReplaceAll(strings.ToLower(c), " ", "_")
		}
		sheet = append([][]string{names}, t.rows...)
	}
	e := csv.NewWriter(w)
	for _, row := range sheet {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = inert(cell)
		}
		if err := e.Write(cells); err != nil {
			return err
		}
	}
	e.Flush()
	return e.Error()
}

// inert makes a cell text: strangers choose names, and a spreadsheet runs what
// begins like a formula.
func inert(cell string) string {
	safe := visible(cell)
	if first, _ := utf8.DecodeRuneInString(cell); cell != "" && strings.ContainsRune("=+-@\t\r＝＋－＠", first) {
		return "'" + safe
	}
	return safe
}

// printLine writes one JSON value on one line.
func printLine(w io.Writer, v any) error {
	e := json.NewEncoder(decisionlog.Quiet{W: w})
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// printJSON writes one indented JSON value.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(decisionlog.Quiet{W: w})
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
