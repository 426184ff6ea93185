package grants

import (
	"net/url"
	"time"

	"github.com/ory/fosite"

	"guestlist/broker"
	"guestlist/store"
)

// call is one use of Fosite: what its handlers may see, and what they did. A
// call belongs to one goroutine and is thrown away.
type call struct {
	now       time.Time
	requestID string
	grant     store.Grant
	client    *client
	code      store.Code    // when issuing: grows its hash and challenge
	held      store.Refresh // the refresh token presented, when refreshing

	terms       Terms     // of the tokens, when redeeming and refreshing
	absoluteEnd time.Time // of the refresh token's family

	spent     bool // inside the transaction
	committed bool // the transaction ended well

	token   Token         // minted inside the transaction
	access  store.Access  // its row
	refresh store.Refresh // the row of the refresh token beside it
}

// unknown is the reason for what Fosite calls an invalid grant.
func (c *call) unknown() broker.Reason {
	if c.held.Hash != "" {
		return broker.ReasonRefreshUnknown
	}
	return broker.ReasonCodeUnknown
}

// request is the authorization request as Fosite keeps it with a code or a
// refresh token: made anew from what they and the grant say. The requested scopes and
// resources are the grant's, the granted ones this call's.
func (c *call) request() *fosite.Request {
	r := fosite.NewRequest()
	r.ID = c.requestID
	r.RequestedAt = c.code.IssuedAt
	r.Client = c.client
	r.Session = session{subject: c.grant.User.Sub}
	r.RequestedScope = c.grant.Scopes
	r.RequestedAudience = c.grant.Resources
	r.GrantedScope = c.terms.Scopes
	r.GrantedAudience = c.terms.Resources
	r.Form = url.Values{"redirect_uri": {c.code.RedirectURI}}
	if c.code.Challenge != "" {
		r.Form.Set("code_challenge", c.code.Challenge)
		r.Form.Set("code_challenge_method", "S256")
	}
	return r
}

// client is what Fosite may know of a client: the snapshot in the grant, not
// the row. It has no keys, no request_uris and no secret, and does not offer
// the interfaces through which Fosite would look for them.
type client struct {
	id, redirectURI, method string
	scopes, resources       []string
	refresh                 bool // a refresh token may be used and issued
}

func snapshot(g store.Grant) *client {
	return &client{
		id: g.ClientID, redirectURI: g.RedirectURI, method: g.AuthMethod,
		scopes: g.Scopes, resources: g.Resources,
	}
}

func (c *client) GetID() string                      { return c.id }
func (c *client) GetHashedSecret() []byte            { return nil }
func (c *client) GetRedirectURIs() []string          { return []string{c.redirectURI} }
func (c *client) GetResponseTypes() fosite.Arguments { return fosite.Arguments{"code"} }
func (c *client) GetScopes() fosite.Arguments        { return c.scopes }
func (c *client) IsPublic() bool                     { return c.method == methodNone }
func (c *client) GetAudience() fosite.Arguments      { return c.resources }

// GetGrantTypes returns those of this call: Fosite issues a refresh token to
// whoever may use one.
func (c *client) GetGrantTypes() fosite.Arguments {
	if c.refresh {
		return fosite.Arguments{"authorization_code", "refresh_token"}
	}
	return fosite.Arguments{"authorization_code"}
}

// session carries nothing between calls: claims are made anew for every token,
// and times are this package's, not those of Fosite's clock.
type session struct{ subject string }

func (s session) SetExpiresAt(fosite.TokenType, time.Time)    {}
func (s session) GetExpiresAt(fosite.TokenType) (t time.Time) { return t }
func (s session) GetUsername() string                         { return "" }
func (s session) GetSubject() string                          { return s.subject }
func (s session) Clone() fosite.Session                       { return s }
