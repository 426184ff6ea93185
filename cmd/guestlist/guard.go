package main

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/rs/zerolog"
)

// restartAfter is how long what runs beside requests stands still once it
// panicked.
const restartAfter = time.Minute

// guarded runs fn. A panic ends fn and not the program, and its value, which
// may hold anybody's secret, is not repeated: the log has its type and where it
// was. It reports whether fn returned.
func guarded(log zerolog.Logger, what string, fn func()) (returned bool) {
	defer func() {
		if p := recover(); p != nil {
			log.Error().Str("event", "server.panic").Str("in", what).Str("panic", fmt.Sprintf("%T", p)).Str("at", panickedAt()).
				Msg("a fault of the program: please report it with this line")
		}
	}()
	fn()
	return true
}

// panickedAt is where the panic began that is being recovered from.
func panickedAt() string {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	began := false
	for more := true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		if began && !strings.HasPrefix(f.Function, "runtime.") {
			return fmt.Sprintf("%s:%d", f.Function, f.Line)
		}
		began = began || f.Function == "runtime.gopanic"
	}
	return "unknown"
}

// steadily runs what goes on beside requests until it returns, again a minute
// after each panic, and no more once ctx is done.
func steadily(ctx context.Context, log zerolog.Logger, what string, run func()) {
	for !guarded(log, what, run) {
		if pause(ctx, restartAfter); ctx.Err() != nil {
			return
		}
	}
}

// every calls fn each time that d has passed, the first time after d, until ctx
// is done. Calls do not overlap: what falls due during one is left out.
func every(ctx context.Context, d time.Duration, fn func()) {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			fn()
		}
	}
}

// pause waits, at most until ctx is done.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// connectionLog takes what net/http has to say beside requests. Anybody can
// make a TLS handshake fail, so that is for debugging alone; the value of a
// panic is not repeated.
type connectionLog struct{ log zerolog.Logger }

// Write implements io.Writer.
func (c connectionLog) Write(p []byte) (int, error) {
	level, text := zerolog.WarnLevel, strings.TrimSpace(string(p))
	switch {
	case strings.Contains(text, "TLS handshake error"):
		level = zerolog.DebugLevel
	case strings.HasPrefix(text, "http: panic serving "):
		level, text = zerolog.ErrorLevel, "http: a handler panicked, and its connection was closed"
	}
	c.log.WithLevel(level).Str("event", "http.trouble").Msg(visible(text[:min(len(text), connectionText)]))
	return len(p), nil
}

// connectionText bounds what net/http says at a time, in bytes.
const connectionText = 1000
