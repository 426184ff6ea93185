package broker

import (
	"net/url"

	"guestlist/broker/cimd"
)

// Shown are the links about a client that a person may be shown, as text;
// empty: the document has none, or one that is not shown.
type Shown struct {
	ClientURI string
	TosURI    string
	PolicyURI string
}

// ShownTo returns what of a document's links is shown under settings: those of
// the client identifier's origin, and of others where display.same_origin is
// waived. A logo is never shown nor fetched (Q11).
func ShownTo(s Settings, doc cimd.Document) Shown {
	var out Shown
	for _, l := range links(&doc, &out) {
		if l.to != nil && !foreign(s, l.uri, doc.ClientID) {
			*l.to = l.uri
		}
	}
	return out
}

// link is one link of a document and where it is shown.
type link struct {
	member string
	uri    string
	to     *string // nil: nowhere
}

// links lists the links about a client.
func links(doc *cimd.Document, out *Shown) []link {
	return []link{
		{"client_uri", doc.ClientURI, &out.ClientURI},
		{"logo_uri", doc.LogoURI, nil},
		{"tos_uri", doc.TosURI, &out.TosURI},
		{"policy_uri", doc.PolicyURI, &out.PolicyURI},
	}
}

// display records the links that settings keep from the page.
func (n *Negotiated) display(s Settings, doc cimd.Document) {
	for _, l := range links(&doc, &Shown{}) {
		if l.uri != "" && foreign(s, l.uri, doc.ClientID) {
			n.cut(l.member, l.uri, "settings", "of another origin than the client identifier (display.same_origin)")
		}
	}
}

// foreign reports whether settings keep a link off the page because of its
// origin. Unlike a client identifier a link may have no path, or a fragment.
func foreign(s Settings, link, clientID string) bool {
	if !s.Display.SameOrigin {
		return false
	}
	u, err := url.Parse(link)
	id, idErr := cimd.Parse(clientID)
	if err != nil || idErr != nil {
		return true
	}
	port := u.Port()
	if port == "" {
		port = "443"
	}
	return u.Scheme != "https" || u.Hostname() != id.Host || port != httpsPort(id)
}
