package server_test

import (
	"maps"
	"net/http"
	"net/url"
	"time"

	"guestlist/broker"
	"guestlist/server/servertest"
)

// Outcomes that a request has a record of.
var (
	admitted = []string{"admitted"}
	reused   = []string{"reused"}
	granted  = []string{"granted"}
	issued   = []string{"issued"}
	done     = []string{"done"}
	refused  = []string{"refused"}
)

// scenarios are all of them, by name.
func scenarios() map[string]scenario {
	out := map[string]scenario{}
	for _, group := range []map[string]scenario{pageScenarios(), accountScenarios(), tokenScenarios(), clientScenarios(), operatorScenarios(), listScenarios()} {
		maps.Copy(out, group)
	}
	return out
}

// nothing comes before.
func nothing(*trial) {}

// wantsSignIn opens the authorization endpoint.
func wantsSignIn(x *trial) told {
	p := x.request()
	return told{meant: isSignIn(p), page: p}
}

// wantsConsent opens it for somebody who is signed in.
func wantsConsent(x *trial) told {
	p := x.request()
	return told{meant: isConsent(p), page: p}
}

// submit sends the form of the page that the person is on.
func submit(element string, values url.Values, meant func(servertest.Page) bool) func(*trial) told {
	return func(x *trial) told {
		p := x.b.Submit(x.page, element, values)
		if p.Param("code") != "" {
			defer func() { x.page = p }()
		}
		return told{meant: meant(p), page: p}
	}
}

func hasCode(p servertest.Page) bool { return p.Param("code") != "" }

// refusedTo is an error that the client is told by redirect.
func refusedTo(code string) func(servertest.Page) bool {
	return func(p servertest.Page) bool { return p.Param("error") == code }
}

// signingIn is the person on the sign-in page.
func signingIn(x *trial) { x.page = x.request() }

// signedInElsewhere is the person signed in before the client asks.
func signedInElsewhere(x *trial) {
	x.b.SignIn(x.b.Get(x.Issuer+"/signin"), servertest.Person)
}

// pageScenarios are what a person's browser does.
func pageScenarios() map[string]scenario {
	right := url.Values{"username": {servertest.Person}, "password": {servertest.Password}}
	wrong := url.Values{"username": {servertest.Person}, "password": {"a wrong password"}}
	deny := url.Values{"decision": {"deny"}}
	return map[string]scenario{
		"authorize cold":      {kind: "plain", ready: nothing, act: wantsSignIn, grant: admitted},
		"authorize warm":      {kind: "plain", ready: func(x *trial) { x.request() }, act: wantsSignIn, grant: reused},
		"authorize signed in": {kind: "plain", ready: signedInElsewhere, act: wantsConsent, grant: []string{"admitted", "reused"}},
		"authorize refused by policy": {kind: "strange", ready: nothing, grant: refused, act: func(x *trial) told {
			p := x.request()
			return told{meant: p.Status == http.StatusForbidden, page: p}
		}},
		"sign-in right": {kind: "plain", ready: signingIn, act: submit("password", right, isConsent), grant: reused},
		"sign-in wrong": {kind: "plain", ready: signingIn, grant: refused, none: true, act: submit("password", wrong, func(p servertest.Page) bool { return p.Status == http.StatusUnauthorized })},
		"sign-out": {kind: "plain", ready: (*trial).asked, act: submit("", nil, isSignIn), holds: func(x *trial) string {
			if p := x.request(); !isSignIn(p) {
				return "the person is still signed in"
			}
			return ""
		}},
		"consent granted": {kind: "plain", ready: (*trial).asked, act: submit("decision", allow(), hasCode), grant: granted, spent: broker.ReasonTicketSpent},
		"consent refused": {kind: "plain", ready: (*trial).asked, act: submit("decision", deny, refusedTo("access_denied")), grant: refused, spent: broker.ReasonTicketSpent},
		"consent once": {kind: "once", ready: func(x *trial) {
			x.consented()
			x.Clock.Advance(time.Second)
		}, act: wantsConsent, grant: reused},
		"consent skipped": {kind: "skip", ready: func(x *trial) { x.keyed(); signedInElsewhere(x) }, grant: granted, start: wantsSkipped, act: wantsSkipped, spent: broker.ReasonTicketSpent},
		"consent needs approval": {kind: "approval", ready: nothing, grant: refused, act: func(x *trial) told {
			p := x.request()
			return told{meant: p.Status == http.StatusForbidden || p.Param("error") != "", page: p}
		}},
		"consent denied by policy": {kind: "denied", ready: signingIn, act: submit("password", right, refusedTo("access_denied")), grant: refused},
	}
}

// keyed gives the client a key, and a redirect URI on its own origin.
func (x *trial) keyed() {
	x.key = servertest.NewClientKey(x.t, "ES256", "k1")
	x.Docs.Publish(x.id, keyedDocument(map[string]any{
		"jwks": servertest.KeySet(x.key), "redirect_uris": []string{skipRedirect, "http://127.0.0.1/callback"},
	}))
}

// wantsSkipped asks where nobody is asked.
func wantsSkipped(x *trial) told {
	p := x.b.Follow(x.Issuer + "/authorize?" + x.Server.Request(x.id, url.Values{"redirect_uri": {skipRedirect}}).Encode())
	return told{meant: hasCode(p), page: p}
}

// accountScenarios are what a person takes back.
func accountScenarios() map[string]scenario {
	account := func(x *trial) {
		x.exchanged()
		x.page = x.b.Get(x.Issuer + "/account")
	}
	withdrawn := func(element string) func(*trial) told {
		return func(x *trial) told {
			_, fields, _ := x.page.Form(element)
			if element == "revoke" {
				fields = url.Values{"csrf": fields["csrf"], "revoke": {x.grants()[0].ID}}
			} else {
				fields = url.Values{"csrf": fields["csrf"], "revoke_all": {"all"}}
			}
			p := x.b.Post(x.Issuer+"/account", fields)
			return told{meant: p.Status == http.StatusOK && mark(p, "person") != "", page: p}
		}
	}
	return map[string]scenario{
		"account page": {kind: "plain", ready: (*trial).exchanged, act: func(x *trial) told {
			p := x.b.Get(x.Issuer + "/account")
			return told{meant: mark(p, "person") != "", page: p}
		}},
		"account ends a grant": {kind: "plain", ready: account, act: withdrawn("revoke"), holds: (*trial).ended},
		"account ends all":     {kind: "plain", ready: account, act: withdrawn("revoke_all"), holds: (*trial).ended},
	}
}
