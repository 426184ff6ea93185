package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"guestlist/server/admin"
	"guestlist/server/keys"
)

// keysCommand looks at the server's keys and rotates them.
func keysCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "keys",
		Short: "List, rotate and destroy the keys of the server",
		Args:  noArgs,
		RunE:  showHelp,

		DisableFlagsInUseLine: true,
	}
	c.AddCommand(keysListCommand(), keysRotateCommand(), keysDestroyCommand())
	return c
}

// keysListCommand lists the keys in the key directory. It needs no server.
func keysListCommand() *cobra.Command {
	var config string
	c := &cobra.Command{
		Use:   "list",
		Short: "List the keys in the key directory, without their secrets",
		Long: "List the keys in the key directory, without their secrets. A published key is\n" +
			"known to others and not used yet, the active one is used for everything new, a\n" +
			"retired one is still accepted until it is gone.",
		Example: "  guestlist keys list --config guestlist.yaml",
		Args:    noArgs,
	}
	c.Flags().StringVar(&config, "config", "", "configuration file that names the key directory (or "+configEnv+")")
	format := outputFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		path, err := findConfig(config)
		if err != nil {
			return err
		}
		cfg, err := loadConfig(path)
		if err != nil {
			return err
		}
		k, err := openKeys(cfg.Keys.Dir)
		if err != nil {
			return err
		}
		return keyTable(k.List()).print(c.OutOrStdout(), *format)
	}
	return c
}

// keyTable shows keys one per line.
func keyTable(list []keys.Info) table {
	t := table{
		columns: []string{"PURPOSE", "ID", "ALGORITHM", "STATE", "CREATED", "USED FROM", "RETIRES", "GONE"},
		sheet:   [][]string{{"purpose", "id", "algorithm", "state", "created", "used_from", "retires", "gone"}},
	}
	for _, i := range list {
		row := func(never string) []string {
			cells := []string{i.Purpose, i.ID, i.Algorithm, i.State}
			for _, at := range []time.Time{i.Created, i.SignsFrom, i.RetiresAt, i.GoneAt} {
				when := never
				if !at.IsZero() {
					when = stamp(at)
				}
				cells = append(cells, when)
			}
			return cells
		}
		t.rows = append(t.rows, row("-"))
		t.sheet = append(t.sheet, row(""))
		t.values = append(t.values, i)
	}
	return t
}

// openKeys opens a key directory that exists, and makes nothing in it.
func openKeys(dir string) (*keys.Keys, error) {
	k, err := keys.Open(keys.Config{Dir: dir, Existing: true})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w; guestlist serve makes the keys when it starts first", err)
	}
	return k, err
}

// keysRotateCommand rotates keys.
func keysRotateCommand() *cobra.Command {
	server := &serverFlags{}
	c := &cobra.Command{
		Use:   "rotate [signing|sealing]",
		Short: "Publish new keys that take over in ten minutes",
		Long: "Publish new keys, of both purposes or of the one that is named. A new key takes\n" +
			"over after ten minutes, when everybody has fetched it; the old one is accepted for\n" +
			"two hours more, so that nothing it signed or sealed dies early. A running server\n" +
			"is asked to do it and records who asked; without one the key directory is changed\n" +
			"itself.",
		Example: "  guestlist keys rotate signing --config guestlist.yaml",
		Args:    optionalArg,
	}
	server.register(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			args = []string{"signing", "sealing"} // the pseudonym key is never rotated
		}
		for _, purpose := range args {
			if err := rotateKeys(c.Context(), server, purpose, c.ErrOrStderr()); err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "%s: a new key is published; see guestlist keys list\n", purpose)
		}
		return nil
	}
	return c
}

// rotateKeys rotates the keys of one purpose.
func rotateKeys(ctx context.Context, server *serverFlags, purpose string, stderr io.Writer) error {
	why, k, err := askOrOpen(server, func(c *admin.Client) error { return c.Rotate(ctx, purpose) })
	if err != nil || k == nil {
		return err
	}
	if err := k.Rotate(purpose); err != nil {
		return err
	}
	fmt.Fprintf(stderr, "guestlist: %s: the %s key was rotated, and nothing was recorded\n", why, purpose)
	return nil
}

// askOrOpen asks the running server, or opens the key directory when none runs
// and says why. Any other trouble with the server is an error: it may run.
func askOrOpen(server *serverFlags, ask func(*admin.Client) error) (why string, k *keys.Keys, err error) {
	if err := server.one(); err != nil {
		return "", nil, err
	}
	if server.socket != "" {
		return "", nil, ask(admin.NewClient(server.socket))
	}
	path, err := findConfig(server.config)
	if err != nil {
		return "", nil, err
	}
	socket, err := loadAdminSocket(path)
	if err != nil {
		return "", nil, err
	}
	why = path + " sets no admin.socket"
	if socket != "" {
		err := ask(admin.NewClient(socket))
		var none *admin.NoServer
		if !errors.As(err, &none) {
			return "", nil, err
		}
		why = "no server answers on " + none.Socket
	}
	cfg, err := loadConfig(path)
	if err != nil {
		return "", nil, err
	}
	k, err = openKeys(cfg.Keys.Dir)
	return why + ", in " + cfg.Keys.Dir + " itself", k, err
}
