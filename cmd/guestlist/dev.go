package main

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/rs/zerolog"
	"github.com/spf13/pflag"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/broker/fetch"
	"guestlist/policies"
	"guestlist/server/admin"
	"guestlist/server/signin"
)

// devFlags are the switches of serve --dev.
type devFlags struct {
	on       bool
	listen   string
	policies string
	resource string
	hostMap  map[string]string
	trustCA  string
}

// devListen is where serve --dev listens unless told otherwise or taken.
const devListen = "127.0.0.1:8080"

// register adds the switches to a command.
func (d *devFlags) register(f *pflag.FlagSet) {
	f.BoolVar(&d.on, "dev", false, "run from nothing, for development: temporary, on loopback, with a demo client")
	f.StringVar(&d.listen, "listen", "", "with --dev: loopback address to listen on (default "+devListen+", or a free port when that is taken)")
	f.StringVar(&d.policies, "policies", "", "with --dev: directory of your own policies (default: the development starter, which admits everybody)")
	f.StringVar(&d.resource, "resource", "http://127.0.0.1:9000/mcp", "with --dev: the protected resource that tokens are for")
	f.StringToStringVar(&d.hostMap, "map-host", nil, "with --dev: HOST:PORT=ADDRESS, where a document host is reached instead of by its name")
	f.StringVar(&d.trustCA, "trust-ca", "", "with --dev: PEM file of certificates that document hosts may use")
}

// used reports whether a switch that needs --dev was given.
func (d *devFlags) used() bool {
	return d.listen != "" || d.policies != "" || len(d.hostMap) > 0 || d.trustCA != ""
}

// dev is a development server under construction.
type dev struct {
	dir      string // temporary; removed at the end
	password string
	issuer   string
	listener net.Listener
	demo     *demo
	roots    *x509.CertPool
	hostMap  map[string]string
	policies fs.FS
	source   string
}

// serveDev runs everything that an admission needs in one process.
func serveDev(ctx context.Context, f devFlags, stdout, stderr io.Writer) (err error) {
	d := &dev{hostMap: map[string]string{}}
	if d.dir, err = os.MkdirTemp("", "guestlist-dev-"); err != nil {
		return err
	}
	defer os.RemoveAll(d.dir)
	if err := d.prepare(f); err != nil {
		return err
	}
	defer d.demo.close()
	log := zerolog.New(decisionlog.Quiet{W: stderr}).With().Timestamp().Bool("insecure", true).Logger()
	a, err := open(ctx, d.plan(f), log)
	if err != nil {
		return errors.Join(err, d.listener.Close())
	}
	d.demo.app = a
	socket, err := admin.Listen(filepath.Join(d.dir, "admin.sock"))
	if err != nil {
		return errors.Join(err, d.listener.Close(), a.close(ctx))
	}
	d.demo.serve(log)
	d.announce(stdout, f)
	return running{app: a, public: d.listener, socket: socket, watch: f.policies}.until(ctx)
}

// prepare makes what the development server stands on.
func (d *dev) prepare(f devFlags) error {
	var err error
	if what := resourceProblem(f.resource); what != "" {
		return fmt.Errorf("--resource %q %s. Remedy: write the URL of the API, for instance http://127.0.0.1:9000/mcp", f.resource, what)
	}
	if d.listener, err = listenDev(f.listen); err != nil {
		return err
	}
	d.issuer = "http://" + d.listener.Addr().String()
	if d.password, err = d.addPerson(); err != nil {
		return err
	}
	if d.policies, d.source, err = devPolicies(f.policies); err != nil {
		return err
	}
	if d.demo, err = newDemo(d.issuer, f.resource); err != nil {
		return err
	}
	d.roots = x509.NewCertPool()
	if f.trustCA != "" {
		if d.roots, err = fetch.LoadCAFile(f.trustCA); err != nil {
			return fmt.Errorf("--trust-ca: %w", err)
		}
	}
	d.roots.AddCert(d.demo.certificate)
	maps.Copy(d.hostMap, f.hostMap)
	d.hostMap[demoHost+":443"] = d.demo.documents.Addr().String()
	return nil
}

// plan describes the app.
func (d *dev) plan(f devFlags) plan {
	return plan{
		issuer: d.issuer, storePath: filepath.Join(d.dir, "guestlist.db"), keysDir: filepath.Join(d.dir, "keys"),
		people: filepath.Join(d.dir, "people.yaml"), policies: d.policies, source: d.source, fetching: fetch.Config{RootCAs: d.roots, InsecureHostMap: d.hostMap},
		resources: []broker.Resource{{ID: f.resource, Name: "Example MCP server", Scopes: []string{"mcp:read", "mcp:write"}, TokenFormat: "jwt"}},
		insecure:  true, look: defaultLook().Every.Std(),
	}
}

// listenDev listens on loopback and nowhere else. The default address gives
// way to a free port; one that was asked for does not.
func listenDev(addr string) (net.Listener, error) {
	asked := addr != ""
	if !asked {
		addr = devListen
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("--listen %q: want HOST:PORT", addr)
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("--listen %q: --dev listens on a loopback address only, for instance %s", addr, devListen)
	}
	l, err := listen(addr)
	if errors.Is(err, syscall.EADDRINUSE) && !asked {
		return net.Listen("tcp", net.JoinHostPort(host, "0"))
	}
	return l, err
}

// devPolicies are the starter's, or a directory's.
func devPolicies(dir string) (fs.FS, string, error) {
	if dir == "" {
		starter, ok := policies.Starter("development")
		if !ok {
			return nil, "", errors.New("the development starter is missing from this program")
		}
		return starter, "starter:development", nil
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, "", fmt.Errorf("--policies: %w", err)
	}
	if !info.IsDir() {
		return nil, "", fmt.Errorf("--policies %s: not a directory", dir)
	}
	return os.DirFS(dir), dir, nil
}

// devPerson is who signs in to a development server.
const devPerson = "demo"

// addPerson makes the one person and returns their password.
func (d *dev) addPerson() (string, error) {
	var b [10]byte
	rand.Read(b[:])
	password := strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
	e := signin.Entry{Username: devPerson, FullName: "Demo Person", Groups: []string{"eng"}}
	return password, signin.Add(filepath.Join(d.dir, "people.yaml"), e, []byte(password))
}

// announce says what there is and what to do next; the last line is the link.
func (d *dev) announce(w io.Writer, f devFlags) {
	play := "See a whole admission of a client that nobody registered."
	if f.policies != "" {
		play = "See what your policies say to the demo client, " + demoClientID + "."
	}
	listen := strings.TrimPrefix(f.resource, "http://")
	listen, _, _ = strings.Cut(listen, "/")
	fmt.Fprintf(w, `Guestlist, development server. Everything below is temporary and on loopback only.

  issuer     %s
  policies   %s
  sign in    user %s, password %s
  operator   guestlist audit ls --socket %s

Protect an MCP server with it: accept tokens of this issuer for your resource.

  go run ./examples/mcp-server --listen %s --resource %s --issuer %s

%s Open:

  %s
`, d.issuer, d.source, devPerson, d.password, filepath.Join(d.dir, "admin.sock"), listen, f.resource, d.issuer, play, d.demo.link())
}
