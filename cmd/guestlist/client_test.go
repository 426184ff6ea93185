package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/broker/cimd"
	"guestlist/store"
	"guestlist/store/bolt"
)

// Clients of these tests.
const (
	crowdPartner = "https://partner.example/oauth/client.json"
	crowdPinned  = "https://pinned.example/oauth/client.json"
)

// digestLike is a SHA-256 in hex that begins with c.
func digestLike(c string) string { return c + strings.Repeat("0", 64-len(c)) }

// crowdStore is a store with an agent that has everything a client can have,
// a partner whose life is over, and a pin of which nobody came.
func crowdStore(t *testing.T) (s store.Store, dir string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "cmd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	b, err := bolt.Open(bolt.Config{Path: filepath.Join(dir, "store")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	first := `{"client_id":"` + exampleClient + `","client_name":"Agent","redirect_uris":["https://agents.example/cb","https://agents.example/old"]}`
	second := `{"client_id":"` + exampleClient + `","client_name":"Agent \u202e2","redirect_uris":["https://agents.example/cb","https://agents.example/new"],"tos_uri":"https://agents.example/tos"}`
	u := b.Begin()
	u.CreateClient(broker.Client{
		ID: exampleClient, Registration: "cimd", Incarnation: 7, Domain: "agents.example", DocumentSHA256: digestLike("a"), DocumentBytes: len(first),
		Document:  cimd.Document{ClientID: exampleClient, ClientName: "=HYPERLINK(1)", RedirectURIs: []string{"https://agents.example/cb"}},
		Published: []byte(first),
		Keys:      []broker.KeyPrint{{ID: "k1", Thumbprint: "thumb"}},
		CreatedAt: decided, FetchedAt: decided, FreshUntil: decided.Add(time.Minute), UsableUntil: decided.Add(time.Hour), ExpiresAt: decided.Add(time.Hour),
		Policy: []string{"agents"}, Tags: []string{"mcp", "vip"}, Revision: "sha256:rev",
	})
	u.CreateClient(broker.Client{
		ID: crowdPartner, Registration: "cimd", Incarnation: 8, Domain: "partner.example", DocumentSHA256: digestLike("c"), CreatedAt: decided, FetchedAt: decided,
		ExpiresAt: decided, Policy: []string{"partners"}, Tags: []string{"partner"}, Revision: "sha256:rev",
	})
	u.PutPin(broker.Pin{ID: crowdPinned, SHA256: digestLike("d"), Actor: "root", At: decided, Published: []byte(`{"client_id":"` + crowdPinned + `","client_name":"Pinned","redirect_uris":["https://pinned.example/cb"]}`)})
	u.PutPin(broker.Pin{
		ID: exampleClient, SHA256: digestLike("a"), Actor: "root", At: decided, Published: []byte(first),
		Pending: &broker.Pending{Published: []byte(second), SHA256: digestLike("b"), SeenAt: decided, Changes: []string{"redirect_added"}},
	})
	u.PutBlock(broker.Block{Kind: broker.BlockDomain, Value: "agents.example", Reason: "incident 7", Actor: "root", At: decided})
	u.PutGrant(store.Grant{ID: "g1", ClientID: exampleClient, Incarnation: 7, Subject: "alice", Scopes: []string{"mcp:read"}, CreatedAt: decided, LastUsedAt: decided, ExpiresAt: decided.Add(time.Hour)})
	u.PutVersion(broker.Version{ClientID: exampleClient, SHA256: digestLike("a"), Published: []byte(first), SeenAt: decided.Add(-time.Hour), From: "network", Changes: []string{}})
	u.PutVersion(broker.Version{ClientID: exampleClient, SHA256: digestLike("b"), Published: []byte(second), SeenAt: decided, From: "network", Changes: []string{"cosmetic", "redirect_added", "redirect_removed"}})
	if err := b.Commit(context.Background(), u); err != nil {
		t.Fatal(err)
	}
	return b, dir
}

// crowdSocket serves an admin API about crowdStore.
func crowdSocket(t *testing.T) string {
	t.Helper()
	t.Setenv("GUESTLIST_CONFIG", "")
	s, dir := crowdStore(t)
	return serveAdmin(t, s, filepath.Join(dir, "s"))
}

// SN-20, G-08: what clients there are, and what became of their documents.
func TestLookingAtClients(t *testing.T) {
	socket := crowdSocket(t)
	for _, test := range []struct{ name, args string }{
		{"crowd_list", "client list"},
		{"crowd_list_csv", "client list -o csv"},
		{"crowd_list_label_csv", "client list --label mcp -o csv"},
		{"crowd_list_json", "client list --label partner -o json"},
		{"crowd_show", "client show " + exampleClient},
		{"crowd_show_pinned", "client show " + crowdPinned},
		{"crowd_blocks", "client blocks"},
		{"crowd_history", "client history " + exampleClient},
		{"crowd_history_diff", "client history " + exampleClient + " --diff"},
		{"crowd_history_diff_ndjson", "client history " + exampleClient + " --diff -o ndjson"},
	} {
		t.Run(test.name, func(t *testing.T) {
			out, errs, code := ask(append(strings.Fields(test.args), "--socket", socket)...)
			if code != 0 || errs != "" {
				t.Fatalf("%s = exit %d, %s", test.args, code, errs)
			}
			if r, bad := unsafe(out); bad {
				t.Errorf("%s holds %s", test.args, r)
			}
			compareGolden(t, test.name, out)
		})
	}
}

func TestClientListFilters(t *testing.T) {
	socket := crowdSocket(t)
	for args, want := range map[string]string{
		"--host agents.example":                exampleClient,
		"--domain partner.example":             crowdPartner,
		"--url-prefix https://pi":              crowdPinned,
		"--document " + digestLike("c"):        crowdPartner,
		"--policy agents":                      exampleClient,
		"--label partner":                      crowdPartner,
		"--registration pinned":                exampleClient + " " + crowdPinned,
		"--state blocked":                      exampleClient,
		"--state expired":                      crowdPartner,
		"--state live":                         "",
		"--registration cimd --label partner":  crowdPartner,
		"--state pinned --registration pinned": crowdPinned,
	} {
		out, errs, code := ask(append(strings.Fields("client list -o json "+args), "--socket", socket)...)
		var rows []struct {
			ID string `json:"client_id"`
		}
		if err := json.Unmarshal([]byte(out), &rows); err != nil || code != 0 {
			t.Errorf("client list %s = exit %d, %v, %s", args, code, err, errs)
		}
		var got []string
		for _, r := range rows {
			got = append(got, r.ID)
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("client list %s = %q, want %q", args, s, want)
		}
	}
}

func TestClientQuestionsThatMakeNoSense(t *testing.T) {
	socket := crowdSocket(t)
	for _, test := range []struct{ args, want string }{
		{"client list --host https://agents.example/x", "like agents.example"},
		{"client list --domain co.uk", "public suffix"},
		{"client list --document abc", "64 characters"},
		{"client list --state alive", `"withdrawn"`},
		{"client list --registration dcr", `"registered"`},
		{"client list extra", "see guestlist client list --help"},
		{"client history https://nobody.example/c", "no document of"},
		{"client history", "client history URL"},
		{"client show " + exampleClient + " -o csv", "want table, json or ndjson"},
	} {
		out, errs, code := ask(append(strings.Fields(test.args), "--socket", socket)...)
		if code != exitError || out != "" || !strings.Contains(errs, test.want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s = exit %d, %q, %q, want exit 1 and %q", test.args, code, out, errs, test.want)
		}
	}
}

// A spreadsheet must not run what a stranger wrote.
func TestCellsOfSheetsAreText(t *testing.T) {
	for in, want := range map[string]string{
		"Agent":        "Agent",
		"":             "",
		"=1+1":         "'=1+1",
		"＝1＋1":         "'＝1＋1",
		"＠SUM(1)":      "'＠SUM(1)",
		"+1":           "'+1",
		"-1":           "'-1",
		"@SUM(A1)":     "'@SUM(A1)",
		"\t=1":         `'\t=1`,
		"\r=1":         `'\r=1`,
		"a=1":          "a=1",
		"line\nbreak":  `line\nbreak`,
		"quote\", and": "quote\", and",
	} {
		var b strings.Builder
		if err := (table{columns: []string{"A NAME", "B"}, rows: [][]string{{in, "end"}}}).print(&b, "csv"); err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(strings.NewReader(b.String())).ReadAll()
		if err != nil || len(rows) != 2 || rows[0][0] != "a_name" || rows[1][0] != want || rows[1][1] != "end" {
			t.Errorf("csv of %q = %q, %v, want %q", in, rows, err, want)
		}
	}
}

func TestDiffDocuments(t *testing.T) {
	for _, test := range []struct{ name, before, after, want string }{
		{"same", `{"a":1}`, `{"a":1}`, `[]`},
		{"order and white space", `{"a":["x","y"],"b":1}`, ` {"b":1, "a":["y","x"]}`, `[]`},
		{"scalar", `{"a":"x"}`, `{"a":"y"}`, `[{"member":"a","removed":["x"],"added":["y"]}]`},
		{"list", `{"a":["x","y"]}`, `{"a":["y","z"]}`, `[{"member":"a","removed":["x"],"added":["z"]}]`},
		{"member added", `{}`, `{"a":{"b":true}}`, `[{"member":"a.b","added":["true"]}]`},
		{"member removed", `{"a":1,"b":2}`, `{"a":1}`, `[{"member":"b","removed":["2"]}]`},
		{"no JSON", `x`, `{"a":1}`, `[{"member":"","removed":["x"]},{"member":"a","added":["1"]}]`},
	} {
		b, err := json.Marshal(diffDocuments([]byte(test.before), []byte(test.after)))
		if err != nil || string(b) != test.want {
			t.Errorf("%s: diffDocuments() = %s, %v, want %s", test.name, b, err, test.want)
		}
	}
}

// What is shown of a difference is bounded, whatever a document holds.
func TestDifferencesAreBounded(t *testing.T) {
	var list []string
	for i := range 200 {
		list = append(list, strings.Repeat(string(rune('a'+i%26)), 1000+i))
	}
	after, err := json.Marshal(map[string]any{"list": list, strings.Repeat("m", 5000): 1})
	if err != nil {
		t.Fatal(err)
	}
	p := &page{}
	p.differences(0, []byte(`{"x":1}`), after)
	text := p.buf.String()
	if len(text) > 30_000 || !strings.Contains(text, "+ and 150 more") || !strings.Contains(text, " …") {
		t.Errorf("differences() = %d bytes: %.300s", len(text), text)
	}
}
