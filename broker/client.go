package broker

import (
	"time"

	"guestlist/broker/cimd"
)

// Client is the stored row of an admitted client: the result of the document
// phase and its digests, never what one person approved.
type Client struct {
	ID             string        `json:"client_id"` // client identifier URL, byte for byte
	Registration   Registration  `json:"registration"`
	Domain         string        `json:"domain"`      // registrable domain that it counts for; empty in rows of earlier programs
	Incarnation    uint64        `json:"incarnation"` // which life; below 2^53, random
	Document       cimd.Document `json:"document"`    // kept members
	DocumentSHA256 string        `json:"document_sha256"`
	DocumentBytes  int           `json:"document_bytes"`
	Published      []byte        `json:"published"` // the document as fetched
	FetchedAt      time.Time     `json:"fetched_at"`
	FreshUntil     time.Time     `json:"fresh_until"`  // the next start of a flow refetches
	UsableUntil    time.Time     `json:"usable_until"` // stands in for its host in transient trouble until then
	WithdrawnAt    time.Time     `json:"withdrawn_at"` // its host withdrew or broke it then; zero: it stands
	ExpiresAt      time.Time     `json:"expires_at"`   // the client is gone from then on
	CreatedAt      time.Time     `json:"created_at"`
	Policy         []string      `json:"policy"` // winner at the last commit
	Tags           []string      `json:"tags"`
	Revision       string        `json:"revision"` // policy revision at the last commit
}

// Expired reports whether the client's life is over at now. A client lives
// up to its expiry, not including it.
func (c Client) Expired(now time.Time) bool { return !now.Before(c.ExpiresAt) }

// Fresh reports whether the stored document needs no fetch at now.
func (c Client) Fresh(now time.Time) bool { return now.Before(c.FreshUntil) }
