package storetest

import (
	"context"
	"fmt"
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

// versions is about the history of a document: newest first, bounded, and one
// client's only (G-08).
func versions(e *env) {
	ctx := context.Background()
	version := func(id string, day, n int) broker.Version {
		return broker.Version{ClientID: id, SHA256: fmt.Sprint(n), Published: []byte(fmt.Sprintf(`{"n":%d}`, n)),
			SeenAt: moment(time.Duration(day)*24*time.Hour + time.Duration(n)*time.Second), From: "network", Changes: []string{"cosmetic"}}
	}
	const id = "https://a.example/c"
	e.must(func(u store.Unit) { u.PutVersion(version(id, 0, 1)) })
	e.must(func(u store.Unit) { u.PutVersion(version(id, 1, 2)) })
	e.must(func(u store.Unit) { u.PutVersion(version(id+"2", 0, 3)) })
	e.reopen()
	got, err := e.s.Versions(ctx, id)
	if err != nil || len(got) != 2 || got[0].SHA256 != "2" || got[1].SHA256 != "1" || string(got[1].Published) != `{"n":1}` {
		e.Errorf("Versions() = %+v, %v, want 2 and 1", got, err)
	}
	for n := range 60 {
		e.must(func(u store.Unit) { u.PutVersion(version(id, n+2, n+10)) })
	}
	got, err = e.s.Versions(ctx, id)
	if err != nil || len(got) == 0 || len(got) > 50 || got[0].SHA256 != "69" {
		e.Errorf("after 62 versions there are %d, %v, want at most 50 with the newest", len(got), err)
	}
	if other, err := e.s.Versions(ctx, id+"2"); err != nil || len(other) != 1 {
		e.Errorf("versions of another client = %+v, %v, want one", other, err)
	}
}
