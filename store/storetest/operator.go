package storetest

import (
	"context"
	"time"

	"guestlist/broker"
	"guestlist/store"
)

// operators is about blocks and pins: each change raises the epoch.
func operators(e *env) {
	ctx := context.Background()
	block := broker.Block{Kind: broker.BlockHost, Value: "a.example", Reason: "phishing", Actor: "ops", At: moment(1 * time.Second)}
	pin := broker.Pin{ID: "https://a.example/c", Published: []byte(`{"a":1}`), SHA256: "00", Actor: "ops", At: moment(2 * time.Second)}
	before := e.epoch()
	e.must(func(u store.Unit) { u.PutBlock(block) })
	e.must(func(u store.Unit) { u.PutPin(pin) })
	e.reopen()
	if got := e.epoch(); got != before+2 {
		e.Errorf("epoch after a block and a pin = %d, want %d", got, before+2)
	}
	u := e.s.Begin()
	if got, ok, err := u.Blocked(ctx, broker.BlockHost, "a.example"); err != nil || !ok || got != block {
		e.Errorf("Blocked(host) = %+v, %v, %v, want %+v", got, ok, err, block)
	}
	for _, other := range []struct {
		kind  broker.BlockKind
		value string
	}{{broker.BlockDomain, "a.example"}, {broker.BlockHost, "a.exampl"}, {broker.BlockHost, "a.example.b"}, {"hosta", ".example"}} {
		if _, ok, err := u.Blocked(ctx, other.kind, other.value); err != nil || ok {
			e.Errorf("Blocked(%s, %s) = %v, %v, want nothing", other.kind, other.value, ok, err)
		}
	}
	if got, ok, err := u.Pin(ctx, pin.ID); err != nil || !ok || string(got.Published) != string(pin.Published) || !got.At.Equal(pin.At) {
		e.Errorf("Pin() = %+v, %v, %v, want %+v", got, ok, err, pin)
	}
	blocks, err := e.s.Blocks(ctx)
	pins, err2 := e.s.Pins(ctx)
	if err != nil || err2 != nil || len(blocks) != 1 || blocks[0] != block || len(pins) != 1 || pins[0].ID != pin.ID {
		e.Errorf("Blocks() = %+v, %v; Pins() = %+v, %v", blocks, err, pins, err2)
	}
	e.must(func(u store.Unit) { u.DropBlock(block.Kind, block.Value); u.DropPin(pin.ID) })
	if got := e.epoch(); got != before+4 {
		e.Errorf("epoch after both were dropped = %d, want %d", got, before+4)
	}
	e.want("decided under the epoch before", broker.ErrConflict, func(u store.Unit) {
		u.RequireEpoch(before + 3)
		u.PutCursor("x", 1)
	})
	if _, ok, _ := e.s.Begin().Blocked(ctx, block.Kind, block.Value); ok {
		e.Errorf("a dropped block is still there")
	}
}
