package fetch_test

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"guestlist/broker/cimd"
	"guestlist/broker/fetch"
)

const answerOK = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"

// TestRequestOnTheWire_F17_F18 compares the whole request, so that nothing can
// be added to it unnoticed: no cookies, no credentials, no Referer.
func TestRequestOnTheWire_F17_F18(t *testing.T) {
	requests := make(chan string, 1)
	h := rawHost(t, func(conn net.Conn, request string) {
		requests <- request
		io.WriteString(conn, answerOK)
	})
	cfg := h.config()
	cfg.InsecureHostMap["client.example.com:8443"] = h.addr
	for _, tt := range []struct{ agent, wantAgent, url, host, path string }{
		{"", "guestlist/0 (client ID metadata fetcher)", clientURL, "client.example.com", "/oauth/client.json"},
		{"probe/1", "probe/1", "https://client.example.com:8443/c", "client.example.com:8443", "/c"},
		{"probe/1", "probe/1", "https://client.example.com:443/c", "client.example.com:443", "/c"},
	} {
		cfg.UserAgent = tt.agent
		if _, err := newDoor(t, cfg).Document(t.Context(), parse(t, tt.url), fetch.DefaultLimits(), fetch.Held{}); err != nil {
			t.Fatal(err)
		}
		want := "GET " + tt.path + " HTTP/1.1\r\nHost: " + tt.host + "\r\nUser-Agent: " + tt.wantAgent +
			"\r\nAccept: application/json\r\nAccept-Encoding: identity\r\nConnection: close\r\n\r\n"
		if got := <-requests; got != want {
			t.Errorf("request for %s = %q, want %q", tt.url, got, want)
		}
	}
}

// TestRequestTarget_F18 sends odd but legal identifiers; the target must equal
// them byte for byte.
func TestRequestTarget_F18(t *testing.T) {
	targets := make(chan string, 1)
	h := rawHost(t, func(conn net.Conn, request string) {
		line, _, _ := strings.Cut(request, "\r\n")
		targets <- line
		io.WriteString(conn, answerOK)
	})
	g := newDoor(t, h.config())
	every := "/"
	for c := byte(0x21); c < 0x7f; c++ {
		if _, err := cimd.Parse("https://client.example.com/a" + string(c) + "b"); err == nil && c != '?' {
			every += "a" + string(c) + "b"
		}
	}
	if len(every) < 3*26 {
		t.Fatalf("cimd.Parse accepts too little to test: %q", every)
	}
	for _, target := range []string{
		"/", "//client.json", "///", "/a//b", "/%7Eapp", "/~app", "/client.json?", "/client.json?a=b&c=%2F%2f",
		"/client.json??", "/client.json?a=/../b", "/%2F", "/%2f%2F/x", "/a%20b", "/a+b", "/%E2%82%AC", "/a;b=c,d", "/a:b@c",
		"/index.php", "/a/", "/?x", "/%41", "/*", every, every + "?" + every[1:],
	} {
		id, err := cimd.Parse("https://client.example.com" + target)
		if err != nil {
			t.Errorf("cimd.Parse(%q) = %v, want an ID", target, err)
			continue
		}
		if _, err := g.Document(t.Context(), id, fetch.DefaultLimits(), fetch.Held{}); err != nil {
			t.Errorf("Document(%q) = %v", target, err)
			continue
		}
		if got, want := <-targets, "GET "+target+" HTTP/1.1"; got != want {
			t.Errorf("request line = %q, want %q", got, want)
		}
	}
}

// TestProxyVariables: no environment variable moves the request.
func TestProxyVariables(t *testing.T) {
	c := newCanary(t)
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"} {
		t.Setenv(name, "http://127.0.0.1:"+c.port)
	}
	t.Setenv("NO_PROXY", "")
	h := newHost(t, serveJSON("{}"))
	if _, err := h.get(t); err != nil {
		t.Errorf("Document() = %v, want the document", err)
	}
	c.wantSilent(t)
}

func TestEncoding_F15(t *testing.T) {
	var bomb bytes.Buffer
	zw := gzip.NewWriter(&bomb)
	zw.Write(make([]byte, 4<<20))
	zw.Close()
	tests := []struct {
		name, encoding string
		body           []byte
		reason         string
	}{
		{"identity", "Identity", []byte("{}"), ""},
		{"gzip bomb", "gzip", bomb.Bytes(), "fetch_encoding"},
		{"gzip bomb that does not say so", "", bomb.Bytes()[:4000], ""},
		{"small gzip", "gzip", []byte("{}"), "fetch_encoding"},
		{"br", "br", []byte("{}"), "fetch_encoding"},
		{"list", "identity, gzip", []byte("{}"), "fetch_encoding"},
	}
	for _, tt := range tests {
		h := newHost(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if tt.encoding != "" {
				w.Header().Set("Content-Encoding", tt.encoding)
			}
			w.Write(tt.body)
		})
		doc, err := h.get(t)
		if tt.reason != "" {
			wantReason(t, err, tt.reason, false)
		} else if err != nil || !bytes.Equal(doc.Body, tt.body) {
			t.Errorf("%s: Document() = %d bytes, %v, want %d bytes as sent", tt.name, len(doc.Body), err, len(tt.body))
		}
	}
}

// TestSize_F15_PF16 counts bytes, whatever the headers claim.
func TestSize_F15_PF16(t *testing.T) {
	send := func(head, body string) string {
		return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + head + "\r\n\r\n" + body
	}
	pad := func(n int) string { return strings.Repeat(" ", n) }
	chunked := func(n int) string { return fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", n, pad(n)) }
	const length, chunks, untilClose = "Content-Length: ", "Transfer-Encoding: chunked", "Connection: close"
	tests := []struct {
		name      string
		max       int64
		answer    string
		size      int
		reason    string
		transient bool
	}{
		{"5120 announced", 0, send(length+"5120", pad(5120)), 5120, "", false},
		{"5121 announced", 0, send(length+"5121", pad(5121)), 0, "fetch_too_large", false},
		{"5120 chunked", 0, send(chunks, chunked(5120)), 5120, "", false},
		{"5121 chunked", 0, send(chunks, chunked(5121)), 0, "fetch_too_large", false},
		{"5120 until close", 0, send(untilClose, pad(5120)), 5120, "", false},
		{"5121 until close", 0, send(untilClose, pad(5121)), 0, "fetch_too_large", false},
		{"limit 1", 1, send(length+"1", pad(1)), 1, "", false},
		{"limit 1, two", 1, send(length+"2", pad(2)), 0, "fetch_too_large", false},
		{"limit 65536", 65536, send(chunks, chunked(65536)), 65536, "", false},
		{"limit 65536, one more", 65536, send(chunks, chunked(65537)), 0, "fetch_too_large", false},
		{"limit beyond the most", 1 << 40, send(chunks, chunked(65537)), 0, "fetch_too_large", false},
		{"negative limit", -1, send(chunks, chunked(5121)), 0, "fetch_too_large", false},
		{"announces more than it sends", 0, send(length+"100", pad(10)), 0, "fetch_connect", true},
		{"announces less than it sends", 0, send(length+"10", pad(6000)), 10, "", false},
		{"announces a gigabyte", 0, send(length+"1000000000", ""), 0, "fetch_too_large", false},
		{"announces an absurd length", 0, send(length+"99999999999999999999", ""), 0, "fetch_failed", false},
		{"announces a negative length", 0, send(length+"-5", ""), 0, "fetch_failed", false},
		{"announces two lengths", 0, send(length+"5\r\n"+length+"6", pad(6)), 0, "fetch_failed", false},
		{"chunk cut short", 0, send(chunks, "a\r\n     "), 0, "fetch_connect", true},
		{"chunk size is no number", 0, send(chunks, "zz\r\n"), 0, "fetch_failed", false},
		{"empty", 0, send(length+"0", ""), 0, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := rawHost(t, func(conn net.Conn, _ string) { io.WriteString(conn, tt.answer) })
			lim := fetch.DefaultLimits()
			lim.MaxBytes = tt.max
			doc, err := newDoor(t, h.config()).Document(t.Context(), parse(t, clientURL), lim, fetch.Held{})
			if tt.reason != "" {
				wantReason(t, err, tt.reason, tt.transient)
			} else if err != nil || len(doc.Body) != tt.size {
				t.Errorf("Document() = %d bytes, %v, want %d", len(doc.Body), err, tt.size)
			}
		})
	}
}

// TestBrokenAnswers_F6 sends things that are no good HTTP answer.
func TestBrokenAnswers_F6(t *testing.T) {
	ok := strings.TrimPrefix(answerOK, "HTTP/1.1 200 OK\r\n")
	tests := []struct {
		name, answer, reason string
		transient            bool
	}{
		{"nothing", "", "fetch_connect", true},
		{"half a status line", "HTTP/1.1 20", "fetch_failed", false},
		{"half the headers", "HTTP/1.1 200 OK\r\nContent-Type: appl", "fetch_connect", true},
		{"HTTP/2 frames", "\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64", "fetch_failed", false},
		{"not HTTP", "SSH-2.0-x\r\n\r\n", "fetch_failed", false},
		{"control bytes in the status", "HTTP/1.1 2\x0000 \x1b[31m\r\n" + ok, "fetch_failed", false},
		{"header flood", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("a", 40<<10) + "\r\n" + ok, "fetch_too_large", false},
		{"many headers", "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: a\r\n", 8<<10) + ok, "fetch_too_large", false},
		{"flood of informational answers", strings.Repeat("HTTP/1.1 103 Early Hints\r\nX: "+strings.Repeat("a", 900)+"\r\n\r\n", 60) + answerOK, "fetch_too_large", false},
		{"switching protocols", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", "fetch_status", false},
		{"unknown transfer encoding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n" + ok, "fetch_failed", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := rawHost(t, func(conn net.Conn, _ string) { io.WriteString(conn, tt.answer) })
			_, err := h.get(t)
			wantReason(t, err, tt.reason, tt.transient)
			if n := h.hits.Load(); n != 1 {
				t.Errorf("hits = %d, want 1: no second request", n)
			}
		})
	}
}

// TestEndlessAnswers_F15 must come back long before the deadline.
func TestEndlessAnswers_F15(t *testing.T) {
	line := "1000\r\n" + strings.Repeat(" ", 0x1000) + "\r\n"
	for name, a := range map[string]struct{ head, endless string }{
		"chunks":  {"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n", line},
		"headers": {"HTTP/1.1 200 OK\r\n", "X: " + strings.Repeat("a", 1000) + "\r\n"},
	} {
		h := rawHost(t, func(conn net.Conn, _ string) {
			_, err := io.WriteString(conn, a.head)
			for err == nil {
				_, err = io.WriteString(conn, a.endless)
			}
		})
		cfg := h.config()
		cfg.Timeout = time.Hour
		_, err := newDoor(t, cfg).Document(t.Context(), parse(t, clientURL), fetch.DefaultLimits(), fetch.Held{})
		if fe := wantReason(t, err, "fetch_too_large", false); t.Failed() {
			t.Logf("%s: %v", name, fe)
		}
	}
}

// TestDeadline_PF17_B38 has hosts that go slow at every step. What is asserted
// is that the deadline covers the step: without it each would take for ever, and
// a busy machine may take seconds.
func TestDeadline_PF17_B38(t *testing.T) {
	const timeout, slack = 200 * time.Millisecond, 30 * time.Second
	silent, err := net.Listen("tcp", "127.0.0.1:0") // never accepts
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	drip := func(head string) func(net.Conn, string) {
		return func(conn net.Conn, _ string) {
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			_, err := io.WriteString(conn, head)
			for err == nil {
				<-tick.C
				_, err = io.WriteString(conn, "a")
			}
		}
	}
	ok := "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	good := newHost(t, serveJSON("{}"))
	for name, h := range map[string]*host{
		"never accepts":               {roots: good.roots, addr: silent.Addr().String()},
		"silent after request":        rawHost(t, func(conn net.Conn, _ string) { io.Copy(io.Discard, conn) }),
		"says hello and no more":      {roots: good.roots, addr: listenRaw(t, func(conn net.Conn) { io.Copy(io.Discard, conn) })},
		"drips the handshake":         {roots: good.roots, addr: listenRaw(t, func(conn net.Conn) { drip("\x16\x03\x03\x40\x00")(conn, "") })},
		"drips informational answers": rawHost(t, drip("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nX: ")),
		"drips headers":               rawHost(t, drip("HTTP/1.1 200 OK\r\nX: ")),
		"drips body":                  rawHost(t, drip(ok+"Content-Length: 5000\r\n\r\n")),
		"drips body until close":      rawHost(t, drip(ok+"\r\n")),
		"drips one endless chunk":     rawHost(t, drip(ok+"Transfer-Encoding: chunked\r\n\r\n1000\r\n")),
	} {
		t.Run(name, func(t *testing.T) {
			cfg := h.config()
			cfg.Timeout = timeout
			g := newDoor(t, cfg)
			start := time.Now()
			_, err := g.Document(t.Context(), parse(t, clientURL), fetch.DefaultLimits(), fetch.Held{})
			wantReason(t, err, "fetch_timeout", true)
			if took := time.Since(start); took > timeout+slack {
				t.Errorf("Document() took %s, want about %s", took, timeout)
			}
		})
	}
}

// listenRaw hands each connection to a function, without TLS.
func listenRaw(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
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
				serve(conn)
			})
		}
	})
	return ln.Addr().String()
}

// TestTLS_F6 has hosts that cannot prove their name, or speak the wrong TLS.
func TestTLS_F6(t *testing.T) {
	good := newHost(t, serveJSON("{}"))
	listen := func(cfg *tls.Config) string {
		cfg.Certificates = []tls.Certificate{good.cert}
		ln, err := tls.Listen("tcp", "127.0.0.1:0", cfg)
		if err != nil {
			t.Fatal(err)
		}
		srv := &http.Server{Handler: serveJSON("{}"), ErrorLog: quiet()}
		go srv.Serve(ln)
		t.Cleanup(func() { srv.Close() })
		return ln.Addr().String()
	}
	// crypto/tls lets an http/1.1 client pass a list of h2 alone, so this host
	// refuses by hand, and takes every client that offers h2 at all.
	h2only := &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if !slices.Contains(hello.SupportedProtos, "h2") {
			return nil, errors.New("no h2 offered")
		}
		return nil, nil
	}}
	now := time.Now()
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: serveJSON("{}")}
	go srv.Serve(plain)
	t.Cleanup(func() { srv.Close() })
	tests := []struct {
		name, url, addr string
		systemRoots     bool
		reason          string
	}{
		{"TLS 1.2", clientURL, listen(&tls.Config{MaxVersion: tls.VersionTLS12}), false, ""},
		{"TLS 1.3", clientURL, listen(&tls.Config{MinVersion: tls.VersionTLS13}), false, ""},
		{"TLS 1.1", clientURL, listen(&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}), false, "fetch_tls"},
		{"HTTP/2 only", clientURL, listen(h2only), false, "fetch_tls"},
		{"HTTP/2 and HTTP/1.1", clientURL, listen(&tls.Config{NextProtos: []string{"h2", "http/1.1"}}), false, ""},
		{"wrong name", "https://client.example.org/c", good.addr, false, "fetch_tls"},
		{"unknown authority", clientURL, good.addr, true, "fetch_tls"},
		{"wants our certificate, TLS 1.2", clientURL, listen(&tls.Config{ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12}), false, "fetch_tls"},
		{"wants our certificate, TLS 1.3", clientURL, listen(&tls.Config{ClientAuth: tls.RequireAnyClientCert}), false, "fetch_tls"},
		{"self-signed by somebody else", clientURL, newHostWith(t, certified(t, now.Add(-time.Hour), now.Add(time.Hour), "client.example.com"), serveJSON("{}")).addr, false, "fetch_tls"},
		{"no TLS", clientURL, plain.Addr().String(), false, "fetch_tls"},
		{"closed port", clientURL, closedPort(t), false, "fetch_connect"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := fetch.Config{RootCAs: good.roots, InsecureHostMap: map[string]string{
				"client.example.com:443": tt.addr, "client.example.org:443": tt.addr}}
			if tt.systemRoots {
				cfg.RootCAs = nil
			}
			_, err := newDoor(t, cfg).Document(t.Context(), parse(t, tt.url), fetch.DefaultLimits(), fetch.Held{})
			if tt.reason != "" {
				wantReason(t, err, tt.reason, true)
			} else if err != nil {
				t.Errorf("Document() = %v, want the document", err)
			}
		})
	}
}

// TestCertificate_F6_CU11 has hosts whose authority is trusted and whose
// certificate is not right.
func TestCertificate_F6_CU11(t *testing.T) {
	now := time.Now()
	for _, tt := range []struct {
		name     string
		from, to time.Duration // from now
		names    []string
		ok       bool
	}{
		{"right", -time.Hour, time.Hour, []string{"client.example.com"}, true},
		{"wildcard", -time.Hour, time.Hour, []string{"*.example.com"}, true},
		{"expired", -2 * time.Hour, -time.Hour, []string{"client.example.com"}, false},
		{"not yet valid", time.Hour, 2 * time.Hour, []string{"client.example.com"}, false},
		{"another name", -time.Hour, time.Hour, []string{"other.example.com"}, false},
		{"a parent's name", -time.Hour, time.Hour, []string{"example.com"}, false},
		{"a wildcard too high", -time.Hour, time.Hour, []string{"*.com"}, false},
		{"no name", -time.Hour, time.Hour, nil, false},
	} {
		h := newHostWith(t, certified(t, now.Add(tt.from), now.Add(tt.to), tt.names...), serveJSON("{}"))
		_, err := h.get(t)
		if !tt.ok {
			wantReason(t, err, "fetch_tls", true)
		} else if err != nil {
			t.Errorf("%s: Document() = %v, want the document", tt.name, err)
		}
		if n := h.hits.Load(); (n == 1) != tt.ok {
			t.Errorf("%s: hits = %d", tt.name, n)
		}
	}
}

// closedPort is an address that refuses connections for as long as the test
// runs: it is bound, so that nobody else gets it, and nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	bound, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", bound.(*syscall.SockaddrInet4).Port)
}

func TestLoadCAFile(t *testing.T) {
	h := newHost(t, serveJSON("{}"))
	cert := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.cert.Certificate[0]}))
	tests := []struct {
		name, data string
		ok         bool
	}{
		{"one certificate", cert, true},
		{"with a comment", "the demo host's authority\n" + cert, true},
		{"two", cert + cert, true},
		{"empty", "", false},
		{"no PEM", "hello", false},
		{"a key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte{1}})), false},
		{"certificate and key", cert + string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte{1}})), false},
		{"not a certificate", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{1}})), false},
		{"second one cut off", cert + cert[:len(cert)/2], false},
		{"first one damaged", strings.Replace(cert, "M", "!", 3) + cert, false},
	}
	for _, tt := range tests {
		path := filepath.Join(t.TempDir(), "ca.pem")
		if err := os.WriteFile(path, []byte(tt.data), 0o600); err != nil {
			t.Fatal(err)
		}
		pool, err := fetch.LoadCAFile(path)
		if (err == nil) != tt.ok {
			t.Errorf("%s: LoadCAFile() = %v, want ok %t", tt.name, err, tt.ok)
		}
		if err != nil {
			continue
		}
		cfg := h.config()
		cfg.RootCAs = pool
		if _, err := newDoor(t, cfg).Document(t.Context(), parse(t, clientURL), fetch.DefaultLimits(), fetch.Held{}); err != nil {
			t.Errorf("%s: Document() = %v, want the document", tt.name, err)
		}
	}
	if _, err := fetch.LoadCAFile(filepath.Join(t.TempDir(), "absent")); err == nil {
		t.Error("LoadCAFile(absent) = nil, want an error")
	}
}
