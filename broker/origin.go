package broker

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"guestlist/broker/cimd"
	"guestlist/broker/fetch"
)

// origin stands before the fetcher. It shares one fetch among all who want the
// same document, slows down failing ones, and spends budgets; what it refuses
// costs no network. It is safe for concurrent use, and bounded: in flights by
// the budgets and by the clients that are known, in the rest by constants.
type origin struct {
	fetch Fetcher
	now   func() time.Time
	seen  Observer

	mu      sync.Mutex
	purse   purse
	pace    pace
	flights map[string]*flight
	landed  landed
}

// wanted is one wish for a document.
type wanted struct {
	id      cimd.ID
	limits  fetch.Limits
	held    fetch.Held // validators of copy; zero: the whole document is wanted
	copy    []byte     // the stored document that its host may say still stands
	profile cimd.Profile
	source  netip.Prefix // whose budget pays
	domain  string       // registrable domain of id
	request string       // id of the request that asks; empty: none does
	cold    bool         // the client is not known
	exact   bool         // the winning policy names the host without wildcards
	apart   bool         // asked by this server or an operator: no budget pays, and no answer from before will do
	afresh  bool         // asked by an operator who will not be paced by the failures of others
}

// key is everything that the answer depends on.
func (w wanted) key() string {
	return fmt.Sprintf("%+v %+v %x %v %v %s", w.limits, w.held, sha256.Sum256(w.copy), w.profile, w.apart, w.id)
}

// flight is one fetch, under way until done is closed.
type flight struct {
	done   chan struct{}
	got    fetch.Document
	parsed cimd.Parsed
	err    error // of the fetcher, or of the document's form
}

func newOrigin(f Fetcher, now func() time.Time, limit Budgets, seen Observer) *origin {
	return &origin{fetch: f, now: now, seen: seen, purse: newPurse(limit), flights: map[string]*flight{}}
}

// document fetches and parses what w names; where its host says that the copy
// still stands, the body is the copy's (RFC 9111 section 4.3.3). Parsed is shared: it is for reading
// only. Errors are those of the fetcher and of cimd.ParseDocument, and *Error
// for what is refused before any fetch: ReasonRateLimited, ReasonFetchPaced.
//
// A caller whose ctx ends does not end the fetch: others may wait for it.
func (o *origin) document(ctx context.Context, w wanted) (fetch.Document, cimd.Parsed, error) {
	f, spent, err := o.board(ctx, w)
	if err != nil {
		o.spend(ctx, w, spent, err)
		return fetch.Document{}, cimd.Parsed{}, err
	}
	select {
	case <-ctx.Done():
		return fetch.Document{}, cimd.Parsed{}, &fetch.Error{
			Reason: string(ReasonFetchFailed), Transient: true, Detail: "the caller left before the answer", Err: ctx.Err(),
		}
	case <-f.done:
	}
	got := f.got
	got.Body = bytes.Clone(got.Body)
	return got, f.parsed, f.err
}

// board finds the flight that serves w, or starts it where pace and budgets
// let it. With an error it names what is spent.
func (o *origin) board(ctx context.Context, w wanted) (f *flight, spent string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	key, now := w.key(), o.now()
	if f, ok := o.flights[key]; ok {
		return f, "", nil
	}
	if f, ok := o.landed.find(key, now); ok {
		return f, "", nil
	}
	if wait := o.pace.wait(w.id.String(), now); wait > 0 && !w.afresh {
		return nil, "pace", tryLater(ReasonFetchPaced, wait, "the last fetches failed")
	}
	if w.cold && !w.apart {
		if wait, spent := o.purse.takeOff(w, now); wait > 0 {
			return nil, spent, tryLater(ReasonRateLimited, wait, "cimd.budgets: "+spent+" is spent")
		}
	}
	f = &flight{done: make(chan struct{})}
	o.flights[key] = f
	go o.fly(context.WithoutCancel(ctx), key, w, f)
	return f, "", nil
}

// tryLater refuses until a wait is over.
func tryLater(r Reason, wait time.Duration, why string) *Error {
	return &Error{Reason: r, RetryAfter: wait, Err: errText(why)}
}

// fly brings the document and settles what that costs. A failure is told to
// those who wait, and counted, but not kept as an answer.
func (o *origin) fly(ctx context.Context, key string, w wanted, f *flight) {
	began := o.now()
	o.bring(ctx, w, f)
	o.observe(ctx, w, began, f)
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.now()
	delete(o.flights, key)
	if w.cold && !w.apart {
		o.purse.land(w.source)
	}
	switch {
	case f.err == nil || isForm(f.err):
		// A host that answers is not in trouble: who mends a document can try
		// it at once, and budgets bound how often.
		o.pace.forget(w.id.String())
	default:
		o.pace.failed(w.id.String(), now)
	}
	if f.err == nil && f.got.FreshFor > 0 && !w.apart {
		o.landed.keep(key, f, now)
	}
	if f.err != nil && !w.cold && !w.apart {
		o.purse.charge(w, now)
	}
	close(f.done)
}

// bring fetches and parses. No handler stands below this goroutine, so that a
// panic about one stranger's document would end the process.
func (o *origin) bring(ctx context.Context, w wanted, f *flight) {
	defer func() {
		if p := recover(); p != nil {
			f.err = &Error{Reason: ReasonServerTrouble, Err: fmt.Errorf("fetch %s: panic: %T", w.id, p)}
		}
	}()
	if f.got, f.err = o.fetch.Document(ctx, w.id, w.limits, w.held); f.err != nil {
		return
	}
	if f.got.NotModified {
		f.got.Body = w.copy
	}
	f.parsed, f.err = cimd.ParseDocument(f.got.Body, w.id, w.profile)
}

// isForm reports whether the document came and its form is wrong.
func isForm(err error) bool {
	var ce *cimd.Error
	return errors.As(err, &ce)
}

// The bounds of landed.
const (
	keepLanded     = 2 * time.Second
	maxLanded      = 256
	maxLandedBytes = 2 << 20 // of bodies
)

// landed keeps the flights that brought a document that may be kept at all for
// 2 s, for those who read
// the store before the client was committed and ask afterwards. It is not safe
// for concurrent use; its zero value is ready.
type landed struct {
	byKey map[string]*flight
	queue []arrival // oldest first
	bytes int
}

// arrival is a place in the queue.
type arrival struct {
	key    string
	flight *flight
	at     time.Time
}

// find returns what landed at most 2 s ago.
func (l *landed) find(key string, now time.Time) (*flight, bool) {
	l.drop(now)
	f, ok := l.byKey[key]
	return f, ok
}

func (l *landed) keep(key string, f *flight, now time.Time) {
	if l.byKey == nil {
		l.byKey = map[string]*flight{}
	}
	l.byKey[key] = f
	l.queue = append(l.queue, arrival{key, f, now})
	l.bytes += len(f.got.Body)
	l.drop(now)
}

// drop forgets what is too old, and the oldest of what is too much. A clock
// that was set back makes everything too old.
func (l *landed) drop(now time.Time) {
	for len(l.queue) > 0 {
		a := l.queue[0]
		age := now.Sub(a.at)
		if age >= 0 && age < keepLanded && len(l.queue) <= maxLanded && l.bytes <= maxLandedBytes {
			return
		}
		l.queue[0] = arrival{}
		l.queue = l.queue[1:]
		l.bytes -= len(a.flight.got.Body)
		if l.byKey[a.key] == a.flight {
			delete(l.byKey, a.key)
		}
	}
}
