package store

import (
	"errors"

	"guestlist/broker"
)

// Tries is how often a step runs at most when state moves under it (design §7).
const Tries = 3

// Step runs fn on a unit of work and commits what it staged, once, also when fn
// refused: some refusals end something. Where fn could not read the store
// nothing is committed: what it staged is half a step. It runs fn again, on a new
// unit, when the commit is lost with broker.ErrConflict.
//
// Result is what fn returned the last time; it counts only when lost, the error
// of the last commit, is nil.
func Step(begin func() Unit, commit func(Unit) error, fn func(Unit) error) (result, lost error) {
	for range Tries {
		u := begin()
		result = fn(u)
		if u.Empty() || errors.Is(result, ErrUnavailable) || broker.ReasonOf(result) == broker.ReasonStoreUnavailable {
			return result, nil
		}
		if lost = commit(u); !errors.Is(lost, broker.ErrConflict) {
			return result, lost
		}
	}
	return result, lost
}
