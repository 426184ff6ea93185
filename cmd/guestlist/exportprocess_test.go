package main

import (
	"compress/gzip"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	otlp "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	"google.golang.org/protobuf/proto"
)

// logHost takes the log by HTTP and OTLP behind TLS; while it is dead it
// answers 503.
type logHost struct {
	mu       sync.Mutex
	dead     bool
	refused  int
	ndjson   []string // lines of the opa view
	bodies   []string // of OTLP
	traced   []string // event, trace id and span id of each OTLP log record that has them
	rejected []string // what was wrong with posts
}

func (h *logHost) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.dead {
		h.refused++
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if got := r.Header.Get("Authorization"); got != "Bearer canary-token" {
		h.rejected = append(h.rejected, "Authorization: "+got)
	}
	unzipped, err := gzip.NewReader(r.Body)
	if err != nil {
		h.rejected = append(h.rejected, err.Error())
		return
	}
	b, _ := io.ReadAll(unzipped)
	if r.URL.Path == "/ingest" {
		h.ndjson = append(h.ndjson, slices.Collect(strings.Lines(string(b)))...)
		return
	}
	var in otlp.ExportLogsServiceRequest
	if err := proto.Unmarshal(b, &in); err != nil {
		h.rejected = append(h.rejected, err.Error())
	}
	for _, l := range in.ResourceLogs[0].ScopeLogs[0].LogRecords {
		h.bodies = append(h.bodies, l.Body.GetStringValue())
		if len(l.TraceId)+len(l.SpanId) > 0 {
			h.traced = append(h.traced, fmt.Sprintf("%s %x %x", l.EventName, l.TraceId, l.SpanId))
		}
	}
}

func (h *logHost) set(dead bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dead = dead
}

// places are the numbers of the records in lines, in order, each once, and
// fails where one comes before its predecessor did.
func places(t *testing.T, member string, lines []string) (last int) {
	t.Helper()
	for _, l := range lines {
		var v map[string]any
		if err := json.Unmarshal([]byte(l), &v); err != nil {
			t.Fatalf("line %q: %v", l, err)
		}
		switch n := int(v[member].(float64)); {
		case n > last+1:
			t.Fatalf("record %d comes after %d", n, last)
		case n == last+1:
			last = n
		}
	}
	return last
}

// TestExportProcess plays receivers that are dead, a server that is killed, a
// file that is rotated by others, and an exporter that is new: every record
// arrives everywhere, and people sign in meanwhile.
func TestExportProcess(t *testing.T) {
	s, h := newSite(t), &logHost{dead: true}
	s.exportTo(h)
	p := s.serve()
	resp, page := s.alice().play(s.authorizeLink())
	if status, answer := s.exchange(code(t, resp, page)); status != http.StatusOK {
		t.Fatalf("exchange while the receivers are dead: %d %s", status, answer)
	}
	p.find(p.errs, `"log.export_failing"`, "\n")
	archive := filepath.Join(s.dir, "archive.jsonl")
	eventually(t, "the archive has the token", func() bool { return strings.Contains(textOf(t, archive), `"token.issued"`) })
	if out, _, _ := output(t, "status", "--config", s.config); !strings.Contains(out, "exporter_archive") || !strings.Contains(out, "behind, the oldest of") {
		t.Errorf("status does not say how far exporters are:\n%s", out)
	}
	p.stop(syscall.SIGKILL)
	h.set(false)
	whole := textOf(t, archive)
	if err := os.WriteFile(archive, []byte(whole+`{"seq":99,"cut`), 0o600); err != nil { // as a crash of the machine leaves it
		t.Fatal(err)
	}
	s.add("    - {name: late, type: file, path: late.jsonl, from: now}\n")
	p = s.serve()
	eventually(t, "the receivers have something", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.ndjson) > 0 && len(h.bodies) > 0
	})
	if err := os.Rename(archive, archive+".old"); err != nil {
		t.Fatal(err)
	}
	if out, stderr, code := output(t, "keys", "rotate", "--config", s.config); code != 0 {
		t.Fatalf("keys rotate: exit %d: %s%s", code, out, stderr)
	}
	eventually(t, "the archive is made anew", func() bool { return textOf(t, archive) != "" })
	p.stop(syscall.SIGTERM)
	total := places(t, "seq", slices.Concat(slices.Collect(strings.Lines(textOf(t, archive+".old"))), slices.Collect(strings.Lines(textOf(t, archive)))))
	h.mu.Lock()
	defer h.mu.Unlock()
	if a, b := places(t, "req_id", h.ndjson), places(t, "seq", h.bodies); a != total || b != total || total < 5 || h.refused == 0 {
		t.Errorf("the receivers have records up to %d and %d, the file up to %d, after %d refused posts", a, b, total, h.refused)
	}
	late := slices.Collect(strings.Lines(textOf(t, filepath.Join(s.dir, "late.jsonl"))))
	if before := places(t, "seq", slices.Collect(strings.Lines(whole))); len(late) == 0 || len(late) > total-before {
		t.Errorf("the new exporter has %d records, want those of after %d alone", len(late), before)
	}
	if len(h.rejected) > 0 {
		t.Errorf("posts were wrong: %q", h.rejected)
	}
	if text, _ := p.errs.text(); strings.Contains(text, "canary-token") {
		t.Error("the log has the token")
	}
}

// exportTo configures exporters of each kind to h.
func (s *site) exportTo(h *logHost) {
	s.t.Helper()
	receiver := httptest.NewUnstartedServer(h)
	tlsConfig, certificate, err := demoCertificate("localhost")
	if err != nil {
		s.t.Fatal(err)
	}
	receiver.TLS = tlsConfig
	receiver.StartTLS()
	s.t.Cleanup(receiver.Close)
	s.write("ca.pem", textOf(s.t, filepath.Join(s.dir, "ca.pem"))+string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw})))
	s.write("logs.token", "canary-token\n")
	_, port, _ := strings.Cut(receiver.Listener.Addr().String(), ":")
	s.add(fmt.Sprintf(`decision_log:
  exporters:
    - {name: archive, type: file, path: archive.jsonl}
    - {name: siem, type: http, view: opa, url: "https://localhost:%[1]s/ingest", token_file: logs.token, gzip: true, batch_wait: 0}
    - {name: otel, type: otlp, url: "https://localhost:%[1]s/v1/logs", token_file: logs.token, gzip: true, batch_wait: 0}
`, port))
}

// textOf is what a file has; nothing when there is none.
func textOf(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(b)
}
