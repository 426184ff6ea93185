package broker

import (
	"time"

	"guestlist/broker/cimd"
)

// BlockKind says what a block names.
type BlockKind string

// What can be blocked.
const (
	BlockURL      BlockKind = "url"      // one client identifier, byte for byte
	BlockHost     BlockKind = "host"     // every client identifier of one host, whatever its port
	BlockDomain   BlockKind = "domain"   // every client identifier of one registrable domain
	BlockDocument BlockKind = "document" // a document by its SHA-256 in lower-case hex, wherever it is published
)

// Block keeps clients out, whatever policy says, before anything is fetched.
type Block struct {
	Kind   BlockKind `json:"kind"`
	Value  string    `json:"value"`
	Reason string    `json:"reason"` // an operator's words
	Actor  string    `json:"actor"`  // who blocked
	At     time.Time `json:"at"`
}

// Pin is a document that an operator stored for a client: nothing is fetched
// for it.
type Pin struct {
	ID        string    `json:"client_id"`
	Published []byte    `json:"published"`
	SHA256    string    `json:"sha256"`
	Actor     string    `json:"actor"` // who pinned, or approved last
	At        time.Time `json:"at"`
	Pending   *Pending  `json:"pending,omitempty"` // the host's document, which differs, where an operator had it fetched
}

// Version is a document that was in force for a client, or waited to be.
type Version struct {
	ClientID  string    `json:"client_id"`
	SHA256    string    `json:"sha256"`
	Published []byte    `json:"published,omitempty"`
	SeenAt    time.Time `json:"seen_at"`
	From      string    `json:"from"`    // network, pin, configuration
	Changes   []string  `json:"changes"` // against the version before, see Changes; empty for the first
}

// Registered is a client that the configuration names. It wins over its
// document and is never fetched.
type Registered struct {
	ID        cimd.ID
	Published []byte // the operator's document
}
