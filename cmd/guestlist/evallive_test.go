package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"guestlist/broker"
	"guestlist/broker/cimd"
	"guestlist/broker/decisionlog"
	"guestlist/broker/fetch"
	"guestlist/policies"
	"guestlist/store"
	"guestlist/store/bolt"
)

// imaginedGuestList is a random policy directory and a random request.
type imaginedGuestList struct {
	files  map[string]string
	client string
	doc    string
	scopes []string
	ip     string
	groups []string
	later  time.Duration // until the refresh
	moved  string        // address of the refresh
	left   []string      // groups by then
}

// someOf draws a few of the words as a Rego array.
func someOf(t *rapid.T, label string, words ...string) string {
	out := []string{}
	for _, w := range words {
		if rapid.Bool().Draw(t, label+" "+w) {
			out = append(out, w)
		}
	}
	b, _ := json.Marshal(out)
	return string(b)
}

// seldom is true once in n draws; small numbers are drawn more often.
func seldom(t *rapid.T, label string, n int) bool {
	return rapid.Uint64().Draw(t, label)%uint64(n) == uint64(n-1)
}

// drawDenials draws denials of every phase; codes are shared, computed or
// literal.
func drawDenials(t *rapid.T) string {
	var b strings.Builder
	for _, rule := range []string{
		`deny contains {"code": "scope", "message": "not that"} if "c" in input.request.scopes`,
		`deny contains {"code": "scope", "message": "nor that"} if "b" in input.request.scopes`,
		`deny contains {"code": "ip", "message": "elsewhere"} if input.request.source.ip != "192.0.2.1"`,
		`deny_document contains {"code": sprintf("kind_%s", [r.kind]), "message": "kind"} if some r in input.redirects`,
		`deny_document contains {"code": "wide", "message": "too much", "remedy": "ask for less"} if count(input.effective.scopes) > 1`,
		`deny_user contains {"code": "group", "message": "not yours", "user_message": "Ask your team."} if not "eng" in input.user.groups`,
		`deny_refresh contains {"code": "moved", "message": "moved", "effect": "end_grant"} if input.now.source.ip != input.request.source.ip`,
		`deny_refresh contains {"code": "broken", "message": "x"} if to_number(input.user.sub) > 1`,
		`warn contains {"code": "odd", "message": "odd"} if input.client.host != "x"`,
	} {
		if seldom(t, rule, 80) {
			b.WriteString("\n" + rule + "\n")
		}
	}
	return b.String()
}

// drawSettings draws a settings object.
func drawSettings(t *rapid.T) string {
	ttl := rapid.SampledFrom([]string{`"5m"`, `"20m"`, `_ttl`}).Draw(t, "ttl")
	out := fmt.Sprintf(`{"scopes": {"ceiling": %s}, "grant_types": %s, "refresh_token": {"issue": %v}, "redirect": {"loopback": %v}, "access_token": {"ttl": %s}}`,
		rapid.SampledFrom([]string{`["a", "b", "c"]`, `["a", "b", "c"]`, `["a", "b", "c"]`, `["b", "a"]`, `["a"]`}).Draw(t, "ceiling"), rapid.SampledFrom([]string{`["authorization_code", "refresh_token"]`, `["authorization_code", "refresh_token"]`, `["authorization_code", "refresh_token"]`, `["authorization_code"]`}).Draw(t, "grants"),
		!seldom(t, "no refresh token", 12), rapid.Bool().Draw(t, "loopback"), ttl)
	if ttl == "_ttl" {
		out += "\n\n_ttl := \"7m\" if count(input.redirects) > 0"
	}
	return out
}

func drawGuestList(t *rapid.T) imaginedGuestList {
	g := imaginedGuestList{files: map[string]string{}}
	for i := range rapid.IntRange(1, 3).Draw(t, "policies") {
		text := fmt.Sprintf("package admission.policies.p%d\n\n", i)
		if seldom(t, "list", 4) {
			text += fmt.Sprintf("client_ids_from := data.lists.l%d\n", i)
			g.files[fmt.Sprintf("lists/l%d/data.json", i)] = fmt.Sprintf(`{"app.example.com": [{"path": %q, "expires": %q, "settings": {"access_token": {"ttl": "6m"}, "scopes": {"ceiling": %s}}}]}`,
				rapid.SampledFrom([]string{"/oauth/client.json", "/oauth/*"}).Draw(t, "row"), rapid.SampledFrom([]string{"2026-01-01", "2030-01-01"}).Draw(t, "expires"), someOf(t, "row", "a", "b"))
		} else {
			text += fmt.Sprintf("client_ids := {%q}\n", rapid.SampledFrom([]string{"https://app.example.com/oauth/client.json", "https://app.example.com/oauth/client.json", "https://app.example.com/oauth/*", "https://*.example.com/**", "https://app.example.com/other/*", "https://else.example.com/**"}).Draw(t, "pattern"))
		}
		if !seldom(t, "veto only", 16) {
			text += "\nsettings := " + drawSettings(t) + "\n"
		}
		text += fmt.Sprintf("\npriority := %d\n\nmode := %q\n", rapid.IntRange(0, 1).Draw(t, "priority"), rapid.SampledFrom([]string{"enforce", "enforce", "enforce", "enforce", "warn", "shadow", "off"}).Draw(t, "mode"))
		if seldom(t, "applies", 16) {
			text += "\napplies if not \"a\" in input.request.scopes\n"
		}
		g.files[fmt.Sprintf("p%d.rego", i)] = text + drawDenials(t)
	}
	if seldom(t, "guardrails", 4) {
		g.files["guardrails.rego"] = "package admission.guardrails\n\nceiling := {\"access_token\": {\"ttl\": \"15m\"}, \"scopes\": {\"ceiling\": [\"a\", \"b\"]}}\n" + drawDenials(t)
	}
	if rapid.Bool().Draw(t, "defaults") {
		g.files["defaults.rego"] = "package admission.defaults\n\nsettings := {\"client_ttl\": \"3d\", \"scopes\": {\"default\": [\"a\"]}}\n"
	}
	return g.drawRequest(t)
}

// drawRequest adds who asks for what.
func (g imaginedGuestList) drawRequest(t *rapid.T) imaginedGuestList {
	groups := func(label string) []string {
		return strings.Fields(rapid.SampledFrom([]string{"eng", "eng", "ops"}).Draw(t, label))
	}
	ip := rapid.SampledFrom([]string{"192.0.2.1", "198.51.100.7"})
	g.client = "https://app.example.com/oauth/client.json"
	if seldom(t, "another client", 16) {
		g.client = rapid.SampledFrom([]string{"https://app.example.com/oauth", "https://app.example.com/a/../b"}).Draw(t, "client")
	}
	g.doc = fmt.Sprintf(`{"client_id":%q,"client_name":"App","redirect_uris":[%q],"grant_types":["authorization_code","refresh_token"]}`, g.client,
		rapid.SampledFrom([]string{"https://app.example.com/cb", "https://app.example.com/cb", "https://app.example.com/cb", "http://127.0.0.1/cb", "https://other.example/cb"}).Draw(t, "redirect"))
	for _, s := range []string{"a", "b", "c"} {
		if rapid.Bool().Draw(t, "scope "+s) {
			g.scopes = append(g.scopes, s)
		}
	}
	g.ip, g.moved, g.groups, g.left = ip.Draw(t, "source"), ip.Draw(t, "moved"), groups("groups"), groups("left")
	g.later = time.Duration(rapid.IntRange(1, 100).Draw(t, "hours")) * time.Hour
	return g
}

// write puts the directory and the document where a configuration names them.
func (g imaginedGuestList) write(t *testing.T, dir string) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(dir, "policies")); err != nil {
		t.Fatal(err)
	}
	for name, text := range g.files {
		path := filepath.Join(dir, "policies", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		writeTestFile(t, path, text)
	}
	writeTestFile(t, filepath.Join(dir, "client.json"), g.doc)
}

var liveAt = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// Document brings the document as the client's host would.
func (g imaginedGuestList) Document(_ context.Context, _ cimd.ID, lim fetch.Limits, _ fetch.Held) (fetch.Document, error) {
	return fetch.Document{Body: []byte(g.doc), FetchedAt: liveAt, FreshFor: lim.Default}, nil
}

// watchedUnit keeps what is appended.
type watchedUnit struct {
	store.Unit
	records *[]decisionlog.Record
}

func (u watchedUnit) Append(r decisionlog.Record) {
	*u.records = append(*u.records, r)
	u.Unit.Append(r)
}

// live plays the request on a broker and a store as the server has them.
func (g imaginedGuestList) live(t *testing.T, cfg config) []decisionlog.Record {
	t.Helper()
	p, err := planFrom(cfg)
	if err != nil {
		t.Fatal(err)
	}
	set, _, err := policies.Load(t.Context(), policies.Config{FS: p.policies, Maxima: p.maxima})
	if err != nil {
		t.Fatalf("Load = %v of %v", err, g.files)
	}
	dir, err := os.MkdirTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	st, err := bolt.Open(bolt.Config{Path: filepath.Join(dir, "live.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	now, records := liveAt, []decisionlog.Record{}
	b, err := broker.New(broker.Config{
		Issuer: p.issuer, Fetch: g, Offer: offer(p.resources), Now: func() time.Time { return now }, Zone: time.Local, Cache: p.cache,
		Later:     func(r decisionlog.Record) error { records = append(records, r); return nil },
		Pseudonym: func(s string) string { return "p-" + s },
	})
	if err != nil {
		t.Fatal(err)
	}
	u := st.Begin()
	if err := b.Activate(t.Context(), set, "", "", u, func(ctx context.Context) error { return st.Commit(ctx, u) }); err != nil {
		t.Fatal(err)
	}
	admit := func(req broker.Request) (broker.Admission, bool) {
		u := st.Begin()
		a, refusal := b.Admit(t.Context(), watchedUnit{u, &records}, req)
		if err := st.Commit(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		return a, refusal == nil
	}
	var doc struct {
		RedirectURIs []string `json:"redirect_uris"`
	}
	if err := json.Unmarshal([]byte(g.doc), &doc); err != nil {
		t.Fatal(err)
	}
	start, ok := admit(broker.Request{ClientID: g.client, RedirectURI: &doc.RedirectURIs[0], Facts: broker.RequestInput{
		Scopes: g.scopes, ResponseType: "code", GrantType: "authorization_code", PKCE: true, Source: broker.SourceInput{IP: g.ip},
	}})
	if !ok {
		return records
	}
	person := broker.UserInput{Sub: "ada", Groups: g.groups, AMR: []string{"pwd"}, AuthTime: liveAt, Issuer: p.issuer}
	consent, ok := admit(broker.Request{ClientID: g.client, RedirectURI: &doc.RedirectURIs[0], Facts: start.Request, Person: &person,
		Bound: &broker.Bound{Incarnation: start.Client.Incarnation, DocumentSHA256: start.Client.DocumentSHA256}})
	given := consent.Decision
	if !ok || !given.Settings.RefreshToken.Issue || !slices.Contains(given.Effective.GrantTypes, "refresh_token") {
		return records
	}
	// The code is redeemed: the client lives as long as its refresh token.
	tokens := given.Settings.RefreshToken
	end := consent.ClientEnd(liveAt.Add(min(tokens.TTL, tokens.Idle).Std()))
	u = st.Begin()
	u.ExtendClient(consent.Client.ID, consent.Client.Incarnation, end)
	if err := st.Commit(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	now, person.Groups = liveAt.Add(g.later), g.left
	id, err := cimd.Parse(g.client)
	if err != nil {
		t.Fatal(err)
	}
	used, err := cimd.ClassifyRedirect(doc.RedirectURIs[0], id)
	if err != nil {
		t.Fatal(err)
	}
	frozen := start.Request
	frozen.Scopes, frozen.Resources = given.Effective.Scopes, given.Effective.Resources
	admit(broker.Request{ClientID: g.client, Facts: frozen, Person: &person,
		Bound: &broker.Bound{Incarnation: start.Client.Incarnation, GrantID: "g", Terms: &given.Settings},
		Refresh: &broker.Refresh{
			Grant: broker.GrantInput{CreatedAt: liveAt, Scopes: given.Effective.Scopes, Resources: given.Effective.Resources, RedirectHost: used.Host},
			Now:   broker.NowInput{GrantType: "refresh_token", Scopes: given.Effective.Scopes, Resources: given.Effective.Resources, Source: broker.SourceInput{IP: g.moved}},
		}})
	return records
}

// eval asks the command the same.
func (g imaginedGuestList) eval(t *testing.T, dir, conf string) []map[string]any {
	t.Helper()
	code, stdout, stderr := runProgram(t, "", "policy", "eval", g.client, "--config", conf, "--document", filepath.Join(dir, "client.json"), "-o", "json",
		"--at", liveAt.Format(time.RFC3339), "--scope", strings.Join(g.scopes, " "), "--source", g.ip, "--user", "ada", "--groups", strings.Join(g.groups, ","),
		"--refresh-after", g.later.String(), "--refresh-source", g.moved, "--refresh-groups", strings.Join(g.left, ","))
	var a struct {
		Records []map[string]any `json:"records"`
	}
	if err := json.Unmarshal([]byte(stdout), &a); err != nil {
		t.Fatalf("policy eval: exit %d, %v, %s%s", code, err, stdout, stderr)
	}
	return a.Records
}

// TestEvalIsTheDecisionOfAnyGuestList is G-02: on random policies and requests
// the records of policy eval are those of a live broker on its store, member by
// member, in every phase, but for what is random or names the store.
func TestEvalIsTheDecisionOfAnyGuestList(t *testing.T) {
	clearEnvironment(t)
	dir := configDir(t)
	conf := filepath.Join(dir, "guestlist.yaml")
	writeTestFile(t, conf, strings.ReplaceAll(minimalConfig, "DIR", dir)+"maxima: {access_token: {ttl: 12m}}\n")
	reached := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		g := drawGuestList(rt)
		g.write(t, dir)
		cfg, err := loadConfig(conf)
		if err != nil {
			t.Fatal(err)
		}
		want, got := asMaps(t, g.live(t, cfg)), g.eval(t, dir, conf)
		for _, r := range slices.Concat(want, got) {
			strip(r)
		}
		if len(got) != len(want) {
			rt.Fatalf("policy eval has %d records, the broker %d:\n%v\n%v", len(got), len(want), got, want)
		}
		for i := range want {
			for _, member := range slices.Sorted(maps.Keys(joined(want[i], got[i]))) {
				if !reflect.DeepEqual(want[i][member], got[i][member]) {
					rt.Errorf("record %d, %s: the broker recorded\n%v\npolicy eval says\n%v", i, member, want[i][member], got[i][member])
				}
			}
		}
		reached[fmt.Sprint(want[len(want)-1]["phase"])]++
	})
	for _, phase := range []string{"url", "document", "user", "refresh"} {
		if reached[phase] == 0 {
			t.Errorf("no request ended with phase %s: %v", phase, reached)
		}
	}
}

// joined has the members of both.
func joined(a, b map[string]any) map[string]any {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

// asMaps is a record as a reader of JSON sees it.
func asMaps(t *testing.T, records []decisionlog.Record) []map[string]any {
	t.Helper()
	out := make([]map[string]any, len(records))
	for i, r := range records {
		b, err := json.Marshal(r)
		if err == nil {
			err = json.Unmarshal(b, &out[i])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// strip takes away what is random, what names the store, and what eval tells
// beside the decision.
func strip(v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range []string{"decision_id", "request_id", "incarnation", "metrics", "grant_id", "subject", "explanation", "read"} {
			delete(v, name)
		}
		for _, below := range v {
			strip(below)
		}
	case []any:
		for _, e := range v {
			strip(e)
		}
	}
}
