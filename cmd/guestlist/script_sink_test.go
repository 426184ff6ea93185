package main

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// sink is a receiver of the log that a script kills and wakes.
type sink struct {
	mu   sync.Mutex
	dead bool
	file *os.File // what it took
}

// ServeHTTP implements http.Handler.
func (k *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.dead {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if _, err := io.Copy(k.file, r.Body); err != nil {
		w.WriteHeader(http.StatusInternalServerError)
	}
}

// sink configures a receiver of the log, dead or alive, or makes it so.
func (s *session) sink(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 || args[0] != "dead" && args[0] != "alive" {
		ts.Fatalf("usage: sink dead|alive")
	}
	if s.takes == nil {
		s.makeSink(ts)
	}
	s.takes.mu.Lock()
	defer s.takes.mu.Unlock()
	s.takes.dead = args[0] == "dead"
}

// makeSink starts the receiver, makes the site trust it and send to it.
func (s *session) makeSink(ts *testscript.TestScript) {
	file, err := os.Create(ts.MkAbs("sink.ndjson"))
	ts.Check(err)
	ts.Defer(func() { file.Close() })
	ts.Setenv("SINK", file.Name())
	s.takes = &sink{file: file}
	receiver := httptest.NewUnstartedServer(s.takes)
	tlsConfig, certificate, err := demoCertificate("localhost")
	ts.Check(err)
	receiver.TLS = tlsConfig
	receiver.StartTLS()
	ts.Defer(receiver.Close)
	pemBytes := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw})
	s.on.write("ca.pem", ts.ReadFile("site/ca.pem")+string(pemBytes))
	_, port, _ := strings.Cut(receiver.Listener.Addr().String(), ":")
	s.on.add(fmt.Sprintf("decision_log:\n  exporters:\n    - {name: siem, type: http, url: \"https://localhost:%s/ingest\", batch_wait: 0}\n", port))
}

// delivered waits until the receiver has the newest record.
func (s *session) delivered(ts *testscript.TestScript, _ bool, _ []string) {
	s.until(ts, "the receiver has the whole log", func() bool {
		log := s.on.audit("--limit", "1")
		got := strings.Split(strings.TrimSpace(ts.ReadFile("sink.ndjson")), "\n")
		var last struct{ Seq float64 }
		return json.Unmarshal([]byte(got[len(got)-1]), &last) == nil && last.Seq == log[0]["seq"]
	})
}

// copied holds a copy of the log to have every line of an export, byte for byte
// and in order; a line may come again, and others may follow.
func (s *session) copied(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: copied EXPORT COPY")
	}
	rest := ts.ReadFile(args[1])
	lines := 0
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		_, behind, found := strings.Cut(rest, line)
		if !found {
			ts.Fatalf("the copy has no such line where it belongs: %s", line)
		}
		rest = behind
		lines++
	}
	if lines == 0 {
		ts.Fatalf("%s is empty", args[0])
	}
}

// moment sets a variable to the present time.
func (s *session) moment(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: moment NAME")
	}
	ts.Setenv(args[0], time.Now().UTC().Format(time.RFC3339Nano))
}
