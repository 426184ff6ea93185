package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"guestlist/broker"
	"guestlist/broker/fetch"
	"guestlist/policies"
)

const boltScheme = "bolt://"

// maxSocketPath is what every Unix can bind.
const maxSocketPath = 103

// check looks at the values, each for itself and then together, and fills the
// defaults that depend on others.
func (r *configReader) check(c *config) {
	r.checkTLS(c)
	r.checkListen(c)
	r.checkIssuer(c)
	r.checkAdminListen(c)
	r.checkProxies(c)
	r.checkStore(c)
	r.checkReserve(c)
	r.checkPolicies(c)
	r.checkCIMD(c)
	r.checkBudgets(&c.CIMD.Budgets)
	r.checkCaps(&c.CIMD.Caps)
	r.checkOutbound(c)
	r.checkResources(c)
	r.checkNames(c)
	r.checkFiles(c)
	r.checkHelp(c.Help)
	r.checkWebhooks(c)
	r.checkTracing(c)
	r.checkRetain(c.DecisionLog.Retain)
	r.checkExporters(c)
	r.checkMaxima(c)
	r.checkDurations([]durationBound{
		{"lifetimes.ticket", c.Lifetimes.Ticket, time.Minute, time.Hour, ""},
		{"lifetimes.code", c.Lifetimes.Code, time.Second, 10 * time.Minute, ""},
		{"lifetimes.session", c.Lifetimes.Session, time.Minute, 30 * 24 * time.Hour, ""},
	})
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.Log.Level) {
		r.fault("log.level", "write debug, info, warn or error", "%q is no level", c.Log.Level)
	}
}

// need refuses an absent member and reports whether value can be looked at.
func (r *configReader) need(path, value, remedy string) bool {
	if value == "" {
		r.fault(path, remedy, "is required")
	}
	return !r.isBad(path)
}

// leastReserve is less than what the commits of a few seconds write.
const leastReserve = 1 << 20

// checkReserve takes a written 0 for off.
func (r *configReader) checkReserve(c *config) {
	if !r.given("store_reserve") || r.isBad("store_reserve") {
		return
	}
	if c.StoreReserve != 0 && c.StoreReserve < leastReserve {
		r.fault("store_reserve", "write at least 1048576, or 0 for none; left out, it fits the disk", "%d bytes are no reserve", c.StoreReserve)
	}
	if c.StoreReserve == 0 {
		c.StoreReserve = -1
	}
}

func (r *configReader) checkStore(c *config) {
	const remedy = "write bolt:///var/lib/guestlist/guestlist.db, with the absolute path of the file"
	if !r.need("store", c.Store, remedy) {
		return
	}
	path, isBolt := strings.CutPrefix(c.Store, boltScheme)
	switch {
	case strings.HasPrefix(c.Store, "postgres:") || strings.HasPrefix(c.Store, "postgresql:"):
		r.fault("store", remedy, "PostgreSQL is not available yet")
	case !isBolt:
		r.fault("store", remedy, "%q does not begin with %s", c.Store, boltScheme)
	case !filepath.IsAbs(path):
		r.fault("store", remedy, "%q is not followed by an absolute path", boltScheme)
	case strings.ContainsAny(path, "?#"):
		r.fault("store", "leave out what begins with ? or #", "%q has options, and there are none", c.Store)
	default:
		c.Store = boltScheme + filepath.Clean(path)
		r.checkNewFile("store", c.storeFile())
	}
}

func (r *configReader) checkPolicies(c *config) {
	if r.need("policies.path", c.Policies.Path, "name the directory of the policies") {
		r.checkDirectory("policies.path", c.Policies.Path, true)
	}
	if !c.Policies.Unsigned {
		r.fault("policies.unsigned", "write policies.unsigned: true to accept that whoever can write to the directory decides who is let in",
			"is not true, and signed bundles are not available yet")
	}
}

// checkCIMD holds the bounds of PF-15 to PF-18. A default lifetime that
// nobody wrote follows the bounds that somebody did.
func (r *configReader) checkCIMD(c *config) {
	m := &c.CIMD
	day := 24 * time.Hour
	r.checkDurations([]durationBound{
		{"cimd.cache_floor", m.CacheFloor, 0, day, "PF-15"},
		{"cimd.cache_ceiling", m.CacheCeiling, time.Second, day, "PF-15"},
		{"cimd.cache_default", m.CacheDefault, time.Second, day, "PF-15"},
		{"cimd.timeout", m.Timeout, 100 * time.Millisecond, 30 * time.Second, "PF-17"},
	})
	r.checkLook(&m.Look)
	if m.MaxBytes < 1 || m.MaxBytes > 65536 {
		r.fault("cimd.max_bytes", "write a number of bytes from 1 to 65536", "%d is not from 1 to 65536 (PF-16)", m.MaxBytes)
	}
	if m.Retries < 0 || m.Retries > fetch.MaxRetries {
		r.fault("cimd.retries", "write a number from 0 to 5", "%d is not from 0 to 5 (PF-18)", m.Retries)
	}
	if r.isBad("cimd.cache_floor") || r.isBad("cimd.cache_ceiling") || r.isBad("cimd.cache_default") {
		return
	}
	switch {
	case !r.given("cimd.cache_floor"):
		m.CacheFloor = min(m.CacheFloor, m.CacheCeiling)
	case m.CacheCeiling < m.CacheFloor:
		r.fault("cimd.cache_ceiling", "raise it, or lower cimd.cache_floor", "%s is less than cimd.cache_floor, which is %s (PF-15)", m.CacheCeiling, m.CacheFloor)
		return
	}
	if !r.given("cimd.cache_default") {
		m.CacheDefault = min(max(m.CacheDefault, m.CacheFloor), m.CacheCeiling)
	}
	if m.CacheDefault < m.CacheFloor || m.CacheDefault > m.CacheCeiling {
		r.fault("cimd.cache_default", "choose one between them", "%s is not between cimd.cache_floor and cimd.cache_ceiling, which are %s and %s (PF-15)",
			m.CacheDefault, m.CacheFloor, m.CacheCeiling)
	}
}

// durationBound says what a duration may be, both ends included.
type durationBound struct {
	path     string
	value    broker.Duration
	min, max time.Duration
	rule     string // requirement, if one says so
}

func (r *configReader) checkDurations(bounds []durationBound) {
	for _, b := range bounds {
		rule := ""
		if b.rule != "" {
			rule = b.rule + ": "
		}
		least, most := broker.Duration(b.min), broker.Duration(b.max)
		switch {
		case b.value < least:
			r.fault(b.path, "raise it to at least "+least.String(), "%s is too short (%s%s to %s)", b.value, rule, least, most)
		case b.value > most:
			r.fault(b.path, "lower it to at most "+most.String(), "%s is more than %s (%s%s to %s)", b.value, most, rule, least, most)
		}
	}
}

// checkMaxima asks those who will apply them.
func (r *configReader) checkMaxima(c *config) {
	if c.Maxima == nil {
		return
	}
	_, found, err := policies.Load(context.Background(), policies.Config{Maxima: c.Maxima})
	for _, f := range found {
		if f.Severity == policies.SeverityError {
			r.fault("maxima", "write settings as policies write them", "%s", f.Message)
			return
		}
	}
	if err != nil {
		r.fault("maxima", "write settings as policies write them", "%v", err)
	}
}

// checkFiles looks at the paths that the server writes to or that somebody
// else will create.
func (r *configReader) checkFiles(c *config) {
	if r.need("people.file", c.People.File, "name the file of local accounts; guestlist person add creates it") {
		r.checkNewFile("people.file", c.People.File)
	}
	if r.need("keys.dir", c.Keys.Dir, "name the directory of the keys; the server creates it") {
		r.checkDirectory("keys.dir", c.Keys.Dir, false)
	}
	if c.Facts != "" {
		r.checkNewFile("facts", c.Facts)
	}
	if c.DecisionLog.File != "" {
		r.checkNewFile("decision_log.file", c.DecisionLog.File)
	}
	if s := c.Admin.Socket; s != "" {
		if len(s) > maxSocketPath {
			r.fault("admin.socket", "choose a shorter one", "the path of a socket has at most %d bytes, %s has %d", maxSocketPath, s, len(s))
		}
		r.checkNewFile("admin.socket", s)
	}
	r.checkDistinct(c)
}

// checkDistinct refuses one file for two purposes.
func (r *configReader) checkDistinct(c *config) {
	type named struct{ path, file string }
	all := []named{
		{"store", c.storeFile()}, {"people.file", c.People.File}, {"facts", c.Facts}, {"decision_log.file", c.DecisionLog.File},
		{"admin.socket", c.Admin.Socket}, {"tls.cert_file", c.TLS.CertFile}, {"outbound.ca_file", c.Outbound.CAFile},
		{"outbound.egress_proxy.credentials_file", c.Outbound.EgressProxy.CredentialsFile},
	}
	for i, e := range c.DecisionLog.Exporters {
		all = append(all, named{fmt.Sprintf("decision_log.exporters[%d].path", i), e.Path})
	}
	first := map[string]string{}
	for _, f := range all {
		if other, taken := first[f.file]; taken && f.file != "" {
			r.fault(f.path, "give each its own", "is the same file as %s", other)
		}
		first[f.file] = f.path
	}
}

// checkNewFile accepts a file that is there or can come to be.
func (r *configReader) checkNewFile(path, file string) {
	if info, err := os.Stat(file); err == nil && info.IsDir() {
		r.fault(path, "name a file in it", "%s is a directory", file)
		return
	}
	if info, err := os.Stat(filepath.Dir(file)); errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		r.fault(path, "create it, or name another", "there is no directory %s", filepath.Dir(file))
	}
}

func (r *configReader) checkDirectory(path, dir string, mustExist bool) {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !mustExist:
	case errors.Is(err, fs.ErrNotExist):
		r.fault(path, "create it, or name another", "there is no directory %s", dir)
	case err != nil:
		r.fault(path, "make it readable, or name another", "%v", err)
	case !info.IsDir():
		r.fault(path, "name the directory", "%s is not a directory", dir)
	}
}
