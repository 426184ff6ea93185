package policies

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/publicsuffix"

	"guestlist/broker"
	"guestlist/broker/cimd"
)

// naivePattern reads a pattern the long way round: as a regular expression over
// whole identifiers, nil where no pattern can be read.
func naivePattern(text string) *regexp.Regexp {
	m := regexp.MustCompile(`^https://(\*\.)?([^/*?#]+)/([^?#]*)$`).FindStringSubmatch(text)
	if m == nil {
		return nil
	}
	expr := "^https://"
	if m[1] != "" {
		host, _, _ := strings.Cut(m[2], ":")
		if _, err := publicsuffix.EffectiveTLDPlusOne(host); err != nil {
			return nil
		}
		expr += `[^/:]+\.`
	}
	expr += regexp.QuoteMeta(m[2])
	segments := strings.Split(m[3], "/")
	for i, s := range segments {
		switch {
		case s == "*":
			expr += "/[^/?]+"
		case s == "**" && i == len(segments)-1:
			expr += "/[^/?]+(/[^/?]*)*"
		case strings.Contains(s, "*"):
			return nil
		default:
			expr += "/" + regexp.QuoteMeta(s)
		}
	}
	// Nothing is a pattern that no identifier could match.
	if _, err := cimd.Parse("https://" + m[2] + "/" + strings.NewReplacer("**", "x", "*", "x").Replace(m[3])); err != nil {
		return nil
	}
	return regexp.MustCompile(expr + `(\?.*)?$`)
}

// FuzzPattern holds parser and matcher of the grammar, index included, equal
// to the naive ones (PF-04, PF-05).
func FuzzPattern(f *testing.F) {
	body, err := os.ReadFile(filepath.Join("..", "testdata", "policies", "url_mistakes.json"))
	if err != nil {
		f.Fatal(err)
	}
	var rows []struct{ Pattern, URL, Admits string }
	if err := json.Unmarshal(body, &rows); err != nil || len(rows) == 0 {
		f.Fatal(err)
	}
	for _, r := range rows {
		f.Add(r.Pattern, r.URL)
		f.Add(r.Pattern, r.Admits)
	}
	f.Fuzz(func(t *testing.T, text, url string) {
		p, err := parsePattern(text)
		naive := naivePattern(text)
		if (err == nil) != (naive != nil) {
			t.Fatalf("parsePattern(%q) = %v, naive %v", text, err, naive)
		}
		id, bad := cimd.Parse(url)
		if err != nil || bad != nil {
			return
		}
		x := &index{}
		x.add(&entry{pattern: &p, policy: &policy{name: "p"}})
		x.seal()
		if got, want := len(x.lookup(id)) == 1, naive.MatchString(url); got != want {
			t.Fatalf("%q matches %q: %v, naive %v", text, url, got, want)
		}
		if why := x.nearest(id); why == "" {
			t.Fatalf("%q on %q: no nearest miss", text, url)
		}
	})
}

// FuzzSettings: what is read, written and read again is the same, and unknown
// names are never accepted.
func FuzzSettings(f *testing.F) {
	for _, m := range members {
		for _, v := range values[m.path] {
			names := strings.Split(m.path, ".")
			f.Add(`{"` + strings.Join(names, `": {"`) + `": ` + v + strings.Repeat("}", len(names)))
		}
	}
	f.Add(`{"client_ttl": "30d", "access_token": {"ttl": "60m"}, "scopes": {"ceiling": ["a"], "default": ["a", "a"]}}`)
	f.Add(`{"open": true, "Scopes": {}, "scopes": {"": null}}`)
	f.Fuzz(func(t *testing.T, text string) {
		v, err := decodeJSON(numbers(text), 0)
		if err != nil {
			return
		}
		p, err := decodeSettings(v)
		if err != nil {
			return
		}
		s := broker.StrictSettings()
		for _, m := range members {
			read, ok := p[m.path]
			if !ok {
				continue
			}
			m.put(&s, read)
			written, err := json.Marshal(m.value(&s))
			if err != nil {
				t.Fatalf("%s: %v", m.path, err)
			}
			again, err := decodeJSON(numbers(string(written)), 0)
			if err == nil {
				again, err = m.read(again)
			}
			if err != nil || !reflect.DeepEqual(again, read) {
				t.Fatalf("%s: read %#v, written %s, read again %#v, %v", m.path, read, written, again, err)
			}
			delete(p, m.path)
		}
		if len(p) > 0 {
			t.Fatalf("decodeSettings(%s) accepts %v, which no member is", text, p)
		}
	})
}

// FuzzRow: an accepted row of a list names its host and nothing beyond it, and
// is complete for policies.
func FuzzRow(f *testing.F) {
	for _, row := range []string{
		`{"path": "/x"}`, `{"path": "/x/*/y/**", "owner": "o", "ticket": "t", "expires": "2027-01-01"}`, `{"path": "/", "settings": {"client_ttl": "1d"}}`,
		`{"path": "/x", "expires": "2027-01-01T10:00:00+02:00"}`, `{"path": "@evil.test/x"}`, `{"path": "/x", "settings": {"network": {"allow_cidrs": ["10.0.0.0/8"]}}}`, `{"path": "/x", "path": "/y"}`, `[]`,
	} {
		for _, host := range []string{"a.example", "*.a.example", "a.example:8443", "a.example/x", "u@a.example", "*", ""} {
			f.Add(host, row)
		}
	}
	f.Fuzz(func(t *testing.T, host, text string) {
		v, err := decodeJSON(numbers(text), 0)
		if err != nil {
			return
		}
		r, pat, err := decodeRow("l", host, v)
		if err != nil {
			return
		}
		written := pat.host
		if pat.wild {
			written = "*." + written
		}
		if pat.port != "" {
			written += ":" + pat.port
		}
		if written != host || naivePattern("https://"+host+r.path) == nil {
			t.Fatalf("host %q with row %s is the pattern %q on host %q", host, text, pat.text, written)
		}
		m := r.member()
		for _, name := range append(rowMembers, "host") {
			if m[name] == nil {
				t.Fatalf("input.row of %s has no %s: %v", text, name, m)
			}
		}
		if (r.written == "") != r.expires.IsZero() && r.written[:4] != "0001" {
			t.Fatalf("row %s expires %v", text, r.expires)
		}
	})
}
