package server_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/server/servertest"
	"guestlist/store"
)

const (
	keyedOther = "https://client.example.com/oauth/other.json"
	keyedSet   = "https://client.example.com/oauth/jwks.json"
)

// keyedPolicy admits the two clients with a key, on more settings.
func keyedPolicy(more string) map[string]string {
	return map[string]string{"keyed.rego": `# METADATA
# title: Keyed
# authors: [Team <team@corp.example>]
package admission.policies.keyed

client_ids := {"` + client + `", "` + keyedOther + `"}

settings := {
	"scopes": {"ceiling": ["mcp:read", "mcp:write"], "default": ["mcp:read"]},
	"redirect": {"loopback": true},
	"grant_types": ["authorization_code", "refresh_token"],
	"refresh_token": {"issue": true},
	` + more + `
}
`}
}

// keyedDocument lists private_key_jwt and refresh_token, with more.
func keyedDocument(more map[string]any) map[string]any {
	m := map[string]any{"grant_types": []string{"authorization_code", "refresh_token"}, "token_endpoint_auth_method": "private_key_jwt"}
	maps.Copy(m, more)
	return m
}

// keyedServer has one client with an inline key.
func keyedServer(t *testing.T, more string, alg string) (*servertest.Server, *servertest.ClientKey) {
	t.Helper()
	s := servertest.New(t, servertest.Options{Policy: keyedPolicy(more)})
	k := servertest.NewClientKey(t, alg, "k1")
	s.Docs.Publish(client, keyedDocument(map[string]any{"jwks": servertest.KeySet(k)}))
	return s, k
}

// keyedTokens plays a flow of a client with a key.
func keyedTokens(t *testing.T, s *servertest.Server, k *servertest.ClientKey, id string) map[string]any {
	t.Helper()
	p := s.Browser().Play(s.Request(id, nil))
	status, answer, _ := s.Token(s.Exchange(id, p, s.Asserted(k, id)))
	if status != http.StatusOK || answer["refresh_token"] == nil {
		t.Fatalf("token: %d %v\n%s", status, answer, brief(p))
	}
	return answer
}

// keyedRefresh is a refresh request with an assertion.
func keyedRefresh(tokens map[string]any, id, assertion string) url.Values {
	return url.Values{
		"grant_type": {"refresh_token"}, "client_id": {id}, "refresh_token": {fmt.Sprint(tokens["refresh_token"])},
		"client_assertion_type": {servertest.AssertionType}, "client_assertion": {assertion},
	}
}

// TestA8AssertionAlgorithms is A8, A9, M13, trap 16: every algorithm of the list,
// and nothing but a document's own where it names one.
func TestA8AssertionAlgorithms(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"ES256", "ES384", "RS256", "PS256", "EdDSA"} {
		s, k := keyedServer(t, "", alg)
		keyedTokens(t, s, k, client)
	}
	s, k := keyedServer(t, "", "RS256")
	s.Docs.Publish(client, keyedDocument(map[string]any{"jwks": servertest.KeySet(k), "token_endpoint_auth_signing_alg": "PS256"}))
	p := s.Browser().Play(s.Request(client, nil))
	wantJSON(t, s, post(t, s, s.Exchange(client, p, s.Asserted(k, client)), nil), http.StatusUnauthorized, "invalid_client", broker.ReasonAssertionInvalid)
	k.Alg = "PS256"
	if status, answer, _ := s.Token(s.Exchange(client, p, s.Asserted(k, client))); status != http.StatusOK {
		t.Errorf("token with the document's algorithm: %d %v", status, answer)
	}
}

// hmacWithPublicKey is an assertion as a stranger makes it whom the public key
// serves for a secret.
func hmacWithPublicKey(t *testing.T, k *servertest.ClientKey, assertion string) string {
	t.Helper()
	var set struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(servertest.KeySet(k), &set); err != nil {
		t.Fatal(err)
	}
	signed := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","kid":"k1"}`)) + "." + strings.Split(assertion, ".")[1]
	mac := hmac.New(sha256.New, set.Keys[0])
	mac.Write([]byte(signed))
	return signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// TestA8Assertions is A7, A8, A9, Q16, X15, traps 15, 16 and 17: what is wrong
// is refused, burns no code and spends no jti.
func TestA8Assertions(t *testing.T) {
	t.Parallel()
	s, k := keyedServer(t, "", "ES256")
	strange, rs512 := servertest.NewClientKey(t, "ES256", "k1"), servertest.NewClientKey(t, "RS256", "k2")
	rs512.Alg = "RS512"
	s.Docs.Publish(client, keyedDocument(map[string]any{"jwks": servertest.KeySet(k, rs512)}))
	p := s.Browser().Play(s.Request(client, nil))
	now := s.Clock.Now()
	in := func(d time.Duration) int64 { return now.Add(d).Unix() }
	jti := map[string]any{"jti": "the one"}
	with := func(name string, v any) map[string]any { return map[string]any{"jti": "the one", name: v} }
	typ := func(v any) map[string]any { return map[string]any{"typ": v} }
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + strings.Split(s.Assertion(k, client, nil, jti), ".")[1] + "."
	for _, c := range []struct {
		name      string
		assertion string
		change    url.Values
	}{
		{"A7 nothing", "", url.Values{"client_assertion_type": nil, "client_assertion": nil}},
		{"type alone", "", url.Values{"client_assertion": nil}},
		{"no type", s.Assertion(k, client, nil, jti), url.Values{"client_assertion_type": nil}},
		{"another type", s.Assertion(k, client, nil, jti), url.Values{"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:saml2-bearer"}}},
		{"a secret beside", s.Assertion(k, client, nil, jti), url.Values{"client_secret": {"s"}}},
		{"no JWT", "x", nil},
		{"trap 15 aud the token endpoint", s.Assertion(k, client, nil, with("aud", s.Issuer+"/token")), nil},
		{"trap 15 aud two", s.Assertion(k, client, nil, with("aud", []string{s.Issuer, "https://other.example.com"})), nil},
		{"trap 15 aud another", s.Assertion(k, client, nil, with("aud", "https://other.example.com")), nil},
		{"aud with a slash", s.Assertion(k, client, nil, with("aud", s.Issuer+"/")), nil},
		{"aud absent", s.Assertion(k, client, nil, with("aud", nil)), nil},
		{"aud empty", s.Assertion(k, client, nil, with("aud", []string{})), nil},
		{"A9 Q16 typ at+jwt", s.Assertion(k, client, typ("at+jwt"), jti), nil},
		{"A9 Q16 typ dpop+jwt", s.Assertion(k, client, typ("dpop+jwt"), jti), nil},
		{"A9 Q16 typ application/at+jwt", s.Assertion(k, client, typ("application/at+jwt"), jti), nil},
		{"A9 typ JWS", s.Assertion(k, client, typ("JWS"), jti), nil},
		{"A9 typ text/jwt", s.Assertion(k, client, typ("text/jwt"), jti), nil},
		{"A9 none", none, nil},
		{"A9 HS256 with the public key", hmacWithPublicKey(t, k, s.Assertion(k, client, nil, jti)), nil},
		{"A9 RS512", s.Assertion(rs512, client, nil, jti), nil},
		{"A8 another key", s.Assertion(strange, client, nil, jti), nil},
		{"iss another", s.Assertion(k, client, nil, with("iss", keyedOther)), nil},
		{"iss absent", s.Assertion(k, client, nil, with("iss", nil)), nil},
		{"sub another", s.Assertion(k, client, nil, with("sub", keyedOther)), url.Values{"client_id": {keyedOther}}},
		{"sub unlike client_id", s.Assertion(k, client, nil, with("sub", keyedOther)), nil},
		{"exp absent", s.Assertion(k, client, nil, with("exp", nil)), nil},
		{"exp a text", s.Assertion(k, client, nil, with("exp", "tomorrow")), nil},
		{"A8 exp over", s.Assertion(k, client, nil, with("exp", in(-30*time.Second))), nil},
		{"trap 17 exp far ahead", s.Assertion(k, client, nil, with("exp", in(5*time.Minute+31*time.Second))), nil},
		{"trap 17 exp in ten years", s.Assertion(k, client, nil, with("exp", in(87600*time.Hour))), nil},
		{"nbf ahead", s.Assertion(k, client, nil, with("nbf", in(31*time.Second))), nil},
		{"iat ahead", s.Assertion(k, client, nil, with("iat", in(31*time.Second))), nil},
		{"jti absent", s.Assertion(k, client, nil, with("jti", nil)), nil},
		{"jti empty", s.Assertion(k, client, nil, with("jti", "")), nil},
		{"jti long", s.Assertion(k, client, nil, with("jti", strings.Repeat("j", 257))), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			form := s.Exchange(client, p, url.Values{"client_assertion_type": {servertest.AssertionType}, "client_assertion": {c.assertion}})
			for name, v := range c.change {
				form[name] = v
			}
			answer := post(t, s, form, nil)
			if c.name == "sub another" { // the code is another's
				wantJSON(t, s, answer, http.StatusBadRequest, "invalid_grant", broker.ReasonCodeUnknown)
				return
			}
			reason := broker.ReasonAssertionInvalid
			if c.name == "A7 nothing" || c.name == "a secret beside" {
				reason = broker.ReasonClientAuthFailed
			}
			wantJSON(t, s, answer, http.StatusUnauthorized, "invalid_client", reason)
			if c.assertion != "" && strings.Contains(answer.Body, c.assertion) {
				t.Error("the answer has the assertion")
			}
		})
	}
	good := s.Assertion(k, client, typ("client-authentication+jwt"), map[string]any{"jti": "the one", "exp": in(5*time.Minute + 30*time.Second), "nbf": in(30 * time.Second)})
	status, tokens, _ := s.Token(s.Exchange(client, p, url.Values{"client_id": nil, "client_assertion_type": {servertest.AssertionType}, "client_assertion": {good}}))
	if status != http.StatusOK {
		t.Fatalf("a good assertion behind the bad: %d %v", status, tokens)
	}
	for name, a := range map[string]string{
		"Q16 typ oauth-client-auth+jwt": s.Assertion(k, client, typ("oauth-client-auth+jwt"), nil),
		"Q16 typ in full":               s.Assertion(k, client, typ("application/Client-Authentication+JWT"), nil),
		"A9 typ JWT, as SDKs write it":  s.Assertion(k, client, typ("JWT"), nil),
		"aud a list of one":             s.Assertion(k, client, nil, map[string]any{"aud": []string{s.Issuer}}),
		"exp just over, skew":           s.Assertion(k, client, nil, map[string]any{"exp": in(-29 * time.Second), "iat": in(-time.Minute)}),
	} {
		var answer map[string]any
		if status, answer, _ = s.Token(keyedRefresh(tokens, client, a)); status != http.StatusOK {
			t.Fatalf("%s: %d %v", name, status, answer)
		}
		tokens = answer
	}
}

// TestQ16TokenEndpointAudience: the token endpoint stands for the issuer only
// where settings say so, and only without a typ that names a kind of token.
func TestQ16TokenEndpointAudience(t *testing.T) {
	t.Parallel()
	s, k := keyedServer(t, `"compat": {"token_endpoint_audience": true},`, "ES256")
	tokens := keyedTokens(t, s, k, client)
	aud := map[string]any{"aud": s.Issuer + "/token"}
	typed := s.Assertion(k, client, map[string]any{"typ": "client-authentication+jwt"}, aud)
	wantJSON(t, s, post(t, s, keyedRefresh(tokens, client, typed), nil), http.StatusUnauthorized, "invalid_client", broker.ReasonAssertionInvalid)
	for _, header := range []map[string]any{nil, {"typ": "JWT"}} {
		status, answer, _ := s.Token(keyedRefresh(tokens, client, s.Assertion(k, client, header, aud)))
		if status != http.StatusOK {
			t.Fatalf("aud the token endpoint, header %v: %d %v", header, status, answer)
		}
		tokens = answer
	}
}

// TestPF22Replay is PF-22, traps 17 and 18: an assertion counts once, for its
// client, whatever came of it, and over a restart.
func TestPF22Replay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	begin := func() *servertest.Server {
		return servertest.New(t, servertest.Options{Policy: keyedPolicy(""), Dir: dir})
	}
	s := begin()
	k := servertest.NewClientKey(t, "ES256", "k1")
	for _, id := range []string{client, keyedOther} {
		s.Docs.Publish(id, keyedDocument(map[string]any{"jwks": servertest.KeySet(k)}))
	}
	one, two := keyedTokens(t, s, k, client), keyedTokens(t, s, k, keyedOther)
	again := map[string]any{"jti": "again", "exp": s.Clock.Now().Add(5 * time.Minute).Unix()}
	first := s.Assertion(k, client, nil, again)
	status, one, _ := s.Token(keyedRefresh(one, client, first))
	if status != http.StatusOK {
		t.Fatalf("refresh: %d %v", status, one)
	}
	p := post(t, s, keyedRefresh(one, client, first), nil)
	wantJSON(t, s, p, http.StatusUnauthorized, "invalid_client", broker.ReasonAssertionReplayed)
	if recs := s.Records(store.RecordQuery{Reason: string(broker.ReasonAssertionReplayed)}); len(recs) != 1 || recs[0].ClientID != client {
		t.Errorf("records of the replay = %+v, want one of the client", recs)
	}
	if status, answer, _ := s.Token(keyedRefresh(two, keyedOther, s.Assertion(k, keyedOther, nil, again))); status != http.StatusOK {
		t.Errorf("trap 17: the jti of another client: %d %v", status, answer)
	}
	used := s.Assertion(k, client, nil, nil)
	bad := keyedRefresh(one, client, used)
	bad.Set("scope", "mcp:write")
	if status, answer, _ := s.Token(bad); status != http.StatusBadRequest || answer["error"] != "invalid_scope" {
		t.Errorf("a scope beyond the grant: %d %v", status, answer)
	}
	wantJSON(t, s, post(t, s, keyedRefresh(one, client, used), nil), http.StatusUnauthorized, "invalid_client", broker.ReasonAssertionReplayed)
	s.Stop()
	s = begin()
	again["exp"] = s.Clock.Now().Add(time.Minute).Unix()
	wantJSON(t, s, post(t, s, keyedRefresh(one, client, s.Assertion(k, client, nil, again)), nil), http.StatusUnauthorized, "invalid_client", broker.ReasonAssertionReplayed)
	if status, answer, _ := s.Token(keyedRefresh(one, client, s.Assertion(k, client, nil, nil))); status != http.StatusOK {
		t.Errorf("a fresh assertion after the restart: %d %v", status, answer)
	}
}

// TestPF22ReplayAllowed: settings may let an assertion come again.
func TestPF22ReplayAllowed(t *testing.T) {
	t.Parallel()
	s, k := keyedServer(t, `"replay_prevention": false,`, "ES256")
	tokens := keyedTokens(t, s, k, client)
	a := s.Assertion(k, client, nil, nil)
	for range 2 {
		status, answer, _ := s.Token(keyedRefresh(tokens, client, a))
		if status != http.StatusOK {
			t.Fatalf("the same assertion: %d %v", status, answer)
		}
		tokens = answer
	}
}

// TestPF22OneAssertionManyAtOnce is PF-22, trap 18: looking and spending are
// one commit, so that of all who present one assertion at once one succeeds.
func TestPF22OneAssertionManyAtOnce(t *testing.T) {
	t.Parallel()
	s, k := keyedServer(t, "", "ES256")
	for _, endpoint := range []string{"/token", "/revoke"} {
		var all []map[string]any
		for range 4 {
			all = append(all, keyedTokens(t, s, k, client))
		}
		a := s.Assertion(k, client, nil, nil)
		var wg sync.WaitGroup
		got := make(chan int, len(all))
		for _, tokens := range all {
			wg.Go(func() {
				form := keyedRefresh(tokens, client, a)
				form.Set("token", form.Get("refresh_token"))
				got <- send(t, http.MethodPost, s.Issuer+endpoint, form.Encode(), formHeader()).Status
			})
		}
		wg.Wait()
		close(got)
		count := map[int]int{}
		for status := range got {
			count[status]++
		}
		if count[http.StatusOK] != 1 || count[http.StatusUnauthorized] != len(all)-1 {
			t.Errorf("%s: statuses = %v, want one 200 and else 401", endpoint, count)
		}
	}
}

// TestCU07SharedSecrets is CU-07, D7, D8: the three methods that share a secret
// are not to be had, alone or beside a key, nor is a document with a secret.
func TestCU07SharedSecrets(t *testing.T) {
	t.Parallel()
	s, k := keyedServer(t, `"token_endpoint_auth_methods": ["none", "private_key_jwt"],`, "ES256")
	cases := map[string]map[string]any{
		"a secret":           {"token_endpoint_auth_method": "none", "client_secret": "s"},
		"an empty secret":    {"token_endpoint_auth_method": "none", "client_secret": ""},
		"a secret that ends": {"token_endpoint_auth_method": "none", "client_secret_expires_at": 0},
		"a secret and a key": {"jwks": servertest.KeySet(k), "client_secret": "s"},
	}
	for _, method := range []string{"client_secret_basic", "client_secret_post", "client_secret_jwt"} {
		cases[method] = map[string]any{"token_endpoint_auth_method": method}
		cases[method+" beside a key"] = map[string]any{"jwks": servertest.KeySet(k), "token_endpoint_auth_methods_supported": []string{"private_key_jwt", method}}
	}
	for name, members := range cases {
		reason := broker.ReasonDocumentAuthMethod
		if strings.HasPrefix(name, "a") {
			reason = broker.ReasonDocumentSecret
		}
		s.Docs.Publish(keyedOther, keyedDocument(members))
		wantPage(t, s, s.Browser().Authorize(s.Request(keyedOther, nil)), http.StatusBadRequest, reason)
		if _, found, err := s.Store.Begin().Client(t.Context(), keyedOther); found || err != nil {
			t.Errorf("%s: a row is left (%v)", name, err)
		}
	}
}

// TestCU05MethodStays is CU-05, A7, B20: a grant made with a key is
// never continued without it, nor one made without with it.
func TestCU05MethodStays(t *testing.T) {
	t.Parallel()
	const both = `"token_endpoint_auth_methods": ["none", "private_key_jwt"],`
	s := servertest.New(t, servertest.Options{Policy: keyedPolicy(both)})
	k := servertest.NewClientKey(t, "ES256", "k1")
	document := keyedDocument(map[string]any{"jwks": servertest.KeySet(k), "token_endpoint_auth_methods_supported": []string{"none", "private_key_jwt"}})
	s.Docs.Publish(client, document)
	bare := func(tokens map[string]any) servertest.Page {
		f := url.Values{"grant_type": {"refresh_token"}, "client_id": {client}, "refresh_token": {fmt.Sprint(tokens["refresh_token"])}}
		return post(t, s, f, nil)
	}
	keyed := func(tokens map[string]any) servertest.Page {
		return post(t, s, keyedRefresh(tokens, client, s.Assertion(k, client, nil, nil)), nil)
	}
	withKey, without := keyedTokens(t, s, k, client), signedIn(t, s)
	wantJSON(t, s, bare(withKey), http.StatusUnauthorized, "invalid_client", broker.ReasonClientAuthFailed)
	wantJSON(t, s, keyed(without), http.StatusUnauthorized, "invalid_client", broker.ReasonClientAuthFailed)
	for token, tokens := range map[string]map[string]any{"refresh_token": withKey, "access_token": withKey} {
		if status := revoke(t, s, tokens[token]); status != http.StatusUnauthorized {
			t.Errorf("A7 revoke of %s without the key: %d, want 401", token, status)
		}
	}
	var next [2]map[string]any
	for i, p := range []servertest.Page{keyed(withKey), bare(without)} {
		if next[i] = answerOf(t, p); p.Status != http.StatusOK {
			t.Errorf("refresh %d as the grant was made: %d %v", i, p.Status, next[i])
		}
	}
	if err := s.Activate(keyedPolicy("")); err != nil { // the strongest alone
		t.Fatal(err)
	}
	wantJSON(t, s, bare(next[1]), http.StatusUnauthorized, "invalid_client", broker.ReasonClientAuthFailed)
	if p := keyed(next[0]); p.Status != http.StatusOK {
		t.Errorf("refresh with the key where policy asks for it: %d %s", p.Status, p.Body)
	}
}

// TestCU05ThiefWithoutTheKey: a stolen refresh token without the key neither
// ends the grant when it is used again nor gets the answer of the grace window.
func TestCU05ThiefWithoutTheKey(t *testing.T) {
	t.Parallel()
	s, k := keyedServer(t, "", "ES256")
	thief := servertest.NewClientKey(t, "ES256", "k1")
	old := keyedTokens(t, s, k, client)
	_, tokens, _ := s.Token(keyedRefresh(old, client, s.Assertion(k, client, nil, nil)))
	for _, later := range []time.Duration{0, time.Hour} {
		s.Clock.Advance(later)
		p := post(t, s, keyedRefresh(old, client, s.Assertion(thief, client, nil, nil)), nil)
		wantJSON(t, s, p, http.StatusUnauthorized, "invalid_client", broker.ReasonAssertionInvalid)
	}
	if status, answer, _ := s.Token(keyedRefresh(tokens, client, s.Assertion(k, client, nil, nil))); status != http.StatusOK {
		t.Errorf("the owner after the thief: %d %v", status, answer)
	}
}

// served makes keyedSet serve these keys.
func served(s *servertest.Server, header string, keys ...*servertest.ClientKey) {
	s.Docs.Set(keyedSet, servertest.Answer{Header: map[string]string{"Cache-Control": header, "Content-Type": "application/jwk-set+json"}, Body: string(servertest.KeySet(keys...))})
}

// TestCU06JWKSURI is CU-06, CU-16, Q7, M13: cached by headers, asked again for
// an unknown key at most once a minute, and a key that is gone counts no more.
func TestCU06JWKSURI(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, servertest.Options{Policy: keyedPolicy("")})
	a, b := servertest.NewClientKey(t, "ES256", "a"), servertest.NewClientKey(t, "RS256", "b")
	s.Docs.Publish(client, keyedDocument(map[string]any{"jwks_uri": keyedSet}))
	served(s, "max-age=600", a)
	tokens := keyedTokens(t, s, a, client)
	step := func(what string, k *servertest.ClientKey, status, hits int) {
		t.Helper()
		p := post(t, s, keyedRefresh(tokens, client, s.Assertion(k, client, nil, nil)), nil)
		if p.Status != status || s.Docs.Hits(keyedSet) != hits {
			t.Fatalf("%s: status %d, %d fetches; want %d, %d\n%s", what, p.Status, s.Docs.Hits(keyedSet), status, hits, p.Body)
		}
		if status == http.StatusOK {
			tokens = answerOf(t, p)
		}
	}
	step("cached", a, 200, 1)
	served(s, "max-age=600", a, b)
	step("an unknown kid within the minute", b, 401, 1)
	s.Clock.Advance(time.Minute)
	step("an unknown kid", b, 200, 2)
	step("the key before, two keys", a, 200, 2)
	served(s, "max-age=600", b)
	s.Clock.Advance(9 * time.Minute)
	step("CU-16 a key that is gone, in the cache", a, 200, 2)
	s.Clock.Advance(2 * time.Minute)
	step("CU-16 a key that is gone, after expiry", a, 401, 3)
	s.Clock.Advance(time.Minute)
	for range 3 {
		step("Q7 once a minute", a, 401, 4)
	}
	step("the key that is left", b, 200, 4)
	s.Docs.Set(keyedSet, servertest.Answer{Status: 503})
	s.Clock.Advance(10 * time.Minute)
	step("host in trouble, the set stands in for it", b, 200, 5)
	step("host in trouble, not asked again at once", b, 200, 5)
	step("host in trouble, a key that is in no set", a, 401, 5)
	served(s, "no-store", b)
	s.Clock.Advance(10 * time.Second)
	step("host back", b, 200, 6)
	s.Clock.Advance(59 * time.Second)
	step("no-store, floor of 60 s", b, 200, 6)
	s.Clock.Advance(time.Second)
	step("no-store, behind the floor", b, 200, 7)
	if hits := s.Docs.Hits(client); hits != 1 {
		t.Errorf("CU-16: the document was fetched %d times, want once", hits)
	}
}

// TestCU16NoKeysForWhatHasEnded: no key is fetched for a grant or a client that
// is over; the client hears what everybody hears.
func TestCU16NoKeysForWhatHasEnded(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, servertest.Options{Policy: keyedPolicy(`"client_ttl": "2h",`)})
	k := servertest.NewClientKey(t, "ES256", "a")
	s.Docs.Publish(client, keyedDocument(map[string]any{"jwks_uri": keyedSet}))
	served(s, "max-age=60", k)
	given, kept := keyedTokens(t, s, k, client), keyedTokens(t, s, k, client)
	back := func() int {
		form := keyedRefresh(given, client, s.Assertion(k, client, nil, nil))
		form.Set("token", form.Get("refresh_token"))
		return send(t, http.MethodPost, s.Issuer+"/revoke", form.Encode(), formHeader()).Status
	}
	if status := back(); status != http.StatusOK {
		t.Fatalf("revoke: %d", status)
	}
	s.Clock.Advance(time.Hour)
	if status := back(); status != http.StatusOK {
		t.Errorf("revoke again: %d, want 200", status)
	}
	again := post(t, s, keyedRefresh(given, client, s.Assertion(k, client, nil, nil)), nil)
	wantJSON(t, s, again, http.StatusBadRequest, "invalid_grant", broker.ReasonGrantEnded)
	s.Clock.Advance(time.Hour)
	late := post(t, s, keyedRefresh(kept, client, s.Assertion(k, client, nil, nil)), nil)
	wantJSON(t, s, late, http.StatusBadRequest, "invalid_grant", broker.ReasonClientEnded)
	if hits := s.Docs.Hits(keyedSet); hits != 1 {
		t.Errorf("%d fetches of keys, want the first alone", hits)
	}
}

// TestF11KeysThatMayNotBe is F11, B4, B42, SO-15: what a jwks_uri must not
// serve, each one answer to strangers.
func TestF11KeysThatMayNotBe(t *testing.T) {
	t.Parallel()
	k := servertest.NewClientKey(t, "ES256", "k1")
	set := string(servertest.KeySet(k))
	texts := map[string]bool{}
	for name, a := range map[string]servertest.Answer{
		"B42 private":    {Body: strings.Replace(set, `"kty"`, `"d":"AA","kty"`, 1)},
		"too large":      {Body: set + strings.Repeat(" ", 12<<10)},
		"no JSON":        {Body: "{"},
		"no keys":        {Body: `{"keys":[]}`},
		"HTML":           {Header: map[string]string{"Content-Type": "text/html"}, Body: set},
		"SO-15 redirect": {Status: 302, Header: map[string]string{"Location": "/elsewhere"}},
		"gone":           {Status: 404},
	} {
		s := servertest.New(t, servertest.Options{Policy: keyedPolicy("")})
		s.Docs.Publish(client, keyedDocument(map[string]any{"jwks_uri": keyedSet}))
		s.Docs.Set(keyedSet, a)
		p := s.Browser().Play(s.Request(client, nil))
		answer := post(t, s, s.Exchange(client, p, s.Asserted(k, client)), nil)
		wantJSON(t, s, answer, http.StatusUnauthorized, "invalid_client", broker.ReasonAssertionInvalid)
		var body struct {
			Text string `json:"error_description"`
			ID   string `json:"request_id"`
		}
		if err := json.Unmarshal([]byte(answer.Body), &body); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		texts[strings.ReplaceAll(body.Text, body.ID, "")] = true
	}
	if len(texts) != 1 {
		t.Errorf("texts for strangers = %v, want one for all", texts)
	}
}

// TestCU08OtherOrigins is CU-08: another host, port or scheme is another origin,
// and nothing is fetched of it but where settings waive the rule for hosts.
func TestCU08OtherOrigins(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		uri            string
		strict, waived broker.Reason // empty: admitted
	}{
		{"https://client.example.com/elsewhere/jwks.json", "", ""},
		{"https://client.example.com:443/jwks.json", "", ""}, // the same origin, spelled out
		{"https://keys.client.example.com/jwks.json", broker.ReasonDocumentAuthMethod, ""},
		{"https://keys.example.net/jwks.json", broker.ReasonDocumentAuthMethod, ""},
		{"https://client.example.com:8443/jwks.json", broker.ReasonDocumentAuthMethod, ""},
		{"http://client.example.com/jwks.json", broker.ReasonDocumentMember, broker.ReasonDocumentMember},
		{"https://client.example.com@keys.example.net/jwks.json", broker.ReasonDocumentMember, broker.ReasonDocumentMember},
	} {
		for more, want := range map[string]broker.Reason{"": c.strict, `"jwks": {"same_origin": false},`: c.waived} {
			s := servertest.New(t, servertest.Options{Policy: keyedPolicy(more)})
			s.Docs.Publish(client, keyedDocument(map[string]any{"jwks_uri": c.uri}))
			p := s.Browser().Authorize(s.Request(client, nil))
			if want != "" {
				wantPage(t, s, p, http.StatusBadRequest, want)
			} else if p.Status != http.StatusOK || mark(p, "public-reason") != "" {
				t.Errorf("%s, %s: status %d\n%s", c.uri, more, p.Status, brief(p))
			}
			if s.Docs.Total() != 1 {
				t.Errorf("%s: %d fetches, want the document alone", c.uri, s.Docs.Total())
			}
		}
	}
}

// TestCU08Waived is CU-08: keys of another origin are asked for only where settings
// allow them.
func TestCU08Waived(t *testing.T) {
	t.Parallel()
	const elsewhere = "https://keys.example.net/jwks.json"
	for _, c := range []struct {
		more   string
		status int
	}{{`"jwks": {"same_origin": false},`, http.StatusOK}, {"", 0}} {
		s := servertest.New(t, servertest.Options{Policy: keyedPolicy(c.more), Hosts: []string{"client.example.com", "keys.example.net"}})
		k := s.KeyAt(elsewhere, "ES256")
		s.Docs.Publish(client, keyedDocument(map[string]any{"jwks_uri": elsewhere}))
		p := s.Browser().Authorize(s.Request(client, nil))
		if c.status == 0 {
			wantPage(t, s, p, http.StatusBadRequest, broker.ReasonDocumentAuthMethod)
			if hits := s.Docs.Hits(elsewhere); hits != 0 {
				t.Errorf("%d fetches of keys of another origin, want none", hits)
			}
			continue
		}
		keyedTokens(t, s, k, client)
	}
}
