package bolt

import (
	"slices"

	"guestlist/broker"
)

// MoveKeys stages other keys for a living incarnation, and leaves the rest of
// its row alone.
func (u *unit) MoveKeys(c broker.Client) {
	keys, pending := slices.Clone(c.Keys), slices.Clone(c.PendingKeys)
	lives := requireLife(c.ID, c.Incarnation)
	u.require(u.keysStand(c.ID))
	u.stage(lives, func(t *txn) error {
		// Once more: the same unit may have ended it.
		if err := lives(t); err != nil {
			return err
		}
		now, _, err := load[broker.Client](t.view, clientBucket, []byte(c.ID))
		if err != nil {
			return err
		}
		now.Keys, now.PendingKeys, now.KeysChangedAt = keys, pending, c.KeysChangedAt
		return t.save(clientBucket, []byte(c.ID), now)
	})
}

// keysStand is the precondition that a client's keys are those that this unit
// read. It holds where the unit read none, and where the client is gone.
func (u *unit) keysStand(id string) func(*txn) error {
	read, known := u.read[id]
	return func(t *txn) error {
		if !known {
			return nil
		}
		now, ok, err := load[broker.Client](t.view, clientBucket, []byte(id))
		if err != nil || !ok {
			return err
		}
		if !slices.Equal(now.Keys, read.Keys) || !slices.Equal(now.PendingKeys, read.PendingKeys) || !now.KeysChangedAt.Equal(read.KeysChangedAt) {
			return conflict("keys of client %s moved meanwhile", quoted(id))
		}
		return nil
	}
}

// documentStands is the precondition that the document in force, and the one
// that waits, are those that this unit read: what an operator approved is not
// undone by a fetch that began before. It holds as keysStand does.
func (u *unit) documentStands(id string) func(*txn) error {
	read, known := u.read[id]
	return func(t *txn) error {
		if !known {
			return nil
		}
		now, ok, err := load[clientRow](t.view, clientBucket, []byte(id))
		if err != nil || !ok {
			return err
		}
		sum := fullSum(now.Client.DocumentSHA256, now.Published)
		if sum != read.DocumentSHA256 || waiting(now.Client) != waiting(read) {
			return conflict("the document of client %s moved meanwhile", quoted(id))
		}
		return nil
	}
}

// waiting is the digest of the document that waits; empty: none.
func waiting(c broker.Client) string {
	if c.Pending == nil {
		return ""
	}
	return c.Pending.SHA256
}
