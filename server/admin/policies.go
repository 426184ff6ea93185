package admin

import (
	"context"
	"net/http"
	"net/url"
)

// listPolicies answers /v1/policies.
func (a *api) listPolicies(ctx context.Context, q url.Values) (any, error) {
	patterns := q.Get("patterns")
	switch {
	case a.cfg.Policies == nil:
		return nil, fail(http.StatusNotFound, "this server cannot list its policies")
	case patterns != "" && patterns != "all":
		return nil, fail(http.StatusBadRequest, "patterns=%.60q: want all, or nothing", patterns)
	}
	return a.cfg.Policies(ctx, patterns == "all")
}

// policyStatus answers /v1/policies/status.
func (a *api) policyStatus(ctx context.Context, _ url.Values) (any, error) {
	if a.cfg.PolicyStatus == nil {
		return nil, fail(http.StatusNotFound, "this server cannot tell of its policies")
	}
	return a.cfg.PolicyStatus(ctx)
}
