package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/server/servertest"
	"guestlist/store"
)

// documentMembers are members of a document, with what they usually have.
var documentMembers = map[string]any{
	"client_id": "", "client_name": "", "client_uri": "", "logo_uri": "", "tos_uri": "", "policy_uri": "", "scope": "", "software_id": "", "software_version": "",
	"token_endpoint_auth_method": "", "token_endpoint_auth_signing_alg": "", "jwks_uri": "", "application_type": "", "client_name#ja": "", "client_uri#x": "",
	"redirect_uris": []string{}, "grant_types": []string{}, "response_types": []string{}, "token_endpoint_auth_methods_supported": []string{}, "contacts": []string{},
	"jwks": map[string]any{}, "unknown": "", "unknown_uri": "", "dpop_bound_access_tokens": "", "client_secret": "",
}

// spell writes a string as JSON: escaped, or, as far as it can stand between
// quotes, the bytes themselves.
func spell(s string, raw bool) json.RawMessage {
	b, _ := json.Marshal(s)
	if raw {
		b = []byte(`"` + strings.NewReplacer(`"`, `\"`, "\n", `\n`).Replace(s) + `"`)
	}
	return b
}

// hostileMember is a member of a document that has a hostile string in the
// place of a usual value.
func hostileMember(usual any, text json.RawMessage) json.RawMessage {
	switch usual.(type) {
	case []string:
		return slices.Concat([]byte(`["http://127.0.0.1/callback",`), text, []byte(`]`))
	case map[string]any:
		return slices.Concat([]byte(`{"keys":[{"kty":`), text, []byte(`,"kid":`), text, []byte(`}]}`))
	}
	return text
}

// documentOf is a document with these members in place of the usual ones.
func documentOf(id string, changes map[string]json.RawMessage) string {
	members := map[string]json.RawMessage{
		"client_id": spell(id, false), "client_name": spell("Example", false), "redirect_uris": json.RawMessage(`["http://127.0.0.1/callback"]`),
	}
	maps.Copy(members, changes)
	var b bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(members)) {
		b.WriteString("," + string(spell(name, false)) + ":")
		b.Write(members[name])
	}
	return "{" + b.String()[1:] + "}"
}

// visitor is a person's browser that looks hard at what it is shown.
type visitor struct {
	*servertest.Server
	t    *testing.T
	b    *servertest.Browser
	sent int
}

// visit opens the authorization endpoint for a client.
func (v *visitor) visit(id string) servertest.Page {
	v.t.Helper()
	v.sent++
	p := v.b.Authorize(v.Request(id, nil))
	checkAnswer(v.t, p)
	if v.sent%500 == 0 {
		if err := v.Batch.Flush(v.t.Context()); err != nil {
			v.t.Fatal(err)
		}
	}
	return p
}

// newVisitor signs a person in.
func newVisitor(t *testing.T, log *servertest.Buffer, policy map[string]string) *visitor {
	t.Helper()
	s := start(t, servertest.Options{
		Policy: policy, Log: log, Budgets: broker.Budgets{PerSource: 1e6, PerDomain: 1e6, Total: 1e6}, Caps: broker.Caps{PerDomain: 1e5},
	})
	v := &visitor{Server: s, t: t, b: s.Browser()}
	if p := v.b.SignIn(v.b.Authorize(s.Request(client, nil)), servertest.Person); p.Status != http.StatusOK {
		t.Fatalf("sign-in: %d\n%s", p.Status, brief(p))
	}
	return v
}

// B34 CU-21: whatever the author of a document and its host write, they change
// no line, no page and no record but by being text in it.
func TestHostileDocuments(t *testing.T) {
	t.Parallel()
	log := &servertest.Buffer{}
	v := newVisitor(t, log, policy())
	names := slices.Sorted(maps.Keys(documentMembers))
	shown, n := 0, 0
	publish := func(changes map[string]json.RawMessage) {
		id := fmt.Sprintf("%s/d%d.json", docHost, n)
		n++
		v.Docs.Set(id, servertest.Answer{Body: documentOf(id, changes)})
		if v.visit(id).Status == http.StatusOK {
			shown++
		}
	}
	for i, h := range servertest.HostileStrings() {
		text, raw := spell(h.Text, false), spell(h.Text, true)
		for j := range 5 {
			name := names[(5*i+j)%len(names)]
			publish(map[string]json.RawMessage{name: hostileMember(documentMembers[name], text)})
		}
		publish(map[string]json.RawMessage{h.Text: text})
		publish(map[string]json.RawMessage{"unknown": raw})
		publish(map[string]json.RawMessage{"client_name": raw})
		all := map[string]json.RawMessage{}
		for name, usual := range documentMembers {
			if name != "client_id" && name != "client_secret" {
				all[name] = hostileMember(usual, text)
			}
		}
		publish(all)
		v.host(h)
	}
	for _, name := range []string{"redirect_uris", "grant_types", "contacts", "unknown"} {
		publish(map[string]json.RawMessage{name: json.RawMessage("[" + strings.Repeat(`"x",`, 100_000) + `"x"]`)})
		publish(map[string]json.RawMessage{name: json.RawMessage(strings.Repeat("[", 100_000))})
		publish(map[string]json.RawMessage{name: json.RawMessage("[" + strings.Repeat(`"x",`, 1000) + `"x"]`)})
	}
	if lines := servertest.CheckLog(t, log.String()); len(lines) < v.sent {
		t.Errorf("%d lines of the log are whole, want one for each of %d requests", len(lines), v.sent)
	}
	if shown < 100 {
		t.Errorf("%d documents came as far as a page: too few to prove anything", shown)
	}
	v.Records(store.RecordQuery{Limit: 1})
	checkRecords(t, v.Server, func(decisionlog.Record, []byte) {})
}

// host has the document's host answer with a hostile string in every header.
func (v *visitor) host(h servertest.Hostile) {
	// net/http, which is that host too, sends no line breaks in a header.
	text := strings.Map(func(r rune) rune {
		if r == '\r' || r == '\n' || r == 0 {
			return -1
		}
		return r
	}, h.Text[:min(len(h.Text), 8<<10)])
	for _, status := range []int{200, 304, 302, 404, 503} {
		for _, name := range []string{"Content-Type", "Location", "ETag"} {
			id := fmt.Sprintf("%s/h%d.json", docHost, v.sent)
			header := map[string]string{name: text, "Cache-Control": text, "Last-Modified": text, "Retry-After": text, "Content-Encoding": text, "Server": text}
			if name == "Content-Type" {
				delete(header, "Content-Encoding")
			}
			v.Docs.Set(id, servertest.Answer{Status: status, Header: header, Body: documentOf(id, nil)})
			v.visit(id)
			if status != 200 {
				break
			}
		}
	}
}

// PF-08 G-04: what a policy author writes is text in a page, a line and a
// record.
func TestHostilePolicies(t *testing.T) {
	t.Parallel()
	files := policy()
	files["clients.rego"] = strings.Replace(files["clients.rego"], docHost+"/**", client, 1)
	strs := servertest.HostileStrings()
	for i, h := range strs {
		var text, yaml strings.Builder // neither has every character as it is
		for _, r := range h.Text[:min(len(h.Text), 900)] {
			fmt.Fprintf(&yaml, `\U%08x`, r)
			for _, unit := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(&text, `\u%04x`, unit)
			}
		}
		files[fmt.Sprintf("p%d.rego", i)] = fmt.Sprintf(`# METADATA
# title: "%[4]s"
# description: "%[4]s"
# authors: [{name: "%[4]s"}]
# custom: {owner: "%[4]s"}
package admission.policies.p%[1]d

client_ids := {"https://client.example.com/p%[1]d/*"}

settings := {"scopes": {"ceiling": ["mcp:read"], "default": ["mcp:read"]}, "redirect": {"relation": "cross_site", "loopback": true}}

deny_document contains {"code": %[3]q, "message": "%[2]s", "user_message": "%[2]s", "remedy": "%[2]s"} if "deny" in input.client.segments

warn contains {"code": %[3]q, "message": "%[2]s", "remedy": "%[2]s"}
`, i, &text, fmt.Sprintf("code_%d", i), &yaml)
	}
	log := &servertest.Buffer{}
	v := newVisitor(t, log, files)
	for i, h := range strs {
		for name, status := range map[string]int{"allow": http.StatusOK, "deny": http.StatusForbidden} {
			id := fmt.Sprintf("%s/p%d/%s", docHost, i, name)
			v.Docs.Publish(id, nil)
			if p := v.visit(id); p.Status != status {
				t.Errorf("%s, %s: %d, want %d\n%s", h.Name, name, p.Status, status, brief(p))
			}
		}
	}
	servertest.CheckLog(t, log.String())
	v.Records(store.RecordQuery{Limit: 1})
	checkRecords(t, v.Server, func(decisionlog.Record, []byte) {})
}
