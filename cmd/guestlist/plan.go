package main

import (
	"fmt"
	"maps"
	"os"
	"strconv"
	"time"

	"guestlist/broker"
	"guestlist/server"
)

// planFrom turns a checked configuration into what an app is built from.
func planFrom(c config) (plan, error) {
	p := plan{
		issuer: c.Issuer, storePath: c.storeFile(), reserve: c.StoreReserve, keysDir: c.Keys.Dir, people: c.People.File, facts: c.Facts,
		policies: os.DirFS(c.Policies.Path), source: c.Policies.Path,
		maxima: maximaOf(c), resources: resourcesOf(c),
		lifetimes: server.Lifetimes{Ticket: c.Lifetimes.Ticket.Std(), Code: c.Lifetimes.Code.Std(), Session: c.Lifetimes.Session.Std()},
		cache: broker.CacheBounds{
			Floor: c.CIMD.CacheFloor.Std(), Default: c.CIMD.CacheDefault.Std(), Ceiling: c.CIMD.CacheCeiling.Std(),
		},
		budgets: c.CIMD.Budgets.limits(), caps: c.CIMD.Caps.limits(), look: c.CIMD.Look.Every.Std(),
		admitOff: !*c.CIMD.Admit, hidden: !*c.CIMD.Advertise,
		insecure: len(c.Outbound.InsecureHostMap) > 0 || c.loopback() && c.TLS.CertFile == "" && len(c.TrustedProxies) == 0,
		trusted:  c.TrustedProxies, help: c.Help,
	}
	p.clients, p.retain = c.Clients, c.DecisionLog.Retain.ages()
	var err error
	if p.secrets, p.short, err = secretsOf(c); err != nil {
		return plan{}, err
	}
	if p.fetching, err = c.Outbound.fetching(); err != nil {
		return plan{}, err
	}
	p.fetching.Timeout, p.fetching.Retries = c.CIMD.Timeout.Std(), int(c.CIMD.Retries)
	p.fetching.Flights, p.fetching.Now = p.budgets.Concurrent, time.Now
	if p.tracing, err = tracingOf(c, p.fetching.RootCAs); err != nil {
		return plan{}, err
	}
	if p.webhooks, err = webhooksOf(c, p.fetching.RootCAs); err != nil {
		return plan{}, err
	}
	return p, nil
}

// maximaOf is maxima with the bound that cimd.max_bytes sets.
func maximaOf(c config) map[string]any {
	out := map[string]any{}
	maps.Copy(out, c.Maxima)
	document := map[string]any{}
	if m, ok := out["document"].(map[string]any); ok {
		maps.Copy(document, m)
	}
	if v, err := strconv.ParseInt(fmt.Sprint(document["max_bytes"]), 10, 64); err != nil || v > c.CIMD.MaxBytes {
		document["max_bytes"] = c.CIMD.MaxBytes // the smaller bound holds
	}
	out["document"] = document
	return out
}

// resourcesOf are the protected resources.
func resourcesOf(c config) []broker.Resource {
	var out []broker.Resource
	for _, r := range c.Resources {
		out = append(out, broker.Resource{ID: r.ID, Name: r.Name, Scopes: r.Scopes, TokenFormat: r.TokenFormat, SigningAlg: r.SigningAlg})
	}
	return out
}
