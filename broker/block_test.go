package broker_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
)

// block has an operator block something.
func (w *world) block(kind broker.BlockKind, value string) broker.Block {
	w.t.Helper()
	b := broker.Block{Kind: kind, Value: value, Reason: "phishing", Actor: "olga"}
	w.do(func(u *unit) error { return w.b.Block(w.t.Context(), u, b) })
	return b
}

// do runs one act of an operator in one commit.
func (w *world) do(act func(u *unit) error) {
	w.t.Helper()
	u := w.begin()
	if err := act(u); err != nil {
		w.t.Fatalf("the act = %v", err)
	}
	if err := u.commit(w.t.Context()); err != nil {
		w.t.Fatalf("commit = %v", err)
	}
}

// last is the newest record in the log of an event.
func (w *world) last(event string) decisionlog.Record {
	w.t.Helper()
	for i := len(w.records) - 1; i >= 0; i-- {
		if w.records[i].Event == event {
			return w.records[i]
		}
	}
	w.t.Fatalf("no record %s", event)
	return decisionlog.Record{}
}

// blocks are those that keep the harmless client out, by what they name.
func (w *world) blocksOfClient() map[broker.BlockKind]string {
	return map[broker.BlockKind]string{
		broker.BlockURL: clientID, broker.BlockHost: "app.example.com", broker.BlockDomain: "example.com",
		broker.BlockDocument: sha(w.host.body),
	}
}

// reasonsOfBlocks are the reasons that blocks refuse and end with.
var reasonsOfBlocks = map[broker.BlockKind]broker.Reason{
	broker.BlockURL: broker.ReasonClientBlocked, broker.BlockHost: broker.ReasonHostBlocked,
	broker.BlockDomain: broker.ReasonHostBlocked, broker.BlockDocument: broker.ReasonDocumentBlocked,
}

// H-02: a block is looked at first. Nothing is fetched, policy is not asked,
// and no row is left. A document that is not known has to be fetched once.
func TestH02_BlockedStranger(t *testing.T) {
	for kind, reason := range reasonsOfBlocks {
		t.Run(string(kind), func(t *testing.T) {
			w := newWorld(t)
			w.block(kind, w.blocksOfClient()[kind])
			hits, phases := 0, ""
			if kind == broker.BlockDocument {
				hits, phases = 1, "url"
			}
			o := w.admit()
			w.refused(o, reason)
			if o.hits != hits || o.phases() != phases || o.commits != 0 {
				t.Errorf("blocked %s: %d fetches, phases %q, %d commits; want %d, %q, none", kind, o.hits, o.phases(), o.commits, hits, phases)
			}
			if _, found := w.row(); found {
				t.Error("a blocked stranger left a row")
			}
			if reason.Public() != broker.PublicClientNotAdmitted {
				t.Errorf("%s is told as %s", reason, reason.Public())
			}
		})
	}
}

// G-07 H-10: a live client that is met while blocked ends in that request,
// wherever it is met, with its record.
func TestG07_BlockedClientEndsWhereItIsMet(t *testing.T) {
	for kind, reason := range reasonsOfBlocks {
		for where, meet := range map[string]func(w *world, in uint64) bool{
			"start": func(w *world, _ uint64) bool { return w.admit().reason == reason },
			"code or consent": func(w *world, in uint64) bool {
				return w.admit(person(&broker.Bound{Incarnation: in})).reason == reason
			},
			"refresh": func(w *world, in uint64) bool {
				return w.admit(person(&broker.Bound{Incarnation: in}), func(r *broker.Request) { r.Refresh = &broker.Refresh{} }).reason == reason
			},
			"introspection": func(w *world, in uint64) bool { return !w.alive(in) },
			"sweeper":       func(w *world, _ uint64) bool { return w.sweep() == 1 },
		} {
			t.Run(string(kind)+" "+where, func(t *testing.T) {
				w := newWorld(t)
				w.mustAdmit()
				row, _ := w.row()
				if !w.alive(row.Incarnation) { // remembered for a minute, but not beyond a block
					t.Fatal("the client is dead before")
				}
				w.block(kind, w.blocksOfClient()[kind])
				hits := w.host.count()
				if !meet(w, row.Incarnation) {
					t.Errorf("met at %s while the %s is blocked, it was let go on", where, kind)
				}
				if _, found := w.row(); found || w.host.count() != hits {
					t.Errorf("the row is there: %v, %d fetches; want an end without a fetch", found, w.host.count()-hits)
				}
				if want := fmt.Sprintf("%s %d %s", clientID, row.Incarnation, reason); len(w.ended) != 1 || w.ended[0] != want {
					t.Errorf("ended %q, want %q", w.ended, want)
				}
				if r := w.last("client.pruned"); r.Reason != string(reason) || r.Outcome != decisionlog.OutcomePruned || !strings.Contains(r.Detail, "phishing") {
					t.Errorf("record = %+v", r)
				}
			})
		}
	}
}

// B30 H-10: taking a block back revives nothing. What it covers is ended
// first, and who comes again has another life.
func TestB30_UnblockRevivesNothing(t *testing.T) {
	w := newWorld(t)
	w.mustAdmit()
	row, _ := w.row()
	block := w.block(broker.BlockDomain, "EXAMPLE.com")
	if r := w.last("client.blocked"); r.Actor != "olga" || !strings.Contains(r.Detail, "domain example.com: phishing") {
		t.Errorf("record = %+v", r)
	}
	w.do(func(u *unit) error {
		n, err := w.b.EndCovered(t.Context(), u, block, []broker.Client{row, {ID: "https://else.example.net/x", Incarnation: 1}})
		if n != 1 {
			t.Errorf("EndCovered() = %d, want 1", n)
		}
		return err
	})
	if r := w.last("client.pruned"); r.Actor != "olga" || r.Reason != string(broker.ReasonHostBlocked) {
		t.Errorf("record = %+v", r)
	}
	w.do(func(u *unit) error {
		return w.b.Unblock(t.Context(), u, "otto", broker.BlockDomain, "example.com")
	})
	if r := w.last("client.unblocked"); r.Actor != "otto" {
		t.Errorf("record = %+v", r)
	}
	if w.alive(row.Incarnation) {
		t.Error("an incarnation that a block ended lives again")
	}
	w.at(time.Minute)
	o := w.mustAdmit()
	if o.Client.Incarnation == row.Incarnation || o.hits != 1 {
		t.Errorf("admitted anew as incarnation %d with %d fetches, want another life", o.Client.Incarnation, o.hits)
	}
	w.refused(w.admit(person(&broker.Bound{Incarnation: row.Incarnation})), broker.ReasonClientEnded)
}

// G-07: an operator ends clients; the next authorization is another life.
func TestG07_Revoke(t *testing.T) {
	w := newWorld(t)
	w.mustAdmit()
	row, _ := w.row()
	w.do(func(u *unit) error { return w.b.Revoke(t.Context(), u, "olga", "incident 7", []broker.Client{row}) })
	if r := w.last("client.revoked"); r.Actor != "olga" || r.Detail != "incident 7" || r.Reason != string(broker.ReasonClientRevoked) || r.ClientID != clientID {
		t.Errorf("record = %+v", r)
	}
	if want := fmt.Sprintf("%s %d client_revoked", clientID, row.Incarnation); len(w.ended) != 1 || w.ended[0] != want || w.alive(row.Incarnation) {
		t.Errorf("ended %q, want %q", w.ended, want)
	}
	if o := w.mustAdmit(); o.Client.Incarnation == row.Incarnation {
		t.Error("admitted anew into the life that was revoked")
	}
}

func TestBlockValuesAreCheckedAndCanonical(t *testing.T) {
	digest := strings.Repeat("0a", 32)
	for _, test := range []struct {
		kind        broker.BlockKind
		value, want string // want empty: refused
	}{
		{broker.BlockURL, clientID, clientID},
		{broker.BlockURL, "http://app.example.com/x", ""},
		{broker.BlockURL, "s6BhdRkqt3", ""},
		{broker.BlockHost, "App.Example.com", "app.example.com"},
		{broker.BlockHost, "github.io", "github.io"},
		{broker.BlockHost, "app.example.com:8443", ""},
		{broker.BlockHost, "app.example.com/x", ""},
		{broker.BlockHost, "*.example.com", ""},
		{broker.BlockHost, "127.0.0.1", ""},
		{broker.BlockHost, "", ""},
		{broker.BlockDomain, "example.com", "example.com"},
		{broker.BlockDomain, "a.github.io", "a.github.io"},
		{broker.BlockDomain, "github.io", ""},
		{broker.BlockDomain, "co.uk", ""},
		{broker.BlockDomain, "app.example.com", ""},
		{broker.BlockDocument, strings.ToUpper(digest), digest},
		{broker.BlockDocument, digest[1:], ""},
		{broker.BlockDocument, "z" + digest[1:], ""},
		{"label", "x", ""},
	} {
		w := newWorld(t)
		u := w.begin()
		err := w.b.Block(t.Context(), u, broker.Block{Kind: test.kind, Value: test.value})
		if test.want == "" {
			if broker.ReasonOf(err) != broker.ReasonRequestInvalid || !u.Empty() {
				t.Errorf("Block(%s %q) = %v, want it refused", test.kind, test.value, err)
			}
			if test.kind == broker.BlockURL && !strings.HasPrefix(test.value, "http") && !strings.Contains(err.Error(), "ends in the configuration") {
				t.Errorf("Block(%s %q) = %v, want what to do with a name", test.kind, test.value, err)
			}
			continue
		}
		if err != nil || u.commit(t.Context()) != nil {
			t.Fatalf("Block(%s %q) = %v", test.kind, test.value, err)
		}
		if b, ok := w.blocks[string(test.kind)+" "+test.want]; !ok || !b.At.Equal(noon) {
			t.Errorf("Block(%s %q) stored %+v, want %q at noon", test.kind, test.value, w.blocks, test.want)
		}
	}
	w := newWorld(t)
	if err := w.b.Unblock(t.Context(), w.begin(), "olga", broker.BlockHost, "app.example.com"); broker.ReasonOf(err) != broker.ReasonRequestInvalid {
		t.Errorf("Unblock of an absent block = %v, want a refusal", err)
	}
}

// A host is not covered by the block of another that ends alike, and a domain
// covers all its hosts.
func TestH02_CoversByWholeNames(t *testing.T) {
	for _, test := range []struct {
		kind  broker.BlockKind
		value string
		id    string
		want  bool
	}{
		{broker.BlockURL, "https://a.example.com/x", "https://a.example.com/x", true},
		{broker.BlockURL, "https://a.example.com/x", "https://a.example.com/x/", false},
		{broker.BlockHost, "example.com", "https://example.com:8443/x", true},
		{broker.BlockHost, "example.com", "https://a.example.com/x", false},
		{broker.BlockDomain, "example.com", "https://a.b.example.com/x", true},
		{broker.BlockDomain, "example.com", "https://evil-example.com/x", false},
		{broker.BlockDomain, "example.com", "https://example.com.evil.test/x", false},
		{broker.BlockDocument, "abc", "https://a.example.com/x", true},
		{broker.BlockHost, "example.com", "s6BhdRkqt3", false},
	} {
		b := broker.Block{Kind: test.kind, Value: test.value}
		if got := b.Covers(broker.Client{ID: test.id, DocumentSHA256: "abc"}); got != test.want {
			t.Errorf("Block{%s %s}.Covers(%s) = %v, want %v", test.kind, test.value, test.id, got, test.want)
		}
	}
}

// A store that cannot say whether a client is blocked refuses.
func TestH02_BlocksFailClosed(t *testing.T) {
	w := newWorld(t)
	w.mustAdmit()
	w.blockErr = errStore
	w.refused(w.admit(), broker.ReasonStoreUnavailable)
	if alive, _, err := w.b.Alive(t.Context(), w.begin(), broker.Request{ClientID: clientID, Bound: &broker.Bound{}}); alive || err == nil {
		t.Errorf("Alive() = %v, %v; want an error", alive, err)
	}
}

// TestH02_BlockedDocumentThatWaits is H-02, G-08: a document that an operator
// blocked while it waited does not come into force from the store when settings
// no longer make it wait.
func TestH02_BlockedDocumentThatWaits(t *testing.T) {
	w := newWorld(t)
	w.policy.settings.Document.OnChange = "reapprove"
	w.mustAdmit()
	w.at(hour)
	w.host.body = document(adding())
	w.mustAdmit()
	row, _ := w.row()
	if row.Pending == nil {
		t.Fatal("the changed document does not wait")
	}
	w.block(broker.BlockDocument, row.Pending.SHA256)
	w.policy.settings.Document.OnChange = "accept"
	o := w.admit()
	w.refused(o, broker.ReasonDocumentBlocked)
	if o.hits != 0 {
		t.Errorf("%d fetches, want none", o.hits)
	}
}
