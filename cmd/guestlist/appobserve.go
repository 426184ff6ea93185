package main

import (
	"context"

	"guestlist/broker"
	"guestlist/server"
)

// observeBroker is who is told of decisions and fetches.
func (a *app) observeBroker() broker.Observer {
	return broker.Observer{
		Decided: func(_ context.Context, d broker.Decided) { a.metrics.Decided(d) },
		Fetched: func(_ context.Context, f broker.Fetched) { a.metrics.Fetched(f) },
		Spent:   a.metrics.Spent,
	}
}

// observeServer is who is told of requests.
func (a *app) observeServer() server.Observer {
	return server.Observer{
		Left: func(_ context.Context, s server.Seen) { a.metrics.Request(s.Route, s.Status, s.Reason, s.Took) },
	}
}
