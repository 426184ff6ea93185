package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	stdlog "log"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// testPair is a certificate for localhost and its key, in PEM.
type testPair struct {
	chain, key string
	leaf       *x509.Certificate
}

// newTestPair makes another one each time.
func newTestPair(t *testing.T) testPair {
	t.Helper()
	config, leaf, err := demoCertificate("localhost")
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(config.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(kind string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	return testPair{encode("CERTIFICATE", leaf.Raw), encode("PRIVATE KEY", key), leaf}
}

// tlsSite is a public listener with TLS of its own on real files.
type tlsSite struct {
	t         *testing.T
	cert, key string
	log       *lines
	address   string
	mu        sync.Mutex
	now       time.Time
}

// newTLSSite serves p until the test ends.
func newTLSSite(t *testing.T, p testPair) *tlsSite {
	t.Helper()
	dir := t.TempDir()
	s := &tlsSite{t: t, cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem"), now: time.Now(), log: &lines{changed: make(chan struct{})}}
	writeTestFile(t, s.cert, p.chain)
	writeTestFile(t, s.key, p.key)
	c, err := openCertificate(s.cert, s.key, s.clock, zerolog.New(s.log))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = l.Addr().String()
	public := httpServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "ok") }), zerolog.New(s.log))
	done := make(chan error, 1)
	go func() { done <- running{public: l, certificate: c}.servePublic(public) }()
	t.Cleanup(func() {
		public.Close()
		if err := <-done; err != http.ErrServerClosed {
			t.Errorf("servePublic = %v, want %v", err, http.ErrServerClosed)
		}
	})
	return s
}

// clock is the time that the certificate sees.
func (s *tlsSite) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// later moves the clock past the next look.
func (s *tlsSite) later() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(certificateEvery)
}

// dial opens a new connection and returns the leaf that it was shown.
func (s *tlsSite) dial(config *tls.Config) (*x509.Certificate, error) {
	s.t.Helper()
	config.InsecureSkipVerify = true // the test compares the certificate itself
	conn, err := tls.Dial("tcp", s.address, config)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0], nil
}

// wantLeaf checks what a new connection is shown.
func (s *tlsSite) wantLeaf(what string, want *x509.Certificate) {
	s.t.Helper()
	if got, err := s.dial(&tls.Config{}); err != nil || !got.Equal(want) {
		s.t.Errorf("%s: another certificate is shown (%v)", what, err)
	}
}

// logged is the log.
func (s *tlsSite) logged() string {
	text, _ := s.log.text()
	return text
}

// events counts lines of the log.
func (s *tlsSite) events(event string) int {
	return strings.Count(s.logged(), `"event":"`+event+`"`)
}

// TestCertificateRotation: new connections follow the files, open ones go on,
// and a half-written pair changes nothing and is told once.
func TestCertificateRotation(t *testing.T) {
	before, after := newTestPair(t), newTestPair(t)
	s := newTLSSite(t, before)
	roots := x509.NewCertPool()
	roots.AddCert(before.leaf)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "localhost"}, ForceAttemptHTTP2: true}}
	ask := func(what string) {
		t.Helper()
		resp, err := client.Get("https://" + s.address + "/")
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		defer resp.Body.Close()
		if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "ok" || resp.ProtoMajor != 2 {
			t.Errorf("%s: %q, %v over HTTP/%d, want ok over HTTP/2", what, body, err, resp.ProtoMajor)
		}
	}
	ask("before")
	writeTestFile(t, s.cert, after.chain)
	for range 3 {
		s.later()
		s.wantLeaf("certificate without its key", before.leaf)
	}
	ask("certificate without its key")
	if n := s.events("tls.reload_failed"); n != 1 {
		t.Errorf("tls.reload_failed was logged %d times, want once\n%s", n, s.logged())
	}
	writeTestFile(t, s.key, after.key)
	s.wantLeaf("within the same second", before.leaf)
	s.later()
	s.wantLeaf("the new pair", after.leaf)
	ask("on the connection from before")
	client.CloseIdleConnections()
	if resp, err := client.Get("https://" + s.address + "/"); err == nil {
		resp.Body.Close()
		t.Error("a new connection that trusts the old certificate alone: no error")
	}
	if failed, reloaded := s.events("tls.reload_failed"), s.events("tls.reloaded"); failed != 1 || reloaded != 1 {
		t.Errorf("logged %d failures and %d reloads, want 1 and 1\n%s", failed, reloaded, s.logged())
	}
	if strings.Contains(s.logged(), "PRIVATE") {
		t.Error("the log has the key")
	}
}

// TestCertificateDamage: whatever else is wrong with the files keeps the last
// good pair, and the next good one is taken.
func TestCertificateDamage(t *testing.T) {
	good, other := newTestPair(t), newTestPair(t)
	chain := other.chain + good.chain
	for name, wrong := range map[string][2]string{
		"empty":            {"", ""},
		"key cut off":      {other.chain, other.key[:len(other.key)/2]},
		"chain cut off":    {chain[:len(chain)-100], other.key},
		"damaged in chain": {other.chain + strings.Replace(good.chain, "M", "!", 1), other.key},
		"another key":      {other.chain, good.key},
		"text":             {"hello", "world"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTLSSite(t, good)
			writeTestFile(t, s.cert, wrong[0])
			writeTestFile(t, s.key, wrong[1])
			for range 2 {
				s.later()
				s.wantLeaf("damaged", good.leaf)
			}
			if n := s.events("tls.reload_failed"); n != 1 {
				t.Errorf("tls.reload_failed was logged %d times, want once\n%s", n, s.logged())
			}
			if _, err := openCertificate(s.cert, s.key, s.clock, zerolog.Nop()); err == nil || !strings.Contains(err.Error(), s.cert) || !strings.Contains(err.Error(), "tls.key_file") {
				t.Errorf("openCertificate = %v, want an error that names the files", err)
			}
			writeTestFile(t, s.cert, chain)
			writeTestFile(t, s.key, other.key)
			s.later()
			s.wantLeaf("repaired", other.leaf)
		})
	}
	s := newTLSSite(t, good)
	if _, err := openCertificate(filepath.Dir(s.cert), s.key, s.clock, zerolog.Nop()); err == nil {
		t.Error("openCertificate of a directory: no error")
	}
}

// TestTLSVersions: nothing older than TLS 1.2.
func TestTLSVersions(t *testing.T) {
	s := newTLSSite(t, newTestPair(t))
	for version, ok := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		_, err := s.dial(&tls.Config{MinVersion: version, MaxVersion: version})
		if (err == nil) != ok {
			t.Errorf("dial with %s = %v, want ok %v", tls.VersionName(version), err, ok)
		}
	}
	// What anybody can cause is for debugging; the rest is a warning.
	stdlog.New(connectionLog{zerolog.New(s.log)}, "", 0).Print("http: Accept error")
	for _, want := range []string{`{"level":"debug","event":"http.trouble","message":"http: TLS handshake error`, `{"level":"warn","event":"http.trouble","message":"http: Accept error"}`} {
		if !strings.Contains(s.logged(), want) {
			t.Errorf("log has no %s\n%s", want, s.logged())
		}
	}
}

// TestServeBrokenPair: a pair that is none is told at the start, before
// anything is created.
func TestServeBrokenPair(t *testing.T) {
	s := newSite(t)
	s.write("cert.pem", newTestPair(t).chain)
	s.write("key.pem", newTestPair(t).key)
	s.write("guestlist.yaml", productionYAML(s.dir, "https://id.example", "127.0.0.1:1")+"tls: {cert_file: cert.pem, key_file: key.pem}\n")
	_, stderr, code := output(t, "serve", "--config", s.config)
	if code != 1 || !strings.Contains(stderr, filepath.Join(s.dir, "cert.pem")) || !strings.Contains(stderr, "private key does not match") {
		t.Errorf("serve: exit %d, %q, want 1 and what is wrong with the files", code, stderr)
	}
	if found, _ := filepath.Glob(filepath.Join(s.dir, "*.db")); len(found) != 0 {
		t.Errorf("%v was created", found)
	}
}

// productionYAML is a configuration of a site without development switches.
func productionYAML(dir, issuer, listen string) string {
	return fmt.Sprintf(`issuer: %s
listen: %s
store: bolt://%s/guestlist.db
policies: {path: policies, unsigned: true}
people: {file: people.yaml}
keys: {dir: keys}
resources: [{id: "https://mcp.example.com"}]
`, issuer, listen, dir)
}

// TestServeBehindProxy: the running program takes the source from a trusted
// proxy, for its issuer with a path.
func TestServeBehindProxy(t *testing.T) {
	s := newSite(t)
	listen := strings.TrimPrefix(s.issuer, "http://")
	s.write("guestlist.yaml", productionYAML(s.dir, "https://id.example/tenant", listen)+"trusted_proxies: [127.0.0.1]\n")
	p := s.serve()
	r, err := http.NewRequest("GET", "http://"+listen+"/tenant/jwks", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Forwarded-For", "203.0.113.66, 203.0.113.5")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	event := p.find(p.errs, resp.Header.Get("X-Request-Id"), "\n")
	if resp.StatusCode != http.StatusOK || !strings.Contains(event, `"source":"203.0.113.5"`) {
		t.Errorf("status %d, event …%s, want 200 and source 203.0.113.5", resp.StatusCode, event)
	}
}
