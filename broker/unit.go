package broker

import (
	"context"
	"time"

	"guestlist/broker/decisionlog"
)

// Unit is the part of a unit of work that admission needs: a recorded write
// set with named preconditions. Reads see committed state only, through short
// views; writes are staged and take effect together when the HTTP step
// commits. Staging cannot fail.
type Unit interface {
	// Epoch returns the stored epoch: it grows whenever an activation or a
	// block takes effect.
	Epoch(ctx context.Context) (uint64, error)
	// RequireEpoch makes the commit fail with ErrConflict unless the stored
	// epoch is still epoch.
	RequireEpoch(epoch uint64)
	// Client returns the row of a client identifier; absence is false. What
	// the row points to may be shared and is for reading only.
	Client(ctx context.Context, id string) (Client, bool, error)
	// CreateClient stores a new row. The commit fails with ErrConflict when
	// the client has a row that this unit does not end.
	CreateClient(c Client)
	// UpdateClient replaces the row of the same incarnation. The commit
	// fails with ErrConflict when that incarnation is gone, holds a document
	// that was fetched later, or has other keys, another document in force or
	// another one that waits than when the unit read the row. An expiry that moved forward since then is kept.
	UpdateClient(c Client)
	// MoveKeys stores the Keys, PendingKeys and KeysChangedAt of c in the row
	// of the same incarnation, and nothing else of c. The commit fails with
	// ErrConflict when that incarnation is gone or has other keys than when
	// the unit read the row.
	MoveKeys(c Client)
	// ClientCount returns how many clients have a row, expired ones included:
	// in all, with that Domain, and of the one of these policies that has most
	// among their Policy.
	ClientCount(ctx context.Context, domain string, policies []string) (Caps, error)
	// CapClients makes the commit fail with ErrConflict unless there are fewer
	// than caps.Total clients, fewer than caps.PerDomain with that Domain, and
	// fewer than caps.PerPolicy of each of these policies.
	CapClients(domain string, policies []string, caps Caps)
	// EndClient deletes the row of that incarnation and ends its grants.
	// The commit fails with ErrConflict when that incarnation is gone.
	EndClient(id string, incarnation uint64, at time.Time, reason Reason)
	// ExtendClient moves the expiry of that incarnation forward, never back:
	// commutative, and nothing happens when that incarnation is gone.
	ExtendClient(id string, incarnation uint64, until time.Time)
	// FirstSeen returns when a host first had a client, or, by a client
	// identifier, when a client that has no row any more was first admitted; the
	// zero time when that is not known. It is marked by CreateClient, from
	// Client.CreatedAt, and by EndClient, from Client.Since, for identifiers
	// that are https URLs, to the second.
	FirstSeen(ctx context.Context, name string) (time.Time, error)
	// Blocked returns the block of that kind and value; absence is false.
	Blocked(ctx context.Context, kind BlockKind, value string) (Block, bool, error)
	// PutBlock stores a block, in place of one of the same kind and value, and
	// raises the epoch.
	PutBlock(b Block)
	// DropBlock deletes a block and raises the epoch; an absent one changes
	// nothing else.
	DropBlock(kind BlockKind, value string)
	// Pin returns the pinned document of a client identifier; absence is false.
	Pin(ctx context.Context, id string) (Pin, bool, error)
	// PutPin stores a pin, in place of the one that is there, and raises the
	// epoch.
	PutPin(p Pin)
	// DropPin deletes a pin and raises the epoch; an absent one changes nothing
	// else.
	DropPin(id string)
	// PutVersion adds a document to a client's history. One with the SHA256 of
	// the newest is not kept again, one beyond the bound of a UTC day is not
	// kept; beyond the bound of a client the oldest goes.
	PutVersion(v Version)
	// Append stages a decision record.
	Append(r decisionlog.Record)
	// Activate stores what is in force from now on, with the bytes of its
	// revision where they are not kept yet, and raises the epoch. The Epoch of a
	// does not count. b must not change until the commit has answered.
	Activate(a Activation, b Bundle)
	// Activation returns the one that was in force under an epoch; absence is
	// false.
	Activation(ctx context.Context, epoch uint64) (Activation, bool, error)
	// ActiveRevision returns what was last activated; empty in a new store.
	ActiveRevision(ctx context.Context) (revision, facts string, err error)
	// Empty reports whether nothing was staged, so that no commit is needed.
	Empty() bool
}
