package admin

import (
	"context"
	"net/http"
	"net/url"
)

// bodyMax bounds the body of a request: a document of the largest size that
// can be configured.
const bodyMax = 64 << 10

// handler answers a request by its parameters.
type handler func(ctx context.Context, q url.Values) (any, error)

// route is one endpoint.
type route struct {
	method string
	params []string // every parameter that is known
	body   string   // the parameter that the request's body is; empty: a body is not read
	handle handler
}

// get is a route that changes nothing.
func get(h handler, params ...string) route {
	return route{method: http.MethodGet, params: params, handle: h}
}

// post is a route that changes something.
func post(h handler, params ...string) route {
	return route{method: http.MethodPost, params: params, handle: h}
}

// table lists the routes.
func (a *api) table() map[string]route {
	return map[string]route{
		"/v1/clients":          get(a.listClients, append([]string{"after", "limit"}, filterParams...)...),
		"/v1/clients/show":     get(a.showClient, "id"),
		"/v1/clients/history":  get(a.history, "id"),
		"/v1/clients/reach":    get(a.reach, filterParams...),
		"/v1/clients/preview":  get(a.acting(a.preview), "id"),
		"/v1/clients/refresh":  post(a.acting(a.refresh), "id"),
		"/v1/clients/approve":  post(a.acting(a.approve), "id", "sha256"),
		"/v1/clients/pin":      {http.MethodPost, []string{"id"}, "document", a.acting(a.pinClient)},
		"/v1/clients/unpin":    post(a.acting(a.unpinClient), "id"),
		"/v1/clients/block":    post(a.acting(a.block), "kind", "value", "reason"),
		"/v1/clients/unblock":  post(a.acting(a.unblock), "kind", "value"),
		"/v1/clients/revoke":   post(a.acting(a.revokeClients), append([]string{"why"}, filterParams...)...),
		"/v1/blocks":           get(a.listBlocks),
		"/v1/audit":            get(a.listRecords, recordParams...),
		"/v1/audit/why":        get(a.why, "id", "at", "material"),
		"/v1/audit/holds":      get(a.listHolds),
		"/v1/audit/holds/add":  post(a.addHold, holdParams...),
		"/v1/audit/holds/drop": post(a.dropHold, "id"),
		"/v1/report/clients":   get(a.reportClients, filterParams...),
		"/v1/status":           get(a.status),
		"/v1/policies":         get(a.listPolicies, "patterns"),
		"/v1/policies/status":  get(a.policyStatus),
		"/v1/policies/reload":  post(a.reload),
		"/v1/keys/rotate":      post(a.rotate, "purpose"),
		"/v1/keys/destroy":     post(a.destroyKey, "purpose"),
	}
}
