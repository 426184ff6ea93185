package main

import (
	"strings"
	"testing"
)

// TestConfigAdminListen: the listener for monitoring is on loopback, or has TLS
// and one address.
func TestConfigAdminListen(t *testing.T) {
	dir := configDir(t)
	with := strings.Replace(goodConfig, "  socket: admin.sock", "  listen: \"HERE\"", 1)
	for _, test := range []struct{ base, listen, want string }{
		{with, "127.0.0.1:9101", ""},
		{with, "[::1]:9101", ""},
		{with, "192.0.2.7:9101", ""},
		{with, "[2001:db8::7]:9101", ""},
		{with, "[fe80::1%eth0]:9101", "has a zone"},
		{with, "[::]:9101", "is not one address of this machine"},
		{with, "127.0.0.1:0", "is not host:port"},
		{minimalConfig + "admin: {listen: \"HERE\"}\n", "localhost:9101", ""},
		{minimalConfig + "admin: {listen: \"HERE\"}\n", "192.0.2.7:9101", "without tls others could read along"},
	} {
		c, err := parseIn(dir, strings.Replace(test.base, "HERE", test.listen, 1))
		switch {
		case test.want == "" && (err != nil || c.Admin.Listen != test.listen):
			t.Errorf("admin.listen %q = %q, %v, want it as it is", test.listen, c.Admin.Listen, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("admin.listen %q = %v, want an error that says %q", test.listen, err, test.want)
		}
	}
}
