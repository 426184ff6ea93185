package broker

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Budgets bound the cold fetches of documents: those of clients that are not
// known. A fetch for a known client is never refused by them, and spends only
// when it fails. Zero means the default of a field; negative is refused.
//
// A budget is full at the start and refills evenly; what is left of it can be
// spent at once. A fifth of Total and of Concurrent is for hosts that the
// winning policy names exactly.
type Budgets struct {
	PerSource  int // a minute, per IPv4 address or IPv6 /64; default 600
	PerDomain  int // a minute, per registrable domain; default 600
	Total      int // a minute, over everybody; default 6000
	Concurrent int // under way at once; one source has at most a quarter; default 64
}

// complete fills the defaults.
func (b Budgets) complete() (Budgets, error) {
	if min(b.PerSource, b.PerDomain, b.Total, b.Concurrent) < 0 {
		return b, fmt.Errorf("a budget of %+v is negative", b)
	}
	return Budgets{
		PerSource: cmp.Or(b.PerSource, 600), PerDomain: cmp.Or(b.PerDomain, 600),
		Total: cmp.Or(b.Total, 6000), Concurrent: cmp.Or(b.Concurrent, 64),
	}, nil
}

// shareOf is what hosts that no policy names exactly may use of a total: four
// fifths.
func shareOf(total int) int { return total - total/5 }

// purse holds the budgets of one process. It is not safe for concurrent use.
type purse struct {
	limit   Budgets
	sources buckets[netip.Prefix]
	domains buckets[string]
	total   buckets[struct{}]
	flying  map[netip.Prefix]int // cold flights under way, per source; none is zero
	cold    int                  // their sum
}

func newPurse(limit Budgets) purse {
	return purse{
		limit:   limit,
		sources: newBuckets[netip.Prefix](limit.PerSource),
		domains: newBuckets[string](limit.PerDomain),
		total:   newBuckets[struct{}](limit.Total),
		flying:  map[netip.Prefix]int{},
	}
}

// takeOff pays for a cold flight and counts it until it lands, or takes
// nothing and returns how long to wait and for what. The total comes last, so
// that a flood is stopped by what it has in common before it touches what is
// everybody's.
func (p *purse) takeOff(w wanted, now time.Time) (wait time.Duration, spent string) {
	room, usable := p.limit.Concurrent, p.limit.Total
	if !w.exact {
		room, usable = shareOf(room), shareOf(usable)
	}
	perSource := max(1, p.limit.Concurrent/4)
	for _, b := range []struct {
		wait time.Duration
		name string
	}{
		{p.sources.wait(w.source, p.limit.PerSource, now), "per_source of " + w.source.String()},
		{p.domains.wait(w.domain, p.limit.PerDomain, now), "per_domain of " + w.domain},
		{full(p.flying[w.source] >= perSource), "concurrent of " + w.source.String()},
		{full(p.cold >= room), "concurrent"},
		{p.total.wait(struct{}{}, usable, now), "total"},
	} {
		if b.wait > 0 {
			return b.wait, b.name
		}
	}
	p.charge(w, now)
	p.cold++
	p.flying[w.source]++
	return 0, ""
}

// full is the wait for a place: nobody knows how long that is.
func full(yes bool) time.Duration {
	if yes {
		return time.Second
	}
	return 0
}

// charge spends one fetch of each budget, as far as there is any.
func (p *purse) charge(w wanted, now time.Time) {
	p.sources.take(w.source, now)
	p.domains.take(w.domain, now)
	p.total.take(struct{}{}, now)
}

// land ends the count of a cold flight.
func (p *purse) land(source netip.Prefix) {
	p.cold--
	if p.flying[source]--; p.flying[source] <= 0 {
		delete(p.flying, source)
	}
}

// maxBuckets bounds how many sources, and how many domains, are remembered.
const maxBuckets = 10_000

// buckets keeps one token bucket per key as the time at which it will be full
// again. A key whose time has passed has spent nothing and needs no entry.
type buckets[K comparable] struct {
	size  int           // tokens in a full bucket
	every time.Duration // in which one comes back
	full  map[K]time.Time
}

// newBuckets returns buckets of perMinute tokens that fill in a minute.
func newBuckets[K comparable](perMinute int) buckets[K] {
	return buckets[K]{size: perMinute, every: time.Minute / time.Duration(perMinute), full: map[K]time.Time{}}
}

// fullAt is never before now, nor later than an empty bucket needs: a clock
// that was set back must not lock anybody out for longer.
func (b *buckets[K]) fullAt(key K, now time.Time) time.Time {
	return earlier(later(b.full[key], now), now.Add(time.Duration(b.size)*b.every))
}

// wait returns how long it takes until a token can be had from the first
// usable ones of a bucket; zero: there is one.
func (b *buckets[K]) wait(key K, usable int, now time.Time) time.Duration {
	return max(0, b.fullAt(key, now).Add(b.every).Sub(now)-time.Duration(usable)*b.every)
}

func (b *buckets[K]) take(key K, now time.Time) {
	if _, tracked := b.full[key]; !tracked && len(b.full) >= maxBuckets {
		b.evict()
	}
	b.full[key] = earlier(b.fullAt(key, now).Add(b.every), now.Add(time.Duration(b.size)*b.every))
}

// evict forgets the eighth that is full soonest: first the idle, then those
// who spent least, so that a flood of new names does not wash out whoever has
// spent everything.
func (b *buckets[K]) evict() {
	keys := make([]K, 0, len(b.full))
	for key := range b.full {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(x, y K) int { return b.full[x].Compare(b.full[y]) })
	for _, key := range keys[:max(1, len(keys)/8)] {
		delete(b.full, key)
	}
}
