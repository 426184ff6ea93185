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

// tries is how often an act runs when state moved under it (design §7).
const tries = 3

// step runs fn on a unit of work and commits what it staged, once, also when
// fn refused: a refusal may have ended something. Where fn could not read the
// store nothing is committed. It runs fn again when the epoch or a client moved
// meanwhile.
func (a *api) step(ctx context.Context, fn func(u store.Unit) error) error {
	var lost error
	for range tries {
		u := a.cfg.Store.Begin()
		result := fn(u)
		if u.Empty() || errors.Is(result, store.ErrUnavailable) {
			return result
		}
		if lost = a.cfg.Store.Commit(ctx, u); lost == nil {
			return result
		}
		if !errors.Is(lost, broker.ErrConflict) {
			return lost
		}
	}
	return fail(http.StatusConflict, "the clients changed meanwhile, %d times. Remedy: ask again (%s)", tries, lost)
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
