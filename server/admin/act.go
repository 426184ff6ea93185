package admin

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"time"

	"guestlist/broker"
	"guestlist/store"
)

// step runs fn on a unit of work and commits what it staged, as store.Step does.
func (a *api) step(ctx context.Context, fn func(u store.Unit) error) error {
	result, lost := store.Step(a.cfg.Store.Begin, func(u store.Unit) error { return a.cfg.Store.Commit(ctx, u) }, fn)
	switch {
	case lost == nil:
		return result
	case errors.Is(lost, broker.ErrConflict):
		return fail(http.StatusConflict, "the clients changed meanwhile, %d times. Remedy: ask again (%s)", store.Tries, lost)
	}
	return lost
}

// acting answers the routes that need the broker, in a context that goes on
// when the operator hangs up: an act that has begun is finished.
func (a *api) acting(act handler) handler {
	return func(ctx context.Context, q url.Values) (any, error) {
		if a.cfg.Broker == nil {
			return nil, fail(http.StatusNotFound, "this server takes no acts about clients")
		}
		return act(context.WithoutCancel(ctx), q)
	}
}

// brokerFailure is the answer to a refusal of the broker. Operators see the
// precise cause.
func brokerFailure(e *broker.Error) *failure {
	f := &failure{status: http.StatusUnprocessableEntity, text: e.Error(), retryAfter: e.RetryAfter}
	switch {
	case e.RetryAfter > 0:
		f.status = http.StatusTooManyRequests
		f.text += fmt.Sprintf("; try again in %d s", seconds(e.RetryAfter))
	case e.Reason == broker.ReasonRequestInvalid:
		f.status = http.StatusBadRequest
		if e.Err != nil {
			f.text = e.Err.Error()
		}
	case e.Reason == broker.ReasonClientIDUnknown:
		f.status = http.StatusNotFound
	case e.Reason == broker.ReasonDocumentChanged:
		f.status = http.StatusConflict
	case e.Reason == broker.ReasonStoreUnavailable, e.Reason == broker.ReasonLogUnavailable:
		f.status = http.StatusServiceUnavailable
	case e.Reason == broker.ReasonServerTrouble:
		f.status = http.StatusInternalServerError
	}
	return f
}

// seconds rounds up to whole seconds.
func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }
