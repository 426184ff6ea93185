package admin_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"guestlist/broker/decisionlog"
	"guestlist/server/admin"
)

// PF-36: who reads through the admin API is recorded, once without a pause of
// a minute, and so is what was refused; status is read without a record.
func TestRequestsAreRecorded(t *testing.T) {
	t.Parallel()
	var kept []decisionlog.Record
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	e := start(t, func(c *admin.Config) {
		c.Later = func(r decisionlog.Record) error { kept = append(kept, r); return nil }
		c.Now = func() time.Time { return now }
		c.Reload = func(context.Context) error { return nil }
	})
	for _, step := range []struct {
		method, target string
		after          time.Duration
		want           string // event, outcome and detail; empty: no record
	}{
		{"GET", "/v1/status", 0, ""},
		{"GET", "/v1/clients?host=a.example", 0, "admin.request done GET /v1/clients host=a.example"},
		{"GET", "/v1/clients?host=b.example", 59 * time.Second, ""},
		{"GET", "/v1/clients?host=b.example", 59 * time.Second, ""},
		{"GET", "/v1/clients?host=b.example", time.Minute, "admin.request done GET /v1/clients host=b.example"},
		{"GET", "/v1/audit?client_id=a%0Ab", 0, "log.exported done GET /v1/audit client_id=a b"},
		{"GET", "/v1/audit/why?id=x", 0, "admin.request done GET /v1/audit/why id=x"},
		{"POST", "/v1/keys/rotate?purpose=", 0, "admin.request refused POST /v1/keys/rotate purpose=: "},
		{"POST", "/v1/clients", 0, "admin.request refused POST /v1/clients: /v1/clients takes GET"},
		{"POST", "/v1/policies/reload", 0, ""}, // its own record tells of it
	} {
		now = now.Add(step.after)
		kept = nil
		e.raw(step.method, step.target)
		got := ""
		if len(kept) == 1 {
			got = kept[0].Event + " " + kept[0].Outcome + " " + kept[0].Detail
			if kept[0].Actor == "" || kept[0].DecisionID == "" {
				t.Errorf("%s %s: record %+v, want its actor", step.method, step.target, kept[0])
			}
		}
		if len(kept) > 1 || (step.want == "") != (got == "") || !strings.HasPrefix(got, step.want) {
			t.Errorf("%s %s: records %+v, want %q", step.method, step.target, kept, step.want)
		}
	}
}
