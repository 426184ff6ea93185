package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"guestlist/broker"
	"guestlist/policies"
	"guestlist/store"
)

// policyState is what the policies of a running server are at one moment.
type policyState struct {
	Revision   string         `json:"revision"`
	Epoch      uint64         `json:"epoch"`
	Engine     string         `json:"engine"`
	Source     string         `json:"source"`    // where they are read from
	Signed     bool           `json:"signed"`    // whether somebody vouches for them by a signature
	LoadedAt   time.Time      `json:"loaded_at"` // when this process put them in force
	LoadedBy   string         `json:"loaded_by"` // start, watch, SIGHUP or the operator who asked
	Policies   int            `json:"policies"`
	Rows       int            `json:"rows"`       // of lists that policies name
	Facts      string         `json:"facts"`      // digest of their values; empty: there are none
	Guardrails store.Hits     `json:"guardrails"` // what they denied
	Warnings   []foundAt      `json:"warnings"`   // of the load
	LastError  *policyTrouble `json:"last_error"` // null: the last load was not refused
}

// policyTrouble is a load that was refused.
type policyTrouble struct {
	At    time.Time `json:"at"`
	By    string    `json:"by"`    // as LoadedBy
	Error string    `json:"error"` // all of it
	Found []foundAt `json:"found"` // by file and line; empty when no file is to blame
}

// foundAt is a finding as JSON has it.
type foundAt struct {
	File     string `json:"file"`
	Line     int    `json:"line"` // 0: no line is to blame
	Severity string `json:"severity"`
	Code     string `json:"code"`
	Message  string `json:"message"`
	Remedy   string `json:"remedy"`
}

// foundIn writes findings for machines.
func foundIn(list []policies.Finding) []foundAt {
	out := make([]foundAt, 0, len(list))
	for _, f := range list {
		out = append(out, foundAt{File: f.File, Line: f.Line, Severity: f.Severity, Code: f.Code, Message: f.Message, Remedy: f.Remedy})
	}
	return out
}

// policyList is what the admin API lists.
func (a *app) policyList(ctx context.Context, patterns bool) (any, error) {
	if err := a.batch.Flush(ctx); err != nil {
		return nil, err
	}
	hits, err := a.store.Hits(ctx)
	if err != nil {
		return nil, err
	}
	now := a.active.Load()
	rows := listPolicies(now.set, time.Now(), patterns)
	for i := range rows {
		rows[i].Hits, rows[i].LoadedAt = new(hits[rows[i].Policy]), &now.at
	}
	return rows, nil
}

// policyState is what the admin API says of the policies.
func (a *app) policyState(ctx context.Context) (any, error) {
	if err := a.batch.Flush(ctx); err != nil {
		return nil, err
	}
	hits, err := a.store.Hits(ctx)
	if err != nil {
		return nil, err
	}
	epoch, err := a.store.Begin().Epoch(ctx)
	if err != nil {
		return nil, err
	}
	now := a.active.Load()
	out := policyState{
		Revision: now.set.Revision(), Epoch: epoch, Engine: now.set.Engine(), Source: a.plan.source, LoadedAt: now.at, LoadedBy: now.by,
		Guardrails: hits["guardrails"], Warnings: foundIn(now.notes),
	}
	for _, p := range now.set.Policies() {
		out.Policies++
		out.Rows += p.Rows
	}
	if out.Facts, err = broker.FactsDigest(now.set.Facts()); err != nil {
		return nil, err
	}
	if r := a.refused.Load(); r != nil {
		out.LastError = &policyTrouble{At: r.at, By: r.by, Error: r.text, Found: foundIn(r.found)}
	}
	return out, nil
}

// policyStatusCommand asks a running server about its policies.
func policyStatusCommand() *cobra.Command {
	server := &serverFlags{}
	c := &cobra.Command{
		Use:   "status",
		Short: "Ask a running server which policies are in force, since when, and what is wrong with them",
		Long: "Ask a running server which policies are in force, since when, and what is wrong with them.\n\n" +
			"Exit code 0: nothing is wrong; 1: it could not be asked; 2: the last load was refused, so\n" +
			"that an older revision decides, or there is no policy at all.",
		Example: "  guestlist policy status --config guestlist.yaml\n" +
			"  guestlist policy status --socket /run/guestlist/admin.sock -o json",
		Args: noArgs,
	}
	server.register(c)
	format := oneFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		client, err := server.client()
		if err != nil {
			return err
		}
		raw, err := client.PolicyStatus(c.Context())
		if err != nil {
			return err
		}
		var st policyState
		if err := json.Unmarshal(raw, &st); err != nil {
			return fmt.Errorf("read the server's answer: %w", err)
		}
		if err := printOne(c.OutOrStdout(), *format, st, st.page); err != nil {
			return err
		}
		switch {
		case st.LastError != nil:
			return &findings{text: "the last load was refused; the last good revision stays in force"}
		case st.Policies == 0:
			return &findings{text: "there is no policy: nobody is admitted"}
		}
		return nil
	}
	return c
}

// page shows the state to people.
func (st policyState) page(w io.Writer) error {
	p := &page{}
	signed := "no: whoever can write to the source decides who comes in (policies.unsigned)"
	if st.Signed {
		signed = "yes"
	}
	for _, line := range [][2]string{
		{"revision", st.Revision}, {"in force since", stamp(st.LoadedAt)}, {"loaded by", st.LoadedBy}, {"source", st.Source}, {"signed", signed},
		{"policies", strconv.Itoa(st.Policies)}, {"rows of lists", strconv.Itoa(st.Rows)}, {"facts", st.Facts},
		{"guardrails", strconv.FormatUint(st.Guardrails.Denied, 10) + " denied"}, {"epoch", strconv.FormatUint(st.Epoch, 10)}, {"engine", st.Engine},
		{"warnings", strconv.Itoa(len(st.Warnings))},
	} {
		p.field(0, line[0], line[1])
	}
	p.found(st.Warnings)
	if e := st.LastError; e != nil {
		p.field(0, "last error", fmt.Sprintf("%s, by %s", stamp(e.At), e.By))
		if p.found(e.Found); len(e.Found) == 0 {
			p.line(1, "%s", e.Error)
		}
	}
	_, err := p.buf.WriteTo(w)
	return err
}

// found lists findings below what they belong to.
func (p *page) found(list []foundAt) {
	for _, f := range list {
		at := f.File
		if f.Line > 0 {
			at += ":" + strconv.Itoa(f.Line)
		}
		text := fmt.Sprintf("%s: %s: %s (%s)", at, f.Severity, f.Message, f.Code)
		if f.Remedy != "" {
			text += ". Remedy: " + f.Remedy
		}
		p.line(1, "%s", text)
	}
}
