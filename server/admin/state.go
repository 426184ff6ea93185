package admin

import (
	"cmp"
	"context"
	"slices"
	"time"

	"guestlist/broker"
	"guestlist/broker/cimd"
	"guestlist/store"
)

// State is one word on a client's life.
type State string

// The states of a client. Where several fit, the first one is shown.
const (
	StateBlocked   State = "blocked"   // a block covers it
	StateExpired   State = "expired"   // its life is over
	StateWithdrawn State = "withdrawn" // its host withdrew its document, or publishes another that is refused
	StatePending   State = "pending"   // it lives, and a changed document, or keys, wait for an operator
	StateLive      State = "live"      // it lives
	StatePinned    State = "pinned"    // an operator pinned its document, and nobody came with it yet
)

// states lists every state.
var states = []State{StateBlocked, StateExpired, StateWithdrawn, StatePending, StateLive, StatePinned}

// blockKey is what a block is found by.
type blockKey struct {
	kind  broker.BlockKind
	value string
}

// look is what operators see of clients beside their rows, at one moment.
type look struct {
	store  store.Store
	now    time.Time
	blocks map[blockKey]broker.Block
	pins   []broker.Pin // in the order of their identifiers
}

// look reads it.
func (a *api) look(ctx context.Context) (look, error) {
	list, err := a.cfg.Store.Blocks(ctx)
	if err != nil {
		return look{}, err
	}
	blocks := make(map[blockKey]broker.Block, len(list))
	for _, b := range list {
		blocks[blockKey{b.Kind, b.Value}] = b
	}
	pins, err := a.cfg.Store.Pins(ctx)
	return look{a.cfg.Store, a.cfg.Now(), blocks, pins}, err
}

// row shows a stored client.
func (l look) row(c broker.Client) ClientRow {
	row := ClientRow{Client: c, Expired: c.Expired(l.now), Pending: waiting(c.Pending)}
	if pin, ok := l.pin(c.ID); ok {
		// What waited before it was pinned waits no more: approvals are the pin's.
		row.Pinned, row.Pending = true, waiting(pin.Pending)
	}
	switch {
	case len(l.covering(c)) > 0:
		row.State = StateBlocked
	case row.Expired:
		row.State = StateExpired
	case !c.WithdrawnAt.IsZero():
		row.State = StateWithdrawn
	case row.Pending != nil, len(c.PendingKeys) > 0:
		row.State = StatePending
	default:
		row.State = StateLive
	}
	return row
}

// pinned shows a pin whose client has no row.
func (l look) pinned(pin broker.Pin) ClientRow {
	c := broker.Client{
		ID: pin.ID, Registration: broker.RegistrationPinned, DocumentSHA256: pin.SHA256, DocumentBytes: len(pin.Published),
		Published: pin.Published, CreatedAt: pin.At,
	}
	if id, err := cimd.Parse(pin.ID); err == nil {
		c.Domain = cmp.Or(id.RegistrableDomain(), id.Host)
		if p, err := cimd.ParseDocument(pin.Published, id, cimd.ProfileCIMD); err == nil {
			c.Document = p.Document
		}
	}
	row := ClientRow{Client: c, Pinned: true, State: StatePinned, Pending: waiting(pin.Pending)}
	if len(l.covering(c)) > 0 {
		row.State = StateBlocked
	}
	return row
}

// pin finds the pin of a client.
func (l look) pin(id string) (broker.Pin, bool) {
	i, ok := slices.BinarySearchFunc(l.pins, id, func(p broker.Pin, id string) int { return cmp.Compare(p.ID, id) })
	if !ok {
		return broker.Pin{}, false
	}
	return l.pins[i], true
}

// covering lists the blocks that keep a client out. However many there are,
// only those are asked that could.
func (l look) covering(c broker.Client) []broker.Block {
	if len(l.blocks) == 0 {
		return nil
	}
	keys := []blockKey{{broker.BlockURL, c.ID}, {broker.BlockDocument, c.DocumentSHA256}}
	if id, err := cimd.Parse(c.ID); err == nil {
		keys = append(keys, blockKey{broker.BlockHost, id.Host}, blockKey{broker.BlockDomain, id.RegistrableDomain()})
	}
	var out []broker.Block
	for _, k := range keys {
		if b, found := l.blocks[k]; found && b.Covers(c) {
			out = append(out, b)
		}
	}
	return out
}

// waiting shows what waits for approval, without the document.
func waiting(p *broker.Pending) *Waiting {
	if p == nil {
		return nil
	}
	out := &Waiting{Pending: *p}
	out.Pending.Published = nil
	return out
}
