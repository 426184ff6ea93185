// Command guestlist is an OAuth authorization server that admits clients
// nobody registered, by policy.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes.
const (
	exitError    = 1 // the command could not do its work
	exitFindings = 2 // it did, and what it found is denied, changed or warned about
)

// findings ends a command that worked with exit code 2.
type findings struct{ text string }

// Error implements error.
func (f *findings) Error() string { return f.text }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the program: arguments in, exit code out.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	var f *findings
	switch {
	case err == nil:
		return 0
	case errors.As(err, &f):
		if f.text != "" {
			fmt.Fprintln(stderr, visibleText(f.text))
		}
		return exitFindings
	default:
		fmt.Fprintln(stderr, visibleText("guestlist: "+err.Error()))
		return exitError
	}
}

// newRoot builds the command tree.
func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:               "guestlist",
		Short:             "An OAuth authorization server that admits clients nobody registered, by policy",
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},

		Args: noArgs, RunE: showHelp, DisableFlagsInUseLine: true,
	}
	root.SetFlagErrorFunc(badFlag)
	root.SetHelpCommand(helpCommand())
	root.AddCommand(serveCommand(), statusCommand(), initCommand(), policyCommand(), clientCommand(), auditCommand(), reportCommand(), personCommand(), factsCommand(), keysCommand(), versionCommand())
	return root
}
