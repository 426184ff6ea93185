package admin_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/broker/cimd"
	"guestlist/broker/decisionlog"
	"guestlist/server/admin"
	"guestlist/store"
)

// TestRecordPages: pages of two lead through the log, each record once, from
// either end.
func TestRecordPages(t *testing.T) {
	e := start(t, nil)
	e.log()
	for _, newest := range []bool{true, false} {
		f, got := admin.RecordFilter{Limit: 2, Newest: newest}, ""
		for more := true; more; {
			page, err := e.client.RecordPage(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			got += ids(t, page.Records) + ";"
			if more = page.More; newest {
				f.Before = page.Last
			} else {
				f.After = page.Last
			}
		}
		if want := map[bool]string{true: "d6 d5;d4 d3;d2 d1;", false: "d1 d2;d3 d4;d5 d6;"}[newest]; got != want {
			t.Errorf("pages with newest=%v = %q, want %q", newest, got, want)
		}
	}
	page, err := e.client.RecordPage(t.Context(), admin.RecordFilter{Limit: 1, View: "opa"})
	if err != nil || len(page.Records) != 1 || !strings.Contains(string(page.Records[0]), `"req_id":1,"custom":{`) || page.First != 1 || page.Last != 1 || !page.More {
		t.Errorf("RecordPage(opa) = %s, %d, %d, %v, %v, want the first event of more", page.Records, page.First, page.Last, page.More, err)
	}
}

// TestRecordsWait: an answer waits for a record that fits, and no longer than
// asked.
func TestRecordsWait(t *testing.T) {
	e := start(t, nil)
	e.log()
	answered := make(chan string)
	go func() {
		page, err := e.client.RecordPage(context.Background(), admin.RecordFilter{After: 6, Event: "admission.decided", Wait: 10 * time.Second})
		answered <- fmt.Sprint(page.Last, err)
	}()
	for i := range 3 {
		r := decisionlog.Record{DecisionID: fmt.Sprint("w", i), Event: "step.noted", Timestamp: noon}
		if i == 2 {
			r.Event = "admission.decided"
		}
		e.commit(func(u store.Unit) { u.Append(r) })
	}
	if got := <-answered; got != "9 <nil>" {
		t.Errorf("the answer that waited = %s, want record 9", got)
	}
	page, err := e.client.RecordPage(t.Context(), admin.RecordFilter{Event: "never", Wait: time.Millisecond})
	if err != nil || len(page.Records) != 0 || page.More {
		t.Errorf("RecordPage(never) = %v, %v, want none", page, err)
	}
}

func TestRecordsRefuses(t *testing.T) {
	e := start(t, nil)
	for name, f := range map[string]admin.RecordFilter{
		"a view nobody knows":           {View: "xml"},
		"a wait without end":            {Wait: time.Hour},
		"more than a page":              {Limit: 1001},
		"a username without pseudonyms": {Person: "alice"},
	} {
		_, err := e.client.RecordPage(t.Context(), f)
		var r *admin.Refusal
		if !errors.As(err, &r) || r.Status < 400 || r.Status > 499 {
			t.Errorf("%s: RecordPage(%+v) = %v, want a refusal", name, f, err)
		}
	}
}

// TestReportClients: the totals of the report are those of the store (G-28).
func TestReportClients(t *testing.T) {
	e := start(t, nil)
	e.commit(func(u store.Unit) {
		for i, id := range []string{alice, mallory, "https://pay.mallory.example/c"} {
			u.CreateClient(broker.Client{ID: id, Incarnation: 1, Policy: []string{fmt.Sprint("p", i)}, Tags: []string{"mcp"}, DocumentSHA256: "aa",
				Document: cimd.Document{ClientName: "Agent"}, CreatedAt: noon, ExpiresAt: noon.Add(time.Hour)})
		}
		for i := range 6 {
			id := fmt.Sprint("g", i)
			u.PutGrant(store.Grant{ID: id, ClientID: []string{alice, mallory}[i%2], Incarnation: 1, Subject: fmt.Sprint("person", i%3), Scopes: []string{"mcp:read", fmt.Sprint("s", i)},
				Resources: []string{"https://mcp.example/"}, CreatedAt: noon.Add(-time.Duration(i) * time.Minute), LastUsedAt: noon.Add(time.Duration(i) * time.Second), ExpiresAt: noon.Add(time.Hour)})
			if i < 3 {
				u.PutRefresh(store.Refresh{Hash: id, GrantID: id, ExpiresAt: noon.Add(time.Hour), KeepUntil: noon.Add(time.Hour)})
			}
		}
	})
	e.commit(func(u store.Unit) {
		u.EndGrant("g4", noon, "gone")
		u.PutGrant(store.Grant{ID: "over", ClientID: alice, Incarnation: 1, Subject: "person9", CreatedAt: noon, ExpiresAt: noon})
		u.PutPin(broker.Pin{ID: "https://pinned.example/c", Published: []byte("{}")})
	})
	report, err := e.client.ReportClients(t.Context(), admin.ClientFilter{})
	if err != nil {
		t.Fatal(err)
	}
	grants, err := e.store.Grants(t.Context(), store.GrantQuery{Live: noon})
	people := map[string]bool{}
	for _, g := range grants {
		people[g.Subject] = true
	}
	rows, err2 := e.store.Clients(t.Context(), store.ClientQuery{})
	pins, err3 := e.store.Pins(t.Context())
	if err := errors.Join(err, err2, err3); err != nil {
		t.Fatal(err)
	}
	want := admin.Totals{Clients: len(rows) + len(pins), People: len(people), Grants: len(grants), Offline: 3}
	if report.Totals != want || want != (admin.Totals{Clients: 4, People: 3, Grants: 5, Offline: 3}) {
		t.Errorf("totals = %+v, want those of the store, %+v", report.Totals, want)
	}
	sum := admin.Totals{Clients: len(report.Clients), People: report.Totals.People}
	for _, c := range report.Clients {
		sum.Grants, sum.Offline = sum.Grants+c.Grants, sum.Offline+c.Offline
	}
	if sum != want {
		t.Errorf("the rows add up to %+v, want %+v", sum, want)
	}
	a := report.Clients[0]
	if a.ClientID != alice || a.Host != "alice.example" || a.People != 2 || a.Grants != 2 || a.Offline != 2 || !slices.Equal(a.Scopes, []string{"mcp:read", "s0", "s2"}) ||
		!a.LastUsedAt.Equal(noon.Add(2*time.Second)) || !a.FirstGrantAt.Equal(noon.Add(-2*time.Minute)) || a.State != admin.StateLive || a.ClientName != "Agent" {
		t.Errorf("row of %s = %+v", alice, a)
	}
	for name, f := range map[string]admin.ClientFilter{"host": {Host: "pay.mallory.example"}, "policy": {Policy: "p2"}} {
		if r, err := e.client.ReportClients(t.Context(), f); err != nil || r.Totals != (admin.Totals{Clients: 1}) {
			t.Errorf("by %s: totals %+v, %v, want one client and no grant", name, r.Totals, err)
		}
	}
	if r, err := e.client.ReportClients(t.Context(), admin.ClientFilter{Label: "mcp"}); err != nil || r.Totals.Clients != 3 || r.Totals.Grants != 5 {
		t.Errorf("by label: totals %+v, %v, want three clients and five grants", r.Totals, err)
	}
}
