package policies_test

import (
	"encoding/json"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/broker/rehearsal"
	"guestlist/policies"
)

// The guest lists from life, and the ten rules.
var guestLists = []string{"exact-urls", "open-with-quarantine", "partners", "privileged-scopes", "resource-owners", "ten-rules"}

// Every example loads without a finding, names who answers for it, and has
// tests that pass and leave no line out.
func TestExamplesAreInOrder(t *testing.T) {
	dirs, err := os.ReadDir(examplesDir)
	if err != nil {
		t.Fatal(err)
	}
	found := []string{}
	for _, d := range dirs {
		found = append(found, d.Name())
	}
	if !slices.Equal(found, guestLists) {
		t.Errorf("examples/policies has %v, want %v", found, guestLists)
	}
	for _, name := range guestLists {
		t.Run(name, func(t *testing.T) {
			cfg := policies.Config{FS: os.DirFS(path.Join(examplesDir, name)), Now: time.Now}
			set, findings, err := policies.Load(t.Context(), cfg)
			if err != nil || len(findings) != 0 {
				t.Fatalf("Load = %v, findings %v, want none", err, findings)
			}
			for _, p := range set.Policies() {
				if p.Title == "" || len(p.Authors) == 0 || p.ReviewBy < "2030" {
					t.Errorf("policy %s: title %q, authors %v, review_by %q", p.Name, p.Title, p.Authors, p.ReviewBy)
				}
			}
			report, err := policies.Test(t.Context(), policies.TestConfig{Config: cfg})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range report.Failed() {
				t.Errorf("%s:%d: %s: %s %s %s", r.File, r.Line, r.Name, r.Outcome, r.Expression, r.Error)
			}
			if report.Coverage.Percent != 100 || len(report.Findings) != 0 {
				t.Errorf("coverage %v, findings %v, want every line and none", report.Coverage, report.Findings)
			}
		})
	}
	for _, name := range guestLists {
		if _, err := os.Stat(path.Join(examplesDir, name, "README.md")); err != nil {
			t.Errorf("no page says when to use it: %v", err)
		}
	}
}

// playKey is a public key for documents of clients that have one.
const playKey = `{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","kid":"1"}`

// knock is one request to a guest list, in words.
type knock struct {
	client    string // identifier, or a file of testdata/realworld
	key       bool   // the document offers private_key_jwt and no other method
	loopback  bool
	scopes    string
	resources string        // empty: the first of the server
	groups    string        // of the person; empty: none
	ip        string        // empty: 192.0.2.1
	signedIn  time.Duration // before the request
	seen      time.Duration // how long ago a client of the host was first admitted
	pushed    bool
	later     *knockLater // a refresh
}

type knockLater struct {
	after  time.Duration
	ip     string // empty: as before
	groups string // empty: as before
}

// scene writes a knock as the rehearsal takes it.
func (k knock) scene(t *testing.T) rehearsal.Scene {
	t.Helper()
	if k.ip == "" {
		k.ip = "192.0.2.1"
	}
	sc := rehearsal.Scene{ClientID: k.client, At: noon, HostSeen: noon.Add(-k.seen), Document: k.document(t), Request: broker.RequestInput{
		Scopes: strings.Fields(k.scopes), Resources: strings.Fields(k.resources), ResponseType: "code", GrantType: "authorization_code", PKCE: true, PAR: k.pushed,
		Source: broker.SourceInput{IP: k.ip}},
		Person: &broker.UserInput{Sub: "ada", Groups: strings.Fields(k.groups), AuthTime: noon.Add(-k.signedIn)}}
	if k.resources == "" {
		sc.Request.Resources = []string{"https://wiki.corp.example"}
	}
	if strings.HasSuffix(k.client, ".json") && !strings.HasPrefix(k.client, "https://") {
		var m struct {
			ClientID string `json:"client_id"`
		}
		if err := json.Unmarshal(sc.Document, &m); err != nil {
			t.Fatal(err)
		}
		sc.ClientID = m.ClientID
	}
	if l := k.later; l != nil {
		sc.Refresh = &rehearsal.Refresh{At: noon.Add(l.after), Source: broker.SourceInput{IP: k.ip}}
		if l.ip != "" {
			sc.Refresh.Source.IP = l.ip
		}
		if l.groups != "" {
			sc.Refresh.Groups = strings.Fields(l.groups)
		}
	}
	return sc
}

func (k knock) document(t *testing.T) []byte {
	t.Helper()
	if !strings.HasPrefix(k.client, "https://") {
		body, err := os.ReadFile(filepath.Join("..", "testdata", "realworld", k.client))
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	u, err := url.Parse(k.client)
	if err != nil {
		t.Fatal(err)
	}
	redirect := "https://" + u.Host + "/callback"
	if k.loopback {
		redirect = "http://127.0.0.1/callback"
	}
	doc := map[string]any{"client_id": k.client, "client_name": "A client", "redirect_uris": []string{redirect},
		"grant_types": []string{"authorization_code", "refresh_token"}}
	if k.key {
		doc["token_endpoint_auth_method"] = "private_key_jwt"
		doc["jwks"] = map[string]any{"keys": []json.RawMessage{json.RawMessage(playKey)}}
	}
	body, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

const week = 7 * 24 * time.Hour

// What the guest lists say to people and clients, by the server's own code:
// "granted SCOPES", or the reason and the codes of the denials.
func TestExamplesDecide(t *testing.T) {
	const (
		freight = "https://agents.freight.example/oauth/ship"
		audit   = "https://app.audit.example/client.json"
		builder = "https://tools.builder.example/mcp/client.json"
		anyone  = "https://stranger.example/client.json"
		house   = "https://agents.corp.example/clients/one"
		console = "https://eu.consoles.corp.example/client.json"
		outside = "198.51.100.9"
		hours2  = 2 * time.Hour
	)
	for _, c := range []struct {
		list string
		knock
		want string
	}{
		// G-05: two documents on one host, with terms and groups of their own.
		{"exact-urls", knock{client: "claude-ai.json", scopes: "mcp:read mcp:write"}, "granted mcp:read"},
		{"exact-urls", knock{client: "claude-code.json", scopes: "mcp:read mcp:write", groups: "eng"}, "granted mcp:read mcp:write"},
		{"exact-urls", knock{client: "claude-code.json", scopes: "mcp:read", groups: "sales"}, "policy_denied group_missing"},
		{"exact-urls", knock{client: "vscode.json", groups: "eng"}, "granted mcp:read"},
		{"exact-urls", knock{client: "https://claude.ai/oauth/another"}, "no_policy_matched"},
		// G-14: who left the group is refused at the next refresh.
		{"exact-urls", knock{client: "claude-code.json", groups: "eng", later: &knockLater{after: hours2, ip: outside}}, "granted mcp:read"},
		{"exact-urls", knock{client: "claude-code.json", groups: "eng", later: &knockLater{after: hours2, groups: "sales"}}, "policy_denied group_missing"},

		{"partners", knock{client: freight, scopes: "mcp:read mcp:write"}, "granted mcp:read"},
		{"partners", knock{client: builder, scopes: "mcp:write"}, "granted mcp:write"},
		{"partners", knock{client: builder, scopes: "mcp:write", ip: outside}, "policy_denied outside_network"},
		{"partners", knock{client: builder, ip: outside}, "granted mcp:read"},
		{"partners", knock{client: audit, scopes: "mcp:write"}, "granted mcp:write"},
		{"partners", knock{client: freight + "/deeper"}, "no_policy_matched"},

		{"open-with-quarantine", knock{client: anyone, scopes: "mcp:read mcp:write", groups: "eng"}, "granted mcp:read"},
		{"open-with-quarantine", knock{client: anyone, scopes: "mcp:read mcp:write", groups: "eng", seen: 2 * week}, "granted mcp:read mcp:write"},
		{"open-with-quarantine", knock{client: anyone, scopes: "mcp:write", seen: 2 * week}, "policy_denied group_missing"},
		{"open-with-quarantine", knock{client: anyone, scopes: "mcp:write", groups: "eng"}, "scope_not_allowed"},
		{"open-with-quarantine", knock{client: anyone, loopback: true, seen: 2 * week}, "policy_denied loopback_unnamed"},
		{"open-with-quarantine", knock{client: anyone, seen: 2 * week, later: &knockLater{after: hours2, ip: outside}}, "granted mcp:read"},

		{"resource-owners", knock{client: house, scopes: "mcp:write", groups: "staff"}, "granted mcp:write"},
		{"resource-owners", knock{client: house, resources: "https://ledger.corp.example", groups: "staff"}, "policy_denied resource_refused"},
		{"resource-owners", knock{client: house, resources: "https://ledger.corp.example", groups: "finance"}, "granted mcp:read"},
		{"resource-owners", knock{client: house, resources: "https://ledger.corp.example https://wiki.corp.example", groups: "staff"}, "policy_denied resource_refused"},
		{"resource-owners", knock{client: house, groups: "staff", later: &knockLater{after: hours2, groups: "guests"}}, "policy_denied resource_refused"},

		{"privileged-scopes", knock{client: console, key: true, scopes: "mcp:admin", groups: "admins"}, "granted mcp:admin"},
		{"privileged-scopes", knock{client: console, scopes: "mcp:admin", groups: "admins"}, "policy_denied key_missing"},
		{"privileged-scopes", knock{client: console, scopes: "mcp:read"}, "granted mcp:read"},
		{"privileged-scopes", knock{client: console, key: true, scopes: "mcp:admin", groups: "eng", ip: outside, signedIn: time.Hour}, "policy_denied group_missing outside_network signin_stale"},
		{"privileged-scopes", knock{client: console, key: true, scopes: "mcp:admin", groups: "admins", later: &knockLater{after: hours2}}, "granted mcp:admin"},
		{"privileged-scopes", knock{client: console, key: true, scopes: "mcp:admin", groups: "admins", later: &knockLater{after: hours2, ip: outside}}, "policy_denied outside_network"},
		{"privileged-scopes", knock{client: console, key: true, scopes: "mcp:admin", groups: "admins", later: &knockLater{after: 11 * time.Hour}}, "policy_denied day_over"},
	} {
		set := loadConfig(t, policies.Config{FS: os.DirFS(path.Join(examplesDir, c.list)), Deadline: 5 * time.Second})
		if got := play(t, set, c.scene(t)); got != c.want {
			t.Errorf("%s: %+v: %s, want %s", c.list, c.knock, got, c.want)
		}
	}
}

// play says what came of a scene.
func play(t *testing.T, set *policies.Set, sc rehearsal.Scene) string {
	t.Helper()
	records, err := rehearsal.Stage{Policy: set, Issuer: "https://as.corp.example", Offer: broker.Offer{
		GrantTypes: []string{"authorization_code", "refresh_token"}, ResponseTypes: []string{"code"},
		AuthMethods: []string{"none", "private_key_jwt"}, SigningAlgs: []string{"ES256"},
		Resources: []broker.Resource{{ID: "https://wiki.corp.example"}, {ID: "https://ledger.corp.example"}},
	}}.Play(t.Context(), sc)
	if err != nil {
		return err.Error()
	}
	last := records[len(records)-1]
	if want := map[bool]string{true: "refresh", false: "user"}[sc.Refresh != nil]; last.Reason == "" && last.Phase != want {
		t.Errorf("%s: the scene ended in phase %s, want %s", sc.ClientID, last.Phase, want)
	}
	if last.Reason != "" {
		codes := []string{}
		for _, p := range last.Phases {
			for _, d := range p.Denials {
				codes = append(codes, d.Code)
			}
		}
		slices.Sort(codes)
		return strings.TrimSpace(last.Reason + " " + strings.Join(slices.Compact(codes), " "))
	}
	var effective broker.Effective
	if err := json.Unmarshal(last.Effective, &effective); err != nil {
		t.Fatal(err)
	}
	return "granted " + strings.Join(effective.Scopes, " ")
}

// Each of the ten rules lets a grant be made at noon; two hours later the
// client refreshes from another address, and the broker brings the facts as
// they froze.
func TestTenRulesTwoHoursLater(t *testing.T) {
	set := loadConfig(t, policies.Config{FS: os.DirFS(path.Join(examplesDir, "ten-rules")), Deadline: 5 * time.Second})
	write := knock{scopes: "mcp:write"}
	with := func(change func(*knock)) knock {
		k := write
		change(&k)
		return k
	}
	cases := map[string]struct {
		knock
		want string
	}{
		"freeze":     {write, "granted mcp:write"},
		"group":      {with(func(k *knock) { k.groups = "eng" }), "granted mcp:write"},
		"hours":      {write, "granted mcp:write"},
		"key":        {with(func(k *knock) { k.key = true }), "granted mcp:write"},
		"loopback":   {write, "granted mcp:write"},
		"network":    {write, "policy_denied outside_network"},
		"par":        {with(func(k *knock) { k.pushed = true }), "granted mcp:write"},
		"quarantine": {with(func(k *knock) { k.seen = week }), "granted mcp:write"},
		"resource":   {knock{groups: "finance", resources: "https://ledger.corp.example"}, "granted mcp:read"},
		"signin":     {with(func(k *knock) { k.signedIn = 14 * time.Minute }), "granted mcp:write"},
	}
	for _, name := range tenRules {
		c, ok := cases[name]
		if !ok {
			t.Errorf("rule %s is not tried", name)
			continue
		}
		c.client = "https://agents.example.com/" + name + "/client.json"
		if got := play(t, set, c.scene(t)); !strings.HasPrefix(got, "granted ") {
			t.Errorf("%s at noon: %s, want a grant", name, got)
		}
		c.later = &knockLater{after: 2 * time.Hour, ip: "198.51.100.9"}
		if got := play(t, set, c.scene(t)); got != c.want {
			t.Errorf("%s two hours later: %s, want %s", name, got, c.want)
		}
	}
}
