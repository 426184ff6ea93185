package admin

import (
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
)

// told bounds what a record says of a request.
const told = 400

// unrecorded are reads that say nothing of clients, people or records: what
// monitoring asks for all the time.
var unrecorded = []string{"/v1/status", "/v1/policies/status"}

// note records a request that no other record tells of: a read, and what was
// refused. A record that cannot be written does not keep the answer back: an
// operator looks because something is wrong.
func (a *api) note(r *http.Request, err error) {
	actor := Actor(r.Context())
	to, known := a.routes[r.URL.Path]
	read := known && to.method == http.MethodGet && r.Method == http.MethodGet
	refused := err != nil && (!read || permit(r.Context()) != nil)
	if a.cfg.Later == nil || actor == "" || !refused && !read {
		return
	}
	for _, path := range unrecorded {
		if read && !refused && r.URL.Path == path {
			return
		}
	}
	outcome := decisionlog.OutcomeDone
	if refused {
		outcome = decisionlog.OutcomeRefused
	}
	key := actor + " " + outcome + " " + r.URL.Path
	if !a.sample.Pick(key, a.cfg.Now()) {
		return
	}
	event := decisionlog.EventAdminRequest
	if read && !refused && r.URL.Path == "/v1/audit" {
		event = decisionlog.EventLogExported
	}
	rec, _, rerr := a.actRecord(r.Context(), event)
	if rerr == nil {
		rec.Outcome, rec.Detail = outcome, describeRequest(r)
		if refused {
			rec.Detail += ": " + oneLine(err.Error())
			if reason := broker.ReasonOf(err); reason != broker.ReasonServerTrouble {
				rec.Reason = string(reason)
			}
		}
		rerr = a.cfg.Later(rec)
	}
	if rerr != nil {
		a.sample.Forget(key) // the next one like it has the record
	}
}

// describeRequest says what was asked, on one line.
func describeRequest(r *http.Request) string {
	out := r.Method + " " + r.URL.Path
	if q, err := url.QueryUnescape(r.URL.RawQuery); err == nil && q != "" {
		out += " " + q
	}
	return oneLine(out)
}

// oneLine bounds s and keeps it on one line.
func oneLine(s string) string {
	if len(s) > told {
		s = s[:told] + "…"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "�"))
}
