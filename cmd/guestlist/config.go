package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"guestlist/broker"
)

// configEnv names the configuration file where no --config does.
const configEnv = "GUESTLIST_CONFIG"

// maxConfigBytes bounds a configuration file; a larger one is something else.
const maxConfigBytes = 256 << 10

// config is the configuration of a server (design §13). A loaded one is
// checked and complete: what the file left out has its default, and paths are
// absolute.
type config struct {
	Issuer         string // issuer identifier; https, or http where loopback holds
	Listen         string // host:port of the public listener
	TLS            tlsConfig
	Store          string // bolt:///path; see storeFile
	StoreReserve   int64  // bytes that must be free for everything; 0: the store's default; negative: off
	Policies       policiesConfig
	CIMD           cimdConfig
	Outbound       outboundConfig
	People         peopleConfig
	Clients        []broker.Registered // registered clients; checked
	Resources      []resourceConfig    // at least one
	Keys           keysConfig
	Facts          string         // file of facts; empty: every fact has its default
	Maxima         map[string]any // partial settings that bound every policy; nil: no bound
	Lifetimes      lifetimesConfig
	DecisionLog    decisionLogConfig
	Admin          adminConfig
	Tracing        tracingConfig
	Help           helpConfig
	Webhooks       []webhookConfig
	TrustedProxies []netip.Prefix // whose X-Forwarded-For counts; none: nobody's
	Log            logConfig
}

// tlsConfig has both files or neither.
type tlsConfig struct {
	CertFile string // PEM, leaf first
	KeyFile  string // PEM
}

type policiesConfig struct {
	Path     string // directory
	Watch    bool   // reload when something in Path changes; default true
	Unsigned bool   // the operator accepts policies that nobody signed
}

type cimdConfig struct {
	Admit        *bool           // let unknown clients in; never nil once loaded, default true
	Advertise    *bool           // say so in the metadata; never nil once loaded, default true
	CacheFloor   broker.Duration // default 60 s; zero honours no-store
	CacheDefault broker.Duration // default 1 h, or the nearest that floor and ceiling allow
	CacheCeiling broker.Duration // default 24 h
	MaxBytes     int64           // the most that a policy's document.max_bytes may be; default 65536
	Timeout      broker.Duration // of one fetch, all included; default 5 s
	Retries      int64           // of a fetch in trouble that may pass, within Timeout; default 0
	Caps         capsConfig      // of clients at the same time
	Budgets      budgetsConfig   // of fetches for clients that are not known
	Look         lookConfig      // at documents in the background
}

type peopleConfig struct {
	File string // may not exist yet
}

type resourceConfig struct {
	ID          string   // RFC 8707 resource identifier
	Name        string   // for people; default the host of ID
	Scopes      []string // empty: every scope
	TokenFormat string   // jwt or opaque; default jwt
	SigningAlg  string   // ES256 or RS256, of its jwt tokens; default ES256
	SecretFile  string   // the secret it introspects with; empty: it may not
}

type keysConfig struct {
	Dir string // may not exist yet
}

type lifetimesConfig struct {
	Ticket  broker.Duration // default 10 m
	Code    broker.Duration // default 60 s
	Session broker.Duration // default 12 h
}

type decisionLogConfig struct {
	Stdout    bool
	File      string // JSON lines are appended; empty: no file
	Retain    retainConfig
	Exporters []exporterConfig
}

type logConfig struct {
	Level string // debug, info, warn or error; default info
}

// loadConfig reads the configuration file at path and the GUESTLIST_
// variables that override it. The error has one line for each problem. Paths
// in the file are relative to its folder, paths in variables to the working
// directory.
func loadConfig(path string) (config, error) {
	data, err := readConfigFile(path)
	if err != nil {
		return config{}, err
	}
	return readConfig(path, data, os.Environ())
}

// loadAdminSocket reads admin.socket of the configuration file at path and
// nothing else of it: what asks a running server must work while a directory
// is gone, a secret cannot be read or the file is being edited. It is empty
// where nothing sets it.
func loadAdminSocket(path string) (string, error) {
	data, err := readConfigFile(path)
	if err != nil {
		return "", err
	}
	r := newConfigReader(path)
	c, err := r.read(data, os.Environ())
	if err != nil {
		return "", err
	}
	if c.Admin.Socket == "" || r.isBad("admin.socket") {
		return "", r.err()
	}
	return c.Admin.Socket, nil
}

func readConfigFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s: there is no such configuration file. Remedy: name another with --config or %s", path, configEnv)
	}
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfigBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	return data, nil
}

func readConfig(name string, data []byte, environ []string) (config, error) {
	r := newConfigReader(name)
	c, err := r.read(data, environ)
	if err != nil {
		return config{}, err
	}
	r.check(&c)
	if err := r.err(); err != nil {
		return config{}, err
	}
	return c, nil
}

func defaultConfig() config {
	on := func() *bool { v := true; return &v }
	return config{
		Policies: policiesConfig{Watch: true},
		CIMD: cimdConfig{
			Admit: on(), Advertise: on(), MaxBytes: 65536, Timeout: broker.Duration(5 * time.Second),
			CacheFloor: broker.Duration(time.Minute), CacheDefault: broker.Duration(time.Hour), CacheCeiling: broker.Duration(24 * time.Hour),
			Budgets: defaultBudgets(), Caps: defaultCaps(), Look: defaultLook(),
		},
		Lifetimes: lifetimesConfig{
			Ticket: broker.Duration(10 * time.Minute), Code: broker.Duration(time.Minute), Session: broker.Duration(12 * time.Hour),
		},
		Tracing: tracingConfig{Sample: 1}, Log: logConfig{Level: "info"},
	}
}

// findConfig returns the path of the configuration file: flag, the value of
// --config, or what GUESTLIST_CONFIG says.
func findConfig(flag string) (string, error) {
	if flag != "" {
		return flag, nil
	}
	if path := os.Getenv(configEnv); path != "" {
		return path, nil
	}
	return "", fmt.Errorf("no configuration file is named. Remedy: add --config FILE, or set %s", configEnv)
}

// loopback reports whether only this machine can reach the server: issuer and
// listener are both on loopback.
func (c config) loopback() bool {
	u, err := url.Parse(c.Issuer)
	return err == nil && isLoopbackHost(u.Hostname()) && listensOnLoopback(c.Listen)
}

// storeFile returns the path of the bbolt file.
func (c config) storeFile() string { return strings.TrimPrefix(c.Store, boltScheme) }

func listensOnLoopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	return err == nil && isLoopbackHost(host)
}

// isLoopbackHost knows the three names that count; the rest of 127.0.0.0/8
// does not (PF-19).
func isLoopbackHost(host string) bool {
	return host == "127.0.0.1" || host == "::1" || host == "localhost"
}

// absolutePath returns path, which is relative to dir if it is relative. An empty
// dir is the working directory.
func absolutePath(dir, path string) (string, error) {
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	return filepath.Abs(path)
}
