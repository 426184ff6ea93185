package admin

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"guestlist/broker"
	"guestlist/store"
)

// reasonMax bounds an operator's words, in bytes.
const reasonMax = 500

// BlockPage is the answer of /v1/blocks.
type BlockPage struct {
	Blocks []broker.Block `json:"blocks"` // by kind and value
}

// listBlocks answers /v1/blocks.
func (a *api) listBlocks(ctx context.Context, _ url.Values) (any, error) {
	list, err := a.cfg.Store.Blocks(ctx)
	if list == nil {
		list = []broker.Block{}
	}
	return BlockPage{list}, err
}

// blockOf reads kind= and value=.
func blockOf(ctx context.Context, q url.Values) (broker.Block, error) {
	b := broker.Block{Kind: broker.BlockKind(q.Get("kind")), Value: q.Get("value"), Reason: q.Get("reason"), Actor: Actor(ctx)}
	if b.Kind != broker.BlockURL {
		b.Value = strings.ToLower(b.Value)
	}
	return b, checkSelector(b.Kind, b.Value)
}

// block answers /v1/clients/block: the block first, so that nobody comes in
// meanwhile, then the end of those it covers.
func (a *api) block(ctx context.Context, q url.Values) (any, error) {
	b, err := blockOf(ctx, q)
	if err != nil {
		return nil, err
	}
	if err := checkWords("reason", b.Reason); err != nil {
		return nil, err
	}
	if err := a.step(ctx, func(u store.Unit) error { return a.cfg.Broker.Block(ctx, u, b) }); err != nil {
		return nil, err
	}
	out, err := a.endCovered(ctx, b)
	if err != nil {
		return nil, fmt.Errorf("the block is in force, but after %d clients the end of those it covers could not be written. Remedy: block once more: %w", out.Clients, err)
	}
	return out, nil
}

// endCovered ends all that a block covers.
func (a *api) endCovered(ctx context.Context, b broker.Block) (Reach, error) {
	return a.end(ctx, covered(b), func(u store.Unit, rows []broker.Client) error {
		_, err := a.cfg.Broker.EndCovered(ctx, u, b, rows)
		return err
	})
}

// unblock answers /v1/clients/unblock. What the block covers and nobody met
// since is ended first: it must not come back.
func (a *api) unblock(ctx context.Context, q url.Values) (any, error) {
	b, err := blockOf(ctx, q)
	if err != nil {
		return nil, err
	}
	stored, found, err := a.cfg.Store.Begin().Blocked(ctx, b.Kind, b.Value)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, fail(http.StatusNotFound, "there is no block of the %s %.300q; guestlist client blocks lists those there are", b.Kind, b.Value)
	}
	stored.Actor = b.Actor
	out, err := a.endCovered(ctx, stored)
	if err != nil {
		return nil, fmt.Errorf("the block stays, since the end of what it covers could not be written: %w", err)
	}
	return out, a.step(ctx, func(u store.Unit) error { return a.cfg.Broker.Unblock(ctx, u, b.Actor, b.Kind, b.Value) })
}

// checkWords refuses an operator's words that are missing or too long.
func checkWords(name, words string) error {
	if strings.TrimSpace(words) == "" {
		return fail(http.StatusBadRequest, "parameter %s is missing: say why, for the record", name)
	}
	if len(words) > reasonMax {
		return fail(http.StatusBadRequest, "parameter %s has %d bytes, at most %d", name, len(words), reasonMax)
	}
	return nil
}
