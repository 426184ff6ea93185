package main

import "guestlist/server/pages"

// helpConfig says whom a person asks who was refused; without it pages only
// tell them to keep the request id.
type helpConfig struct {
	Ask string // name or address, shown on every page; empty: nobody
	URL string // https or mailto, where pages that refuse link to; empty: no link
}

func (c *helpConfig) members() map[string]configMember {
	return map[string]configMember{
		"ask": {value: textValue(&c.Ask)},
		"url": {value: textValue(&c.URL)},
	}
}

// checkHelp holds the bounds of what pages show.
func (r *configReader) checkHelp(c helpConfig) {
	if n := len(c.Ask); n > pages.MaxAsk {
		r.fault("help.ask", "write a name and an address, no more", "has %d bytes, at most %d are shown", n, pages.MaxAsk)
	}
	if c.URL == "" {
		return
	}
	if err := pages.CheckAskURL(c.URL); err != nil {
		r.fault("help.url", "write https://help.corp.example or mailto:iam@corp.example", "%v", err)
	}
	if c.Ask == "" && !r.isBad("help.ask") {
		r.fault("help.url", "add help.ask, the name that the link carries", "is of no use without help.ask")
	}
}
