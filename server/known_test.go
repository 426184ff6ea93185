package server_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/broker/cimd"
	"guestlist/server/servertest"
	"guestlist/store"
)

// opaqueID is the client_id of RFC 7591's examples.
const opaqueID = "s6BhdRkqt3"

// operate runs one act of an operator in one commit.
func operate(t *testing.T, s *servertest.Server, act func(u store.Unit) error) {
	t.Helper()
	u := s.Store.Begin()
	check(t, act(u))
	check(t, s.Store.Commit(t.Context(), u))
}

// clientDocument is a document of a client with refresh tokens.
func clientDocument(t *testing.T, id string, change map[string]any) []byte {
	t.Helper()
	doc := map[string]any{
		"client_id": id, "client_name": "Kept by us", "client_uri": docHost + "/", "redirect_uris": []string{redirectURI},
		"grant_types": refreshing["grant_types"], "response_types": []string{"code"}, "token_endpoint_auth_method": "none",
	}
	maps.Copy(doc, change)
	maps.DeleteFunc(doc, func(_ string, v any) bool { return v == nil })
	b, err := json.Marshal(doc)
	check(t, err)
	return b
}

// admitting is lasting with registrations of its own and further clients.
func admitting(registrations, clientIDs string) map[string]string {
	files := lasting("revoke")
	files["clients.rego"] = strings.Replace(files["clients.rego"], `client_ids := {"https://client.example.com/**"}`,
		"registrations := "+registrations+"\n\nclient_ids := "+clientIDs, 1)
	return files
}

// rowOf is the stored row of a client.
func rowOf(t *testing.T, s *servertest.Server, id string) (broker.Client, bool) {
	t.Helper()
	row, found, err := s.Store.Begin().Client(t.Context(), id)
	check(t, err)
	return row, found
}

// pin has an operator store a document.
func pin(t *testing.T, s *servertest.Server, document []byte) {
	t.Helper()
	operate(t, s, func(u store.Unit) error { return s.Broker.PinClient(t.Context(), u, "olga", client, document) })
}

// TestSN03Static, F3: a pinned client plays its flow while its host is down, and
// nobody ever asks the host; what the host changes has no effect (SN-06, G-12).
func TestSN03Static(t *testing.T) {
	t.Parallel()
	files := lasting("revoke")
	files["clients.rego"] = strings.Replace(files["clients.rego"], "settings := {", `settings := {
	"document": {"max_age_for_refresh": "1h"},`, 1)
	s := start(t, servertest.Options{Policy: files})
	pin(t, s, clientDocument(t, client, nil))
	s.Docs.Set(client, servertest.Answer{Status: 500})
	tokens := signedIn(t, s)
	row, _ := rowOf(t, s, client)
	if row.Registration != broker.RegistrationPinned || row.Document.ClientName != "Kept by us" {
		t.Errorf("row = %s %q, want the pinned document", row.Registration, row.Document.ClientName)
	}
	b := s.Browser()
	if p := b.SignIn(b.Authorize(s.Request(client, nil)), "alice"); !strings.Contains(p.Body, "Kept by us") || strings.Contains(p.Body, "chose that name itself") {
		t.Errorf("the consent page says of a pinned client that it names itself:\n%s", brief(p))
	}
	s.Docs.Publish(client, map[string]any{"redirect_uris": []string{"https://evil.example.com/cb"}})
	for range 3 {
		s.Clock.Advance(24 * time.Hour)
		status, answer := refresh(s, tokens["refresh_token"], nil)
		if status != http.StatusOK {
			t.Fatalf("refresh at %s: %d %v", s.Clock.Now(), status, answer)
		}
		if tokens = answer; !isActive(t, s, tokens["access_token"]) {
			t.Fatalf("inactive at %s", s.Clock.Now())
		}
	}
	codePage(t, s, s.Browser(), nil)
	if again, _ := rowOf(t, s, client); again.Incarnation != row.Incarnation || !again.FetchedAt.After(row.FetchedAt) {
		t.Errorf("row of incarnation %d at %s, want it made again from the pin in life %d", again.Incarnation, again.FetchedAt, row.Incarnation)
	}
	if n := s.Docs.Total(); n != 0 {
		t.Errorf("%d fetches for a pinned client, want none", n)
	}
	recs := s.Records(store.RecordQuery{Event: "admission.decided", ClientID: client})
	for _, r := range recs {
		if r.Registration != "pinned" || !strings.Contains(string(r.Input), `"registration":"pinned"`) {
			t.Errorf("record %s says registration %q", r.Outcome, r.Registration)
		}
	}
	// Unpinned, it is the host's again, and what was seen long ago is too old.
	s.Clock.Advance(2 * time.Hour)
	operate(t, s, func(u store.Unit) error { return s.Broker.UnpinClient(t.Context(), u, "olga", client) })
	status, answer := refresh(s, tokens["refresh_token"], nil)
	if n := len(s.Records(store.RecordQuery{Reason: "document_too_old", Outcome: "refused"})); status != http.StatusBadRequest || n != 1 {
		t.Errorf("refresh after the pin ended: %d %v with %d records, want document_too_old", status, answer, n)
	}
}

// TestSN01PinnedOnly: a policy of pinned clients lets the listed URL in and
// refuses its sibling without a fetch.
func TestSN01PinnedOnly(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{Policy: admitting(`{"pinned"}`, `{"https://client.example.com/**"}`)})
	pin(t, s, clientDocument(t, client, nil))
	codePage(t, s, s.Browser(), nil)
	sibling := docHost + "/sibling"
	s.Docs.Publish(sibling, nil)
	wantRecord(t, s, s.Browser().Authorize(s.Request(sibling, nil)), broker.ReasonNoPolicyMatched)
	if n := s.Docs.Total(); n != 0 {
		t.Errorf("%d fetches, want none", n)
	}
}

// TestSN04LiveAndStatic: a pin and its end take effect at the next flow, and
// the client's life goes on; a grant that the new document does not carry is
// held against it (G-08).
func TestSN04LiveAndStatic(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{Policy: lasting("revoke")})
	s.Docs.Publish(client, map[string]any{"client_name": "Live", "grant_types": refreshing["grant_types"]})
	tokens := signedIn(t, s)
	row, _ := rowOf(t, s, client)
	pin(t, s, clientDocument(t, client, nil))
	if status, answer := refresh(s, tokens["refresh_token"], nil); status != http.StatusOK || s.Docs.Hits(client) != 1 {
		t.Fatalf("refresh before the next flow: %d %v, %d fetches", status, answer, s.Docs.Hits(client))
	} else {
		tokens = answer
	}
	codePage(t, s, s.Browser(), nil)
	pinned, _ := rowOf(t, s, client)
	if pinned.Registration != broker.RegistrationPinned || pinned.Document.ClientName != "Kept by us" || pinned.Incarnation != row.Incarnation {
		t.Errorf("after the pin: %s %q, life %d, want pinned in life %d", pinned.Registration, pinned.Document.ClientName, pinned.Incarnation, row.Incarnation)
	}
	if status, answer := refresh(s, tokens["refresh_token"], nil); status != http.StatusOK {
		t.Fatalf("refresh after the pin: %d %v", status, answer)
	} else {
		tokens = answer
	}
	operate(t, s, func(u store.Unit) error { return s.Broker.UnpinClient(t.Context(), u, "olga", client) })
	codePage(t, s, s.Browser(), nil)
	live, _ := rowOf(t, s, client)
	if live.Registration != broker.RegistrationCIMD || live.Document.ClientName != "Live" || live.Incarnation != row.Incarnation {
		t.Errorf("after the end of the pin: %s %q, life %d, want cimd in life %d", live.Registration, live.Document.ClientName, live.Incarnation, row.Incarnation)
	}
	pin(t, s, clientDocument(t, client, map[string]any{"redirect_uris": []string{docHost + "/cb"}}))
	s.Browser().Authorize(s.Request(client, url.Values{"redirect_uri": {docHost + "/cb"}}))
	if status, answer := refresh(s, tokens["refresh_token"], nil); status != http.StatusBadRequest {
		t.Errorf("refresh of a grant whose redirect URI is not in the pin: %d %v", status, answer)
	}
}

// TestSN04PinIsNotAcceptedForItsGrants: document.on_change accept is about what
// hosts publish. A grant is held against an operator's document whatever it
// says (G-08).
func TestSN04PinIsNotAcceptedForItsGrants(t *testing.T) {
	t.Parallel()
	files := lasting("revoke")
	files["clients.rego"] = strings.Replace(files["clients.rego"], "settings := {", `settings := {
	"document": {"on_change": "accept"},`, 1)
	s := start(t, servertest.Options{Policy: files})
	s.Docs.Publish(client, refreshing)
	tokens := signedIn(t, s)
	pin(t, s, clientDocument(t, client, map[string]any{"redirect_uris": []string{docHost + "/cb"}}))
	s.Browser().Authorize(s.Request(client, url.Values{"redirect_uri": {docHost + "/cb"}}))
	if isActive(t, s, tokens["access_token"]) {
		t.Error("introspection: active, though the pin does not list the grant's redirect URI")
	}
	if status, answer := refresh(s, tokens["refresh_token"], nil); status != http.StatusBadRequest {
		t.Errorf("refresh: %d %v", status, answer)
	}
}

// TestSN18Inactive: an operator's block is the Active flag of a pinned client,
// and policy off is another, with on_policy_change for the tokens.
func TestSN18Inactive(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{Policy: lasting("stop_refresh")})
	pin(t, s, clientDocument(t, client, nil))
	tokens := signedIn(t, s)
	off := lasting("stop_refresh")
	off["clients.rego"] += "\nmode := \"off\"\n"
	activate(t, s, off)
	if p := s.Browser().Authorize(s.Request(client, nil)); p.Status != http.StatusForbidden {
		t.Errorf("a flow while its policy is off: %d", p.Status)
	}
	if !isActive(t, s, tokens["access_token"]) {
		t.Error("its access token ended, want stop_refresh")
	}
	activate(t, s, lasting("stop_refresh"))
	block := broker.Block{Kind: broker.BlockURL, Value: client, Reason: "inactive", Actor: "olga"}
	operate(t, s, func(u store.Unit) error { return s.Broker.Block(t.Context(), u, block) })
	wantRecord(t, s, s.Browser().Authorize(s.Request(client, nil)), broker.ReasonClientBlocked)
	if isActive(t, s, tokens["access_token"]) || s.Docs.Total() != 0 {
		t.Errorf("a blocked client: token active, or %d fetches", s.Docs.Total())
	}
}

// TestG07BlockAndRevoke: what an operator ends is over at once everywhere but
// in a JWT that is out, revocation by the client still works, and nothing
// comes back (H-02, H-03, B30).
func TestG07BlockAndRevoke(t *testing.T) {
	t.Parallel()
	block := broker.Block{Kind: broker.BlockHost, Value: "client.example.com", Reason: "phishing", Actor: "olga"}
	for name, test := range map[string]struct {
		act, undo func(t *testing.T, s *servertest.Server)
		start     broker.Reason // of a new flow meanwhile; empty: it is admitted
	}{
		"block": {
			act: func(t *testing.T, s *servertest.Server) {
				operate(t, s, func(u store.Unit) error { return s.Broker.Block(t.Context(), u, block) })
			},
			undo: func(t *testing.T, s *servertest.Server) {
				operate(t, s, func(u store.Unit) error {
					return s.Broker.Unblock(t.Context(), u, "olga", block.Kind, block.Value)
				})
			},
			start: broker.ReasonHostBlocked,
		},
		"revoke": {
			act: func(t *testing.T, s *servertest.Server) {
				row, _ := rowOf(t, s, client)
				operate(t, s, func(u store.Unit) error {
					return s.Broker.Revoke(t.Context(), u, "olga", "incident", []broker.Client{row})
				})
			},
			undo: func(*testing.T, *servertest.Server) {},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, servertest.Options{Policy: lasting("keep")})
			s.Docs.Publish(client, refreshing)
			tokens, code := signedIn(t, s), waiting(t, s)
			row, _ := rowOf(t, s, client)
			test.act(t, s)
			hits := s.Docs.Hits(client)
			if isActive(t, s, tokens["access_token"]) {
				t.Error("introspection: active")
			}
			if status, answer, _ := s.Token(code); status != http.StatusBadRequest || answer["error"] != "invalid_grant" {
				t.Errorf("code exchange: %d %v", status, answer)
			}
			if status, answer := refresh(s, tokens["refresh_token"], nil); status != http.StatusBadRequest || answer["error"] != "invalid_grant" {
				t.Errorf("refresh: %d %v", status, answer)
			}
			if status := revoke(t, s, tokens["refresh_token"]); status != http.StatusOK {
				t.Errorf("revocation: %d", status)
			}
			if s.Docs.Hits(client) != hits {
				t.Error("something was fetched")
			}
			if test.start != "" {
				p := s.Browser().Authorize(s.Request(client, nil))
				wantRecord(t, s, p, test.start)
				if p.Status != http.StatusForbidden || p.Location != "" || s.Docs.Hits(client) != hits {
					t.Errorf("a new flow: status %d, location %q, %d fetches; want a page", p.Status, p.Location, s.Docs.Hits(client)-hits)
				}
			}
			test.undo(t, s)
			if status, _ := refresh(s, tokens["refresh_token"], nil); status != http.StatusBadRequest || isActive(t, s, tokens["access_token"]) {
				t.Errorf("afterwards: refresh %d", status)
			}
			again := signedIn(t, s)
			if now, _ := rowOf(t, s, client); now.Incarnation == row.Incarnation {
				t.Error("admitted anew into the same life")
			}
			if status, _ := refresh(s, tokens["refresh_token"], nil); status != http.StatusBadRequest || !isActive(t, s, again["access_token"]) {
				t.Errorf("the old grant under the new life: refresh %d", status)
			}
		})
	}
}

// TestB30GraceDoesNotOutliveABlock: the answer to a refresh token is not given
// again to a client that was blocked since.
func TestB30GraceDoesNotOutliveABlock(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{Policy: lasting("revoke")})
	s.Docs.Publish(client, refreshing)
	tokens := signedIn(t, s)
	if status, answer := refresh(s, tokens["refresh_token"], nil); status != http.StatusOK {
		t.Fatalf("refresh: %d %v", status, answer)
	}
	if status, answer := refresh(s, tokens["refresh_token"], nil); status != http.StatusOK {
		t.Fatalf("refresh within the grace window: %d %v", status, answer)
	}
	operate(t, s, func(u store.Unit) error {
		return s.Broker.Block(t.Context(), u, broker.Block{Kind: broker.BlockURL, Value: client, Actor: "olga"})
	})
	if status, answer := refresh(s, tokens["refresh_token"], nil); status != http.StatusBadRequest {
		t.Errorf("refresh within the grace window, blocked: %d %v", status, answer)
	}
}

// TestB30PolicyGoneAndBack: a policy that was removed and restored revives no
// grant of a client that was met in between, and a client admitted anew does
// not revive the refresh tokens of its life before.
func TestB30PolicyGoneAndBack(t *testing.T) {
	t.Parallel()
	for name, meet := range map[string]func(t *testing.T, s *servertest.Server, tokens map[string]any){
		"a flow": func(t *testing.T, s *servertest.Server, _ map[string]any) {
			s.Browser().Authorize(s.Request(client, nil))
		},
		"refresh": func(t *testing.T, s *servertest.Server, tokens map[string]any) {
			refresh(s, tokens["refresh_token"], nil)
		},
		"introspection": func(t *testing.T, s *servertest.Server, tokens map[string]any) {
			isActive(t, s, tokens["access_token"])
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, servertest.Options{Policy: lasting("revoke")})
			s.Docs.Publish(client, refreshing)
			tokens := signedIn(t, s)
			activate(t, s, nobody)
			meet(t, s, tokens)
			activate(t, s, lasting("revoke"))
			signedIn(t, s)
			if status, _ := refresh(s, tokens["refresh_token"], nil); status != http.StatusBadRequest || isActive(t, s, tokens["access_token"]) {
				t.Errorf("the grant of the ended life: refresh %d, or active", status)
			}
		})
	}
}

// registered is a server with clients of the configuration.
func registered(t *testing.T, dir string, policy map[string]string, documents ...[]byte) *servertest.Server {
	t.Helper()
	var known []broker.Registered
	for _, d := range documents {
		var m struct {
			ID string `json:"client_id"`
		}
		check(t, json.Unmarshal(d, &m))
		id, err := cimd.Parse(m.ID)
		if err != nil {
			id, err = cimd.Opaque(m.ID)
		}
		check(t, err)
		known = append(known, broker.Registered{ID: id, Published: d})
	}
	return start(t, servertest.Options{Dir: dir, Policy: policy, Known: known})
}

// TestCU17RegisteredWins: a client of the configuration wins over the document
// at its URL, over a pin and over the row of either, whose life ends; nothing
// is fetched (B29).
func TestCU17RegisteredWins(t *testing.T) {
	t.Parallel()
	all := admitting(`{"cimd", "pinned", "registered"}`, `{"https://client.example.com/**"}`)
	dir := t.TempDir()
	s := registered(t, dir, all)
	s.Docs.Publish(client, refreshing)
	tokens := signedIn(t, s)
	before, _ := rowOf(t, s, client)
	pin(t, s, clientDocument(t, client, nil))
	s.Stop()

	ours := clientDocument(t, client, map[string]any{"client_name": "Ours"})
	s = registered(t, dir, all, ours)
	if isActive(t, s, tokens["access_token"]) {
		t.Error("the token of the client that the configuration took over is active")
	}
	if status, _ := refresh(s, tokens["refresh_token"], nil); status != http.StatusBadRequest {
		t.Errorf("its refresh: %d", status)
	}
	tokens = signedIn(t, s)
	row, _ := rowOf(t, s, client)
	if row.Registration != broker.RegistrationRegistered || row.Document.ClientName != "Ours" || row.Incarnation == before.Incarnation {
		t.Errorf("row = %s %q life %d, want the registered one in a life of its own", row.Registration, row.Document.ClientName, row.Incarnation)
	}
	if n := s.Docs.Total(); n != 0 {
		t.Errorf("%d fetches, want none", n)
	}
	if err := s.Broker.PinClient(t.Context(), s.Store.Begin(), "olga", client, ours); err == nil {
		t.Error("a registered client can be pinned")
	}
	s.Stop()

	s = registered(t, dir, all)
	if status, _ := refresh(s, tokens["refresh_token"], nil); status != http.StatusBadRequest {
		t.Errorf("refresh once the configuration gave the client up: %d", status)
	}
	if _, found := rowOf(t, s, client); found {
		t.Error("the registered row outlives the configuration")
	}
}

// TestA4OpaqueClient: a client with an opaque identifier plays its flow where
// a policy names it literally, and only there.
func TestA4OpaqueClient(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	policy := admitting(`{"registered"}`, `{"`+opaqueID+`"}`)
	s := registered(t, dir, policy, clientDocument(t, opaqueID, nil), clientDocument(t, "another", nil))
	p := s.Browser().Play(s.Request(opaqueID, nil))
	status, tokens, _ := s.Token(s.Exchange(opaqueID, p, nil))
	if status != http.StatusOK || servertest.Claims(t, tokens["access_token"])["client_id"] != opaqueID {
		t.Fatalf("token: %d %v\n%s", status, tokens, p.Body)
	}
	if !isActive(t, s, tokens["access_token"]) {
		t.Error("introspection: inactive")
	}
	form := url.Values{"client_id": {opaqueID}}
	if status, answer := refresh(s, tokens["refresh_token"], form); status != http.StatusOK {
		t.Errorf("refresh: %d %v", status, answer)
	}
	row, _ := rowOf(t, s, opaqueID)
	if row.Registration != broker.RegistrationRegistered || row.Domain != "" {
		t.Errorf("row = %+v", row)
	}
	b := s.Browser()
	if p = b.SignIn(b.Authorize(s.Request(opaqueID, nil)), servertest.Person); mark(p, "client-host") != opaqueID {
		t.Errorf("the consent page shows %q as who asks, want the client_id", mark(p, "client-host"))
	}
	wantRecord(t, s, s.Browser().Authorize(s.Request("another", nil)), broker.ReasonNoPolicyMatched)
	p = s.Browser().Authorize(s.Request("nobody", nil))
	wantRecord(t, s, p, broker.ReasonClientIDUnknown)
	if rows := s.Records(store.RecordQuery{RequestID: p.Header.Get("X-Request-Id")}); len(rows) != 1 || rows[0].ClientID != "" || rows[0].ClientIDDigest == "" {
		t.Errorf("record of an unknown client_id = %+v, want its digest alone", rows)
	}
	s.Stop()

	s = registered(t, dir, policy)
	wantRecord(t, s, s.Browser().Authorize(s.Request(opaqueID, nil)), broker.ReasonClientIDUnknown)
	if _, found := rowOf(t, s, opaqueID); found {
		t.Error("the row of a client that the configuration gave up is there after it was met")
	}
}

// TestPF01RegisteredOutlivesTheSwitch: cimd.admit: false stops clients that
// nobody here vouches for, and neither pinned nor registered ones.
func TestPF01RegisteredOutlivesTheSwitch(t *testing.T) {
	t.Parallel()
	id, err := cimd.Opaque(opaqueID)
	check(t, err)
	s := start(t, servertest.Options{
		AdmitOff: true, Policy: admitting(`{"pinned", "registered"}`, `{"`+opaqueID+`", "https://client.example.com/**"}`),
		Known: []broker.Registered{{ID: id, Published: clientDocument(t, opaqueID, nil)}},
	})
	wantRecord(t, s, s.Browser().Authorize(s.Request(client, nil)), broker.ReasonCIMDOff)
	pin(t, s, clientDocument(t, client, nil))
	signedIn(t, s)
	p := s.Browser().Play(s.Request(opaqueID, nil))
	status, tokens, _ := s.Token(s.Exchange(opaqueID, p, nil))
	if status != http.StatusOK || !isActive(t, s, tokens["access_token"]) {
		t.Errorf("a registered client: token %d %v", status, tokens)
	}
}

// TestH10Events: every act of an operator leaves a record with its actor.
func TestH10Events(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{Policy: lasting("revoke")})
	codePage(t, s, s.Browser(), nil)
	row, _ := rowOf(t, s, client)
	ctx := t.Context()
	block := broker.Block{Kind: broker.BlockDomain, Value: "example.com", Reason: "phishing", Actor: "olga"}
	operate(t, s, func(u store.Unit) error { return s.Broker.Revoke(ctx, u, "olga", "incident", []broker.Client{row}) })
	pin(t, s, clientDocument(t, client, nil))
	operate(t, s, func(u store.Unit) error { return s.Broker.UnpinClient(ctx, u, "olga", client) })
	operate(t, s, func(u store.Unit) error { return s.Broker.Block(ctx, u, block) })
	operate(t, s, func(u store.Unit) error { return s.Broker.Unblock(ctx, u, "olga", block.Kind, block.Value) })
	var acts []string
	for _, r := range s.Records(store.RecordQuery{}) {
		if r.Actor == "olga" {
			acts = append(acts, r.Event)
		}
	}
	if want := []string{"client.revoked", "document.pinned", "document.unpinned", "client.blocked", "client.unblocked"}; !slices.Equal(acts, want) {
		t.Errorf("records of the operator = %q, want %q", acts, want)
	}
	versions, err := s.Store.Versions(ctx, client)
	check(t, err)
	if len(versions) == 0 || versions[0].From != "pin" {
		t.Errorf("versions = %+v, want the pinned document", versions)
	}
}

// TestH01LivenessIsComputed: whatever says no ends access at the next request,
// without a fetch, and alone suffices.
func TestH01LivenessIsComputed(t *testing.T) {
	t.Parallel()
	for name, flip := range map[string]func(t *testing.T, s *servertest.Server) *servertest.Server{
		"no policy names it": func(t *testing.T, s *servertest.Server) *servertest.Server {
			activate(t, s, nobody)
			return s
		},
		"a deny matches": func(t *testing.T, s *servertest.Server) *servertest.Server {
			files := lasting("keep")
			files["clients.rego"] += "\ndeny contains {\"code\": \"no\", \"message\": \"no\"} if true\n"
			activate(t, s, files)
			return s
		},
		"a guardrail denies": func(t *testing.T, s *servertest.Server) *servertest.Server {
			files := lasting("keep")
			files["guardrails.rego"] = "package admission.guardrails\n\ndeny contains {\"code\": \"no\", \"message\": \"no\"} if true\n"
			activate(t, s, files)
			return s
		},
		"the registration does not fit": func(t *testing.T, s *servertest.Server) *servertest.Server {
			activate(t, s, admitting(`{"pinned"}`, `{"https://client.example.com/**"}`))
			return s
		},
		"it is blocked": func(t *testing.T, s *servertest.Server) *servertest.Server {
			row, _ := rowOf(t, s, client)
			block := broker.Block{Kind: broker.BlockDocument, Value: row.DocumentSHA256, Actor: "olga"}
			operate(t, s, func(u store.Unit) error { return s.Broker.Block(t.Context(), u, block) })
			return s
		},
		"it is revoked": func(t *testing.T, s *servertest.Server) *servertest.Server {
			row, _ := rowOf(t, s, client)
			operate(t, s, func(u store.Unit) error { return s.Broker.Revoke(t.Context(), u, "olga", "", []broker.Client{row}) })
			return s
		},
		"the switch is off": func(t *testing.T, s *servertest.Server) *servertest.Server {
			s.Stop()
			return start(t, servertest.Options{Dir: s.Dir, AdmitOff: true, Policy: lasting("revoke")})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, servertest.Options{Dir: t.TempDir(), Policy: lasting("revoke")})
			s.Docs.Publish(client, refreshing)
			tokens, code := signedIn(t, s), waiting(t, s)
			if !isActive(t, s, tokens["access_token"]) {
				t.Fatal("inactive before")
			}
			s = flip(t, s)
			hits := s.Docs.Hits(client)
			if isActive(t, s, tokens["access_token"]) {
				t.Error("introspection: active")
			}
			if status, answer := refresh(s, tokens["refresh_token"], nil); status != http.StatusBadRequest {
				t.Errorf("refresh: %d %v", status, answer)
			}
			if status, answer, _ := s.Token(code); status != http.StatusBadRequest {
				t.Errorf("code exchange: %d %v", status, answer)
			}
			if n := s.Docs.Hits(client) - hits; n != 0 {
				t.Errorf("%d fetches, want none", n)
			}
		})
	}
}
