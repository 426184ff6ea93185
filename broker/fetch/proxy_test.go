package fetch_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"guestlist/broker/fetch"
)

// egress is an HTTP proxy that writes down what it is asked and leads every
// CONNECT to one host.
type egress struct {
	url  string
	mu   sync.Mutex
	seen []string // "ADDRESS CREDENTIALS"
}

// newEgress starts a proxy before h, which also lends its certificate where the
// proxy speaks TLS.
func newEgress(t testing.TB, h *host, scheme string) *egress {
	t.Helper()
	return newEgressThat(t, h, scheme, func(conn net.Conn, req *http.Request) {
		there, err := net.Dial("tcp", h.addr)
		if err != nil {
			t.Error(err)
			return
		}
		defer there.Close()
		io.WriteString(conn, "HTTP/1.1 200 Connection established\r\nX-Proxy: 1\r\n\r\n")
		go io.Copy(there, conn)
		io.Copy(conn, there)
	})
}

// newEgressThat starts a proxy that answers requests by a function.
func newEgressThat(t testing.TB, h *host, scheme string, serve func(net.Conn, *http.Request)) *egress {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &egress{url: scheme + "://" + ln.Addr().String()}
	if scheme == "https" {
		ln = tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{h.cert}})
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
				req, err := http.ReadRequest(bufio.NewReader(conn))
				if err != nil || req.Method != http.MethodConnect {
					return
				}
				e.mu.Lock()
				e.seen = append(e.seen, req.RequestURI+" "+req.Header.Get("Proxy-Authorization"))
				e.mu.Unlock()
				serve(conn, req)
			})
		}
	})
	return e
}

// took returns what was asked, and forgets it.
func (e *egress) took() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	got := strings.Join(e.seen, ", ")
	e.seen = nil
	return got
}

const (
	secretPair   = "fetcher:canary-proxy-password"
	secretHeader = "Basic ZmV0Y2hlcjpjYW5hcnktcHJveHktcGFzc3dvcmQ="
)

// TestEgressProxy_CU11_F13: both kinds of proxy, both modes, the server's and a
// policy's own. Names are looked up and checked here unless the configuration
// leaves that to the proxy; credentials go to the configured proxy alone.
func TestEgressProxy_CU11_F13(t *testing.T) {
	h := newHost(t, serveJSON("{}"))
	for _, scheme := range []string{"http", "https"} {
		first, second := newEgress(t, h, scheme), newEgress(t, h, scheme)
		tests := []struct {
			name         string
			proxy        fetch.Proxy
			network      fetch.Network
			answer       string // of the name server
			asked, other string // of the first and of the second proxy
			lookups      int
			reason       string
		}{
			{"checked address", fetch.Proxy{URL: first.url}, fetch.Network{}, "93.184.216.34", "93.184.216.34:443 ", "", 1, ""},
			{"IPv6 address", fetch.Proxy{URL: first.url + "/"}, fetch.Network{}, "2606:4700::1111", "[2606:4700::1111]:443 ", "", 1, ""},
			{"credentials", fetch.Proxy{URL: first.url, Credentials: secretPair}, fetch.Network{}, "93.184.216.34", "93.184.216.34:443 " + secretHeader, "", 1, ""},
			{"the proxy resolves", fetch.Proxy{URL: first.url, Resolves: true}, fetch.Network{}, "10.0.0.1", "client.example.com:443 ", "", 0, ""},
			{"blocked address", fetch.Proxy{URL: first.url}, fetch.Network{}, "10.0.0.1", "", "", 1, "fetch_blocked_address"},
			{"the policy's own", fetch.Proxy{URL: first.url, Credentials: secretPair, Resolves: true}, fetch.Network{EgressProxy: second.url}, "93.184.216.34", "", "93.184.216.34:443 ", 1, ""},
			{"the policy's own, no other", fetch.Proxy{}, fetch.Network{EgressProxy: second.url}, "93.184.216.34", "", "93.184.216.34:443 ", 1, ""},
			{"the policy names the configured one", fetch.Proxy{URL: first.url, Credentials: secretPair, Resolves: true}, fetch.Network{EgressProxy: first.url + "/"}, "10.0.0.1", "client.example.com:443 " + secretHeader, "", 0, ""},
			{"the policy's own and a private range", fetch.Proxy{}, fetch.Network{EgressProxy: second.url, AllowCIDRs: prefixes("10.0.0.0/24")}, "10.0.0.1", "", "10.0.0.1:443 ", 1, ""},
			{"the policy's own, beside its range", fetch.Proxy{}, fetch.Network{EgressProxy: second.url, AllowCIDRs: prefixes("10.0.1.0/24")}, "10.0.0.1", "", "", 1, "fetch_blocked_address"},
			{"a private range is reached directly", fetch.Proxy{URL: first.url, Resolves: true}, fetch.Network{AllowCIDRs: prefixes("10.0.1.0/24")}, "127.0.0.1", "", "", 1, "fetch_blocked_address"},
			{"the policy's own is no proxy", fetch.Proxy{}, fetch.Network{EgressProxy: "http://" + secretPair + "@proxy.example"}, "93.184.216.34", "", "", 0, "fetch_proxy"},
		}
		for _, tt := range tests {
			t.Run(scheme+" "+tt.name, func(t *testing.T) {
				r := &resolver{answers: [][]netip.Addr{addrs(tt.answer)}}
				g := newDoor(t, fetch.Config{RootCAs: h.roots, Resolver: r, Proxy: tt.proxy})
				lim := fetch.DefaultLimits()
				lim.Network = tt.network
				doc, err := g.Document(t.Context(), parse(t, clientURL), lim, fetch.Held{})
				if tt.reason != "" {
					wantReason(t, err, tt.reason, false)
				} else if err != nil || string(doc.Body) != "{}" {
					t.Errorf("Document() = %q, %v", doc.Body, err)
				}
				if err != nil && strings.Contains(err.Error(), "canary") {
					t.Errorf("%v tells the password", err)
				}
				if a, b := first.took(), second.took(); a != tt.asked || b != tt.other {
					t.Errorf("asked %q and %q, want %q and %q", a, b, tt.asked, tt.other)
				}
				if len(r.asked) != tt.lookups {
					t.Errorf("%d lookups, want %d", len(r.asked), tt.lookups)
				}
				want := netip.AddrPort{}
				if tt.lookups > 0 && tt.reason == "" {
					want = netip.AddrPortFrom(netip.MustParseAddr(tt.answer), 443)
				}
				if doc.Address != want {
					t.Errorf("Address = %s, want %s", doc.Address, want)
				}
			})
		}
	}
}

// TestEgressProxyKeys_CU11: keys leave by the same way as documents.
func TestEgressProxyKeys_CU11(t *testing.T) {
	h := newHost(t, serveJSON(`{"keys":[]}`))
	e := newEgress(t, h, "http")
	g := newDoor(t, fetch.Config{RootCAs: h.roots, Proxy: fetch.Proxy{URL: e.url, Resolves: true}})
	if _, err := g.JWKS(t.Context(), parse(t, "https://keys.example.com/jwks"), fetch.JWKSLimits()); err != nil {
		t.Errorf("JWKS() = %v", err)
	}
	if got := e.took(); got != "keys.example.com:443 " {
		t.Errorf("asked %q", got)
	}
}

// TestEgressProxyTrust_CU11: an https proxy proves its name, by the server's
// own authorities, before it learns anything; so does the host behind it.
func TestEgressProxyTrust_CU11(t *testing.T) {
	h := newHost(t, serveJSON("{}"))
	r := &resolver{answers: [][]netip.Addr{addrs("93.184.216.34")}}
	e := newEgress(t, h, "https")
	_, err := newDoor(t, fetch.Config{Resolver: r, Proxy: fetch.Proxy{URL: e.url, Credentials: secretPair}}).
		Document(t.Context(), parse(t, clientURL), fetch.DefaultLimits(), fetch.Held{})
	wantReason(t, err, "fetch_proxy", true)
	if got := e.took(); got != "" {
		t.Errorf("a proxy of an unknown authority was asked %q", got)
	}
	e = newEgress(t, h, "http")
	_, err = newDoor(t, fetch.Config{Resolver: r, Proxy: fetch.Proxy{URL: e.url}}).
		Document(t.Context(), parse(t, clientURL), fetch.DefaultLimits(), fetch.Held{})
	wantReason(t, err, "fetch_tls", true)
}

// TestEgressProxyTrouble: whatever a proxy does is transient, bounded in size
// and time, and tells no credentials.
func TestEgressProxyTrouble(t *testing.T) {
	h := newHost(t, serveJSON("{}"))
	write := func(s string) func(net.Conn, *http.Request) {
		return func(conn net.Conn, _ *http.Request) { io.WriteString(conn, s) }
	}
	flood := func(head, endless string) func(net.Conn, *http.Request) {
		return func(conn net.Conn, _ *http.Request) {
			_, err := io.WriteString(conn, head)
			for err == nil {
				_, err = io.WriteString(conn, endless)
			}
		}
	}
	tests := []struct {
		name   string
		serve  func(net.Conn, *http.Request)
		reason string
		detail string
	}{
		{"407", write("HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n"), "fetch_proxy", "status 407 of the egress proxy"},
		{"403", write("HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\nhello"), "fetch_proxy", "status 403 of the egress proxy"},
		{"502", write("HTTP/1.1 502 Bad Gateway\r\n\r\n"), "fetch_proxy", "status 502 of the egress proxy"},
		{"302", write("HTTP/1.1 302 Found\r\nLocation: https://169.254.169.254/\r\n\r\n"), "fetch_proxy", "status 302 of the egress proxy"},
		{"101", write("HTTP/1.1 101 Switching Protocols\r\n\r\n"), "fetch_proxy", "status 101 of the egress proxy"},
		{"closes", write(""), "fetch_proxy", "answer of the egress proxy"},
		{"not HTTP", write("SSH-2.0-x\r\n\r\n"), "fetch_proxy", "answer of the egress proxy"},
		{"bytes behind the answer", write("HTTP/1.1 200 OK\r\n\r\nhello"), "fetch_proxy", "the egress proxy sent more than its answer"},
		{"endless headers", flood("HTTP/1.1 200 OK\r\n", "X: "+strings.Repeat("a", 1000)+"\r\n"), "fetch_proxy", "answer of the egress proxy"},
		{"endless informational answers", flood("", "HTTP/1.1 103 Early Hints\r\n\r\n"), "fetch_proxy", "answer of the egress proxy"},
		{"hangs", func(conn net.Conn, _ *http.Request) { io.Copy(io.Discard, conn) }, "fetch_timeout", "answer of the egress proxy"},
		{"hangs in the tunnel", func(conn net.Conn, _ *http.Request) {
			io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
			io.Copy(io.Discard, conn)
		}, "fetch_timeout", "TLS handshake"},
	}
	for _, tt := range tests {
		for _, resolves := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, resolves %t", tt.name, resolves), func(t *testing.T) {
				e := newEgressThat(t, h, "http", tt.serve)
				r := &resolver{answers: [][]netip.Addr{addrs("93.184.216.34")}}
				timeout := time.Minute
				if tt.reason == "fetch_timeout" {
					timeout = 100 * time.Millisecond
				}
				g := newDoor(t, fetch.Config{RootCAs: h.roots, Resolver: r, Timeout: timeout, Proxy: fetch.Proxy{URL: e.url, Credentials: secretPair, Resolves: resolves}})
				_, err := g.Document(t.Context(), parse(t, clientURL), fetch.DefaultLimits(), fetch.Held{})
				fe := wantReason(t, err, tt.reason, true)
				if fe.Detail != tt.detail {
					t.Errorf("Detail = %q, want %q", fe.Detail, tt.detail)
				}
				if s := err.Error(); strings.Contains(s, "canary") || strings.Contains(s, "ZmV0") {
					t.Errorf("%v tells the credentials", err)
				}
			})
		}
	}
	_, err := newDoor(t, fetch.Config{Proxy: fetch.Proxy{URL: "http://" + closedPort(t), Resolves: true}}).
		Document(t.Context(), parse(t, clientURL), fetch.DefaultLimits(), fetch.Held{})
	wantReason(t, err, "fetch_proxy", true)
}

// TestEgressProxyNextAddress: a proxy that cannot reach one address is asked
// for the next.
func TestEgressProxyNextAddress(t *testing.T) {
	h := newHost(t, serveJSON("{}"))
	var e *egress
	e = newEgressThat(t, h, "http", func(conn net.Conn, req *http.Request) {
		if req.RequestURI == "93.184.216.34:443" {
			io.WriteString(conn, "HTTP/1.1 502 Bad Gateway\r\n\r\n")
			return
		}
		there, err := net.Dial("tcp", h.addr)
		if err != nil {
			t.Error(err)
			return
		}
		defer there.Close()
		io.WriteString(conn, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n")
		go io.Copy(there, conn)
		io.Copy(conn, there)
	})
	r := &resolver{answers: [][]netip.Addr{addrs("93.184.216.34", "93.184.216.35")}}
	doc, err := newDoor(t, fetch.Config{RootCAs: h.roots, Resolver: r, Proxy: fetch.Proxy{URL: e.url}}).
		Document(t.Context(), parse(t, clientURL), fetch.DefaultLimits(), fetch.Held{})
	if err != nil || doc.Address.String() != "93.184.216.35:443" {
		t.Errorf("Document() = %s, %v", doc.Address, err)
	}
}

// TestProxyRefused: what cannot be a proxy is refused at the start, and its
// credentials print as nothing.
func TestProxyRefused(t *testing.T) {
	for _, tt := range []struct {
		name string
		p    fetch.Proxy
		ok   bool
	}{
		{"none", fetch.Proxy{}, true},
		{"http", fetch.Proxy{URL: "http://proxy.example:3128"}, true},
		{"https, usual port", fetch.Proxy{URL: "https://proxy.example/"}, true},
		{"IPv6", fetch.Proxy{URL: "http://[::1]:3128"}, true},
		{"empty password", fetch.Proxy{URL: "http://proxy.example", Credentials: "user:"}, true},
		{"credentials in the URL", fetch.Proxy{URL: "http://user:canary@proxy.example"}, false},
		{"socks", fetch.Proxy{URL: "socks5://proxy.example"}, false},
		{"no scheme", fetch.Proxy{URL: "proxy.example:3128"}, false},
		{"no host", fetch.Proxy{URL: "http://:3128"}, false},
		{"path", fetch.Proxy{URL: "http://proxy.example/x"}, false},
		{"query", fetch.Proxy{URL: "http://proxy.example?x"}, false},
		{"empty query", fetch.Proxy{URL: "http://proxy.example?"}, false},
		{"fragment", fetch.Proxy{URL: "http://proxy.example/#x"}, false},
		{"port 0", fetch.Proxy{URL: "http://proxy.example:0"}, false},
		{"port 70000", fetch.Proxy{URL: "http://proxy.example:70000"}, false},
		{"empty port", fetch.Proxy{URL: "http://proxy.example:"}, false},
		{"not a URL", fetch.Proxy{URL: "http://%zz"}, false},
		{"one word", fetch.Proxy{URL: "http://proxy.example", Credentials: "canary"}, false},
		{"no user", fetch.Proxy{URL: "http://proxy.example", Credentials: ":canary"}, false},
		{"two lines", fetch.Proxy{URL: "http://proxy.example", Credentials: "a:canary\nX: y"}, false},
		{"credentials for none", fetch.Proxy{Credentials: "a:canary"}, false},
		{"resolution by none", fetch.Proxy{Resolves: true}, false},
	} {
		_, err := fetch.New(fetch.Config{Proxy: tt.p})
		if (err == nil) != tt.ok {
			t.Errorf("%s: New() = %v, want ok %t", tt.name, err, tt.ok)
		}
		if tt.p.URL != "" && tt.p.Credentials == "" && (fetch.CheckProxyURL(tt.p.URL) == nil) != tt.ok {
			t.Errorf("%s: CheckProxyURL(%q) = %v, want ok %t", tt.name, tt.p.URL, fetch.CheckProxyURL(tt.p.URL), tt.ok)
		}
		if printed := fmt.Sprintf("%v %+v %#v %v", tt.p, tt.p, tt.p, err); tt.p.Credentials != "" && strings.Contains(printed, "canary") {
			t.Errorf("%s: printed %q", tt.name, printed)
		}
	}
}

func prefixes(list ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}
