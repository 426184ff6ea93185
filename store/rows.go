package store

import (
	"encoding/json"
	"slices"
	"time"

	"guestlist/broker"
)

// SpendKind names what a first-caller-wins mark is about.
type SpendKind string

const (
	// SpendTicket marks the answer to a waiting request.
	SpendTicket SpendKind = "ticket"
	// SpendAssertion marks the jti of a client assertion.
	SpendAssertion SpendKind = "assertion"
)

// Code is an authorization code, by hash. It keeps what RFC 6749 section
// 4.1.3 and RFC 7636 section 4.6 bind it to.
type Code struct {
	Hash         string    `json:"hash"` // of the code, never the code
	GrantID      string    `json:"grant_id"`
	ClientID     string    `json:"client_id"`
	RedirectURI  string    `json:"redirect_uri"`  // as the code was sent to
	RedirectSent bool      `json:"redirect_sent"` // the authorization request named it
	Challenge    string    `json:"challenge"`     // PKCE S256
	IssuedAt     time.Time `json:"issued_at"`
	ExpiresAt    time.Time `json:"expires_at"`
	SpentAt      time.Time `json:"spent_at"`   // zero: not yet
	KeepUntil    time.Time `json:"keep_until"` // swept afterwards; until then a replay is recognised
}

// Grant is what one person allowed one installation of a client, with a
// snapshot of what was approved. The snapshot never changes; only LastUsedAt,
// RefreshedAt, ExpiresAt and the end move, and the authentication method is
// settled once. Ending it ends its token family:
// who reads a Refresh or an Access looks at its grant too.
type Grant struct {
	ID             string              `json:"grant_id"` // random
	ClientID       string              `json:"client_id"`
	Registration   broker.Registration `json:"registration"`
	Incarnation    uint64              `json:"incarnation"` // life of the client it was made with
	Subject        string              `json:"subject"`     // the person's username
	User           broker.UserInput    `json:"user"`        // the person as they were at consent
	Request        broker.RequestInput `json:"request"`     // the request as it was at consent
	RedirectURI    string              `json:"redirect_uri"`
	Scopes         []string            `json:"scopes"`
	Resources      []string            `json:"resources"`
	AuthMethod     string              `json:"auth_method"`            // token_endpoint_auth_method it is bound to
	AuthMethods    []string            `json:"auth_methods,omitempty"` // choice open to the code exchange, which settles AuthMethod; empty: settled
	DocumentSHA256 string              `json:"document_sha256"`
	ClientName     string              `json:"client_name"`     // as the person saw it
	SecurityDigest string              `json:"security_digest"` // of the document's security members
	Settings       json.RawMessage     `json:"settings"`        // terms at consent
	Policy         []string            `json:"policy"`
	CreatedAt      time.Time           `json:"created_at"`
	LastUsedAt     time.Time           `json:"last_used_at"`
	RefreshedAt    time.Time           `json:"refreshed_at"` // last spend of a refresh token of its family; zero: none
	ExpiresAt      time.Time           `json:"expires_at"`
	EndedAt        time.Time           `json:"ended_at"` // zero: lives
	EndReason      broker.Reason       `json:"end_reason"`
}

// Live reports whether the grant neither ended nor expired at now.
func (g Grant) Live(now time.Time) bool { return g.EndedAt.IsZero() && now.Before(g.ExpiresAt) }

// Admits reports whether the grant may be continued with an authentication
// method: the one it is bound to, or one that is still open.
func (g Grant) Admits(method string) bool {
	return method == g.AuthMethod || slices.Contains(g.AuthMethods, method)
}

// Session is one sign-in of a person in one browser.
type Session struct {
	Hash      string    `json:"hash"` // of the cookie, never the cookie
	Username  string    `json:"username"`
	AuthTime  time.Time `json:"auth_time"`
	AMR       []string  `json:"amr"`
	ExpiresAt time.Time `json:"expires_at"`
}

// Refresh is one refresh token of a grant's family, by hash (RFC 6749 section
// 6). Whether its grant lives is not in it.
type Refresh struct {
	Hash        string    `json:"hash"` // lower-case hex SHA-256 of the token, never the token
	GrantID     string    `json:"grant_id"`
	ClientID    string    `json:"client_id"`
	Parent      string    `json:"parent"` // hash of the token it replaced; empty for the first
	IssuedAt    time.Time `json:"issued_at"`
	ExpiresAt   time.Time `json:"expires_at"`   // earlier of idle end and absolute end
	AbsoluteEnd time.Time `json:"absolute_end"` // the family's, handed down
	SpentAt     time.Time `json:"spent_at"`     // zero: not yet
	Successor   string    `json:"successor"`    // hash of the token that replaced it
	Answer      []byte    `json:"answer"`       // sealed answer, given again inside the grace window; nil once closed
	GraceUntil  time.Time `json:"grace_until"`  // end of the grace window, itself outside
	Repeats     int       `json:"repeats"`      // how often the answer was given again
	Source      string    `json:"source"`       // address that spent it, for the record of a reuse
	KeepUntil   time.Time `json:"keep_until"`   // swept afterwards; until then a reuse is recognised
}

// RefreshUse is how a refresh token was spent.
type RefreshUse struct {
	At         time.Time // when
	Successor  string    // hash of the token that replaces it
	Answer     []byte    // sealed answer to give again; empty: none, whatever GraceUntil says
	GraceUntil time.Time // end of the grace window, itself outside
	KeepUntil  time.Time // the row is kept until this time or the one it has, whichever is later
	Source     string    // address of the caller
}

// Access is one access token, JWT or opaque, so that introspection and
// revocation know it. Whether its grant and client live is not in it.
type Access struct {
	Key         string    `json:"key"`      // opaque: hash of the token; JWT: hash of "jti:" and the jti
	TokenID     string    `json:"token_id"` // jti
	Format      string    `json:"format"`   // jwt, opaque
	GrantID     string    `json:"grant_id"`
	ClientID    string    `json:"client_id"`
	Incarnation uint64    `json:"incarnation"` // life of the client it was issued to
	Subject     string    `json:"subject"`     // the person's username
	Scopes      []string  `json:"scopes"`
	Resources   []string  `json:"resources"`
	IssuedAt    time.Time `json:"issued_at"`
	ExpiresAt   time.Time `json:"expires_at"` // swept afterwards
	EndedAt     time.Time `json:"ended_at"`   // zero: lives
}
