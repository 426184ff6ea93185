package broker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"guestlist/broker/decisionlog"
)

// inForce is a policy revision with the digest of the facts that it decides
// with.
type inForce struct {
	Policy
	facts string // "sha256:" and hex; empty: the revision knows no facts
}

// FactsDigest is the digest that stands for facts in records and in the store:
// "sha256:" and hex over their JSON, members sorted by name; empty for none.
func FactsDigest(facts map[string]any) (string, error) {
	if len(facts) == 0 {
		return "", nil
	}
	b, err := json.Marshal(facts)
	if err != nil {
		return "", fmt.Errorf("write the facts as JSON: %w", err)
	}
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}

// Activate makes p the active revision, with its facts: epoch, bytes and record
// in one commit, then the swap. The record's event is facts.changed where the
// facts differ from what is stored, config.reloaded where only what this server
// offers does, else policy.activated; source is its detail, and actor who had it
// loaded, empty where nobody did. commit is called at most once with a unit on
// which the change was staged; when all of it is as stored, as after a restart,
// nothing is written. On an error the former revision stays in force with the
// former facts.
func (b *Broker) Activate(ctx context.Context, p Policy, source, actor string, u Unit, commit func(context.Context) error) error {
	facts, err := FactsDigest(p.Facts())
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	epoch, err := u.Epoch(ctx)
	if err != nil {
		return err
	}
	before, known, err := u.Activation(ctx, epoch)
	if err != nil {
		return err
	}
	next := Activation{At: b.cfg.Now().UTC(), Revision: p.Revision(), Facts: facts, Offer: b.cfg.Offer}
	if !known || !next.same(before) {
		u.RequireEpoch(epoch)
		u.Activate(next, p.Bundle())
		u.Append(decisionlog.Record{
			DecisionID: NewID(), Timestamp: next.At, Event: next.event(before, known), Outcome: decisionlog.OutcomeDone, Path: Contract,
			Revision: p.Revision(), FactsSHA256: facts, Engine: p.Engine(), Epoch: epoch + 1, Detail: source, Actor: actor, RequestID: RequestOf(ctx),
		})
		if err := commit(ctx); err != nil && !tookEffect(ctx, u, next, epoch+1) {
			return fmt.Errorf("activate revision %s: %w", p.Revision(), err)
		}
	}
	b.policy = &inForce{p, facts}
	return nil
}

// tookEffect asks the store what became of an activation whose commit failed: a
// store that can be lost in the middle of a commit may have made it. Then it
// decides, or decisions would be made by one revision under the epoch of
// another.
func tookEffect(ctx context.Context, u Unit, a Activation, epoch uint64) bool {
	now, known, err := u.Activation(ctx, epoch)
	return err == nil && known && now.Epoch == epoch && a.same(now) && a.At.Equal(now.At)
}

// Revision returns the active policy revision, empty before the first
// Activate.
func (b *Broker) Revision() string {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.policy == nil {
		return ""
	}
	return b.policy.Revision()
}

// active returns policy and epoch as they belong together.
func (b *Broker) active(ctx context.Context, u Unit) (*inForce, uint64, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.policy == nil {
		return nil, 0, Refuse(ReasonServerTrouble, "no policy revision is active")
	}
	epoch, err := u.Epoch(ctx)
	if err != nil {
		return nil, 0, &Error{Reason: ReasonStoreUnavailable, Err: err}
	}
	return b.policy, epoch, nil
}
