package fetch

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Proxy is an HTTP proxy that fetches leave by, with CONNECT (RFC 9110, section
// 9.3.6). TLS with the host goes through it, so that it sees names and
// addresses, never documents. The zero value is none.
type Proxy struct {
	// URL is http://host:port or https://host:port. The port may be missing:
	// 80 or 443. The proxy may be anywhere, its name is looked up by the system;
	// an https one is verified by Config.RootCAs. See CheckProxyURL.
	URL string
	// Credentials are user:password, sent to this proxy as Basic. Empty: none.
	Credentials Credentials
	// Resolves leaves the lookup, and with it the address check, to the proxy:
	// it is asked for the host by name. Without it names are looked up and
	// checked here and the proxy is asked for the checked address.
	Resolves bool
}

// Credentials are a user name and a password with a colon between. They print
// as nothing but whether they are there.
type Credentials string

// String hides them.
func (c Credentials) String() string {
	if c == "" {
		return "none"
	}
	return "hidden"
}

// GoString hides them too.
func (c Credentials) GoString() string { return strconv.Quote(c.String()) }

// CheckProxyURL says what is wrong with the URL of a proxy.
func CheckProxyURL(raw string) error {
	_, err := parseProxy(raw)
	return err
}

func parseProxy(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, errors.New("not a URL")
	case u.User != nil:
		return nil, errors.New("a user name or password has no place in the URL, it would end up in logs")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("it does not begin with http:// or https://")
	case u.Hostname() == "" || u.Opaque != "":
		return nil, errors.New("it has no host")
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, errors.New("it has more than scheme, host and port")
	}
	if u.Port() != "" || strings.HasSuffix(u.Host, ":") {
		if _, err := checkPort(u.Port()); err != nil {
			return nil, fmt.Errorf("port: %w", err)
		}
	}
	u.Path = ""
	return u, nil
}

// proxy is a checked Proxy. Its zero value is none.
type proxy struct {
	url           *url.URL
	roots         *x509.CertPool
	authorization string // value of Proxy-Authorization, or empty
	resolves      bool
}

func newProxy(p Proxy, roots *x509.CertPool) (proxy, error) {
	if p.URL == "" {
		if p.Credentials != "" || p.Resolves {
			return proxy{}, errors.New("there is none to resolve or to authenticate to")
		}
		return proxy{}, nil
	}
	u, err := parseProxy(p.URL)
	if err != nil {
		return proxy{}, err
	}
	out := proxy{url: u, roots: roots, resolves: p.Resolves}
	if p.Credentials == "" {
		return out, nil
	}
	user, _, ok := strings.Cut(string(p.Credentials), ":")
	if !ok || user == "" || strings.ContainsFunc(string(p.Credentials), func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return proxy{}, errors.New("the credentials are not user:password in one line")
	}
	out.authorization = "Basic " + base64.StdEncoding.EncodeToString([]byte(p.Credentials))
	return out, nil
}

// way is the way out for one fetch. A proxy that the policy names is asked for
// checked addresses, and gets no credentials, unless it is the configured one.
// A policy that opens private ranges and names no proxy is reached directly: an
// egress proxy leads out of the network, not into it.
func (g *Guarded) way(n Network) (proxy, error) {
	switch {
	case n.EgressProxy == "" && len(n.AllowCIDRs) > 0:
		return proxy{}, nil
	case n.EgressProxy == "":
		return g.proxy, nil
	}
	own, err := newProxy(Proxy{URL: n.EgressProxy}, g.roots)
	if err != nil {
		return proxy{}, refuse(reasonProxy, "the proxy that the policy names", err)
	}
	if g.proxy.url != nil && *g.proxy.url == *own.url {
		return g.proxy, nil
	}
	return own, nil
}

// tunnel asks the proxy for address, which is host:port, and returns the
// connection to it. All trouble is transient and called fetch_proxy, or
// fetch_timeout where ctx, which has a deadline, ended.
func (p proxy) tunnel(ctx context.Context, address string) (net.Conn, error) {
	conn, err := p.open(ctx)
	if err != nil {
		return nil, err
	}
	if err := p.ask(ctx, conn, address); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// open connects to the proxy itself.
func (p proxy) open(ctx context.Context) (net.Conn, error) {
	port := p.url.Port()
	switch {
	case port != "":
	case p.url.Scheme == "https":
		port = "443"
	default:
		port = "80"
	}
	raw, err := (&net.Dialer{KeepAlive: -1}).DialContext(ctx, "tcp", net.JoinHostPort(p.url.Hostname(), port))
	if err != nil {
		return nil, during("connect to the egress proxy", reasonProxy, err)
	}
	if p.url.Scheme == "http" {
		return raw, nil
	}
	conn := tls.Client(raw, &tls.Config{
		RootCAs:    p.roots,
		ServerName: p.url.Hostname(),
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
	})
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, during("TLS handshake with the egress proxy", reasonProxy, err)
	}
	return conn, nil
}

// ask sends CONNECT and reads the answer, 16 KiB of it at most.
func (p proxy) ask(ctx context.Context, conn net.Conn, address string) error {
	end, _ := ctx.Deadline()
	if err := conn.SetDeadline(end); err != nil {
		return trouble(reasonProxy, "setting the deadline", err)
	}
	req := "CONNECT " + address + " HTTP/1.1\r\nHost: " + address + "\r\n"
	if p.authorization != "" {
		req += "Proxy-Authorization: " + p.authorization + "\r\n"
	}
	if _, err := io.WriteString(conn, req+"\r\n"); err != nil {
		return during("ask the egress proxy", reasonProxy, err)
	}
	br := bufio.NewReader(io.LimitReader(conn, maxHeaderBytes))
	for {
		resp, err := http.ReadResponse(br, &http.Request{Method: http.MethodConnect})
		switch {
		case err != nil:
			return during("answer of the egress proxy", reasonProxy, err)
		case resp.StatusCode < 200 && resp.StatusCode != http.StatusSwitchingProtocols:
			continue
		case resp.StatusCode < 200 || resp.StatusCode > 299:
			return trouble(reasonProxy, fmt.Sprintf("status %d of the egress proxy", resp.StatusCode), nil)
		case br.Buffered() > 0:
			return trouble(reasonProxy, "the egress proxy sent more than its answer", nil)
		}
		return nil
	}
}
