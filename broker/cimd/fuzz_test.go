package cimd_test

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"guestlist/broker/cimd"
)

// FuzzParse holds that whatever is accepted is read alike by net/url, is never
// rewritten, and has nothing in it that another parser could clean away.
func FuzzParse(f *testing.F) {
	var rows []struct{ Input string }
	readJSON(f, &rows, "vectors", "client_id_urls.json")
	for _, row := range rows {
		f.Add(row.Input)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		id, err := cimd.Parse(raw)
		looks := cimd.LooksLikeURL(raw)
		if err != nil {
			failure(t, err)
			return
		}
		if !looks {
			t.Errorf("LooksLikeURL(%q) = false for a valid identifier", raw)
		}
		rebuilt := id.Origin() + id.Path
		if id.HasQuery {
			rebuilt += "?" + id.Query
		}
		if id.String() != raw || rebuilt != raw || "/"+strings.Join(id.Segments, "/") != id.Path {
			t.Errorf("Parse(%q) gives back %q and %q", raw, id.String(), rebuilt)
		}
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatalf("url.Parse(%q) = %v for a valid identifier", raw, err)
		}
		if u.Scheme != "https" || u.User != nil || u.Hostname() != id.Host || u.Port() != id.Port || u.EscapedPath() != id.Path || u.RawQuery != id.Query {
			t.Errorf("Parse(%q) = %+v, url.Parse gives %+v", raw, id, u)
		}
		for _, parent := range id.Parents() {
			if !strings.HasSuffix(id.Host, "."+parent) || !strings.HasSuffix(parent, id.RegistrableDomain()) {
				t.Errorf("Parents of %q has %q", id.Host, parent)
			}
		}
	})
}

// FuzzParseDocument holds that an accepted document names its client, keeps
// only classifiable redirect URIs and no private key, and can be stored.
func FuzzParseDocument(f *testing.F) {
	var rows []documentRow
	readJSON(f, &rows, "vectors", "documents.json")
	for _, row := range rows {
		if row.Input.BodyText != nil {
			f.Add([]byte(*row.Input.BodyText), row.Profile == "cimd")
			continue
		}
		f.Add([]byte(row.Input.Body), row.Profile == "cimd")
	}
	f.Add([]byte(`{`+goodMembers+`,"client\u005fid":1,"x":"\ud800"}`), false)
	id := mustParse(f, clientURL)
	f.Fuzz(func(t *testing.T, body []byte, bare bool) {
		profile := cimd.ProfileMCP
		if bare {
			profile = cimd.ProfileCIMD
		}
		parsed, err := cimd.ParseDocument(body, id, profile)
		if err != nil {
			failure(t, err)
			return
		}
		checkAccepted(t, parsed, id, profile)
		var plain map[string]any
		if err := json.Unmarshal(body, &plain); err != nil || len(plain) != len(parsed.Published) {
			t.Errorf("encoding/json reads %d members (%v), want %d", len(plain), err, len(parsed.Published))
		}
	})
}

func checkAccepted(t *testing.T, parsed cimd.Parsed, id cimd.ID, profile cimd.Profile) {
	t.Helper()
	doc := parsed.Document
	if doc.ClientID != id.String() || profile == cimd.ProfileMCP && (doc.ClientName == "" || len(doc.RedirectURIs) == 0) {
		t.Errorf("accepted %+v", doc)
	}
	for _, uri := range doc.RedirectURIs {
		if _, err := cimd.ClassifyRedirect(uri, id); err != nil {
			t.Errorf("kept redirect URI: %v", err)
		}
	}
	for _, bad := range []string{`"d":`, `"k":`, `"p":`, `"q":`, `"oct"`} {
		if strings.Contains(string(doc.JWKS), bad) {
			t.Errorf("kept JWKS has %s: %s", bad, doc.JWKS)
		}
	}
	stored, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	var back cimd.Document
	if err := json.Unmarshal(stored, &back); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(back)
	if err != nil || string(again) != string(stored) || !reflect.DeepEqual(back.AuthMethods(), doc.AuthMethods()) {
		t.Errorf("stored as %s, read back as %s, %v", stored, again, err)
	}
}

// FuzzMatchRedirect holds that a match means equal bytes, or http to the same
// loopback host with only the port changed.
func FuzzMatchRedirect(f *testing.F) {
	var rows []struct {
		Input struct {
			Registered []string
			Requested  *string
		}
	}
	readJSON(f, &rows, "vectors", "redirect_uris.json")
	for _, row := range rows {
		if row.Input.Requested != nil {
			f.Add(row.Input.Registered[0], *row.Input.Requested)
		}
	}
	for _, c := range unregistrable {
		f.Add("http://127.0.0.1/cb", c.uri)
	}
	f.Fuzz(func(t *testing.T, registered, requested string) {
		uri, reg, ok := cimd.MatchRedirect([]string{registered}, &requested)
		if !ok {
			return
		}
		if uri != requested || reg != registered {
			t.Fatalf("MatchRedirect(%q, %q) = %q, %q", registered, requested, uri, reg)
		}
		if registered != requested && withoutLoopbackPort(registered) != withoutLoopbackPort(requested) {
			t.Errorf("MatchRedirect(%q, %q) matches", registered, requested)
		}
		if u, err := url.Parse(requested); err != nil || u.User != nil || strings.ContainsAny(requested, "#\\ \n") {
			t.Errorf("MatchRedirect lets %q through", requested)
		}
	})
}

// withoutLoopbackPort cuts the port out of an http loopback URI; two other
// URIs stay as different as they are.
func withoutLoopbackPort(uri string) string {
	for _, host := range []string{"http://127.0.0.1", "http://[::1]", "http://localhost"} {
		rest, found := strings.CutPrefix(uri, host)
		if !found {
			continue
		}
		if digits, hasPort := strings.CutPrefix(rest, ":"); hasPort {
			rest = strings.TrimLeft(digits, "0123456789")
		}
		return host + rest
	}
	return uri
}

func BenchmarkParse(b *testing.B) {
	for b.Loop() {
		if _, err := cimd.Parse("https://nousresearch.github.io/hermes-agent/docs/oauth/client-metadata.json"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseDocument(b *testing.B) {
	body, err := os.ReadFile(filepath.Join(testdata, "realworld", "vscode.json"))
	if err != nil {
		b.Fatal(err)
	}
	id := mustParse(b, "https://vscode.dev/oauth/client-metadata.json")
	for b.Loop() {
		if _, err := cimd.ParseDocument(body, id, cimd.ProfileMCP); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMatchRedirect(b *testing.B) {
	registered := []string{"http://127.0.0.1:33418/", "https://vscode.dev/redirect", "http://localhost/callback"}
	requested := "http://localhost:51234/callback"
	for b.Loop() {
		if _, _, ok := cimd.MatchRedirect(registered, &requested); !ok {
			b.Fatal("no match")
		}
	}
}
