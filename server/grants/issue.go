package grants

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/ory/fosite"

	"guestlist/broker"
	"guestlist/store"
)

// CodeRequest is what a person has consented to.
type CodeRequest struct {
	// RequestID is this server's id of the HTTP request.
	RequestID string
	// Client is the row that the grant was decided on.
	Client broker.Client
	// Grant is complete and about Client; it is stored together with the code.
	Grant store.Grant
	// RedirectURI is where the code goes: the one in Grant, which the caller
	// has matched with the client's.
	RedirectURI string
	// RedirectSent says that the authorization request named it.
	RedirectSent bool
	// Challenge is the code_challenge of method S256.
	Challenge string
}

// IssueCode makes an authorization code and stages it with the grant on u. The
// code is in the return value alone; the store gets its hash.
//
// Errors are pkce_required for a challenge that is not 43 base64url characters
// (RFC 7636 section 4.2), redirect_uri_mismatch for a redirect URI that nobody
// may be sent to, and server_trouble for a request that contradicts itself.
// Nothing is staged then. IssueCode does not ask whether the client may have
// the grant: the caller and policy have.
func (e *Engine) IssueCode(ctx context.Context, u store.Unit, r CodeRequest) (string, error) {
	now := e.now()
	if !isChallenge(r.Challenge) {
		return "", broker.Refuse(broker.ReasonPKCERequired, "code_challenge is not 43 base64url characters")
	}
	if fault := r.fault(now); fault != "" {
		return "", broker.Refuse(broker.ReasonServerTrouble, "issue code: the grant has %s", fault)
	}
	target, err := url.Parse(r.RedirectURI)
	if err != nil || !isRedirectTarget(r.RedirectURI) {
		return "", broker.Refuse(broker.ReasonRedirectMismatch, "issue code: nobody may be sent to this redirect_uri")
	}
	c := &call{
		now: now, requestID: r.RequestID, grant: r.Grant, client: snapshot(r.Grant),
		code: store.Code{
			GrantID: r.Grant.ID, ClientID: r.Grant.ClientID,
			RedirectURI: r.RedirectURI, RedirectSent: r.RedirectSent,
			IssuedAt: now, ExpiresAt: now.Add(e.codeTTL), KeepUntil: now.Add(e.codeTTL + replayWindow),
		},
	}
	response, err := e.compose(c).NewAuthorizeResponse(ctx, authorizeRequest(c, target, r.Challenge), session{})
	if err != nil {
		return "", translate("issue code", err, broker.ReasonCodeUnknown)
	}
	if c.code.Hash == "" || c.code.Challenge != r.Challenge {
		return "", broker.Refuse(broker.ReasonServerTrouble, "issue code: the engine did not bind the code to its challenge")
	}
	u.PutGrant(r.Grant)
	u.PutCode(c.code)
	return response.GetCode(), nil
}

// authorizeRequest is what Fosite's parser would have made of the request,
// without its parser: that one fetches request_uri, merges query and body, and
// wants a state.
func authorizeRequest(c *call, target *url.URL, challenge string) *fosite.AuthorizeRequest {
	r := fosite.NewAuthorizeRequest()
	r.ResponseTypes = fosite.Arguments{"code"}
	r.RedirectURI = target
	r.Request = *c.request()
	r.Form.Set("code_challenge", challenge)
	r.Form.Set("code_challenge_method", "S256")
	return r
}

// fault says what is wrong with the grant: incomplete, about something else
// than r, or over.
func (r CodeRequest) fault(now time.Time) string {
	g := r.Grant
	switch {
	case g.ID == "":
		return "no id"
	case g.ClientID == "" || g.ClientID != r.Client.ID:
		return "another client"
	case g.Incarnation != r.Client.Incarnation:
		return "another incarnation"
	case g.RedirectURI != r.RedirectURI:
		return "another redirect_uri"
	case g.User.Sub == "":
		return "no subject"
	case g.AuthMethod == "":
		return "no authentication method"
	case len(g.Resources) == 0:
		return "no resource"
	case !g.Live(now):
		return "ended"
	}
	return ""
}

// isChallenge tells an S256 code_challenge: 256 bits in base64url.
func isChallenge(s string) bool {
	return len(s) == 43 && strings.Trim(s, alphanumeric+"-_") == ""
}
