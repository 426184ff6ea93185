package server_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/server/servertest"
	"guestlist/store"
)

// onChange are policies for the client with a key or without, that lets
// refresh, on a value of document.on_change.
func onChange(value string) map[string]string {
	return keyedPolicy(`"document": {"on_change": "` + value + `"}, "token_endpoint_auth_methods": ["none", "private_key_jwt"]`)
}

// meet moves the clock past the freshness of the client's document and starts
// a flow of somebody else.
func meet(s *servertest.Server) servertest.Page {
	s.Clock.Advance(90 * time.Minute)
	return s.Browser().Authorize(s.Request(client, nil))
}

// approve approves what waits, as an operator does.
func approve(t *testing.T, s *servertest.Server) {
	t.Helper()
	u := s.Store.Begin()
	if _, err := s.Broker.Approve(t.Context(), u, "operator", client, ""); err != nil {
		t.Fatalf("Approve() = %v", err)
	}
	check(t, s.Store.Commit(t.Context(), u))
}

// stored is the client's row.
func stored(t *testing.T, s *servertest.Server) broker.Client {
	t.Helper()
	row, found, err := s.Store.Begin().Client(t.Context(), client)
	if err != nil || !found {
		t.Fatalf("client: %v, %v", found, err)
	}
	return row
}

// TestG08Grants is G-08, Q2, SN-22: what a changed document does to the refreshes
// of a grant that was made before, by document.on_change, and that approval
// lets them go on.
func TestG08Grants(t *testing.T) {
	t.Parallel()
	const fine, changed = broker.Reason(""), broker.ReasonDocumentChanged
	base := map[string]any{"redirect_uris": []string{redirectURI, docHost + "/cb"}, "scope": "mcp:read mcp:write"}
	for _, tt := range []struct {
		name   string
		change map[string]any
		want   [4]broker.Reason // accept, reconsent, reapprove, deny
	}{
		{"cosmetic", map[string]any{"client_name": "B"}, [4]broker.Reason{fine, fine, fine, fine}},
		{"redirect added", map[string]any{"redirect_uris": []string{redirectURI, docHost + "/cb", docHost + "/new"}}, [4]broker.Reason{fine, fine, fine, changed}},
		{"another redirect removed", map[string]any{"redirect_uris": []string{redirectURI}}, [4]broker.Reason{fine, fine, fine, changed}},
		{"its redirect removed", map[string]any{"redirect_uris": []string{docHost + "/cb"}}, [4]broker.Reason{fine, changed, changed, changed}},
		{"its redirect replaced", map[string]any{"redirect_uris": []string{docHost + "/cb", docHost + "/new"}}, [4]broker.Reason{fine, changed, changed, changed}},
		{"scopes narrowed", map[string]any{"scope": "mcp:read"}, [4]broker.Reason{fine, fine, fine, changed}},
		{"scopes widened", map[string]any{"scope": nil}, [4]broker.Reason{fine, fine, fine, changed}},
		{"grants widened", map[string]any{"grant_types": []string{"authorization_code", "refresh_token", "urn:x"}}, [4]broker.Reason{fine, fine, fine, changed}},
	} {
		for i, value := range []string{"accept", "reconsent", "reapprove", "deny"} {
			t.Run(tt.name+"/"+value, func(t *testing.T) {
				t.Parallel()
				s := servertest.New(t, servertest.Options{Policy: onChange(value)})
				doc := maps.Clone(refreshing)
				maps.Copy(doc, base)
				s.Docs.Publish(client, doc)
				tokens := signedIn(t, s)
				maps.Copy(doc, tt.change)
				s.Docs.Publish(client, doc)
				meet(s)
				hits := s.Docs.Total()
				status, answer := refresh(s, tokens["refresh_token"], nil)
				records := s.Records(store.RecordQuery{Reason: string(tt.want[i]), Outcome: "refused"})
				if tt.want[i] == fine && status != http.StatusOK || tt.want[i] != fine && (status != http.StatusBadRequest || len(records) == 0) {
					t.Errorf("refresh: %d %v, want reason %q", status, answer, tt.want[i])
				}
				if s.Docs.Total() != hits {
					t.Error("SN-06: a refresh fetched the document")
				}
				if stored(t, s).Pending == nil {
					return
				}
				approve(t, s)
				next := tokens["refresh_token"]
				if answer["refresh_token"] != nil {
					next = answer["refresh_token"]
				}
				kept := !strings.HasPrefix(tt.name, "its redirect")
				if status, answer := refresh(s, next, nil); (status == http.StatusOK) != kept {
					t.Errorf("refresh after approval: %d %v, want it to go on: %v", status, answer, kept)
				}
			})
		}
	}
}

// TestG08KeyedGrants: a grant that was made with a key never goes on without
// one, and where its key method is gone or its key has moved it follows
// document.on_change.
func TestG08KeyedGrants(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"accept", "reconsent", "reapprove", "deny"} {
		t.Run(value, func(t *testing.T) {
			t.Parallel()
			s := servertest.New(t, servertest.Options{Policy: onChange(value)})
			k := servertest.NewClientKey(t, "ES256", "k1")
			s.Docs.Publish(client, keyedDocument(map[string]any{"jwks": servertest.KeySet(k)}))
			tokens := keyedTokens(t, s, k, client)
			s.Docs.Publish(client, refreshing) // offers none now
			p := meet(s)
			if stops := value == "reapprove" || value == "deny"; stops == isSignIn(p) {
				t.Errorf("new flow: status %d, want it stopped: %v\n%s", p.Status, stops, brief(p))
			}
			if status, answer := refresh(s, tokens["refresh_token"], nil); status == http.StatusOK {
				t.Errorf("refresh without the key: %v", answer)
			}
			if got := post(t, s, keyedRefresh(tokens, client, s.Assertion(k, client, nil, nil)), nil); got.Status == http.StatusOK {
				t.Errorf("refresh with the key that is gone: %s", got.Body)
			}
		})
	}
}

// TestG09InlineKeysMoved is G-09, G-08: keys in the document that are replaced
// without overlap, seen by a grant that was made with the old one and refreshes
// with the new one; and the same with overlap, which touches nobody.
func TestG09InlineKeysMoved(t *testing.T) {
	t.Parallel()
	const changed = broker.ReasonDocumentChanged
	for value, want := range map[string]broker.Reason{"accept": "", "reconsent": changed, "reapprove": changed, "deny": changed} {
		t.Run(value, func(t *testing.T) {
			t.Parallel()
			s := servertest.New(t, servertest.Options{Policy: onChange(value)})
			one, two := servertest.NewClientKey(t, "ES256", "k1"), servertest.NewClientKey(t, "ES256", "k2")
			s.Docs.Publish(client, keyedDocument(map[string]any{"jwks": servertest.KeySet(one)}))
			tokens := keyedTokens(t, s, one, client)
			s.Docs.Publish(client, keyedDocument(map[string]any{"jwks": servertest.KeySet(two)}))
			meet(s)
			// While the old document is in force, so is its key.
			key := two
			if stored(t, s).Pending != nil {
				key = one
			}
			got := post(t, s, keyedRefresh(tokens, client, s.Assertion(key, client, nil, nil)), nil)
			if want == "" {
				if got.Status != http.StatusOK {
					t.Errorf("refresh: %d %s", got.Status, got.Body)
				}
				return
			}
			wantJSON(t, s, got, http.StatusBadRequest, "invalid_grant", want)
			approve(t, s)
			if got := post(t, s, keyedRefresh(tokens, client, s.Assertion(two, client, nil, nil)), nil); got.Status != http.StatusOK {
				t.Errorf("refresh after approval: %d %s", got.Status, got.Body)
			}
		})
	}
	for _, value := range []string{"accept", "reconsent", "reapprove"} {
		t.Run("overlap/"+value, func(t *testing.T) {
			t.Parallel()
			s := servertest.New(t, servertest.Options{Policy: onChange(value)})
			one, two := servertest.NewClientKey(t, "ES256", "k1"), servertest.NewClientKey(t, "ES256", "k2")
			s.Docs.Publish(client, keyedDocument(map[string]any{"jwks": servertest.KeySet(one)}))
			tokens := keyedTokens(t, s, one, client)
			s.Docs.Publish(client, keyedDocument(map[string]any{"jwks": servertest.KeySet(one, two)}))
			meet(s)
			if got := post(t, s, keyedRefresh(tokens, client, s.Assertion(two, client, nil, nil)), nil); got.Status != http.StatusOK {
				t.Errorf("refresh: %d %s", got.Status, got.Body)
			}
		})
	}
}

// TestSN22ReapproveFlow is SN-22: the old set is used until the new one is
// approved, what is gone is gone, and the pending change is told.
func TestSN22ReapproveFlow(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, servertest.Options{Policy: onChange("reapprove")})
	const added = "http://127.0.0.1/added"
	s.Docs.Publish(client, refreshing)
	codePage(t, s, s.Browser(), nil)
	s.Docs.Publish(client, map[string]any{"redirect_uris": []string{"http://127.0.0.1/callback", added}})
	if p := meet(s); !isSignIn(p) {
		t.Fatalf("a flow to a URI of both: status %d\n%s", p.Status, brief(p))
	}
	at := func(uri string) servertest.Page {
		return s.Browser().Authorize(s.Request(client, url.Values{"redirect_uri": {uri}}))
	}
	wantPage(t, s, at("http://127.0.0.1:1/added"), http.StatusBadRequest, broker.ReasonRedirectMismatch)
	wantPage(t, s, at("http://localhost:1/callback"), http.StatusBadRequest, broker.ReasonRedirectMismatch) // taken away
	if p := stored(t, s).Pending; p == nil || strings.Join(p.Changes, " ") != "redirect_added redirect_removed grants_narrowed" {
		t.Errorf("pending = %+v", p)
	}
	if r := s.Records(store.RecordQuery{Event: "document.changed"}); len(r) != 1 || r[0].Outcome != "held" || !strings.Contains(r[0].Detail, "guestlist client approve "+client) {
		t.Errorf("records = %+v, want the change held, with what to do", r)
	}
	approve(t, s)
	if p := at("http://127.0.0.1:1/added"); !isSignIn(p) {
		t.Errorf("after approval: status %d\n%s", p.Status, brief(p))
	}
	versions, err := s.Store.Versions(t.Context(), client)
	if err != nil || len(versions) != 2 || versions[0].SHA256 != stored(t, s).DocumentSHA256 {
		t.Errorf("versions = %+v, %v, want two, the approved one last", versions, err)
	}
}

// TestB8RedirectRemovedBetween is B8, G-10: a redirect URI that its host takes
// away between sign-in and consent gets no code, whatever on_change says; one
// that was taken away after the code went out is where the code is bound to.
func TestB8RedirectRemovedBetween(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"accept", "reconsent", "reapprove", "deny"} {
		t.Run(value, func(t *testing.T) {
			t.Parallel()
			s := servertest.New(t, servertest.Options{Policy: onChange(value)})
			publish := func(uri string) {
				s.Docs.Set(client, servertest.Answer{Header: map[string]string{"Cache-Control": "max-age=60"}, Body: fmt.Sprintf(
					`{"client_id":%q,"client_name":"Example","redirect_uris":[%q],"token_endpoint_auth_method":"none"}`, client, uri)})
			}
			publish(redirectURI)
			b := s.Browser()
			p := atConsent(t, s, b, nil)
			publish("http://127.0.0.1/elsewhere")
			s.Clock.Advance(61 * time.Second)
			s.Browser().Authorize(s.Request(client, url.Values{"redirect_uri": {"http://127.0.0.1:2/elsewhere"}}))
			if got := b.Submit(p, "decision", allow()); got.Status != http.StatusBadRequest || got.Location != "" {
				t.Errorf("consent: status %d, location %q, want a page\n%s", got.Status, got.Location, brief(got))
			}
			if n := len(s.Records(store.RecordQuery{Reason: string(broker.ReasonDocumentChanged)})); n == 0 {
				t.Error("no record says document_changed")
			}
		})
	}
}

// TestQ3Withdrawn is Q3, B24: a document that is withdrawn ends new flows at
// once and, found so again an hour later, refreshes; brought back, both go on.
func TestQ3Withdrawn(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, servertest.Options{Policy: onChange("reconsent")})
	s.Docs.Publish(client, refreshing)
	tokens := signedIn(t, s)
	s.Docs.Set(client, servertest.Answer{Status: http.StatusNotFound})
	wantPage(t, s, meet(s), http.StatusBadRequest, broker.ReasonFetchStatus)
	_, tokens = mustRefresh(t, s, tokens)
	meet(s)
	if got := post(t, s, url.Values{"grant_type": {"refresh_token"}, "client_id": {client}, "refresh_token": {tokens["refresh_token"].(string)}}, nil); got.Status != http.StatusBadRequest {
		t.Errorf("refresh: status %d %s", got.Status, got.Body)
	} else {
		wantJSON(t, s, got, http.StatusBadRequest, "invalid_grant", broker.ReasonDocumentWithdrawn)
	}
	s.Docs.Publish(client, refreshing)
	if p := meet(s); !isSignIn(p) {
		t.Errorf("brought back: status %d\n%s", p.Status, brief(p))
	}
	mustRefresh(t, s, tokens)
}

// mustRefresh refreshes, and ends the test where it is refused.
func mustRefresh(t *testing.T, s *servertest.Server, tokens map[string]any) (int, map[string]any) {
	t.Helper()
	status, answer := refresh(s, tokens["refresh_token"], nil)
	if status != http.StatusOK {
		t.Fatalf("refresh: %d %v", status, answer)
	}
	return status, answer
}

// TestF7Conditional is F7, F8, SN-02, SN-05, A10: ten flows inside the TTL of
// the settings are one fetch, the next one asks by the validator, and a
// document that still stands is used on.
func TestF7Conditional(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, servertest.Options{Policy: keyedPolicy(`"document": {"ttl_ceiling": "120s"}`)})
	doc := map[string]any{"client_id": client, "client_name": "Example", "redirect_uris": []string{redirectURI}}
	body, err := json.Marshal(doc)
	check(t, err)
	s.Docs.Set(client, servertest.Answer{Header: map[string]string{"ETag": `"v1"`}, Body: string(body)})
	flow := func() {
		t.Helper()
		if p := s.Browser().Authorize(s.Request(client, nil)); !isSignIn(p) {
			t.Fatalf("status %d\n%s", p.Status, brief(p))
		}
	}
	for range 10 {
		flow()
		s.Clock.Advance(11 * time.Second)
	}
	if n := s.Docs.Hits(client); n != 1 {
		t.Errorf("%d fetches in 110 s, want 1", n)
	}
	s.Clock.Advance(10 * time.Second)
	flow()
	if hits, stood := s.Docs.Hits(client), s.Docs.Stood(client); hits != 2 || stood != 1 {
		t.Errorf("%d fetches, %d of them 304, want 2 and 1", hits, stood)
	}
	row := stored(t, s)
	if !row.FreshUntil.Equal(s.Clock.Now().Add(2 * time.Minute)) {
		t.Errorf("fresh until %v, want 120 s from now", row.FreshUntil)
	}
	flow()
	if n := s.Docs.Hits(client); n != 2 {
		t.Errorf("%d fetches, want the answer 304 to count as fresh", n)
	}
	// Another tag, another document.
	s.Clock.Advance(2 * time.Minute)
	s.Docs.Set(client, servertest.Answer{Header: map[string]string{"ETag": `"v2"`}, Body: strings.Replace(string(body), "Example", "Another", 1)})
	flow()
	if row := stored(t, s); row.Document.ClientName != "Another" || row.ETag != `"v2"` || s.Docs.Stood(client) != 1 {
		t.Errorf("row = %+v, want the other document", row)
	}
}

// TestSN07NotCached is SN-07, F9, F10: what is no document is not kept as an
// answer: mended, it works at the next flow.
func TestSN07NotCached(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	for name, bad := range map[string]servertest.Answer{
		"bad JSON": {Body: "{"}, "404": {Status: http.StatusNotFound}, "500": {Status: http.StatusInternalServerError},
		"text/html": {Header: map[string]string{"Content-Type": "text/html"}, Body: "{}"},
	} {
		s.Docs.Set(client, bad)
		s.Clock.Advance(30 * time.Second) // the longest that failures pace
		if p := s.Browser().Authorize(s.Request(client, nil)); p.Status != http.StatusBadRequest {
			t.Errorf("%s: status %d", name, p.Status)
		}
		wantNobody(t, s)
	}
	s.Docs.Publish(client, nil)
	s.Clock.Advance(30 * time.Second)
	codePage(t, s, s.Browser(), nil)
}

// TestG08IntrospectionOfWhatWaits is G-08, design §9: a redirect URI that the
// host has taken away is gone for introspection as it is for refreshes, also
// where the rest of the change waits for an operator.
func TestG08IntrospectionOfWhatWaits(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, servertest.Options{Policy: onChange("reapprove")})
	doc := maps.Clone(refreshing)
	doc["redirect_uris"] = []string{redirectURI, docHost + "/cb"}
	s.Docs.Publish(client, doc)
	tokens := signedIn(t, s)
	s.Clock.Advance(90 * time.Minute) // the next flow fetches
	status, tokens := refresh(s, tokens["refresh_token"], nil)
	if status != http.StatusOK {
		t.Fatalf("refresh: %d %v", status, tokens)
	}
	doc["redirect_uris"] = []string{docHost + "/cb", docHost + "/new"}
	s.Docs.Publish(client, doc)
	s.Browser().Authorize(s.Request(client, nil))
	if stored(t, s).Pending == nil {
		t.Fatal("the changed document does not wait")
	}
	if status, answer := refresh(s, tokens["refresh_token"], nil); status != http.StatusBadRequest {
		t.Errorf("refresh: %d %v, want 400", status, answer)
	}
	if _, got, _ := introspect(t, s, "Example MCP server", servertest.Secret, tokens["access_token"]); got["active"] != false {
		t.Errorf("introspection: %v, want inactive", got)
	}
}
