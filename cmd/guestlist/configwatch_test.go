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

func TestConfigTracing(t *testing.T) {
	dir := configDir(t)
	for _, test := range []struct {
		text, want string
		sample     float64
	}{
		{"{endpoint: \"https://otel.example/v1/traces\"}", "", 1},
		{"{endpoint: \"https://otel.example/v1/traces\", sample: 0.1}", "", 0.1},
		{"{endpoint: \"http://127.0.0.1:4318/v1/traces\", sample: 1}", "", 1}, // the issuer is on loopback
		{"{endpoint: \"otel.example:4318\"}", "tracing.endpoint: ", 0},
		{"{endpoint: \"https://u:p@otel.example/\"}", "tracing.endpoint: it has a user name", 0},
		{"{endpoint: \"https://otel.example/\", sample: 0}", "tracing.sample: is not a number of more than 0", 0},
		{"{endpoint: \"https://otel.example/\", sample: 1.1}", "tracing.sample: is not a number of more than 0", 0},
		{"{endpoint: \"https://otel.example/\", sample: .nan}", "tracing.sample: is not a number of more than 0", 0},
		{"{endpoint: \"https://otel.example/\", sample: often}", "tracing.sample: is not a number of more than 0", 0},
		{"{sample: 0.5}", "tracing.sample: is of no use without tracing.endpoint", 0},
	} {
		c, err := parseIn(dir, minimalConfig+"tracing: "+test.text+"\n")
		switch {
		case test.want == "" && (err != nil || c.Tracing.Sample != test.sample):
			t.Errorf("tracing: %s = %+v, %v, want sample %v", test.text, c.Tracing, err, test.sample)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("tracing: %s = %v, want an error that says %q", test.text, err, test.want)
		}
	}
}
