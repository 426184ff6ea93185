package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

// oneArg wants exactly one argument, and shows the command to whoever forgot
// it.
func oneArg(c *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("one argument is wanted, not %d. Remedy: write %s", len(args), c.UseLine())
	}
	return nil
}

// someArgs wants one argument or more.
func someArgs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("one argument or more is wanted. Remedy: write %s", c.UseLine())
	}
	return nil
}

// optionalArg wants one argument at most.
func optionalArg(c *cobra.Command, args []string) error {
	if len(args) > 1 {
		return fmt.Errorf("one argument at most is wanted, not %d. Remedy: write %s", len(args), c.UseLine())
	}
	return nil
}

// noArgs wants none: on a command with commands below it, an argument is a
// misspelt command.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 && !c.HasSubCommands() {
		return fmt.Errorf("only flags are wanted, not %.60q. Remedy: see %s --help", args[0], c.CommandPath())
	}
	if err := cobra.NoArgs(c, args); err != nil {
		return fmt.Errorf("%w. Remedy: see %s --help", err, c.CommandPath())
	}
	return nil
}

// showHelp is what a command does that only has commands below it.
func showHelp(c *cobra.Command, _ []string) error { return c.Help() }

// badFlag leads from a flag that is not understood to those that are.
func badFlag(c *cobra.Command, err error) error {
	if f, ok := errors.AsType[*formatError](err); ok {
		return f
	}
	if f, ok := errors.AsType[*choiceError](err); ok {
		return f
	}
	return fmt.Errorf("%w. Remedy: see %s --help", err, c.CommandPath())
}

// helpCommand is help as a command; unlike the library's, it calls a command
// that does not exist an error.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]", Short: "Help about any command", DisableFlagsInUseLine: true,
		RunE: func(c *cobra.Command, args []string) error {
			about, rest, err := c.Root().Find(args)
			if err == nil && len(rest) > 0 {
				err = noArgs(about, rest)
			}
			if err != nil {
				return err
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
	}
}
