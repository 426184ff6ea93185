package main

import (
	"context"
	"time"

	"guestlist/server/admin"
	"guestlist/store/bolt"
)

// roomEvery is how often it is looked how much room the store has. A fast disk
// fills a gigabyte in that time, which is what room put aside in the file is
// for.
const roomEvery = 5 * time.Second

// storeConfig is how the store is opened.
func (a *app) storeConfig() bolt.Config {
	return bolt.Config{
		Path: a.plan.storePath, Compacted: a.compacted, Committed: a.committed, Summarised: a.summarised,
		Reserve: a.plan.reserve, RoomChanged: a.roomChanged, Mask: a.mask,
	}
}

// watchRoom looks how much room the store has, until ctx is done.
func (a *app) watchRoom(ctx context.Context) {
	every(ctx, roomEvery, func() { a.lookForRoom(ctx) })
}

// lookForRoom measures, and tries to write where that failed the last time, so
// that what stopped goes on when nobody asks.
func (a *app) lookForRoom(ctx context.Context) {
	if a.store.Healthy() != nil {
		_ = a.store.Probe(ctx) // the store's health says what came of it
	}
	err := a.file.Measure(ctx)
	text := ""
	if err != nil && ctx.Err() == nil {
		text = err.Error()
	}
	if was := a.roomProblem.Swap(&text); text != "" && (was == nil || *was != text) {
		a.log.Error().Str("event", "store.room_unknown").Err(err).Msg("what there is room for is not judged anew")
	}
}

// roomChanged logs that there is room for more or less than before.
func (a *app) roomChanged(c bolt.RoomChange) {
	line, event, text := a.log.Info(), "store.room_again", "what waited goes on"
	if c.Is > c.Was {
		line, event, text = a.log.Warn(), "store.low", "Remedy: free room on the file system of the store, or lower store_reserve"
	}
	line = line.Str("event", event).Int64("reserve_bytes", c.Reserve)
	if c.Free >= 0 {
		line = line.Int64("free_bytes", c.Free)
	}
	if waits := c.Is.Waits(); waits != "" {
		line = line.Str("waits", waits)
	}
	line.Msg(text)
}

// storeTrouble says what is wrong with the store, and how bad that is.
func (a *app) storeTrouble() (error, admin.ComponentState) {
	if err := a.store.Healthy(); err != nil {
		return err, admin.ComponentDown
	}
	return a.file.Low(), admin.ComponentDegraded
}
