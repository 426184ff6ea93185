package bolt

import (
	"context"
	"fmt"
	"sync/atomic"

	"guestlist/broker"
	"guestlist/store"
)

// The reserve of a store when nobody says otherwise: defaultReserve, but not
// more than one reserveShare-th of the file system.
const (
	defaultReserve = 256 << 20
	reserveShare   = 20
)

// climbAfter is how many measurements without a failure it takes to give back
// one of the things that were given up because a commit found no room. What is
// measured is more than there is then, so that only trying tells.
const climbAfter = 4

// room is what the store has room for.
type room struct {
	wanted int64                                // Config.Reserve
	disk   func() (free, size int64, err error) // Config.Disk
	told   func(RoomChange)                     // Config.RoomChanged

	level   atomic.Int32 // broker.Room
	free    atomic.Int64 // bytes as last measured; -1: not known
	reserve atomic.Int64 // bytes; zero: not known yet
	failed  atomic.Bool  // something could not be put aside

	forced broker.Room // because a commit found no room; the committer's
	good   int         // measurements since, or since the last step back; the committer's
}

// RoomChange is what Config.RoomChanged is told.
type RoomChange struct {
	Was, Is broker.Room
	Free    int64 // bytes that can be written; -1: the system does not say
	Reserve int64 // bytes of Config.Reserve, or of its default here; zero: not known
}

// Room says what there is room for, as of the last Measure or failed commit;
// before the first Measure that is everything. It costs next to nothing.
func (s *Store) Room() broker.Room { return broker.Room(s.room.level.Load()) }

// Free says how many bytes could be written when that was last measured: what
// the file system has for this process, and what is free within the file.
func (s *Store) Free() (bytes int64, known bool) {
	n := s.room.free.Load()
	return n, n >= 0
}

// Low says what is wrong with the room, nil where there is room for everything.
func (s *Store) Low() error {
	is := s.Room()
	if is == broker.RoomForAll {
		return nil
	}
	left := "a commit found no room"
	if free, known := s.Free(); known {
		left = fmt.Sprintf("%d bytes are left, the reserve is %d", free, s.room.reserve.Load())
	}
	return fmt.Errorf("%s: %s wait. Remedy: free room on the file system of %s, or lower store_reserve", left, is.Waits(), s.path)
}

// Measure looks how much room there is and judges what it is enough for. It is
// to be called every few seconds, one call at a time. Where there is room for
// everything it puts some aside within the file, but not at the first call: a
// process that ends soon leaves the file alone. Where there is next to none it
// hands that out.
func (s *Store) Measure(ctx context.Context) error {
	if s.room.wanted < 0 {
		return nil
	}
	_, before := s.Free()
	var failed error
	err := s.submit(ctx, []op{{check: func(*txn) error {
		s.climb()
		failed = s.judge()
		return nil
	}}})
	if err == nil && failed != nil {
		err = fmt.Errorf("%w: measure the room of %s: %w", store.ErrUnavailable, s.path, failed)
	}
	switch {
	case err != nil:
		return err
	case before && s.Room() == broker.RoomForAll:
		return s.putAside(ctx)
	case s.Room() == broker.RoomForEnds:
		return s.handOut(ctx)
	}
	return nil
}

// climb takes back step by step what a failure forced, while writing works.
func (s *Store) climb() {
	r := &s.room
	if r.good++; s.Healthy() != nil {
		r.good = 0
	}
	if r.forced > broker.RoomForAll && r.good >= climbAfter {
		r.forced, r.good = r.forced-1, 0
	}
}

// judge measures, and makes known what that is enough for.
func (s *Store) judge() error {
	free, size, err := s.measure()
	if err != nil {
		return err
	}
	r := &s.room
	if size == 0 {
		s.settle(r.forced, -1)
		return nil
	}
	reserve := r.wanted
	if reserve == 0 {
		reserve = min(defaultReserve, size/reserveShare)
	}
	r.reserve.Store(reserve)
	s.settle(max(r.forced, enough(s.Room(), free, reserve)), free)
	return nil
}

// enough says what so many free bytes are enough for, when it was as much as
// was before: what was given up comes back with a quarter more than it went
// with, so that nothing comes and goes at a border.
func enough(was broker.Room, free, reserve int64) broker.Room {
	is := broker.RoomForAll
	for _, b := range []struct {
		room  broker.Room
		below int64
	}{
		{broker.RoomForKnown, reserve}, {broker.RoomForTokens, reserve / 2}, {broker.RoomForEnds, reserve / 8},
	} {
		if was >= b.room {
			b.below += b.below / 4
		}
		if free < b.below {
			is = b.room
		}
	}
	return is
}

// fullUp notes that a commit found no room. Where that is not what is measured,
// it holds until trying has shown otherwise.
func (s *Store) fullUp() {
	r := &s.room
	if r.wanted < 0 {
		return
	}
	free, size, err := s.measure()
	if err != nil || size == 0 {
		free = -1
	}
	if reserve := r.reserve.Load(); free < 0 || enough(s.Room(), free, reserve) < broker.RoomForEnds {
		r.forced, r.good = broker.RoomForEnds, 0
	}
	s.settle(broker.RoomForEnds, free)
}

// settle makes a judgement known, and tells of it where it is another one.
func (s *Store) settle(is broker.Room, free int64) {
	s.room.free.Store(free)
	was := broker.Room(s.room.level.Swap(int32(is)))
	if was != is && s.room.told != nil {
		s.room.told(RoomChange{Was: was, Is: is, Free: free, Reserve: s.room.reserve.Load()})
	}
}
