package policies

import (
	"fmt"
	"strings"
)

// everySegment marks a host where no leading part of the path belongs to one
// publisher.
const everySegment = 99

// sharedHosts are hosts where anybody may publish a path, and how many leading
// segments of it name the publisher, as their vendors document the URLs. The
// public suffix list knows the vendors that give each customer a domain
// (github.io, vercel.app, s3.amazonaws.com and many more): a wildcard over one
// of those is an error already.
var sharedHosts = map[string]int{
	"bitbucket.org":                     1, // workspace
	"cdn.discordapp.com":                everySegment,
	"cdn.jsdelivr.net":                  3, // gh, account, repository
	"codeload.github.com":               1, // account
	"commondatastorage.googleapis.com":  1, // bucket
	"docs.google.com":                   everySegment,
	"dl.dropboxusercontent.com":         everySegment,
	"drive.google.com":                  everySegment,
	"f000.backblazeb2.com":              2, // file, bucket
	"firebasestorage.googleapis.com":    3, // v0, b, bucket
	"gist.github.com":                   1, // account
	"gist.githubusercontent.com":        1, // account
	"github.com":                        1, // account
	"gitlab.com":                        1, // group
	"huggingface.co":                    1, // account
	"onedrive.live.com":                 everySegment,
	"pastebin.com":                      everySegment,
	"raw.githubusercontent.com":         1, // account
	"s3.amazonaws.com":                  1, // bucket
	"script.google.com":                 everySegment,
	"sites.google.com":                  2, // view, site
	"storage.cloud.google.com":          1, // bucket
	"storage.googleapis.com":            1, // bucket
	"unpkg.com":                         1, // package
	"user-images.githubusercontent.com": everySegment,
	"www.dropbox.com":                   everySegment,
}

// sharedDomains are domains where anybody may have a subdomain and that the
// public suffix list does not hold (looked up in November 2026).
var sharedDomains = []string{"atlassian.net", "auth0.com", "backblazeb2.com", "box.com", "codepen.io", "devtunnels.ms", "force.com",
	"github.dev", "loca.lt", "medium.com", "mintlify.app", "okta.com", "onmicrosoft.com", "salesforce.com", "service-now.com",
	"sharepoint.com", "site.com", "slack.com", "squarespace.com", "stackblitz.io", "substack.com", "tumblr.com", "wordpress.com", "zendesk.com"}

// shared says why strangers could publish what a pattern matches, or "".
func (p *pattern) shared() string {
	if p.opaque || !p.wild && p.literalPath() {
		return ""
	}
	if p.wild {
		for _, d := range sharedDomains {
			if p.host == d || strings.HasSuffix(d, "."+p.host) {
				return fmt.Sprintf("anybody may have a subdomain of %s", d)
			}
		}
	}
	best := ""
	for host, n := range sharedHosts {
		covers := host == p.host && !p.wild || p.wild && strings.HasSuffix(host, "."+p.host)
		if covers && p.leading() < n && !(p.literalPath() && len(p.segments) <= n) && (best == "" || host < best) {
			best = host
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("anybody may publish on %s", best)
}

// leading counts the literal segments before the first wildcard.
func (p *pattern) leading() int {
	for i, s := range p.segments {
		if s == "*" {
			return i
		}
	}
	return len(p.segments)
}

// checkShared warns of patterns and rows that match what strangers publish.
func (p *policy) checkShared(out *report) {
	for _, e := range p.entries {
		why := e.pattern.shared()
		if why == "" {
			continue
		}
		file, line := p.file, p.line
		if r := p.rules["client_ids"]; r != nil {
			line = r.line
		}
		if e.row != nil {
			file, line = p.unit.locate(strings.Split(p.list, "."), e.row.host)
		}
		out.warn(file, line, "shared_host", "name the exact URL, or spell out the segments that belong to the publisher", "policy %s: %s, so %s matches more than one publisher's documents", p.name, why, clip(e.pattern.text, 200))
	}
}
