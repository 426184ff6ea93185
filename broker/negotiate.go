package broker

import (
	"net/url"
	"slices"
	"strings"

	"guestlist/broker/cimd"
	"guestlist/broker/decisionlog"
)

// Negotiated is what is left of a document and a request after settings and
// this server's abilities.
type Negotiated struct {
	Redirects []cimd.Redirect   // registered redirect URIs that the settings keep
	Effective Effective         // what will be granted
	Cut       []decisionlog.Cut // what was asked and is not given
	Err       *Error            // nothing usable is left, or a demand cannot be met
}

// Negotiate intersects what the client offers and asks with what settings and
// server allow (design §11: negotiate, do not police). It is pure. The first
// demand that cannot be met is the error; the rest is still filled in as far
// as it goes, for the record.
func Negotiate(s Settings, in Input, doc cimd.Document, offer Offer) Negotiated {
	n := Negotiated{Redirects: []cimd.Redirect{}, Cut: []decisionlog.Cut{}}
	n.demands(s, doc, offer)
	n.authMethods(s, doc, offer)
	n.Effective.GrantTypes = n.meet("grant_types", doc.GrantTypes, s.GrantTypes, offer.GrantTypes)
	n.Effective.ResponseTypes = n.meet("response_types", doc.ResponseTypes, s.ResponseTypes, offer.ResponseTypes)
	if !slices.Contains(n.Effective.GrantTypes, "authorization_code") || !slices.Contains(n.Effective.ResponseTypes, "code") {
		n.fail(ReasonDocumentNothingUsable, "no grant type and response type are left that could start a flow")
	}
	n.redirects(s, in)
	n.display(s, doc)
	resources := n.resources(s, in, offer)
	n.scopes(s, in, doc, resources)
	return n
}

// fail keeps the first error.
func (n *Negotiated) fail(r Reason, format string, args ...any) {
	if n.Err == nil {
		n.Err = Refuse(r, format, args...)
	}
}

// cut records one value that is not given.
func (n *Negotiated) cut(member, value, by, why string) {
	if len(value) > 200 {
		value = value[:200]
	}
	n.Cut = append(n.Cut, decisionlog.Cut{Member: member, Value: strings.ToValidUTF8(value, "�"), By: by, Why: why})
}

// demands refuses what document or settings insist on and this server cannot
// do yet: letting such a client in without it would weaken what was asked.
func (n *Negotiated) demands(s Settings, doc cimd.Document, offer Offer) {
	switch {
	case doc.DPoPBoundAccessTokens:
		n.fail(ReasonDocumentDemands, "the document demands DPoP-bound access tokens")
	case doc.RequirePAR:
		n.fail(ReasonDocumentDemands, "the document demands pushed authorization requests")
	case s.Require.DPoP:
		n.fail(ReasonSettingsDemand, "the settings demand DPoP, which this server does not have yet")
	case s.Require.PAR:
		n.fail(ReasonSettingsDemand, "the settings demand pushed authorization requests, which this server does not have yet")
	case s.Require.ClientAuth && !slices.Contains(offer.AuthMethods, methodPrivateKeyJWT):
		n.fail(ReasonSettingsDemand, "the settings demand key authentication, which this server does not have yet")
	case s.Require.SignedRequest:
		n.fail(ReasonSettingsDemand, "the settings demand signed requests, which this server does not have yet")
	case len(s.Require.ACR) > 0:
		n.fail(ReasonSettingsDemand, "the settings demand one of the sign-in classes %q, which this server does not have yet", s.Require.ACR)
	case s.Consent.Mode == "approval":
		n.fail(ReasonSettingsDemand, "the settings demand approval by an operator, which this server does not have yet")
	}
}

// meet intersects what is offered with settings and server, in the offered
// order, and records what falls away.
func (n *Negotiated) meet(member string, offered, settings, server []string) []string {
	kept := []string{}
	for _, v := range offered {
		switch {
		case slices.Contains(kept, v):
		case !slices.Contains(server, v):
			n.cut(member, v, "server", "not available on this server")
		case !slices.Contains(settings, v):
			n.cut(member, v, "settings", "not in the policy's settings")
		default:
			kept = append(kept, v)
		}
	}
	return kept
}

// redirects keeps the registered redirect URIs that the settings allow, and
// refuses the one in use when it is not among them.
func (n *Negotiated) redirects(s Settings, in Input) {
	for _, r := range in.Redirects {
		if why := redirectRefused(s.Redirect, r.Kind, r.Host, r.Relation); why != "" {
			n.cut("redirect_uris", r.URI, "settings", why)
			continue
		}
		n.Redirects = append(n.Redirects, r)
	}
	use := in.Request.Redirect
	if in.Request.RedirectURI != "" {
		if why := redirectRefused(s.Redirect, use.Kind, use.Host, use.Relation); why != "" {
			n.fail(ReasonRedirectNotAllowed, "%s: %s", in.Request.RedirectURI, why)
		}
	}
	if len(n.Redirects) == 0 {
		n.fail(ReasonDocumentNothingUsable, "the settings allow none of the document's redirect URIs")
	}
}

// redirectRefused says why the settings do not allow a redirect URI, or
// nothing when they do.
func redirectRefused(s RedirectSettings, kind, host, relation string) string {
	switch kind {
	case "loopback":
		if !s.Loopback {
			return "loopback redirects are off (redirect.loopback)"
		}
		return ""
	case "private_scheme":
		if !s.PrivateScheme {
			return "private-use schemes are off (redirect.private_scheme)"
		}
		return ""
	}
	rank := [...]string{"same_origin", "same_site", "cross_site"}
	have := slices.Index(rank[:], relation)
	if have < 0 || have > max(0, slices.Index(rank[:], s.Relation)) {
		return "the redirect URI is " + relation + " to the client identifier, the settings allow " + s.Relation
	}
	if s.Hosts != nil && !slices.Contains(s.Hosts, host) {
		return "the redirect host is not in redirect.hosts"
	}
	return ""
}

// resources settles the audience (RFC 8707 section 2).
func (n *Negotiated) resources(s Settings, in Input, offer Offer) []Resource {
	var allowed, kept []Resource
	for _, r := range offer.Resources {
		if s.Audiences == nil || slices.Contains(s.Audiences, r.ID) {
			allowed = append(allowed, r)
		}
	}
	n.Effective.Resources = []string{}
	for at, asked := range in.Request.Resources {
		if slices.Contains(in.Request.Resources[:at], asked) {
			continue
		}
		i := slices.IndexFunc(allowed, func(r Resource) bool { return SameResource(r.ID, asked) })
		if i < 0 {
			n.cut("resource", asked, "settings", "not a resource this client may ask for")
			n.fail(ReasonResourceUnknown, "resource %.200q is not one this client may ask for", asked)
			continue
		}
		if !slices.Contains(n.Effective.Resources, allowed[i].ID) {
			kept = append(kept, allowed[i])
			n.Effective.Resources = append(n.Effective.Resources, allowed[i].ID)
		}
	}
	if len(in.Request.Resources) == 0 {
		if len(allowed) != 1 {
			n.fail(ReasonResourceUnknown, "no resource was named and %d could be meant", len(allowed))
			return nil
		}
		kept, n.Effective.Resources = allowed, []string{allowed[0].ID}
	}
	return kept
}

// SameResource reports whether two resource identifiers name the same
// resource: equal but for the case of scheme and host and the empty root path.
func SameResource(a, b string) bool { return canonicalResource(a) == canonicalResource(b) }

// canonicalResource folds the case of scheme and host and the empty root
// path, and nothing else (MCP authorization, canonical server URI).
func canonicalResource(id string) string {
	u, err := url.Parse(id)
	if err != nil {
		return id
	}
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	if u.Path == "/" && u.RawQuery == "" {
		u.Path = ""
	}
	return u.String()
}

// scopes settles what is granted: asked for (else the default), within the
// ceiling, within the document where settings say so, known to every
// resource. A default that cannot be given is dropped, whatever unknown says:
// the client did not ask for it.
func (n *Negotiated) scopes(s Settings, in Input, doc cimd.Document, resources []Resource) {
	asked := in.Request.Scopes
	if len(asked) == 0 {
		asked = s.Scopes.Default
	}
	n.Effective.Scopes = []string{}
	for i, v := range asked {
		if slices.Contains(asked[:i], v) {
			continue
		}
		if by, why := scopeRefused(s.Scopes, v, doc, resources); by != "" {
			n.cut("scope", v, by, why)
			if s.Scopes.Unknown == "reject" && len(in.Request.Scopes) > 0 {
				n.fail(ReasonScopeNotAllowed, "scope %.200q: %s", v, why)
			}
			continue
		}
		n.Effective.Scopes = append(n.Effective.Scopes, v)
	}
	if len(in.Request.Scopes) > 0 && len(n.Effective.Scopes) == 0 {
		n.fail(ReasonScopeNotAllowed, "none of the requested scopes is left")
	}
}

// scopeRefused says by whom and why one scope is not given.
func scopeRefused(s ScopeSettings, scope string, doc cimd.Document, resources []Resource) (by, why string) {
	if !slices.Contains(s.Ceiling, scope) {
		return "settings", "beyond the ceiling"
	}
	if s.Document == "intersect" && doc.Scope != nil && !slices.Contains(strings.Fields(*doc.Scope), scope) {
		return "document", "the document does not list it"
	}
	for _, r := range resources {
		if len(r.Scopes) > 0 && scope != "offline_access" && !slices.Contains(r.Scopes, scope) {
			return "resource", "resource " + r.ID + " has no such scope"
		}
	}
	return "", ""
}
