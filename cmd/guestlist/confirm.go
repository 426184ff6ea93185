package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// confirmed asks whether to go on, where a person is at the terminal. With yes
// it does not ask. The error says that nothing was changed.
func confirmed(c *cobra.Command, yes bool, question string) error {
	if yes {
		return nil
	}
	if !isTerminal(c.InOrStdin()) {
		return &findings{"nothing was changed. Remedy: add --yes"}
	}
	if !agreed(c.InOrStdin(), c.ErrOrStderr(), question) {
		return &findings{"nothing was changed"}
	}
	return nil
}

// agreed asks a question and reads a yes.
func agreed(in io.Reader, out io.Writer, question string) bool {
	fmt.Fprint(out, question+" [y/N] ")
	answer, err := bufio.NewReader(io.LimitReader(in, 100)).ReadString('\n')
	if err != nil {
		fmt.Fprintln(out) // nobody pressed Enter
	}
	return slices.Contains([]string{"y", "yes"}, strings.ToLower(strings.TrimSpace(answer)))
}

// isTerminal reports whether a person may be typing.
func isTerminal(r io.Reader) bool {
	f, ok := r.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}
