package pages

import (
	"net/http"
	"time"
)

// SignIn is the page that asks for user name and password (fields username and
// password, hidden fields ticket and csrf).
type SignIn struct {
	// Status of the answer; 0 means 200.
	Status int
	// RequestID is shown at the foot of the page.
	RequestID string
	// Action is where the form is posted, a path of this server.
	Action string
	// Ticket carries the waiting request; empty leaves the field out.
	Ticket string
	// CSRF is the form's token.
	CSRF string
	// ClientHost is the host of the client that waits, in ASCII; empty if
	// nobody waits.
	ClientHost string
	// Username fills the field again after a failed try, unless nobody can be
	// called so.
	Username string
	// Problem says why the last try failed; empty on the first.
	Problem string
	// RetryAfter is how many seconds to wait before the next try; 0 for none.
	// It is also sent as Retry-After.
	RetryAfter int
}

// SignIn writes the sign-in page.
func (p *Pages) SignIn(w http.ResponseWriter, d SignIn) {
	d.RetryAfter = max(d.RetryAfter, 0)
	p.write(w, answer{"signin", statusOr(d.Status, http.StatusOK), d.RequestID, d.RetryAfter}, d)
}

// Resource is a protected resource the client asks for.
type Resource struct {
	// ID is the resource identifier (RFC 8707), shown as written.
	ID string
	// Name is the operator's name for it.
	Name string
}

// Scope is one box to tick.
type Scope struct {
	// Name is the scope value; it comes back in field scope if ticked.
	Name string
	// Description says what the scope allows; may be empty.
	Description string
	// Checked ticks the box at first.
	Checked bool
}

// Consent is the page on which a person allows or denies a client: buttons
// decision=allow and decision=deny, boxes scope, hidden fields ticket and csrf.
//
// The host of the client identifier stands first and largest, because it is the
// only part of its appearance that a client cannot choose freely (Client ID
// Metadata Document draft, section 8.5). Nothing on the
// page says that a client was verified.
type Consent struct {
	// RequestID is shown at the foot of the page.
	RequestID string
	// Action is where the decision is posted, a path of this server.
	Action string
	// Ticket carries the waiting request.
	Ticket string
	// CSRF is the token of both forms.
	CSRF string
	// ClientID is the client identifier URL.
	ClientID string
	// ClientHost is its host, in ASCII, with the port if it names one.
	ClientHost string
	// ClientName is the client_name of the document: chosen by the client and
	// not checked by anyone. At most 60 runes are shown.
	ClientName string
	// NameKept says that operators of this server stored the document, so that
	// the name is not the client's own choice at any hour.
	NameKept bool
	// ClientURI is the client_uri of the document, shown as text and never as a
	// link; may be empty.
	ClientURI string
	// TosURI and PolicyURI are the document's links to terms of service and to
	// a privacy policy, shown as text; may be empty.
	TosURI    string
	PolicyURI string
	// RedirectHost is the host of the redirect URI of this request, in ASCII,
	// with the port if it names one.
	RedirectHost string
	// Loopback says that RedirectHost is the person's own machine, and adds the
	// warning that belongs to it.
	Loopback bool
	// RedirectSameHost says that RedirectHost is the host of the client
	// identifier.
	RedirectSameHost bool
	// Person is the name of who is signed in.
	Person string
	// SignOutAction is where the sign-out form is posted; empty leaves the form
	// out.
	SignOutAction string
	// Resources are the resources asked for.
	Resources []Resource
	// Scopes are the scopes to choose from, after everything that is not
	// allowed was taken away.
	Scopes []Scope
	// Warnings are further cautions, each a sentence.
	Warnings []string
	// FirstSeen is when this server first admitted the client; zero if never
	// before.
	FirstSeen time.Time
	// Remembered is when this person last allowed the same: it shortens the page
	// and takes nothing from it that matters, the buttons least of all. Zero
	// means the full page.
	Remembered time.Time
	// PolicyTitle is the title of the policy that admitted the client; empty
	// leaves it out.
	PolicyTitle string
}

// Consent writes the consent page, with status 200.
func (p *Pages) Consent(w http.ResponseWriter, d Consent) {
	p.write(w, answer{"consent", http.StatusOK, d.RequestID, 0}, d)
}
