package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/rs/zerolog"

	"guestlist/broker"
)

// The lines of the debug log that no record is called like. With the names of
// the ends of clients, which their records have too, these are all.
const (
	debugFetched    = "document.fetched"
	debugNotFetched = "document.not_fetched"
	debugMatched    = "admission.matched"
	debugMissed     = "admission.missed"
	debugRefused    = "admission.refused"
)

// debugging has o also write the debug log, where log.level asks for one; where it
// does not, o stays as it is. Each line tells what the records of its request
// say too.
func debugging(log zerolog.Logger, o broker.Observer) broker.Observer {
	if log.GetLevel() > zerolog.DebugLevel {
		return o
	}
	decided, fetched, spent := o.Decided, o.Fetched, o.Spent
	o.Decided = func(ctx context.Context, d broker.Decided) {
		decided(ctx, d)
		debugDecided(log, d)
	}
	o.Fetched = func(ctx context.Context, f broker.Fetched) {
		fetched(ctx, f)
		debugFetch(log, f)
	}
	o.Spent = func(ctx context.Context, s broker.Spent) {
		spent(ctx, s)
		given(log.Debug().Str("event", debugNotFetched), "request_id", s.RequestID, "client_id", s.ClientID, "reason", string(s.Reason),
			"detail", fmt.Sprintf("%.600s", s.Err)).Send()
	}
	o.Ended = func(_ context.Context, e broker.Ended) {
		given(log.Debug().Str("event", e.Event), "request_id", e.RequestID, "client_id", e.ClientID, "policy", strings.Join(e.Policy, " "),
			"reason", string(e.Reason), "detail", e.Why).Send()
	}
	return o
}

// debugDecided tells of an answer of Admit.
func debugDecided(log zerolog.Logger, d broker.Decided) {
	name, detail := debugMatched, d.Why
	switch {
	case d.Reason == broker.ReasonNoPolicyMatched:
		name, detail = debugMissed, d.NearestMiss
	case d.Reason != "":
		name, detail = debugRefused, fmt.Sprintf("%.600s", d.Err)
	}
	var candidates, denials []string
	for _, c := range d.Candidates {
		candidates = append(candidates, c.Policy+" by "+c.Pattern)
	}
	for _, v := range d.Denials {
		denials = append(denials, v.Policy+" "+v.Rule+" "+v.Code)
	}
	e := given(log.Debug().Str("event", name), "request_id", d.RequestID, "client_id", d.ClientID, "outcome", d.Outcome, "phase", string(d.Phase),
		"policy", strings.Join(d.Policy, " "), "from", d.From, "reason", string(d.Reason), "detail", detail)
	if len(candidates) > 0 {
		e = e.Strs("candidates", candidates)
	}
	if len(denials) > 0 {
		e = e.Strs("denials", denials)
	}
	e.Dur("took_ms", d.Took).Send()
}

// debugFetch tells of a fetch that was made.
func debugFetch(log zerolog.Logger, f broker.Fetched) {
	name, detail := debugFetched, ""
	switch {
	case f.Reason != "":
		name, detail = debugNotFetched, fmt.Sprintf("%.600s", f.Err)
	case f.NotModified:
		detail = "the stored document stands"
	}
	given(log.Debug().Str("event", name), "request_id", f.RequestID, "client_id", f.ClientID, "reason", string(f.Reason), "detail", detail).
		Dur("took_ms", f.Took).Send()
}

// given adds the members that are not empty.
func given(e *zerolog.Event, namesAndValues ...string) *zerolog.Event {
	for i := 0; i < len(namesAndValues); i += 2 {
		if value := namesAndValues[i+1]; value != "" {
			e = e.Str(namesAndValues[i], value)
		}
	}
	return e
}
