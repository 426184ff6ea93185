package export

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// Lag is how far an exporter is behind the log.
type Lag struct {
	Name    string    // of the exporter
	Behind  uint64    // records that its sink has not taken
	Oldest  time.Time // when the oldest of them was made; zero when there is none
	Problem string    // why the sink is not reached; empty: nothing is known to be wrong
	Since   time.Time // when that began
}

// Lag says how far the exporter is behind the log. It never waits for the sink.
func (e *Exporter) Lag(ctx context.Context) (Lag, error) {
	out := e.state()
	e.mu.Lock()
	at, begun := e.at, e.begun
	e.mu.Unlock()
	last, err := e.cfg.Log.Last(ctx)
	if err != nil || !begun || last <= at {
		return out, err
	}
	out.Behind = last - at
	next, err := e.cfg.Log.Next(ctx, at, 1)
	if err != nil || len(next) == 0 {
		return out, err
	}
	var header struct {
		Timestamp time.Time `json:"timestamp"`
	}
	if json.Unmarshal(next[0].Header, &header) == nil {
		out.Oldest = header.Timestamp
	}
	return out, nil
}

// state is Lag without the log.
func (e *Exporter) state() Lag {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := Lag{Name: e.cfg.Name}
	if e.wrong != nil {
		out.Problem, out.Since = e.wrong.Error(), e.since
	}
	return out
}

// failing keeps what is wrong, and tells it now and then.
func (e *Exporter) failing(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	if e.wrong == nil {
		e.since, e.told = now, time.Time{}
	}
	e.wrong = err
	if now.Sub(e.told) < tellEvery {
		return
	}
	e.told = now
	line := e.cfg.Trouble.Error().Str("event", "log.export_failing").Str("exporter", e.cfg.Name).Err(err)
	if r, ok := errors.AsType[*Rejection](err); ok && r.Never && e.size <= 1 {
		line = line.Uint64("seq", e.at+1)
	}
	line.Msg("it is tried again; nothing is lost")
}

func (e *Exporter) working() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.wrong != nil {
		e.wrong = nil
		e.cfg.Trouble.Info().Str("event", "log.export_working").Str("exporter", e.cfg.Name).Send()
	}
}

// unreadable stands for a record that the log gives and nobody can read.
func unreadable(seq uint64, err error) []byte {
	b, _ := json.Marshal(map[string]any{"seq": seq, "error": err.Error()})
	return b
}
