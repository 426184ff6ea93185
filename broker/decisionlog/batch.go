package decisionlog

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"
)

// BatchConfig is what a Batch needs. Commit is required.
type BatchConfig struct {
	Commit   func(ctx context.Context, records []Record) error // writes all or nothing
	MaxDelay time.Duration                                     // the longest a record waits; zero means 1 second
	Max      int                                               // records held at most; zero means 2048
	Window   int                                               // like refusals of one source written one by one in a batch; zero means 64
}

// Batch holds records that need no commit of their own, refusals of strangers
// and reuse of admitted clients, and writes them together at most MaxDelay
// late. It is safe for concurrent use.
type Batch struct {
	cfg  BatchConfig
	kick chan struct{}
	stop chan struct{}
	done chan struct{}

	mu      sync.Mutex // guards what follows
	held    []Record
	like    map[likeness]int // index into held of the summary, or minus the count so far
	failure error            // why the last flush did not work; nil when it did

	flushing chan struct{} // holds one while a flush is under way, so that records keep their order
}

// likeness groups refusals that a flood may make many of.
type likeness struct {
	source netip.Prefix // of one subscriber
	reason string
}

// commitMax is how many records one commit takes at most: in a flood, who is
// let in does not wait behind all that is refused.
const commitMax = 128

// ErrBatchFull says that records cannot be written and no more can be held.
var ErrBatchFull = errors.New("decision log: the batch is full and cannot be written")

// NewBatch starts a batch; Close ends it.
func NewBatch(cfg BatchConfig) (*Batch, error) {
	if cfg.Commit == nil {
		return nil, errors.New("decision log: a batch needs a commit")
	}
	if cfg.MaxDelay == 0 {
		cfg.MaxDelay = time.Second
	}
	if cfg.Max == 0 {
		cfg.Max = 2048
	}
	if cfg.Window == 0 {
		cfg.Window = 64
	}
	b := &Batch{
		cfg: cfg, kick: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
		like: map[likeness]int{}, flushing: make(chan struct{}, 1),
	}
	go b.run()
	return b, nil
}

// Add takes r. While the log cannot be written it refuses allows at once, so
// that nothing is let in without a record, and takes refusals until it is
// full. A refusal that is never summarised waits for a flush while half of the
// room is taken: a flood of them goes at the pace of the log, and leaves the
// other half to clients that are let in.
func (b *Batch) Add(r Record) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for r.Outcome == OutcomeRefused && len(b.held) >= b.cfg.Max/2 && b.failure == nil && guarded(r) {
		b.mu.Unlock()
		b.relieve()
		b.mu.Lock()
	}
	if b.failure != nil && r.Outcome != OutcomeRefused {
		b.wake()
		return b.failure
	}
	if b.summarised(r) {
		return nil
	}
	if len(b.held) >= b.cfg.Max {
		b.wake()
		if b.failure != nil {
			return errors.Join(ErrBatchFull, b.failure)
		}
		return ErrBatchFull
	}
	b.held = append(b.held, r)
	if len(b.held) == 1 || len(b.held) >= b.cfg.Max/2 {
		b.wake()
	}
	return nil
}

// summarised folds r into a summary when its source has been refused for the
// same reason often enough within this batch, or when half of the room is
// taken: what strangers are refused leaves the other half to clients that are
// let in. Refusals by guardrail or block keep their own record.
func (b *Batch) summarised(r Record) bool {
	if r.Outcome != OutcomeRefused || guarded(r) {
		return false
	}
	k := likeness{Subscriber(r.Source), r.Reason}
	n := b.like[k]
	if crowded := len(b.held) >= b.cfg.Max/2; n <= 0 && crowded {
		k.source, r.Source = netip.Prefix{}, "" // of everybody
		n = b.like[k]
	} else if n <= 0 && (r.Source == "" || n > -b.cfg.Window) {
		b.like[k] = n - 1
		return false
	}
	if n > 0 {
		s := &b.held[n-1]
		s.Count++
		s.LastRequestID = r.RequestID
		return true
	}
	if len(b.held) >= b.cfg.Max {
		return false
	}
	b.held = append(b.held, Record{
		DecisionID: r.DecisionID, Timestamp: r.Timestamp, Event: r.Event, Outcome: r.Outcome, Reason: r.Reason,
		PublicReason: r.PublicReason, RequestID: r.RequestID, LastRequestID: r.RequestID, Path: r.Path,
		Revision: r.Revision, FactsSHA256: r.FactsSHA256, Engine: r.Engine, Epoch: r.Epoch, Source: r.Source, Count: 1,
		Detail: "a flood: like refusals are counted, not listed",
	})
	b.like[k] = len(b.held)
	return true
}

// guarded reports whether a refusal must never be summarised (design §6).
func guarded(r Record) bool {
	switch r.Reason {
	case "assertion_replayed", "client_blocked", "host_blocked", "document_blocked":
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

// wake asks for a flush soon, without waiting.
func (b *Batch) wake() {
	select {
	case b.kick <- struct{}{}:
	default:
	}
}

// run flushes MaxDelay after the first record of a batch, or at once when
// half of the room is taken.
func (b *Batch) run() {
	defer close(b.done)
	for {
		select {
		case <-b.stop:
			return
		case <-b.kick:
		}
		timer := time.NewTimer(b.cfg.MaxDelay)
		for waiting := true; waiting; {
			select {
			case <-b.stop:
				timer.Stop()
				return
			case <-timer.C:
				waiting = false
			case <-b.kick:
				waiting = !b.crowded()
			}
		}
		timer.Stop()
		if b.Flush(context.Background()) != nil {
			b.wake()
		}
	}
}

// crowded reports whether half of the room is taken.
func (b *Batch) crowded() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.held) >= b.cfg.Max/2 && b.failure == nil
}

// Flush writes what is held and returns when it is durable. Records that
// could not be written are held for the next flush.
func (b *Batch) Flush(ctx context.Context) error {
	b.flushing <- struct{}{}
	defer func() { <-b.flushing }()
	return b.flush(ctx)
}

// relieve flushes where half of the room is taken, or waits for whoever does.
func (b *Batch) relieve() {
	b.flushing <- struct{}{}
	defer func() { <-b.flushing }()
	if b.crowded() {
		_ = b.flush(context.Background()) // what goes wrong stays known as Failure
	}
}

// flush writes what is held; one at a time.
func (b *Batch) flush(ctx context.Context) error {
	b.mu.Lock()
	taken := b.held
	b.held, b.like = make([]Record, 0, len(taken)), map[likeness]int{}
	b.mu.Unlock()
	if len(taken) == 0 {
		return nil
	}
	var err error
	for err == nil && len(taken) > 0 {
		n := min(len(taken), commitMax)
		if err = b.cfg.Commit(ctx, taken[:n]); err == nil {
			taken = taken[n:]
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failure = err
	if err != nil {
		b.held, b.like = append(taken, b.held...), map[likeness]int{}
	}
	return err
}

// Failure returns why the last flush did not work; nil when it did.
func (b *Batch) Failure() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failure
}

// Close writes what is held and ends the batch.
func (b *Batch) Close(ctx context.Context) error {
	close(b.stop)
	<-b.done
	return b.Flush(ctx)
}
