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
	shown := &outputOf{w: stdout}
	root.SetOut(shown)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	var f *findings
	if shown.err != nil && (err == nil || errors.As(err, &f)) {
		err = fmt.Errorf("write the output: %w", shown.err)
	}
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

// outputOf is where a command writes. Help texts are written without a look at
// the error, and whoever keeps what a command says wants to know that it is cut
// short.
type outputOf struct {
	w   io.Writer
	err error // the first that a write met
}

// Write implements io.Writer.
func (o *outputOf) Write(p []byte) (int, error) {
	n, err := o.w.Write(p)
	if o.err == nil {
		o.err = err
	}
	return n, err
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
