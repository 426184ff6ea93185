package policies

import (
	"context"
	"fmt"
	"time"

	"guestlist/broker"
	"guestlist/broker/cimd"
)

// Set is one revision of the guest list: compiled, checked, immutable. It
// implements broker.Policy and may be used by many goroutines at once.
type Set struct {
	policies   []*policy // by name
	anyone     *policy   // nil without admission.anyone
	guardrails *policy   // nil without admission.guardrails
	mask       *mask     // nil without admission.mask
	defaults   partial
	maxima     partial
	index      *index
	deadline   time.Duration
	revision   string
	bundle     broker.Bundle
	engine     string
	keys       inputKeys
	schema     factsSchema
	facts      map[string]any // complete
	claims     claims
}

var _ broker.Policy = (*Set)(nil)

// Revision returns "sha256:" and the hex digest of policies, data, maxima and
// contract, the schema of facts included. Neither tests nor the values of facts
// take part in it.
func (s *Set) Revision() string { return s.revision }

// Engine returns the policy engine and its version.
func (s *Set) Engine() string { return s.engine }

// Decide answers q in the phase of its input. It never returns an error: what
// cannot be evaluated is a denial with reason policy_error.
//
// The identifier is parsed anew from Input.ClientID; Decide does not check that
// Input.Client agrees with it. From phase document on Document must be set. The
// slices and maps of the Decision are to be read only: they may be shared with
// the Set.
func (s *Set) Decide(ctx context.Context, q broker.Query) (out broker.Decision) {
	start := time.Now()
	d := &decision{set: s, query: q, phase: rank(q.Input.Phase)}
	d.out = broker.Decision{Phase: q.Input.Phase, Settings: broker.StrictSettings()}
	defer func() {
		if r := recover(); r != nil {
			d.fail(fmt.Errorf("the policy engine stopped: panic: %T", r))
			d.verdict()
		}
		out = d.out
		out.Took = time.Since(start)
	}()
	d.run(ctx)
	return d.out
}

// run asks the steps in order; each leaves what it found in d.out.
func (d *decision) run(ctx context.Context) {
	defer d.verdict()
	ctx, cancel := context.WithTimeout(ctx, wallTime*d.set.deadline)
	defer cancel()
	var err error
	if d.id, err = parseID(d.query.Input); err != nil {
		d.refused = broker.Refuse(broker.ReasonClientIDMalformed, "%v", err)
		return
	}
	if d.phase < 0 || d.phase > 0 && d.query.Document == nil {
		d.fail(fmt.Errorf("phase %q was asked without what it needs", clip(string(d.query.Input.Phase), 20)))
		return
	}
	d.question = d.set.keys.newQuestion(d.query.Input)
	d.match(ctx)
	d.settle(ctx)
	d.negotiate()
	d.deny(ctx)
	if d.query.Explain {
		d.out.Explanation = d.explanation()
	}
}

// parseID reads the identifier: a URL, or the opaque one that only a client of
// the configuration has.
func parseID(in broker.Input) (cimd.ID, error) {
	if in.Registration == broker.RegistrationRegistered && !cimd.LooksLikeURL(in.ClientID) {
		return cimd.Opaque(in.ClientID)
	}
	return cimd.Parse(in.ClientID)
}
