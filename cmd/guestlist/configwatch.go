package main

import (
	"net"
	"net/netip"
	"strings"
)

// adminConfig says where operators and monitoring reach the server.
type adminConfig struct {
	Socket string // Unix socket; empty: no admin API
	Listen string // host:port for monitoring, see admin.NewWatch; empty: none
}

func (c *adminConfig) members() map[string]configMember {
	return map[string]configMember{
		"socket": {value: fileValue(&c.Socket), env: "GUESTLIST_ADMIN_SOCKET"},
		"listen": {value: textValue(&c.Listen), env: "GUESTLIST_ADMIN_LISTEN"},
	}
}

// checkAdminListen accepts loopback in clear, and with tls an address of this
// machine. There nobody is asked who they are, so that "every address" must
// not be what somebody forgot to narrow.
func (r *configReader) checkAdminListen(c *config) {
	const path, example = "admin.listen", "write 127.0.0.1:9101"
	listen := c.Admin.Listen
	if listen == "" || r.isBad(path) {
		return
	}
	host, port, err := net.SplitHostPort(listen)
	address, noAddress := netip.ParseAddr(host)
	switch {
	case err != nil || !validPort(port, false):
		r.fault(path, example, "%q is not host:port", listen)
	case listen == c.Listen:
		r.fault(path, "give each its own", "is the same address as listen")
	case isLoopbackHost(host):
	case noAddress != nil || address.IsUnspecified():
		r.fault(path, example+", or the one address that monitoring uses", "%q is not one address of this machine, and whoever reaches it may read it", listen)
	case c.TLS.CertFile == "":
		r.fault(path, "set tls.cert_file and tls.key_file, which it then uses too, or listen on 127.0.0.1", "other machines can reach %q, and without tls others could read along", listen)
	case strings.Contains(host, "%"):
		r.fault(path, example, "%q has a zone", listen)
	}
}
