package server_test

import (
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/server/servertest"
	"guestlist/store"
)

// refreshing is a document that lists the refresh_token grant.
var refreshing = map[string]any{"grant_types": []string{"authorization_code", "refresh_token"}}

// signedIn plays a flow to its tokens.
func signedIn(t *testing.T, s *servertest.Server) map[string]any {
	t.Helper()
	p := s.Browser().Play(s.Request(client, nil))
	status, answer, _ := s.Token(s.Exchange(client, p, nil))
	if status != http.StatusOK || answer["refresh_token"] == nil {
		t.Fatalf("token: %d %v\n%s", status, answer, p.Body)
	}
	return answer
}

// refresh presents a refresh token.
func refresh(s *servertest.Server, token any, changes url.Values) (int, map[string]any) {
	f := url.Values{"grant_type": {"refresh_token"}, "client_id": {client}, "refresh_token": {token.(string)}}
	for k, v := range changes {
		f[k] = v
	}
	status, answer, _ := s.Token(f)
	return status, answer
}

// revoke gives a token back.
func revoke(t *testing.T, s *servertest.Server, token any) int {
	t.Helper()
	resp, err := s.Client().PostForm(s.Issuer+"/revoke", url.Values{"client_id": {client}, "token": {token.(string)}})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// TestRefresh is M21, SN-06, trap 31: rotation in one commit, without a fetch.
func TestRefresh(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, servertest.Options{})
	s.Docs.Publish(client, refreshing)
	first := signedIn(t, s)
	s.Clock.Advance(time.Minute)
	commits, hits := s.Store.Commits(), s.Docs.Total()
	status, second := refresh(s, first["refresh_token"], nil)
	if status != http.StatusOK {
		t.Fatalf("refresh: %d %v", status, second)
	}
	if n := s.Store.Commits() - commits; n != 1 {
		t.Errorf("refresh: %d commits, want 1", n)
	}
	if n := s.Docs.Total() - hits; n != 0 {
		t.Errorf("refresh: %d fetches, want none", n)
	}
	a, b := servertest.Claims(t, first["access_token"]), servertest.Claims(t, second["access_token"])
	if b["iat"].(float64)-a["iat"].(float64) != 60 || a["jti"] == b["jti"] || a["auth_time"] != b["auth_time"] {
		t.Errorf("claims before %v\nand after %v: iat must move by 60, jti change, auth_time stay", a, b)
	}
	if status, third := refresh(s, second["refresh_token"], nil); status != http.StatusOK || third["scope"] != "mcp:read" {
		t.Errorf("second refresh: %d %v", status, third)
	}
}

// TestParallelRefreshersAllGoOn: agents run in parallel; sixteen presenting
// one token all get the same successor, and go on with it.
func TestParallelRefreshersAllGoOn(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, servertest.Options{})
	s.Docs.Publish(client, refreshing)
	token := signedIn(t, s)["refresh_token"]
	for round := range 3 {
		var wg sync.WaitGroup
		got := make([]any, 16)
		for i := range got {
			wg.Go(func() {
				status, answer := refresh(s, token, nil)
				if status != http.StatusOK {
					t.Errorf("round %d, refresher %d: %d %v", round, i, status, answer)
				}
				got[i] = answer["refresh_token"]
			})
		}
		wg.Wait()
		for i := range got {
			if got[i] != got[0] {
				t.Fatalf("round %d: refresher %d got another successor", round, i)
			}
		}
		token = got[0]
	}
	if n := len(s.Records(store.RecordQuery{Event: "token.repeated_in_grace"})); n != 45 {
		t.Errorf("%d repeats recorded, want 45", n)
	}
}

// TestReuseAfterGraceEndsTheFamily is X6, PF-26: recorded with both sources.
func TestReuseAfterGraceEndsTheFamily(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, servertest.Options{})
	s.Docs.Publish(client, refreshing)
	first := signedIn(t, s)
	_, second := refresh(s, first["refresh_token"], nil)
	s.Clock.Advance(10 * time.Second)
	if status, answer := refresh(s, first["refresh_token"], nil); status != http.StatusBadRequest || answer["error"] != "invalid_grant" {
		t.Fatalf("reuse: %d %v", status, answer)
	}
	if status, answer := refresh(s, second["refresh_token"], nil); status != http.StatusBadRequest {
		t.Errorf("the successor after a reuse: %d %v, want the family ended", status, answer)
	}
	if r := s.Records(store.RecordQuery{Event: "token.reuse_detected"}); len(r) != 1 || r[0].Reason != "refresh_reused" || r[0].Source == "" || r[0].Detail == "" {
		t.Errorf("records of the reuse = %+v", r)
	}
}

// TestStrangerWithAVictimsRefreshToken is trap F1 for refresh: nothing ends.
func TestStrangerWithAVictimsRefreshToken(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, servertest.Options{})
	s.Docs.Publish(client, refreshing)
	first := signedIn(t, s)
	_, second := refresh(s, first["refresh_token"], nil)
	s.Clock.Advance(time.Hour)
	for _, token := range []any{first["refresh_token"], second["refresh_token"]} {
		if status, answer := refresh(s, token, url.Values{"client_id": {"https://client.example.com/other"}}); status != http.StatusBadRequest || answer["error"] != "invalid_grant" {
			t.Errorf("a stranger: %d %v", status, answer)
		}
	}
	if status, answer := refresh(s, second["refresh_token"], nil); status != http.StatusOK {
		t.Errorf("the victim afterwards: %d %v", status, answer)
	}
}

// TestRefreshUnderPolicy is H-05, G-14, H-06: narrowed scopes narrow a live
// grant at its next refresh and come back with the policy; a person who left
// the group is refused; a policy that is gone ends the grant for ever.
func TestRefreshUnderPolicy(t *testing.T) {
	t.Parallel()
	const head = "# METADATA\n# title: Example\n# authors: [Team <team@corp.example>]\npackage admission.policies.example\n\n" +
		"client_ids := {\"" + client + "\"}\n\n"
	wide := head + `settings := {"scopes": {"ceiling": ["mcp:read", "mcp:write"], "default": ["mcp:read"]}, "redirect": {"loopback": true}, ` +
		`"grant_types": ["authorization_code", "refresh_token"], "refresh_token": {"issue": true}}` + "\n"
	narrow := head + `settings := {"scopes": {"ceiling": ["mcp:read"], "default": ["mcp:read"]}, "redirect": {"loopback": true}, ` +
		`"grant_types": ["authorization_code", "refresh_token"], "refresh_token": {"issue": true}}` + "\n"
	s := servertest.New(t, servertest.Options{Policy: map[string]string{"p.rego": wide}})
	s.Docs.Publish(client, refreshing)
	p := s.Browser().Play(s.Request(client, url.Values{"scope": {"mcp:read mcp:write"}}))
	_, tokens, _ := s.Token(s.Exchange(client, p, nil))
	step := func(name, policy, wantScope string) {
		t.Helper()
		if err := s.Activate(map[string]string{"p.rego": policy}); err != nil {
			t.Fatal(err)
		}
		status, answer := refresh(s, tokens["refresh_token"], nil)
		if wantScope == "" {
			if status != http.StatusBadRequest || answer["error"] != "invalid_grant" {
				t.Errorf("%s: %d %v, want invalid_grant", name, status, answer)
			}
			return
		}
		if status != http.StatusOK || answer["scope"] != wantScope {
			t.Fatalf("%s: %d %v, want scope %q", name, status, answer, wantScope)
		}
		tokens = answer
	}
	step("as granted", wide, "mcp:read mcp:write")
	step("narrowed", narrow, "mcp:read")
	step("wide again", wide, "mcp:read mcp:write")
	step("denied for sales only", wide+"\ndeny_refresh contains {\"code\": \"x\", \"message\": \"x\"} if \"sales\" in input.user.groups\n", "mcp:read mcp:write")
	step("denied for eng", wide+"\ndeny_refresh contains {\"code\": \"x\", \"message\": \"x\"} if \"eng\" in input.user.groups\n", "")
	step("denial taken back", wide, "mcp:read mcp:write")
	step("policy gone", "package admission.defaults\n\nsettings := {}\n", "")
	step("policy back", wide, "")
}

// TestShorterRefreshLife: settings that shorten refresh_token.ttl end older
// families at their next refresh.
func TestShorterRefreshLife(t *testing.T) {
	t.Parallel()
	policy := func(ttl string) map[string]string {
		return map[string]string{"p.rego": "# METADATA\n# title: Example\n# authors: [Team <team@corp.example>]\npackage admission.policies.example\n\n" +
			"client_ids := {\"" + client + "\"}\n\nsettings := {\"scopes\": {\"ceiling\": [\"mcp:read\"]}, \"redirect\": {\"loopback\": true}, " +
			"\"grant_types\": [\"authorization_code\", \"refresh_token\"], \"refresh_token\": {\"issue\": true, \"ttl\": \"" + ttl + "\", \"idle\": \"" + ttl + "\"}}\n"}
	}
	s := servertest.New(t, servertest.Options{Policy: policy("7d")})
	s.Docs.Publish(client, refreshing)
	tokens := signedIn(t, s)
	s.Clock.Advance(time.Hour)
	check(t, s.Activate(policy("1h")))
	if status, answer := refresh(s, tokens["refresh_token"], nil); status != http.StatusBadRequest || answer["error"] != "invalid_grant" {
		t.Errorf("an hour after consent, with a life of an hour: %d %v", status, answer)
	}
	check(t, s.Activate(policy("2h")))
	if status, answer := refresh(s, tokens["refresh_token"], nil); status != http.StatusOK {
		t.Errorf("with a life of two hours: %d %v", status, answer)
	}
}

// TestDocumentChangedUnderAGrant is the refresh column of design §9: a removed
// redirect URI follows document.on_change; a document nobody looked at for too
// long refuses refreshes until it is seen again.
func TestDocumentChangedUnderAGrant(t *testing.T) {
	t.Parallel()
	policy := func(document string) map[string]string {
		return map[string]string{"p.rego": "# METADATA\n# title: Example\n# authors: [Team <team@corp.example>]\npackage admission.policies.example\n\n" +
			"client_ids := {\"" + client + "\"}\n\nsettings := {\"scopes\": {\"ceiling\": [\"mcp:read\"]}, \"redirect\": {\"loopback\": true}, " +
			"\"grant_types\": [\"authorization_code\", \"refresh_token\"], \"refresh_token\": {\"issue\": true}, \"document\": {" + document + "}}\n"}
	}
	for _, tt := range []struct {
		name, document string
		change         func(s *servertest.Server)
		reason         string // empty: the refresh works
	}{
		{"nothing", ``, func(*servertest.Server) {}, ""},
		{"the redirect URI is gone", ``, dropRedirect, "document_changed"},
		{"the redirect URI is gone, accepted", `"on_change": "accept"`, dropRedirect, ""},
		{"seen long ago", `"max_age_for_refresh": "1h"`, func(s *servertest.Server) { s.Clock.Advance(time.Hour + time.Second) }, "document_too_old"},
		{"seen just in time", `"max_age_for_refresh": "1h"`, func(s *servertest.Server) { s.Clock.Advance(time.Hour) }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := servertest.New(t, servertest.Options{Policy: policy(tt.document)})
			s.Docs.Publish(client, refreshing)
			tokens := signedIn(t, s)
			tt.change(s)
			status, answer := refresh(s, tokens["refresh_token"], nil)
			if got := len(s.Records(store.RecordQuery{Reason: tt.reason, Outcome: "refused"})); tt.reason != "" && (status != http.StatusBadRequest || got != 1) {
				t.Errorf("refresh: %d %v with %d records, want %s", status, answer, got, tt.reason)
			}
			if tt.reason == "" && status != http.StatusOK {
				t.Errorf("refresh: %d %v", status, answer)
			}
		})
	}
}

// dropRedirect publishes a document without the approved redirect URI and has
// it met at the start of another flow.
func dropRedirect(s *servertest.Server) {
	s.Docs.Publish(client, map[string]any{"grant_types": refreshing["grant_types"], "redirect_uris": []string{"http://localhost/elsewhere"}})
	s.Clock.Advance(90 * time.Minute)
	s.Browser().Authorize(s.Request(client, url.Values{"redirect_uri": {"http://localhost:1/elsewhere"}}))
}

// TestRepeatNeedsThePerson: inside the grace window too, a person who was
// disabled gets nothing again.
func TestRepeatNeedsThePerson(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, servertest.Options{})
	s.Docs.Publish(client, refreshing)
	token := signedIn(t, s)["refresh_token"]
	if status, answer := refresh(s, token, nil); status != http.StatusOK {
		t.Fatalf("refresh: %d %v", status, answer)
	}
	gone := servertest.Alice()
	gone.Disabled = true
	s.WritePeople(gone, servertest.Bob())
	if status, answer := refresh(s, token, nil); status != http.StatusBadRequest {
		t.Errorf("repeat for a disabled person: %d %v", status, answer)
	}
}

// TestRevoke is X19, G-20, B39: by possession, with the document host away
// and the client row gone.
func TestRevoke(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, servertest.Options{})
	s.Docs.Publish(client, refreshing)
	tokens := signedIn(t, s)
	s.Docs.Set(client, servertest.Answer{Status: http.StatusInternalServerError})
	hits := s.Docs.Total()
	if status := revoke(t, s, "nonsense"); status != http.StatusOK {
		t.Errorf("unknown token: %d, want 200", status)
	}
	if status := revoke(t, s, tokens["refresh_token"]); status != http.StatusOK {
		t.Fatalf("revoke: %d", status)
	}
	if status, answer := refresh(s, tokens["refresh_token"], nil); status != http.StatusBadRequest {
		t.Errorf("refresh after revocation: %d %v", status, answer)
	}
	if s.Docs.Total() != hits {
		t.Error("revocation fetched the document")
	}
	if r := s.Records(store.RecordQuery{Event: "token.revoked"}); len(r) != 1 || r[0].GrantID == "" || r[0].Subject == "" {
		t.Errorf("token.revoked records = %+v, want one", r)
	}
}

// TestWithdrawnEverywhere is the row of design §9: after the person ended the
// grant, code exchange, refresh and introspection say no at once.
func TestWithdrawnEverywhere(t *testing.T) {
	t.Parallel()
	s := withResources(t, nil)
	b := s.Browser()
	q := url.Values{"resource": {other}}
	p := b.Play(s.Request(client, q))
	_, tokens, _ := s.Token(s.Exchange(client, p, q))
	waiting := b.Play(s.Request(client, q)) // a second grant, its code not yet redeemed
	account := b.Get(s.Issuer + "/account")
	b.Submit(account, "revoke_all", url.Values{"revoke_all": {"all"}})
	if status, answer := refresh(s, tokens["refresh_token"], nil); status != http.StatusBadRequest || answer["error"] != "invalid_grant" {
		t.Errorf("refresh: %d %v", status, answer)
	}
	if status, answer, _ := s.Token(s.Exchange(client, waiting, q)); status != http.StatusBadRequest || answer["error"] != "invalid_grant" {
		t.Errorf("code exchange: %d %v", status, answer)
	}
	if _, got, _ := introspect(t, s, "Other", "another long secret of the other", tokens["access_token"]); got["active"] != false {
		t.Errorf("introspection: %v", got)
	}
}

// TestPersonGone: a person who was disabled gets no new tokens.
func TestPersonGone(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, servertest.Options{})
	s.Docs.Publish(client, refreshing)
	tokens := signedIn(t, s)
	gone := servertest.Alice()
	gone.Disabled = true
	s.WritePeople(gone, servertest.Bob())
	if status, answer := refresh(s, tokens["refresh_token"], nil); status != http.StatusBadRequest || answer["error"] != "invalid_grant" {
		t.Errorf("refresh of a disabled person: %d %v", status, answer)
	}
	if r := s.Records(store.RecordQuery{Reason: "person_gone"}); len(r) != 1 {
		t.Errorf("person_gone records = %+v, want one", r)
	}
	s.WritePeople(servertest.Alice(), servertest.Bob())
	if status, answer := refresh(s, tokens["refresh_token"], nil); status != http.StatusOK {
		t.Errorf("refresh after the person is back: %d %v", status, answer)
	}
}

// TestRepeatFollowsTheDocument is G-08: an answer is not given again, inside
// the grace window either, once the document no longer has what the grant
// rests on.
func TestRepeatFollowsTheDocument(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, servertest.Options{Policy: onChange("reconsent")})
	s.Docs.Publish(client, refreshing)
	token := signedIn(t, s)["refresh_token"]
	s.Clock.Advance(90 * time.Minute) // the next flow fetches
	if status, answer := refresh(s, token, nil); status != http.StatusOK {
		t.Fatalf("refresh: %d %v", status, answer)
	}
	s.Docs.Publish(client, map[string]any{"grant_types": refreshing["grant_types"], "redirect_uris": []string{"http://localhost/elsewhere"}})
	s.Browser().Authorize(s.Request(client, url.Values{"redirect_uri": {"http://localhost:1/elsewhere"}}))
	status, answer := refresh(s, token, nil)
	if status != http.StatusBadRequest || answer["error"] != "invalid_grant" {
		t.Errorf("repeat: %d %v, want invalid_grant: the redirect URI is gone", status, answer)
	}
	if n := len(s.Records(store.RecordQuery{Reason: string(broker.ReasonDocumentChanged), Outcome: "refused"})); n == 0 {
		t.Error("no record says document_changed")
	}
}
