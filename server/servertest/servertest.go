// Package servertest is a complete Guestlist for a test: the real server on
// http loopback over a temporary bbolt file, people who can sign in, a clock
// that the test moves, and a document host with TLS under every name it is
// given.
package servertest

import (
	"cmp"
	"context"
	"crypto/sha256"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/rs/zerolog"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/broker/fetch"
	"guestlist/policies"
	"guestlist/server"
	"guestlist/server/grants"
	"guestlist/server/keys"
	"guestlist/server/pages"
	"guestlist/server/signin"
	"guestlist/store"
	"guestlist/store/bolt"
)

// Resource is the protected resource of a test server.
const Resource = "https://mcp.example.com"

// Secret is what Resource introspects with.
const Secret = "a secret of the resource, long enough"

// Options shape a test server. The zero value is a server with the
// development starter and one document host, client.example.com.
type Options struct {
	Policy    map[string]string // files of the policy directory; nil: the development starter
	Hosts     []string          // names of the document host; nil: client.example.com
	Resources []broker.Resource // nil: Resource with scopes mcp:read and mcp:write
	Secrets   map[string]string // secret by resource id; nil: Resource has Secret
	Facts     map[string]any    // values of input.facts, see SetFacts
	AdmitOff  bool
	HostMap   map[string]string               // further names, host:port to the address dialled
	Resolver  fetch.Resolver                  // answers names that are in no map; nil: the system's
	Timeout   time.Duration                   // of a fetch; zero: a minute, which no busy machine comes near
	Fetch     broker.Fetcher                  // brings documents; nil: the guarded door, from Docs and HostMap
	Budgets   broker.Budgets                  // of cold fetches; zero: the program's defaults
	Caps      broker.Caps                     // of clients; zero: the program's defaults
	Hidden    bool                            // cimd.advertise: false
	Known     []broker.Registered             // clients of the configuration
	Path      string                          // path of the issuer, like /tenant
	Wrap      func(store.Store) store.Store   // stands between server and store, to make it fail; nil: nothing does
	Front     func(http.Handler) http.Handler // stands between network and server; nil: nothing does
	Log       io.Writer                       // wide events; nil: dropped
	Observe   Observer                        // is told what happens; the zero value: nobody is
	Dir       string                          // where store and keys are; empty: a temporary directory
	SignIns   signin.Rate                     // of one source; zero: the program's default
	// Disk says how much of the file system is free, out of how much, at each
	// Store.Measure, against a reserve of 256 MiB; nil: the system is asked.
	Disk  func() (free, size int64, err error)
	Start time.Time // of the clock; zero: 2026-11-25 12:00 UTC
}

// Server is a running Guestlist.
type Server struct {
	Issuer  string
	Store   *bolt.Store // for the test to look at
	Kept    store.Store // what the server uses: Store, or what Options.Wrap put before it
	Broker  *broker.Broker
	Batch   *decisionlog.Batch
	Keys    *keys.Keys
	Clock   *Clock
	Docs    *Documents
	Handler *server.Server
	Dir     string

	t       testing.TB
	set     *policies.Set // active
	facts   map[string]any
	web     *httptest.Server
	keysMu  sync.Mutex
	keysFor map[string]*ClientKey // by jwks_uri
}

// New starts a server that ends with the test.
func New(t testing.TB, o Options) *Server {
	t.Helper()
	s := &Server{t: t, Dir: o.Dir, facts: o.Facts, Clock: &Clock{now: o.Start}}
	if s.Dir == "" {
		s.Dir = t.TempDir()
	}
	if o.Start.IsZero() {
		s.Clock.now = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	}
	if o.Resources == nil {
		o.Resources = []broker.Resource{{ID: Resource, Name: "Example MCP server", Scopes: []string{"mcp:read", "mcp:write"}, TokenFormat: "jwt"}}
	}
	if o.Hosts == nil {
		o.Hosts = []string{"client.example.com"}
	}
	s.Docs = newDocuments(t, o.Hosts)
	front := holding(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.Handler.ServeHTTP(w, r) }))
	if o.Front != nil {
		front = o.Front(front)
	}
	s.web = httptest.NewUnstartedServer(front)
	s.Issuer = "http://" + s.web.Listener.Addr().String() + o.Path
	s.assemble(o)
	s.web.Start()
	t.Cleanup(s.Stop)
	return s
}

// assemble builds the server as the program does.
func (s *Server) assemble(o Options) {
	t := s.t
	var err error
	s.Keys, err = keys.Open(keys.Config{Dir: filepath.Join(s.Dir, "keys"), Now: s.Clock.Now, RS256: o.rs256()})
	check(t, err)
	s.WritePeople(Alice(), Bob())
	people, err := signin.Open(signin.Config{File: s.peopleFile(), PerSource: o.SignIns, Now: s.Clock.Now})
	check(t, err)
	hosts := maps.Clone(s.Docs.HostMap)
	maps.Copy(hosts, o.HostMap)
	door, err := fetch.New(fetch.Config{
		RootCAs: s.Docs.Roots, InsecureHostMap: hosts, Resolver: o.Resolver, Timeout: cmp.Or(o.Timeout, time.Minute), Flights: o.Budgets.Concurrent, Now: s.Clock.Now,
	})
	check(t, err)
	s.Store, err = bolt.Open(bolt.Config{Path: filepath.Join(s.Dir, "guestlist.db"), Committed: o.Observe.Commits, Disk: o.Disk})
	check(t, err)
	s.Kept = s.Store
	if o.Wrap != nil {
		s.Kept = o.Wrap(s.Kept)
	}
	s.Batch, err = decisionlog.NewBatch(decisionlog.BatchConfig{
		Single: broker.Single, Short: func() bool { return s.Kept.Room().Short() }, Commit: store.Log{Store: s.Kept}.Append, MaxDelay: time.Hour,
	})
	check(t, err)
	if o.Fetch == nil {
		o.Fetch = door
	}
	s.Broker, err = broker.New(broker.Config{
		Issuer: s.Issuer, Fetch: o.Fetch, Later: s.Batch.Add, Pseudonym: s.Keys.Pseudonym, Now: s.Clock.Now,
		AdmitOff: o.AdmitOff, Budgets: o.Budgets, Caps: o.Caps, Registered: o.Known, Observe: o.Observe.Broker, Room: s.Kept.Room,
		Offer: broker.Offer{
			GrantTypes: []string{"authorization_code", "refresh_token"}, ResponseTypes: []string{"code"}, Resources: o.Resources,
			AuthMethods: grants.AuthMethods(), SigningAlgs: grants.SigningAlgs(),
		},
	})
	check(t, err)
	engine, err := grants.New(grants.Config{Issuer: s.Issuer, Signer: s.Keys, Now: s.Clock.Now, Fetch: door})
	check(t, err)
	look, err := pages.New(pages.Config{})
	check(t, err)
	log := zerolog.Nop()
	if o.Log != nil {
		log = zerolog.New(decisionlog.Quiet{W: o.Log})
	}
	s.Handler, err = server.New(server.Config{
		Issuer: s.Issuer, Store: s.Kept, Broker: s.Broker, Grants: engine, Keys: s.Keys, Pages: look, People: people,
		Batch: s.Batch, Resources: o.Resources, Secrets: o.secrets(), Hidden: o.Hidden, Insecure: true, Observe: o.Observe.Server, Log: log, Now: s.Clock.Now,
	})
	check(t, err)
	check(t, s.Activate(o.Policy))
}

// secrets are the digests of the resources' secrets.
func (o Options) secrets() map[string]server.Secret {
	if o.Secrets == nil {
		o.Secrets = map[string]string{Resource: Secret}
	}
	out := map[string]server.Secret{}
	for id, secret := range o.Secrets {
		out[id] = sha256.Sum256([]byte(secret))
	}
	return out
}

// rs256 reports whether a resource asks for RS256.
func (o Options) rs256() bool {
	return slices.ContainsFunc(o.Resources, func(r broker.Resource) bool { return r.SigningAlg == "RS256" })
}

// Activate makes files the active policies, with the facts that were set last;
// nil means the development starter.
func (s *Server) Activate(files map[string]string) error {
	cfg := policies.Config{Facts: s.facts, Deadline: 5 * time.Second} // a busy machine has no part in what is decided
	if files == nil {
		starter, _ := policies.Starter("development")
		cfg.FS = starter
	} else {
		m := fstest.MapFS{}
		for name, text := range files {
			m[name] = &fstest.MapFile{Data: []byte(text)}
		}
		cfg.FS = m
	}
	set, _, err := policies.Load(s.t.Context(), cfg)
	if err != nil {
		return err
	}
	return s.enact(set)
}

// SetFacts gives the facts of the active policies other values; what values
// leave out has its default.
func (s *Server) SetFacts(values map[string]any) error {
	set, err := s.set.WithFacts(values)
	if err != nil {
		return err
	}
	s.facts = values
	return s.enact(set)
}

// enact activates a set.
func (s *Server) enact(set *policies.Set) error {
	u := s.Kept.Begin()
	if err := s.Broker.Activate(s.t.Context(), set, "test", "", u, func(ctx context.Context) error { return s.Kept.Commit(ctx, u) }); err != nil {
		return err
	}
	s.set = set
	return nil
}

// Stop ends the server as a graceful stop does; it may be called twice.
func (s *Server) Stop() {
	if s.web == nil {
		return
	}
	s.web.Close()
	s.web = nil
	ctx := context.Background()
	if err := s.Batch.Close(ctx); err != nil {
		s.t.Logf("close batch: %v", err)
	}
	if err := s.Store.Close(); err != nil {
		s.t.Errorf("close store: %v", err)
	}
}

// Records returns the records that q selects, after writing what is held.
func (s *Server) Records(q store.RecordQuery) []decisionlog.Record {
	s.t.Helper()
	check(s.t, s.Batch.Flush(s.t.Context()))
	sealed, err := s.Store.Records(s.t.Context(), q)
	check(s.t, err)
	out := make([]decisionlog.Record, 0, len(sealed))
	for _, x := range sealed {
		r, err := x.Record()
		check(s.t, err)
		out = append(out, r)
	}
	return out
}
