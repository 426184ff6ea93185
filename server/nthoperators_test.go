package server_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/server/admin"
	"guestlist/server/servertest"
	"guestlist/store"
)

// document is one that can be pinned for the round's client.
func (x *trial) document(name string) []byte {
	return fmt.Appendf(nil, `{"client_id": %q, "client_name": %q, "client_uri": "https://client.example.com/", "redirect_uris": [%q], "response_types": ["code"]}`, x.id, name, redirectURI)
}

// pin pins it.
func (x *trial) pin() { check(x.t, x.admin.Pin(x.t.Context(), x.id, x.document("Pinned"))) }

// filter selects the round's client.
func (x *trial) filter() admin.ClientFilter { return admin.ClientFilter{URL: x.id} }

// block blocks it by an operator.
func (x *trial) block() error {
	_, err := x.admin.Block(x.t.Context(), broker.Block{Kind: broker.BlockURL, Value: x.id, Reason: "stolen"})
	return err
}

// refetch has an operator fetch its document, half a minute after whoever did.
func refetch(x *trial) told {
	x.Clock.Advance(31 * time.Second)
	_, err := x.admin.Refresh(x.t.Context(), x.id)
	return acted(err)
}

// changedHeld is a document that waits for an operator.
func changedHeld(x *trial) {
	x.request()
	renamed(x, moved)
	x.request()
}

// approved approves whatever waits.
func approved(x *trial) told {
	c, _, err := x.Store.Begin().Client(x.t.Context(), x.id)
	check(x.t, err)
	waits := c.Waits()
	if waits == "" {
		waits = c.DocumentSHA256
	}
	_, err = x.admin.Approve(x.t.Context(), x.id, waits)
	return acted(err)
}

// always begins anew where nothing is left to do.
func always(*trial) told { return told{meant: true} }

// operatorScenarios are the acts of operators.
func operatorScenarios() map[string]scenario {
	pinnedThere := func(want bool) func(*trial) string {
		return func(x *trial) string {
			if _, found, err := x.Store.Begin().Pin(x.t.Context(), x.id); err != nil || found != want {
				return fmt.Sprintf("it is pinned: %v, %v", found, err)
			}
			return ""
		}
	}
	approvePin := func(x *trial) told {
		p, _, err := x.Store.Begin().Pin(x.t.Context(), x.id)
		check(x.t, err)
		sha := p.SHA256
		if p.Pending != nil {
			sha = p.Pending.SHA256
		}
		_, err = x.admin.Approve(x.t.Context(), x.id, sha)
		return acted(err)
	}
	return map[string]scenario{
		"pin":          {kind: "plain", ready: (*trial).exchanged, act: func(x *trial) told { return acted(x.admin.Pin(x.t.Context(), x.id, x.document("Pinned"))) }, holds: pinnedThere(true)},
		"unpin":        {kind: "plain", ready: (*trial).pin, act: func(x *trial) told { return acted(x.admin.Unpin(x.t.Context(), x.id)) }, holds: pinnedThere(false), gone: saying("not pinned"), start: always},
		"pin compared": {kind: "plain", ready: (*trial).pin, act: refetch},
		"pin approved": {kind: "plain", ready: func(x *trial) { x.pin(); refetch(x) }, act: approvePin, gone: saying("nothing of"), start: always},
		"block":        {kind: "plain", ready: (*trial).exchanged, act: func(x *trial) told { return acted(x.block()) }, holds: gone},
		"unblock": {kind: "plain", ready: func(x *trial) { x.exchanged(); check(x.t, x.block()) }, act: func(x *trial) told {
			_, err := x.admin.Unblock(x.t.Context(), broker.BlockURL, x.id)
			return acted(err)
		}, holds: gone, gone: saying("there is no block"), start: always},
		"unblock what was not met": {kind: "plain", ready: func(x *trial) { x.exchanged(); check(x.t, blockQuietly(x)) }, act: func(x *trial) told {
			_, err := x.admin.Unblock(x.t.Context(), broker.BlockURL, x.id)
			return acted(err)
		}, holds: gone, gone: saying("there is no block"), start: always},
		"revoke by filter": {kind: "plain", ready: (*trial).exchanged, act: func(x *trial) told {
			_, err := x.admin.Revoke(x.t.Context(), x.filter(), "no longer used")
			return acted(err)
		}, holds: func(x *trial) string {
			if x.twice {
				return gone(x) // how many ended unheard is in their own records alone
			}
			if last := x.Records(store.RecordQuery{Event: "clients.revoked", Newest: true, Limit: 1}); len(last) != 1 || !strings.Contains(last[0].Detail, x.id+": ") {
				return fmt.Sprintf("the record of the whole act is %+v", last)
			}
			return gone(x)
		}},
		"refresh by an operator":            {kind: "plain", ready: (*trial).exchanged, act: refetch},
		"refresh by an operator, changed":   {kind: "plain", ready: func(x *trial) { x.exchanged(); renamed(x, moved) }, act: refetch},
		"refresh by an operator, withdrawn": {kind: "plain", ready: func(x *trial) { x.exchanged(); x.Docs.Set(x.id, servertest.Answer{Status: 404}) }, act: refetch},
		"approve":                           {kind: "held", ready: changedHeld, act: approved, gone: saying("nothing of"), start: always},
		"look in the background": {kind: "plain", ready: func(x *trial) { x.exchanged(); renamed(x, moved) }, act: func(x *trial) told {
			row, _, err := x.Store.Begin().Client(x.t.Context(), x.id)
			check(x.t, err)
			u := x.Kept.Begin()
			if err := x.Broker.Look(x.t.Context(), u, row, x.grants()[0].Request); err != nil {
				return acted(err)
			}
			return acted(x.Kept.Commit(x.t.Context(), u))
		}},
		"policies activated": {kind: "plain", ready: nothing, act: func(x *trial) told {
			all := failPolicies()
			all["more.rego"] = failPolicy("more", fmt.Sprintf("%q", x.id+"/more"), "")
			return acted(x.Activate(all))
		}, again: decidesThen(func(x *trial) told {
			all := failPolicies()
			all["more.rego"] = failPolicy("more", fmt.Sprintf("%q", x.id+"/more"), "")
			return acted(x.Activate(all))
		}), holds: inForce},
		"facts changed": {kind: "plain", ready: nothing, act: func(x *trial) told {
			return acted(x.SetFacts(map[string]any{"round": x.round}))
		}, again: decidesThen(func(x *trial) told { return acted(x.SetFacts(map[string]any{"round": x.round})) }), holds: inForce},
		"swept": {kind: "brief", ready: expiredWith((*trial).consented), act: func(x *trial) told {
			return acted(sweep(x.t.Context(), x.Kept, x.Broker, x.Clock.Now()))
		}, holds: gone},
		"hold": {kind: "plain", ready: (*trial).exchanged, act: func(x *trial) told {
			_, err := x.admin.Hold(x.t.Context(), admin.RecordFilter{ClientID: x.id}, "a court asks")
			return acted(err)
		}},
		"hold dropped": {kind: "plain", ready: func(x *trial) {
			x.exchanged()
			_, err := x.admin.Hold(x.t.Context(), admin.RecordFilter{ClientID: x.id}, "a court asks")
			check(x.t, err)
		}, act: func(x *trial) told {
			list, _, err := x.Store.Holds(x.t.Context())
			check(x.t, err)
			i := slices.IndexFunc(list, func(h store.Hold) bool { return h.Filter.ClientID == x.id })
			if i < 0 {
				return told{err: errors.New("there is no hold")}
			}
			_, err = x.admin.DropHold(x.t.Context(), list[i].ID)
			return acted(err)
		}, gone: saying("there is no hold"), start: always},
		"reload asked": {kind: "plain", ready: nothing, act: func(x *trial) told { _, err := x.admin.Reload(x.t.Context()); return acted(err) }},
		"keys rotated": renewed(decisionlog.EventKeysRotated, "signing", func(x *trial) error {
			return x.admin.Rotate(x.t.Context(), "signing")
		}),
		"key destroyed": renewed(decisionlog.EventKeysDestroyed, "pseudonym", func(x *trial) error {
			return x.admin.DestroyKey(x.t.Context(), "pseudonym")
		}),
	}
}

// renewed is an act that puts another key of a purpose in use. Whatever its
// caller was told, each key that came to be has its record, and the record of
// who asked.
func renewed(event, purpose string, act func(*trial) error) scenario {
	made := map[string]bool{}
	look := func(x *trial) {
		for _, k := range x.Keys.List() {
			if k.Purpose == purpose {
				made[k.ID] = true
			}
		}
	}
	recorded := func(x *trial) string {
		look(x)
		told, asked := x.events(event), x.events(decisionlog.EventKeysRotationAsked)
		if told != len(made)-1 || asked < told {
			return fmt.Sprintf("%d keys came to be, with %d records %s and %d of who asked", len(made)-1, told, event, asked)
		}
		return ""
	}
	return scenario{
		kind: "plain", ready: func(x *trial) { x.Clock.Advance(3 * 24 * time.Hour); look(x) }, holds: recorded,
		act: func(x *trial) told { return acted(act(x)) },
		again: func(x *trial) told {
			if wrong := recorded(x); wrong != "" {
				x.t.Error(wrong)
			}
			return acted(act(x))
		},
	}
}

// events counts the records of an event; one that was written twice is one.
func (x *trial) events(event string) int {
	x.t.Helper()
	check(x.t, x.Batch.Flush(x.t.Context()))
	ids := map[string]bool{}
	for _, r := range x.Records(store.RecordQuery{Event: event}) {
		ids[r.DecisionID] = true
	}
	return len(ids)
}

// decidesThen has a client ask before an act is done again.
func decidesThen(act func(*trial) told) func(*trial) told {
	return func(x *trial) told {
		if got := wantsSignIn(x); !got.meant {
			return got
		}
		return act(x)
	}
}

// inForce says what is wrong where another revision decides than is stored.
func inForce(x *trial) string {
	revision, _, err := x.Store.Begin().ActiveRevision(x.t.Context())
	if err != nil || revision != x.Broker.Revision() {
		return fmt.Sprintf("the revision %.15s decides, and %.15s is stored (%v)", x.Broker.Revision(), revision, err)
	}
	return ""
}

// noted wants the record of an operator's read, the first in a minute; where the
// store could not take it then, the read after it has one.
func (x *trial) noted(sc scenario, where string, struck bool) {
	x.t.Helper()
	there := func() bool {
		last := x.Records(store.RecordQuery{Event: sc.noted, Newest: true, Limit: 1})
		return len(last) == 1 && last[0].Timestamp.Equal(x.Clock.Now())
	}
	if there() {
		return
	}
	if struck {
		sc.act(x)
	}
	if !struck || !there() {
		x.t.Errorf("%s: it has no record %s", where, sc.noted)
	}
}

// listScenarios are the reads of operators.
func listScenarios() map[string]scenario {
	read := func(event string, ask func(x *trial) error) scenario {
		return scenario{kind: "plain", ready: (*trial).exchanged, act: func(x *trial) told { return acted(ask(x)) }, noted: event}
	}
	const asked, exported = "admin.request", "log.exported"
	return map[string]scenario{
		"client ls":      read(asked, func(x *trial) error { _, err := x.admin.Clients(x.t.Context(), x.filter(), "", 0); return err }),
		"client show":    read(asked, func(x *trial) error { _, err := x.admin.Show(x.t.Context(), x.id); return err }),
		"client history": read(asked, func(x *trial) error { _, err := x.admin.History(x.t.Context(), x.id); return err }),
		"client reach":   read(asked, func(x *trial) error { _, err := x.admin.Reach(x.t.Context(), x.filter()); return err }),
		"client preview": read(asked, func(x *trial) error { _, err := x.admin.Preview(x.t.Context(), x.id); return err }),
		"client blocks":  read(asked, func(x *trial) error { _, err := x.admin.Blocks(x.t.Context()); return err }),
		"audit why":      read(asked, func(x *trial) error { _, err := x.admin.Why(x.t.Context(), x.id, time.Time{}, false); return err }),
		"audit ls": read(exported, func(x *trial) error {
			_, err := x.admin.Records(x.t.Context(), admin.RecordFilter{ClientID: x.id})
			return err
		}),
		"report clients": read(asked, func(x *trial) error { _, err := x.admin.ReportClients(x.t.Context(), x.filter()); return err }),
	}
}
