package export

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"mime"
	"strings"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/proto"

	"guestlist/broker/decisionlog"
)

const protobuf = "application/x-protobuf"

// OTLP is a sink that posts OTLP logs in the binary encoding, one log record
// for each decision record: its body is the line of the view, its attributes
// are the members that people search by. A batch that the receiver takes in
// part (a partial success) is sent again in halves until it is known which
// record it will not take.
type OTLP struct {
	cfg    HTTPConfig
	origin *resource.Resource
}

// NewOTLP checks cfg, whose URL is the whole address, with /v1/logs. issuer is
// named as where the records come from.
func NewOTLP(cfg HTTPConfig, issuer string) (*OTLP, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	return &OTLP{cfg, &resource.Resource{Attributes: []*common.KeyValue{text("service.name", "guestlist"), text("guestlist.issuer", issuer)}}}, nil
}

// Send implements Sink.
func (o *OTLP) Send(ctx context.Context, records []Record) error {
	scope := &logs.ScopeLogs{Scope: &common.InstrumentationScope{Name: "guestlist/decisionlog"}}
	for _, r := range records {
		scope.LogRecords = append(scope.LogRecords, logRecord(r))
	}
	body, err := proto.Marshal(&collector.ExportLogsServiceRequest{ResourceLogs: []*logs.ResourceLogs{{Resource: o.origin, ScopeLogs: []*logs.ScopeLogs{scope}}}})
	if err != nil {
		return fmt.Errorf("write OTLP: %w", err)
	}
	a, err := o.cfg.post(ctx, protobuf, body, records)
	if err != nil {
		return err
	}
	if err := taken(a.Header.Get("Content-Type"), a.Body); err != nil {
		return &Rejection{Err: fmt.Errorf("post to %s: %w", a.Host, err), Never: errors.Is(err, errPartial)}
	}
	return nil
}

// errPartial is the answer that a batch was taken in part.
var errPartial = errors.New("records were refused")

// taken says whether the answer to a post is that of a receiver of OTLP that
// took all of it. An empty one is; a page of some proxy is not.
func taken(kind string, body []byte) error {
	if len(body) == 0 {
		return nil
	}
	var answer collector.ExportLogsServiceResponse
	if kind, _, err := mime.ParseMediaType(kind); err != nil || kind != protobuf {
		return fmt.Errorf("the answer is not OTLP but %.40q", kind)
	}
	if err := proto.Unmarshal(body, &answer); err != nil {
		return errors.New("the answer is not OTLP")
	}
	if p := answer.GetPartialSuccess(); p.GetRejectedLogRecords() != 0 {
		return fmt.Errorf("%w: %d, because %.200q", errPartial, p.GetRejectedLogRecords(), p.GetErrorMessage())
	}
	return nil
}

// logRecord is one decision record as OTLP has it.
func logRecord(r Record) *logs.LogRecord {
	out := &logs.LogRecord{
		ObservedTimeUnixNano: uint64(time.Now().UnixNano()),
		SeverityNumber:       logs.SeverityNumber_SEVERITY_NUMBER_INFO, SeverityText: "INFO",
		Body:       &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: strings.ToValidUTF8(string(r.Line), "\uFFFD")}},
		Attributes: []*common.KeyValue{{Key: "seq", Value: &common.AnyValue{Value: &common.AnyValue_IntValue{IntValue: int64(r.Seq)}}}},
	}
	record, err := r.Record()
	if err != nil {
		return out
	}
	if record.Outcome == decisionlog.OutcomeRefused {
		out.SeverityNumber, out.SeverityText = logs.SeverityNumber_SEVERITY_NUMBER_WARN, "WARN"
	}
	out.TimeUnixNano, out.EventName = uint64(record.Timestamp.UnixNano()), record.Event
	out.TraceId, out.SpanId = identifier(record.TraceID, 16), identifier(record.SpanID, 8)
	for _, a := range []*common.KeyValue{
		text("decision_id", record.DecisionID), text("event", record.Event), text("outcome", record.Outcome), text("reason", record.Reason),
		text("public_reason", record.PublicReason), text("request_id", record.RequestID), text("client_id", record.ClientID),
		text("policy", strings.Join(record.Policy, ",")), text("phase", record.Phase), text("revision", record.Revision),
		text("subject", record.Subject), text("grant_id", record.GrantID), text("actor", record.Actor),
	} {
		if a.GetValue().GetStringValue() != "" {
			out.Attributes = append(out.Attributes, a)
		}
	}
	return out
}

// text is an attribute; OTLP has no other strings than UTF-8.
func text(name, value string) *common.KeyValue {
	return &common.KeyValue{Key: name, Value: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: strings.ToValidUTF8(value, "\uFFFD")}}}
}

// identifier decodes a trace or span id of n bytes; nil for what is none, or
// is all zeros.
func identifier(s string, n int) []byte {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != n || strings.Trim(s, "0") == "" {
		return nil
	}
	return b
}
