package decisionlog

import (
	"context"
	"errors"
	"sync"
	"time"
)

// BatchConfig is what a Batch needs. Commit and Single are required.
type BatchConfig struct {
	Commit   func(ctx context.Context, records []Record) error // writes all or nothing
	Single   func(reason string) bool                          // whether refusals for it are never summarised; see broker.Reason
	Short    func() bool                                       // whether there is so little room that what may be summarised is, from the first refusal on; nil: there never is
	MaxDelay time.Duration                                     // the longest a record waits; zero means 1 second
	Max      int                                               // records held at most, beside a few summaries; zero means 2048
	// Window is how many like refusals of one network are written one by one
	// between two flushes, and of all networks in a second, after a burst of
	// Max/2. Zero means 64.
	Window int
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
	held    []*entry
	flying  int   // records that a flush has taken and not written yet
	failure error // why the last flush did not work; nil when it did
	flood

	flushing chan struct{} // holds one while a flush is under way, so that records keep their order
}

// commitMax is how many records one commit takes at most: in a flood, who is
// let in does not wait behind all that is refused.
const commitMax = 128

// ErrBatchFull says that records cannot be written and no more can be held.
var ErrBatchFull = errors.New("decision log: the batch is full and cannot be written")

// NewBatch starts a batch; Close ends it.
func NewBatch(cfg BatchConfig) (*Batch, error) {
	if cfg.Commit == nil || cfg.Single == nil {
		return nil, errors.New("decision log: a batch needs a commit, and to know what is never summarised")
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
		flood: flood{left: float64(cfg.Max / 2)}, flushing: make(chan struct{}, 1),
	}
	b.anew()
	go b.run()
	return b, nil
}

// Add takes r. While the log cannot be written it refuses allows at once, so
// that nothing is let in without a record, and takes refusals until it is
// full. A refusal that is never summarised waits for a flush while half of the
// room is taken: a flood of them goes at the pace of the log, and leaves the
// other half to clients that are let in.
func (b *Batch) Add(r Record) error {
	single := r.Outcome == OutcomeRefused && b.single(r)
	b.mu.Lock()
	defer b.mu.Unlock()
	for single && len(b.held) >= b.cfg.Max/2 && b.failure == nil {
		b.mu.Unlock()
		b.relieve()
		b.mu.Lock()
	}
	if b.failure != nil && r.Outcome != OutcomeRefused {
		b.wake()
		return b.failure
	}
	if r.Outcome == OutcomeRefused && !single && b.fold(r) {
		return nil
	}
	return b.hold(r)
}

// Keep takes the record of what happened already, whether the log can be
// written now or not: only a batch that is full refuses it.
func (b *Batch) Keep(r Record) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.hold(r)
}

// hold takes r where there is room.
func (b *Batch) hold(r Record) error {
	if b.room() <= 0 {
		b.wake()
		if b.failure != nil {
			return errors.Join(ErrBatchFull, b.failure)
		}
		return ErrBatchFull
	}
	b.held = append(b.held, &entry{Record: r})
	b.due()
	return nil
}

// room is how many more records are held. While the log cannot be written what
// a flush has taken counts too, since it comes back.
func (b *Batch) room() int {
	n := b.cfg.Max - len(b.held)
	if b.failure != nil {
		n -= b.flying
	}
	return n
}

// due asks for a flush when the first record is held, and when half of the
// room is taken.
func (b *Batch) due() {
	if len(b.held) == 1 || len(b.held) >= b.cfg.Max/2 {
		b.wake()
	}
}

// anew begins an empty batch.
func (b *Batch) anew() {
	b.held = make([]*entry, 0, len(b.held))
	b.seen, b.open, b.own = map[likeness]int{}, map[likeness]*entry{}, 0
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
	b.flying = len(taken)
	b.anew()
	b.mu.Unlock()
	if len(taken) == 0 {
		return nil
	}
	var err error
	for err == nil && len(taken) > 0 {
		n := min(len(taken), commitMax)
		part := make([]Record, n)
		for i, e := range taken[:n] {
			part[i] = e.sealed()
		}
		if err = b.cfg.Commit(ctx, part); err == nil {
			taken = taken[n:]
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failure, b.flying = err, 0
	if err != nil {
		b.restore(taken)
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
