package rehearsal_test

import (
	"context"
	"errors"
	"testing"

	"guestlist/broker"
	"guestlist/broker/cimd"
	"guestlist/broker/decisionlog"
	"guestlist/broker/fetch"
	"guestlist/broker/rehearsal"
)

// host answers fetches and counts them.
type host struct {
	body string
	err  error
	hits int
}

func (h *host) Document(context.Context, cimd.ID, fetch.Limits, fetch.Held) (fetch.Document, error) {
	h.hits++
	return fetch.Document{Body: []byte(h.body), FetchedAt: at}, h.err
}

// last is the end of a scene that has one.
func last(t *testing.T, records []decisionlog.Record) decisionlog.Record {
	t.Helper()
	if len(records) == 0 {
		t.Fatal("no record")
	}
	return records[len(records)-1]
}

func TestPlayUntilAPhase(t *testing.T) {
	for until, want := range map[broker.Phase]string{
		broker.PhaseURL: "url", broker.PhaseDocument: "document", broker.PhaseUser: "user", broker.PhaseRefresh: "refresh", "": "refresh",
	} {
		sc := scene("read")
		sc.Person = &broker.UserInput{Sub: "ada", AuthTime: at}
		sc.Refresh = &rehearsal.Refresh{At: at, Source: broker.SourceInput{IP: "192.0.2.1"}}
		sc.Document = []byte(refreshing)
		sc.Until = until
		got, err := stage(t).Play(t.Context(), sc)
		if r := last(t, got); err != nil || r.Phase != want || r.Reason != "" {
			t.Errorf("Play until %q ends with phase %s, reason %q, %v; want phase %s", until, r.Phase, r.Reason, err, want)
		}
	}
}

const refreshing = `{"client_id":"` + clientID + `","client_name":"Agent","redirect_uris":["https://agent.example.com/cb","https://agent.example.com/cb2"],"grant_types":["authorization_code","refresh_token"]}`

func TestURLPhaseFetchesNothing(t *testing.T) {
	h := &host{body: document}
	sc := scene("read")
	sc.Document, sc.Fetch, sc.Until = nil, h, broker.PhaseURL
	got, err := stage(t).Play(t.Context(), sc)
	r := last(t, got)
	if err != nil || h.hits != 0 || r.Outcome != rehearsal.OutcomeOpen || r.Reason != "" || len(r.Phases) != 1 || !r.Phases[0].Allowed {
		t.Errorf("Play = %+v, %v after %d fetches; want an open record of phase url", r, err, h.hits)
	}
	sc.ClientID = "https://other.example.com/client.json"
	got, err = stage(t).Play(t.Context(), sc)
	if r := last(t, got); err != nil || r.Reason != "no_policy_matched" || r.Outcome != decisionlog.OutcomeRefused {
		t.Errorf("Play of an unknown host = %s %s, %v", r.Outcome, r.Reason, err)
	}
}

func TestDocumentIsFetched(t *testing.T) {
	dead := &fetch.Error{Reason: "fetch_dns", Transient: true}
	for _, c := range []struct {
		name    string
		host    host
		reason  string
		trouble bool
	}{
		{"several redirect URIs: the first", host{body: refreshing}, "", false},
		{"no document", host{body: "nothing"}, "document_not_json", false},
		{"gone", host{err: &fetch.Error{Reason: "fetch_status"}}, "fetch_status", false},
		{"out of reach", host{err: dead}, "fetch_dns", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			sc := scene("read")
			sc.Document, sc.Fetch = nil, &c.host
			got, err := stage(t).Play(t.Context(), sc)
			if r := last(t, got); r.Reason != c.reason || errors.Is(err, error(dead)) != c.trouble || c.host.hits != 1 {
				t.Errorf("Play = %q (%s), %v after %d fetches; want %q, trouble %v", r.Reason, r.Detail, err, c.host.hits, c.reason, c.trouble)
			}
		})
	}
}

func TestOperatorsActsCount(t *testing.T) {
	s := stage(t)
	s.Blocks = []broker.Block{{Kind: broker.BlockHost, Value: "agent.example.com", Reason: "stolen"}}
	got, err := s.Play(t.Context(), scene("read"))
	if r := last(t, got); err != nil || r.Reason != "host_blocked" {
		t.Errorf("Play of a blocked host = %q, %v", r.Reason, err)
	}
	s = stage(t)
	s.Pin = &broker.Pin{ID: clientID, Published: []byte(refreshing)}
	sc := scene("read")
	sc.Document = nil
	got, err = s.Play(t.Context(), sc)
	if r := last(t, got); err != nil || r.Reason != "" || r.Registration != "pinned" {
		t.Errorf("Play of a pinned client = %q, registration %q, %v", r.Reason, r.Registration, err)
	}
	sc.Until = broker.PhaseURL
	got, err = s.Play(t.Context(), sc)
	if r := last(t, got); err != nil || r.Phase != "url" || r.Settings != nil || len(r.Phases) != 1 {
		t.Errorf("Play of a pinned client until url = %+v, %v", r, err)
	}
}

func TestRecordsCarryTheExplanationOnDemand(t *testing.T) {
	for _, asked := range []bool{false, true} {
		s := stage(t)
		s.Explain = asked
		got, err := s.Play(t.Context(), scene("read"))
		if err != nil {
			t.Fatal(err)
		}
		for _, ph := range last(t, got).Phases {
			if (ph.Explanation != nil) != asked {
				t.Errorf("phase %s: explanation %v, asked: %v", ph.Phase, ph.Explanation, asked)
			}
		}
	}
}
