package admin

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/store"
)

// revokeClients answers /v1/clients/revoke: it ends the clients that are
// selected, each with its record, and then records how many there were.
func (a *api) revokeClients(ctx context.Context, q url.Values) (any, error) {
	f, err := clientFilter(q)
	if err != nil {
		return nil, err
	}
	if f == (ClientFilter{}) {
		return nil, fail(http.StatusBadRequest, "nothing is selected, and all clients are too many. Remedy: name a url, host, domain, policy or label")
	}
	why := q.Get("why")
	if len(why) > reasonMax {
		return nil, fail(http.StatusBadRequest, "parameter why has %d bytes, at most %d", len(why), reasonMax)
	}
	l, err := a.look(ctx)
	if err != nil {
		return nil, err
	}
	r, u, err := a.actRecord(ctx, decisionlog.EventClientsRevoked)
	if err != nil {
		return nil, err
	}
	out, err := a.end(ctx, l.selects(f), func(u store.Unit, rows []broker.Client) error {
		return a.cfg.Broker.Revoke(ctx, u, Actor(ctx), why, rows)
	})
	if out.Clients > 0 {
		r.Reason, r.Count = string(broker.ReasonClientRevoked), out.Clients
		r.Detail = fmt.Sprintf("%s: %d clients, %d grants", f, out.Clients, out.Grants)
		if why != "" {
			r.Detail += ": " + why
		}
		if rerr := a.recordDone(ctx, u, r); err == nil {
			err = rerr
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%d clients were revoked, and then no more could be written. Remedy: ask once more: %w", out.Clients, err)
	}
	return out, nil
}

// String names what the filter selects, for people.
func (f ClientFilter) String() string {
	var parts []string
	q := f.query()
	for _, name := range filterParams {
		if v := q.Get(name); v != "" {
			parts = append(parts, name+" "+v)
		}
	}
	return strings.Join(parts, ", ")
}
