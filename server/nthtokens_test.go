package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"guestlist/broker"
	"guestlist/server/servertest"
)

// refusedWith is the error of the token endpoint, which is what some scenarios
// are about.
func refusedWith(x *trial, p servertest.Page, code string) told {
	return told{meant: p.Status < 500 && answerOf(x.t, p)["error"] == code, page: p}
}

// refreshed has the client use its first refresh token, which stays at hand.
func refreshed(x *trial) any {
	x.exchanged()
	first := x.tokens["refresh_token"]
	x.rotate(first)
	x.tokens["refresh_token"] = first
	return first
}

// wantsTokens presents the refresh token at hand.
func wantsTokens(x *trial) told {
	p := x.rotate(x.tokens["refresh_token"])
	return told{meant: p.Status == http.StatusOK, page: p}
}

// wantsRefusal is wantsTokens of one that must not give any.
func wantsRefusal(x *trial) told {
	return refusedWith(x, x.rotate(x.tokens["refresh_token"]), "invalid_grant")
}

// form posts a form of the client to an endpoint.
func (x *trial) form(path string, form url.Values, header http.Header) servertest.Page {
	h := formHeader()
	for k, v := range header {
		h[k] = v
	}
	return send(x.t, http.MethodPost, x.Issuer+path, x.asserted(form).Encode(), h)
}

// givesBack revokes a token of the client.
func givesBack(name string) func(*trial) told {
	return func(x *trial) told {
		p := x.form("/revoke", url.Values{"client_id": {x.id}, "token": {x.tokens[name].(string)}}, nil)
		return told{meant: p.Status == http.StatusOK, page: p}
	}
}

// introspected asks about the access token, and wants it to be active or not.
func introspected(active bool) func(*trial) told {
	return func(x *trial) told {
		r, _ := http.NewRequest(http.MethodPost, "/", nil)
		r.SetBasicAuth("Example MCP server", servertest.Secret)
		p := send(x.t, http.MethodPost, x.Issuer+"/introspect", url.Values{"token": {x.tokens["access_token"].(string)}}.Encode(),
			http.Header{"Content-Type": formHeader()["Content-Type"], "Authorization": r.Header["Authorization"]})
		return told{meant: p.Status == http.StatusOK && answerOf(x.t, p)["active"] == active, page: p}
	}
}

// tokenEnded says what is wrong where the access token is active still.
func tokenEnded(x *trial) string {
	if got := introspected(false)(x); !got.meant {
		return "the token is active"
	}
	return ""
}

// fetchedKey has the client's key behind a jwks_uri, and gone stale.
func fetchedKey(x *trial) {
	x.key = servertest.NewClientKey(x.t, "ES256", "k1")
	uri := x.id + "/jwks"
	x.Docs.Publish(x.id, keyedDocument(map[string]any{"jwks_uri": uri}))
	x.Docs.Set(uri, servertest.Answer{Body: string(servertest.KeySet(x.key)), Header: map[string]string{"Cache-Control": "max-age=60"}})
	x.consented()
}

// replaced is a client whose key gave way to another one without continuity.
func replaced(x *trial) {
	fetchedKey(x)
	x.redeem()
	x.key = servertest.NewClientKey(x.t, "ES256", "k2")
	x.Docs.Set(x.id+"/jwks", servertest.Answer{Body: string(servertest.KeySet(x.key))})
	x.Clock.Advance(2 * time.Minute)
}

// tokenScenarios are what a client, and a resource, does.
func tokenScenarios() map[string]scenario {
	keyed := func(x *trial) { x.keyed(); x.consented() }
	twice := func(x *trial) { x.exchanged() }
	late := func(x *trial) { refreshed(x); x.Clock.Advance(time.Minute) }
	frozen := func(x *trial) {
		check(x.t, x.SetFacts(map[string]any{"freeze": false, "round": x.round}))
		x.exchanged()
		check(x.t, x.SetFacts(map[string]any{"freeze": true, "round": x.round}))
	}
	opened := broker.ReasonGrantSpent
	return map[string]scenario{
		"exchange":                         {kind: "plain", ready: (*trial).consented, act: (*trial).redeem, grant: issued, spent: opened},
		"exchange for an opaque token":     {kind: "opaque", ready: (*trial).consented, act: (*trial).redeem, grant: issued, spent: opened},
		"exchange with a key":              {kind: "plain", ready: keyed, act: (*trial).redeem, grant: issued, spent: opened},
		"exchange with a fetched key":      {kind: "plain", ready: fetchedKey, act: (*trial).redeem, grant: issued, spent: opened},
		"refresh":                          {kind: "plain", ready: (*trial).exchanged, act: wantsTokens, grant: issued},
		"refresh with a key":               {kind: "plain", ready: func(x *trial) { x.keyed(); x.exchanged() }, act: wantsTokens, grant: issued},
		"refresh with a replaced key":      {kind: "plain", ready: replaced, act: wantsRefusal, grant: refused},
		"refresh repeated in grace":        {kind: "plain", ready: func(x *trial) { refreshed(x) }, act: wantsTokens, grant: reused},
		"refresh token used again":         {kind: "plain", ready: late, act: wantsRefusal, grant: refused, holds: (*trial).ended},
		"refresh ends the grant":           {kind: "ending", ready: frozen, act: wantsRefusal, grant: refused, holds: (*trial).ended},
		"code used again":                  {kind: "plain", ready: twice, act: func(x *trial) told { return refusedWith(x, x.redeem().page, "invalid_grant") }, grant: refused, holds: (*trial).ended},
		"revoke an access token":           {kind: "plain", ready: (*trial).exchanged, act: givesBack("access_token"), holds: tokenEnded},
		"revoke a refresh token":           {kind: "plain", ready: (*trial).exchanged, act: givesBack("refresh_token"), holds: (*trial).ended},
		"revoke with a key":                {kind: "plain", ready: func(x *trial) { x.keyed(); x.exchanged() }, act: givesBack("refresh_token"), holds: (*trial).ended},
		"introspection":                    {kind: "plain", ready: (*trial).exchanged, act: introspected(true), grant: done},
		"introspection of an opaque token": {kind: "opaque", ready: (*trial).exchanged, act: introspected(true), grant: done},
	}
}

// gone reports that there is no row of the round's client, or one of another
// life than ended.
func gone(x *trial) string {
	if _, found, err := x.Store.Begin().Client(x.t.Context(), x.id); err != nil || found {
		return "the client has a row"
	}
	return x.ended()
}

// expiredWith is a client that got as far as what, and whose life is over.
func expiredWith(what func(*trial)) func(*trial) {
	return func(x *trial) { what(x); x.Clock.Advance(40 * 24 * time.Hour) }
}

// renamed is a client whose document went stale and says something else now.
func renamed(x *trial, members map[string]any) {
	doc := map[string]any{"grant_types": refreshing["grant_types"], "client_name": "Renamed"}
	for k, v := range members {
		doc[k] = v
	}
	x.Docs.Publish(x.id, doc)
	x.Clock.Advance(2 * time.Hour)
}

// moved are members of a document that its clients' people must be asked about
// again.
var moved = map[string]any{"redirect_uris": []string{"http://127.0.0.1/callback", "http://127.0.0.1/other"}}

// refusedPage wants a page that refuses.
func refusedPage(x *trial) told {
	p := x.request()
	return told{meant: p.Status >= 400 && p.Status < 500, page: p}
}

// lapsed activates policies that do not know the round's client any more.
func lapsed(x *trial) {
	all := failPolicies()
	check(x.t, x.Activate(all))
	x.exchanged()
	delete(all, "plain.rego")
	check(x.t, x.Activate(all))
}

// clientScenarios are what becomes of clients that are met.
func clientScenarios() map[string]scenario {
	blocked := func(x *trial) {
		x.exchanged()
		check(x.t, blockQuietly(x))
	}
	return map[string]scenario{
		"met expired at the start of a flow": {kind: "brief", ready: expiredWith((*trial).consented), act: wantsSignIn, grant: admitted, holds: (*trial).ended},
		"document fetched again":             {kind: "plain", ready: func(x *trial) { x.request(); x.Clock.Advance(2 * time.Hour) }, act: wantsSignIn, grant: admitted},
		"document changed":                   {kind: "plain", ready: func(x *trial) { x.exchanged(); renamed(x, moved); x.b = x.Browser() }, act: wantsSignIn, grant: admitted},
		"document held":                      {kind: "held", ready: func(x *trial) { x.request(); renamed(x, moved) }, act: wantsSignIn, grant: admitted},
		"document withdrawn": {kind: "plain", ready: func(x *trial) {
			x.request()
			x.Docs.Set(x.id, servertest.Answer{Status: http.StatusNotFound})
			x.Clock.Advance(2 * time.Hour)
		}, act: refusedPage, grant: refused},
		"met blocked at the start of a flow": {kind: "plain", ready: blocked, act: refusedPage, grant: refused, holds: gone},
		"met blocked at a refresh":           {kind: "plain", ready: blocked, act: wantsRefusal, grant: refused, holds: gone},
		// What is over is inactive also where its end could not be written, which
		// the next who meets it does (TestIntrospectionOfTheDeadOnAFullDisk).
		"met blocked by introspection":      {kind: "plain", ready: blocked, act: introspected(false)},
		"met without a policy":              {kind: "plain", ready: lapsed, act: refusedPage, grant: refused, holds: gone},
		"met without a policy at a refresh": {kind: "plain", ready: lapsed, act: wantsRefusal, grant: refused, holds: gone},
	}
}

// blockQuietly blocks the round's client without looking for what it covers, as
// where the server stopped in between.
func blockQuietly(x *trial) error {
	u := x.Store.Begin()
	if err := x.Broker.Block(x.t.Context(), u, broker.Block{Kind: broker.BlockURL, Value: x.id, Reason: "stolen", Actor: "operator"}); err != nil {
		return err
	}
	return x.Store.Commit(x.t.Context(), u)
}

// gives an operator's act its answer.
func acted(err error) told { return told{meant: err == nil, err: err} }

// saying reports an error with these words.
func saying(words string) func(error) bool {
	return func(err error) bool { return err != nil && strings.Contains(err.Error(), words) }
}
