package decisionlog

import (
	"fmt"
	"net/netip"
	"time"
)

// ownMost is how many networks have summaries of their own between two
// flushes; the refusals of all others share one for each reason.
const ownMost = 64

// seenMost is how many kinds of refusals are counted apart between two flushes.
const seenMost = 4096

// likeness groups refusals that a flood may make many of.
type likeness struct {
	source        netip.Prefix // of one subscriber; zero: of everybody
	event, reason string
	revision      string
	epoch         uint64
}

// entry is a record that is held.
type entry struct {
	Record
	like   likeness      // of a summary
	hashes []requestHash // of a summary: of the request ids it stands for, at most digestMost
}

// full reports whether a summary has as many ids as its digest can hold.
func (e *entry) full() bool { return len(e.hashes) >= digestMost }

// flood is what a Batch knows of refusals that may be summarised.
type flood struct {
	seen map[likeness]int    // refusals since the last flush
	open map[likeness]*entry // the summary that goes on
	own  int                 // summaries of one network since the last flush

	left float64   // refusals that may have records of their own
	at   time.Time // when that was so
}

// fold counts r in a summary, and reports false where r may have a record of
// its own: while its network was refused for the same reason less often than
// Window since the last flush, less than half of the room is taken, and all
// refusals together keep within Max/2 at once and Window a second; never while
// room is short. So what is written in a flood does not grow with it but for
// the digests.
func (b *Batch) fold(r Record) bool {
	k := likeness{Subscriber(r.Source), r.Event, r.Reason, r.Revision, r.Epoch}
	n := b.seen[k]
	if n > 0 || len(b.seen) < seenMost {
		b.seen[k] = n + 1
	}
	short := b.cfg.Short != nil && b.cfg.Short()
	if often := n >= b.cfg.Window && r.Source != ""; !short && !often && b.room() > b.cfg.Max/2 && b.spend(r.Timestamp) {
		return false
	}
	sum := b.open[k]
	if sum == nil && (n < b.cfg.Window/4 || b.own >= ownMost || r.Source == "") {
		k.source, r.Source = netip.Prefix{}, ""
		sum = b.open[k]
	}
	if sum == nil || sum.full() && b.room() > 0 {
		sum = b.begin(k, r)
	}
	sum.Count++
	sum.LastRequestID = r.RequestID
	if !sum.full() {
		sum.hashes = append(sum.hashes, hashRequest(r.RequestID))
	}
	return true
}

// begin starts a summary with its first refusal. It takes room of its own,
// since there are few: of one network at most ownMost, of everybody one for
// each reason, and what goes on from a full one only where there is room.
func (b *Batch) begin(k likeness, r Record) *entry {
	sum := &entry{like: k, Record: Record{
		DecisionID: r.DecisionID, Timestamp: r.Timestamp, Event: r.Event, Outcome: r.Outcome, Reason: r.Reason,
		PublicReason: r.PublicReason, RequestID: r.RequestID, Path: r.Path, Revision: r.Revision,
		FactsSHA256: r.FactsSHA256, Engine: r.Engine, Epoch: r.Epoch, Source: r.Source,
		Detail: "a flood: like refusals are counted, not listed",
	}}
	if k.source.IsValid() && b.open[k] == nil {
		b.own++
	}
	b.held = append(b.held, sum)
	b.open[k] = sum
	b.due()
	return sum
}

// spend takes one of the records that refusals may have, as of the time at
// which they were made.
func (b *Batch) spend(now time.Time) bool {
	most := float64(b.cfg.Max / 2)
	if d := now.Sub(b.at); d > 0 || d < -time.Minute { // refused side by side, or the clock was set back
		b.left, b.at = min(most, b.left+max(0, d.Seconds())*float64(b.cfg.Window)), now
	}
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}

// single reports whether a refusal keeps a record of its own in a flood too
// (design §6): it is an operator's, or by a guardrail, or for one of the reasons
// that Single names.
func (b *Batch) single(r Record) bool {
	if r.Actor != "" || b.cfg.Single(r.Reason) {
		return true
	}
	for _, p := range r.Phases {
		for _, d := range p.Denials {
			if d.Policy == "guardrails" {
				return true
			}
		}
	}
	return false
}

// sealed returns the record as it is written: a summary with its digest.
func (e *entry) sealed() Record {
	r := e.Record
	if len(e.hashes) > 2 { // of two, both are named
		r.RequestIDs = digestOf(e.hashes)
	}
	if r.Count > len(e.hashes) && r.Count > 0 {
		r.Detail += fmt.Sprintf("; the digest holds the first %d of %d", len(e.hashes), r.Count)
	}
	return r
}

// restore takes back what could not be written, in front of what came since.
// Summaries of one kind become one again as far as a digest reaches.
func (b *Batch) restore(taken []*entry) {
	since := b.held
	b.held = taken
	b.open, b.own = map[likeness]*entry{}, 0
	for _, e := range taken {
		if e.Count > 0 {
			b.reopen(e)
		}
	}
	for _, e := range since {
		if to := b.open[e.like]; e.Count > 0 && to != nil && (!to.full() || len(b.held) >= b.cfg.Max) {
			to.Count += e.Count
			to.LastRequestID = e.LastRequestID
			to.hashes = append(to.hashes, e.hashes[:min(len(e.hashes), digestMost-len(to.hashes))]...)
			continue
		}
		b.held = append(b.held, e)
		if e.Count > 0 {
			b.reopen(e)
		}
	}
}

// reopen lets a summary go on.
func (b *Batch) reopen(e *entry) {
	if e.like.source.IsValid() && b.open[e.like] == nil {
		b.own++
	}
	b.open[e.like] = e
}
