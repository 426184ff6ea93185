package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"guestlist/server/signin"
)

// maxPasswordInput is more than any password that is accepted.
const maxPasswordInput = 4096

// personCommand edits the people file. It needs no running server: one that
// runs reads the file again when it changes.
func personCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "person",
		Short: "Add, change and list the people who may sign in",
		Args:  noArgs,
		RunE:  showHelp,

		DisableFlagsInUseLine: true,
	}
	c.AddCommand(personAdd(), personPasswd(), personList())
	return c
}

// peopleFlags says which people file a command is about.
type peopleFlags struct{ config, file string }

func (p *peopleFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&p.config, "config", "", "configuration file that names the people file (or "+configEnv+")")
	c.Flags().StringVar(&p.file, "file", "", "the people file itself")
	c.MarkFlagsMutuallyExclusive("config", "file")
}

// path returns the people file.
func (p *peopleFlags) path() (string, error) {
	if p.file != "" {
		return p.file, nil
	}
	path, err := findConfig(p.config)
	if err != nil {
		return "", fmt.Errorf("%w, or name the people file with --file", err)
	}
	c, err := loadConfig(path)
	return c.People.File, err
}

// passwordFlag adds --password-stdin to a command.
func passwordFlag(c *cobra.Command) *bool {
	return c.Flags().Bool("password-stdin", false, "read the password from standard input; one newline at its end is dropped")
}

// readPassword reads standard input. Passwords are never arguments, which
// every user of the machine can see.
func readPassword(c *cobra.Command, fromStdin bool) ([]byte, error) {
	if !fromStdin {
		return nil, errors.New("no password. Remedy: add --password-stdin and pipe the password in")
	}
	data, err := io.ReadAll(io.LimitReader(c.InOrStdin(), maxPasswordInput))
	if err != nil {
		return nil, fmt.Errorf("read the password from standard input: %w", err)
	}
	password := strings.TrimSuffix(string(data), "\n")
	if len(password) < len(data) {
		password = strings.TrimSuffix(password, "\r")
	}
	return []byte(password), nil
}

func personAdd() *cobra.Command {
	var people peopleFlags
	var e signin.Entry
	c := &cobra.Command{
		Use:     "add NAME",
		Short:   "Add a person",
		Example: "  guestlist person add ada --full-name 'Ada L.' --groups eng,ops --password-stdin --config guestlist.yaml < password",
		Args:    oneArg,
	}
	people.register(c)
	c.Flags().StringVar(&e.FullName, "full-name", "", "name for people to read")
	c.Flags().StringVar(&e.Email, "email", "", "email address; it is not verified")
	c.Flags().StringSliceVar(&e.Groups, "groups", nil, "groups that policies read as input.user.groups, with commas between")
	stdin := passwordFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		e.Username = args[0]
		password, err := readPassword(c, *stdin)
		if err != nil {
			return err
		}
		file, err := people.path()
		if err != nil {
			return err
		}
		if err := signin.Add(file, e, password); err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "added %s to %s\n", e.Username, file)
		return err
	}
	return c
}

func personPasswd() *cobra.Command {
	var people peopleFlags
	c := &cobra.Command{
		Use:     "passwd NAME",
		Short:   "Give a person a new password",
		Long:    "Give a person a new password. Where the person is signed in, they stay so until the session ends.",
		Example: "  guestlist person passwd ada --password-stdin --config guestlist.yaml < password",
		Args:    oneArg,
	}
	people.register(c)
	stdin := passwordFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		password, err := readPassword(c, *stdin)
		if err != nil {
			return err
		}
		file, err := people.path()
		if err != nil {
			return err
		}
		if err := signin.Passwd(file, args[0], password); err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "changed the password of %s in %s\n", args[0], file)
		return err
	}
	return c
}

// personRow is a person for machines: what the people file says, without the
// password.
type personRow struct {
	Username string   `json:"username"`
	FullName string   `json:"full_name"`
	Email    string   `json:"email"`
	Groups   []string `json:"groups"` // never null
	Disabled bool     `json:"disabled"`
}

func personList() *cobra.Command {
	var people peopleFlags
	c := &cobra.Command{
		Use:   "list",
		Short: "List the people who may sign in, without their passwords",
		Long: "List the people of the people file, without their passwords. To change a group or an\n" +
			"address, to keep somebody out (disabled: true) or to remove somebody, edit that file: a\n" +
			"running server reads it again.",
		Example: "  guestlist person list --config guestlist.yaml",
		Args:    noArgs,
	}
	people.register(c)
	format := outputFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		file, err := people.path()
		if err != nil {
			return err
		}
		entries, err := signin.List(file)
		if err != nil {
			return err
		}
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			fmt.Fprintf(c.ErrOrStderr(), "guestlist: there is no file %s yet; guestlist person add makes it\n", file)
		}
		t := table{columns: []string{"USERNAME", "FULL NAME", "EMAIL", "GROUPS", "DISABLED"}}
		for _, e := range entries {
			groups := append([]string{}, e.Groups...)
			t.rows = append(t.rows, []string{e.Username, e.FullName, e.Email, strings.Join(groups, ","), strconv.FormatBool(e.Disabled)})
			t.values = append(t.values, personRow{e.Username, e.FullName, e.Email, groups, e.Disabled})
		}
		return t.print(c.OutOrStdout(), *format)
	}
	return c
}
