package admin

import (
	"context"
	"net/http"
	"net/url"

	"guestlist/broker"
)

// Preview returns what would come of the client's next flow.
func (c *Client) Preview(ctx context.Context, id string) (Preview, error) {
	var out Preview
	err := c.call(ctx, http.MethodGet, "/v1/clients/preview", url.Values{"id": {id}}, &out)
	return out, err
}

// Refresh has the client's document fetched now.
func (c *Client) Refresh(ctx context.Context, id string) (broker.Refetched, error) {
	var out broker.Refetched
	err := c.call(ctx, http.MethodPost, "/v1/clients/refresh", url.Values{"id": {id}}, &out)
	return out, err
}

// Approve puts in force the document of that digest, if it still waits.
func (c *Client) Approve(ctx context.Context, id, sha256 string) (broker.Approved, error) {
	var out broker.Approved
	err := c.call(ctx, http.MethodPost, "/v1/clients/approve", url.Values{"id": {id}, "sha256": {sha256}}, &out)
	return out, err
}

// Pin stores a document for a client.
func (c *Client) Pin(ctx context.Context, id string, document []byte) error {
	var out pinned
	return c.send(ctx, http.MethodPost, "/v1/clients/pin", url.Values{"id": {id}}, document, &out)
}

// Unpin ends a client's pin.
func (c *Client) Unpin(ctx context.Context, id string) error {
	var out pinned
	return c.call(ctx, http.MethodPost, "/v1/clients/unpin", url.Values{"id": {id}}, &out)
}

// Reach returns how many clients f selects, and how many grants they have that
// have not ended.
func (c *Client) Reach(ctx context.Context, f ClientFilter) (Reach, error) {
	var out Reach
	err := c.call(ctx, http.MethodGet, "/v1/clients/reach", f.query(), &out)
	return out, err
}

// Block keeps clients out and returns how much ended. Kind, Value and Reason
// are taken from b.
func (c *Client) Block(ctx context.Context, b broker.Block) (Reach, error) {
	var out Reach
	err := c.patient().call(ctx, http.MethodPost, "/v1/clients/block", url.Values{"kind": {string(b.Kind)}, "value": {b.Value}, "reason": {b.Reason}}, &out)
	return out, err
}

// Unblock takes a block back. What had not ended under it ends first, and is
// returned.
func (c *Client) Unblock(ctx context.Context, kind broker.BlockKind, value string) (Reach, error) {
	var out Reach
	err := c.patient().call(ctx, http.MethodPost, "/v1/clients/unblock", url.Values{"kind": {string(kind)}, "value": {value}}, &out)
	return out, err
}

// Revoke ends the clients that f selects, with all their grants; f must select
// something. why is for the records and may be empty.
func (c *Client) Revoke(ctx context.Context, f ClientFilter, why string) (Reach, error) {
	q := f.query()
	set(q, "why", why)
	var out Reach
	err := c.patient().call(ctx, http.MethodPost, "/v1/clients/revoke", q, &out)
	return out, err
}
