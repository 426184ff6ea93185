package fetch

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/singleflight"

	"guestlist/broker/cimd"
)

const (
	defaultTimeout   = 5 * time.Second
	defaultUserAgent = "guestlist/0 (client ID metadata fetcher)"
	// maxFlights is how many fetches may be under way at once, over all URLs,
	// where Config.Flights does not say.
	maxFlights = 64
)

// Config is what New needs. Its zero value is usable.
type Config struct {
	// RootCAs are the certificate authorities a host may be verified by. nil
	// means the system's. See LoadCAFile.
	RootCAs *x509.CertPool
	// InsecureHostMap maps "host:port" or "*.host:port" (any name below host)
	// to the address dialled instead, for tests and demos. For a mapped name
	// the lookup, the address check and the port rule are waived and nothing
	// else: TLS is verified for the name in the identifier. The target may be a
	// name; the system then resolves it. An exact key wins over a wildcard, a
	// longer wildcard over a shorter one. New copies the map. When it may be
	// used at all is the caller's to enforce.
	InsecureHostMap map[string]string
	// Resolver answers names. nil means the system's name servers, asked by
	// Go's own resolver with the rooted name, so that no search list applies.
	// A name found in the hosts file is refused (see Resolver).
	Resolver Resolver
	// Timeout is the one deadline over waiting for a slot, lookup, connect,
	// TLS, headers and body. 0 means 5 s; negative is refused.
	Timeout time.Duration
	// Retries is how often a fetch that met transient trouble of the network,
	// 429 or a status from 500 on is tried again within Timeout, from the name
	// lookup on. From 0, which is the default, to 5.
	Retries int
	// Blocked are ranges that are never dialled, beside those that AllowedAddr
	// refuses. They win over Network.AllowCIDRs.
	Blocked []netip.Prefix
	// Proxy is the egress proxy. The zero value: none. The environment's proxy
	// variables are never read.
	Proxy Proxy
	// Flights is how many fetches may be under way at once, over all URLs; a
	// further one waits. 0 means 64; negative is refused.
	Flights int
	// Now stamps Document.FetchedAt. It drives no timer and verifies no
	// certificate. nil means time.Now.
	Now func() time.Time
	// UserAgent is sent with every request. Empty means
	// "guestlist/0 (client ID metadata fetcher)". Printable ASCII only.
	UserAgent string
}

// Guarded is the door for addresses a stranger can choose. It is safe for
// concurrent use and holds no connection between fetches.
type Guarded struct {
	roots     *x509.CertPool
	hosts     hostMap
	resolver  Resolver
	timeout   time.Duration
	retries   int
	blocked   []netip.Prefix
	proxy     proxy
	now       func() time.Time
	userAgent string
	slots     chan struct{}
	flights   singleflight.Group
}

// Document is a body as the host sent it, not yet looked at, and what a cache
// must know about it.
type Document struct {
	// Body is at most Limits.MaxBytes long, and empty where NotModified. The
	// receiver owns it.
	Body []byte
	// NotModified says that the host answered 304 to the validator in Held: the
	// copy that the caller has is what it would have sent.
	NotModified bool
	// FetchedAt is when the request was started, by Config.Now.
	FetchedAt time.Time
	// FreshFor counts from FetchedAt; already clamped (see Lifetime). 0 means
	// the next start of a flow must fetch again. A 304 renews the copy by its
	// own headers (RFC 9111, section 4.3.4); one that names no lifetime is given
	// Held.FreshFor.
	FreshFor time.Duration
	// Address is the one dialled, or that the egress proxy was asked to dial;
	// the zero value where the proxy resolves names.
	Address netip.AddrPort
	// ETag is the validator as sent, quotes included, or empty: absent,
	// repeated, malformed or longer than 256 bytes. Where NotModified and the
	// host names none, it is the one of Held; so is LastModified.
	ETag string
	// LastModified is the header as sent, or empty: absent, repeated or not a
	// date.
	LastModified string
	// ContentType is the media type in lower case, without parameters. Empty
	// where NotModified.
	ContentType string
}

// New checks cfg and returns the door.
func New(cfg Config) (*Guarded, error) {
	hosts, err := newHostMap(cfg.InsecureHostMap)
	if err != nil {
		return nil, fmt.Errorf("insecure host map: %w", err)
	}
	if cfg.Timeout < 0 {
		return nil, fmt.Errorf("fetch timeout %s is negative", cfg.Timeout)
	}
	if cfg.Retries < 0 || cfg.Retries > MaxRetries {
		return nil, fmt.Errorf("%d retries are not from 0 to %d", cfg.Retries, MaxRetries)
	}
	way, err := newProxy(cfg.Proxy, cfg.RootCAs)
	if err != nil {
		return nil, fmt.Errorf("egress proxy: %w", err)
	}
	if cfg.Flights < 0 {
		return nil, fmt.Errorf("%d fetches at once are negative", cfg.Flights)
	}
	if strings.ContainsFunc(cfg.UserAgent, func(r rune) bool { return r < 0x20 || r > 0x7e }) {
		return nil, fmt.Errorf("user agent %q is not printable ASCII", cfg.UserAgent)
	}
	g := &Guarded{
		roots:     cfg.RootCAs,
		hosts:     hosts,
		resolver:  cfg.Resolver,
		timeout:   cfg.Timeout,
		retries:   cfg.Retries,
		blocked:   slices.Clone(cfg.Blocked),
		proxy:     way,
		now:       cfg.Now,
		userAgent: cfg.UserAgent,
		slots:     make(chan struct{}, cmp.Or(cfg.Flights, maxFlights)),
	}
	if g.resolver == nil {
		g.resolver = systemResolver{}
	}
	if g.timeout == 0 {
		g.timeout = defaultTimeout
	}
	if g.now == nil {
		g.now = time.Now
	}
	if g.userAgent == "" {
		g.userAgent = defaultUserAgent
	}
	return g, nil
}

// Document fetches the document that id names, with one GET whose target is
// the identifier byte for byte. A caller that has a copy gives its validators
// and may be told that the copy still holds (Document.NotModified); the zero
// Held asks for the whole document. Every error is an *Error, shared by those
// who waited for it and not to be changed.
//
// Callers that ask for the same URL with the same limits and the same validators at the same time
// share one request, which belongs to none of them: a caller whose context
// ends gets its error and the request goes on for the others. It is repeated as
// Config.Retries says, and FetchedAt is then that of the last try. Nothing is kept
// once the flight has landed, neither answer nor error. At most Config.Flights
// requests are under way at once; a further one waits for a place, and its
// deadline runs meanwhile.
//
// Document does not check that the body is JSON or that its client_id equals
// id.
func (g *Guarded) Document(ctx context.Context, id cimd.ID, lim Limits, held Held) (Document, error) {
	return g.bring(ctx, id, lim, held.wellFormed(), documentForm)
}

// bring is one fetch, shared with those who ask for the same at the same time.
func (g *Guarded) bring(ctx context.Context, id cimd.ID, lim Limits, held Held, f form) (Document, error) {
	t, err := g.target(id, lim)
	if err != nil {
		return Document{}, err
	}
	t.form, t.held = f, held
	if err := ctx.Err(); err != nil {
		return Document{}, left(err)
	}
	key := fmt.Sprintf("%s %s %+v %+v", f.accept, id.String(), lim, held)
	landed := g.flights.DoChan(key, func() (any, error) {
		return g.fly(context.WithoutCancel(ctx), t, lim)
	})
	select {
	case <-ctx.Done():
		return Document{}, left(ctx.Err())
	case r := <-landed:
		if r.Err != nil {
			return Document{}, r.Err
		}
		doc := r.Val.(Document)
		doc.Body = bytes.Clone(doc.Body)
		return doc, nil
	}
}

// left is the error of a caller that did not wait for the answer.
func left(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return trouble(reasonTimeout, "the caller's deadline passed", err)
	}
	return trouble(reasonFailed, "the caller left before the answer", err)
}

// fly is one flight: it waits for a slot, and then the deadline that began
// before the wait covers everything.
func (g *Guarded) fly(ctx context.Context, t target, lim Limits) (Document, error) {
	ctx, cancel := context.WithTimeout(ctx, g.timeout)
	defer cancel()
	select {
	case g.slots <- struct{}{}:
		defer func() { <-g.slots }()
	case <-ctx.Done():
		return Document{}, trouble(reasonTimeout, "waiting for a free slot", ctx.Err())
	}
	return g.persist(ctx, t, lim)
}

// attempt is one try of a flight.
func (g *Guarded) attempt(ctx context.Context, t target, lim Limits) (Document, error) {
	started := g.now()
	conn, addr, err := g.connect(ctx, t)
	if err != nil {
		return Document{}, err
	}
	defer conn.Close()
	resp, err := g.exchange(ctx, conn, t)
	if err != nil {
		return Document{}, err
	}
	defer resp.Body.Close()
	doc, err := readDocument(resp, lim.bodyCap(), t)
	if err != nil {
		return Document{}, err
	}
	doc.FetchedAt = started
	if doc.NotModified {
		lim.Default = t.held.FreshFor
	}
	doc.FreshFor = Lifetime(resp.Header, started, lim)
	doc.Address = addr
	return doc, nil
}
