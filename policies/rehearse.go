package policies

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"guestlist/broker"
	"guestlist/broker/cimd"
)

// rehearse decides about a request made up for the subject, and says why it is
// refused. Where nothing is left open, it must not be: so exactness is never
// claimed for what no request gets.
func (a *asking) rehearse(s *subject) (why string) {
	made, err := a.madeUp(s)
	q := imagined{made}
	if err != nil {
		return "no request could be made up for it: " + err.Error()
	}
	for _, phase := range phases[:3] {
		q.Input.Phase = phase
		d := a.set.Decide(a.ctx, q.Query)
		if phase == broker.PhaseURL && a.q.Offered == nil {
			q.offer(d.Settings.Audiences)
		}
		if !d.Allowed {
			return clip(fmt.Sprintf("a request made up for it is refused in phase %s: %s (%s)", phase, d.Reason, d.Detail), maxCondition)
		}
		if !slices.Contains(d.Winner, s.policy.name) {
			return "for a request made up for it another policy decides"
		}
		if lost := a.lost(d); phase != broker.PhaseURL && lost != "" {
			return "a request made up for it does not get " + lost
		}
	}
	return ""
}

// imagined is a request that nobody made.
type imagined struct{ broker.Query }

// offer makes the server one that has the audiences of the settings.
func (q *imagined) offer(audiences []string) {
	if len(audiences) == 0 {
		return
	}
	q.Offer.Resources = nil
	for _, id := range audiences {
		q.Offer.Resources = append(q.Offer.Resources, broker.Resource{ID: id, Name: id})
	}
	if asked := q.Input.Request.Resources; len(asked) == 1 && asked[0] == anyResource {
		q.Input.Request.Resources = audiences[:1]
	}
}

// anyResource stands for a resource where none is known.
const anyResource = "https://resource.invalid"

// lost names what a decision does not grant.
func (a *asking) lost(d broker.Decision) string {
	for _, list := range []struct{ name, want, have []string }{
		{[]string{"scope"}, a.q.Scopes, d.Effective.Scopes}, {[]string{"grant"}, a.q.Grants, d.Effective.GrantTypes},
	} {
		for _, v := range list.want {
			if !slices.Contains(list.have, v) {
				return list.name[0] + " " + v
			}
		}
	}
	if a.q.NoKey && !slices.Contains(d.Effective.AuthMethods, "none") {
		return "in without a key"
	}
	t := terms{Settings: d.Settings}
	for _, dim := range a.dims {
		if dim.name != "anyone" && !dim.granted(&t, nil) {
			return dim.name
		}
	}
	return ""
}

// madeUp is a request for exactly what was asked, from a client whose document
// offers exactly that.
func (a *asking) madeUp(s *subject) (broker.Query, error) {
	id, err := s.example()
	if err != nil {
		return broker.Query{}, err
	}
	redirect, err := cimd.ClassifyRedirect(a.redirectFor(id), id)
	if err != nil {
		return broker.Query{}, err
	}
	grants := append([]string{"authorization_code"}, a.q.Grants...)
	if a.q.Refresh {
		grants = append(grants, "refresh_token")
	}
	doc := &cimd.Document{ClientID: id.String(), ClientName: "Somebody", RedirectURIs: []string{redirect.URI},
		GrantTypes: grants, ResponseTypes: []string{"code"}, AuthMethodsSupported: []string{"none"}}
	if !a.q.NoKey {
		doc.AuthMethodsSupported, doc.JWKSURI = []string{"none", "private_key_jwt"}, redirectHome(id)+"/jwks"
	}
	offered := a.q.Offered
	if offered == nil {
		offered = []broker.Resource{{ID: anyResource, Name: "resource"}}
		for _, r := range a.q.Resources {
			offered = append(offered, broker.Resource{ID: r, Name: r})
		}
	}
	in := broker.Input{
		Contract: broker.Contract, Registration: broker.Registration(s.registrations()[0]), Issuer: "https://issuer.invalid",
		Time: a.q.At, Clock: broker.ClockInput{Zone: "UTC", Date: a.q.At.Format("2006-01-02"), Weekday: strings.ToLower(a.q.At.Weekday().String()), Hour: a.q.At.Hour(), Minute: a.q.At.Minute()},
		ClientID: id.String(), Facts: a.set.Facts(), Client: describe(id, a.q.At), Published: map[string]any{}, Redirects: []cimd.Redirect{redirect},
		Request: broker.RequestInput{RedirectURI: redirect.URI, Redirect: broker.RedirectInput{Kind: redirect.Kind, Host: redirect.Host, Relation: redirect.Relation},
			Scopes: a.q.Scopes, Resources: a.q.Resources, ResponseType: "code", GrantType: "authorization_code", PKCE: true},
		Provenance: broker.ProvenanceInput{FetchedAt: a.q.At, From: "network"},
		User:       broker.UserInput{Sub: "somebody", AuthTime: a.q.At, Claims: map[string]any{}},
	}
	if len(a.q.Resources) == 0 && len(offered) > 0 {
		in.Request.Resources = []string{offered[0].ID}
	}
	return broker.Query{Input: in, Document: doc, Offer: broker.Offer{
		GrantTypes: grants, ResponseTypes: []string{"code"}, AuthMethods: []string{"none", "private_key_jwt"}, Resources: offered,
	}}, nil
}

// example is an identifier of the subject.
func (s *subject) example() (cimd.ID, error) {
	switch {
	case s.id != nil:
		return *s.id, nil
	case s.where == nil:
		return cimd.Parse("https://somebody.example.com/client.json")
	case s.where.opaque:
		return cimd.Opaque(s.where.text)
	}
	return s.where.identifier(), nil
}

// describe takes an identifier apart for the input, as one that was never seen
// before.
func describe(id cimd.ID, seen time.Time) broker.ClientInput {
	c := broker.ClientInput{Scheme: "https", Host: id.Host, Port: id.Port, RegistrableDomain: id.RegistrableDomain(),
		Parents: id.Parents(), Labels: id.Labels(), Path: id.Path, Segments: id.Segments, Query: id.Query, Warnings: id.Warnings,
		FirstSeen: seen, HostFirstSeen: seen}
	if id.IsOpaque() {
		c.Scheme = ""
	}
	return c
}

// redirectFor is a redirect URI of the kind that the question names.
func (a *asking) redirectFor(id cimd.ID) string {
	home := redirectHome(id)
	u, err := url.Parse(home)
	switch {
	case a.q.Loopback:
		return "http://127.0.0.1/callback"
	case a.q.PrivateScheme:
		return "com.example.client:/callback"
	case a.q.Relation == "same_site" && err == nil:
		return "https://redirect." + u.Hostname() + "/callback"
	case a.q.Relation == "cross_site":
		return "https://redirect.invalid/callback"
	}
	return home + "/callback"
}

// redirectHome is the origin of a client.
func redirectHome(id cimd.ID) string {
	if id.IsOpaque() {
		return "https://client.example"
	}
	return id.Origin()
}
