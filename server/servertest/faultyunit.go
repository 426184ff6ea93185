package servertest

import (
	"context"
	"time"

	"guestlist/broker"
	"guestlist/store"
)

// faultyUnit is a unit of a Faulty store.
type faultyUnit struct {
	store.Unit
	f      *Faulty
	spends bool // something was staged that the first caller wins
}

// Spend implements store.Unit.
func (u *faultyUnit) Spend(kind store.SpendKind, key string, until time.Time) {
	u.spends = true
	u.Unit.Spend(kind, key, until)
}

// SpendCode implements store.Unit.
func (u *faultyUnit) SpendCode(hash string, at time.Time) {
	u.spends = true
	u.Unit.SpendCode(hash, at)
}

// SpendRefresh implements store.Unit.
func (u *faultyUnit) SpendRefresh(hash string, use store.RefreshUse) {
	u.spends = true
	u.Unit.SpendRefresh(hash, use)
}

// Epoch implements broker.Unit.
func (u *faultyUnit) Epoch(ctx context.Context) (uint64, error) {
	return read(u.f, "Epoch", func() (uint64, error) { return u.Unit.Epoch(ctx) })
}

// Client implements broker.Unit.
func (u *faultyUnit) Client(ctx context.Context, id string) (broker.Client, bool, error) {
	return find(u.f, "Client", func() (broker.Client, bool, error) { return u.Unit.Client(ctx, id) })
}

// ClientCount implements broker.Unit.
func (u *faultyUnit) ClientCount(ctx context.Context, domain string, policies []string) (broker.Caps, error) {
	return read(u.f, "ClientCount", func() (broker.Caps, error) { return u.Unit.ClientCount(ctx, domain, policies) })
}

// FirstSeen implements broker.Unit.
func (u *faultyUnit) FirstSeen(ctx context.Context, name string) (time.Time, error) {
	return read(u.f, "FirstSeen", func() (time.Time, error) { return u.Unit.FirstSeen(ctx, name) })
}

// Blocked implements broker.Unit.
func (u *faultyUnit) Blocked(ctx context.Context, kind broker.BlockKind, value string) (broker.Block, bool, error) {
	return find(u.f, "Blocked", func() (broker.Block, bool, error) { return u.Unit.Blocked(ctx, kind, value) })
}

// Pin implements broker.Unit.
func (u *faultyUnit) Pin(ctx context.Context, id string) (broker.Pin, bool, error) {
	return find(u.f, "Pin", func() (broker.Pin, bool, error) { return u.Unit.Pin(ctx, id) })
}

// Activation implements broker.Unit.
func (u *faultyUnit) Activation(ctx context.Context, epoch uint64) (broker.Activation, bool, error) {
	return find(u.f, "Activation", func() (broker.Activation, bool, error) { return u.Unit.Activation(ctx, epoch) })
}

// ActiveRevision implements broker.Unit.
func (u *faultyUnit) ActiveRevision(ctx context.Context) (revision, facts string, err error) {
	if err := u.f.reads("ActiveRevision"); err != nil {
		return "", "", err
	}
	return u.Unit.ActiveRevision(ctx)
}

// Spent implements store.Unit.
func (u *faultyUnit) Spent(ctx context.Context, kind store.SpendKind, key string) (bool, error) {
	return read(u.f, "Spent", func() (bool, error) { return u.Unit.Spent(ctx, kind, key) })
}

// Code implements store.Unit.
func (u *faultyUnit) Code(ctx context.Context, hash string) (store.Code, bool, error) {
	return find(u.f, "Code", func() (store.Code, bool, error) { return u.Unit.Code(ctx, hash) })
}

// Grant implements store.Unit.
func (u *faultyUnit) Grant(ctx context.Context, id string) (store.Grant, bool, error) {
	return find(u.f, "Grant", func() (store.Grant, bool, error) { return u.Unit.Grant(ctx, id) })
}

// Refresh implements store.Unit.
func (u *faultyUnit) Refresh(ctx context.Context, hash string) (store.Refresh, bool, error) {
	return find(u.f, "Refresh", func() (store.Refresh, bool, error) { return u.Unit.Refresh(ctx, hash) })
}

// Access implements store.Unit.
func (u *faultyUnit) Access(ctx context.Context, key string) (store.Access, bool, error) {
	return find(u.f, "Access", func() (store.Access, bool, error) { return u.Unit.Access(ctx, key) })
}

// Session implements store.Unit.
func (u *faultyUnit) Session(ctx context.Context, hash string) (store.Session, bool, error) {
	return find(u.f, "Session", func() (store.Session, bool, error) { return u.Unit.Session(ctx, hash) })
}

// Cursor implements store.Unit.
func (u *faultyUnit) Cursor(ctx context.Context, name string) (uint64, error) {
	return read(u.f, "Cursor", func() (uint64, error) { return u.Unit.Cursor(ctx, name) })
}
