// Package storetest is the conformance suite of the storage contract: every
// store runs it, races included.
//
// The suite is black box: it opens stores, uses them as package store says
// and looks at what comes back. What only one store can be asked, for
// instance what it does with a damaged file, is tested beside that store.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/broker/cimd"
	"guestlist/broker/decisionlog"
	"guestlist/store"
)

// Opener opens the store that is kept under dir, a directory of its own, and
// makes it when there is none. The suite closes what it opens; opening again
// after Close must show what was committed.
type Opener func(t *testing.T, dir string) store.Store

// Run tests the store that open opens.
func Run(t *testing.T, open Opener) {
	for _, test := range suite() {
		t.Run(test.name, func(t *testing.T) {
			e := &env{T: t, open: open, dir: t.TempDir()}
			e.s = open(t, e.dir)
			t.Cleanup(func() { e.s.Close() })
			test.run(e)
		})
	}
}

// conformance is one test of the suite.
type conformance struct {
	name string
	run  func(*env)
}

func suite() []conformance {
	return []conformance{
		{"client rows", clientRows},
		{"client rows: identifiers with any character (B22)", clientNames},
		{"client rows: listed in order", clientList},
		{"client rows: counted by policy (B14)", policyCaps},
		{"operators: blocks and pins", operators},
		{"versions: newest first, of one client", versions},
		{"versions: so many of a client and of a day (G-08)", versionBounds},
		{"versions: kept for a while after their client", versionsKept},
		{"client rows: those whose life is over (PF-13, B14)", expired},
		{"client rows: when a client and its host came first", firstSeen},
		{"client rows: a commit that fails marks nobody as seen", firstSeenLost},
		{"client rows: 50 creators of one identifier (B28)", clientRace},
		{"client rows: counted in all and by domain (B14)", clientCounts},
		{"client rows: 50 creators under a cap (B14, G-15)", clientCapRace},
		{"client rows: an old incarnation touches nothing", clientIncarnation},
		{"client rows: ended and created in one unit", clientReplaced},
		{"client rows: extension is a maximum", clientExtended},
		{"client rows: an update does not undo an extension", clientUpdateExtended},
		{"client rows: keys move alone and are not undone (G-09)", clientKeys},
		{"client rows: an approval is not undone by a slow fetch (SN-22)", clientApproved},
		{"client rows: 20 movers of a client's keys (G-09)", clientKeysRace},
		{"epoch and revision", epoch},
		{"epoch: a conflict is run again", epochRerun},
		{"epoch: no commit decided under an older one", epochRace},
		{"bundles: kept by revision, what was in force by epoch (G-04)", bundlesKept},
		{"bundles: swept when no record needs them", bundlesSwept},
		{"spend: 50 spenders of one code (PF-05)", codeRace},
		{"spend: 50 spenders of one ticket", ticketRace},
		{"spend: codes", codes},
		{"grants: end once and for ever", grants},
		{"grants: end with their client", grantsOfClient},
		{"grants: touching is a maximum", grantTouched},
		{"grants: the authentication method is settled once", grantBound},
		{"grants: listed newest first", grantList},
		{"grants: long lists", grantListLong},
		{"refresh: rows", refreshRows},
		{"refresh: the grant remembers the last", refreshedAt},
		{"refresh: 16 spenders of one token", refreshRace},
		{"refresh: 40 callers repeat an answer 20 times", refreshRepeats},
		{"refresh: grace window on the boundary", refreshGrace},
		{"refresh: grace window closed", refreshClosed},
		{"refresh: a spent token is kept and recognised", refreshKept},
		{"refresh: nothing is spent once the grant ended", refreshGrantEnds},
		{"refresh: grants that can be used offline (G-28)", refreshOffline},
		{"access: rows, ended for ever", accessRows},
		{"sessions and cursors", sessions},
		{"units: staged writes are not seen", unseen},
		{"units: nothing of a failed one is visible", nothingLeft},
		{"units: an error answer commits too (F2)", errorCommits},
		{"units: a lost answer (crash after commit)", lostAnswer},
		{"units: used once, bound to their store, withdrawn", unitRules},
		{"units: closed store", closed},
		{"records: sequence without gaps", recordSeq},
		{"records: queries", recordQueries},
		{"records: every filter and their combinations (G-04)", recordFilters},
		{"records: long scans", recordScan},
		{"records: changed", recordChanged},
		{"records: count the hits of policies (PF-08)", policyHits},
		{"records: so many policies are counted", policyHitsBound},
		{"retention: bodies go, headers stay (G-01)", bodiesErased},
		{"retention: past their age, by class", overdueByClass},
		{"retention: in bounded steps", overdueBounded},
		{"retention: a clock that was ahead", overdueAhead},
		{"retention: holds", holdsKeep},
		{"retention: 30 eraser against one that puts a hold", holdRace},
		{"retention: the oldest input", oldestInput},
		{"documents: kept for records when their rows are gone (G-04)", documentsKept},
		{"sweep: on the boundary", sweepBoundary},
		{"sweep: at most so many", sweepMax},
		{"probe and health", probe},
	}
}

// env is one test's store.
type env struct {
	*testing.T
	open Opener
	dir  string
	s    store.Store
}

// reopen closes the store and opens it again.
func (e *env) reopen() {
	e.Helper()
	if err := e.s.Close(); err != nil {
		e.Fatalf("Close() = %v", err)
	}
	e.s = e.open(e.T, e.dir)
}

// commit stages and commits.
func (e *env) commit(stage func(store.Unit)) error {
	u := e.s.Begin()
	stage(u)
	return e.s.Commit(context.Background(), u)
}

// must is commit for units that have to succeed.
func (e *env) must(stage func(store.Unit)) {
	e.Helper()
	if err := e.commit(stage); err != nil {
		e.Fatalf("Commit() = %v, want nil", err)
	}
}

// want commits and expects an error that wraps sentinel and nothing else.
func (e *env) want(what string, sentinel error, stage func(store.Unit)) {
	e.Helper()
	err := e.commit(stage)
	for _, s := range []error{broker.ErrSpent, broker.ErrConflict, store.ErrUnavailable} {
		if got := errors.Is(err, s); got != (s == sentinel) {
			e.Fatalf("%s: Commit() = %v, want %v", what, err, sentinel)
		}
	}
}

// race runs stage in n concurrent units and counts the outcomes.
func (e *env) race(n int, stage func(i int, u store.Unit)) (won, spent, conflicts int) {
	e.Helper()
	errs := make([]error, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			errs[i] = e.commit(func(u store.Unit) { stage(i, u) })
		})
	}
	close(start)
	wg.Wait()
	for _, err := range errs {
		switch {
		case err == nil:
			won++
		case errors.Is(err, broker.ErrSpent):
			spent++
		case errors.Is(err, broker.ErrConflict):
			conflicts++
		default:
			e.Errorf("Commit() = %v, want nil, ErrSpent or ErrConflict", err)
		}
	}
	return won, spent, conflicts
}

// found unpacks a read that must not fail.
func found[T any](e *env, row T, ok bool, err error) (T, bool) {
	e.Helper()
	if err != nil {
		e.Fatalf("read = %v", err)
	}
	return row, ok
}

func (e *env) client(id string) (broker.Client, bool) {
	e.Helper()
	c, ok, err := e.s.Begin().Client(context.Background(), id)
	return found(e, c, ok, err)
}

func (e *env) grant(id string) (store.Grant, bool) {
	e.Helper()
	g, ok, err := e.s.Begin().Grant(context.Background(), id)
	return found(e, g, ok, err)
}

func (e *env) code(hash string) (store.Code, bool) {
	e.Helper()
	c, ok, err := e.s.Begin().Code(context.Background(), hash)
	return found(e, c, ok, err)
}

func (e *env) spent(key string) bool {
	e.Helper()
	ok, err := e.s.Begin().Spent(context.Background(), store.SpendTicket, key)
	_, ok = found(e, struct{}{}, ok, err)
	return ok
}

func (e *env) epoch() uint64 {
	e.Helper()
	n, err := e.s.Begin().Epoch(context.Background())
	n, _ = found(e, n, true, err)
	return n
}

func (e *env) records(q store.RecordQuery) []decisionlog.Sealed {
	e.Helper()
	list, err := e.s.Records(context.Background(), q)
	list, _ = found(e, list, true, err)
	return list
}

// moment is a time of the test's own, with nanoseconds, in UTC.
func moment(d time.Duration) time.Time {
	return time.Date(2026, 11, 20, 10, 0, 0, 123456789, time.UTC).Add(d)
}

const clientID = "https://app.example/client.json"

func newClient(id string, incarnation uint64) broker.Client {
	return broker.Client{
		ID: id, Registration: "cimd", Incarnation: incarnation, Document: cimd.Document{},
		DocumentSHA256: "aa", DocumentBytes: 2, Published: []byte("{}\x00\xff"),
		FetchedAt: moment(0), FreshUntil: moment(time.Hour), UsableUntil: moment(2 * time.Hour),
		ExpiresAt: moment(24 * time.Hour), CreatedAt: moment(0), Policy: []string{"a", "b"}, Tags: []string{"x"}, Revision: "r1",
	}
}

func newGrant(id string, incarnation uint64) store.Grant {
	return store.Grant{
		ID: id, ClientID: clientID, Registration: "cimd", Incarnation: incarnation, Subject: "alice",
		RedirectURI: "https://app.example/cb", Scopes: []string{"mcp:read"}, Resources: []string{"https://mcp.example/"},
		AuthMethod: "none", DocumentSHA256: "aa", ClientName: "App", Settings: []byte(`{"a":1}`), Policy: []string{"a"},
		CreatedAt: moment(0), LastUsedAt: moment(0), ExpiresAt: moment(7 * 24 * time.Hour),
	}
}

func newCode(hash string) store.Code {
	return store.Code{
		Hash: hash, GrantID: "g1", ClientID: clientID, RedirectURI: "https://app.example/cb", RedirectSent: true, Challenge: "c",
		IssuedAt: moment(0), ExpiresAt: moment(time.Minute), KeepUntil: moment(time.Hour),
	}
}

func newRecord(id string) decisionlog.Record {
	return decisionlog.Record{
		DecisionID: id, Timestamp: moment(0), Event: decisionlog.EventAdmissionDecided, Outcome: decisionlog.OutcomeAdmitted,
		RequestID: "req-" + id, ClientID: clientID, Detail: "detail of " + id, Source: "192.0.2.1",
	}
}

func name(prefix string, i int) string { return fmt.Sprintf("%s%03d", prefix, i) }
