package rehearsal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"guestlist/broker"
	"guestlist/broker/cimd"
	"guestlist/broker/decisionlog"
	"guestlist/broker/fetch"
)

// atHand brings the scene's document.
type atHand struct {
	got     fetch.Document // what was given, or what other brought
	other   broker.Fetcher // asked instead, where it is set
	wanted  bool           // a document was wanted and none was given
	trouble *fetch.Error   // of other, that says nothing about the document
}

// Document implements broker.Fetcher.
func (d *atHand) Document(ctx context.Context, id cimd.ID, lim fetch.Limits, held fetch.Held) (fetch.Document, error) {
	switch n := int64(len(d.got.Body)); {
	case d.other != nil:
		var err error
		d.got, err = d.other.Document(ctx, id, lim, held)
		if e, ok := errors.AsType[*fetch.Error](err); ok && e.Transient {
			d.trouble = e
		}
		return d.got, err
	case d.got.Body == nil:
		d.wanted = true
		return fetch.Document{}, errors.New("no document was given")
	case n > lim.MaxBytes:
		return fetch.Document{}, &fetch.Error{Reason: string(broker.ReasonFetchTooLarge), Detail: fmt.Sprintf("%d bytes, at most %d", n, lim.MaxBytes)}
	}
	out := d.got
	if out.FreshFor < 0 { // a file has no headers
		out.FreshFor = lim.Default
	}
	return out, nil
}

// imagined is a store of one client that ends with the command.
type imagined struct {
	records []decisionlog.Record
	row     *broker.Client
	seen    map[string]time.Time // of broker.Unit.FirstSeen
	blocks  []broker.Block
	pin     *broker.Pin
	epoch   uint64
	active  string // revision
	facts   string // digest
}

// The methods of broker.Unit; what is staged takes effect at once.

func (u *imagined) Epoch(context.Context) (uint64, error) { return u.epoch, nil }
func (u *imagined) RequireEpoch(uint64)                   {}
func (u *imagined) Client(context.Context, string) (broker.Client, bool, error) {
	if u.row == nil {
		return broker.Client{}, false, nil
	}
	return *u.row, true, nil
}
func (u *imagined) CreateClient(c broker.Client)                       { u.row = &c }
func (u *imagined) UpdateClient(c broker.Client)                       { u.row = &c }
func (u *imagined) MoveKeys(c broker.Client)                           { u.row = &c }
func (u *imagined) EndClient(string, uint64, time.Time, broker.Reason) { u.row = nil }
func (u *imagined) CapClients(string, []string, broker.Caps)           {}
func (u *imagined) ClientCount(context.Context, string, []string) (broker.Caps, error) {
	return broker.Caps{}, nil
}
func (u *imagined) Blocked(_ context.Context, kind broker.BlockKind, value string) (broker.Block, bool, error) {
	for _, b := range u.blocks {
		if b.Kind == kind && b.Value == value {
			return b, true, nil
		}
	}
	return broker.Block{}, false, nil
}
func (u *imagined) FirstSeen(_ context.Context, name string) (time.Time, error) {
	return u.seen[name], nil
}
func (u *imagined) PutBlock(broker.Block)              {}
func (u *imagined) DropBlock(broker.BlockKind, string) {}
func (u *imagined) Pin(_ context.Context, id string) (broker.Pin, bool, error) {
	if u.pin == nil || u.pin.ID != id {
		return broker.Pin{}, false, nil
	}
	return *u.pin, true, nil
}
func (u *imagined) PutPin(broker.Pin)         {}
func (u *imagined) DropPin(string)            {}
func (u *imagined) PutVersion(broker.Version) {}
func (u *imagined) ExtendClient(_ string, number uint64, until time.Time) {
	if u.row != nil && u.row.Incarnation == number && until.After(u.row.ExpiresAt) {
		u.row.ExpiresAt = until
	}
}
func (u *imagined) Append(r decisionlog.Record) { u.records = append(u.records, r) }
func (u *imagined) Activate(a broker.Activation, _ broker.Bundle) {
	u.active, u.facts, u.epoch = a.Revision, a.Facts, u.epoch+1
}
func (u *imagined) Activation(context.Context, uint64) (broker.Activation, bool, error) {
	return broker.Activation{}, false, nil
}
func (u *imagined) ActiveRevision(context.Context) (revision, facts string, err error) {
	return u.active, u.facts, nil
}
func (u *imagined) Empty() bool { return true }
