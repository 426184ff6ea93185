package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"guestlist/policies/authoring"
)

// allowFlags say which row goes where.
type allowFlags struct {
	list     authoring.List
	row      authoring.Row
	expires  string
	settings string
	remove   bool
}

// policyAllowCommand edits a list.
func policyAllowCommand() *cobra.Command {
	var f allowFlags
	c := &cobra.Command{
		Use:   "allow URL --list NAME --expires WHEN",
		Short: "Add one client to a list of a policy directory, or take it away",
		Long: "Add one line to lists/NAME/data.json, in the order of hosts and paths, every other byte\n" +
			"as it was. The file is replaced only when the directory loads with the new row. A server\n" +
			"that watches the directory has it in force within a second.\n\n" +
			"Exit code 0: done; 1: not done; 2: nothing to do: the list names the client already, or\n" +
			"the row to take away is not there.",
		Example: "  guestlist policy allow https://agents.example/oauth/client.json --list partners --dir guests --expires 90d --ticket IAM-7\n" +
			"  guestlist policy allow https://agents.example/oauth/client.json --list partners --dir guests --remove",
		Args: oneArg,
	}
	format := oneFlag(c)
	fl := c.Flags()
	fl.StringVar(&f.list.Dir, "dir", ".", "policy directory")
	fl.StringVar(&f.list.Name, "list", "", "list: the file lists/NAME/data.json (required)")
	fl.BoolVar(&f.list.Create, "create", false, "make the list where it is not there")
	fl.StringVar(&f.expires, "expires", "", "when the row ends: a date (its first moment, UTC), a moment, a duration such as 90d, or never")
	fl.StringVar(&f.row.Owner, "owner", "", "who answers for the row")
	fl.StringVar(&f.row.Ticket, "ticket", "", "where it was agreed")
	fl.StringVar(&f.settings, "settings", "", "JSON object that narrows the policy's settings for this client")
	fl.BoolVar(&f.remove, "remove", false, "take the row away")
	c.RunE = func(c *cobra.Command, args []string) error {
		change, err := f.run(c, args[0])
		var standing *authoring.Standing
		if errors.As(err, &standing) {
			return f.stands(c, standing, *format)
		}
		if err != nil {
			return err
		}
		return f.show(c, change, *format)
	}
	return c
}

// run makes the edit.
func (f *allowFlags) run(c *cobra.Command, url string) (authoring.Change, error) {
	f.list.Now, f.row.URL = time.Now(), url
	if f.list.Name == "" {
		return authoring.Change{}, errors.New("no list is named. Remedy: add --list NAME, for the file lists/NAME/data.json")
	}
	if f.remove {
		if f.expires+f.row.Owner+f.row.Ticket+f.settings != "" || f.list.Create {
			return authoring.Change{}, errors.New("--remove takes a row away as it is. Remedy: leave out --expires, --owner, --ticket, --settings and --create")
		}
		return f.list.Remove(c.Context(), url)
	}
	var err error
	if f.row.Expires, err = authoring.Expiry(f.expires, f.list.Now); err != nil {
		return authoring.Change{}, err
	}
	if f.settings != "" {
		d := json.NewDecoder(strings.NewReader(f.settings))
		d.UseNumber()
		if err := d.Decode(&f.row.Settings); err != nil || f.row.Settings == nil {
			return authoring.Change{}, fmt.Errorf("--settings %.80q: want a JSON object, for instance {\"consent\": {\"mode\": \"always\"}}", f.settings)
		}
		if _, err := d.Token(); err != io.EOF {
			return authoring.Change{}, errors.New("--settings: text after the end of the object")
		}
	}
	return f.list.Allow(c.Context(), f.row)
}

// stands says that there was nothing to do, to machines as JSON too.
func (f *allowFlags) stands(c *cobra.Command, s *authoring.Standing, format string) error {
	value := map[string]any{"list": f.list.Name, "change": "none", "client_id": f.row.URL, "message": s.Text}
	if err := printOne(c.OutOrStdout(), format, value, func(io.Writer) error { return nil }); err != nil {
		return err
	}
	return &findings{text: s.Text}
}

// show prints what changed.
func (f *allowFlags) show(c *cobra.Command, change authoring.Change, format string) error {
	done := "added"
	if f.remove {
		done = "removed"
	}
	value := map[string]any{"list": f.list.Name, "file": change.File, "host": change.Host,
		"row": json.RawMessage(change.Text), "change": done, "policies": append([]string{}, change.Policies...)}
	err := printOne(c.OutOrStdout(), format, value, func(w io.Writer) error {
		_, err := io.WriteString(w, lineDiff(change.File, change.Before, change.After))
		return err
	})
	if err != nil {
		return err
	}
	who := "named by policy " + strings.Join(change.Policies, ", ")
	if len(change.Policies) == 0 {
		who = "which no policy names, so that nobody is admitted by it. Remedy: write client_ids_from := data.lists." + f.list.Name
	}
	_, err = fmt.Fprintf(c.ErrOrStderr(), "1 row %s: list %s, %s\n", done, f.list.Name, who)
	return err
}
