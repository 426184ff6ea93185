// Package server is OAuth over HTTP: one file per endpoint, the strict
// request edge, and one place that maps reasons to answers.
//
// A handler parses, makes one step, writes. It never logs and never writes an
// error itself: it returns one, and refuse writes it. Every step that changes
// state is one unit of work and one commit (design §3).
package server

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/gorilla/mux"
	"github.com/rs/zerolog"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/server/grants"
	"guestlist/server/keys"
	"guestlist/server/pages"
	"guestlist/server/signin"
	"guestlist/store"
)

// Config is what a Server needs. All but the fields that say otherwise are
// required.
type Config struct {
	Issuer    string             // issuer identifier, RFC 8414 section 2; https, or http on loopback with Insecure
	Store     store.Store        // owned by the caller
	Broker    *broker.Broker     // admits clients
	Grants    *grants.Engine     // issues codes and tokens
	Keys      *keys.Keys         // seals tickets, signs tokens
	Pages     *pages.Pages       // what a person sees
	People    *signin.People     // who may sign in
	Batch     *decisionlog.Batch // records that need no commit of their own
	Resources []broker.Resource  // protected resources
	Secrets   map[string]Secret  // by resource id; a resource without one may not introspect
	Lifetimes Lifetimes          // zero fields mean their defaults
	Hidden    bool               // cimd.advertise: false; the metadata flag is left out, as it is where the broker admits no strangers
	Insecure  bool               // development: other Host and forwarding headers get 421
	// TrustedProxies are the networks of the operator's reverse proxies, and of
	// nothing else: a machine in them is believed about where its requests came
	// from. Not with Insecure; may be empty.
	TrustedProxies []netip.Prefix
	Observe        Observer         // is told of requests and commits; the zero value: nobody is
	Log            zerolog.Logger   // one wide event per request
	Now            func() time.Time // the clock
}

// Lifetimes of what a person's browser holds.
type Lifetimes struct {
	Ticket  time.Duration // of a waiting request; zero means 10 minutes
	Code    time.Duration // of a code; zero means 60 seconds
	Session time.Duration // of a sign-in; zero means 12 hours
}

// Secret is the SHA-256 of a resource's secret. Secrets are long and random,
// so a fast hash keeps them safe and costs a stranger's guess nothing (trap 38).
type Secret [sha256.Size]byte

// Server answers OAuth requests. It is an http.Handler and safe for
// concurrent use.
type Server struct {
	cfg      Config
	host     string // of the issuer, for the Host check
	base     string // path of the issuer without a trailing slash
	metadata []byte
	handler  http.Handler

	introspected decisionlog.Sample // by grant and resource
}

// New checks cfg and builds the routes.
func New(cfg Config) (*Server, error) {
	u, err := url.Parse(cfg.Issuer)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, fmt.Errorf("server: issuer %q is not an absolute URL without query and fragment", cfg.Issuer)
	}
	if u.Scheme != "https" && !(cfg.Insecure && u.Scheme == "http") {
		return nil, fmt.Errorf("server: issuer %q must use https", cfg.Issuer)
	}
	if cfg.Store == nil || cfg.Broker == nil || cfg.Grants == nil || cfg.Keys == nil || cfg.Pages == nil ||
		cfg.People == nil || cfg.Batch == nil || cfg.Now == nil {
		return nil, errors.New("server: incomplete configuration")
	}
	if cfg.Insecure && len(cfg.TrustedProxies) > 0 {
		return nil, errors.New("server: a development server has no trusted proxies")
	}
	if err := CheckProxies(cfg.TrustedProxies); err != nil {
		return nil, fmt.Errorf("server: trusted proxy %w", err)
	}
	setDefault(&cfg.Lifetimes.Ticket, 10*time.Minute)
	setDefault(&cfg.Lifetimes.Code, time.Minute)
	setDefault(&cfg.Lifetimes.Session, 12*time.Hour)
	s := &Server{cfg: cfg, host: u.Host, base: strings.TrimSuffix(u.Path, "/")}
	if s.metadata, err = s.describe(); err != nil {
		return nil, err
	}
	s.handler = s.routes()
	return s, nil
}

// setDefault fills a zero duration.
func setDefault(d *time.Duration, v time.Duration) {
	if *d == 0 {
		*d = v
	}
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// routes mounts every endpoint below the issuer's path, and the metadata at
// all its locations (RFC 8414 section 3.1, OpenID Connect Discovery 4.1).
func (s *Server) routes() http.Handler {
	m := mux.NewRouter().UseEncodedPath().SkipClean(true)
	at := func(path string, kind kind, methods []string, h handler) {
		m.Path(path).Handler(s.visit(path, kind, methods, h))
	}
	get, post, both := []string{"GET"}, []string{"POST"}, []string{"GET", "POST"}
	at(s.base+"/authorize", page, both, s.authorize)
	at(s.base+"/signin", page, both, s.signIn)
	at(s.base+"/signout", page, post, s.signOut)
	at(s.base+"/consent", page, both, s.consent)
	at(s.base+"/account", page, both, s.account)
	at(s.base+"/token", oauth, post, s.token)
	at(s.base+"/revoke", oauth, post, s.revoke)
	at(s.base+"/introspect", oauth, post, s.introspect)
	at(s.base+"/jwks", plain, get, s.jwks)
	at(s.base+"/help/{reason}", page, get, s.help)
	at("/livez", plain, get, s.livez)
	at("/readyz", plain, get, s.readyz)
	for _, name := range []string{"oauth-authorization-server", "openid-configuration"} {
		at("/.well-known/"+name+s.base, plain, get, s.discovery)
		if s.base != "" {
			at(s.base+"/.well-known/"+name, plain, get, s.discovery)
		}
	}
	m.NotFoundHandler = s.visit("none", page, both, s.notFound)
	return m
}

// notFound answers every path that is none of this server's.
func (s *Server) notFound(w http.ResponseWriter, _ *http.Request, v *visit) error {
	s.cfg.Pages.Error(w, pages.Error{
		Status: http.StatusNotFound, RequestID: v.id, PublicReason: string(broker.PublicRequestInvalid),
		Title: "There is nothing here", Text: "This address is not one of this server's.",
	})
	return nil
}

// url returns the absolute URL of a path of this server.
func (s *Server) url(path string) string { return strings.TrimSuffix(s.cfg.Issuer, "/") + path }
