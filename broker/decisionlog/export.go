package decisionlog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/rs/zerolog"
)

// Log is what an exporter reads and where it remembers how far it came.
type Log interface {
	// Next returns up to max records behind after, oldest first.
	Next(ctx context.Context, after uint64, max int) ([]Sealed, error)
	// Changed returns a channel that is closed after the next append.
	Changed() <-chan struct{}
	// Position returns the remembered position of the named exporter.
	Position(ctx context.Context, name string) (uint64, error)
	// Remember stores the position of the named exporter.
	Remember(ctx context.Context, name string, seq uint64) error
}

// Exporter is a cursor behind the log: it writes every record as one JSON
// line, at least once, and a sink that stands still neither blocks nor loses
// anything. Run ends with its context.
type Exporter struct {
	Name    string          // of the cursor
	Log     Log             // read from
	Sink    io.Writer       // one line per record, through zerolog
	Failing func(err error) // told once per outage of the sink or the log; may be nil
}

// exportBatch is how many records are read at a time, rememberEvery how often
// at most the position costs a commit.
const (
	exportBatch   = 256
	rememberEvery = 5 * time.Second
	retryEvery    = time.Second
)

// Run exports until ctx is done, then remembers its position.
func (e *Exporter) Run(ctx context.Context) error {
	seq, err := e.Log.Position(ctx, e.Name)
	if err != nil {
		return err
	}
	stored, storedAt := seq, time.Now()
	down := false
	for {
		changed := e.Log.Changed()
		next, err := e.drain(ctx, seq)
		if err != nil && !errors.Is(err, context.Canceled) && !down && e.Failing != nil {
			e.Failing(err)
		}
		down = err != nil
		seq = next
		if seq != stored && time.Since(storedAt) >= rememberEvery {
			if e.Log.Remember(ctx, e.Name, seq) == nil {
				stored, storedAt = seq, time.Now()
			}
		}
		var retry <-chan time.Time
		if down || seq != stored {
			retry = time.After(retryEvery)
		}
		select {
		case <-ctx.Done():
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), rememberEvery)
			defer cancel()
			if seq, _ = e.drain(end, seq); seq != stored {
				return e.Log.Remember(end, e.Name, seq)
			}
			return nil
		case <-changed:
		case <-retry:
		}
	}
}

// drain writes all records behind seq and returns the position reached.
func (e *Exporter) drain(ctx context.Context, seq uint64) (uint64, error) {
	sink := &reporting{w: e.Sink}
	log := zerolog.New(sink)
	for {
		records, err := e.Log.Next(ctx, seq, exportBatch)
		if err != nil || len(records) == 0 {
			return seq, err
		}
		for _, s := range records {
			b, err := s.JSON()
			if err != nil {
				b, _ = json.Marshal(map[string]any{"seq": s.Seq, "error": err.Error()})
			}
			if err := line(log, b); err != nil {
				return seq, err
			}
			if sink.err != nil {
				return seq, sink.err
			}
			seq = s.Seq
		}
	}
}

// line writes the members of a JSON object as one log line, in their order.
func line(log zerolog.Logger, object []byte) error {
	d := json.NewDecoder(bytes.NewReader(object))
	if _, err := d.Token(); err != nil {
		return err
	}
	e := log.Log()
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return err
		}
		e = e.RawJSON(name.(string), v)
	}
	e.Send()
	return nil
}

// reporting keeps the error of a write, which zerolog does not return.
type reporting struct {
	w   io.Writer
	err error
}

// Write implements io.Writer.
func (r *reporting) Write(p []byte) (int, error) {
	n, err := r.w.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	if err != nil {
		r.err = err
	}
	return n, err
}
