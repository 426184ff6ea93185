package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/policies"
	"guestlist/server/admin"
)

// auditListCommand lists records.
func auditListCommand(server *serverFlags) *cobra.Command {
	var f admin.RecordFilter
	var follow bool
	c := &cobra.Command{
		Use:   "ls",
		Short: "List the newest decision records that fit, in the order they were written",
		Long: "List the newest decision records that fit, in the order they were written. With several\n" +
			"filters all must fit. Where there are more than --limit the last line on standard error\n" +
			"says how to go on; --after lists from the oldest on. Where there are none it says what is\n" +
			"known of that: a name that no record has, or a range without any.\n\n" +
			"--person takes a username, and finds the records by the pseudonym that they show.\n" +
			"csv is for spreadsheets: text that would run as a formula begins with an apostrophe.",
		Example: "  guestlist audit ls --outcome refused --since 24h\n" +
			"  guestlist audit ls --client https://agents.example/oauth/client.json -o csv\n" +
			"  guestlist audit ls --person alice --event token.\n" +
			"  guestlist audit ls --policy agents --follow -o ndjson",
		Args: noArgs,
	}
	times := recordFlags(c, &f)
	fl := c.Flags()
	chooseFlag(fl, &f.Reason, "reason", "only this reason, for instance no_policy_matched")
	fl.IntVar(&f.Limit, "limit", 100, "at most this many records, up to 1000")
	fl.Uint64Var(&f.After, "after", 0, "only records behind this sequence number, the oldest first")
	fl.Uint64Var(&f.Before, "before", 0, "only records before this sequence number")
	fl.BoolVar(&follow, "follow", false, "go on with new records as they are written, until interrupted; a server that restarts is waited for")
	format := outputFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if f.Limit < 1 {
			return fmt.Errorf("--limit %d: want a number from 1 to 1000", f.Limit)
		}
		if err := errors.Join(times(&f), checkNames(f), checkNumbers(f, fl.Changed("before"))); err != nil {
			return err
		}
		if follow && *format != "table" && *format != "ndjson" {
			return fmt.Errorf("--follow with -o %.20s: want table or ndjson, which have no end", *format)
		}
		api, err := server.client()
		if err != nil {
			return err
		}
		f.Newest = !c.Flags().Changed("after")
		l := &lister{api: api, f: f, format: *format, out: c.OutOrStdout(), errs: c.ErrOrStderr()}
		if follow {
			return l.follow(c.Context())
		}
		return l.list(c.Context())
	}
	return c
}

// recordFlags adds the filters of records to c but --reason, and returns what
// reads those that are times.
func recordFlags(c *cobra.Command, f *admin.RecordFilter) func(*admin.RecordFilter) error {
	var since, until string
	fl := c.Flags()
	chooseFlag(fl, &f.ClientID, "client", "only this client identifier")
	chooseFlag(fl, &f.Host, "host", "only clients whose identifier has this host")
	chooseFlag(fl, &f.Domain, "domain", "only clients of this registrable domain")
	chooseFlag(fl, &f.Person, "person", "only this person: a username, or a pseudonym as records show it")
	chooseFlag(fl, &f.Policy, "policy", "only where this policy gave the settings or refused")
	chooseFlag(fl, &f.Label, "label", "only with this label, one of the tags of the policy")
	chooseFlag(fl, &f.GrantID, "grant", "only this grant")
	chooseFlag(fl, &f.Event, "event", "only this event, for instance admission.decided; client.created and other names that guestlist audit reference lists; token. for all that begin so")
	chooseFlag(fl, &f.Outcome, "outcome", "only this outcome, for instance admitted, reused, refused, issued, granted or done")
	chooseFlag(fl, &since, "since", "not older: a time, a date or how long ago (2026-11-20T10:00:00Z, 2026-11-20, 24h)")
	chooseFlag(fl, &until, "until", "older: a time, a date or how long ago")
	return func(f *admin.RecordFilter) (err error) {
		f.Host, f.Domain = strings.ToLower(f.Host), strings.ToLower(f.Domain)
		f.Since, f.Until, err = timeRange("--since", since, "--until", until)
		return err
	}
}

// checkNumbers refuses a range of sequence numbers that no record can be in; a
// page before the first record is only empty.
func checkNumbers(f admin.RecordFilter, before bool) error {
	if !before || f.Before > f.After {
		return nil
	}
	return fmt.Errorf("--before %d: no record is before it and behind %d", f.Before, f.After)
}

// checkNames refuses a name that no record can have, and tells the one that
// was perhaps meant.
func checkNames(f admin.RecordFilter) error {
	var events, outcomes, reasons []string
	for _, e := range decisionlog.Events() {
		events, outcomes = append(events, e.Name), append(outcomes, e.Outcomes...)
	}
	for _, a := range decisionlog.Aliases() {
		events = append(events, a.Name)
	}
	if len(decisionlog.Select(f.Event)) > 0 {
		f.Event = ""
	}
	for _, r := range broker.Reasons() {
		reasons = append(reasons, string(r.Reason))
	}
	for _, name := range []struct {
		flag, value string
		known       []string
	}{{"event", f.Event, events}, {"outcome", f.Outcome, outcomes}, {"reason", f.Reason, reasons}} {
		if name.value == "" || slices.Contains(name.known, name.value) {
			continue
		}
		slices.Sort(name.known)
		name.known = slices.Compact(name.known)
		meant := didYouMean(policies.Closest(name.value, name.known))
		if meant == "" {
			meant = ": want one of " + strings.Join(name.known, ", ")
		}
		return fmt.Errorf("--%s %.60q: no record can have it%s", name.flag, name.value, meant)
	}
	return nil
}

// lister prints the records that fit.
type lister struct {
	api    *admin.Client
	f      admin.RecordFilter
	format string
	out    io.Writer
	errs   io.Writer
}

// list prints one page, and says how to go on where there are more.
func (l *lister) list(ctx context.Context) error {
	page, err := l.api.RecordPage(ctx, l.f)
	if err != nil {
		return err
	}
	if err := l.print(page); err != nil {
		return err
	}
	if len(page.Records) == 0 {
		l.none(ctx)
	}
	if !page.More {
		return nil
	}
	flag, there := "--after", "newer"
	if l.f.Newest {
		flag, there = "--before", "older"
	}
	fmt.Fprintf(l.errs, "there are %s records that fit: add %s %d\n", there, flag, page.Last)
	return nil
}

// print shows a page, the oldest record first.
func (l *lister) print(page admin.RecordPage) error {
	if l.f.Newest {
		slices.Reverse(page.Records)
	}
	t, err := recordTable(page.Records)
	if err != nil {
		return err
	}
	return t.print(l.out, l.format)
}

// How long a server is asked to wait for a record, short enough not to hold up
// its end, and how long a server that does not answer is left alone.
const (
	followWait  = 2 * time.Second
	followPause = time.Second
)

// follow prints what fits and then what comes, until it is interrupted. The
// cursor is a sequence number, so that nothing is lost or shown twice when the
// server restarts.
func (l *lister) follow(ctx context.Context) error {
	f := l.f
	last := f.After
	if f.Newest {
		newest, err := l.api.RecordPage(ctx, admin.RecordFilter{Limit: 1, Newest: true})
		if err != nil {
			return err
		}
		last = newest.Last
		if l.f.Before = last + 1; last > 0 {
			page, err := l.api.RecordPage(ctx, l.f)
			if err != nil {
				return err
			}
			if err := l.print(page); err != nil {
				return err
			}
		}
	}
	l.f.Newest, f.Newest, f.Before, f.Wait = false, false, 0, followWait
	gone := false
	for ctx.Err() == nil {
		f.After = last
		page, err := l.api.RecordPage(ctx, f)
		var refused *admin.Refusal
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &refused) && refused.Status < 500:
			return err
		case err != nil:
			if !gone {
				fmt.Fprintf(l.errs, "%s; waiting for it\n", err)
			}
			gone = true
			pause(ctx, followPause)
			continue
		}
		if gone = false; len(page.Records) == 0 {
			continue
		}
		last = page.Last
		if err := l.more(page.Records); err != nil {
			return err
		}
	}
	return nil
}

// more prints records behind others: a table without its head.
func (l *lister) more(records []json.RawMessage) error {
	t, err := recordTable(records)
	if err != nil || l.format != "table" {
		return errors.Join(err, t.print(l.out, l.format))
	}
	for _, row := range t.rows {
		if _, err := fmt.Fprintln(l.out, strings.Join(visibleRow(row), "  ")); err != nil {
			return err
		}
	}
	return nil
}
