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
	Published      []byte        `json:"published"`                  // the document as fetched
	ETag           string        `json:"etag,omitempty"`             // validator of the document; empty: none
	LastModified   string        `json:"last_modified,omitempty"`    // the other validator
	FetchedAt      time.Time     `json:"fetched_at"`                 // also when its host said that it still stands
	FreshUntil     time.Time     `json:"fresh_until"`                // the next start of a flow refetches
	UsableUntil    time.Time     `json:"usable_until"`               // stands in for its host in transient trouble until then
	WithdrawnAt    time.Time     `json:"withdrawn_at"`               // its host withdrew or broke it then; zero: it stands
	GoneAt         time.Time     `json:"gone_at"`                    // it was found withdrawn again, an hour or more later; zero: not so
	LookedAt       time.Time     `json:"looked_at"`                  // last look in the background, whatever came of it; zero: none
	Pending        *Pending      `json:"pending,omitempty"`          // a changed document that waits for an operator; nil: none
	Keys           []KeyPrint    `json:"keys,omitempty"`             // the client's keys as last accepted; empty: none was seen
	PendingKeys    []KeyPrint    `json:"pending_keys,omitempty"`     // keys without continuity that wait for an operator; empty: none
	KeysChangedAt  time.Time     `json:"keys_changed_at"`            // when keys were replaced without continuity, or were no longer asked for; zero: never
	OnPolicyChange string        `json:"on_policy_change,omitempty"` // what becomes of its grants when no policy names it any more, as of the last commit; empty: revoke
	ExpiresAt      time.Time     `json:"expires_at"`                 // the client is gone from then on
	CreatedAt      time.Time     `json:"created_at"`
	FirstSeen      time.Time     `json:"first_seen,omitzero"` // when an earlier life of the client began; zero: this is the first that is known
	Policy         []string      `json:"policy"`              // winner at the last commit
	Tags           []string      `json:"tags"`
	Revision       string        `json:"revision"` // policy revision at the last commit
}

// Pending is a changed document that is kept beside the one in force until an
// operator approves it (settings.document.on_change).
type Pending struct {
	Published []byte    `json:"published"` // as fetched or as an operator gave it
	SHA256    string    `json:"sha256"`
	SeenAt    time.Time `json:"seen_at"` // first
	Changes   []string  `json:"changes"` // what makes it wait, see Changes
}

// ApproveKeys puts the keys that wait for an operator in force. Without any it
// changes nothing. Grants made with the keys before go on with the new ones:
// the operator has vouched for them.
func (c *Client) ApproveKeys() {
	if len(c.PendingKeys) > 0 {
		c.Keys, c.PendingKeys = c.PendingKeys, nil
	}
}

// Since is when the client was first admitted, in this life or in an earlier
// one.
func (c Client) Since() time.Time {
	if c.FirstSeen.IsZero() {
		return c.CreatedAt
	}
	return c.FirstSeen
}

// Expired reports whether the client's life is over at now. A client lives
// up to its expiry, not including it.
func (c Client) Expired(now time.Time) bool { return !now.Before(c.ExpiresAt) }

// Fresh reports whether the stored document needs no fetch at now.
func (c Client) Fresh(now time.Time) bool { return now.Before(c.FreshUntil) }
