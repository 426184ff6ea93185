package main

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"guestlist/broker"
)

// configScope is a scope token of RFC 6749 section 3.3.
var configScope = regexp.MustCompile(`^[\x21\x23-\x5B\x5D-\x7E]{1,200}$`)

// configAuthority is host and port of an issuer as browsers send them: lower
// case, ASCII, no default port.
var configAuthority = regexp.MustCompile(`^([a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(:[1-9][0-9]{0,4})?$`)

// configPath is what an issuer may have after its host.
var configPath = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)*$`)

func (r *configReader) checkIssuer(c *config) {
	if !r.need("issuer", c.Issuer, "write the URL at which people and clients reach this server, such as https://id.example") {
		return
	}
	if what, remedy := issuerProblem(c.Issuer); what != "" {
		r.fault("issuer", remedy, "%q %s", c.Issuer, what)
		return
	}
	if !strings.HasPrefix(c.Issuer, "http://") {
		return
	}
	switch {
	case c.TLS.CertFile != "":
		r.fault("issuer", "write https://, or remove tls", "%q is http and tls is configured", c.Issuer)
	case !r.isBad("listen") && c.Listen != "" && !c.loopback():
		r.fault("issuer", "write https://, or put issuer and listen on 127.0.0.1, [::1] or localhost", "%q is http, which is for loopback only", c.Issuer)
	}
}

// issuerProblem says what is wrong with the form of an issuer identifier (RFC
// 8414 section 2), and a remedy. Clients compare issuers byte for byte, so
// there is one way to write one.
func issuerProblem(issuer string) (what, remedy string) {
	u, err := url.Parse(issuer)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return "is not an absolute URL", "write https://host or https://host/path"
	case u.Scheme != "https" && u.Scheme != "http" || !strings.HasPrefix(issuer, u.Scheme+"://"):
		return "does not begin with https://", "write https://host or https://host/path"
	case strings.ContainsAny(issuer, "?#"):
		return "has a query or a fragment (RFC 8414 section 2)", "leave it out"
	case u.User != nil:
		return "has a user name in it", "leave it out"
	case strings.HasSuffix(issuer, "/"):
		return "ends with a slash, and clients compare the issuer byte for byte", "write " + strings.TrimRight(issuer, "/")
	case strings.ToLower(u.Host) != u.Host:
		return "has capital letters in its host", "write " + strings.ToLower(u.Host)
	case !configAuthority.MatchString(u.Host) || !validPort(u.Port(), true):
		return "has a host or port that no browser sends", "write a host name in ASCII (xn-- for others), and a port only where it is not the usual one"
	case u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80":
		return "spells out the usual port, which clients leave out", "write " + u.Scheme + "://" + strings.TrimSuffix(u.Host, ":"+u.Port()) + u.Path
	case !configPath.MatchString(u.EscapedPath()) || u.Path != "" && path.Clean(u.Path) != u.Path:
		return "has a path with other than letters, digits, - . _ ~ and single slashes", "simplify the path"
	}
	return "", ""
}

func validPort(port string, orNone bool) bool {
	if port == "" {
		return orNone
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0 && port[0] != '0' && port[0] != '+'
}

func (r *configReader) checkListen(c *config) {
	if !r.need("listen", c.Listen, "write 127.0.0.1:8080 behind a proxy, or :443 with tls") {
		return
	}
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil || strings.ContainsAny(host, " /@") {
		r.fault("listen", "write 127.0.0.1:8080, [::1]:8080 or :443", "%q is not host:port", c.Listen)
		return
	}
	if !validPort(port, false) {
		r.fault("listen", "write a port from 1 to 65535", "%q has no such port", c.Listen)
		return
	}
	tls := r.given("tls.cert_file") || r.given("tls.key_file") || r.isBad("tls.cert_file") || r.isBad("tls.key_file")
	if !tls && !isLoopbackHost(host) && len(c.TrustedProxies) == 0 {
		r.fault("listen", "set tls.cert_file and tls.key_file, or put a proxy in front that does TLS: list it in trusted_proxies, or listen on 127.0.0.1 beside it",
			"other machines can reach %q, and without tls they would send passwords in clear", c.Listen)
	}
}

func (r *configReader) checkTLS(c *config) {
	type pem struct{ path, file, other string }
	cert := pem{"tls.cert_file", c.TLS.CertFile, "tls.key_file"}
	key := pem{"tls.key_file", c.TLS.KeyFile, "tls.cert_file"}
	for _, p := range []pem{cert, key} {
		if p.file == "" {
			continue
		}
		if !r.given(p.other) && !r.isBad(p.other) {
			r.fault(p.path, "set "+p.other+" too, or remove both", "is of no use without %s", p.other)
		}
		if info, err := os.Stat(p.file); err != nil {
			r.fault(p.path, "name a PEM file that exists", "%v", err)
		} else if info.IsDir() {
			r.fault(p.path, "name a PEM file", "%s is a directory", p.file)
		}
	}
}

func (r *configReader) checkResources(c *config) {
	const example = "write the URL of the API, such as https://mcp.example/mcp"
	if len(c.Resources) == 0 {
		r.fault("resources", "add one: its id is the URL of the API or MCP server that takes the tokens", "at least one is required")
	}
	for i := range c.Resources {
		res := &c.Resources[i]
		at := fmt.Sprintf("resources[%d]", i)
		if r.need(at+".id", res.ID, example) {
			if what := resourceProblem(res.ID); what != "" {
				r.fault(at+".id", example, "%q %s", res.ID, what)
			} else if other := slices.IndexFunc(c.Resources[:i], func(o resourceConfig) bool { return broker.SameResource(o.ID, res.ID) }); other >= 0 {
				r.fault(at+".id", "remove one", "%q is resources[%d] already", res.ID, other)
			}
		}
		r.completeResource(at, res)
	}
}

// completeResource checks what a resource has beside its id.
func (r *configReader) completeResource(at string, res *resourceConfig) {
	if u, err := url.Parse(res.ID); err == nil && res.Name == "" {
		res.Name = u.Host
	}
	for i, scope := range res.Scopes {
		path := fmt.Sprintf("%s.scopes[%d]", at, i)
		if !configScope.MatchString(scope) {
			r.fault(path, `write one scope an item, without spaces, " and \`, "%q is no scope (RFC 6749 section 3.3)", scope)
		} else if slices.Contains(res.Scopes[:i], scope) {
			r.fault(path, "remove one", "%q is there twice", scope)
		}
	}
	r.checkTokens(at, res)
}

// resourceProblem says what is wrong with a resource identifier (RFC 8707
// section 2).
func resourceProblem(id string) string {
	u, err := url.Parse(id)
	switch {
	case err != nil || u.Hostname() == "" || len(id) > 500 || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "is not an absolute URL of at most 500 ASCII characters"
	case u.Scheme != "https" && !(u.Scheme == "http" && isLoopbackHost(u.Hostname())):
		return "is not https"
	case strings.Contains(id, "#"):
		return "has a fragment (RFC 8707 section 2)"
	case u.User != nil:
		return "has a user name in it"
	case !validPort(u.Port(), !strings.HasSuffix(u.Host, ":")):
		return "has a port that is none"
	}
	return ""
}
