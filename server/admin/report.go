package admin

import (
	"cmp"
	"context"
	"math"
	"net/http"
	"net/url"
	"slices"
	"time"

	"guestlist/broker"
	"guestlist/broker/cimd"
	"guestlist/store"
)

// Report is the answer of /v1/report/clients: who has access to what. It names
// no person.
type Report struct {
	At      time.Time      `json:"at"`      // when it was made
	Clients []ClientAccess `json:"clients"` // in the order of their identifiers
	Totals  Totals         `json:"totals"`
}

// Totals are those of the clients of a report.
type Totals struct {
	Clients int `json:"clients"` // rows, pins without a row included
	People  int `json:"people"`  // who have a grant that lives, each once
	Grants  int `json:"grants"`  // that live
	Offline int `json:"offline"` // of them those with a refresh token that can be used
}

// ClientAccess is what one client may do now, and for how many people.
type ClientAccess struct {
	ClientID       string              `json:"client_id"`
	ClientName     string              `json:"client_name"` // as its document says
	Host           string              `json:"host"`        // empty where the identifier is no URL
	Domain         string              `json:"domain"`      // registrable domain
	Registration   broker.Registration `json:"registration"`
	State          State               `json:"state"`
	Policy         []string            `json:"policy"`    // that gave the settings at the last commit
	Labels         []string            `json:"labels"`    // tags of the policy
	Scopes         []string            `json:"scopes"`    // of all grants that live
	Resources      []string            `json:"resources"` // of all grants that live
	People         int                 `json:"people"`    // who have a grant that lives
	Grants         int                 `json:"grants"`    // that live
	Offline        int                 `json:"offline"`   // of them those with a refresh token that can be used
	CreatedAt      time.Time           `json:"created_at,omitzero"`
	FirstGrantAt   time.Time           `json:"first_grant_at,omitzero"` // the oldest grant that lives
	LastUsedAt     time.Time           `json:"last_used_at,omitzero"`   // the latest use of a grant that lives
	ExpiresAt      time.Time           `json:"expires_at,omitzero"`     // end of the client
	DocumentSHA256 string              `json:"document_sha256"`         // of the document in force
	Revision       string              `json:"revision"`                // of the policies at the last commit
}

// ReportClients returns who has access to what, of the clients that f selects.
func (c *Client) ReportClients(ctx context.Context, f ClientFilter) (Report, error) {
	var out Report
	err := c.patient().call(ctx, http.MethodGet, "/v1/report/clients", f.query(), &out)
	return out, err
}

// reportClients answers /v1/report/clients.
func (a *api) reportClients(ctx context.Context, q url.Values) (any, error) {
	f, err := clientFilter(q)
	if err != nil {
		return nil, err
	}
	l, err := a.look(ctx)
	if err != nil {
		return nil, err
	}
	offline, err := a.cfg.Store.Offline(ctx, l.now)
	if err != nil {
		return nil, err
	}
	out := Report{At: l.now.UTC(), Clients: []ClientAccess{}}
	people := map[string]bool{}
	for after, more := "", true; more; {
		page, err := l.page(ctx, f, after, pageMax)
		if err != nil {
			return nil, err
		}
		for _, row := range page.Clients {
			grants, err := a.cfg.Store.Grants(ctx, store.GrantQuery{ClientID: row.ID, Live: l.now, Limit: math.MaxInt})
			if err != nil {
				return nil, err
			}
			access := accessOf(row, grants, offline)
			out.Clients = append(out.Clients, access)
			out.Totals.Grants, out.Totals.Offline = out.Totals.Grants+access.Grants, out.Totals.Offline+access.Offline
			for _, g := range grants {
				people[g.Subject] = true
			}
		}
		after, more = page.Next, page.Next != ""
	}
	out.Totals.Clients, out.Totals.People = len(out.Clients), len(people)
	return out, nil
}

// accessOf sums up the grants of a client that live.
func accessOf(row ClientRow, grants []store.Grant, offline map[string]bool) ClientAccess {
	out := ClientAccess{
		ClientID: row.ID, ClientName: row.Document.ClientName, Domain: row.Domain, Registration: row.Registration, State: row.State,
		Policy: list(row.Policy), Labels: list(row.Tags), Scopes: []string{}, Resources: []string{}, Grants: len(grants),
		CreatedAt: row.CreatedAt, ExpiresAt: row.ExpiresAt, DocumentSHA256: row.DocumentSHA256, Revision: row.Revision,
	}
	if id, err := cimd.Parse(row.ID); err == nil {
		out.Host, out.Domain = id.Host, cmp.Or(id.RegistrableDomain(), id.Host)
	}
	people := map[string]bool{}
	for _, g := range grants {
		people[g.Subject] = true
		out.Scopes, out.Resources = append(out.Scopes, g.Scopes...), append(out.Resources, g.Resources...)
		if offline[g.ID] {
			out.Offline++
		}
		if out.FirstGrantAt.IsZero() || g.CreatedAt.Before(out.FirstGrantAt) {
			out.FirstGrantAt = g.CreatedAt
		}
		if g.LastUsedAt.After(out.LastUsedAt) {
			out.LastUsedAt = g.LastUsedAt
		}
	}
	slices.Sort(out.Scopes)
	slices.Sort(out.Resources)
	out.People, out.Scopes, out.Resources = len(people), slices.Compact(out.Scopes), slices.Compact(out.Resources)
	return out
}

// list is l, or an empty list for nil.
func list(l []string) []string {
	if l == nil {
		return []string{}
	}
	return l
}
