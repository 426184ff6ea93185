package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"guestlist/broker/fetch"
)

// outboundConfig is how documents and keys are fetched.
type outboundConfig struct {
	CAFile          string            // PEM, trusted beside the system's authorities; may be empty
	Resolver        string            // address:port of a DNS server; empty: the system's
	EgressProxy     proxyConfig       // none where URL is empty
	Blocked         []netip.Prefix    // never dialled, beside what is not the public internet
	InsecureHostMap map[string]string // see fetch.Config; only where loopback holds
}

// proxyConfig is outbound.egress_proxy.
type proxyConfig struct {
	URL             string // http:// or https://, host and port
	CredentialsFile string // user:password in one line; empty: none
	ProxyResolves   bool   // names, and with them the address check, are left to the proxy
}

func (o *outboundConfig) members() map[string]configMember {
	return map[string]configMember{
		"ca_file":  {value: fileValue(&o.CAFile)},
		"resolver": {value: textValue(&o.Resolver)},
		"egress_proxy": {section: map[string]configMember{
			"url":              {value: textValue(&o.EgressProxy.URL)},
			"credentials_file": {value: fileValue(&o.EgressProxy.CredentialsFile)},
			"proxy_resolves":   {value: flagValue(&o.EgressProxy.ProxyResolves)},
		}},
		"blocked":           {value: networksValue(&o.Blocked)},
		"insecure_host_map": {value: textMapValue(&o.InsecureHostMap)},
	}
}

// fetching is the configuration as the guarded door takes it, but for what
// other sections say.
func (o outboundConfig) fetching() (fetch.Config, error) {
	out := fetch.Config{InsecureHostMap: o.InsecureHostMap, Blocked: o.Blocked}
	var err error
	if o.CAFile != "" {
		if out.RootCAs, err = fetch.LoadCAFile(o.CAFile); err != nil {
			return fetch.Config{}, fmt.Errorf("outbound.ca_file: %w", err)
		}
	}
	if o.Resolver != "" {
		server, err := netip.ParseAddrPort(o.Resolver)
		if err != nil {
			return fetch.Config{}, fmt.Errorf("outbound.resolver: %w", err)
		}
		out.Resolver = fetch.NameServer{Address: server}
	}
	out.Proxy = fetch.Proxy{URL: o.EgressProxy.URL, Resolves: o.EgressProxy.ProxyResolves}
	if o.EgressProxy.CredentialsFile != "" {
		data, err := os.ReadFile(o.EgressProxy.CredentialsFile)
		if err != nil {
			return fetch.Config{}, fmt.Errorf("outbound.egress_proxy.credentials_file: %w", err)
		}
		out.Proxy.Credentials = fetch.Credentials(strings.TrimSuffix(string(data), "\n"))
		if out.Proxy.Credentials == "" {
			return fetch.Config{}, errors.New("outbound.egress_proxy.credentials_file: the file is empty")
		}
	}
	return out, nil
}

// guardOf says who checks the addresses that documents are fetched from.
func guardOf(p fetch.Proxy) string {
	if p.Resolves {
		return "delegated to the proxy"
	}
	return "here: the proxy is asked for checked addresses"
}

// checkOutbound looks at each part for itself, so that the problem is told
// where it stands.
func (r *configReader) checkOutbound(c *config) {
	if c.Outbound.CAFile != "" {
		if _, err := fetch.LoadCAFile(c.Outbound.CAFile); err != nil {
			r.fault("outbound.ca_file", "name a file of PEM certificates", "%v", err)
		}
	}
	if s := c.Outbound.Resolver; s != "" {
		if server, err := netip.ParseAddrPort(s); err != nil || server.Port() == 0 || server.Addr().IsUnspecified() {
			r.fault("outbound.resolver", "write 192.0.2.53:53 or [2001:db8::53]:53", "%q is not the address and port of a DNS server", s)
		}
	}
	for i, p := range c.Outbound.Blocked {
		if p.IsValid() && (p.Masked() != p || p.Addr().Is4In6()) {
			r.fault(fmt.Sprintf("outbound.blocked[%d]", i), "write the network itself, such as 10.1.0.0/16", "%s is not a network", p)
		}
	}
	r.checkEgressProxy(c.Outbound)
	r.checkHostMap(c)
}

// checkEgressProxy wants a proxy where something is said about one.
func (r *configReader) checkEgressProxy(o outboundConfig) {
	const path = "outbound.egress_proxy"
	p := o.EgressProxy
	if p.URL == "" {
		if p != (proxyConfig{}) || r.given(path) {
			r.fault(path+".url", "write the URL of the proxy, such as http://proxy.example:3128", "is required")
		}
		return
	}
	if err := fetch.CheckProxyURL(p.URL); err != nil {
		r.fault(path+".url", "write http://proxy.example:3128, and user:password into a file that credentials_file names", "%v", err)
		return
	}
	if p.CredentialsFile == "" || r.isBad(path+".credentials_file") {
		return
	}
	o.CAFile, o.Resolver = "", ""
	cfg, err := o.fetching()
	if err == nil {
		_, err = fetch.New(fetch.Config{Proxy: cfg.Proxy})
	}
	if err != nil {
		r.fault(path+".credentials_file", "name a file with user:password in one line", "%s",
			strings.TrimPrefix(err.Error(), path+".credentials_file: "))
	}
}

// checkHostMap lets the host map only where nobody else can reach the server
// (design §12).
func (r *configReader) checkHostMap(c *config) {
	const path = "outbound.insecure_host_map"
	if len(c.Outbound.InsecureHostMap) == 0 {
		return
	}
	if !r.isBad("issuer") && !r.isBad("listen") && !c.loopback() {
		r.fault(path, "remove it, or put issuer and listen on 127.0.0.1, [::1] or localhost",
			"is for tests and demos: issuer and listen must both be on loopback")
		return
	}
	good := true
	for key, address := range c.Outbound.InsecureHostMap {
		if _, err := fetch.New(fetch.Config{InsecureHostMap: map[string]string{key: address}}); err != nil {
			good = false
			r.fault(path+"["+key+"]", `write "docs.example:443": "127.0.0.1:8443"`, "%v", err)
		}
	}
	if _, err := fetch.New(fetch.Config{InsecureHostMap: c.Outbound.InsecureHostMap}); err != nil && good {
		r.fault(path, "remove one", "%v", err)
	}
}
