package servertest

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/store"
)

// Violations says where rows and records do not agree: a row without the record
// that explains it, a record of an allow without its row. It reads nothing but
// the Ledger.
func (l *Ledger) Violations() []string {
	l.found = nil
	l.checkRecords()
	l.checkBodies()
	l.checkClients()
	l.checkGrants()
	l.checkTokens()
	l.checkActs()
	l.checkActivations()
	return l.found
}

// wrong notes a violation.
func (l *Ledger) wrong(format string, args ...any) {
	l.found = append(l.found, fmt.Sprintf(format, args...))
}

// count says how many records fit.
func (l *Ledger) count(fits func(r decisionlog.Record) bool) int {
	n := 0
	for _, r := range l.Records {
		if fits(r) {
			n++
		}
	}
	return n
}

// checkRecords: each is there once, and the hits of policies are theirs.
func (l *Ledger) checkRecords() {
	if l.Repeated {
		return
	}
	seen, hits := map[string]bool{}, map[string]store.Hits{}
	for i, r := range l.Records {
		if seen[r.DecisionID] {
			l.wrong("record %d (%s) is there twice", i+1, r.Event)
		}
		seen[r.DecisionID] = true
		for name, h := range store.HitsOf(r) {
			sum := hits[name]
			sum.Add(h)
			hits[name] = sum
		}
	}
	for name := range maps.Keys(merged(hits, l.Hits)) {
		want, got := hits[name], l.Hits[name]
		if want.Matched != got.Matched || want.Admitted != got.Admitted || want.Denied != got.Denied {
			l.wrong("policy %s has the hits %+v, by its records %+v", name, got, want)
		}
	}
}

// merged has the keys of both.
func merged[V any](a, b map[string]V) map[string]V {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

// life is one life of a client.
type life struct {
	client      string
	incarnation uint64
}

// endings are the events by which a life ends.
var endings = []string{decisionlog.EventClientExpired, decisionlog.EventClientPruned, decisionlog.EventClientRevoked}

// checkClients: a row is there exactly where its life was admitted and has not
// ended, and its documents have records.
func (l *Ledger) checkClients() {
	admitted, ended, documents := map[life]bool{}, map[life]bool{}, map[string]bool{}
	for _, r := range l.Records {
		at := life{r.ClientID, r.Incarnation}
		if r.Event == decisionlog.EventAdmissionDecided && r.Outcome == decisionlog.OutcomeAdmitted {
			admitted[at] = true
		}
		if slices.Contains(endings, r.Event) {
			ended[at] = true
		}
		documents[r.ClientID+" "+r.DocumentSHA256] = true
	}
	for id, c := range l.Clients {
		if at := (life{id, c.Incarnation}); !admitted[at] || ended[at] {
			l.wrong("client %s: admitted by a record %v, ended by one %v, and has a row", id, admitted[at], ended[at])
		}
		shas := []string{c.DocumentSHA256}
		if c.Pending != nil {
			shas = append(shas, c.Pending.SHA256)
		}
		for _, sha := range shas {
			if !documents[id+" "+sha] {
				l.wrong("client %s: no record has its document %.8s", id, sha)
			}
		}
	}
	for at := range admitted {
		if c := l.Clients[at.client]; c.Incarnation != at.incarnation && !ended[at] {
			l.wrong("client %s was admitted by a record, did not end, and has no row of that life", at.client)
		}
	}
	for id, list := range l.Versions {
		for _, v := range list {
			if !documents[id+" "+v.SHA256] {
				l.wrong("client %s: no record has the document %.8s of its history", id, v.SHA256)
			}
		}
	}
	if l.Counted != len(l.Clients) {
		l.wrong("%d clients are counted, %d have rows", l.Counted, len(l.Clients))
	}
}

// checkGrants: a grant is there exactly where somebody consented, and has ended
// exactly where a record says so.
func (l *Ledger) checkGrants() {
	granted := map[string]time.Time{}
	reasons := map[string][]string{} // of ends, by grant
	lives := map[life][]string{}     // of ends, by client
	for _, r := range l.Records {
		switch r.Event {
		case decisionlog.EventConsentGranted:
			if _, twice := granted[r.GrantID]; twice {
				l.wrong("grant %s has two records of its consent", r.GrantID)
			}
			granted[r.GrantID] = r.Timestamp
		case decisionlog.EventConsentWithdrawn, decisionlog.EventTokenReuseDetected, decisionlog.EventTokenReplayDetected, decisionlog.EventGrantEnded:
			reasons[r.GrantID] = append(reasons[r.GrantID], r.Reason)
		case decisionlog.EventTokenRevoked:
			if r.TokenID == "" {
				reasons[r.GrantID] = append(reasons[r.GrantID], string(broker.ReasonTokenRevoked))
			}
		}
		if slices.Contains(endings, r.Event) {
			at := life{r.ClientID, r.Incarnation}
			lives[at] = append(lives[at], r.Reason)
		}
	}
	living := map[string]int{}
	for id, g := range l.Grants {
		if _, ok := granted[id]; !ok {
			l.wrong("grant %s of %s has no record of a consent", id, g.ClientID)
		}
		why := append(slices.Clone(reasons[id]), lives[life{g.ClientID, g.Incarnation}]...)
		switch {
		case g.EndedAt.IsZero() && len(why) > 0:
			l.wrong("grant %s of %s lives, and ended by its records: %q", id, g.ClientID, why)
		case !g.EndedAt.IsZero() && !slices.Contains(why, string(g.EndReason)):
			l.wrong("grant %s of %s ended for %s, by its records for %q", id, g.ClientID, g.EndReason, why)
		case g.EndedAt.IsZero() && l.Clients[g.ClientID].Incarnation == g.Incarnation:
			living[g.ClientID]++
		}
	}
	for id, at := range granted {
		if _, ok := l.Grants[id]; !ok && l.Now.Before(at.Add(store.GrantKept)) {
			l.wrong("grant %s was consented to by a record and has no row", id)
		}
	}
	for id := range l.Clients {
		if l.Living[id] != living[id] {
			l.wrong("client %s has %d grants that live, %d are counted", id, living[id], l.Living[id])
		}
	}
	l.checkSessions()
}

// checkSessions: a person signed in for each session.
func (l *Ledger) checkSessions() {
	open := map[string]int{}
	for _, s := range l.Sessions {
		open[l.Pseudonym(s.Username)]++
	}
	for subject, n := range open {
		in := l.count(func(r decisionlog.Record) bool {
			return r.Event == decisionlog.EventPersonSignedIn && r.Subject == subject
		})
		if n > in {
			l.wrong("%d sessions of a person, %d records of a sign-in", n, in)
		}
	}
}

// family is what rows and records know of one grant's tokens.
type family struct {
	codes, spent       int // code rows
	first, later, used int // refresh rows: without a parent, with one, spent
	repeats            int // as refresh rows count them

	issued, refreshed, repeated int // records
}

// families sums up rows and records by grant.
func (l *Ledger) families() map[string]*family {
	out := map[string]*family{}
	of := func(grant string) *family {
		if out[grant] == nil {
			out[grant] = &family{}
		}
		return out[grant]
	}
	one := func(yes bool) int {
		if yes {
			return 1
		}
		return 0
	}
	for _, c := range l.Codes {
		f := of(c.GrantID)
		f.codes, f.spent = f.codes+1, f.spent+one(!c.SpentAt.IsZero())
	}
	for _, r := range l.Refresh {
		f := of(r.GrantID)
		f.first, f.later = f.first+one(r.Parent == ""), f.later+one(r.Parent != "")
		f.used, f.repeats = f.used+one(!r.SpentAt.IsZero()), f.repeats+r.Repeats
	}
	for _, r := range l.Records {
		switch r.Event {
		case decisionlog.EventTokenIssued:
			of(r.GrantID).issued++
		case decisionlog.EventTokenRefreshed:
			of(r.GrantID).refreshed++
		case decisionlog.EventTokenRepeatedInGrace:
			of(r.GrantID).repeated++
		}
	}
	return out
}

// checkTokens: each code, refresh token and access token has its record, and
// each record of one its row, for as long as rows are kept for certain.
func (l *Ledger) checkTokens() {
	for id, f := range l.families() {
		g, found := l.Grants[id]
		switch {
		case !found:
			if l.Now.Before(g.CreatedAt.Add(store.GrantKept)) || f.codes+f.first+f.later > 0 {
				l.wrong("a code or token is there of the grant %s, which is not", id)
			}
		case !l.Now.Before(g.CreatedAt.Add(time.Minute)) && f.codes == 0: // swept
		case f.codes != 1 || f.spent != f.issued:
			l.wrong("grant %s has %d codes, %d of them spent, and %d records of an exchange", id, f.codes, f.spent, f.issued)
		}
		if found && l.Now.Before(g.CreatedAt.Add(24*time.Hour)) &&
			(f.first > f.issued || f.later != f.refreshed || f.used != f.refreshed || f.repeats != f.repeated) {
			l.wrong("grant %s has %d first refresh tokens, %d later ones, %d spent, %d repetitions, by its records %d, %d, %d and %d",
				id, f.first, f.later, f.used, f.repeats, f.issued, f.refreshed, f.refreshed, f.repeated)
		}
	}
	issued, revoked, there := map[string]string{}, map[string]bool{}, map[string]store.Access{}
	for _, a := range l.Access {
		there[a.TokenID] = a
	}
	for _, r := range l.Records {
		switch r.Event {
		case decisionlog.EventTokenIssued, decisionlog.EventTokenRefreshed:
			issued[r.TokenID] = r.GrantID
			if _, ok := there[r.TokenID]; !ok && l.Now.Before(*r.ExpiresAt) {
				l.wrong("access token %s was issued by a record and has no row", r.TokenID)
			}
		case decisionlog.EventTokenRevoked:
			revoked[r.TokenID] = true
		}
	}
	for id, a := range there {
		if grant, ok := issued[id]; !ok || grant != a.GrantID {
			l.wrong("access token %s of grant %s has no record that issued it (%q)", id, a.GrantID, grant)
		}
		if a.EndedAt.IsZero() == revoked[id] {
			l.wrong("access token %s: ended %v, by a record %v", id, !a.EndedAt.IsZero(), revoked[id])
		}
	}
}
