package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// testProxy is an egress proxy that leads everything to one host and tells
// what it was asked.
func testProxy(t *testing.T, to string) (url string, asked <-chan string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	seen := make(chan string, 16)
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				req, err := http.ReadRequest(bufio.NewReader(conn))
				if err != nil {
					return
				}
				seen <- req.Method + " " + req.RequestURI + " " + req.Header.Get("Proxy-Authorization")
				there, err := net.Dial("tcp", to)
				if err != nil {
					return
				}
				defer there.Close()
				io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
				go io.Copy(there, conn)
				io.Copy(conn, there)
			}()
		}
	}()
	return "http://" + ln.Addr().String(), seen
}

// testNameServer answers every question about IPv4 with one address.
func testNameServer(t *testing.T, a [4]byte) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			m.Response = true
			if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: 1}, Body: &dnsmessage.AResource{A: a},
				}}
			}
			if out, err := m.Pack(); err == nil {
				conn.WriteTo(out, from)
			}
		}
	}()
	return conn.LocalAddr().String()
}

// TestOutbound is CU-11, F13 and G-18 through the whole program: the own trust
// store, the own name server, both modes of an egress proxy, a policy's own
// proxy, and a private range that a policy opens.
func TestOutbound_CU11_F13_G18(t *testing.T) {
	const basic = " Basic ZmV0Y2hlcjpjYW5hcnktcHJveHktcGFzc3dvcmQ="
	public, private := [4]byte{93, 184, 216, 34}, [4]byte{10, 1, 2, 3}
	tests := []struct {
		name     string
		outbound string // RESOLVER and PROXY stand for their addresses
		network  string // settings of the policy
		address  [4]byte
		asked    string // of the proxy; empty: it must not be
		status   int
		guard    string
	}{
		{"checked here", "{ca_file: ca.pem, resolver: RESOLVER, egress_proxy: {url: PROXY, credentials_file: proxy.secret}}", "", public,
			"CONNECT 93.184.216.34:443" + basic, 200, "here: the proxy is asked for checked addresses"},
		{"checked here and refused", "{ca_file: ca.pem, resolver: RESOLVER, egress_proxy: {url: PROXY, credentials_file: proxy.secret}}", "", private,
			"", 400, "here: the proxy is asked for checked addresses"},
		{"blocked by configuration", "{ca_file: ca.pem, resolver: RESOLVER, egress_proxy: {url: PROXY}, blocked: [93.184.0.0/16]}", "", public,
			"", 400, "here: the proxy is asked for checked addresses"},
		{"delegated", "{ca_file: ca.pem, egress_proxy: {url: PROXY, credentials_file: proxy.secret, proxy_resolves: true}}", "", private,
			"CONNECT client.example.com:443" + basic, 200, "delegated to the proxy"},
		{"the policy's own, into a private range", "{ca_file: ca.pem, resolver: RESOLVER}", `"network": {"egress_proxy": "PROXY", "allow_cidrs": ["10.1.0.0/16"]},`, private,
			"CONNECT 10.1.2.3:443 ", 200, ""},
		{"the policy's own, beside its range", "{ca_file: ca.pem, resolver: RESOLVER}", `"network": {"egress_proxy": "PROXY", "allow_cidrs": ["10.2.0.0/16"]},`, private,
			"", 400, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t)
			config, err := os.ReadFile(s.config)
			if err != nil {
				t.Fatal(err)
			}
			text := string(config)
			host := regexp.MustCompile(`443": "([^"]+)"`).FindStringSubmatch(text)[1]
			proxy, asked := testProxy(t, host)
			fill := strings.NewReplacer("RESOLVER", testNameServer(t, tt.address), "PROXY", proxy)
			text, _, _ = strings.Cut(text, "outbound:")
			s.write("guestlist.yaml", text+"outbound: "+fill.Replace(tt.outbound)+"\n")
			s.write("proxy.secret", "fetcher:canary-proxy-password\n")
			s.write("policies/example.rego", strings.Replace(admitPolicy, "settings := {", "settings := {\n\t"+fill.Replace(tt.network), 1))
			server := s.serve()

			resp, err := http.Get(s.authorizeLink())
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != tt.status {
				t.Errorf("authorize: status %d, want %d", resp.StatusCode, tt.status)
			}
			got := ""
			if len(asked) > 0 {
				got = <-asked
			}
			if got != tt.asked || len(asked) > 0 {
				t.Errorf("the proxy was asked %q, want %q", got, tt.asked)
			}
			wantGuard(t, s, tt.guard, proxy)
			for _, l := range []*lines{server.errs, server.out} {
				if out, _ := l.text(); strings.Contains(out, "canary") || strings.Contains(out, "ZmV0") {
					t.Errorf("the credentials of the proxy are in the output:\n%s", out)
				}
			}
		})
	}
}

// wantGuard reads what the running server says about its guard.
func wantGuard(t *testing.T, s *site, guard, proxy string) {
	t.Helper()
	stdout, stderr, code := output(t, "status", "--config", s.config, "-o", "json")
	if code != 0 {
		t.Fatalf("status: exit %d: %s", code, stderr)
	}
	var status map[string]any
	if err := json.Unmarshal([]byte(stdout), &status); err != nil {
		t.Fatal(err)
	}
	if guard == "" {
		proxy = ""
	}
	gotGuard, _ := status["guard"].(string)
	gotProxy, _ := status["egress_proxy"].(string)
	if gotGuard != guard || gotProxy != proxy {
		t.Errorf("status says guard %q, egress_proxy %q, want %q, %q", gotGuard, gotProxy, guard, proxy)
	}
}

// TestEmptyCredentials: a file that was meant to hold a secret and holds none
// is no reason to go without.
func TestEmptyCredentials(t *testing.T) {
	dir := t.TempDir()
	for content, ok := range map[string]bool{"": false, "\n": false, "user:pass\n": true, "user:pass": true} {
		path := filepath.Join(dir, "secret")
		writeTestFile(t, path, content)
		_, err := outboundConfig{EgressProxy: proxyConfig{URL: "http://proxy.example", CredentialsFile: path}}.fetching()
		if (err == nil) != ok {
			t.Errorf("fetching() with %q = %v, want ok %t", content, err, ok)
		}
	}
}
