package broker

import (
	order "container/list"
	"time"
)

// The bounds of pacing.
const (
	minPace  = time.Second
	maxPace  = 30 * time.Second
	maxPaced = 10_000 // URLs that are remembered
)

// pace slows down fetches of a URL that keeps failing: from its second failure
// in a row on, the next fetch waits, 1 s at first and twice as long each time,
// 30 s at most. It keeps no answer. It is not safe for concurrent use; its zero
// value is ready.
type pace struct {
	byURL  map[string]*order.Element // of *failing
	recent order.List                // most recently failed first
}

// failing is a URL whose last fetch failed.
type failing struct {
	url   string
	gap   time.Duration // between its last failure and the next fetch; zero: none
	until time.Time     // no fetch before
}

// wait returns how long url must not be fetched; zero: it may be.
func (p *pace) wait(url string, now time.Time) time.Duration {
	e, ok := p.byURL[url]
	if !ok {
		return 0
	}
	f := e.Value.(*failing)
	return min(max(0, f.until.Sub(now)), f.gap) // a clock that was set back delays nobody for longer
}

// failed counts a failure.
func (p *pace) failed(url string, now time.Time) {
	if p.byURL == nil {
		p.byURL = map[string]*order.Element{}
	}
	if e, again := p.byURL[url]; again {
		f := e.Value.(*failing)
		f.gap = min(max(2*f.gap, minPace), maxPace)
		f.until = now.Add(f.gap)
		p.recent.MoveToFront(e)
		return
	}
	p.byURL[url] = p.recent.PushFront(&failing{url: url})
	if p.recent.Len() > maxPaced {
		p.forget(p.recent.Back().Value.(*failing).url)
	}
}

// forget makes url one that has not failed.
func (p *pace) forget(url string) {
	if e, ok := p.byURL[url]; ok {
		p.recent.Remove(e)
		delete(p.byURL, url)
	}
}
