package server_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/server/servertest"
	"guestlist/store"
)

// basic is an HTTP Basic header.
func basic(user, secret string) http.Header {
	return http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+secret))}}
}

// TestTokenRefusals: each request is refused for its reason, and the right
// one works afterwards: a refusal burns nothing (trap 2, M27, X11).
func TestTokenRefusals(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	p := codePage(t, s, s.Browser(), nil)
	escaped := url.QueryEscape(client)
	invalid := func(k, v string) url.Values { return url.Values{k: {v}} }
	for _, tt := range []struct {
		name    string
		changes url.Values
		header  http.Header
		status  int
		code    string
		reason  broker.Reason
	}{
		{"grant_type missing", url.Values{"grant_type": nil}, nil, 400, "invalid_request", broker.ReasonRequestInvalid},
		{"Trap11 grant_type unknown", invalid("grant_type", "password"), nil, 400, "unsupported_grant_type", broker.ReasonGrantTypeUnsupported},
		{"refresh_token missing", invalid("grant_type", "refresh_token"), nil, 400, "invalid_request", broker.ReasonRequestInvalid},
		{"client_id missing", url.Values{"client_id": nil}, nil, 401, "invalid_client", broker.ReasonClientAuthFailed},
		{"code missing", url.Values{"code": nil}, nil, 400, "invalid_request", broker.ReasonRequestInvalid},
		{"code unknown", invalid("code", strings.Repeat("x", 43)), nil, 400, "invalid_grant", broker.ReasonCodeUnknown},
		{"other client_id", invalid("client_id", docHost+"/other"), nil, 400, "invalid_grant", broker.ReasonCodeUnknown},
		{"opaque client_id", invalid("client_id", "console"), nil, 401, "invalid_client", broker.ReasonClientIDUnknown},
		{"U1 http client_id", invalid("client_id", "http"+strings.TrimPrefix(client, "https")), nil, 401, "invalid_client", broker.ReasonClientIDMalformed},
		{"U7 client_id with a fragment", invalid("client_id", client+"#"), nil, 401, "invalid_client", broker.ReasonClientIDMalformed},
		{"U13 client_id in capitals", invalid("client_id", strings.ToUpper(client)), nil, 401, "invalid_client", broker.ReasonClientIDMalformed},
		{"U2 Basic with user information", url.Values{"client_id": nil}, basic(url.QueryEscape("https://a@c.example.com/x"), ""), 401, "invalid_client", broker.ReasonClientIDMalformed},
		{"U8 client_id with the port spelled out", invalid("client_id", docHost+":443"+strings.TrimPrefix(client, docHost)), nil, 400, "invalid_grant", broker.ReasonCodeUnknown},
		{"U4 refresh for a client_id without a path", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {strings.Repeat("x", 43)}, "client_id": {"https://c.example.com"}}, nil, 401, "invalid_client", broker.ReasonClientIDMalformed},
		{"SN-13 secret in the body", invalid("client_secret", "s"), nil, 401, "invalid_client", broker.ReasonClientAuthFailed},
		{"assertion", invalid("client_assertion", "a.b.c"), nil, 401, "invalid_client", broker.ReasonAssertionInvalid},
		{"Trap12 Basic with a secret", nil, basic(escaped, "s"), 401, "invalid_client", broker.ReasonClientAuthFailed},
		{"Trap12 Bearer", nil, http.Header{"Authorization": {"Bearer x"}}, 401, "invalid_client", broker.ReasonClientAuthFailed},
		{"other redirect_uri", invalid("redirect_uri", "http://127.0.0.1:51235/callback"), nil, 400, "invalid_grant", broker.ReasonCodeUnknown},
		{"M27 wrong verifier", invalid("code_verifier", strings.Repeat("w", 43)), nil, 400, "invalid_grant", broker.ReasonPKCEFailed},
		{"Trap01 no verifier after a wrong one", url.Values{"code_verifier": nil}, nil, 400, "invalid_grant", broker.ReasonPKCEFailed},
		{"short verifier", invalid("code_verifier", "v"), nil, 400, "invalid_grant", broker.ReasonPKCEFailed},
		{"X11 other resource", invalid("resource", "https://else.example.com"), nil, 400, "invalid_target", broker.ReasonResourceUnknown},
		{"Trap26 wider resource", url.Values{"resource": {servertest.Resource, servertest.Resource + "/admin"}}, nil, 400, "invalid_target", broker.ReasonResourceUnknown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := s.Docs.Total()
			got := post(t, s, s.Exchange(client, p, tt.changes), tt.header)
			wantJSON(t, s, got, tt.status, tt.code, tt.reason)
			want := ""
			if tt.status == 401 && tt.header != nil {
				want = `Basic realm="guestlist"`
			}
			if h := got.Header.Get("WWW-Authenticate"); h != want {
				t.Errorf("WWW-Authenticate = %q, want %q", h, want)
			}
			if s.Docs.Total() != before {
				t.Error("the token endpoint fetched")
			}
		})
	}
	if got := post(t, s, s.Exchange(client, p, nil), nil); got.Status != http.StatusOK {
		t.Errorf("the right request afterwards: status %d\n%s", got.Status, got.Body)
	}
}

// TestTrapF3GoClient: the Go MCP client's first try, Basic with the escaped
// identifier and an empty secret, works at once, and so does an identifier
// that was left as it is (trap 14).
func TestTrapF3GoClient(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	for name, changes := range map[string]url.Values{"client_id in Basic alone": {"client_id": nil}, "in both": nil} {
		p := codePage(t, s, s.Browser(), nil)
		if got := post(t, s, s.Exchange(client, p, changes), basic(url.QueryEscape(client), "")); got.Status != http.StatusOK {
			t.Errorf("%s: status %d\n%s", name, got.Status, got.Body)
		}
		p = codePage(t, s, s.Browser(), nil)
		if got := post(t, s, s.Exchange(client, p, changes), basic(client, "")); got.Status != http.StatusOK {
			t.Errorf("%s, not escaped: status %d\n%s", name, got.Status, got.Body)
		}
	}
	p := codePage(t, s, s.Browser(), nil)
	form := s.Exchange(client, p, nil)
	wantJSON(t, s, post(t, s, form, basic(url.QueryEscape(client), "guess")), http.StatusUnauthorized, "invalid_client", broker.ReasonClientAuthFailed)
	if got := post(t, s, form, nil); got.Status != http.StatusOK {
		t.Errorf("form parameters after the 401: status %d, the code is burnt\n%s", got.Status, got.Body)
	}
}

// TestTrap31TokenClaims: the token is a JWT access token of RFC 9068 (trap 32,
// X13, M20), and lasts as the settings say.
func TestTrap31TokenClaims(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	var ids []any
	for range 2 {
		s.Clock.Advance(1500 * time.Millisecond)
		got := post(t, s, s.Exchange(client, codePage(t, s, s.Browser(), nil), nil), nil)
		wantHeaders(t, got)
		a := answerOf(t, got)
		if a["token_type"] != "Bearer" && a["token_type"] != "bearer" || a["expires_in"] != 300.0 || a["refresh_token"] != nil || a["id_token"] != nil {
			t.Errorf("answer = %v", a)
		}
		c := servertest.Claims(t, a["access_token"])
		now := s.Clock.Now().Unix()
		for k, want := range map[string]any{
			"iss": s.Issuer, "aud": servertest.Resource, "client_id": client, "sub": servertest.Person, "scope": "mcp:read",
			"iat": float64(now), "exp": float64(now + 300),
		} {
			if fmt.Sprint(c[k]) != fmt.Sprint(want) && fmt.Sprint(c[k]) != fmt.Sprintf("[%v]", want) {
				t.Errorf("claim %s = %v, want %v", k, c[k], want)
			}
		}
		ids = append(ids, c["jti"])
		head, _ := base64.RawURLEncoding.DecodeString(strings.Split(a["access_token"].(string), ".")[0])
		var h map[string]any
		if err := json.Unmarshal(head, &h); err != nil || h["typ"] != "at+jwt" || h["alg"] != "ES256" || h["kid"] == nil {
			t.Errorf("header = %s", head)
		}
		recs := s.Records(store.RecordQuery{RequestID: got.Header.Get("X-Request-Id"), Event: "token.issued"})
		if len(recs) != 1 || recs[0].TokenID != c["jti"] {
			t.Errorf("records = %+v, want one with the token's id", recs)
		}
	}
	if ids[0] == ids[1] || ids[0] == nil {
		t.Errorf("jti = %v, want a new one each time", ids)
	}
}

// TestX4Replay: a replayed code ends the grant, record in the same commit, and
// answers invalid_grant.
func TestX4Replay(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	p := codePage(t, s, s.Browser(), nil)
	form := s.Exchange(client, p, nil)
	if got := post(t, s, form, nil); got.Status != http.StatusOK {
		t.Fatalf("first: status %d", got.Status)
	}
	for i := range 2 {
		before := s.Store.Commits()
		got := post(t, s, form, nil)
		if n := s.Store.Commits() - before; n != 1 {
			t.Errorf("replay %d: %d commits, want one", i, n)
		}
		wantJSON(t, s, got, http.StatusBadRequest, "invalid_grant", broker.ReasonGrantSpent)
		g := grantOf(t, s, p.Header.Get("X-Request-Id"))
		if g.EndedAt.IsZero() || g.EndReason != broker.ReasonGrantSpent {
			t.Errorf("replay %d: grant ended %v for %q", i, g.EndedAt, g.EndReason)
		}
	}
}

// TestTrapF1Stranger: who presents a victim's code without being its client
// and knowing the verifier touches nothing, spent or not.
func TestTrapF1Stranger(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	p := codePage(t, s, s.Browser(), nil)
	strangers := func(when string) {
		t.Helper()
		for name, changes := range map[string]url.Values{
			"other client": {"client_id": {docHost + "/thief"}}, "wrong verifier": {"code_verifier": {strings.Repeat("w", 43)}},
			"no verifier": {"code_verifier": nil}, "other redirect_uri": {"redirect_uri": {docHost + "/cb"}},
		} {
			before := s.Store.Commits()
			got := post(t, s, s.Exchange(client, p, changes), nil)
			if got.Status != http.StatusBadRequest || answerOf(t, got)["error"] != "invalid_grant" {
				t.Errorf("%s, %s: status %d\n%s", when, name, got.Status, got.Body)
			}
			if n := s.Store.Commits() - before; n != 0 {
				t.Errorf("%s, %s: %d commits, want none", when, name, n)
			}
		}
	}
	strangers("before")
	if got := post(t, s, s.Exchange(client, p, nil), nil); got.Status != http.StatusOK {
		t.Fatalf("the owner: status %d\n%s", got.Status, got.Body)
	}
	strangers("after")
	if g := grantOf(t, s, p.Header.Get("X-Request-Id")); !g.EndedAt.IsZero() {
		t.Errorf("the grant ended for %q", g.EndReason)
	}
}

// TestCodeExpires at sixty seconds exactly (trap 29).
func TestCodeExpires(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	b := s.Browser()
	p := codePage(t, s, b, nil)
	s.Clock.Advance(time.Minute - 1)
	if got := post(t, s, s.Exchange(client, p, nil), nil); got.Status != http.StatusOK {
		t.Errorf("before the end: status %d\n%s", got.Status, got.Body)
	}
	p = codePage(t, s, b, nil)
	s.Clock.Advance(time.Minute)
	wantJSON(t, s, post(t, s, s.Exchange(client, p, nil), nil), http.StatusBadRequest, "invalid_grant", broker.ReasonCodeUnknown)
}

// TestRedirectURIMayBeLeftOut of the token request (OAuth 2.1, X4).
func TestRedirectURIMayBeLeftOut(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	p := codePage(t, s, s.Browser(), nil)
	if got := post(t, s, s.Exchange(client, p, url.Values{"redirect_uri": nil}), nil); got.Status != http.StatusOK {
		t.Errorf("status %d\n%s", got.Status, got.Body)
	}
}

// TestM18ResourceSpelling: scheme and host in another case and the slash of
// the root are the same resource, at both endpoints.
func TestM18ResourceSpelling(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	for _, spelling := range []string{servertest.Resource, servertest.Resource + "/", "HTTPS://MCP.example.com", "https://MCP.EXAMPLE.COM/"} {
		r := url.Values{"resource": {spelling}}
		got := post(t, s, s.Exchange(client, codePage(t, s, s.Browser(), r), r), nil)
		if got.Status != http.StatusOK {
			t.Errorf("%s: status %d\n%s", spelling, got.Status, got.Body)
			continue
		}
		if aud := fmt.Sprint(servertest.Claims(t, answerOf(t, got)["access_token"])["aud"]); aud != servertest.Resource && aud != "["+servertest.Resource+"]" {
			t.Errorf("%s: aud = %s, want the configured spelling", spelling, aud)
		}
	}
	p := codePage(t, s, s.Browser(), url.Values{"resource": nil})
	if got := post(t, s, s.Exchange(client, p, url.Values{"resource": nil}), nil); got.Status != http.StatusOK {
		t.Errorf("no resource at all: status %d\n%s", got.Status, got.Body)
	}
}

// TestTrap25ExactAudience: a token for one of two resources is for that one,
// and the token request narrows (trap 26).
func TestTrap25ExactAudience(t *testing.T) {
	t.Parallel()
	const below = servertest.Resource + "/below"
	s := start(t, servertest.Options{Resources: []broker.Resource{
		{ID: servertest.Resource, Name: "one", Scopes: []string{"mcp:read"}, TokenFormat: "jwt"}, {ID: below, Name: "two", Scopes: []string{"mcp:read"}, TokenFormat: "jwt"},
	}})
	audience := func(asked, wanted []string) string {
		p := codePage(t, s, s.Browser(), url.Values{"resource": asked})
		a := answerOf(t, post(t, s, s.Exchange(client, p, url.Values{"resource": wanted}), nil))
		if a["access_token"] == nil {
			return fmt.Sprint(a["error"])
		}
		return strings.Trim(fmt.Sprint(servertest.Claims(t, a["access_token"])["aud"]), "[]")
	}
	for _, tt := range []struct {
		asked, wanted []string
		want          string
	}{
		{[]string{below}, nil, below}, {[]string{servertest.Resource}, []string{servertest.Resource}, servertest.Resource},
		{[]string{servertest.Resource}, []string{below}, "invalid_target"},
		{[]string{servertest.Resource, below}, []string{below}, below},
		{[]string{servertest.Resource, below}, nil, servertest.Resource + " " + below},
	} {
		if got := audience(tt.asked, tt.wanted); got != tt.want {
			t.Errorf("asked %q, wanted %q: aud = %q, want %q", tt.asked, tt.wanted, got, tt.want)
		}
	}
	wantRedirect(t, s, s.Browser().Authorize(s.Request(client, url.Values{"resource": nil})), "invalid_target", broker.ReasonResourceUnknown)
}

// TestPolicyBetweenConsentAndExchange: the policy of the moment decides
// (design §9, trap 41).
func TestPolicyBetweenConsentAndExchange(t *testing.T) {
	t.Parallel()
	deny := func(effect string) map[string]string {
		return policy(`deny_user contains {"code": "gone", "message": "not any more", "effect": "` + effect + `"} if "eng" in input.user.groups`)
	}
	narrow := map[string]string{"clients.rego": strings.Replace(base, `["mcp:read", "mcp:write"]`, `["mcp:read"]`, 1)}
	for _, tt := range []struct {
		name   string
		files  map[string]string
		reason broker.Reason // empty: a token
		ended  broker.Reason // of the grant
		pruned bool
	}{
		{"policy removed", map[string]string{"defaults.rego": "package admission.defaults\n"}, broker.ReasonNoPolicyMatched, broker.ReasonNoPolicyMatched, true},
		{"deny added", deny("refuse"), broker.ReasonPolicyDenied, "", false},
		{"end_grant", deny("end_grant"), "", broker.ReasonGrantEndedByPolicy, false},
		{"scope narrowed", narrow, "", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, servertest.Options{})
			p := codePage(t, s, s.Browser(), url.Values{"scope": {"mcp:read mcp:write"}})
			activate(t, s, tt.files)
			before := s.Store.Commits()
			got := post(t, s, s.Exchange(client, p, nil), nil)
			commits := s.Store.Commits() - before
			id := got.Header.Get("X-Request-Id")
			switch {
			case tt.name == "scope narrowed":
				if a := answerOf(t, got); a["scope"] != "mcp:read" || got.Status != http.StatusOK {
					t.Errorf("status %d, scope %v, want the grant within the policy", got.Status, a["scope"])
				}
			case tt.name == "end_grant":
				if a := answerOf(t, got); got.Status != http.StatusBadRequest || a["error"] != "invalid_grant" || commits != 1 {
					t.Errorf("status %d, %v, %d commits, want invalid_grant and one", got.Status, a, commits)
				}
				ended := s.Records(store.RecordQuery{RequestID: id, Event: "grant.ended"})
				if len(ended) != 1 || ended[0].Reason != string(broker.ReasonGrantEndedByPolicy) || ended[0].Outcome != decisionlog.OutcomeRefused {
					t.Errorf("records of the end = %+v, want one", ended)
				}
			default:
				wantJSON(t, s, got, http.StatusBadRequest, "invalid_grant", tt.reason)
			}
			if tt.pruned {
				wantNobody(t, s)
				if n := len(s.Records(store.RecordQuery{RequestID: id, Event: "client.pruned"})); n != 1 || commits != 1 {
					t.Errorf("%d records of the pruning, %d commits, want one and one", n, commits)
				}
			}
			if g := grantOf(t, s, p.Header.Get("X-Request-Id")); g.EndReason != tt.ended {
				t.Errorf("grant ended for %q, want %q", g.EndReason, tt.ended)
			}
			// What ended stays ended when the policy comes back; a refusal alone
			// ends nothing.
			activate(t, s, policy())
			status := http.StatusBadRequest
			if tt.name == "deny added" {
				status = http.StatusOK
			}
			if got := post(t, s, s.Exchange(client, p, nil), nil); got.Status != status {
				t.Errorf("after the policy came back: status %d, want %d\n%s", got.Status, status, got.Body)
			}
		})
	}
}

// TestClientEndedBeforeExchange: a code does not outlive its client's life,
// not even when the client was admitted anew (traps 41, B17).
func TestClientEndedBeforeExchange(t *testing.T) {
	t.Parallel()
	for _, anew := range []bool{false, true} {
		s := start(t, servertest.Options{})
		p := codePage(t, s, s.Browser(), nil)
		endClient(t, s)
		if anew {
			s.Browser().Authorize(s.Request(client, nil))
		}
		got := post(t, s, s.Exchange(client, p, nil), nil)
		if a := answerOf(t, got); got.Status != http.StatusBadRequest || a["error"] != "invalid_grant" {
			t.Errorf("admitted anew %v: status %d, %v", anew, got.Status, a)
		}
	}
}

// TestFiftyRedeemers: exactly one of fifty at once gets a token.
func TestFiftyRedeemers(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	form := s.Exchange(client, codePage(t, s, s.Browser(), nil), nil)
	statuses := make([]int, 50)
	var wg sync.WaitGroup
	for i := range statuses {
		wg.Go(func() {
			p := post(t, s, form, nil)
			statuses[i] = p.Status
			if p.Status != http.StatusOK && answerOf(t, p)["error"] != "invalid_grant" {
				t.Errorf("status %d\n%s", p.Status, p.Body)
			}
		})
	}
	wg.Wait()
	won := 0
	for _, status := range statuses {
		if status == http.StatusOK {
			won++
		}
	}
	if won != 1 {
		t.Errorf("%d of %d got a token, want one: %v", won, len(statuses), statuses)
	}
	if n := len(s.Records(store.RecordQuery{Event: "token.issued"})); n != 1 {
		t.Errorf("%d records of a token, want one", n)
	}
}
