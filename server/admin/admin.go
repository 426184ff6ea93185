// Package admin is the operator's API on its own socket; never on the public
// one.
//
// It is JSON over HTTP on a Unix socket of mode 0600. Who asks is the peer of
// the connection as the kernel names it: requests of anybody but the socket's
// owner and root are refused, and so are requests that came over any other
// kind of connection, so that a handler mounted on a public listener by
// mistake answers nothing.
//
//	GET  /v1/clients?after=&limit=&FILTER    client rows in the order of their identifiers, pins without a row among them
//	GET  /v1/clients/show?id=URL             one client: its document, pin, blocks and grants
//	GET  /v1/clients/history?id=URL          the documents that were in force for it, or waited, newest first
//	GET  /v1/clients/reach?FILTER            how many clients are stored, and grants they have that have not ended
//	GET  /v1/clients/preview?id=URL          what would come of its next flow; fetches, and keeps nothing
//	POST /v1/clients/refresh?id=URL          fetch its document now; 429 within 30 s of the last time
//	POST /v1/clients/approve?id=URL&sha256=  put in force the document that waits
//	POST /v1/clients/pin?id=URL              use the document in the body, and fetch none
//	POST /v1/clients/unpin?id=URL            use its host's document again
//	POST /v1/clients/block?kind=&value=&reason=   keep out a url, host, domain or document, and end what it covers
//	POST /v1/clients/unblock?kind=&value=    take a block back
//	POST /v1/clients/revoke?FILTER&why=      end clients and their grants
//	GET  /v1/blocks                          every block
//	GET  /v1/audit?RECORDS                records that fit, in a view
//	GET  /v1/audit/why?id=ID&at=&material=   the records behind a request, a decision, or a client at a moment, and their story
//	GET  /v1/audit/holds                  every legal hold
//	POST /v1/audit/holds/add?RECORDS&why=   keep the bodies of records that fit, whatever their age
//	POST /v1/audit/holds/drop?id=         end a hold; what it held goes by its age
//	GET  /v1/report/clients?FILTER        who has access to what, with totals
//	GET  /metrics, /livez, /readyz         for monitoring, the last with detail
//	GET  /v1/status                       what the process says of itself
//	GET  /v1/policies?patterns=           the policies that decide, with what they name where patterns=all, and their hits
//	GET  /v1/policies/status              the revision that decides, and what was wrong with the last load
//	POST /v1/policies/reload              load the policies again
//	POST /v1/keys/rotate?purpose=         publish a new key that takes over later
//	POST /v1/keys/destroy?purpose=        put a new key in the place of one that is gone for ever
//
// An act about clients is one commit with its record, which names the peer as
// the actor; where many clients end, each page of them is one.
//
// A read has a record too, admin.request or, of /v1/audit, log.exported: the
// first after a minute in which the same operator did not ask the same route.
// So has what is refused. Only the two routes of status have none.
//
// Every answer has an X-Request-Id, and every record of what was done for it
// has that as its request_id.
//
// FILTER is url=&url_prefix=&host=&domain=&document=&policy=&label=&registration=&state=,
// all of which must fit.
//
// RECORDS is client_id=&host=&domain=&person=&policy=&label=&grant_id=&event=&outcome=&reason=&since=&until=,
// all of which must fit, with after=&before=&limit=&newest=&view=&wait= for the page.
//
// An error is {"error": text}. Unknown and repeated parameters are refused;
// an empty one counts as absent. Identifiers travel in the query, never in
// the path, and may hold any character.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/rs/zerolog"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/store"
)

// Config is what the admin API needs. Store, Flush and Now are required.
type Config struct {
	Store  store.Store                     // read from; acts of operators are recorded in it
	Flush  func(ctx context.Context) error // writes the records that are held for a batch; called before the log is read
	Now    func() time.Time                // the clock
	Log    zerolog.Logger                  // one event of each request, but of monitoring's; the zero value: none
	Status func(ctx context.Context) any   // encoded as JSON by /v1/status; nil: the route answers 404
	// Policies lists the policies that decide, with every pattern where those
	// are wanted; PolicyStatus says which revision they are, since when, and what
	// was wrong with the last load. Both are encoded as JSON; nil: the route
	// answers 404.
	Policies     func(ctx context.Context, patterns bool) (any, error)
	PolicyStatus func(ctx context.Context) (any, error)

	// Pseudonym names a person in records; nil: records cannot be asked for by
	// username.
	Pseudonym func(username string) string

	// Story tells what stands behind the records of one /v1/audit/why, oldest
	// first, with the bytes of policies and document where material is set. It is
	// encoded as JSON; nil: there is none.
	Story func(ctx context.Context, records []decisionlog.Record, material bool) (any, error)

	Reload func(ctx context.Context) error // loads the policies again, [Actor] names who asked; nil: the route answers 404

	// Rotate publishes a new key of one purpose, "signing" or "sealing"; it
	// refuses others, with an error fit for the operator. nil: the route
	// answers 404.
	Rotate func(ctx context.Context, purpose string) error
	// Destroy replaces the key of a purpose, "pseudonym", for ever; it refuses
	// others, with an error fit for the operator. nil: the route answers 404.
	Destroy func(ctx context.Context, purpose string) error
	// Metrics answers /metrics and Ready /readyz, beside the routes of this API;
	// nil: the route answers 404.
	Metrics http.Handler
	Ready   func(ctx context.Context) Readiness
	// Later takes the records of reads and of what is refused, which need no
	// commit of their own, and of acts whose commit failed behind them; nil: those
	// have none.
	Later  func(decisionlog.Record) error
	Broker *broker.Broker // decides and stages the acts about clients; nil: their routes answer 404
}

// api answers requests.
type api struct {
	cfg    Config
	routes map[string]route
	sample decisionlog.Sample // of requests that are recorded
}

// New checks cfg and returns the handler. The http.Server that it runs on
// must have [ConnContext], else every request is refused.
func New(cfg Config) (http.Handler, error) {
	switch {
	case cfg.Store == nil:
		return nil, errors.New("admin: no store")
	case cfg.Flush == nil:
		return nil, errors.New("admin: no way to write held records")
	case cfg.Now == nil:
		return nil, errors.New("admin: no clock")
	}
	a := &api{cfg: cfg, sample: decisionlog.Sample{Quiet: true}}
	a.routes = a.table()
	return a, nil
}

// failure is an error with its HTTP status. Its text is for the operator.
type failure struct {
	status     int
	text       string
	retryAfter time.Duration // when asking again may help; zero: unknown
}

// Error implements error.
func (f *failure) Error() string { return f.text }

// fail makes a failure.
func fail(status int, format string, args ...any) error {
	return &failure{status: status, text: fmt.Sprintf(format, args...)}
}

// ServeHTTP implements http.Handler.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// An act may end many clients, and its answer says how many. A writer
	// that has no deadline needs none taken away.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
	if permit(r.Context()) == nil && watch(a.cfg.Metrics, a.cfg.Ready, w, r) {
		return
	}
	began := a.cfg.Now()
	id := broker.NewRequestID(began)
	r = r.WithContext(broker.WithRequest(r.Context(), id))
	w.Header().Set("X-Request-Id", id)
	value, err := a.answer(r)
	a.note(r, err)
	status := http.StatusOK
	if err != nil {
		f := failed(err)
		if status = f.status; f.retryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(seconds(f.retryAfter)))
		}
		value = problem{f.text}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.Encode(value) // what cannot be sent has nobody left to be told
	a.event(r, began, status, err)
}

// failed finds the answer to an error.
func failed(err error) *failure {
	var f *failure
	var refused *broker.Error
	switch {
	case errors.As(err, &f):
		return &failure{f.status, err.Error(), f.retryAfter}
	case errors.Is(err, store.ErrUnavailable):
		return &failure{status: http.StatusServiceUnavailable, text: err.Error()}
	case errors.As(err, &refused):
		f = brokerFailure(refused)
		if words := err.Error(); words != refused.Error() {
			f.text = words
		}
		return f
	}
	return &failure{status: http.StatusInternalServerError, text: err.Error()}
}

// problem is the body of an error.
type problem struct {
	Error string `json:"error"`
}

// answer lets the peer in, finds the route and checks the parameters.
func (a *api) answer(r *http.Request) (any, error) {
	if err := permit(r.Context()); err != nil {
		return nil, fail(http.StatusForbidden, "%s", err)
	}
	to, ok := a.routes[r.URL.Path]
	if !ok {
		return nil, fail(http.StatusNotFound, "no route %.100q", r.URL.Path)
	}
	if r.Method != to.method {
		return nil, fail(http.StatusMethodNotAllowed, "%s takes %s, not %.20q", r.URL.Path, to.method, r.Method)
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, fail(http.StatusBadRequest, "the query is malformed: %s", err)
	}
	for name, values := range q {
		if !slices.Contains(to.params, name) {
			return nil, fail(http.StatusBadRequest, "unknown parameter %.100q: known are %q", name, to.params)
		}
		if len(values) > 1 {
			return nil, fail(http.StatusBadRequest, "parameter %s is repeated", name)
		}
	}
	if to.body != "" {
		body, err := io.ReadAll(io.LimitReader(r.Body, bodyMax+1))
		if err != nil || len(body) > bodyMax {
			return nil, fail(http.StatusRequestEntityTooLarge, "the body cannot be read or has more than %d bytes", bodyMax)
		}
		q.Set(to.body, string(body))
	}
	return to.handle(r.Context(), q)
}

// status answers /v1/status.
func (a *api) status(ctx context.Context, _ url.Values) (any, error) {
	if a.cfg.Status == nil {
		return nil, fail(http.StatusNotFound, "this server has no status")
	}
	return a.cfg.Status(ctx), nil
}
