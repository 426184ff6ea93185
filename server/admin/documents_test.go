package admin_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"guestlist/broker"
	"guestlist/server/admin"
	"guestlist/store"
)

// SN-19: a preview fetches, tells what would come of it, and keeps nothing.
func TestPreviewKeepsNothing(t *testing.T) {
	e, h := acting(t)
	h.body = string(document(standing, standing+"/cb"))
	before := e.bytes()
	got, err := e.client.Preview(context.Background(), standing)
	if err != nil || !got.Allowed || got.Reached != "document" || got.Published != h.body || got.Document.ClientName != "Pinned" || h.hits != 1 {
		t.Errorf("Preview() = %+v, %v after %d fetches, want an allowed document", got, err, h.hits)
	}
	if !bytes.Equal(e.bytes(), before) || h.later != 0 {
		t.Errorf("Preview() changed the store's file, or left %d records for later", h.later)
	}
	h.body = ""
	if got, err = e.client.Preview(context.Background(), standing); err != nil || got.Allowed || got.Reason != broker.ReasonFetchDNS || got.Reached != "fetch" {
		t.Errorf("Preview() of a host that is down = %+v, %v, want fetch_dns", got, err)
	}
	if got, err = e.client.Preview(context.Background(), "http://a.example/x"); err != nil || got.Allowed || got.Reached != "form" {
		t.Errorf("Preview() of no identifier = %+v, %v, want a refusal by form", got, err)
	}
}

// bytes is the store's file.
func (e *env) bytes() []byte {
	e.Helper()
	b, err := os.ReadFile(e.file)
	if err != nil {
		e.Fatal(err)
	}
	return b
}

// known stores a client with the document that its host has.
func (e *env) known(h *host) {
	e.Helper()
	h.body = string(document(standing, standing+"/cb"))
	p, err := e.client.Preview(context.Background(), standing)
	if err != nil || !p.Allowed {
		e.Fatalf("Preview() = %+v, %v", p, err)
	}
	c := row(standing)
	c.Document, c.DocumentSHA256, c.Published, c.FetchedAt, c.FreshUntil = p.Document, p.Provenance.SHA256, []byte(h.body), noon, noon.Add(1)
	e.commit(func(u store.Unit) { u.CreateClient(c) })
	h.hits = 0
}

// G-27: a refresh fetches whatever is fresh, and says what changed; the second
// one within 30 s is 429 and costs no fetch.
func TestRefreshAndCooldown(t *testing.T) {
	e, h := acting(t)
	e.known(h)
	h.body = string(document(standing, standing+"/new"))
	got, err := e.client.Refresh(context.Background(), standing)
	if err != nil || got.Result != "changed" || strings.Join(got.Changes, " ") != "redirect_added redirect_removed" || h.hits != 1 {
		t.Errorf("Refresh() = %+v, %v after %d fetches, want what changed", got, err, h.hits)
	}
	if now, err := e.client.Show(context.Background(), standing); err != nil || now.Published != h.body {
		t.Errorf("Show() after Refresh() = %s, %v, want the new document", now.Published, err)
	}
	_, err = e.client.Refresh(context.Background(), standing)
	var r *admin.Refusal
	if !errors.As(err, &r) || r.Status != http.StatusTooManyRequests || !strings.Contains(r.Text, "try again in 30 s") || h.hits != 1 {
		t.Errorf("Refresh() again = %v after %d fetches, want 429", err, h.hits)
	}
	if after := e.retryAfter("/v1/clients/refresh?id=" + url.QueryEscape(standing)); after != "30" {
		t.Errorf("Retry-After = %q, want 30", after)
	}
	if _, err := e.client.Refresh(context.Background(), "https://nobody.example/c"); !errors.As(err, &r) || r.Status != http.StatusNotFound {
		t.Errorf("Refresh() of nobody = %v, want 404", err)
	}
	if want := "document.fetched"; !strings.Contains(e.events(), want) {
		t.Errorf("acts = %s, want %s among them", e.events(), want)
	}
}

// G-27: a fetch that fails leaves nothing fresh, and is no error of the call.
func TestRefreshThatFails(t *testing.T) {
	e, h := acting(t)
	e.known(h)
	h.body = ""
	got, err := e.client.Refresh(context.Background(), standing)
	if err != nil || got.Result != "failed" || got.Reason != broker.ReasonFetchDNS {
		t.Errorf("Refresh() of a host that is down = %+v, %v, want failed", got, err)
	}
	if now, err := e.client.Show(context.Background(), standing); err != nil || now.Fresh(noon) {
		t.Errorf("Show() = fresh until %s, %v, want nothing fresh at %s", now.FreshUntil, err, noon)
	}
}

// A fetch whose result conflicts with what others wrote is told as such.
func TestRefreshInConflict(t *testing.T) {
	e, h := acting(t)
	e.known(h)
	e2 := start(t, func(c *admin.Config) { c.Store, c.Broker = &moving{Store: e.store, times: 1}, e.broker })
	_, err := e2.client.Refresh(context.Background(), standing)
	var r *admin.Refusal
	if !errors.As(err, &r) || r.Status != http.StatusConflict || !strings.Contains(r.Text, "ask again in 30 s") || h.hits != 1 {
		t.Errorf("Refresh() while the epoch moves = %v after %d fetches, want 409", err, h.hits)
	}
}

// SN-22: what waits beside a pin is approved by its digest, and by no other.
func TestApproveExactlyWhatWaits(t *testing.T) {
	e, h := acting(t)
	ctx := context.Background()
	old := document(standing, standing+"/cb")
	if err := e.client.Pin(ctx, standing, old); err != nil {
		t.Fatal(err)
	}
	h.body = string(document(standing, standing+"/new"))
	if got, err := e.client.Refresh(ctx, standing); err != nil || !got.Waiting {
		t.Fatalf("Refresh() = %+v, %v, want a document that waits", got, err)
	}
	shown, err := e.client.Show(ctx, standing)
	if err != nil || shown.Pending == nil || shown.Pending.Published != h.body || shown.Pin.Published != string(old) {
		t.Fatalf("Show() = %+v, %v, want what waits beside the pin", shown, err)
	}
	if got := e.listed(admin.ClientFilter{Registration: "pinned"}); len(got) != 1 || got[0].Pending == nil || got[0].Pending.Published != "" {
		t.Errorf("Clients() = %+v, want the pin with what waits, without its bytes", got)
	}
	var r *admin.Refusal
	for digest, status := range map[string]int{shown.Pin.SHA256: 409, digestOf("a"): 409, "abc": 400, "": 400} {
		if _, err := e.client.Approve(ctx, standing, digest); !errors.As(err, &r) || r.Status != status {
			t.Errorf("Approve(%q) = %v, want %d", digest, err, status)
		}
	}
	if got, err := e.client.Approve(ctx, standing, strings.ToUpper(shown.Pending.SHA256)); err != nil || got.SHA256 != shown.Pending.SHA256 {
		t.Errorf("Approve() = %+v, %v", got, err)
	}
	if now, err := e.client.Show(ctx, standing); err != nil || now.Pin.Published != h.body || now.Pending != nil {
		t.Errorf("Show() after Approve() = %+v, %v, want the new document pinned", now, err)
	}
	if _, err := e.client.Approve(ctx, standing, shown.Pending.SHA256); !errors.As(err, &r) || r.Status != 422 {
		t.Errorf("Approve() again = %v, want 422: nothing waits", err)
	}
	if want := "document.pinned:1 document.fetched:1 document.approved:1"; e.events() != want {
		t.Errorf("acts = %s, want %s", e.events(), want)
	}
}
