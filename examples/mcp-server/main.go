// Command mcp-server is a small MCP server that accepts access tokens of one
// OAuth issuer. It shows all that a protected resource needs: metadata that
// names the issuer (RFC 9728), a challenge that points to it (RFC 6750), and
// the checks of a JWT access token (RFC 9068).
//
// With a development server of Guestlist:
//
//	go run ./cmd/guestlist serve --dev
//	go run ./examples/mcp-server --issuer http://127.0.0.1:8080
//
// The issuer may be started later: its keys are fetched when the first token
// comes. The server prints one line when it is ready,
//
//	ready: http://127.0.0.1:9000/mcp
//
// and stops on an interrupt. It offers the tool whoami, which says whose token
// was presented, and the tool add.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "mcp-server: "+err.Error())
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("mcp-server", flag.ContinueOnError)
	flags.SetOutput(stderr)
	listen := flags.String("listen", "127.0.0.1:9000", "address to listen on")
	issuer := flags.String("issuer", "", "issuer whose access tokens are accepted (required)")
	resource := flags.String("resource", "", "this server's resource identifier (default http://LISTEN/mcp)")
	scope := flags.String("scope", "mcp:read", "scopes that a token must have, separated by spaces")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("argument %q: want flags only", flags.Arg(0))
	}
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	if *resource == "" {
		*resource = "http://" + l.Addr().String() + "/mcp"
	}
	handler, path, err := newHandler(config{
		issuer: *issuer, resource: *resource, scopes: strings.Fields(*scope), now: time.Now, log: stderr,
	})
	if err != nil {
		return errors.Join(err, l.Close())
	}
	fmt.Fprintf(stdout, "ready: http://%s%s\n", l.Addr(), path)
	return serve(ctx, l, handler)
}

// serve answers on l until ctx ends, then lets requests under way finish.
func serve(ctx context.Context, l net.Listener, handler http.Handler) error {
	s := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	stop, done := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer done()
	return s.Shutdown(stop)
}
