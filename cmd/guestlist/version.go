package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// versionInfo says what this binary was built from.
type versionInfo struct {
	Guestlist string `json:"guestlist"` // module version; "(devel)" for a build from a working tree
	Go        string `json:"go"`
	OPA       string `json:"opa"`
	Fosite    string `json:"fosite"`
	Bbolt     string `json:"bbolt"`
}

// versionCommand prints the version of the program and of what it stands on.
func versionCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version of this program and of its main libraries",
		Args:  noArgs,
	}
	format := oneFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return readVersion().print(c.OutOrStdout(), *format)
	}
	return c
}

func readVersion() versionInfo {
	v := versionInfo{Guestlist: "unknown", Go: runtime.Version(), OPA: "unknown", Fosite: "unknown", Bbolt: "unknown"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" {
		v.Guestlist = info.Main.Version
	}
	fields := map[string]*string{
		"github.com/open-policy-agent/opa": &v.OPA,
		"github.com/ory/fosite":            &v.Fosite,
		"go.etcd.io/bbolt":                 &v.Bbolt,
	}
	for _, m := range info.Deps {
		if to := fields[m.Path]; to != nil {
			if m.Replace != nil {
				m = m.Replace
			}
			*to = m.Version
		}
	}
	return v
}

// print writes v as format says: one object, not a list.
func (v versionInfo) print(w io.Writer, format string) error {
	switch format {
	case "json":
		return printJSON(w, v)
	case "ndjson":
		return json.NewEncoder(w).Encode(v)
	case "table":
		tw := tabwriter.NewWriter(w, 0, 8, 1, ' ', 0)
		fmt.Fprintf(tw, "guestlist\t%s\ngo\t%s\nopa\t%s\nfosite\t%s\nbbolt\t%s\n", v.Guestlist, v.Go, v.OPA, v.Fosite, v.Bbolt)
		return tw.Flush()
	}
	return &formatError{name: format, wanted: "table, json or ndjson"}
}
