package broker

import (
	"fmt"

	"guestlist/broker/cimd"
)

// registered is a client of the configuration, ready to be asked about.
type registered struct {
	id    cimd.ID
	given given
}

// readRegistered checks the clients of the configuration: each identifier
// once, and each document valid for it, client_name and redirect_uris
// included.
func readRegistered(list []Registered) (map[string]registered, error) {
	out := make(map[string]registered, len(list))
	for _, r := range list {
		name := r.ID.String()
		if name == "" {
			return nil, fmt.Errorf("a registered client has no client_id")
		}
		if _, twice := out[name]; twice {
			return nil, fmt.Errorf("the registered client %s is there twice", name)
		}
		p, err := cimd.ParseDocument(r.Published, r.ID, cimd.ProfileMCP)
		if err != nil {
			return nil, fmt.Errorf("the registered client %s: %w", name, err)
		}
		out[name] = registered{r.ID, given{r.Published, p.SHA256, fromConfiguration}}
	}
	return out, nil
}

// identify reads client_id: a client of the configuration by its name, or else
// a client identifier URL. One that is neither can only be a client that the
// configuration named before.
func (c *call) identify() error {
	if r, ok := c.b.registered[c.req.ClientID]; ok {
		c.id = r.id
		return nil
	}
	id, err := cimd.Parse(c.req.ClientID)
	if err == nil {
		c.id = id
		return nil
	}
	if cimd.LooksLikeURL(c.req.ClientID) {
		return malformed(err)
	}
	if c.id, err = cimd.Opaque(c.req.ClientID); err != nil {
		return unknownID()
	}
	return nil
}

// Names reports whether a client_id names a client: it is a client identifier
// URL, or the configuration registers it. Anything else may be a secret that
// was sent in the wrong place, and is not to be repeated.
func (b *Broker) Names(clientID string) bool {
	if _, ok := b.registered[clientID]; ok {
		return true
	}
	_, err := cimd.Parse(clientID)
	return err == nil
}

// unknownID refuses a client_id that is no URL and that nobody registered.
func unknownID() *Error {
	return Refuse(ReasonClientIDUnknown, "client_id is no URL and no client of the configuration has it")
}

// supplanted says why the row is not that of the client as it is known now:
// the configuration took the identifier over, or gave it up. Empty: it is.
func (c *call) supplanted() string {
	was, is := c.row.Registration == RegistrationRegistered, c.registration == RegistrationRegistered
	switch {
	case is && !was:
		return "the configuration registers the client now"
	case was && !is:
		return "the configuration does not register the client any more"
	}
	return ""
}
