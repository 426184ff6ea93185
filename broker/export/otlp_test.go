package export_test

import (
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	otlp "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/protobuf/proto"

	"guestlist/broker/decisionlog"
	"guestlist/broker/export"
)

// sealed are the records that a log has, as exporters send them.
func sealed(t *testing.T, m *memory) (out []export.Record) {
	t.Helper()
	for _, s := range m.records {
		line, err := s.JSON()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, export.Record{Sealed: s, Line: line})
	}
	return out
}

func (c *collector) otlp(t *testing.T) *export.OTLP {
	t.Helper()
	o, err := export.NewOTLP(export.HTTPConfig{URL: c.url, Door: c.door, Gzip: true}, "https://id.example")
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// decoded is what a post to a receiver of OTLP has.
func decoded(t *testing.T, p post) *logs.ResourceLogs {
	t.Helper()
	var r otlp.ExportLogsServiceRequest
	if err := proto.Unmarshal([]byte(p.body), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.ResourceLogs) != 1 || len(r.ResourceLogs[0].ScopeLogs) != 1 || p.header.Get("Content-Type") != "application/x-protobuf" {
		t.Fatalf("a post of %q: %v", p.header, &r)
	}
	return r.ResourceLogs[0]
}

// attributes are attributes as name=value.
func attributes(all ...*common.KeyValue) (out []string) {
	for _, a := range all {
		v := a.Value.GetStringValue()
		if i, ok := a.Value.Value.(*common.AnyValue_IntValue); ok {
			v = strconv.FormatInt(i.IntValue, 10)
		}
		out = append(out, a.Key+"="+v)
	}
	return out
}

// TestOTLP: a receiver decodes times, severity, trace, body and attributes.
func TestOTLP(t *testing.T) {
	c, m := newCollector(t), newMemory()
	const trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	at := time.Date(2026, 11, 25, 12, 0, 0, 5, time.UTC)
	m.append(t, 1, func(r *decisionlog.Record) {
		r.Timestamp, r.TraceID, r.SpanID, r.Policy, r.Subject = at, trace, span, []string{"agents", "guests"}, "s1"
	})
	m.append(t, 1, func(r *decisionlog.Record) {
		r.Event, r.Outcome, r.Reason, r.ClientID, r.Actor = "policy.activated", decisionlog.OutcomeDone, "", "", "op\xffs"
		r.TraceID, r.SpanID = strings.Repeat("0", 32), span[:15]
	})
	m.append(t, 1)
	records := sealed(t, m)
	records[2].Header, records[2].Line = []byte("garbage"), []byte(`{"error":"unreadable"}`)
	if err := c.otlp(t).Send(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	got := decoded(t, c.posts[0])
	if a := attributes(got.Resource.Attributes...); !slices.Equal(a, []string{"service.name=guestlist", "guestlist.issuer=https://id.example"}) {
		t.Errorf("resource %q", a)
	}
	l := got.ScopeLogs[0].LogRecords
	if len(l) != 3 || got.ScopeLogs[0].Scope.Name != "guestlist/decisionlog" {
		t.Fatalf("%d records of %v", len(l), got.ScopeLogs[0].Scope)
	}
	if l[0].TimeUnixNano != uint64(at.UnixNano()) || l[0].ObservedTimeUnixNano == 0 || l[0].EventName != "admission.decided" || hex.EncodeToString(l[0].TraceId) != trace || hex.EncodeToString(l[0].SpanId) != span {
		t.Errorf("record 1: %v", l[0])
	}
	if l[0].SeverityNumber != logs.SeverityNumber_SEVERITY_NUMBER_WARN || l[1].SeverityNumber != logs.SeverityNumber_SEVERITY_NUMBER_INFO || l[1].TraceId != nil || l[1].SpanId != nil {
		t.Errorf("severities and trace: %v, %v", l[0], l[1])
	}
	if l[0].Body.GetStringValue() != string(records[0].Line) || l[2].Body.GetStringValue() != `{"error":"unreadable"}` {
		t.Errorf("bodies %q, %q", l[0].Body, l[2].Body)
	}
	for i, want := range [][]string{
		{"seq=1", "decision_id=d1", "event=admission.decided", "outcome=refused", "reason=policy_denied", "request_id=r1", "client_id=https://client.example.com/c", "policy=agents,guests", "subject=s1"},
		{"seq=2", "decision_id=d2", "event=policy.activated", "outcome=done", "request_id=r2", "actor=op\uFFFDs"},
		{"seq=3"},
	} {
		if a := attributes(l[i].Attributes...); !slices.Equal(a, want) {
			t.Errorf("record %d: attributes %q, want %q", i+1, a, want)
		}
	}
}

// TestOTLPAnswers: an answer that is none of a receiver of OTLP is an error,
// whatever its status; records that are refused in part make smaller batches.
func TestOTLPAnswers(t *testing.T) {
	partial := func(n int64, message string) string {
		b, err := proto.Marshal(&otlp.ExportLogsServiceResponse{PartialSuccess: &otlp.ExportLogsPartialSuccess{RejectedLogRecords: n, ErrorMessage: message}})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for name, test := range map[string]struct {
		status       int
		kind, body   string
		taken, never bool
		says         string
	}{
		"no body":               {200, "", "", true, false, ""},
		"a warning":             {200, "application/x-protobuf", partial(0, "old clock"), true, false, ""},
		"with a parameter":      {200, "application/x-protobuf; a=b", partial(0, "old clock"), true, false, ""},
		"in part":               {200, "application/x-protobuf", partial(1, "too old\nfor us"), false, true, `too old\nfor us`},
		"a page of a proxy":     {200, "text/html", "<html>sign in</html>", false, false, "not OTLP"},
		"no kind":               {200, "/", "x", false, false, "not OTLP"},
		"garbage":               {200, "application/x-protobuf", "\xff\xff\xff", false, false, "not OTLP"},
		"a body that is wrong":  {400, "application/x-protobuf", "", false, true, "status 400"},
		"nobody's fault":        {502, "", "", false, false, "status 502"},
		"a page with no status": {204, "", "", true, false, ""},
	} {
		c, m := newCollector(t), newMemory()
		m.append(t, 2)
		c.answer = func(w http.ResponseWriter, _ string) {
			w.Header()["Content-Type"] = []string{test.kind}
			w.WriteHeader(test.status)
			w.Write([]byte(test.body))
		}
		err := c.otlp(t).Send(t.Context(), sealed(t, m))
		if test.taken {
			if err != nil {
				t.Errorf("%s: Send() = %v", name, err)
			}
			continue
		}
		if r, ok := errors.AsType[*export.Rejection](err); !ok || r.Never != test.never || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: Send() = %v, want a rejection, never %t, that says %s", name, err, test.never, test.says)
		}
	}
}
