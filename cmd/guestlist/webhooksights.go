package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"guestlist/broker/decisionlog"
	"guestlist/store"
)

// sights knows what was seen for the first time.
type sights struct{ store store.Store }

// first says what an admission was the first of: "client" when the log has no
// admission of the client before it, and "host" when no client of its host was
// seen since webhooks are told of first sights, and none is stored. The answer
// about one record stays the same however often it is asked.
func (s sights) first(ctx context.Context, e webhookEvent) ([]string, error) {
	before, err := s.store.Records(ctx, store.RecordQuery{ClientID: e.ClientID, Outcome: decisionlog.OutcomeAdmitted, Limit: 1})
	if err != nil || len(before) == 0 || before[0].Seq != e.Seq {
		return nil, err
	}
	u, err := url.Parse(e.ClientID)
	if err != nil || u.Host == "" {
		return []string{"client"}, nil // a client of the configuration
	}
	log, mark := store.Log{Store: s.store}, "webhooks:host:"+u.Host
	seen, err := log.Position(ctx, mark)
	if err != nil {
		return nil, err
	}
	if seen == 0 {
		if seen, err = s.earlier(ctx, u.Host, e); err != nil {
			return nil, err
		}
		if err := log.Remember(ctx, mark, seen); err != nil {
			return nil, fmt.Errorf("remember a host: %w", err)
		}
	}
	if seen != e.Seq {
		return []string{"client"}, nil
	}
	return []string{"client", "host"}, nil
}

// earlier is the place of the first record that admitted a stored client of
// the host, e's own when there is none before it.
func (s sights) earlier(ctx context.Context, host string, e webhookEvent) (uint64, error) {
	prefix := "https://" + host + "/"
	rows, err := s.store.Clients(ctx, store.ClientQuery{After: prefix, Limit: 100})
	if err != nil {
		return 0, err
	}
	for _, row := range rows {
		if !strings.HasPrefix(row.ID, prefix) {
			break
		}
		if row.ID == e.ClientID || !row.CreatedAt.Before(e.Time) {
			continue
		}
		admitted, err := s.store.Records(ctx, store.RecordQuery{ClientID: row.ID, Outcome: decisionlog.OutcomeAdmitted, Limit: 1})
		if err != nil {
			return 0, err
		}
		if len(admitted) > 0 && admitted[0].Seq < e.Seq {
			return admitted[0].Seq, nil
		}
	}
	return e.Seq, nil
}
