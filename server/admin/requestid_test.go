package admin_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"guestlist/broker/decisionlog"
	"guestlist/server/admin"
)

// PF-36: every record of what an operator's request did has its id, and audit
// why finds the act by it.
func TestRecordsNameTheRequest(t *testing.T) {
	t.Parallel()
	done := func(context.Context, string) error { return nil }
	e, h := acting(t, func(c *admin.Config) {
		c.Rotate, c.Destroy, c.Reload = done, done, func(context.Context) error { return nil }
	})
	e.granted("a.agents.example", 2)
	e.known(h)
	h.body = string(document(standing, standing+"/new"))
	hold := ""
	for _, test := range []struct{ target, want string }{
		{"/v1/clients/block?kind=host&value=a.agents.example&reason=r", "client.blocked client.pruned client.pruned"},
		{"/v1/clients/unblock?kind=host&value=a.agents.example", "client.unblocked"},
		{"/v1/clients/refresh?id=" + url.QueryEscape(standing), "document.changed document.fetched"},
		{"/v1/clients/revoke?why=w&url=" + url.QueryEscape(standing), "client.revoked clients.revoked"},
		{"/v1/audit/holds/add?event=client.blocked&why=w", "log.held"},
		{"/v1/audit/holds/drop?id=", "log.released"},
		{"/v1/policies/reload", "policy.reload_asked"},
		{"/v1/keys/rotate?purpose=signing", "keys.rotation_asked keys.rotated"},
		{"/v1/keys/destroy?purpose=pseudonym", "keys.rotation_asked keys.destroyed"},
	} {
		if strings.HasSuffix(test.target, "drop?id=") {
			test.target += hold
		}
		resp := e.do(http.MethodPost, test.target)
		resp.Body.Close()
		id := resp.Header.Get("X-Request-Id")
		why, err := e.client.Why(t.Context(), id, time.Time{}, false)
		if err != nil || why.RequestID != id || why.Unnamed != nil {
			t.Errorf("POST %s (%s): Why(%s) = %+v, %v", test.target, resp.Status, id, why, err)
		}
		var got []string
		for _, r := range e.records() {
			if r.RequestID == id {
				got = append(got, r.Event)
			}
		}
		if len(got) != len(why.Records) || strings.Join(got, " ") != test.want {
			t.Errorf("POST %s (%s) has the records %q, and Why() finds %d, want %s", test.target, resp.Status, got, len(why.Records), test.want)
		}
		if holds, err := e.client.Holds(t.Context()); err == nil && len(holds) > 0 {
			hold = holds[0].ID
		}
	}
}

// PF-36: an act that is refused names its request in its record and to whoever
// asked; a read that is refused has the id on its answer alone.
func TestRefusalNamesTheRequest(t *testing.T) {
	t.Parallel()
	var kept []decisionlog.Record
	e := start(t, func(c *admin.Config) {
		c.Later = func(r decisionlog.Record) error { kept = append(kept, r); return nil }
	})
	var act, read *admin.Refusal
	if err := e.client.Rotate(t.Context(), "signing"); !errors.As(err, &act) {
		t.Fatalf("Rotate() = %v, want a refusal", err)
	}
	if len(kept) != 1 || kept[0].RequestID == "" || kept[0].RequestID != act.Act || act.Error() != act.Text+" (request ID "+act.Act+")" {
		t.Errorf("Rotate() = %v, records %+v, want the id of the request in both", act, kept)
	}
	if _, err := e.client.Show(t.Context(), "https://nobody.example/c"); !errors.As(err, &read) || read.Act != "" || read.Error() != read.Text {
		t.Errorf("Show() = %v, want a refusal that names no request", read)
	}
}
