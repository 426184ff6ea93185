package broker

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"guestlist/broker/cimd"
	"guestlist/broker/decisionlog"
)

// PinClient stores an operator's document for a client (ServiceNow's Static):
// from the next flow on it is used in place of the host's, and nobody fetches
// it any more. It stages the pin, the document as a version and the record
// document.pinned.
//
// The document must be valid for clientID and must have redirect_uris,
// client_uri and response_types, which the host is not there to be asked for;
// errors say what is missing. It takes the place of a pin that is there, and of
// what waited beside it. A client of the configuration cannot be pinned.
//
// PinClient asks no policy: whether the pinned client is let in is decided
// when it comes.
func (b *Broker) PinClient(ctx context.Context, u Unit, actor, clientID string, document []byte) error {
	p, err := b.pinnable(clientID, document)
	if err != nil {
		return err
	}
	r, err := b.act(ctx, u, decisionlog.EventDocumentPinned, actor)
	if err != nil {
		return err
	}
	now := b.cfg.Now().UTC()
	u.PutPin(Pin{ID: clientID, Published: document, SHA256: p.SHA256, Actor: actor, At: now})
	u.PutVersion(Version{ClientID: clientID, SHA256: p.SHA256, Published: document, SeenAt: now, From: fromPin, Changes: []string{}})
	r.ClientID, r.Registration, r.DocumentSHA256 = clientID, string(RegistrationPinned), p.SHA256
	u.Append(r)
	return nil
}

// pinnable reads a document as that of a pinned client.
func (b *Broker) pinnable(clientID string, document []byte) (cimd.Parsed, error) {
	id, err := cimd.Parse(clientID)
	if err != nil {
		return cimd.Parsed{}, &Error{Reason: ReasonRequestInvalid, Err: fmt.Errorf("pin a client: %w", err)}
	}
	if _, ok := b.registered[clientID]; ok {
		return cimd.Parsed{}, Refuse(ReasonRequestInvalid, "%s is a client of the configuration, which wins over a pin; change it there", clientID)
	}
	p, err := cimd.ParseDocument(document, id, cimd.ProfileCIMD)
	missing := missingMembers(document)
	switch {
	case err != nil && (len(missing) == 0 || cimdReason(err) != ReasonDocumentRedirects):
		return cimd.Parsed{}, fromCIMD(err)
	case len(missing) > 0:
		return p, Refuse(ReasonDocumentMember, "a pinned document must have redirect_uris, client_uri and response_types (SN-04); missing: %s. Remedy: pin a copy that has them, guestlist client pin URL --document FILE", strings.Join(missing, ", "))
	case p.Document.ClientURI == "" || len(p.Document.RedirectURIs) == 0:
		return p, Refuse(ReasonDocumentMember, "a pinned document must have redirect_uris and a client_uri that can be used (SN-04); these cannot: %s", strings.Join(p.Dropped, ", "))
	}
	return p, nil
}

// missingMembers are those that a pinned document must have and this one has
// not. What is no JSON misses none.
func missingMembers(document []byte) []string {
	var members map[string]json.RawMessage
	if json.Unmarshal(document, &members) != nil {
		return nil
	}
	var missing []string
	for _, name := range []string{"redirect_uris", "client_uri", "response_types"} {
		if _, there := members[name]; !there {
			missing = append(missing, name)
		}
	}
	return missing
}

// UnpinClient stages the end of a pin and the record document.unpinned: from
// the next flow on the host's document counts again. A pin that is not there
// is refused with request_invalid.
func (b *Broker) UnpinClient(ctx context.Context, u Unit, actor, clientID string) error {
	p, found, err := u.Pin(ctx, clientID)
	if err != nil {
		return &Error{Reason: ReasonStoreUnavailable, Err: err}
	}
	if !found {
		return Refuse(ReasonRequestInvalid, "%.300q is not pinned", clientID)
	}
	r, err := b.act(ctx, u, decisionlog.EventDocumentUnpinned, actor)
	if err != nil {
		return err
	}
	u.DropPin(clientID)
	r.ClientID, r.Registration, r.DocumentSHA256 = clientID, string(RegistrationPinned), p.SHA256
	u.Append(r)
	return nil
}

// Where a document at hand came from.
const (
	fromNetwork       = "network" // its host served it, or said that it still stands
	fromStore         = "store"
	fromPin           = "pin"
	fromConfiguration = "configuration"
)

// given is a document that an operator gave: it stands in for the host, and
// nothing is fetched.
type given struct {
	body   []byte
	sha256 string
	from   string // pin, configuration
}

// know finds out how the client is known: the configuration wins over a pin,
// and a pin over the host. A store that cannot say refuses.
func (c *call) know() error {
	defer func() { c.out.Known = c.registration }()
	if r, ok := c.b.registered[c.id.String()]; ok {
		c.registration, c.given = RegistrationRegistered, &r.given
		return nil
	}
	if c.id.IsOpaque() {
		return nil
	}
	p, found, err := c.u.Pin(c.ctx, c.id.String())
	if err != nil {
		return &Error{Reason: ReasonStoreUnavailable, Err: err}
	}
	if found {
		c.registration, c.given = RegistrationPinned, &given{p.Published, p.SHA256, fromPin}
	}
	return nil
}

// take judges the document that an operator gave. Where the row has it, and
// was made a short while ago, it is the row's; else the row is made again.
func (c *call) take(profile cimd.Profile) error {
	p, err := c.b.reread.document(c.given.body, c.id, profile)
	if err != nil {
		return fromCIMD(err)
	}
	c.doc = parsed{Parsed: p, from: c.given.from, body: c.given.body, fetchedAt: c.now, freshFor: c.b.cfg.Cache.Default}
	if c.own() && c.row.DocumentSHA256 == p.SHA256 && c.row.Fresh(c.now) {
		c.doc.from, c.doc.fetchedAt = fromStore, c.row.FetchedAt
	}
	return nil
}

// own reports whether the row holds the document of the source that counts
// now: not that of a pin that is gone, or of the host of a client that was
// pinned since.
func (c *call) own() bool { return c.live && c.row.Registration == c.registration }
