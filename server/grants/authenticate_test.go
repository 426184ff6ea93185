package grants_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"testing"

	"guestlist/broker"
	"guestlist/server/grants"
)

func basic(userPass string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(userPass))
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
		{"F3 Basic, escaped id, empty secret", []string{basic(escaped + ":")}, nil, clientID},
		{"F3 Basic as the Go client sends it, equal client_id", []string{basic(escaped + ":")}, url.Values{"client_id": {clientID}}, clientID},
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
				wantReason(t, "Authenticate", err, broker.ReasonClientAuthFailed)
				if got != (grants.ClientAuth{}) {
					t.Errorf("Authenticate = %+v beside an error, want zero", got)
				}
				return
			}
			if want := (grants.ClientAuth{ClientID: tt.want, Method: "none"}); err != nil || got != want {
				t.Errorf("Authenticate = %+v, %v, want %+v", got, err, want)
			}
		})
	}
}
