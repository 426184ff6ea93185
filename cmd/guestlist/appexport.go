package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"guestlist/broker/export"
	"guestlist/store"
)

// exportTroubleAfter is how long an exporter may fail before the status calls
// it a problem; exportStopWithin is how long the end of the program waits for
// a sink that cannot be interrupted.
const (
	exportTroubleAfter = time.Minute
	exportStopWithin   = 10 * time.Second
)

// exporterPlan is an exporter that the app completes.
type exporterPlan struct {
	export.Config
	file *export.File // of a sink that is a file; else nil
}

// prepareExport makes the exporters, which export starts.
func (a *app) prepareExport() error {
	for _, p := range a.plan.exporters {
		p.Log, p.Trouble = store.Log{Store: a.store}, a.log
		e, err := export.New(p.Config)
		if err != nil {
			return err
		}
		a.exporters = append(a.exporters, e)
	}
	return nil
}

// export starts the exporters and returns how to await their end.
func (a *app) export(ctx context.Context) (wait func()) {
	var running sync.WaitGroup
	for i, e := range a.exporters {
		running.Go(func() { steadily(ctx, a.log, "exporter:"+a.plan.exporters[i].Name, func() { e.Run(ctx) }) })
	}
	ended := make(chan struct{})
	go func() {
		running.Wait()
		for _, p := range a.plan.exporters {
			if p.file != nil {
				p.file.Close()
			}
		}
		close(ended)
	}()
	return func() {
		select {
		case <-ended:
		case <-time.After(exportStopWithin): // a reader of the standard output that stands still
			a.log.Warn().Str("event", "log.export_stuck").Msg("a sink does not return. What it did not take is sent after the next start")
		}
	}
}

// exportLags says for each exporter how far it is behind the log, which costs
// two reads of the store for each.
func (a *app) exportLags(ctx context.Context) ([]export.Lag, error) {
	var out []export.Lag
	for _, e := range a.exporters {
		lag, err := e.Lag(ctx)
		if err != nil {
			return nil, fmt.Errorf("exporter %s: %w", lag.Name, err)
		}
		out = append(out, lag)
	}
	return out, nil
}

// exportStatus adds how far the exporters are, and which of them are in
// trouble.
func (a *app) exportStatus(ctx context.Context, out map[string]any) {
	lags, err := a.exportLags(ctx)
	if err != nil {
		out["exporters_problem"] = err.Error()
	}
	for _, l := range lags {
		name := "exporter_" + l.Name
		out[name] = "up to date"
		if l.Behind > 0 {
			out[name] = fmt.Sprintf("%s behind, the oldest of %s", count(int(l.Behind), "record"), l.Oldest.Format(time.RFC3339))
		}
		if l.Problem != "" && time.Since(l.Since) >= exportTroubleAfter {
			out[name+"_problem"] = fmt.Sprintf("since %s: %s", l.Since.UTC().Format(time.RFC3339), l.Problem)
		}
	}
}
