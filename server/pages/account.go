package pages

import (
	"net/http"
	"time"
)

// Grant is one row of the account page: what a person allowed one installation
// of a client.
type Grant struct {
	// ID comes back as the value of the button that ends the grant.
	ID string
	// ClientHost is the host of the client identifier, in ASCII, or the whole
	// identifier if it is no URL.
	ClientHost string
	// ClientName is the name the person was shown when they agreed: chosen by
	// the client and not checked by anyone. At most 60 runes are shown.
	ClientName string
	// RedirectHost is where codes for this grant went, in ASCII, with the port
	// if there is one.
	RedirectHost string
	// Loopback says that RedirectHost is a program on a person's own machine.
	Loopback bool
	// Resources are the resources it reaches.
	Resources []Resource
	// Scopes are the scopes it holds.
	Scopes []string
	// FirstUse is when it was made.
	FirstUse time.Time
	// LastUse is when it last gave a token.
	LastUse time.Time
	// Expires is when it ends by itself.
	Expires time.Time
}

// Account is the page on which a person sees what they allowed and takes it
// back: buttons revoke (value: the grant) and revoke_all, hidden field csrf.
type Account struct {
	// RequestID is shown at the foot of the page.
	RequestID string
	// Action is where the buttons post to, a path of this server.
	Action string
	// SignOutAction is where the sign-out form is posted.
	SignOutAction string
	// CSRF is the token of both forms.
	CSRF string
	// Person is the name of who is signed in.
	Person string
	// Grants are the rows, in the order they are shown.
	Grants []Grant
	// More says that there are more grants than rows.
	More bool
}

// Account writes the account page, with status 200.
func (p *Pages) Account(w http.ResponseWriter, d Account) {
	p.write(w, answer{"account", http.StatusOK, d.RequestID, 0}, d)
}
