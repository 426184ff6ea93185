package server

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/server/pages"
	"guestlist/server/signin"
)

// redirectError is a refusal that may be told to the client, because the
// redirect URI is proven and the client admitted.
type redirectError struct {
	uri   string // proven redirect URI
	state string // empty: none was sent
	err   error
}

// Error implements error.
func (e *redirectError) Error() string { return e.err.Error() }

// Unwrap returns the refusal.
func (e *redirectError) Unwrap() error { return e.err }

// refuse is the one place where an error becomes an answer.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, v *visit, err error) {
	v.err, v.reason = err, broker.ReasonOf(err)
	if r.Context().Err() != nil {
		v.outcome = requestLeft
	}
	if !v.recorded || v.reason == broker.ReasonStoreUnavailable || v.reason == broker.ReasonLogUnavailable {
		// A record that was staged with a commit that failed is lost with it.
		s.recordRefusal(v, err)
	}
	a := answerFor(v.reason)
	var re *redirectError
	var se *statusError
	switch {
	case errors.As(err, &re) && a.redirect != "":
		q := errorParams(a.redirect, s.describeError(v, err), re.state)
		q.Set("error_uri", s.helpURL(v.reason))
		s.redirect(w, r, re.uri, q)
	case v.kind == oauth:
		status := a.status
		if errors.As(err, &se) {
			status = se.status
		}
		s.refuseJSON(w, r, v, status, a.code, err)
	default:
		status := a.page
		if errors.As(err, &se) {
			status = se.status
		}
		if v.kind == plain {
			http.Error(w, http.StatusText(status)+" (request id "+v.id+")", status)
			return
		}
		s.refusePage(w, v, status, err)
	}
}

// refusePage shows a refusal to a person.
func (s *Server) refusePage(w http.ResponseWriter, v *visit, status int, err error) {
	public := v.reason.Public()
	h := helps[public]
	p := pages.Error{
		Status: status, RequestID: v.id, PublicReason: string(public), Title: h.title, Text: h.text,
		HelpURL: s.base + "/help/" + string(public), UserMessage: detail(err),
	}
	p.RetryAfter = retryAfter(err)
	var e *broker.Error
	if errors.As(err, &e) && !e.ReadAgain.IsZero() {
		p.ReadAgain = e.ReadAgain.Add(time.Minute - 1).Truncate(time.Minute) // not before, as the page shows minutes
	}
	s.cfg.Pages.Error(w, p)
}

// retryAfter is when asking again may help, in seconds; zero: unknown.
func retryAfter(err error) int {
	var t *signin.Throttled
	if errors.As(err, &t) {
		return seconds(t.RetryAfter)
	}
	var e *broker.Error
	if errors.As(err, &e) {
		return seconds(e.RetryAfter)
	}
	return 0
}

// refuseJSON writes an error of RFC 6749 section 5.2.
func (s *Server) refuseJSON(w http.ResponseWriter, r *http.Request, v *visit, status int, code string, err error) {
	if status == http.StatusUnauthorized && r.Header.Get("Authorization") != "" {
		w.Header().Set("WWW-Authenticate", `Basic realm="guestlist"`)
	}
	after := retryAfter(err)
	if status == http.StatusServiceUnavailable {
		after = max(after, 1)
	}
	if after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(after))
	}
	writeJSON(w, status, map[string]any{
		"error": code, "error_description": s.describeError(v, err), "error_uri": s.helpURL(v.reason), "request_id": v.id,
	})
}

// describeError is the text of a refusal for strangers, with the request id.
func (s *Server) describeError(v *visit, err error) string {
	text := detail(err)
	if text == "" {
		text = helps[v.reason.Public()].title + "."
	}
	return printable(text) + " Request ID: " + v.id
}

// detail is what the refusal itself says to strangers, on purpose.
func detail(err error) string {
	var e *broker.Error
	if errors.As(err, &e) {
		return bounded(e.Detail, 300)
	}
	return ""
}

// printable keeps the characters that error_description may have (RFC 6749
// section 4.1.2.1).
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '"':
			return '\''
		case r == '\\' || r < ' ' || r > '~':
			return '?'
		}
		return r
	}, s)
}

// helpURL is the help page of a reason's public reason.
func (s *Server) helpURL(r broker.Reason) string { return s.url("/help/" + string(r.Public())) }

// errorParams are the parameters of an error response (RFC 6749 section
// 4.1.2.1); iss is added by redirect, error_uri by refuse.
func errorParams(code, text, state string) url.Values {
	q := url.Values{"error": {code}, "error_description": {text}}
	if state != "" {
		q.Set("state", state)
	}
	return q
}

// redirect sends the browser to a proven redirect URI, whose bytes are kept,
// with iss always (RFC 9207). Never 307: the form must not be sent along.
func (s *Server) redirect(w http.ResponseWriter, r *http.Request, uri string, q url.Values) {
	q.Set("iss", s.cfg.Issuer)
	sep := "?"
	if strings.Contains(uri, "?") {
		sep = "&"
	}
	if strings.HasSuffix(uri, "?") || strings.HasSuffix(uri, "&") {
		sep = ""
	}
	w.Header().Set("Location", uri+sep+q.Encode())
	w.Header().Set("Referrer-Policy", "no-referrer")
	status := http.StatusFound
	if r.Method == http.MethodPost {
		status = http.StatusSeeOther
	}
	w.WriteHeader(status)
}

// writeJSON writes a value that must not be cached.
func writeJSON(w http.ResponseWriter, status int, value any) {
	b, err := json.Marshal(value)
	if err != nil {
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	w.Write(b)
}

// recordRefusal makes the record of a refusal that admission did not author:
// every id that a stranger is shown can be looked up.
func (s *Server) recordRefusal(v *visit, err error) {
	reason := broker.ReasonOf(err)
	v.decision = broker.NewID()
	s.cfg.Batch.Add(decisionlog.Record{
		DecisionID: v.decision, Timestamp: s.cfg.Now(), Event: decisionlog.EventRequestRefused, Outcome: decisionlog.OutcomeRefused,
		Reason: string(reason), PublicReason: string(reason.Public()), RequestID: v.id, TraceID: v.trace.TraceID, SpanID: v.trace.SpanID, ClientID: v.client, ClientIDDigest: v.digest,
		Subject: v.subject, Revision: s.cfg.Broker.Revision(), Source: v.source.String(),
		Detail: bounded(v.route+": "+err.Error(), 1000),
	})
}
