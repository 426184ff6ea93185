package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"guestlist/policies"
	"guestlist/store"
)

// listedPolicy is one policy as operators see it.
type listedPolicy struct {
	Policy      string      `json:"policy"`
	Title       string      `json:"title"`
	Description string      `json:"description"`
	Owners      []string    `json:"owners"`
	ReviewBy    string      `json:"review_by"`  // a date; empty: none is set
	ReviewDue   bool        `json:"review_due"` // that day is over
	Mode        string      `json:"mode"`
	Priority    int         `json:"priority"`
	VetoOnly    bool        `json:"veto_only"`            // it never admits
	Patterns    int         `json:"patterns"`             // how many, rows of the list included
	ClientIDs   []string    `json:"client_ids,omitempty"` // the patterns, with --patterns all
	List        string      `json:"list"`                 // data path; empty: the policy names its clients itself
	Rows        int         `json:"rows"`                 // of that list
	Labels      []string    `json:"labels"`
	File        string      `json:"file"`
	Line        int         `json:"line"`
	Revision    string      `json:"revision"`
	LoadedAt    *time.Time  `json:"loaded_at"` // when the server put it in force; null without a server
	Hits        *store.Hits `json:"hits"`      // null without a server
}

// listPolicies describes a set without hits.
func listPolicies(set *policies.Set, now time.Time, patterns bool) []listedPolicy {
	out := []listedPolicy{}
	for _, p := range set.Policies() {
		row := listedPolicy{
			Policy: p.Name, Title: p.Title, Description: p.Description, Owners: orEmpty(p.Authors), ReviewBy: p.ReviewBy, ReviewDue: p.Overdue(now),
			Mode: p.Mode, Priority: p.Priority, VetoOnly: p.VetoOnly, Patterns: len(p.Patterns), Rows: p.Rows, Labels: orEmpty(p.Tags),
			File: p.File, Line: p.Line, Revision: set.Revision(),
		}
		if p.List != "" {
			row.List = "data." + p.List
		}
		if patterns {
			row.ClientIDs = p.Patterns
		}
		out = append(out, row)
	}
	return out
}

// orEmpty is a list that JSON writes as one.
func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// policyFilter says which policies are listed.
type policyFilter struct {
	neverHit, reviewDue bool
	label, mode         string
	patterns            string // count or all
}

// policyListCommand lists policies with their owners and their use.
func policyListCommand() *cobra.Command {
	var f policyFilter
	server := &serverFlags{}
	c := &cobra.Command{
		Use:   "list [DIR]",
		Short: "List policies with owner, review date and clients, and how often a running server used each",
		Long: "List the policies that a running server decides by, with how often each matched, admitted\n" +
			"and denied: every start of a flow, consent and refresh counts once. Hits outlive restarts\n" +
			"and changes of a policy. With DIR list the policies of a directory; that needs no server,\n" +
			"and tells of no hits.\n\n" +
			"Exit code 0: listed; 1: no list; 2: listed, and a policy is among them whose review date\n" +
			"has passed, or that --never-hit found.",
		Example: "  guestlist policy list --config guestlist.yaml\n" +
			"  guestlist policy list --config guestlist.yaml --never-hit -o json\n" +
			"  guestlist policy list guests --review-due",
		Args: optionalArg,
	}
	server.register(c)
	fl := c.Flags()
	fl.BoolVar(&f.neverHit, "never-hit", false, "only policies that never named a client that came; needs a server")
	fl.BoolVar(&f.reviewDue, "review-due", false, "only policies whose review date has passed")
	chooseFlag(fl, &f.label, "label", "only policies with this label, one of their settings.tags")
	chooseFlag(fl, &f.mode, "mode", "only policies in this mode: enforce, warn, shadow or off")
	fl.StringVar(&f.patterns, "patterns", "count", "how to show the clients that a policy names: count or all")
	format := outputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := f.check(args); err != nil {
			return err
		}
		all, err := f.read(c, args, server)
		if err != nil {
			return err
		}
		rows := slices.DeleteFunc(all, func(p listedPolicy) bool { return !f.fits(p) })
		if err := policyTable(rows).print(c.OutOrStdout(), *format); err != nil {
			return err
		}
		return f.verdict(rows)
	}
	return c
}

// check refuses what cannot be meant.
func (f policyFilter) check(args []string) error {
	switch {
	case f.patterns != "count" && f.patterns != "all":
		return fmt.Errorf("--patterns %.60q: want count or all", f.patterns)
	case f.mode != "" && !slices.Contains([]string{"enforce", "warn", "shadow", "off"}, f.mode):
		return fmt.Errorf("--mode %.60q: want enforce, warn, shadow or off", f.mode)
	case f.neverHit && len(args) > 0:
		return errors.New("only a running server knows which policies were hit. Remedy: leave the directory out and name the server with --config or --socket")
	}
	return nil
}

// read lists the policies of a directory, or of the server.
func (f policyFilter) read(c *cobra.Command, args []string, server *serverFlags) ([]listedPolicy, error) {
	if len(args) > 0 {
		if server.config != "" || server.socket != "" {
			return nil, errors.New("a directory and a server may differ. Remedy: leave one of them out")
		}
		root, err := directory(args[0])
		if err != nil {
			return nil, err
		}
		set, _, err := policies.Load(c.Context(), policies.Config{FS: root})
		if err != nil {
			return nil, err
		}
		return listPolicies(set, time.Now(), f.patterns == "all"), nil
	}
	client, err := server.client()
	if err != nil {
		return nil, err
	}
	raw, err := client.Policies(c.Context(), f.patterns == "all")
	if err != nil {
		return nil, err
	}
	var rows []listedPolicy
	if err := json.Unmarshal(raw, &rows); err != nil {
		return nil, fmt.Errorf("read the server's answer: %w", err)
	}
	return rows, nil
}

// fits reports whether a policy is to be listed.
func (f policyFilter) fits(p listedPolicy) bool {
	return (!f.neverHit || p.Hits != nil && p.Hits.Matched == 0) && (!f.reviewDue || p.ReviewDue) &&
		(f.label == "" || slices.Contains(p.Labels, f.label)) && (f.mode == "" || p.Mode == f.mode)
}

// verdict says what there is to do about the policies listed.
func (f policyFilter) verdict(rows []listedPolicy) error {
	due := 0
	for _, p := range rows {
		if p.ReviewDue {
			due++
		}
	}
	var found []string
	if f.neverHit && len(rows) > 0 {
		found = append(found, policyCount(len(rows))+" never hit")
	}
	if due > 0 {
		found = append(found, policyCount(due)+" to be reviewed")
	}
	if len(found) > 0 {
		return &findings{text: strings.Join(found, ", ")}
	}
	return nil
}

// policyTable shows policies one per line, with their hits where a server told
// them; a sheet has the same columns always.
func policyTable(rows []listedPolicy) table {
	t := table{columns: []string{"POLICY", "TITLE", "OWNER", "REVIEW", "MODE", "PRIORITY", "CLIENTS", "LABELS", "FILE"}, sheet: [][]string{
		{"policy", "title", "owner", "review", "mode", "priority", "clients", "labels", "file", "hits", "admitted", "denied", "last_hit"},
	}}
	told := slices.ContainsFunc(rows, func(p listedPolicy) bool { return p.Hits != nil })
	if told {
		t.columns = append(t.columns, "HITS", "ADMITTED", "DENIED", "LAST HIT")
	}
	for _, p := range rows {
		hits := []string{"", "", "", ""}
		if h := p.Hits; h != nil {
			hits = []string{strconv.FormatUint(h.Matched, 10), strconv.FormatUint(h.Admitted, 10), strconv.FormatUint(h.Denied, 10), stampIf(h.LastAt, "never")}
		}
		review := cmp.Or(p.ReviewBy, "-")
		if p.ReviewDue {
			review += " passed"
		}
		cells := []string{p.Policy, p.Title, strings.Join(p.Owners, ", "), review, p.Mode, strconv.Itoa(p.Priority), p.clients(), cmp.Or(strings.Join(p.Labels, ", "), "-")}
		cells = append(cells, fmt.Sprintf("%s:%d", p.File, p.Line))
		t.sheet, t.values = append(t.sheet, slices.Concat(cells, hits)), append(t.values, p)
		if told {
			cells = append(cells, hits...)
		}
		t.rows = append(t.rows, cells)
	}
	return t
}

// clients says whom the policy names.
func (p listedPolicy) clients() string {
	text := strconv.Itoa(p.Patterns)
	if len(p.ClientIDs) > 0 {
		text = strings.Join(p.ClientIDs, " ")
	}
	if p.List != "" {
		text += fmt.Sprintf(" (%s, %s)", p.List, count(p.Rows, "row"))
	}
	return text
}
