package main

import (
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"guestlist/broker"
)

// goodConfig has every member that is in force and goes with the others, DIR standing for its folder.
const goodConfig = `issuer: https://id.example/tenant
listen: 127.0.0.1:8080
tls:
  cert_file: cert.pem
  key_file: key.pem
store: bolt://DIR/guestlist.db
policies:
  path: policies
  watch: false
  unsigned: true
cimd:
  admit: true
  advertise: false
  cache_floor: 0
  cache_default: 10m
  cache_ceiling: 1d
  max_bytes: 5120
  timeout: 2s
  retries: 3
  budgets: {per_source: 10, per_domain: 20, total: 100, concurrent: 32}
  look: {every: 12h}
  caps: {total: 500, per_domain: 50, per_policy: 100}
outbound:
  ca_file: ca.pem
  resolver: 127.0.0.1:5353
  egress_proxy: {url: "https://proxy.example:3128", credentials_file: proxy.secret, proxy_resolves: true}
  blocked: [203.0.113.0/24, "2001:db8::1"]
people:
  file: people.yaml
resources:
  - id: https://mcp.example/mcp
    name: The server
    scopes: [mcp:read, mcp:write]
    token_format: jwt
  - id: https://api.example/
keys:
  dir: keys
maxima:
  access_token: {ttl: 10m}
  document:
    max_bytes: 6000
lifetimes:
  ticket: 5m
  code: 30s
  session: 30d
decision_log:
  stdout: true
  file: decisions.jsonl
  retain: {people: 400d, strangers: 1h}
  exporters:
    - name: archive
      type: file
      path: archive.jsonl
      max_bytes: 1000000
      keep: 3
    - name: siem
      type: http
      view: opa
      from: now
      url: https://logs.example/in
      token_file: hook.secret
      format: json
      gzip: true
      batch_records: 50
      batch_bytes: 200000
      batch_wait: 5s
      timeout: 30s
    - name: otel
      type: otlp
      url: https://otel.example/v1/logs
admin:
  socket: admin.sock
tracing: {endpoint: "https://otel.example/v1/traces", sample: 0.25}
webhooks:
  - url: https://hooks.example/guestlist
    events: [refusals, changes]
    secret_file: hook.secret
    per_minute: 30
  - url: https://other.example/
    secret_file: hook.secret
help:
  ask: the identity team, iam@corp.example
  url: https://help.corp.example/guestlist
store_reserve: 1073741824
log:
  level: debug
`

// minimalConfig has what is required and nothing else, all on loopback.
const minimalConfig = `issuer: http://localhost:8080
listen: 127.0.0.1:8080
store: bolt://DIR/guestlist.db
policies: {path: policies, unsigned: true}
people: {file: people.yaml}
resources: [{id: "http://localhost:9000/mcp"}]
keys: {dir: keys}
`

// configDir makes the folder that goodConfig refers to.
func configDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "policies"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"cert.pem", "key.pem", "empty.pem"} {
		writeTestFile(t, filepath.Join(dir, name), "")
	}
	writeTestFile(t, filepath.Join(dir, "proxy.secret"), "fetcher:canary-proxy-password\n")
	writeTestFile(t, filepath.Join(dir, "hook.secret"), strings.Repeat("s", 22)+"\n")
	writeTestFile(t, filepath.Join(dir, "short.secret"), strings.Repeat("s", 21)+"\n")
	writeTestFile(t, filepath.Join(dir, "ca.pem"), string(testAuthority(t)))
	return dir
}

// testAuthority returns a certificate in PEM.
func testAuthority(t *testing.T) []byte {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	defer s.Close()
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}

func writeTestFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func parseIn(dir, content string) (config, error) {
	return parseConfig(filepath.Join(dir, "guestlist.yaml"), []byte(strings.ReplaceAll(content, "DIR", dir)))
}

func TestConfigGood(t *testing.T) {
	dir := configDir(t)
	yes, no := true, false
	d := func(v time.Duration) broker.Duration { return broker.Duration(v) }
	want := config{
		Issuer: "https://id.example/tenant", Listen: "127.0.0.1:8080", Store: "bolt://" + dir + "/guestlist.db", StoreReserve: 1 << 30,
		TLS:      tlsConfig{CertFile: dir + "/cert.pem", KeyFile: dir + "/key.pem"},
		Policies: policiesConfig{Path: dir + "/policies", Unsigned: true},
		CIMD: cimdConfig{
			Admit: &yes, Advertise: &no, CacheFloor: 0, CacheDefault: d(10 * time.Minute), CacheCeiling: d(24 * time.Hour),
			MaxBytes: 5120, Timeout: d(2 * time.Second), Retries: 3,
			Caps:    capsConfig{Total: 500, PerDomain: 50, PerPolicy: 100},
			Budgets: budgetsConfig{PerSource: 10, PerDomain: 20, Total: 100, Concurrent: 32},
			Look:    lookConfig{Every: d(12 * time.Hour)},
		},
		Outbound: outboundConfig{
			CAFile: dir + "/ca.pem", Resolver: "127.0.0.1:5353",
			EgressProxy: proxyConfig{URL: "https://proxy.example:3128", CredentialsFile: dir + "/proxy.secret", ProxyResolves: true},
			Blocked:     []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("2001:db8::1/128")},
		},
		People: peopleConfig{File: dir + "/people.yaml"},
		Resources: []resourceConfig{
			{ID: "https://mcp.example/mcp", Name: "The server", Scopes: []string{"mcp:read", "mcp:write"}, TokenFormat: "jwt", SigningAlg: "ES256"},
			{ID: "https://api.example/", Name: "api.example", TokenFormat: "jwt", SigningAlg: "ES256"},
		},
		Keys:      keysConfig{Dir: dir + "/keys"},
		Maxima:    map[string]any{"access_token": map[string]any{"ttl": "10m"}, "document": map[string]any{"max_bytes": uint64(6000)}},
		Lifetimes: lifetimesConfig{Ticket: d(5 * time.Minute), Code: d(30 * time.Second), Session: d(30 * 24 * time.Hour)},
		DecisionLog: decisionLogConfig{Stdout: true, File: dir + "/decisions.jsonl", Retain: retainConfig{People: broker.Duration(400 * 24 * time.Hour), Strangers: broker.Duration(time.Hour)}, Exporters: []exporterConfig{
			{Name: "archive", Type: "file", View: "native", From: "start", Path: dir + "/archive.jsonl", MaxBytes: 1000000, Keep: 3},
			{Name: "siem", Type: "http", View: "opa", From: "now", URL: "https://logs.example/in", TokenFile: dir + "/hook.secret", Format: "json", Gzip: true,
				BatchRecords: 50, BatchBytes: 200000, BatchWait: d(5 * time.Second), Timeout: d(30 * time.Second)},
			{Name: "otel", Type: "otlp", View: "native", From: "start", URL: "https://otel.example/v1/logs",
				BatchRecords: 256, BatchBytes: 1 << 20, BatchWait: d(time.Second), Timeout: d(10 * time.Second)},
		}},
		Admin:   adminConfig{Socket: dir + "/admin.sock"},
		Tracing: tracingConfig{Endpoint: "https://otel.example/v1/traces", Sample: 0.25},
		Help:    helpConfig{Ask: "the identity team, iam@corp.example", URL: "https://help.corp.example/guestlist"},
		Webhooks: []webhookConfig{
			{URL: "https://hooks.example/guestlist", Events: []string{"refusals", "changes"}, SecretFile: dir + "/hook.secret", PerMinute: 30},
			{URL: "https://other.example/", Events: []string{"refusals", "changes", "first_sights"}, SecretFile: dir + "/hook.secret", PerMinute: 60},
		},
		Log: logConfig{Level: "debug"},
	}
	got, err := parseIn(dir, goodConfig)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("parseConfig(good) = %+v, %v\nwant %+v", got, err, want)
	}
	if got.storeFile() != dir+"/guestlist.db" || got.loopback() {
		t.Errorf("storeFile, loopback = %q, %v, want %q, false", got.storeFile(), got.loopback(), dir+"/guestlist.db")
	}
}

func TestConfigDefaults(t *testing.T) {
	dir := configDir(t)
	got, err := parseIn(dir, minimalConfig)
	if err != nil {
		t.Fatalf("parseConfig(minimal) = %v, want nil", err)
	}
	c := got.CIMD
	if !*c.Admit || !*c.Advertise || c.CacheFloor.String() != "1m" || c.CacheDefault.String() != "1h" || c.CacheCeiling.String() != "1d" ||
		c.MaxBytes != 65536 || c.Timeout.String() != "5s" {
		t.Errorf("cimd = %+v, want on, advertised, 1m, 1h, 1d, 65536, 5s", c)
	}
	if c.Look.Every.Std() != 24*time.Hour {
		t.Errorf("cimd.look.every = %v, want 24h", c.Look.Every)
	}
	if got.StoreReserve != 0 {
		t.Errorf("store_reserve = %d, want what the store has by itself", got.StoreReserve)
	}
	if off, err := parseIn(dir, minimalConfig+"store_reserve: 0\n"); err != nil || off.StoreReserve >= 0 {
		t.Errorf("store_reserve: 0 = %d, %v, want off", off.StoreReserve, err)
	}
	if off, err := parseIn(dir, minimalConfig+"cimd: {look: {every: off}}\n"); err != nil || off.CIMD.Look.Every != 0 {
		t.Errorf("cimd.look.every: off = %v, %v, want none", off.CIMD.Look.Every, err)
	}
	if want := (budgetsConfig{PerSource: 600, PerDomain: 600, Total: 6000, Concurrent: 64}); c.Budgets != want {
		t.Errorf("cimd.budgets = %+v, want %+v", c.Budgets, want)
	}
	if want := (capsConfig{Total: 100_000, PerDomain: 1000, PerPolicy: 100_000}); c.Caps != want {
		t.Errorf("cimd.caps = %+v, want %+v", c.Caps, want)
	}
	l := got.Lifetimes
	if l.Ticket.String() != "10m" || l.Code.String() != "1m" || l.Session.String() != "12h" {
		t.Errorf("lifetimes = %+v, want 10m, 1m, 12h", l)
	}
	if !got.Policies.Watch || got.Log.Level != "info" || got.Resources[0].Name != "localhost:9000" || !got.loopback() {
		t.Errorf("watch, level, name, loopback = %v, %q, %q, %v, want true, info, localhost:9000, true",
			got.Policies.Watch, got.Log.Level, got.Resources[0].Name, got.loopback())
	}
}

// PF-15: bounds that somebody wrote move the ones that nobody wrote.
func TestConfigCacheDefaultsFollow(t *testing.T) {
	dir := configDir(t)
	for _, tt := range []struct{ cimd, floor, usual, ceiling string }{
		{"cache_ceiling: 10m", "1m", "10m", "10m"},
		{"cache_ceiling: 1s", "1s", "1s", "1s"},
		{"cache_floor: 24h", "1d", "1d", "1d"},
		{"cache_floor: 0, cache_ceiling: 30s", "0s", "30s", "30s"},
	} {
		got, err := parseIn(dir, minimalConfig+"cimd: {"+tt.cimd+"}\n")
		c := got.CIMD
		if err != nil || c.CacheFloor.String() != tt.floor || c.CacheDefault.String() != tt.usual || c.CacheCeiling.String() != tt.ceiling {
			t.Errorf("parseConfig(%s) = %s, %s, %s, %v, want %s, %s, %s", tt.cimd, c.CacheFloor, c.CacheDefault, c.CacheCeiling, err, tt.floor, tt.usual, tt.ceiling)
		}
	}
}

// Budgets that nobody wrote are no more than the total that somebody did.
func TestConfigBudgetsFollow(t *testing.T) {
	dir := configDir(t)
	for _, tt := range []struct {
		budgets string
		want    broker.Budgets
	}{
		{"total: 3", broker.Budgets{PerSource: 3, PerDomain: 3, Total: 3, Concurrent: 64}},
		{"total: 40", broker.Budgets{PerSource: 40, PerDomain: 40, Total: 40, Concurrent: 64}},
		{"per_domain: 700", broker.Budgets{PerSource: 600, PerDomain: 700, Total: 6000, Concurrent: 64}},
	} {
		c, err := parseIn(dir, minimalConfig+"cimd: {budgets: {"+tt.budgets+"}}\n")
		if err != nil {
			t.Errorf("parseConfig(%s) = %v", tt.budgets, err)
			continue
		}
		if p, err := planFrom(c); err != nil || p.budgets != tt.want {
			t.Errorf("plan of %s has %+v, %v, want %+v", tt.budgets, p.budgets, err, tt.want)
		}
	}
}

// A cap that nobody wrote is no more than the total that somebody did.
func TestConfigCapsFollow(t *testing.T) {
	c, err := parseIn(configDir(t), minimalConfig+"cimd: {caps: {total: 7}}\n")
	if err != nil {
		t.Fatalf("parseConfig = %v", err)
	}
	if p, err := planFrom(c); err != nil || p.caps != (broker.Caps{Total: 7, PerDomain: 7, PerPolicy: 7}) {
		t.Errorf("plan has %+v, %v, want 7 each", p.caps, err)
	}
}

// Each case replaces one text of goodConfig and makes one problem: in the first
// line of the new text, or where § stands in it.
func TestConfigWrong(t *testing.T) {
	dir := configDir(t)
	issuer, listen := "issuer: https://id.example/tenant", "listen: 127.0.0.1:8080"
	tls := "tls:\n  cert_file: cert.pem\n  key_file: key.pem\n"
	for _, tt := range []struct {
		name, old, new string
		want           string
	}{
		// names
		{"unknown, similar", "issuer:", "isuer:", `isuer: unknown member (did you mean issuer?)`},
		{"unknown, similar, nested", "  cache_floor:", "  cache-flor:", "cimd.cache-flor: unknown member (did you mean cimd.cache_floor?)"},
		{"unknown, in another section", "log:\n  level", "socket: a.sock\nlog:\n  level", "did you mean admin.socket?"},
		{"unknown, like nothing", "log:\n  level", "zebra: 1\nlog:\n  level", "zebra: unknown member. Remedy"},
		{"unknown, other case", "listen:", "Listen:", "did you mean listen?"},
		{"unknown in a resource", "    name:", "    nme:", "resources[0].nme: unknown member (did you mean resources[0].name?)"},
		{"duplicate", "log:\n  level", "keys: {dir: b}\nlog:\n  level", "keys: is already in line 36"},
		{"duplicate, nested", "  dir: keys", "  dir: keys\n§  dir: others", "keys.dir: is already in line 37"},
		// not yet
		{"policies.bundle", "  watch: false", "  bundle: https://b.example", "policies.bundle: is not available yet"},
		{"people.upstream", "  file: people.yaml", "  file: people.yaml\n§  upstream: x", "people.upstream: is not available yet"},
		{"issuers", "log:\n  level", "issuers: []\nlog:\n  level", "issuers: is not available yet"},
		{"facts without a value", "log:\n  level", "facts:\nlog:\n  level", "facts: has no value"},
		{"facts in no directory", "log:\n  level", "facts: none/facts.yaml\nlog:\n  level", "facts: there is no directory "},
		{"facts in the people file", "log:\n  level", "facts: people.yaml\nlog:\n  level", "facts: is the same file as people.file"},
		{"retain for less than an hour", "strangers: 1h", "strangers: 59m", "decision_log.retain.strangers: 59m is too short (1h to 36500d)"},
		{"retain for no time", "strangers: 1h", "strangers: 0s", "decision_log.retain.strangers: 0s is too short"},
		{"retain of no class", "{people: 400d", "{visitors: 400d", "decision_log.retain.visitors: unknown member"},
		{"admin.listen everywhere", "  socket: admin.sock", "  socket: admin.sock\n§  listen: \":9101\"", `admin.listen: ":9101" is not one address of this machine`},
		{"admin.listen on every address", "  socket: admin.sock", "  socket: admin.sock\n§  listen: 0.0.0.0:9101", `admin.listen: "0.0.0.0:9101" is not one address`},
		{"admin.listen on a name", "  socket: admin.sock", "  socket: admin.sock\n§  listen: host.example:9101", `admin.listen: "host.example:9101" is not one address`},
		{"admin.listen without a port", "  socket: admin.sock", "  socket: admin.sock\n§  listen: 127.0.0.1", `admin.listen: "127.0.0.1" is not host:port`},
		{"admin.listen on the public listener", "  socket: admin.sock", "  socket: admin.sock\n§  listen: 127.0.0.1:8080", "admin.listen: is the same address as listen"},
		{"resource secret file", "    token_format: jwt", "    secret_file: nowhere", "resources[0].secret_file: open "},
		{"resource twice but for a slash", "https://api.example/", "https://MCP.example/mcp", "is resources[0] already"},
		{"signing algorithm", "    token_format: jwt", "    signing_alg: HS256", `"HS256" is no algorithm of this server`},
		{"opaque tokens", "token_format: jwt", "token_format: opaque", "opaque tokens can only be read by introspection"},
		{"postgres", "store: bolt://DIR/guestlist.db", "store: postgres://db/x", "PostgreSQL is not available yet"},
		// form
		{"tls misspelt (told once)", "  cert_file", "  cert_fle", "tls.cert_fle: unknown member (did you mean tls.cert_file?)"},
		{"number for text", "level: debug", "level: 3", "log.level: is not text"},
		{"nothing for text", listen, "listen:", "listen: has no value"},
		{"two lines", "name: The server", `name: "a\nb"`, "control character"},
		{"text for a flag", "watch: false", "watch: no", "policies.watch: is neither true nor false"},
		{"text for a section", "keys:\n  dir: keys", "keys:\n  keys", "keys: is not a mapping"},
		{"text for a list", "[mcp:read, mcp:write]", "mcp:read", "resources[0].scopes: is not a list"},
		{"list for text", listen, "listen: [a]", "listen: is not text"},
		{"fraction for a number", "max_bytes: 5120", "max_bytes: 51.2", "is not a whole number"},
		{"huge number", "max_bytes: 5120", "max_bytes: 18446744073709551615", "is not a whole number"},
		{"duration without unit", "cache_default: 10m", "cache_default: 600", "Remedy: give it a unit"},
		{"negative duration", "timeout: 2s", "timeout: -2s", "cimd.timeout: duration"},
		{"map of lists", "  ca_file: ca.pem", "  insecure_host_map: {a: [b]}", "outbound.insecure_host_map[a]: is not text"},
		{"unknown anchor", listen, "listen: *here", `no anchor is called "here"`},
		{"empty resource", "  - id: https://api.example/", "  -", "resources[1]: is empty"},
		// issuer
		{"issuer relative", issuer, "issuer: id.example", "is not an absolute URL"},
		{"issuer ftp", issuer, "issuer: ftp://id.example", "does not begin with https://"},
		{"issuer with query", issuer, "issuer: https://id.example?x", "has a query or a fragment"},
		{"issuer with fragment", issuer, "issuer: https://id.example#", "has a query or a fragment"},
		{"issuer with user", issuer, "issuer: https://me@id.example", "has a user name"},
		{"issuer with slash", issuer, "issuer: https://id.example/", "Remedy: write https://id.example"},
		{"issuer in capitals", issuer, "issuer: https://ID.example", "capital letters"},
		{"issuer with usual port", issuer, "issuer: https://id.example:443/a", "Remedy: write https://id.example/a"},
		{"issuer with bad port", issuer, "issuer: https://id.example:0", "no browser sends"},
		{"issuer not ASCII", issuer, "issuer: https://idé.example", "no browser sends"},
		{"issuer with dots", issuer, "issuer: https://id.example/a/../b", "simplify the path"},
		{"issuer with escapes", issuer, "issuer: https://id.example/a%20b", "simplify the path"},
		{"issuer http with tls", issuer, "issuer: http://localhost:8080", "is http and tls is configured"},
		{"issuer http, not loopback", issuer + "\n" + listen + "\n" + tls, "issuer: http://id.example\n" + listen + "\n", "is http, which is for loopback only"},
		{"issuer http, other loopback (PF-19)", issuer + "\n" + listen + "\n" + tls, "issuer: http://127.0.0.2\n" + listen + "\n", "is http, which is for loopback only"},
		// listen
		{"listen without port", listen, "listen: localhost", "is not host:port"},
		{"listen on port 0", listen, "listen: 127.0.0.1:0", "write a port from 1 to 65535"},
		{"listen on port 65536", listen, "listen: 127.0.0.1:65536", "write a port from 1 to 65535"},
		{"listen on a service name", listen, "listen: 127.0.0.1:http", "write a port from 1 to 65535"},
		{"public without tls", listen + "\n" + tls, "listen: :8080\n", "other machines can reach"},
		// tls
		{"no key", tls, "tls:\n§  cert_file: cert.pem\n", "tls.cert_file: is of no use without tls.key_file"},
		{"no certificate", tls, "tls:\n§  key_file: key.pem\n", "tls.key_file: is of no use without tls.cert_file"},
		{"key is not there", "key.pem", "other.pem", "other.pem: no such file"},
		{"certificate is a directory", "cert.pem", "policies", "is a directory"},
		// store and files
		{"store relative", "bolt://DIR/guestlist.db", "bolt://guestlist.db", "is not followed by an absolute path"},
		{"store a path", "bolt://DIR/guestlist.db", "DIR/guestlist.db", "does not begin with bolt://"},
		{"store with options", "guestlist.db", "guestlist.db?sync=no", "there are none"},
		{"a reserve of next to nothing", "store_reserve: 1073741824", "store_reserve: 1048575", "store_reserve: 1048575 bytes are no reserve"},
		{"a negative reserve", "store_reserve: 1073741824", "store_reserve: -1", "store_reserve: -1 bytes are no reserve"},
		{"a reserve with a unit", "store_reserve: 1073741824", "store_reserve: 1GiB", "is not a whole number"},
		{"store nowhere", "DIR/guestlist.db", "DIR/none/guestlist.db", "there is no directory DIR/none"},
		{"policies nowhere", "path: policies", "path: none", "policies.path: there is no directory DIR/none"},
		{"policies a file", "path: policies", "path: cert.pem", "cert.pem is not a directory"},
		{"policies not accepted as unsigned", "unsigned: true", "unsigned: false", "write policies.unsigned: true"},
		{"unsigned missing", "policies:\n  path: policies\n  watch: false\n  unsigned: true\n", "policies:\n  path: policies\n  watch: false\n", "write policies.unsigned: true"},
		{"people a directory", "people.yaml", "policies", "people.file: DIR/policies is a directory"},
		{"keys a file", "dir: keys", "dir: key.pem", "keys.dir: DIR/key.pem is not a directory"},
		{"log over the store", "decisions.jsonl", "guestlist.db", "decision_log.file: is the same file as store"},
		{"long socket", "admin.sock", strings.Repeat("s", 104), "the path of a socket has at most 103 bytes"},
		{"no authority", "ca.pem", "empty.pem", "outbound.ca_file:"},
		// exporters
		{"exporter without name", "    - name: archive\n      type", "    - type", "decision_log.exporters[0].name: is required"},
		{"exporter with a bad name", "name: archive", "name: Archive", `decision_log.exporters[0].name: "Archive" is no name of an exporter`},
		{"exporter twice", "name: otel", "name: siem", "decision_log.exporters[2].name: is that of decision_log.exporters[1]"},
		{"exporter named like a short form", "name: archive", "name: file", "decision_log.exporters[0].name: is that of decision_log.file"},
		{"exporter without type", "    - name: otel\n      type: otlp\n", "    - name: otel\n", "decision_log.exporters[2].type: is required"},
		{"exporter of no type", "type: otlp", "type: otl", `decision_log.exporters[2].type: "otl" is none of them (did you mean otlp?)`},
		{"second to stdout", "type: otlp\n      url: https://otel.example/v1/logs", "type: stdout", "decision_log.exporters[2].type: decision_log.stdout writes there already"},
		{"exporter with another's member", "type: otlp", "type: otlp\n§      format: json", "decision_log.exporters[2].format: is of no use with type otlp, but with http. Remedy: remove it"},
		{"exporter with a file's member", "type: otlp", "type: otlp\n§      keep: 3", "decision_log.exporters[2].keep: is of no use with type otlp, but with file"},
		{"exporter of no view", "view: opa", "view: natve", `decision_log.exporters[1].view: "natve" is none of them (did you mean native?). Remedy: write native or opa`},
		{"exporter from then", "from: now", "from: then", `decision_log.exporters[1].from: "then" is none of them`},
		{"exporter without path", "    - name: archive\n      type: file\n      path: archive.jsonl\n", "    - name: archive\n      type: file\n", "decision_log.exporters[0].path: is required"},
		{"exporter into no directory", "path: archive.jsonl", "path: none/archive.jsonl", "decision_log.exporters[0].path: there is no directory DIR/none"},
		{"exporter over the store", "path: archive.jsonl", "path: guestlist.db", "decision_log.exporters[0].path: is the same file as store"},
		{"exporter over the log", "path: archive.jsonl", "path: decisions.jsonl", "decision_log.exporters[0].path: is the same file as decision_log.file"},
		{"exporter of small files", "max_bytes: 1000000", "max_bytes: 1000", "decision_log.exporters[0].max_bytes: 1000 is not from 65536 to"},
		{"exporter keeps none", "keep: 3", "keep: 0", "decision_log.exporters[0].keep: 0 is not from 1 to 1000"},
		{"exporter keeps what is not renamed", "      max_bytes: 1000000\n", "", "decision_log.exporters[0].keep: is of no use without max_bytes"},
		{"exporter without url", "    - name: otel\n      type: otlp\n      url: https://otel.example/v1/logs\n", "    - name: otel\n      type: otlp\n", "decision_log.exporters[2].url: is required. Remedy: write https://otel.corp.example/v1/logs"},
		{"exporter in clear", "https://logs.example/in", "http://logs.example/in", `decision_log.exporters[1].url: scheme "http" is not allowed`},
		{"exporter without its token", "token_file: hook.secret", "token_file: none.secret", "decision_log.exporters[1].token_file: open "},
		{"exporter with an empty token", "token_file: hook.secret", "token_file: empty.pem", "decision_log.exporters[1].token_file: the secret in "},
		{"exporter in no format", "format: json", "format: csv", `decision_log.exporters[1].format: "csv" is none of them`},
		{"exporter with small batches", "batch_bytes: 200000", "batch_bytes: 1", "decision_log.exporters[1].batch_bytes: 1 is not from 16384 to"},
		{"exporter with no batches", "batch_records: 50", "batch_records: 0", "decision_log.exporters[1].batch_records: 0 is not from 1 to 10000"},
		{"exporter that waits", "batch_wait: 5s", "batch_wait: 1h", "decision_log.exporters[1].batch_wait: 1h is more than 1m"},
		{"exporter without time", "timeout: 30s", "timeout: 1ms", "decision_log.exporters[1].timeout: 1ms is too short"},
		// webhooks
		{"webhook without url", "  - url: https://other.example/\n    secret_file", "  - secret_file", "webhooks[1].url: is required"},
		{"webhook in clear", "https://other.example/", "http://other.example/", `webhooks[1].url: scheme "http" is not allowed`},
		{"webhook with a password", "https://other.example/", "https://me:pw@other.example/", "webhooks[1].url: it has a user name or password"},
		{"webhook twice", "https://other.example/", "https://hooks.example/guestlist", "webhooks[1].url: is that of webhooks[0]"},
		{"webhook of nothing", "[refusals, changes]", "[refusal]", `webhooks[0].events[0]: "refusal" is nothing that webhooks are told of (did you mean refusals?)`},
		{"webhook of one thing twice", "[refusals, changes]", "[changes, changes]", "webhooks[0].events[1]: changes is there twice"},
		{"webhook without secret", "  - url: https://other.example/\n    secret_file: hook.secret", "  - url: https://other.example/", "webhooks[1].secret_file: is required"},
		{"webhook with a short secret", "    secret_file: hook.secret\n    per_minute", "    secret_file: short.secret\n    per_minute", "the secret has 21 characters and can be guessed"},
		{"webhook without the file", "    secret_file: hook.secret\n    per_minute", "    secret_file: none.secret\n    per_minute", "webhooks[0].secret_file: open "},
		{"webhook rate zero", "per_minute: 30", "per_minute: 0", "webhooks[0].per_minute: 0 is not from 1 to 600"},
		{"webhook rate high", "per_minute: 30", "per_minute: 601", "webhooks[0].per_minute: 601 is not from 1 to 600"},
		{"webhook rate text", "per_minute: 30", "per_minute: many", "webhooks[0].per_minute: is not a whole number"},
		{"webhook unknown member", "per_minute: 30", "per_hour: 30", "webhooks[0].per_hour: unknown member"},
		{"webhooks no list", "webhooks:\n  - url: https://hooks.example/guestlist\n    events: [refusals, changes]\n    secret_file: hook.secret\n    per_minute: 30\n  - url: https://other.example/\n    secret_file: hook.secret", "webhooks:\n  url: x", "webhooks: is not a list"},
		// help
		{"help nobody", "  ask: the identity team, iam@corp.example\n  url", "  url", "help.url: is of no use without help.ask"},
		{"help script", "https://help.corp.example/guestlist", "javascript:alert(1)", "help.url: it is neither an https URL nor mailto: with an address. Remedy: write https://"},
		{"help in clear", "https://help.corp.example/guestlist", "http://help.corp.example", "help.url: it is neither an https URL"},
		{"help long", "the identity team, iam@corp.example", strings.Repeat("x", 201), "help.ask: has 201 bytes, at most 200 are shown"},
		{"help in two lines", "the identity team, iam@corp.example", `"a\nb"`, "help.ask: has a line break"},
		{"help nameless", "  ask: the identity team, iam@corp.example", "  asks: us", "help.asks: unknown member (did you mean help.ask?)"},
		// bounds
		{"PF-15 floor", "cache_floor: 0", "cache_floor: 2d", "cimd.cache_floor: 2d is more than 1d (PF-15: 0s to 1d). Remedy"},
		{"PF-15 floor by a second", "cache_floor: 0", "cache_floor: 86401s", "PF-15"},
		{"PF-15 ceiling zero", "cache_ceiling: 1d", "cache_ceiling: 0", "cimd.cache_ceiling: 0s is too short (PF-15: 1s to 1d)"},
		{"PF-15 ceiling", "cache_ceiling: 1d", "cache_ceiling: 86401s", "cimd.cache_ceiling"},
		{"PF-15 ceiling below floor", "cache_floor: 0\n  cache_default: 10m\n  cache_ceiling: 1d", "cache_floor: 2h\n  cache_default: 2h\n§  cache_ceiling: 1h", "is less than cimd.cache_floor, which is 2h"},
		{"PF-15 default above ceiling", "cache_default: 10m\n  cache_ceiling: 1d", "cache_default: 10m\n  cache_ceiling: 5m", "is not between"},
		{"PF-15 default below floor", "cache_floor: 0\n  cache_default: 10m", "cache_floor: 11m\n§  cache_default: 10m", "is not between"},
		{"PF-16 Q17 zero", "max_bytes: 5120", "max_bytes: 0", "is not from 1 to 65536 (PF-16)"},
		{"PF-16 Q17 too many", "max_bytes: 5120", "max_bytes: 65537", "is not from 1 to 65536 (PF-16)"},
		{"PF-17 short", "timeout: 2s", "timeout: 99ms", "cimd.timeout: 99ms is too short (PF-17: 100ms to 30s)"},
		{"PF-17 long", "timeout: 2s", "timeout: 31s", "cimd.timeout: 31s is more than 30s"},
		{"look too often (SN-06)", "every: 12h", "every: 9m", "cimd.look.every: 9m is too short"},
		{"look too rarely (SN-06)", "every: 12h", "every: 8d", "cimd.look.every: 8d is more than 7d"},
		{"look at what", "every: 12h", "every: never", "cimd.look.every: duration"},
		{"PF-18 negative", "retries: 3", "retries: -1", "cimd.retries: -1 is not from 0 to 5 (PF-18)"},
		{"PF-18 too many", "retries: 3", "retries: 6", "cimd.retries: 6 is not from 0 to 5 (PF-18)"},
		{"CU-11 resolver by name", "resolver: 127.0.0.1:5353", "resolver: dns.example:53", `"dns.example:53" is not the address and port of a DNS server`},
		{"CU-11 resolver without port", "resolver: 127.0.0.1:5353", "resolver: 127.0.0.1", "outbound.resolver: "},
		{"CU-11 resolver at port 0", "resolver: 127.0.0.1:5353", "resolver: 127.0.0.1:0", "outbound.resolver: "},
		{"CU-11 resolver anywhere", "resolver: 127.0.0.1:5353", "resolver: 0.0.0.0:53", "outbound.resolver: "},
		{"CU-11 proxy as text", "egress_proxy: {url: \"https://proxy.example:3128\", credentials_file: proxy.secret, proxy_resolves: true}", "egress_proxy: http://p.example", "outbound.egress_proxy: is not a mapping"},
		{"CU-11 proxy with a password", "https://proxy.example:3128", "https://fetcher:hunter2@proxy.example:3128", "outbound.egress_proxy.url: a user name or password has no place in the URL"},
		{"CU-11 socks proxy", "https://proxy.example:3128", "socks5://proxy.example:3128", "it does not begin with http:// or https://"},
		{"CU-11 proxy without url", "url: \"https://proxy.example:3128\", ", "", "outbound.egress_proxy.url: is required"},
		{"CU-11 no credentials file", "proxy.secret", "absent.secret", "outbound.egress_proxy.credentials_file: open "},
		{"CU-11 credentials of one word", "proxy.secret", "empty.pem", "outbound.egress_proxy.credentials_file: the file is empty"},
		{"blocked name", "2001:db8::1", "host.example", `outbound.blocked[1]: "host.example" is neither an address nor a network`},
		{"blocked network with host bits", "203.0.113.0/24", "203.0.113.1/24", "outbound.blocked[0]: 203.0.113.1/24 is not a network"},
		{"budget zero (G-15)", "per_source: 10", "per_source: 0", "cimd.budgets.per_source: 0 is not from 1 to 1000000"},
		{"budget negative", "per_domain: 20", "per_domain: -1", "cimd.budgets.per_domain: -1 is not from 1 to 1000000"},
		{"budget too large", "total: 100", "total: 1000001", "cimd.budgets.total: 1000001 is not from 1 to 1000000"},
		{"no fetch at once", "concurrent: 32", "concurrent: 0", "cimd.budgets.concurrent: 0 is not from 1 to 1024"},
		{"too many at once", "concurrent: 32", "concurrent: 1025", "cimd.budgets.concurrent: 1025 is not from 1 to 1024"},
		{"a source with more than all", "per_source: 10", "per_source: 101", "cimd.budgets.per_source: 101 is more than cimd.budgets.total, which is 100"},
		{"a domain with more than all", "per_domain: 20", "per_domain: 101", "cimd.budgets.per_domain: 101 is more than cimd.budgets.total, which is 100"},
		{"a budget of text", "total: 100", "total: many", "cimd.budgets.total: is not a whole number"},
		{"a budget that is none", "per_source: 10", "per_sauce: 10", "did you mean cimd.budgets.per_source?"},
		{"cap zero (B14)", "total: 500", "total: 0", "cimd.caps.total: 0 is not from 1 to 100000000"},
		{"cap negative", "per_domain: 50", "per_domain: -1", "cimd.caps.per_domain: -1 is not from 1 to 100000000"},
		{"cap too large", "total: 500", "total: 100000001", "cimd.caps.total: 100000001 is not from 1 to 100000000"},
		{"policy cap zero (B14)", "per_policy: 100", "per_policy: 0", "cimd.caps.per_policy: 0 is not from 1 to 100000000"},
		{"a policy with more than all clients", "per_policy: 100", "per_policy: 501", "cimd.caps.per_policy: 501 is more than cimd.caps.total, which is 500"},
		{"a domain with more than all clients", "per_domain: 50", "per_domain: 501", "cimd.caps.per_domain: 501 is more than cimd.caps.total, which is 500"},
		{"short ticket", "ticket: 5m", "ticket: 59s", "lifetimes.ticket: 59s is too short"},
		{"long ticket", "ticket: 5m", "ticket: 61m", "lifetimes.ticket: 1h1m is more than 1h"},
		{"short code", "code: 30s", "code: 1ms", "lifetimes.code"},
		{"long code", "code: 30s", "code: 11m", "lifetimes.code"},
		{"short session", "session: 30d", "session: 1s", "lifetimes.session"},
		{"long session", "session: 30d", "session: 31d", "lifetimes.session"},
		{"log level", "level: debug", "level: loud", `"loud" is no level`},
		{"maxima", "maxima:\n  access_token: {ttl: 10m}", "maxima:\n  access_token: {tll: 10m}", "maxima: "},
		{"maxima a list", "maxima:\n  access_token: {ttl: 10m}\n  document:\n    max_bytes: 6000", "maxima:\n  - a", "maxima: is not a mapping"},
		// resources
		{"resource relative", "id: https://api.example/", "id: /api", "resources[1].id:"},
		{"resource http", "id: https://api.example/", "id: http://api.example/", "is not https"},
		{"resource with fragment", "id: https://api.example/", "id: https://api.example/#a", "has a fragment"},
		{"resource with user", "id: https://api.example/", "id: https://a:b@api.example/", "has a user name"},
		{"resource with port 0", "id: https://api.example/", "id: https://api.example:0/", "has a port that is none"},
		{"resource twice", "id: https://api.example/", "id: https://mcp.example/mcp", "is resources[0] already"},
		{"resource without id", "id: https://api.example/", "name: x", "resources[1].id: is required"},
		{"scope with space", "[mcp:read, mcp:write]", "[mcp:read, a b]", `resources[0].scopes[1]: "a b" is no scope`},
		{"scope twice", "[mcp:read, mcp:write]", "[mcp:read, mcp:read]", `"mcp:read" is there twice`},
		{"token format", "token_format: jwt", "token_format: paseto", `"paseto" is no token format`},
		// host map
		{"F12 B6 host map, not loopback", "  ca_file: ca.pem", "  insecure_host_map: {'docs.example:443': '127.0.0.1:1'}", "issuer and listen must both be on loopback"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if strings.Count(goodConfig, tt.old) != 1 {
				t.Fatalf("%q is %d times in the good configuration, want once", tt.old, strings.Count(goodConfig, tt.old))
			}
			before, _, _ := strings.Cut(goodConfig, tt.old)
			first, _, marked := strings.Cut(tt.new, "§")
			if !marked {
				first = ""
			}
			content := strings.Replace(goodConfig, tt.old, strings.Replace(tt.new, "§", "", 1), 1)
			_, err := parseIn(dir, content)
			wrongOnce(t, err, dir, 1+strings.Count(before+first, "\n"), tt.want)
		})
	}
}

// wrongOnce wants one problem, in this line, that says want and a remedy.
func wrongOnce(t *testing.T, err error, dir string, line int, want string) {
	t.Helper()
	if err == nil {
		t.Fatalf("parseConfig = nil, want an error that says %q", want)
	}
	place := fmt.Sprintf("%s:%d:", filepath.Join(dir, "guestlist.yaml"), line)
	got := err.Error()
	if strings.Contains(got, "\n") || !strings.HasPrefix(got, place+" ") || !strings.Contains(got, strings.ReplaceAll(want, "DIR", dir)) ||
		!strings.Contains(got, ". Remedy: ") {
		t.Errorf("parseConfig = %v\nwant one problem at %s that says %q and a remedy", err, place, want)
	}
}

// What is missing altogether is in no line; all of it is told at once.
func TestConfigMissing(t *testing.T) {
	dir := configDir(t)
	name := filepath.Join(dir, "guestlist.yaml")
	_, err := parseIn(dir, "log: {level: info}\n")
	if err == nil {
		t.Fatal("parseConfig of next to nothing = nil, want an error")
	}
	got := strings.Split(err.Error(), "\n")
	var want []string
	for _, path := range []string{"listen", "issuer", "store", "policies.path", "policies.unsigned", "resources", "people.file", "keys.dir"} {
		want = append(want, name+": "+path+": ")
	}
	ok := len(got) == len(want)
	for i := range min(len(got), len(want)) {
		ok = ok && strings.HasPrefix(got[i], want[i]) && strings.Contains(got[i], "required. Remedy: ") == (want[i] != name+": policies.unsigned: ")
	}
	if !ok {
		t.Errorf("parseConfig of next to nothing =\n%v\nwant one line each for\n%s", err, strings.Join(want, "\n"))
	}
}

// Every problem is told, in the order of the lines.
func TestConfigTellsAll(t *testing.T) {
	dir := configDir(t)
	content := strings.NewReplacer("level: debug", "level: loud", "ticket: 5m", "ticket: 5", "listen:", "lisen:", "unsigned: true", "unsigned: false", "store: bolt://DIR/guestlist.db\n", "").Replace(goodConfig)
	_, err := parseIn(dir, content)
	if err == nil {
		t.Fatal("parseConfig = nil, want an error")
	}
	got := strings.Split(err.Error(), "\n")
	want := []string{"yaml:2: lisen: ", "yaml:9: policies.unsigned: ", "lifetimes.ticket: ", "log.level: ", "yaml: store: is required"}
	ok := len(got) == len(want)
	for i := range min(len(got), len(want)) {
		ok = ok && strings.Contains(got[i], want[i])
	}
	if !ok {
		t.Errorf("parseConfig =\n%v\nwant one line each for\n%s", err, strings.Join(want, "\n"))
	}
}

func TestConfigNotYAML(t *testing.T) {
	for _, tt := range []struct{ name, content, want string }{
		{"empty", "", "guestlist.yaml: the file is empty. Remedy: "},
		{"comments", "# issuer: x\n", "guestlist.yaml: the file is empty. Remedy: "},
		{"null", "---\n~\n", "guestlist.yaml: the file is empty. Remedy: "},
		{"syntax", "issuer: x\nlisten: [a\n", "guestlist.yaml:2: not YAML: "},
		{"bare address", "issuer: x\nlisten: [::1]:80\n", "guestlist.yaml:2: not YAML: "},
		{"tab", "issuer: x\ntls:\n\tcert_file: a\n", "guestlist.yaml:3: not YAML: "},
		{"list", "- issuer: x\n", "guestlist.yaml:1: not a configuration"},
		{"two documents", "issuer: x\n---\nissuer: y\n", "guestlist.yaml:3: a second YAML document begins here"},
		{"bytes", "issuer: \xff\n", "guestlist.yaml: it is not UTF-8 text"},
		{"large", strings.Repeat("# filler\n", 30000), "guestlist.yaml: more than 262144 bytes"},
		{"unfolding", "issuer: x\nmaxima:\n  a: &a [1,1,1,1,1,1,1,1,1,1]\n  b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n  c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n  d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n  e: [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n", "aliases unfold to more than 20000 values"},
		{"anchor in itself", "issuer: x\nmaxima: &m {a: *m}\n", "is nested too deeply"},
		{"merge of itself", "policies: &p {<<: *p, path: x}\n", "aliases unfold to more than 20000 values"},
		{"anchor twice", "issuer: &a x\nlisten: &a y\n", `guestlist.yaml:2: anchor "a" is there twice`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := parseConfig("guestlist.yaml", []byte(tt.content)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("parseConfig(%.60q) = %v, want an error that says %q", tt.content, err, tt.want)
			}
		})
	}
}

func TestConfigAnchors(t *testing.T) {
	dir := configDir(t)
	content := strings.Replace(minimalConfig, `resources: [{id: "http://localhost:9000/mcp"}]`, `resources:
  - &first {id: "http://localhost:9000/mcp", name: One, scopes: &scopes [a, b]}
  - {<<: *first, id: "http://localhost:9000/two"}
  - {id: "https://api.example/", scopes: *scopes}`, 1)
	got, err := parseIn(dir, content)
	want := []resourceConfig{
		{ID: "http://localhost:9000/mcp", Name: "One", Scopes: []string{"a", "b"}, TokenFormat: "jwt", SigningAlg: "ES256"},
		{ID: "http://localhost:9000/two", Name: "One", Scopes: []string{"a", "b"}, TokenFormat: "jwt", SigningAlg: "ES256"},
		{ID: "https://api.example/", Name: "api.example", Scopes: []string{"a", "b"}, TokenFormat: "jwt", SigningAlg: "ES256"},
	}
	if err != nil || !reflect.DeepEqual(got.Resources, want) {
		t.Errorf("resources = %+v, %v, want %+v", got.Resources, err, want)
	}
}

// The host map needs issuer and listener on loopback (design section 12).
func TestConfigHostMap(t *testing.T) {
	dir := configDir(t)
	with := func(hosts string) string { return minimalConfig + "outbound:\n  insecure_host_map:\n" + hosts }
	got, err := parseIn(dir, with("    'docs.example:443': 127.0.0.1:8443\n    '*.app.example:443': localhost:1\n"))
	want := map[string]string{"docs.example:443": "127.0.0.1:8443", "*.app.example:443": "localhost:1"}
	if err != nil || !reflect.DeepEqual(got.Outbound.InsecureHostMap, want) {
		t.Errorf("host map = %v, %v, want %v", got.Outbound.InsecureHostMap, err, want)
	}
	for _, tt := range []struct {
		hosts string
		line  int
		want  string
	}{
		{"    'docs.example': 127.0.0.1:1\n", 10, "insecure_host_map[docs.example]: "},
		{"    'a.example:1': 127.0.0.1:1\n    'docs.example:443': nowhere\n", 11, "insecure_host_map[docs.example:443]: "},
		{"    'a.example:1': 127.0.0.1:1\n    'A.example:1': 127.0.0.1:1\n", 9, "appears twice"},
		{"    'a.example:1': 127.0.0.1:1\n    'a.example:1': 127.0.0.1:1\n", 11, "is already in line 10"},
	} {
		_, err := parseIn(dir, with(tt.hosts))
		wrongOnce(t, err, dir, tt.line, tt.want)
	}
	for _, public := range []string{
		strings.Replace(minimalConfig, "http://localhost:8080", "https://id.example", 1),
		strings.Replace(minimalConfig, "listen: 127.0.0.1:8080", "listen: :8080\ntls: {cert_file: cert.pem, key_file: key.pem}", 1),
	} {
		public = strings.Replace(public, "http://localhost:8080", "https://localhost:8080", 1)
		if _, err := parseIn(dir, public); err != nil {
			t.Errorf("parseConfig without the host map = %v, want nil", err)
		}
		_, err := parseIn(dir, public+"outbound: {insecure_host_map: {'docs.example:443': '127.0.0.1:1'}}\n")
		wrongOnce(t, err, dir, strings.Count(public, "\n")+1, "must both be on loopback")
	}
}

// clearEnvironment takes away what the machine may have set.
func clearEnvironment(t *testing.T) {
	t.Helper()
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, envPrefix) {
			t.Setenv(name, "") // so that it comes back
			os.Unsetenv(name)
		}
	}
}

func TestConfigEnvironment(t *testing.T) {
	clearEnvironment(t)
	dir := configDir(t)
	path := filepath.Join(dir, "guestlist.yaml")
	writeTestFile(t, path, strings.ReplaceAll(minimalConfig, "DIR", dir))
	work := t.TempDir()
	t.Chdir(work)
	if err := os.Mkdir("rules", 0o700); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"GUESTLIST_CONFIG": "elsewhere.yaml", "GUESTLIST_ISSUER": "http://127.0.0.1:9090", "GUESTLIST_LISTEN": "[::1]:9090",
		"GUESTLIST_STORE": "bolt://" + work + "/other.db", "GUESTLIST_LOG_LEVEL": "warn", "GUESTLIST_KEYS_DIR": "k",
		"GUESTLIST_PEOPLE_FILE": "p.yaml", "GUESTLIST_POLICIES_PATH": "rules", "GUESTLIST_ADMIN_SOCKET": work + "/a.sock", "GUESTLIST_ADMIN_LISTEN": "[::1]:9101",
		"GUESTLIST_SERVICE_HOST": "192.0.2.1", "GUESTLIST_PORT": "tcp://192.0.2.1:80", "GUESTLIST_PORT_80_TCP_ADDR": "192.0.2.1",
	} {
		t.Setenv(name, value)
	}
	c, err := loadConfig(path)
	got := []string{c.Issuer, c.Listen, c.Store, c.Log.Level, c.Keys.Dir, c.People.File, c.Policies.Path, c.Admin.Socket, c.Admin.Listen}
	want := []string{"http://127.0.0.1:9090", "[::1]:9090", "bolt://" + work + "/other.db", "warn", work + "/k", work + "/p.yaml", work + "/rules", work + "/a.sock", "[::1]:9101"}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("loadConfig = %q, %v, want %q", got, err, want)
	}
	if c, err := parseIn(dir, minimalConfig); err != nil || c.Log.Level != "info" {
		t.Errorf("parseConfig = level %q, %v, want info: it reads no environment", c.Log.Level, err)
	}
}

func TestConfigEnvironmentWrong(t *testing.T) {
	clearEnvironment(t)
	dir := configDir(t)
	path := filepath.Join(dir, "guestlist.yaml")
	writeTestFile(t, path, strings.ReplaceAll(minimalConfig, "DIR", dir))
	for _, tt := range []struct{ name, value, want string }{
		{"GUESTLIST_LISTEN", "8080", `environment GUESTLIST_LISTEN: "8080" is not host:port. Remedy: `},
		{"GUESTLIST_LISTEN", "", "environment GUESTLIST_LISTEN: has no value. Remedy: "},
		{"GUESTLIST_LISTEN", ":8080", "environment GUESTLIST_LISTEN: other machines can reach"},
		{"GUESTLIST_ISSUER", "https://id.example/", "environment GUESTLIST_ISSUER: "},
		{"GUESTLIST_STORE", "postgres://x", "environment GUESTLIST_STORE: PostgreSQL is not available yet"},
		{"GUESTLIST_LOG_LEVEL", "loud", "environment GUESTLIST_LOG_LEVEL: "},
		{"GUESTLIST_KEYS_DIR", path, "environment GUESTLIST_KEYS_DIR: "},
		{"GUESTLIST_PEOPLE_FILE", dir, "environment GUESTLIST_PEOPLE_FILE: "},
		{"GUESTLIST_POLICIES_PATH", "none", "environment GUESTLIST_POLICIES_PATH: there is no directory "},
		{"GUESTLIST_ADMIN_LISTEN", "192.0.2.7:9101", "environment GUESTLIST_ADMIN_LISTEN: other machines can reach \"192.0.2.7:9101\", and without tls"},
		{"GUESTLIST_ADMIN_SOCKET", "none/a.sock", "environment GUESTLIST_ADMIN_SOCKET: there is no directory "},
		{"GUESTLIST_LISEN", ":80", "environment GUESTLIST_LISEN: unknown variable (did you mean GUESTLIST_LISTEN?). Remedy: "},
		{"GUESTLIST_PORT", "80", "environment GUESTLIST_PORT: unknown variable"},
		{"GUESTLIST_TRUSTED_PROXIES", "x", "environment GUESTLIST_TRUSTED_PROXIES: unknown variable. Remedy: "},
	} {
		t.Run(tt.name+"="+tt.value, func(t *testing.T) {
			t.Setenv(tt.name, tt.value)
			_, err := loadConfig(path)
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("loadConfig with %s=%s = %v, want one problem that begins with %q", tt.name, tt.value, err, tt.want)
			}
		})
	}
}

func TestLoadConfigMissing(t *testing.T) {
	clearEnvironment(t)
	path := filepath.Join(t.TempDir(), "none.yaml")
	if _, err := loadConfig(path); err == nil || !strings.HasPrefix(err.Error(), path+": there is no such configuration file. Remedy: ") {
		t.Errorf("loadConfig(%q) = %v, want that there is no such file", path, err)
	}
	if _, err := loadConfig(t.TempDir()); err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("loadConfig of a directory = %v, want that it is one", err)
	}
}

func TestFindConfig(t *testing.T) {
	for _, tt := range []struct{ flag, env, want string }{{"a", "b", "a"}, {"", "b", "b"}, {"a", "", "a"}, {"", "", ""}} {
		t.Setenv(configEnv, tt.env)
		got, err := findConfig(tt.flag)
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("findConfig(%q) with %q = %q, %v, want %q", tt.flag, tt.env, got, err, tt.want)
		}
	}
}

func TestLoopback(t *testing.T) {
	for _, tt := range []struct {
		issuer, listen string
		want           bool
	}{
		{"http://localhost:80", "127.0.0.1:80", true},
		{"https://[::1]", "[::1]:80", true},
		{"https://127.0.0.1/a", "localhost:80", true},
		{"https://id.example", "127.0.0.1:80", false},
		{"https://localhost", ":80", false},
		{"https://localhost", "0.0.0.0:80", false},
		{"https://localhost", "127.0.0.2:80", false},
		{"https://localhost.example", "127.0.0.1:80", false},
		{"", "", false},
	} {
		if got := (config{Issuer: tt.issuer, Listen: tt.listen}).loopback(); got != tt.want {
			t.Errorf("loopback of %q on %q = %v, want %v", tt.issuer, tt.listen, got, tt.want)
		}
	}
}

// No content may crash the reader.
func FuzzConfig(f *testing.F) {
	f.Add(goodConfig)
	f.Add(minimalConfig)
	f.Add("a: &a [*a]\n<<: {<<: [*a]}\n? {b: c}\n: !!str d\n")
	f.Fuzz(func(t *testing.T, content string) {
		c, err := parseConfig("guestlist.yaml", []byte(content))
		if err == nil && (c.Issuer == "" || len(c.Resources) == 0 || !c.Policies.Unsigned) {
			t.Errorf("parseConfig(%q) = %+v, want an error: it is incomplete", content, c)
		}
	})
}

// parseConfig reads the content of a configuration file; name is its path, for
// errors and to resolve relative paths. It reads no environment, but it looks
// whether the files that are named exist.
func parseConfig(name string, data []byte) (config, error) {
	return readConfig(name, data, nil)
}
