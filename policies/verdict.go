package policies

import (
	"context"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
)

// deny evaluates the denials of the guardrails and of every matching policy,
// those of earlier phases included.
func (d *decision) deny(ctx context.Context) {
	if d.guard != nil {
		d.denyBy(ctx, d.guard)
		d.guarded = len(d.out.Denials) > 0
	}
	for _, m := range d.matches {
		if m.mode != modeShadow {
			d.denyBy(ctx, m)
		}
	}
}

func (d *decision) denyBy(ctx context.Context, m *match) {
	for i, name := range denialRules {
		r := m.rules[name]
		due := i
		if name == "warn" && r != nil {
			due = r.rank
		}
		if r == nil || due > d.phase {
			continue
		}
		t, ok := d.ask(ctx, m, name)
		if !ok {
			return
		}
		found, err := r.decodeDenials(t, m.name)
		if err != nil {
			d.broke(m, err)
			return
		}
		d.locate(ctx, m, r, found)
		if name == "warn" || m.mode == modeWarn {
			d.out.Warnings = append(d.out.Warnings, found...)
			continue
		}
		counting, past := d.waive(found)
		d.out.Denials, d.out.Warnings = append(d.out.Denials, counting...), append(d.out.Warnings, past...)
	}
}

// verdict turns what was found into the answer, in the order that the package
// comment gives.
func (d *decision) verdict() {
	o := &d.out
	for _, n := range o.Denials {
		o.EndGrant = o.EndGrant || n.Effect == effectEndGrant
	}
	o.Allowed, o.Reason, o.Detail = false, "", ""
	switch {
	case d.guarded:
		d.denied(o.Denials)
	case d.broken != nil:
		o.Reason, o.Detail = broker.ReasonPolicyError, d.broken.Error()
	case len(o.Denials) > 0:
		d.denied(o.Denials)
	case d.refused != nil && d.refused.Reason == broker.ReasonClientIDMalformed:
		o.Reason, o.Detail = d.refused.Reason, cause(d.refused)
	case len(d.winners) == 0 && !o.Kept:
		o.Reason, o.Unnamed = broker.ReasonNoPolicyMatched, !d.named
		o.NearestMiss = d.nearestMiss()
		o.Detail = o.NearestMiss
	case d.refused != nil:
		o.Reason, o.Detail = d.refused.Reason, cause(d.refused)
	default:
		o.Allowed = true
	}
}

// cause is the operator's text of a refusal.
func cause(e *broker.Error) string {
	if e.Err != nil {
		return e.Err.Error()
	}
	return e.Detail
}

func (d *decision) denied(denials []decisionlog.Denial) {
	o := &d.out
	o.Reason, o.Detail = broker.ReasonPolicyDenied, denials[0].Message
	for _, n := range denials {
		if n.UserMessage != "" {
			o.UserMessage = n.UserMessage
			break
		}
	}
}

// nearestMiss says how close the closest policy came to admitting the client.
func (d *decision) nearestMiss() string {
	for _, c := range d.out.Candidates {
		if c.Mode == modeShadow {
			return "policy " + c.Policy + " matches in mode shadow, which admits nobody"
		}
		return "policy " + c.Policy + " matches and is veto-only: it has no settings"
	}
	for _, e := range d.set.index.lookup(d.id) {
		return "policy " + e.policy.name + ": " + d.missed(e)
	}
	if d.id.IsOpaque() {
		return "no policy names the client_id " + clip(d.id.String(), 80)
	}
	return d.set.index.nearest(d.id)
}

// missed says why a policy takes no part although its pattern matches.
func (d *decision) missed(e *entry) string {
	switch {
	case e.row != nil && e.row.expired(d.query.Input.Time):
		return "the row for " + e.row.host + e.row.path + " expired " + e.row.written
	case !contains(e.policy.registrations, d.query.Input.Registration):
		return "the pattern matched, but not registration " + clip(string(d.query.Input.Registration), 20)
	}
	return "the pattern matched, but its rule applies is not true"
}

func contains(list []string, r broker.Registration) bool {
	for _, v := range list {
		if v == string(r) {
			return true
		}
	}
	return false
}
