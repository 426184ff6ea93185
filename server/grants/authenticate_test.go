package grants_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"guestlist/broker"
	"guestlist/server/grants"
)

func basic(userPass string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(userPass))
}

// unsigned is an assertion as far as Authenticate looks.
func unsigned(payload string) string {
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".c2ln"
}

// TestAuthenticateAssertion is A7, X15, traps 15-18: of an assertion only form
// and sub are read; what it proves is another's to find out.
func TestAuthenticateAssertion(t *testing.T) {
	const good = `{"iss":"` + clientID + `","sub":"` + clientID + `","aud":"x","jti":"j","exp":1}`
	const kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	form := func(payload string, more ...string) url.Values {
		f := url.Values{"client_assertion_type": {kind}, "client_assertion": {unsigned(payload)}}
		for i := 0; i < len(more); i += 2 {
			f.Set(more[i], more[i+1])
		}
		return f
	}
	for _, c := range []struct {
		name string
		form url.Values
		ok   bool
	}{
		{"alone", form(good), true},
		{"equal client_id", form(good, "client_id", clientID), true},
		{"empty secret counts as omitted", form(good, "client_secret", ""), true},
		{"other client_id", form(good, "client_id", "https://other.example/m"), false},
		{"secret", form(good, "client_secret", "s"), false},
		{"other type", form(good, "client_assertion_type", "urn:x"), false},
		{"type in another case", form(good, "client_assertion_type", strings.ToUpper(kind)), false},
		{"claims in another case", form(strings.Replace(good, `"sub"`, `"SUB"`, 1)), false},
		{"sub null", form(strings.Replace(good, `"sub":"`+clientID+`"`, `"sub":null`, 1)), false},
		{"aud a number", form(strings.Replace(good, `"aud":"x"`, `"aud":1`, 1)), false},
		{"exp too big", form(strings.Replace(good, `"exp":1`, `"exp":1e30`, 1)), false},
		{"exp negative", form(strings.Replace(good, `"exp":1`, `"exp":-1`, 1)), false},
		{"no object", form(`[]`), false},
		{"null", form(`null`), false},
		{"five parts", form(good, "client_assertion", unsigned(good)+".x.y"), false},
		{"padding", form(good, "client_assertion", "e30.e30=.c2ln"), false},
		{"too long", form(strings.Replace(good, `"j"`, `"`+strings.Repeat("j", 8192)+`"`, 1)), false},
	} {
		got, err := grants.Authenticate(http.Header{}, c.form)
		if !c.ok {
			reason := broker.ReasonAssertionInvalid
			if c.name == "secret" {
				reason = broker.ReasonClientAuthFailed
			}
			wantReason(t, c.name, err, reason)
			if got.ClientID = ""; got != (grants.ClientAuth{}) {
				t.Errorf("%s: Authenticate = %+v beside an error, want no more than a ClientID", c.name, got)
			}
			continue
		}
		want := grants.ClientAuth{ClientID: clientID, Method: "private_key_jwt", Assertion: grants.Assertion(c.form.Get("client_assertion"))}
		if err != nil || got != want {
			t.Errorf("%s: Authenticate = %+v, %v, want %+v", c.name, got, err, want)
		}
		for _, text := range []string{fmt.Sprint(got), fmt.Sprintf("%+v %#v %q", got, got, got.Assertion)} {
			if strings.Contains(text, string(want.Assertion)) {
				t.Errorf("%s: the assertion prints as itself: %s", c.name, text)
			}
		}
	}
	if _, err := grants.Authenticate(http.Header{"Authorization": {basic(url.QueryEscape(clientID) + ":")}}, form(good)); err == nil {
		t.Error("Authenticate took an assertion beside Basic")
	}
}

func TestAuthenticate(t *testing.T) {
	const withPort = "https://client.example:8443/m"
	escaped := url.QueryEscape(clientID)
	tests := []struct {
		name    string
		headers []string
		form    url.Values
		want    string // client id; empty: refused
	}{
		{"body alone", nil, url.Values{"client_id": {clientID}}, clientID},
		{"body, opaque id", nil, url.Values{"client_id": {"console"}}, "console"},
		{"body, empty secret counts as omitted", nil, url.Values{"client_id": {clientID}, "client_secret": {""}}, clientID},
		{"trap F3, Basic, escaped id, empty secret", []string{basic(escaped + ":")}, nil, clientID},
		{"trap F3, Basic as the Go client sends it, equal client_id", []string{basic(escaped + ":")}, url.Values{"client_id": {clientID}}, clientID},
		{"trap 14 Basic, id left as it is", []string{basic(clientID + ":")}, nil, clientID},
		{"trap 14 Basic, id left as it is, with port", []string{basic(withPort + ":")}, nil, withPort},
		{"trap 14 Basic, id left as it is, with escapes", []string{basic("https://c.example/a%20b+c:")}, nil, "https://c.example/a%20b+c"},
		{"trap 14 Basic, escaped id with port", []string{basic(url.QueryEscape(withPort) + ":")}, nil, withPort},
		{"Basic, opaque id", []string{basic("console:")}, nil, "console"},
		{"Basic, scheme in another case", []string{"bAsIc " + basic(escaped + ":")[6:]}, nil, clientID},

		{"nothing", nil, nil, ""},
		{"body, empty", nil, url.Values{"client_id": {""}}, ""},
		{"body, secret", nil, url.Values{"client_id": {clientID}, "client_secret": {"s"}}, ""},
		{"body, second secret", nil, url.Values{"client_id": {clientID}, "client_secret": {"", "s"}}, ""},
		{"traps 15-18 assertion", nil, url.Values{"client_id": {clientID}, "client_assertion": {"a.b.c"}}, ""},
		{"traps 15-18 assertion type alone", nil, url.Values{"client_id": {clientID}, "client_assertion_type": {"urn:x"}}, ""},
		{"trap 38 Basic, secret", []string{basic(escaped + ":s")}, nil, ""},
		{"trap 38 Basic, secret beside client_id", []string{basic(escaped + ":s")}, url.Values{"client_id": {clientID}}, ""},
		{"trap 14 Basic, id left as it is, secret", []string{basic(clientID + ":s")}, nil, ""},
		{"trap 14 Basic, no separator", []string{basic(clientID)}, nil, ""},
		{"Basic, other client_id", []string{basic(escaped + ":")}, url.Values{"client_id": {"https://other.example/m"}}, ""},
		{"Basic and body secret", []string{basic(escaped + ":")}, url.Values{"client_secret": {"s"}}, ""},
		{"Basic and assertion", []string{basic(escaped + ":")}, url.Values{"client_assertion": {"a.b.c"}}, ""},
		{"Basic, no colon", []string{basic("console")}, nil, ""},
		{"Basic, no colon, client_id", []string{basic("console")}, url.Values{"client_id": {"console"}}, ""},
		{"Basic, no id, client_id", []string{basic(":")}, url.Values{"client_id": {clientID}}, ""},
		{"Basic, no id", []string{basic(":")}, nil, ""},
		{"Basic, broken escape", []string{basic("a%zz:")}, nil, ""},
		{"Basic, not base64", []string{"Basic !!!"}, nil, ""},
		{"Basic, empty", []string{"Basic"}, nil, ""},
		{"other scheme, Basic inside", []string{"Bearer " + basic(escaped + ":")[6:]}, nil, ""},
		{"other scheme", []string{"Bearer abc"}, url.Values{"client_id": {clientID}}, ""},
		{"empty header", []string{""}, url.Values{"client_id": {clientID}}, ""},
		{"two headers", []string{basic(escaped + ":"), basic(escaped + ":")}, nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := grants.Authenticate(http.Header{"Authorization": tt.headers}, tt.form)
			if tt.want == "" {
				reason := broker.ReasonClientAuthFailed
				if strings.HasPrefix(tt.name, "traps 15-18") {
					reason = broker.ReasonAssertionInvalid
				}
				wantReason(t, "Authenticate", err, reason)
				if got.ClientID = ""; got != (grants.ClientAuth{}) {
					t.Errorf("Authenticate = %+v beside an error, want no more than a ClientID", got)
				}
				return
			}
			if want := (grants.ClientAuth{ClientID: tt.want, Method: "none"}); err != nil || got != want {
				t.Errorf("Authenticate = %+v, %v, want %+v", got, err, want)
			}
		})
	}
}

// A refused request with a secret names its client only where the identifier
// surely ends in front of the secret: what is named is recorded for good.
func TestAuthenticateNamesNoPartOfASecret(t *testing.T) {
	const id = "https://client.example/oauth/client.json"
	for _, c := range []struct{ name, credentials, want string }{
		{"encoded", url.QueryEscape(id) + ":hunter2", id},
		{"encoded, a secret with colons", url.QueryEscape(id) + ":hun:ter:2", id},
		{"encoded, an identifier with colons", url.QueryEscape(id+"/a:b") + ":hunter2", id + "/a:b"},
		{"as it is", id + ":hunter2", id},
		{"as it is, with a port", "https://client.example:8443/c:hunter2", "https://client.example:8443/c"},
		{"as it is, a secret with a colon", id + ":hun:ter2", ""},
		{"as it is, a secret that is an address", id + ":https://hook.example/hunter2:x", ""},
		{"registered", "s6BhdRkqt3:hun:ter2", "s6BhdRkqt3"},
	} {
		header := http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(c.credentials))}}
		got, err := grants.Authenticate(header, url.Values{})
		wantReason(t, c.name, err, broker.ReasonClientAuthFailed)
		if got.ClientID != c.want {
			t.Errorf("%s: Authenticate(%q) names %q, want %q", c.name, c.credentials, got.ClientID, c.want)
		}
	}
}
