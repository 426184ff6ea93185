package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"guestlist/broker/decisionlog"
	"guestlist/server/admin"
)

// exportPage is how many records are read at a time.
const exportPage = 500

// auditExportCommand writes a range of records.
func auditExportCommand(server *serverFlags) *cobra.Command {
	f := admin.RecordFilter{Limit: exportPage}
	var from, to, file string
	c := &cobra.Command{
		Use:   "export",
		Short: "Write decision records of a range, one JSON object a line",
		Long: "Write decision records of a range, one JSON object a line, the oldest first. The view\n" +
			"native is the record as audit ls -o ndjson shows it; opa is a decision log event of Open\n" +
			"Policy Agent, with what has no place in one below custom.\n\n" +
			"A last line on standard error says how many records were written, and the first and the\n" +
			"last sequence number. An export that was cut short goes on with --after and the last of\n" +
			"them; --file is added to then, and must not exist else. A file is not added to in another\n" +
			"view, behind records it has, or where it ends with half a line.",
		Example: "  guestlist audit export --from 2026-11-01 --to 2026-12-01 --file november.ndjson\n" +
			"  guestlist audit export --view opa --after 15000",
		Args: noArgs,
	}
	fl := c.Flags()
	chooseFlag(fl, &from, "from", "not older: a time, a date or how long ago (2026-11-20T10:00:00Z, 2026-11-20, 24h)")
	chooseFlag(fl, &to, "to", "older: a time, a date or how long ago")
	fl.Uint64Var(&f.After, "after", 0, "only records behind this sequence number")
	fl.StringVar(&f.View, "view", decisionlog.ViewNative, "how a record is written: "+strings.Join(decisionlog.Views(), " or "))
	chooseFlag(fl, &file, "file", "write to this file, made with mode 0600; default: standard output")
	format := fl.StringP("output", "o", "ndjson", "output format: ndjson")
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		if *format != "ndjson" {
			return fmt.Errorf("output format %.40q: want ndjson", *format)
		}
		if _, err := decisionlog.View(f.View); err != nil {
			return fmt.Errorf("--%w", err)
		}
		if f.Since, f.Until, err = timeRange("--from", from, "--to", to); err != nil {
			return err
		}
		api, err := server.client()
		if err != nil {
			return err
		}
		if file == "" {
			return exportRange(c.Context(), api, f, c.OutOrStdout(), c.ErrOrStderr())
		}
		return exportFile(c.Context(), api, f, file, c.ErrOrStderr())
	}
	return c
}

// exportFile exports to a file. One that is there already is only added to by
// an export that goes on.
func exportFile(ctx context.Context, api *admin.Client, f admin.RecordFilter, path string, errs io.Writer) (err error) {
	mode, before := os.O_CREATE|os.O_WRONLY|os.O_EXCL, ""
	if f.After > 0 {
		mode = os.O_CREATE | os.O_WRONLY | os.O_APPEND
		if before, err = goesOn(path, f); err != nil {
			return err
		}
	}
	out, err := os.OpenFile(path, mode, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("--file: %w. Remedy: name another, or go on with --after and the last number that it has", err)
	}
	if err != nil {
		return fmt.Errorf("--file: %w", err)
	}
	if _, err = io.WriteString(out, before); err == nil {
		err = exportRange(ctx, api, f, out, errs)
	}
	if err == nil {
		err = out.Sync()
	}
	if closed := out.Close(); err == nil {
		err = closed
	}
	return err
}

// exportRange writes page after page, so that a long log is never held at once, and
// then what it wrote. It says so too where it stops half-way.
func exportRange(ctx context.Context, api *admin.Client, f admin.RecordFilter, out, errs io.Writer) (err error) {
	w := bufio.NewWriter(out)
	quiet := decisionlog.Quiet{W: w}
	var count int
	var first, last uint64
	defer func() {
		if flushed := w.Flush(); err == nil {
			err = flushed
		}
		if count == 0 {
			fmt.Fprintln(errs, "0 records")
			return
		}
		fmt.Fprintf(errs, "%s, seq %d to %d\n", number(count, "record"), first, last)
	}()
	for {
		page, err := api.RecordPage(ctx, f)
		if err != nil {
			return err
		}
		if count == 0 && len(page.Records) > 0 {
			first = page.First
		}
		for _, record := range page.Records {
			if _, err := fmt.Fprintf(quiet, "%s\n", record); err != nil {
				return fmt.Errorf("write the records: %w", err)
			}
		}
		if err := w.Flush(); err != nil {
			return fmt.Errorf("write the records: %w", err)
		}
		count += len(page.Records)
		if len(page.Records) > 0 {
			last, f.After = page.Last, page.Last
		}
		if !page.More {
			return nil
		}
	}
}
