package fetch

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"guestlist/broker/cimd"
)

const httpsPort = "443"

// target is an identifier taken apart for the wire.
type target struct {
	host   string   // name to resolve and to verify
	port   uint16   // port to dial
	mapped string   // dial address of the insecure host map, or empty
	url    *url.URL // RequestURI() is what follows the authority, unchanged
	gate   gate     // which addresses will do
	proxy  proxy    // the way out; its zero value is the direct one
	form   form     // what the answer must be
	held   Held     // of the copy that the caller has
}

// target checks what can be checked without the network.
func (g *Guarded) target(id cimd.ID, lim Limits) (target, error) {
	if err := checkHost(id.Host); err != nil {
		return target{}, refuse(reasonBlocked, "host "+quoted(id.Host), err)
	}
	authority, port := id.Host, httpsPort
	if id.Port != "" {
		authority, port = id.Host+":"+id.Port, id.Port
	}
	number, err := checkPort(port)
	if err != nil {
		return target{}, refuse(reasonBlocked, "port "+quoted(port), err)
	}
	mapped := g.hosts.dialAddress(id.Host, port)
	if port != httpsPort && mapped == "" && !lim.AllowPort {
		return target{}, refuse(reasonBlocked, "port "+port+" is not allowed by policy", nil)
	}
	u, err := exactURL(id.String(), authority)
	if err != nil {
		return target{}, refuse(reasonFailed, "identifier cannot be sent as it is", err)
	}
	way, err := g.way(lim.Network)
	if err != nil {
		return target{}, err
	}
	return target{
		host: id.Host, port: number, mapped: mapped, url: u, proxy: way,
		gate: gate{blocked: g.blocked, opened: lim.Network.AllowCIDRs},
	}, nil
}

// exactURL builds a URL whose request target is byte for byte what follows the
// authority in raw, and fails where net/url would write it otherwise.
func exactURL(raw, authority string) (*url.URL, error) {
	want, ok := strings.CutPrefix(raw, "https://"+authority)
	if !ok || !strings.HasPrefix(want, "/") {
		return nil, errors.New("identifier does not begin with its own origin")
	}
	rawPath, query, hasQuery := strings.Cut(want, "?")
	path, err := url.PathUnescape(rawPath)
	if err != nil {
		return nil, err
	}
	u := &url.URL{
		Scheme:     "https",
		Host:       authority,
		Path:       path,
		RawPath:    rawPath,
		RawQuery:   query,
		ForceQuery: hasQuery,
	}
	if got := u.RequestURI(); got != want {
		return nil, fmt.Errorf("request target would be %s", quoted(got))
	}
	return u, nil
}

// checkHost admits ASCII letter-digit-hyphen names with a dot whose last label
// begins with a letter, which no numeric spelling of an IPv4 address has.
func checkHost(host string) error {
	if len(host) > 253 {
		return errors.New("name is longer than 253 bytes")
	}
	labels := strings.Split(host, ".")
	if len(labels) < 2 {
		return errors.New("name has no dot")
	}
	for _, label := range labels {
		if !isLDH(label) {
			return errors.New("name is not made of ASCII letters, digits and hyphens")
		}
	}
	if last := labels[len(labels)-1]; last[0] >= '0' && last[0] <= '9' {
		return errors.New("last label begins with a digit")
	}
	return nil
}

func isLDH(label string) bool {
	if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for _, c := range []byte(label) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

func checkPort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 || s[0] == '0' || s[0] == '+' {
		return 0, errors.New("not a port number from 1 to 65535")
	}
	return uint16(n), nil
}

// hostMap is the checked insecure host map; keys in lower case.
type hostMap map[string]string

func newHostMap(entries map[string]string) (hostMap, error) {
	m := make(hostMap, len(entries))
	for key, address := range entries {
		host, port, err := net.SplitHostPort(key)
		if err != nil {
			return nil, fmt.Errorf("%q is not host:port: %w", key, err)
		}
		if err := checkHost(strings.TrimPrefix(host, "*.")); err != nil {
			return nil, fmt.Errorf("host of %q: %w", key, err)
		}
		if _, err := checkPort(port); err != nil {
			return nil, fmt.Errorf("port of %q: %w", key, err)
		}
		if err := checkDialAddress(address); err != nil {
			return nil, fmt.Errorf("dial address %q of %q: %w", address, key, err)
		}
		lower := strings.ToLower(key)
		if _, double := m[lower]; double {
			return nil, fmt.Errorf("%q appears twice", lower)
		}
		m[lower] = address
	}
	return m, nil
}

func checkDialAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("not host:port: %w", err)
	}
	if host == "" {
		return errors.New("no host")
	}
	_, err = checkPort(port)
	return err
}

// dialAddress returns the address mapped to host and port, or empty.
func (m hostMap) dialAddress(host, port string) string {
	host = strings.ToLower(host)
	if address, ok := m[host+":"+port]; ok {
		return address
	}
	for {
		_, parent, ok := strings.Cut(host, ".")
		if !ok {
			return ""
		}
		if address, ok := m["*."+parent+":"+port]; ok {
			return address
		}
		host = parent
	}
}
