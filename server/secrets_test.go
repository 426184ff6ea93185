package server_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"guestlist/server/servertest"
	"guestlist/store"
)

// TestSecretsCanary plays a flow, good and bad, and looks for each secret of
// it in the log, in every record and on pages that need it not.
func TestSecretsCanary(t *testing.T) {
	t.Parallel()
	log := &servertest.Buffer{}
	s := start(t, servertest.Options{Log: log})
	b := s.Browser()
	secrets := map[string]string{"password": servertest.Password, "wrong password": "canary-wrong-password", "verifier": servertest.Verifier, "guess": "canary-guessed-secret"}
	pages := []servertest.Page{}
	see := func(p servertest.Page) servertest.Page {
		for _, element := range []string{"password", "decision"} {
			if _, f, ok := p.Form(element); ok {
				secrets["csrf of "+element], secrets["ticket of "+element] = f.Get("csrf"), f.Get("ticket")
			}
		}
		pages = append(pages, p)
		return p
	}
	p := see(b.Authorize(s.Request(client, nil)))
	p = see(b.Submit(p, "password", url.Values{"username": {servertest.Person}, "password": {secrets["wrong password"]}}))
	p = see(b.SignIn(p, servertest.Person))
	p = see(b.Submit(p, "decision", allow()))
	for _, c := range strings.Split(b.Cookies(), "; ") {
		name, value, _ := strings.Cut(c, "=")
		secrets["cookie "+name] = value
	}
	secrets["code"] = p.Param("code")
	see(post(t, s, s.Exchange(client, p, url.Values{"code_verifier": {strings.Repeat("c", 43)}}), nil))
	see(post(t, s, s.Exchange(client, p, nil), basic(url.QueryEscape(client), secrets["guess"])))
	see(post(t, s, s.Exchange(client, p, url.Values{"client_secret": {secrets["guess"]}}), nil))
	asserted := s.Asserted(servertest.NewClientKey(t, "ES256", "canary"), client)
	secrets["assertion"] = asserted.Get("client_assertion")
	see(post(t, s, s.Exchange(client, p, asserted), nil))
	asserted.Set("client_assertion", secrets["assertion"]+"!")
	see(post(t, s, s.Exchange(client, p, asserted), nil))
	token := post(t, s, s.Exchange(client, p, nil), nil)
	secrets["token"] = answerOf(t, token)["access_token"].(string)
	see(post(t, s, s.Exchange(client, p, nil), nil)) // a replay
	see(b.Get(s.Issuer + "/consent?ticket=" + url.QueryEscape(secrets["ticket of decision"])))
	h := formHeader()
	h.Set("Cookie", b.Cookies())
	see(send(t, http.MethodPost, s.Issuer+"/consent", url.Values{"ticket": {secrets["ticket of decision"]}, "csrf": {"canary-guessed-secret"}}.Encode(), h))
	records, err := json.Marshal(s.Records(store.RecordQuery{}))
	if err != nil {
		t.Fatal(err)
	}
	if len(secrets) < 12 {
		t.Fatalf("%d secrets, want all kinds: %v", len(secrets), secrets)
	}
	for name, secret := range secrets {
		if len(secret) < 16 {
			t.Errorf("%s = %q is too short to look for", name, secret)
		}
		for where, text := range map[string]string{"log": log.String(), "records": string(records)} {
			if strings.Contains(text, secret) || strings.Contains(text, url.QueryEscape(secret)) {
				t.Errorf("the %s is in the %s", name, where)
			}
		}
		for _, p := range pages {
			hidden := strings.HasPrefix(name, "csrf") || strings.HasPrefix(name, "ticket")
			if !hidden && strings.Contains(p.Body, secret) {
				t.Errorf("the %s is on page %s", name, p.URL)
			}
		}
	}
	if strings.Count(log.String(), "\n") < len(pages) || len(records) < 1000 {
		t.Errorf("%d log lines, %d bytes of records: too few to prove anything", strings.Count(log.String(), "\n"), len(records))
	}
}
