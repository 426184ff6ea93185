package policies

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// row is one line of a list that client_ids_from names.
type row struct {
	list     string // data path of the list
	host     string
	path     string
	settings partial
	raw      any // settings as written, for input.row
	expires  time.Time
	written  string // expires as written
	owner    string
	ticket   string
}

// member is input.row: complete, with typed empty values for what the row
// leaves out.
func (r *row) member() map[string]any {
	raw := r.raw
	if raw == nil {
		raw = map[string]any{}
	}
	return map[string]any{"host": r.host, "path": r.path, "settings": raw,
		"expires": r.written, "owner": r.owner, "ticket": r.ticket}
}

// name is list, host and path.
func (r *row) name() string { return "data." + r.list + "[" + r.host + "] " + r.path }

// expired reports whether the row is over at now, its last moment included.
func (r *row) expired(now time.Time) bool { return !r.expires.IsZero() && !now.Before(r.expires) }

var rowMembers = []string{"path", "settings", "expires", "owner", "ticket"}

// loadList reads a list strictly and adds its rows to the patterns of p.
func (c *compiled) loadList(p *policy, at []string, out *report) {
	var node any = c.base
	for _, name := range at {
		m, _ := node.(map[string]any)
		node = m[name]
	}
	list := strings.Join(at, ".")
	hosts, ok := node.(map[string]any)
	if !ok {
		out.fail(p.file, p.line, "list_invalid", "write {host: [{path: …}]}", "policy %s: data.%s is no object of hosts", p.name, list)
		return
	}
	for _, rows := range hosts {
		list, _ := rows.([]any)
		c.source.rows += len(list)
	}
	if c.source.rows > maxRows {
		c.source.outgrown(out, "rows in the lists that policies name", maxRows)
		return
	}
	for _, host := range slices.Sorted(maps.Keys(hosts)) {
		rows, ok := hosts[host].([]any)
		if !ok {
			c.failRow(at, host, out, errors.New("want a list of rows"))
			continue
		}
		seen := map[string]bool{}
		var wild []*pattern
		for _, v := range rows {
			r, pat, err := decodeRow(list, host, v)
			if err == nil && seen[r.path] {
				err = fmt.Errorf("path %s is listed twice", r.path)
			}
			if err == nil && len(wild) <= maxWild { // with more the host is refused
				err = rival(wild, pat)
			}
			if err != nil {
				c.failRow(at, host, out, err)
				continue
			}
			seen[r.path] = true
			if !pat.literalPath() {
				wild = append(wild, pat)
			}
			p.entries = append(p.entries, &entry{pattern: pat, policy: p, row: r})
		}
	}
}

// rival refuses a row that matches what an earlier one of its host matches, at
// equal rank: only one of them could give its settings, and the wider one might.
func rival(earlier []*pattern, p *pattern) error {
	for _, o := range earlier {
		if n, _ := o.compare(p); n == 0 && o.overlaps(p) {
			return fmt.Errorf("path %s matches what %s matches, at equal rank", p.path(), o.path())
		}
	}
	return nil
}

// failRow blames the place where the host is written.
func (c *compiled) failRow(at []string, host string, out *report, err error) {
	file, line := "", 0
	if !out.full() {
		file, line = c.locate(at, host)
	}
	out.fail(file, line, "row_invalid", "", "list %s, host %s: %v", strings.Join(at, "."), clip(host, 80), err)
}

// locate finds the data file and the line where a host of a list is written.
func (c *compiled) locate(at []string, host string) (file string, line int) {
	for _, f := range c.source.files {
		dir := path.Dir(f.path)
		if !isData(f.path) || dir != "." && !strings.HasPrefix(strings.Join(at, "/")+"/", dir+"/") {
			continue
		}
		if i := bytes.Index(f.body, []byte(host)); i >= 0 {
			return c.source.name(f), 1 + bytes.Count(f.body[:i], []byte("\n"))
		}
	}
	return c.source.label + "data", 0
}

func decodeRow(list, host string, v any) (*row, *pattern, error) {
	m, ok := v.(map[string]any)
	if !ok {
		return nil, nil, errors.New("a row is an object")
	}
	r := &row{list: list, host: host}
	texts := map[string]*string{"path": &r.path, "expires": &r.written, "owner": &r.owner, "ticket": &r.ticket}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		v := m[name]
		if name == "settings" {
			if err := r.readSettings(v); err != nil {
				return nil, nil, err
			}
			continue
		}
		to, known := texts[name]
		if !known {
			return nil, nil, fmt.Errorf("unknown member %s; %s", clip(name, 80), didYouMean(name, rowMembers))
		}
		if *to, ok = v.(string); !ok {
			return nil, nil, fmt.Errorf("%s: %w", name, wanted("a string", v))
		}
	}
	if r.path == "" || r.path[0] != '/' {
		return nil, nil, errors.New("path is required and begins with /")
	}
	if r.written != "" {
		var err error
		if r.expires, err = readExpiry(r.written); err != nil {
			return nil, nil, err
		}
	}
	pat, err := parsePattern("https://" + host + r.path)
	if err == nil && pat.port == "" && strings.Contains(host, "/") {
		err = errWidePattern
	}
	if err != nil {
		return nil, nil, fmt.Errorf("path %s: %w", clip(r.path, 80), err)
	}
	if err := checkExact(r.settings, pat.exact()); err != nil {
		return nil, nil, fmt.Errorf("settings: %w", err)
	}
	return r, &pat, nil
}

// readSettings decodes the settings of a row. What has no meet cannot narrow
// the settings of the policy; tags are added to its own.
func (r *row) readSettings(v any) error {
	p, err := decodeSettings(v)
	if err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	for _, name := range []string{"claims", "device"} {
		if _, ok := p[name]; ok {
			return fmt.Errorf("settings: %s belongs to the policy, a row only narrows", name)
		}
	}
	r.settings, r.raw = p, v
	return nil
}

// readExpiry reads a moment (RFC 3339) or a date, which means its first moment
// in UTC.
func readExpiry(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("expires: %w", wanted("a date such as 2027-03-31 or a moment of RFC 3339", s))
}
