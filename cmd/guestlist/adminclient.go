package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"guestlist/server/admin"
)

// serverFlags say which running server a command asks.
type serverFlags struct {
	config string
	socket string
}

// register adds the flags to c and to every command below it.
func (f *serverFlags) register(c *cobra.Command) {
	chooseFlag(c.PersistentFlags(), &f.config, "config", "configuration file of the server (or GUESTLIST_CONFIG)")
	chooseFlag(c.PersistentFlags(), &f.socket, "socket", "admin socket of the server, instead of its configuration file")
}

// one refuses two places to look for the server.
func (f *serverFlags) one() error {
	if f.config != "" && f.socket != "" {
		return errors.New("--config and --socket may name two servers. Remedy: leave one of them out")
	}
	return nil
}

// client finds the server: --socket, or the admin.socket of --config, else of
// GUESTLIST_CONFIG.
func (f *serverFlags) client() (*admin.Client, error) {
	if err := f.one(); err != nil {
		return nil, err
	}
	if f.config == "" && f.socket != "" {
		return admin.NewClient(f.socket), nil
	}
	path, err := findConfig(f.config)
	if err != nil {
		return nil, fmt.Errorf("find the server: %w, or name its admin socket with --socket", err)
	}
	socket, err := loadAdminSocket(path)
	if err != nil {
		return nil, err
	}
	if socket == "" {
		return nil, fmt.Errorf("%s sets no admin.socket: set one and start the server again", path)
	}
	return admin.NewClient(socket), nil
}

// askCommand is a command that only has commands below it; all of them ask
// the same server.
func askCommand(use, short string, server *serverFlags, subs ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short, Args: noArgs, RunE: showHelp, DisableFlagsInUseLine: true,
	}
	server.register(c)
	c.AddCommand(subs...)
	return c
}

// printOne writes one value: a page for people, or JSON.
func printOne(w io.Writer, format string, value any, page func(io.Writer) error) error {
	switch format {
	case "table":
		return page(w)
	case "json":
		return printJSON(w, value)
	case "ndjson":
		return printLine(w, value)
	}
	return &formatError{name: format, wanted: "table, json or ndjson"}
}
