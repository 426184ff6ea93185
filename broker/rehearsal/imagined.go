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
	body   []byte
	at     time.Time
	other  broker.Fetcher // asked instead, where it is set
	wanted bool           // a document was wanted and none was given
}

// Document implements broker.Fetcher.
func (d *atHand) Document(ctx context.Context, id cimd.ID, lim fetch.Limits, held fetch.Held) (fetch.Document, error) {
	switch {
	case d.other != nil:
		return d.other.Document(ctx, id, lim, held)
	case d.body == nil:
		d.wanted = true
		return fetch.Document{}, errors.New("no document was given")
	case int64(len(d.body)) > lim.MaxBytes:
		return fetch.Document{}, &fetch.Error{Reason: string(broker.ReasonFetchTooLarge), Detail: fmt.Sprintf("%d bytes, at most %d", len(d.body), lim.MaxBytes)}
	}
	return fetch.Document{Body: d.body, FetchedAt: d.at, FreshFor: lim.Default}, nil
}

// imagined is a store of one client that ends with the command.
type imagined struct {
	records []decisionlog.Record
	row     *broker.Client
	seen    map[string]time.Time // of broker.Unit.FirstSeen
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
func (u *imagined) Blocked(context.Context, broker.BlockKind, string) (broker.Block, bool, error) {
	return broker.Block{}, false, nil
}
func (u *imagined) FirstSeen(_ context.Context, name string) (time.Time, error) {
	return u.seen[name], nil
}
func (u *imagined) PutBlock(broker.Block)              {}
func (u *imagined) DropBlock(broker.BlockKind, string) {}
func (u *imagined) Pin(context.Context, string) (broker.Pin, bool, error) {
	return broker.Pin{}, false, nil
}
func (u *imagined) PutPin(broker.Pin)                      {}
func (u *imagined) DropPin(string)                         {}
func (u *imagined) PutVersion(broker.Version)              {}
func (u *imagined) ExtendClient(string, uint64, time.Time) {}
func (u *imagined) Append(r decisionlog.Record)            { u.records = append(u.records, r) }
func (u *imagined) Activate(revision, facts string) {
	u.active, u.facts, u.epoch = revision, facts, u.epoch+1
}
func (u *imagined) ActiveRevision(context.Context) (revision, facts string, err error) {
	return u.active, u.facts, nil
}
func (u *imagined) Empty() bool { return true }
