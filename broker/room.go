package broker

import "time"

// Room is what a store has room for. Where it gets less, things are given up
// in the order of these values; a store that has RoomForEnds gives up nothing
// more as long as anything can be written at all. Who may write what is judged
// before, so that what comes last finds room.
type Room int

// The values of Room, from much to little.
const (
	RoomForAll    Room = iota // for everything
	RoomForKnown              // for clients that are known: no new one is let in, and no document enters a history
	RoomForTokens             // for tokens of the grants that there are: nobody is asked for a new one
	RoomForEnds               // for what ends something, for operators, and for records
)

// Waits says what waits for more room, for operators; empty: nothing does.
func (r Room) Waits() string {
	return [...]string{"", "new clients", "new clients and new grants", "new clients, new grants and tokens"}[r]
}

// Short reports whether there is so little room that records of refusals are
// held as short as they may be.
func (r Room) Short() bool { return r == RoomForEnds }

// roomAgain is when to ask again where there is too little room: a disk is
// cleared by people.
const roomAgain = time.Minute

// NoRoom refuses what waits while there is only room for less. Strangers do
// not learn that a disk is full: one who fills it would know that he did.
func NoRoom(r Room) *Error {
	return &Error{
		Reason: ReasonStoreLow, RetryAfter: roomAgain, Err: errText("there is little room for the store: " + r.Waits() + " wait"),
		Detail: "This server takes on nothing new for the moment. Nothing is wrong with the application: try again later.",
	}
}

// room is what there is room for now.
func (b *Broker) room() Room {
	if b.cfg.Room == nil {
		return RoomForAll
	}
	return b.cfg.Room()
}
