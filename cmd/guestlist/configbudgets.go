package main

import (
	"guestlist/broker"
)

// budgetsConfig is cimd.budgets. A default that nobody wrote is no more than
// the total that somebody did.
type budgetsConfig struct {
	PerSource  int64 // cold fetches a minute, per IPv4 address or IPv6 /64; default 600
	PerDomain  int64 // the same per registrable domain; default 600
	Total      int64 // the same over everybody; default 6000
	Concurrent int64 // fetches under way at once; default 64
}

func defaultBudgets() budgetsConfig {
	return budgetsConfig{PerSource: 600, PerDomain: 600, Total: 6000, Concurrent: 64}
}

// limits are the budgets as the broker takes them.
func (b budgetsConfig) limits() broker.Budgets {
	return broker.Budgets{PerSource: int(b.PerSource), PerDomain: int(b.PerDomain), Total: int(b.Total), Concurrent: int(b.Concurrent)}
}

func (b *budgetsConfig) members() map[string]configMember {
	return map[string]configMember{
		"per_source": {value: integerValue(&b.PerSource)},
		"per_domain": {value: integerValue(&b.PerDomain)},
		"total":      {value: integerValue(&b.Total)},
		"concurrent": {value: integerValue(&b.Concurrent)},
	}
}

// The most that budgets may be: enough for any server, and no overflow.
const (
	maxBudget     = 1_000_000
	maxConcurrent = 1024
)

// checkBudgets wants budgets that are there, and parts that are not more than
// the whole: a source that may spend all of it could shut out everybody.
func (r *configReader) checkBudgets(b *budgetsConfig) {
	const at = "cimd.budgets."
	for _, v := range []struct {
		name  string
		value int64
		most  int64
	}{{"per_source", b.PerSource, maxBudget}, {"per_domain", b.PerDomain, maxBudget}, {"total", b.Total, maxBudget}, {"concurrent", b.Concurrent, maxConcurrent}} {
		if v.value < 1 || v.value > v.most {
			r.fault(at+v.name, "write a number in between; cimd.admit: false lets nobody new in", "%d is not from 1 to %d", v.value, v.most)
		}
	}
	if r.isBad(at + "total") {
		return
	}
	for _, part := range []struct {
		name  string
		value *int64
	}{{at + "per_source", &b.PerSource}, {at + "per_domain", &b.PerDomain}} {
		r.checkPart(part.name, part.value, at+"total", b.Total)
	}
}

// checkPart wants a part that is not more than the whole, and lowers one that
// nobody wrote.
func (r *configReader) checkPart(path string, part *int64, wholePath string, whole int64) {
	switch {
	case !r.given(path):
		*part = min(*part, whole)
	case *part > whole:
		r.fault(path, "lower it, or raise "+wholePath, "%d is more than %s, which is %d", *part, wholePath, whole)
	}
}

// capsConfig is cimd.caps.
type capsConfig struct {
	Total     int64 // clients at the same time; default 100000
	PerDomain int64 // the same per registrable domain; default 1000, or Total if that is less
	PerPolicy int64 // the same per policy; default Total, which is no bound of its own
}

func defaultCaps() capsConfig { return capsConfig{Total: 100_000, PerDomain: 1000} }

// limits are the caps as the broker takes them.
func (c capsConfig) limits() broker.Caps {
	return broker.Caps{Total: int(c.Total), PerDomain: int(c.PerDomain), PerPolicy: int(c.PerPolicy)}
}

func (c *capsConfig) members() map[string]configMember {
	return map[string]configMember{
		"total":      {value: integerValue(&c.Total)},
		"per_domain": {value: integerValue(&c.PerDomain)},
		"per_policy": {value: integerValue(&c.PerPolicy)},
	}
}

// checkCaps wants caps that let somebody in.
func (r *configReader) checkCaps(c *capsConfig) {
	const at = "cimd.caps."
	const most = 100_000_000
	if !r.given(at + "per_policy") {
		c.PerPolicy = c.Total
	}
	for _, v := range []struct {
		name  string
		value int64
	}{{"total", c.Total}, {"per_domain", c.PerDomain}, {"per_policy", c.PerPolicy}} {
		if r.given(at+v.name) && (v.value < 1 || v.value > most) {
			r.fault(at+v.name, "write a number in between; cimd.admit: false lets nobody new in", "%d is not from 1 to %d", v.value, most)
		}
	}
	if !r.isBad(at + "total") {
		r.checkPart(at+"per_domain", &c.PerDomain, at+"total", c.Total)
		r.checkPart(at+"per_policy", &c.PerPolicy, at+"total", c.Total)
	}
}
