package store

import (
	"encoding/json"
	"time"

	"guestlist/broker"
)

// SpendKind names what a first-caller-wins mark is about.
type SpendKind string

// SpendTicket marks the answer to a waiting request.
const SpendTicket SpendKind = "ticket"

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
// snapshot of what was approved. The snapshot never changes.
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
	AuthMethod     string              `json:"auth_method"` // token_endpoint_auth_method it is bound to
	DocumentSHA256 string              `json:"document_sha256"`
	ClientName     string              `json:"client_name"` // as the person saw it
	Settings       json.RawMessage     `json:"settings"`    // terms at consent
	Policy         []string            `json:"policy"`
	CreatedAt      time.Time           `json:"created_at"`
	LastUsedAt     time.Time           `json:"last_used_at"`
	ExpiresAt      time.Time           `json:"expires_at"`
	EndedAt        time.Time           `json:"ended_at"` // zero: lives
	EndReason      broker.Reason       `json:"end_reason"`
}

// Live reports whether the grant neither ended nor expired at now.
func (g Grant) Live(now time.Time) bool { return g.EndedAt.IsZero() && now.Before(g.ExpiresAt) }

// Session is one sign-in of a person in one browser.
type Session struct {
	Hash      string    `json:"hash"` // of the cookie, never the cookie
	Username  string    `json:"username"`
	AuthTime  time.Time `json:"auth_time"`
	AMR       []string  `json:"amr"`
	ExpiresAt time.Time `json:"expires_at"`
}
