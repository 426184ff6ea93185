package admin

import (
	"net/http"
	"time"

	"guestlist/broker"
)

// event writes the one event of a request. What was asked for is in its record,
// not here: of the address only the route appears.
func (a *api) event(r *http.Request, began time.Time, status int, err error) {
	route := r.URL.Path
	if _, known := a.routes[route]; !known {
		route = "none"
	}
	e := a.cfg.Log.Info().Str("event", "admin.request").Str("request_id", broker.RequestOf(r.Context())).Str("method", oneLine(r.Method)).Str("route", route).Int("status", status).
		Dur("took_ms", a.cfg.Now().Sub(began)).Str("actor", Actor(r.Context()))
	if err != nil {
		e = e.Str("outcome", "refused").Str("detail", oneLine(err.Error()))
		if reason := broker.ReasonOf(err); reason != broker.ReasonServerTrouble {
			e = e.Str("reason", string(reason))
		}
	}
	e.Send()
}
