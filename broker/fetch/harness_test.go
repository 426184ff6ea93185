package fetch_test

import (
	"bufio"
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"guestlist/broker/cimd"
	"guestlist/broker/fetch"
)

const clientURL = "https://client.example.com/oauth/client.json"

func parse(t testing.TB, raw string) cimd.ID {
	t.Helper()
	id, err := cimd.Parse(raw)
	if err != nil {
		t.Fatalf("cimd.Parse(%q) = %v, want an ID", raw, err)
	}
	return id
}

// host is a document host on loopback with a certificate for *.example.com.
type host struct {
	roots *x509.CertPool
	cert  tls.Certificate
	addr  string
	hits  atomic.Int32
}

func newHost(t testing.TB, handler http.HandlerFunc) *host {
	t.Helper()
	return newHostWith(t, nil, handler)
}

// newHostWith is newHost with certificates of its own, if any; they are their
// own authorities.
func newHostWith(t testing.TB, certs []tls.Certificate, handler http.HandlerFunc) *host {
	t.Helper()
	h := &host{}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.hits.Add(1)
		handler(w, r)
	}))
	srv.Config.ErrorLog = quiet()
	srv.TLS = &tls.Config{Certificates: certs}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	h.addr = srv.Listener.Addr().String()
	h.cert = srv.TLS.Certificates[0]
	h.roots = x509.NewCertPool()
	h.roots.AddCert(srv.Certificate())
	return h
}

// rawHost serves each connection, after the handshake, by a function that
// writes bytes itself. It gets the request as it came.
func rawHost(t testing.TB, serve func(conn net.Conn, request string)) *host {
	t.Helper()
	h := newHost(t, func(http.ResponseWriter, *http.Request) {})
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{h.cert}})
	if err != nil {
		t.Fatal(err)
	}
	h.addr = ln.Addr().String()
	var conns sync.WaitGroup
	t.Cleanup(func() { ln.Close(); conns.Wait() })
	conns.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer conn.Close()
				request, ok := readRequest(conn)
				if ok {
					h.hits.Add(1)
					serve(conn, request)
				}
			})
		}
	})
	return h
}

func readRequest(conn net.Conn) (string, bool) {
	br := bufio.NewReader(conn)
	var request string
	for {
		line, err := br.ReadString('\n')
		if err != nil {
			return "", false
		}
		request += line
		if line == "\r\n" {
			return request, true
		}
	}
}

// config reaches h under the name in clientURL.
func (h *host) config() fetch.Config {
	return fetch.Config{
		RootCAs:         h.roots,
		InsecureHostMap: map[string]string{"client.example.com:443": h.addr},
	}
}

// newDoor makes a door; without a timeout of its own, one that nothing on a busy
// machine comes near.
func newDoor(t testing.TB, cfg fetch.Config) *fetch.Guarded {
	t.Helper()
	cfg.Timeout = cmp.Or(cfg.Timeout, time.Minute)
	g, err := fetch.New(cfg)
	if err != nil {
		t.Fatalf("New(%+v) = %v", cfg, err)
	}
	return g
}

// get fetches clientURL from h with default limits.
func (h *host) get(t testing.TB) (fetch.Document, error) {
	t.Helper()
	return newDoor(t, h.config()).Document(t.Context(), parse(t, clientURL), fetch.DefaultLimits(), fetch.Held{})
}

// wantReason checks an error of Document.
func wantReason(t testing.TB, err error, reason string, transient bool) *fetch.Error {
	t.Helper()
	fe, ok := errors.AsType[*fetch.Error](err)
	if !ok {
		t.Fatalf("Document() = %v, want a *fetch.Error with %s", err, reason)
	}
	if fe.Reason != reason || fe.Transient != transient {
		t.Errorf("Document() = %s (transient %t), want %s (transient %t); %v", fe.Reason, fe.Transient, reason, transient, err)
	}
	if len(fe.Detail) > 200 {
		t.Errorf("Detail has %d bytes, want at most 200", len(fe.Detail))
	}
	for _, r := range fe.Detail {
		if r < 0x20 || r > 0x7e {
			t.Errorf("Detail %q holds %q, want printable ASCII", fe.Detail, r)
		}
	}
	return fe
}

func serveJSON(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, body)
	}
}

// resolver answers from a list of answers, one a lookup, the last for ever,
// and writes down what it was asked.
type resolver struct {
	mu      sync.Mutex
	answers [][]netip.Addr
	err     error
	asked   []string
}

func (r *resolver) LookupNetIP(_ context.Context, network, host string) ([]netip.Addr, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, network+" "+host)
	if r.err != nil {
		return nil, r.err
	}
	answer := r.answers[0]
	if len(r.answers) > 1 {
		r.answers = r.answers[1:]
	}
	return answer, nil
}

func addrs(list ...string) []netip.Addr {
	var out []netip.Addr
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

// canary is a listener on every local address that counts connections.
type canary struct {
	port string
	ln   net.Listener
	seen atomic.Int32
	done chan struct{}
}

func newCanary(t testing.TB) *canary {
	t.Helper()
	ln, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	c := &canary{ln: ln, done: make(chan struct{})}
	_, c.port, _ = net.SplitHostPort(ln.Addr().String())
	go func() {
		defer close(c.done)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			c.seen.Add(1)
			conn.Close()
		}
	}()
	t.Cleanup(func() { ln.Close() })
	return c
}

// wantSilent proves that the canary lives and that nobody but this proof has
// called it: connections are accepted in order, so once the proof's own has
// been served every earlier one has been counted.
func (c *canary) wantSilent(t testing.TB) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", "127.0.0.1:"+c.port, 5*time.Second)
	if err != nil {
		t.Fatalf("the canary is dead: %v", err)
	}
	io.Copy(io.Discard, conn)
	conn.Close()
	if n := c.seen.Load(); n != 1 {
		t.Errorf("the canary saw %d connections, want none but its own proof", n)
	}
}

// quiet swallows what a test server says about broken handshakes.
func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

// certified makes a certificate that is its own authority for names, valid from
// and to.
func certified(t testing.TB, from, to time.Time, names ...string) []tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: to, DNSNames: names,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}
}
