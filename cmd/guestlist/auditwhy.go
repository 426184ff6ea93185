package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// auditWhyCommand explains one request.
func auditWhyCommand(server *serverFlags) *cobra.Command {
	var verbose bool
	var at, save string
	c := &cobra.Command{
		Use:   "why ID",
		Short: "Explain what happened to a request",
		Long: "Explain what happened to a request: what the stranger saw, the true reason, what\n" +
			"every policy said, where each setting comes from, what came of it, and what the\n" +
			"policies of today would answer. ID is the request id that a page or an OAuth\n" +
			"error showed, a decision id, or a client identifier URL for the last decision\n" +
			"about it, or with --at for the one in force at a moment.\n\n" +
			"Of a request id that no record names it says what is known: when it was given\n" +
			"out, and which count of a flood's refusals has it, or that nothing was refused.\n\n" +
			"--save writes what it takes to decide again elsewhere into a new directory: the\n" +
			"document, the policy files and maxima of the revision, input and result. They\n" +
			"may hold personal data.",
		Example: "  guestlist audit why 5a63ae1c5e58e9609c642b8e09c58033\n" +
			"  guestlist audit why https://agents.example/oauth/client.json --at 2026-11-20T10:00:00Z\n" +
			"  guestlist audit why 5a63ae1c5e58e9609c642b8e09c58033 --save evidence",
		Args: oneArg,
	}
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "show policy input and result too; they may hold personal data")
	chooseFlag(c.Flags(), &at, "at", "of a client: the last decision at or before a time, a date or how long ago")
	chooseFlag(c.Flags(), &save, "save", "write document, policy files, input and result into this new directory")
	format := oneFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		then, err := past("--at", at)
		if err != nil {
			return err
		}
		t, err := askWhy(c, server, args[0], then, save != "")
		if err != nil {
			return err
		}
		if save != "" {
			if err := t.save(save); err != nil {
				return err
			}
			t.Story.Material = nil
		}
		return printOne(c.OutOrStdout(), *format, t, func(w io.Writer) error { return explainTold(w, t, verbose) })
	}
	return c
}

// past is a moment that is over; empty is none.
func past(flag, text string) (time.Time, error) {
	now := time.Now()
	at, err := moment(flag, text, now)
	if err == nil && at.After(now) {
		err = fmt.Errorf("%s %s lies in the future: the log holds what was decided. Remedy: guestlist client preview tells what would be", flag, stamp(at))
	}
	return at, err
}

// askWhy asks the server; at counts for a client only, zero is the newest.
func askWhy(c *cobra.Command, server *serverFlags, id string, at time.Time, material bool) (told, error) {
	api, err := server.client()
	if err != nil {
		return told{}, err
	}
	why, err := api.Why(c.Context(), id, at, material)
	if err != nil {
		return told{}, err
	}
	t := told{whyAnswer: why}
	raw := t.whyAnswer.Story
	t.whyAnswer.Story = nil
	if len(raw) == 0 || string(raw) == "null" {
		return t, nil
	}
	if err := json.Unmarshal(raw, &t.Story); err != nil {
		return told{}, fmt.Errorf("read the server's answer: %w", err)
	}
	return t, nil
}

// save writes the material of a story into a directory that must not be there
// yet.
func (t told) save(dir string) error {
	if t.Story == nil || t.Story.Material == nil {
		return errors.New("--save: no policy was asked about this request, so there is nothing to save")
	}
	r, err := t.last()
	if err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("--save: %w. Remedy: name a directory that is not there yet", err)
	}
	m := t.Story.Material
	files := map[string][]byte{"document.json": m.Document, "input.json": r.Input, "result.json": r.Result, "maxima.json": m.Maxima}
	if record, err := json.Marshal(r.Record); err == nil {
		files["record.json"] = record
	}
	if files["offer.json"], err = json.Marshal(m.Offer); err != nil {
		return err
	}
	for name, body := range m.Files {
		files[savedName(name)] = body
	}
	for name, body := range files {
		if body == nil {
			continue
		}
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, body, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// savedName is where a file of a revision is saved; a name cannot leave the
// directory.
func savedName(name string) string {
	root := "policies"
	if rest, ok := strings.CutPrefix(name, "guardrails:"); ok {
		root, name = "guardrails", rest
	}
	return root + filepath.ToSlash(filepath.Clean("/"+filepath.FromSlash(name)))
}
