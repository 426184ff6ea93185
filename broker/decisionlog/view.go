package decisionlog

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Names of views.
const (
	ViewNative = "native" // the record as commands show it, see [Sealed.JSON]
	ViewOPA    = "opa"    // a decision log event of Open Policy Agent
)

// Views lists the names that [View] knows.
func Views() []string { return []string{ViewNative, ViewOPA} }

// View returns how a record is written in the named view: one JSON object
// without line breaks, and with nothing in it that some reader takes for one or
// that a terminal acts on, see [Quiet]. Exporters and commands share it. Nothing
// is left out in either view; who must not see a member masks it before the
// record is sealed.
func View(name string) (func(Sealed) ([]byte, error), error) {
	switch name {
	case ViewNative:
		return quiet(Sealed.JSON), nil
	case ViewOPA:
		return quiet(opaEvent), nil
	}
	return nil, fmt.Errorf("view %.40q: want %s", name, strings.Join(Views(), " or "))
}

// quiet is a view without anything invisible.
func quiet(view func(Sealed) ([]byte, error)) func(Sealed) ([]byte, error) {
	return func(s Sealed) ([]byte, error) {
		b, err := view(s)
		return quieted(b), err
	}
}

// event is what a decision log event of Open Policy Agent has of a record.
type event struct {
	Labels      map[string]string          `json:"labels"`
	DecisionID  string                     `json:"decision_id"`
	TraceID     string                     `json:"trace_id,omitempty"`
	SpanID      string                     `json:"span_id,omitempty"`
	Bundles     map[string]bundle          `json:"bundles,omitempty"`
	Path        string                     `json:"path"`
	Input       json.RawMessage            `json:"input,omitempty"`
	Result      json.RawMessage            `json:"result,omitempty"`
	Erased      []string                   `json:"erased,omitempty"`
	Masked      []string                   `json:"masked,omitempty"`
	RequestedBy string                     `json:"requested_by,omitempty"`
	Timestamp   time.Time                  `json:"timestamp"`
	Metrics     map[string]int64           `json:"metrics,omitempty"`
	ReqID       uint64                     `json:"req_id"`
	Custom      map[string]json.RawMessage `json:"custom"`
}

// bundle is a policy bundle of an event.
type bundle struct {
	Revision string `json:"revision"`
}

// opaName is what the server is called among the labels and the bundles of an
// event.
const opaName = "guestlist"

// opaEvent writes a record as a decision log event. Members that have no place
// in one stand below custom, under their own names. Where no policy was asked
// the path is that of the event: log tools group by it.
func opaEvent(s Sealed) ([]byte, error) {
	r, err := s.Record()
	if err != nil {
		return nil, err
	}
	e := event{
		Labels: map[string]string{"app": opaName}, DecisionID: r.DecisionID, TraceID: r.TraceID, SpanID: r.SpanID, Path: r.Path,
		Input: r.Input, Result: r.Result, RequestedBy: r.Source, Timestamp: r.Timestamp, Metrics: r.Metrics, ReqID: s.Seq,
		Erased: eventPaths(r.Erased), Masked: eventPaths(r.Masked),
	}
	maps.Copy(e.Labels, r.Labels)
	if e.Path == "" {
		e.Path = opaName + "/" + strings.ReplaceAll(r.Event, ".", "/")
	}
	if r.Revision != "" {
		e.Bundles = map[string]bundle{opaName: {r.Revision}}
	}
	if s.Body == nil {
		e.Erased, e.Masked = append([]string{"/input", "/result", "/requested_by", "/custom/detail"}, eventPaths(r.Computed)...), nil
	}
	whole, err := json.Marshal(r)
	if err == nil {
		err = json.Unmarshal(whole, &e.Custom)
	}
	if err != nil {
		return nil, fmt.Errorf("record %d: %w", s.Seq, err)
	}
	for _, moved := range []string{"labels", "decision_id", "trace_id", "span_id", "revision", "path", "input", "result", "source", "timestamp", "metrics", "erased", "masked"} {
		delete(e.Custom, moved)
	}
	return json.Marshal(e)
}

// eventPaths are pointers into a record as pointers into its event.
func eventPaths(paths []string) []string {
	var out []string
	for _, p := range paths {
		first, _, _ := strings.Cut(p[1:], "/")
		switch {
		case p == "/source": // a text, as detail: nothing is below it
			p = "/requested_by"
		case p == "/detail", slices.Contains(computable, first):
			p = "/custom" + p
		}
		out = append(out, p)
	}
	return out
}
