package server

import (
	"net/http"
	"strings"

	"github.com/rs/zerolog"

	"guestlist/broker"
)

// outcomes of a request beside those of an admission.
const (
	requestRefused = "refused"
	requestLeft    = "caller left"
)

// event writes the one wide event of a request. Query strings, bodies and
// header values never appear.
func (s *Server) event(r *http.Request, v *visit) {
	took := s.cfg.Now().Sub(v.began)
	s.left(r.Context(), v, took)
	level := zerolog.InfoLevel
	if v.err != nil {
		level = answerFor(broker.ReasonOf(v.err)).level
		if v.outcome != requestLeft {
			v.outcome = requestRefused
		}
	}
	e := s.cfg.Log.WithLevel(level).Str("event", "http.request").Str("request_id", v.id).Str("method", methodName(r)).
		Str("route", v.route).Int("status", v.status).Int("bytes", v.bytes).Str("source", v.source.String()).
		Dur("took_ms", took)
	for _, m := range [...]struct{ name, value string }{
		{"trace_id", v.trace.TraceID}, {"span_id", v.trace.SpanID}, {"client_id", bounded(v.client, 300)}, {"client_id_digest", v.digest},
		{"subject", v.subject}, {"grant_id", v.grant}, {"resource", v.resource}, {"outcome", v.outcome}, {"phase", v.phase},
		{"policy", strings.Join(v.policy, " ")}, {"document_from", v.from}, {"decision_id", v.decision},
	} {
		if m.value != "" {
			e = e.Str(m.name, m.value)
		}
	}
	if v.err != nil {
		e = e.Str("reason", string(broker.ReasonOf(v.err))).Str("detail", bounded(v.err.Error(), 600))
	}
	e.Send()
}
