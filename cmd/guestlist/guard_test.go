package main

import (
	"context"
	"errors"
	stdlog "log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"guestlist/server/servertest"
)

// panicSecret is what must stay in a panic.
const panicSecret = "canary-of-a-panic-0123456789abcdef"

// TestGuardedPanic: what runs beside requests survives a panic, goes on a
// minute later, and the value is nowhere.
func TestGuardedPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &servertest.Buffer{}
		values := []any{panicSecret, errors.New(panicSecret), struct{ Token string }{panicSecret}, []byte(panicSecret)}
		began, runs := time.Now(), 0
		steadily(t.Context(), zerolog.New(log), "sweep", func() {
			if runs++; runs <= len(values) {
				panic(values[runs-1])
			}
		})
		if took := time.Since(began); runs != len(values)+1 || took != time.Duration(len(values))*restartAfter {
			t.Errorf("%d runs in %v, want one more than %d panics, each a minute later", runs, took, len(values))
		}
		if lines := servertest.CheckLog(t, log.String()); len(lines) != len(values) || !strings.Contains(log.String(), `"at":"guestlist/cmd/guestlist.TestGuardedPanic`) {
			t.Errorf("the log is\n%s", log)
		}
		if strings.Contains(log.String(), panicSecret) {
			t.Errorf("the log has the value of a panic:\n%s", log)
		}
		ctx, cancel := context.WithCancel(t.Context())
		steadily(ctx, zerolog.New(log), "sweep", func() { cancel(); panic(panicSecret) })
	})
}

// TestHandlerPanic: what net/http says about a handler that panicked is one
// line without the value.
func TestHandlerPanic(t *testing.T) {
	log := &servertest.Buffer{}
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(errors.New(panicSecret + "\n" + panicSecret)) }))
	web.Config = httpServer(web.Config.Handler, zerolog.New(log))
	web.Start()
	if _, err := http.Get(web.URL); err == nil {
		t.Error("an answer, want none")
	}
	web.Close()
	stdlog.New(connectionLog{zerolog.New(log)}, "", 0).Print("http: " + strings.Repeat("\x1b[2J\n", 10_000))
	if lines := servertest.CheckLog(t, log.String()); len(lines) != 2 || lines[0]["level"] != "error" {
		t.Errorf("the log is\n%s", log)
	}
	if strings.Contains(log.String(), panicSecret) {
		t.Errorf("the log has the value of a panic:\n%s", log)
	}
}
