// Command mcp-client calls a tool of a protected MCP server as a client that
// nobody registered: it names itself by the URL of its Client ID Metadata
// Document, and the authorization server fetches that document.
//
// A real client publishes its document once, at its own client_id:
//
//	mcp-client document --client-id https://app.example.com/oauth/client.json
//
// For development it can serve the document itself. The certificate is made
// at start, and the authorization server is told where the host is and what
// it may trust. With Guestlist, in four terminals:
//
//	go run ./examples/mcp-client document --serve-document 127.0.0.1:8443 --cert-out client.pem
//	go run ./cmd/guestlist serve --dev --trust-ca client.pem --map-host mcp-client.example:443=127.0.0.1:8443
//	go run ./examples/mcp-server --issuer http://127.0.0.1:8080
//	go run ./examples/mcp-client call --server http://127.0.0.1:9000/mcp --redirect-host localhost
//
// The first prints "ready: 127.0.0.1:8443" and serves until it is stopped.
// The last prints one line on standard error,
//
//	open: http://127.0.0.1:8080/authorize?...
//
// waits until the person who opened that link has signed in and agreed, and
// then prints what the tool answered as one line of JSON on standard output.
//
// Use another loopback name for the redirect than the issuer's, as above:
// cookies ignore ports, so a browser would hand the issuer's cookies to the
// redirect receiver as well.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// defaultClientID is a name that cannot be registered (RFC 6761), so it works
// with a host map only.
const defaultClientID = "https://mcp-client.example/oauth/client.json"

const usage = `usage: mcp-client document [--client-id URL] [--serve-document ADDRESS --cert-out FILE]
       mcp-client call --server URL [--client-id URL] [--tool NAME] [--arguments JSON]
                       [--redirect-host HOST] [--timeout DURATION] [--open]`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "mcp-client: "+err.Error())
		os.Exit(1)
	}
}

// run is the program.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		return errors.New("say what to do\n" + usage)
	}
	switch args[0] {
	case "document":
		return runDocument(ctx, args[1:], stdout, stderr)
	case "call":
		return runCall(ctx, args[1:], stdout, stderr)
	}
	return fmt.Errorf("%q: want document or call\n%s", args[0], usage)
}

// runDocument prints the document, or serves it until ctx ends.
func runDocument(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := newFlags("document", stderr)
	clientID := flags.String("client-id", defaultClientID, "URL at which the document is published")
	addr := flags.String("serve-document", "", "serve the document over TLS at this address instead of printing it")
	certOut := flags.String("cert-out", "", "with --serve-document: where to write the certificate, PEM")
	if err := parse(flags, args); err != nil {
		return err
	}
	if (*addr == "") != (*certOut == "") {
		return errors.New("--serve-document and --cert-out go together")
	}
	doc, err := newDocument(*clientID)
	if err != nil {
		return err
	}
	if *addr == "" {
		_, err = stdout.Write(doc.body)
		return err
	}
	return doc.serve(ctx, *addr, *certOut, stdout)
}

// runCall calls a tool and prints its answer.
func runCall(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := newFlags("call", stderr)
	c := call{person: stderr}
	flags.StringVar(&c.server, "server", "", "URL of the MCP server (required)")
	flags.StringVar(&c.clientID, "client-id", defaultClientID, "URL at which this client's document is published")
	flags.StringVar(&c.tool, "tool", "whoami", "tool to call")
	flags.StringVar(&c.arguments, "arguments", "{}", "arguments of the tool, a JSON object")
	flags.StringVar(&c.redirectHost, "redirect-host", "127.0.0.1", "loopback name in the redirect URI: 127.0.0.1 or localhost")
	flags.BoolVar(&c.open, "open", false, "open the authorization URL in a browser as well")
	timeout := flags.Duration("timeout", 5*time.Minute, "how long to wait in all")
	if err := parse(flags, args); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, *timeout)
	defer cancel()
	answer, err := c.run(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "%s\n", answer)
	return err
}

func newFlags(name string, stderr io.Writer) *flag.FlagSet {
	f := flag.NewFlagSet("mcp-client "+name, flag.ContinueOnError)
	f.SetOutput(stderr)
	return f
}

// parse takes flags and nothing else.
func parse(f *flag.FlagSet, args []string) error {
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return fmt.Errorf("argument %q: want flags only", f.Arg(0))
	}
	return nil
}
