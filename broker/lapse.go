package broker

import "slices"

// policyChanges are the values of settings.on_policy_change, the strictest
// first.
var policyChanges = []string{"revoke", "stop_refresh", "keep"}

// stricter returns the stricter of two values of on_policy_change; one that is
// not known, the empty one of an earlier program among them, counts as revoke.
func stricter(a, b string) string {
	return policyChanges[max(0, min(slices.Index(policyChanges, a), slices.Index(policyChanges, b)))]
}

// onPolicyChange is what becomes of the grant at hand, or without one of the
// client, when no policy names the client any more: the stricter of what the
// client's last commit and the grant say.
func (c *call) onPolicyChange() string {
	word := c.row.OnPolicyChange
	if b := c.req.Bound; b != nil && b.Terms != nil {
		return stricter(word, b.Terms.OnPolicyChange)
	}
	return stricter(word, word)
}

// lapse ends what does not outlive the policy that named the client, where d
// says that none does any more: the client with all its grants, or, where only
// the grant at hand says revoke, that grant.
func (c *call) lapse(d Decision) {
	if !d.Unnamed || !c.live || c.onPolicyChange() != "revoke" {
		return
	}
	if stricter(c.row.OnPolicyChange, c.row.OnPolicyChange) == "revoke" {
		c.prune(ReasonNoPolicyMatched, "no enabled policy matches the client any more")
		return
	}
	c.out.Decision.EndGrant = true
}

// kept are the terms on which a refresh goes on when no policy names the
// client any more; nil: it does not.
func (c *call) kept(p Phase) *Settings {
	if p != PhaseRefresh || c.req.Bound == nil || c.onPolicyChange() != "keep" {
		return nil
	}
	return c.req.Bound.Terms
}
