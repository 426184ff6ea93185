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
	// fails with ErrConflict when that incarnation is gone or holds a
	// document that was fetched later. An expiry that moved forward since
	// the unit read the row is kept.
	UpdateClient(c Client)
	// ClientCount returns how many clients have a row, expired ones included:
	// in all, and with that Domain.
	ClientCount(ctx context.Context, domain string) (total, ofDomain int, err error)
	// CapClients makes the commit fail with ErrConflict unless there are fewer
	// than total clients, and fewer than perDomain with that Domain.
	CapClients(domain string, total, perDomain int)
	// EndClient deletes the row of that incarnation and ends its grants.
	// The commit fails with ErrConflict when that incarnation is gone.
	EndClient(id string, incarnation uint64, at time.Time, reason Reason)
	// ExtendClient moves the expiry of that incarnation forward, never back:
	// commutative, and nothing happens when that incarnation is gone.
	ExtendClient(id string, incarnation uint64, until time.Time)
	// Append stages a decision record.
	Append(r decisionlog.Record)
	// Activate stores the active policy revision and raises the epoch.
	Activate(revision string)
	// ActiveRevision returns the revision last activated; empty in a new store.
	ActiveRevision(ctx context.Context) (string, error)
	// Empty reports whether nothing was staged, so that no commit is needed.
	Empty() bool
}
