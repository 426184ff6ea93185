package main

import (
	"time"

	"github.com/goccy/go-yaml/ast"

	"guestlist/broker"
)

// lookConfig is cimd.look, a name of ours beside design §13: the look in the
// background at documents of clients that have live grants.
type lookConfig struct {
	Every broker.Duration // between two looks at one document; zero, written off: there are none; default 24 h
}

func defaultLook() lookConfig { return lookConfig{Every: broker.Duration(24 * time.Hour)} }

func (c *lookConfig) members() map[string]configMember {
	read := durationValue(&c.Every)
	return map[string]configMember{"every": {value: func(r *configReader, path string, n ast.Node) {
		if s, ok := r.follow(path, n).(*ast.StringNode); ok && s.Value == "off" {
			c.Every = 0
			return
		}
		read(r, path, n)
	}}}
}

// checkLook wants a look that neither bothers a host nor comes too late for
// document.max_age_for_refresh, which is 7 d where nobody says otherwise.
func (r *configReader) checkLook(c *lookConfig) {
	if c.Every != 0 {
		r.checkDurations([]durationBound{{"cimd.look.every", c.Every, 10 * time.Minute, 7 * 24 * time.Hour, "SN-06, or off"}})
	}
}
