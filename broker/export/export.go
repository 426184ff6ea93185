// Package export carries the decision log to where operators keep their logs:
// the standard output, files, HTTP and OTLP receivers.
//
// An Exporter is a place in the log and nothing else. What its sink has not
// taken waits in the log, so that a sink that is slow, broken or gone costs
// neither memory nor the server's time, and nothing is lost: every record
// arrives at least once, in the order of the log. A record that arrives again
// has the same decision_id and the same seq.
package export

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"guestlist/broker/decisionlog"
)

// What an exporter does when its Config does not say otherwise, and how it
// waits: rememberEvery is how often at most the position costs a commit,
// tellEvery how often an outage is told again.
const (
	defaultRecords = 256
	defaultBytes   = 1 << 20
	rememberEvery  = 5 * time.Second
	tellEvery      = time.Hour
)

// Record is one record as a sink gets it.
type Record struct {
	decisionlog.Sealed        // as it is stored
	Line               []byte // what the view makes of it: JSON without a line break
}

// Sink takes records away.
type Sink interface {
	// Send carries records away, which are some and consecutive. nil means that
	// every one of them is in the sink's own keeping; after any error all of
	// them are sent again. A *Rejection says how.
	Send(ctx context.Context, records []Record) error
}

// Rejection is the error of a sink that was reached and did not take records.
type Rejection struct {
	Err   error         // what it answered
	Never bool          // it will not take just these: fewer at a time may pass
	After time.Duration // how long it asks to be left alone; zero: it does not say
}

// Error implements error.
func (r *Rejection) Error() string { return r.Err.Error() }

// Unwrap returns what the sink answered.
func (r *Rejection) Unwrap() error { return r.Err }

// Config is what New needs.
type Config struct {
	Name    string                                   // of the exporter in log lines and in the status
	Cursor  string                                   // under which Log keeps the position; empty: Name
	Log     decisionlog.Log                          // read from
	Sink    Sink                                     // written to, one batch at a time
	View    func(decisionlog.Sealed) ([]byte, error) // makes the lines; nil: decisionlog.ViewNative
	FromNow bool                                     // a new exporter begins with what happens from now on, not with the past
	Records int                                      // in one batch; 0 means 256
	Bytes   int                                      // of the lines of one batch, but for a single record; 0 means 1 MiB
	Gather  time.Duration                            // how long to wait for more once something happened; 0: not at all
	Trouble zerolog.Logger                           // told when the sink fails, every hour while it does, and when it works again
}

// Exporter is a cursor behind the log.
type Exporter struct {
	cfg    Config
	size   int    // records of the next batch at most
	most   int    // records of a batch that the sink is known not to refuse
	kept   uint64 // the position that the log remembers
	keptAt time.Time

	mu    sync.Mutex
	at    uint64 // the last record that the sink has taken
	begun bool   // at is known
	wrong error  // why the sink is not reached
	since time.Time
	told  time.Time
}

// New checks cfg. The exporter does nothing before Run.
func New(cfg Config) (*Exporter, error) {
	switch {
	case cfg.Name == "" || cfg.Log == nil || cfg.Sink == nil:
		return nil, errors.New("an exporter needs a name, a log and a sink")
	case cfg.Records < 0 || cfg.Bytes < 0 || cfg.Gather < 0:
		return nil, fmt.Errorf("exporter %s: a bound is negative", cfg.Name)
	}
	cfg.Cursor = cmp.Or(cfg.Cursor, cfg.Name)
	cfg.Records, cfg.Bytes = cmp.Or(cfg.Records, defaultRecords), cmp.Or(cfg.Bytes, defaultBytes)
	if cfg.View == nil {
		cfg.View, _ = decisionlog.View(decisionlog.ViewNative)
	}
	return &Exporter{cfg: cfg, size: cfg.Records, most: cfg.Records}, nil
}

// Run exports until ctx is done. Then it hands over what is left, if the sink
// takes it within five seconds, and remembers its position.
func (e *Exporter) Run(ctx context.Context) {
	var wait backoff
	for ctx.Err() == nil {
		changed := e.cfg.Log.Changed()
		more, err := e.step(ctx)
		if ctx.Err() != nil {
			break
		}
		if err == nil {
			e.working()
			wait = backoff{}
			if !more {
				e.idle(ctx, changed)
			}
			continue
		}
		d, told := e.after(err, &wait)
		if told {
			e.failing(err)
		}
		pause(ctx, d)
	}
	e.finish(context.WithoutCancel(ctx))
}

// finish hands over what is left and remembers the position.
func (e *Exporter) finish(ctx context.Context) {
	ctx, done := context.WithTimeout(ctx, rememberEvery)
	defer done()
	if e.state().Problem == "" {
		for more, err := true, error(nil); more && err == nil; {
			more, err = e.step(ctx)
		}
	}
	if e.begun {
		e.remember(ctx) // what is not remembered is sent again
	}
}

// step sends one batch, and reports whether there was one.
func (e *Exporter) step(ctx context.Context) (more bool, err error) {
	if err := e.begin(ctx); err != nil {
		return false, err
	}
	batch, err := e.collect(ctx)
	if err != nil {
		return false, err
	}
	if len(batch) > 0 {
		e.size = len(batch) // the same again, should it fail: a sink may know it by its bounds
		if err := e.cfg.Sink.Send(ctx, batch); err != nil {
			return false, err
		}
		e.mu.Lock()
		e.at = batch[len(batch)-1].Seq
		e.mu.Unlock()
		e.grow(len(batch))
	}
	if time.Since(e.keptAt) >= rememberEvery {
		err = e.remember(ctx)
	}
	return len(batch) > 0, err
}

// begin finds out where the exporter stopped.
func (e *Exporter) begin(ctx context.Context) error {
	if e.begun {
		return nil
	}
	next, err := e.cfg.Log.Position(ctx, e.cfg.Cursor)
	if err != nil {
		return err
	}
	at := max(next, 1) - 1
	if next == 0 && e.cfg.FromNow {
		if at, err = e.cfg.Log.Last(ctx); err != nil {
			return err
		}
	}
	if next == 0 {
		if err := e.cfg.Log.Remember(ctx, e.cfg.Cursor, at+1); err != nil {
			return err
		}
	}
	e.kept, e.keptAt = at, time.Now()
	e.mu.Lock()
	e.at, e.begun = at, true
	e.mu.Unlock()
	return nil
}

// remember stores the place behind the position: a stored zero would look like
// an exporter that never began.
func (e *Exporter) remember(ctx context.Context) error {
	if e.at == e.kept {
		return nil
	}
	if err := e.cfg.Log.Remember(ctx, e.cfg.Cursor, e.at+1); err != nil {
		return fmt.Errorf("remember the position: %w", err)
	}
	e.kept, e.keptAt = e.at, time.Now()
	return nil
}

// collect returns the next batch, as its view writes it. A record that cannot
// be read is exported as that.
func (e *Exporter) collect(ctx context.Context) ([]Record, error) {
	sealed, err := e.cfg.Log.Next(ctx, e.at, e.size)
	if err != nil {
		return nil, fmt.Errorf("read the decision log: %w", err)
	}
	var out []Record
	bytes := 0
	for _, s := range sealed {
		line, err := e.cfg.View(s)
		if err != nil {
			line = unreadable(s.Seq, err)
		}
		if bytes += len(line) + 1; bytes > e.cfg.Bytes && len(out) > 0 {
			break
		}
		out = append(out, Record{s, line})
	}
	return out, nil
}

// idle waits until the log has more, and no longer than the position may stay
// unremembered.
func (e *Exporter) idle(ctx context.Context, changed <-chan struct{}) {
	var remember <-chan time.Time
	if e.at != e.kept {
		t := time.NewTimer(rememberEvery - time.Since(e.keptAt))
		defer t.Stop()
		remember = t.C
	}
	select {
	case <-ctx.Done():
	case <-remember:
	case <-changed:
		pause(ctx, e.cfg.Gather)
	}
}
