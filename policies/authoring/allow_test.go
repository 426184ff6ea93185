package authoring_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"guestlist/policies/authoring"
)

const partners = `package admission.policies.partners

client_ids_from := data.lists.partners

settings := {"scopes": {"ceiling": ["read"]}}
`

// canonical is a list in the form that allow writes.
const canonical = `{
  "a.example.com": [
    {"path": "/b", "expires": "2027-03-31"},
    {"path": "/d"}
  ],
  "c.example.com": [
    {"path": "/x/*"}
  ]
}
`

func partnersList(t *testing.T, body string) authoring.List {
	dir := tree(t, map[string]string{"partners.rego": partners, "lists/partners/data.json": body})
	return authoring.List{Dir: dir, Name: "partners", Now: now}
}

func (l listOf) file() string { return filepath.Join(l.Dir, "lists", l.Name, "data.json") }

type listOf authoring.List

func TestAllowWritesOneLine(t *testing.T) {
	for _, c := range []struct{ name, before, url, want string }{
		{"first of all", "{}\n", "https://a.example.com/b", "{\n  \"a.example.com\": [\n    {\"path\": \"/b\"}\n  ]\n}\n"},
		{"host before", canonical, "https://a.example.co/b", strings.Replace(canonical, "{\n", "{\n  \"a.example.co\": [\n    {\"path\": \"/b\"}\n  ],\n", 1)},
		{"host between", canonical, "https://b.example.com/b", strings.Replace(canonical, "  \"c.", "  \"b.example.com\": [\n    {\"path\": \"/b\"}\n  ],\n  \"c.", 1)},
		{"host after", canonical, "https://d.example.com/b", strings.Replace(canonical, "/x/*\"}\n  ]\n", "/x/*\"}\n  ],\n  \"d.example.com\": [\n    {\"path\": \"/b\"}\n  ]\n", 1)},
		{"another port is another host", canonical, "https://a.example.com:8443/b", strings.Replace(canonical, "  \"c.", "  \"a.example.com:8443\": [\n    {\"path\": \"/b\"}\n  ],\n  \"c.", 1)},
		{"path before", canonical, "https://a.example.com/a", strings.Replace(canonical, "    {\"path\": \"/b", "    {\"path\": \"/a\"},\n    {\"path\": \"/b", 1)},
		{"path between", canonical, "https://a.example.com/c", strings.Replace(canonical, "    {\"path\": \"/d", "    {\"path\": \"/c\"},\n    {\"path\": \"/d", 1)},
		{"path after", canonical, "https://a.example.com/e", strings.Replace(canonical, "/d\"}\n", "/d\"},\n    {\"path\": \"/e\"}\n", 1)},
		{"one line for all", `{"a.example.com":[{"path":"/b"}]}`, "https://a.example.com/c", `{"a.example.com":[{"path":"/b"}, {"path": "/c"}]}`},
		{"one line for all, another host", `{"a.example.com":[{"path":"/b"}]}`, "https://b.example.com/c", `{"a.example.com":[{"path":"/b"}], "b.example.com": [{"path": "/c"}]}`},
		{"tabs", "{\n\t\"a.example.com\": [\n\t\t{\"path\": \"/b\"}\n\t]\n}", "https://b.example.com/c", "{\n\t\"a.example.com\": [\n\t\t{\"path\": \"/b\"}\n\t],\n\t\"b.example.com\": [\n\t\t{\"path\": \"/c\"}\n\t]\n}"},
		{"other line ends", "{\r\n  \"a.example.com\": [\r\n    {\"path\": \"/b\"}\r\n  ]\r\n}", "https://a.example.com/c", "{\r\n  \"a.example.com\": [\r\n    {\"path\": \"/b\"},\r\n    {\"path\": \"/c\"}\r\n  ]\r\n}"},
		{"a host without rows", "{\n  \"a.example.com\": []\n}\n", "https://a.example.com/c", "{\n  \"a.example.com\": [\n    {\"path\": \"/c\"}\n  ]\n}\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := partnersList(t, c.before)
			change, err := l.Allow(t.Context(), authoring.Row{URL: c.url})
			if err != nil {
				t.Fatal(err)
			}
			if got := read(t, listOf(l).file()); got != c.want {
				t.Errorf("Allow(%s) wrote\n%s\nwant\n%s", c.url, got, c.want)
			}
			if string(change.Before) != c.before || string(change.After) != c.want || !slices.Equal(change.Policies, []string{"partners"}) {
				t.Errorf("Change = %+v", change)
			}
			// What was added can be taken away again, to the byte.
			if _, err := l.Remove(t.Context(), c.url); err != nil {
				t.Fatal(err)
			}
			if got := read(t, listOf(l).file()); got != c.before && c.name != "first of all" && c.name != "a host without rows" {
				t.Errorf("Remove(%s) left\n%s\nwant\n%s", c.url, got, c.before)
			}
		})
	}
}

func TestAllowWritesTheWholeRow(t *testing.T) {
	l := partnersList(t, "{}")
	row := authoring.Row{URL: "https://a.example.com/b", Expires: "2027-03-31", Owner: "Team <a&b@corp.example>", Ticket: "IAM-7",
		Settings: map[string]any{"scopes": map[string]any{"default": []any{"read"}, "ceiling": []any{"read"}}, "document": map[string]any{"max_bytes": json.Number("4096")}}}
	change, err := l.Allow(t.Context(), row)
	want := `{"path": "/b", "settings": {"document": {"max_bytes": 4096}, "scopes": {"ceiling": ["read"], "default": ["read"]}}, "expires": "2027-03-31", "owner": "Team <a&b@corp.example>", "ticket": "IAM-7"}`
	if err != nil || change.Text != want || change.Host != "a.example.com" {
		t.Errorf("Allow = %s, %v; want %s", change.Text, err, want)
	}
}

func TestAllowRefuses(t *testing.T) {
	const listed = `{"a.example.com": [{"path": "/b", "expires": "2027-03-31"}, {"path": "/forever"}, {"path": "/over", "expires": "2026-11-26"}],
"*.example.org": [{"path": "/oauth/*"}], "w.example.com": [{"path": "/x/**", "expires": "2026-01-01"}]}`
	row := func(url string) authoring.Row { return authoring.Row{URL: url} }
	for _, c := range []struct {
		name     string
		row      authoring.Row
		change   func(*authoring.List)
		standing bool
		want     string
	}{
		// PF-09: applied twice, nothing changes and that is said.
		{"the row is there", row("https://a.example.com/b"), nil, true, "already, until 2027-03-31"},
		{"the row is there, without end", row("https://a.example.com/forever"), nil, true, "already, without end"},
		{"the row is over", row("https://a.example.com/over"), nil, true, "over since 2026-11-26. Remedy: take it away with --remove"},
		{"a wildcard names it", row("https://x.example.org/oauth/c"), nil, true, "by the wildcard of row /oauth/* of host *.example.org"},
		{"expired", authoring.Row{URL: "https://b.example.com/b", Expires: "2026-11-26"}, nil, false, "2026-11-26 is over"},
		{"no date", authoring.Row{URL: "https://b.example.com/b", Expires: "soon"}, nil, false, "expires: want a date"},
		{"no URL", row("a.example.com/b"), nil, false, "must begin with https:// in lower case. Remedy: did you mean https://a.example.com/b?"},
		{"http", row("http://a.example.com/b"), nil, false, "Remedy: did you mean https://a.example.com/b?"},
		{"upper case", row("https://A.example.com/b"), nil, false, "Remedy: did you mean https://a.example.com/b?"},
		{"no path", row("https://a.example.com"), nil, false, "must have a path"},
		{"another scheme", row("ftp://a.example.com/b"), nil, false, "must begin with https:// in lower case"},
		{"wildcard host", row("https://*.example.com/b"), nil, false, "has a *"},
		{"query", row("https://b.example.com/b?v=1"), nil, false, "has a query"},
		{"wildcard", row("https://b.example.com/*"), nil, false, "has a *"},
		{"settings", authoring.Row{URL: "https://b.example.com/b", Settings: map[string]any{"scope": "read"}}, nil, false, "unknown member scope"},
		{"settings that widen nothing", authoring.Row{URL: "https://b.example.com/b", Settings: map[string]any{"claims": map[string]any{}}}, nil, false, "a row only narrows"},
		{"unknown list", row("https://b.example.com/b"), func(l *authoring.List) { l.Name = "partnres" }, false, "did you mean partners?"},
		{"unknown list, nothing like it", row("https://b.example.com/b"), func(l *authoring.List) { l.Name = "vendors-of-old" }, false, "name one of partners"},
		{"list outside", row("https://b.example.com/b"), func(l *authoring.List) { l.Name = "../partners" }, false, "want a name of letters"},
		{"YAML", row("https://b.example.com/b"), func(l *authoring.List) {
			l.Name = "vendors"
			os.MkdirAll(filepath.Join(l.Dir, "lists/vendors"), 0o755)
			os.WriteFile(filepath.Join(l.Dir, "lists/vendors/data.yaml"), nil, 0o644)
		}, false, "lists/vendors/data.yaml is YAML"},
		{"no directory", row("https://b.example.com/b"), func(l *authoring.List) { l.Dir += "/none" }, false, "there is no directory"},
		{"a file for a directory", row("https://b.example.com/b"), func(l *authoring.List) { l.Dir += "/partners.rego" }, false, "partners.rego is not a directory. Remedy: name the policy directory"},
		{"the directory does not load", row("https://b.example.com/b"), func(l *authoring.List) {
			os.WriteFile(filepath.Join(l.Dir, "broken.rego"), []byte("package x\n\ny := {\n"), 0o644)
		}, false, "nothing is written, because"},
		{"the list is no list", row("https://b.example.com/b"), func(l *authoring.List) {
			os.WriteFile(listOf(*l).file(), []byte("{\n\"a.example.com\": {}}\n"), 0o644)
		}, false, "line 2: host \"a.example.com\": a list is"},
		{"the list ends early", row("https://b.example.com/b"), func(l *authoring.List) {
			os.WriteFile(listOf(*l).file(), []byte("{\"a.example.com\": ["), 0o644)
		}, false, "data.json: line 1: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := partnersList(t, listed)
			if c.change != nil {
				c.change(&l)
			}
			file := filepath.Join(strings.TrimSuffix(strings.TrimSuffix(l.Dir, "/none"), "/partners.rego"), "lists/partners/data.json")
			before := read(t, file)
			_, err := l.Allow(t.Context(), c.row)
			var standing *authoring.Standing
			if err == nil || errors.As(err, &standing) != c.standing || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Allow = %v (standing %v), want %q (standing %v)", err, standing != nil, c.want, c.standing)
			}
			if after := read(t, file); after != before {
				t.Errorf("the list became %s", after)
			}
		})
	}
}

func TestAllowPastAWildcardThatIsOver(t *testing.T) {
	l := partnersList(t, `{"w.example.com": [{"path": "/x/**", "expires": "2026-01-01"}]}`)
	if _, err := l.Allow(t.Context(), authoring.Row{URL: "https://w.example.com/x/y"}); err != nil {
		t.Errorf("Allow = %v", err)
	}
}

func TestAllowMakesAList(t *testing.T) {
	dir := tree(t, map[string]string{"partners.rego": strings.ReplaceAll(partners, "client_ids_from := data.lists.partners", `client_ids := {"https://z.example.com/z"}`)})
	l := authoring.List{Dir: dir, Name: "vendors", Create: true, Now: now}
	change, err := l.Allow(t.Context(), authoring.Row{URL: "https://a.example.com/b"})
	if err != nil || change.Before != nil || len(change.Policies) != 0 || change.File != "lists/vendors/data.json" {
		t.Fatalf("Allow = %+v, %v", change, err)
	}
	if got, want := read(t, listOf(l).file()), "{\n  \"a.example.com\": [\n    {\"path\": \"/b\"}\n  ]\n}\n"; got != want {
		t.Errorf("the list is %q, want %q", got, want)
	}
}

func TestRemoveOfWhatIsNotThere(t *testing.T) {
	for url, want := range map[string]string{
		"https://a.example.com/c":   "has no row for",
		"https://c.example.com/x/y": "by the wildcard of row /x/*",
	} {
		l := partnersList(t, canonical)
		_, err := l.Remove(t.Context(), url)
		var standing *authoring.Standing
		if !errors.As(err, &standing) || !strings.Contains(err.Error(), want) || read(t, listOf(l).file()) != canonical {
			t.Errorf("Remove(%s) = %v, want %q", url, err, want)
		}
	}
}

// TestAllowKeepsEveryOtherRow: whatever the list and its layout, an edit
// changes the one row and no byte of any other.
func TestAllowKeepsEveryOtherRow(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "lists/partners"), 0o755); err != nil {
		t.Fatal(err)
	}
	os.WriteFile(filepath.Join(dir, "partners.rego"), []byte(partners), 0o644)
	l := authoring.List{Dir: dir, Name: "partners", Now: now}
	name := rapid.SampledFrom([]string{"a", "ab", "b", "c"})
	rapid.Check(t, func(t *rapid.T) {
		rows := map[string][]map[string]any{}
		for range rapid.IntRange(0, 6).Draw(t, "rows") {
			host, path := name.Draw(t, "host")+".example.com", "/"+name.Draw(t, "path")
			if !slices.ContainsFunc(rows[host], func(m map[string]any) bool { return m["path"] == path }) {
				rows[host] = append(rows[host], map[string]any{"path": path, "owner": "{[, \"é"})
			}
		}
		body, err := json.MarshalIndent(rows, "", rapid.SampledFrom([]string{"  ", "\t", ""}).Draw(t, "indent"))
		if rapid.Bool().Draw(t, "compact") {
			body, err = json.Marshal(rows)
		}
		if err == nil {
			err = os.WriteFile(listOf(l).file(), body, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		host, path := name.Draw(t, "new host")+".example.com", "/"+name.Draw(t, "new path")
		url := "https://" + host + path
		_, err = l.Allow(t.Context(), authoring.Row{URL: url})
		there := slices.ContainsFunc(rows[host], func(m map[string]any) bool { return m["path"] == path })
		var standing *authoring.Standing
		if there != errors.As(err, &standing) || !there && err != nil {
			t.Fatalf("Allow(%s) into %s = %v", url, body, err)
		}
		if there {
			_, err = l.Remove(t.Context(), url)
			rows[host] = slices.DeleteFunc(rows[host], func(m map[string]any) bool { return m["path"] == path })
			if len(rows[host]) == 0 {
				delete(rows, host)
			}
		} else {
			rows[host] = append(rows[host], map[string]any{"path": path})
		}
		after, readErr := os.ReadFile(listOf(l).file())
		var got map[string][]map[string]any
		if err := errors.Join(err, readErr, json.Unmarshal(after, &got)); err != nil {
			t.Fatalf("after %s: %v\n%s", url, err, after)
		}
		for _, m := range []map[string][]map[string]any{got, rows} {
			for h := range m {
				slices.SortFunc(m[h], func(a, b map[string]any) int { return strings.Compare(a["path"].(string), b["path"].(string)) })
			}
		}
		if !reflect.DeepEqual(got, rows) {
			t.Fatalf("%s of\n%s\nleft\n%s", url, body, after)
		}
		if rest := bytes.ReplaceAll(after, []byte(`{"path": "`+path+`"}`), nil); !there && bytes.Count(rest, []byte("owner")) != bytes.Count(body, []byte("owner")) {
			t.Fatalf("rows were rewritten:\n%s\n%s", body, after)
		}
	})
}

func TestEditorsTakeTurns(t *testing.T) {
	l := partnersList(t, "{}")
	var wait sync.WaitGroup
	for i := range 12 {
		wait.Go(func() {
			if _, err := l.Allow(t.Context(), authoring.Row{URL: fmt.Sprintf("https://h%d.example.com/c", i)}); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	var got map[string]any
	if err := json.Unmarshal([]byte(read(t, listOf(l).file())), &got); err != nil || len(slices.Collect(maps.Keys(got))) != 12 {
		t.Errorf("%d hosts, %v; want 12", len(got), err)
	}
}

func TestExpiry(t *testing.T) {
	for in, want := range map[string]string{
		"2027-03-31": "2027-03-31", "2027-03-31T10:00:00+02:00": "2027-03-31T10:00:00+02:00", "never": "", "30d": "2026-12-26",
		"24h": "2026-11-27", "36h": "2026-11-28T00:00:00Z",
	} {
		if got, err := authoring.Expiry(in, now); err != nil || got != want {
			t.Errorf("Expiry(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	for in, want := range map[string]string{"": "--expires never", "0d": "want a date", "soon": "want a date", "2027-02-30": "want a date", "-30d": "want a date"} {
		if got, err := authoring.Expiry(in, now); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Expiry(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	if got, err := authoring.Expiry("30d", time.Date(2026, 11, 26, 23, 0, 0, 0, time.FixedZone("", -3*3600))); got != "2026-12-27" {
		t.Errorf("Expiry counts from %q, %v; want days of UTC", got, err)
	}
}
