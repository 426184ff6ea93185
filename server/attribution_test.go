package server_test

import (
	"net/http"
	"net/url"
	"testing"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/server/servertest"
	"guestlist/store"
)

// TestFailuresAreAttributed_G29: a client that never came to be is named in the
// record of its failure by the URL as it was sent.
func TestFailuresAreAttributed_G29(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, servertest.Options{Policy: policy()})
	const base = "https://client.example.com"
	s.Docs.Set(base+"/oauth/gone.json", servertest.Answer{Status: http.StatusNotFound})
	s.Docs.Set(base+"/oauth/garbage.json", servertest.Answer{Body: "garbage"})
	s.Docs.Set(base+"/oauth/other.json", servertest.Answer{Body: `{"client_id":"` + client + `"}`})
	for id, reason := range map[string]broker.Reason{
		base + "/oauth/gone.json":           broker.ReasonFetchStatus,
		base + "/oauth/garbage.json":        broker.ReasonDocumentNotJSON,
		base + "/oauth/other.json":          broker.ReasonDocumentMismatch,
		"https://nobody.example/oauth.json": broker.ReasonNoPolicyMatched,
	} {
		p := s.Browser().Authorize(s.Request(id, nil))
		records := s.Records(store.RecordQuery{RequestID: p.Header.Get("X-Request-Id")})
		if len(records) != 1 || records[0].Event != decisionlog.EventAdmissionDecided || records[0].Outcome != decisionlog.OutcomeRefused ||
			records[0].ClientID != id || records[0].Reason != string(reason) {
			t.Errorf("the records of %s are %+v, want one of it, refused for %s", id, records, reason)
		}
		if again := s.Records(store.RecordQuery{ClientID: id}); len(again) != 1 {
			t.Errorf("%d records are found by %s, want the one", len(again), id)
		}
	}
}

// TestClientAuthenticationIsAudited_CU21: that a client authenticated is in the
// record of the token that it was given, that one did not in a record of its
// own, both with the client.
func TestClientAuthenticationIsAudited_CU21(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	form := s.Exchange(client, codePage(t, s, s.Browser(), nil), nil)
	p := post(t, s, form, basicOf(url.QueryEscape(client), "a secret"))
	if p.Status != http.StatusUnauthorized {
		t.Fatalf("with a secret that nobody gave it: %d %s", p.Status, p.Body)
	}
	failed := s.Records(store.RecordQuery{RequestID: p.Header.Get("X-Request-Id")})
	if len(failed) != 1 || failed[0].Outcome != decisionlog.OutcomeRefused || failed[0].Reason != string(broker.ReasonClientAuthFailed) || failed[0].ClientID != client {
		t.Errorf("the failure has the records %+v, want one of %s for %s", failed, client, broker.ReasonClientAuthFailed)
	}
	p = post(t, s, form, nil)
	if p.Status != http.StatusOK {
		t.Fatalf("exchange: %d %s", p.Status, p.Body)
	}
	issued := s.Records(store.RecordQuery{RequestID: p.Header.Get("X-Request-Id"), Event: decisionlog.EventTokenIssued})
	if len(issued) != 1 || issued[0].ClientID != client || issued[0].TokenID == "" {
		t.Errorf("the success has the records %+v, want token.issued of %s", issued, client)
	}
}
