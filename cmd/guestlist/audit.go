package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
)

// auditCommand reads the decision log of a running server.
func auditCommand() *cobra.Command {
	server := &serverFlags{}
	return askCommand("audit", "Read the decision log of a running server", server,
		auditListCommand(server), auditWhyCommand(server), auditDiffCommand(server), auditExportCommand(server), auditHoldCommand(server), auditSchemaCommand(), auditReferenceCommand())
}

// moment reads a time, a date (UTC) or a duration before now; empty is none.
func moment(flag, s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	// "+2h" is a time to come in policy eval --at, and not how long ago.
	if d, err := broker.ParseDuration(s); err == nil && s[0] != '+' {
		return now.Add(-d.Std()), nil
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil && !t.IsZero() {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%s %.60q: want a time, a date or how long ago, like 2026-11-20T10:00:00Z, 2026-11-20 or 24h", flag, s)
}

// timeRange reads two moments; where both are given the first must be the earlier.
func timeRange(sinceFlag, since, untilFlag, until string) (from, to time.Time, err error) {
	now := time.Now()
	if from, err = moment(sinceFlag, since, now); err != nil {
		return from, to, err
	}
	if to, err = moment(untilFlag, until, now); err != nil {
		return from, to, err
	}
	return from, to, ordered(sinceFlag, from, untilFlag, to)
}

// ordered refuses a range of times that nothing can be in. A time that is zero
// bounds nothing.
func ordered(sinceFlag string, since time.Time, untilFlag string, until time.Time) error {
	if since.IsZero() || until.IsZero() || since.Before(until) {
		return nil
	}
	return fmt.Errorf("%s %s is not before %s %s", sinceFlag, stamp(since), untilFlag, stamp(until))
}

// recordSheet names what csv has of a record: times and identifiers whole, and
// the members that people sort by.
var recordSheet = []string{
	"seq", "timestamp", "event", "outcome", "count", "reason", "public_reason", "client_id", "policy", "subject", "grant_id", "actor",
	"document_sha256", "request_id", "decision_id", "error",
}

// sheetRow is a record in a sheet.
func sheetRow(r logged) []string {
	client := r.ClientID
	if client == "" {
		client = r.ClientIDDigest
	}
	count, when := "", ""
	if r.Count > 0 {
		count = strconv.Itoa(r.Count)
	}
	if !r.Timestamp.IsZero() {
		when = stamp(r.Timestamp)
	}
	return []string{strconv.FormatUint(r.Seq, 10), when, r.Event, r.Outcome, count, r.Reason, r.PublicReason, client,
		strings.Join(r.Policy, " "), r.Subject, r.GrantID, r.Actor, r.DocumentSHA256, r.RequestID, r.DecisionID, r.Error}
}

// recordTable shows records one per line.
func recordTable(records []json.RawMessage) (table, error) {
	t := table{columns: []string{"TIME", "EVENT", "OUTCOME", "REASON", "CLIENT", "REQUEST"}, sheet: [][]string{recordSheet}}
	for _, raw := range records {
		var r logged
		if err := json.Unmarshal(raw, &r); err != nil {
			return table{}, fmt.Errorf("read the server's records: %w", err)
		}
		t.values = append(t.values, raw)
		t.sheet = append(t.sheet, sheetRow(r))
		if r.Error != "" {
			t.rows = append(t.rows, []string{"-", fmt.Sprintf("record %d", r.Seq), "unreadable", r.Error, "", ""})
			continue
		}
		t.rows = append(t.rows, []string{stampColumn(r.Timestamp), r.Event, counted(r), r.Reason, clientOf(r), r.RequestID})
	}
	return t, nil
}

// counted is the outcome, with the number of refusals that a summary, of
// clients that an act, or of records that an erasure stands for.
func counted(r logged) string {
	if r.Count == 0 {
		return r.Outcome
	}
	if strings.HasPrefix(r.Event, "clients.") { // one act on many
		return fmt.Sprintf("%s (%s)", r.Outcome, number(r.Count, "client"))
	}
	if r.Event == decisionlog.EventLogErased {
		return fmt.Sprintf("%s (%s)", r.Outcome, number(r.Count, "record"))
	}
	return fmt.Sprintf("%s (%s)", r.Outcome, number(r.Count, "time"))
}
