package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/store"
)

// What is known of a request id that no record names.
const (
	UnnamedSummarised = "summarised" // one summary of refusals has it in its digest
	UnnamedSeveral    = "several"    // so have several, or one that has no digest of all its ids
	UnnamedUnrecorded = "unrecorded" // none has it: nothing was refused, as far as there are records
)

// Unnamed is what is known of a request id that no record names.
type Unnamed struct {
	GivenAt time.Time `json:"given_at"` // the moment in the id, UTC
	Verdict string    `json:"verdict"`  // one of the Unnamed constants
	Told    string    `json:"told"`     // the same in a sentence
}

// unnamedMost is how many summaries an answer shows.
const unnamedMost = 20

// span is where summaries are looked for around the moment in an id.
type span struct {
	before, after time.Duration
	pages         int  // of summaries that are read at most
	newest        bool // those that were written last come first
}

// A flood is refused at once and written a second late, a document that does
// not come takes longer. While the log cannot be written a summary goes on, and
// is written behind all that was before.
var unnamedSpans = []span{{5 * time.Second, 5 * time.Second, 20, false}, {time.Minute, 2 * time.Minute, 20, false}, {7 * 24 * time.Hour, 2 * time.Minute, 5, true}}

// lateMost is how much later than a summary's last request one may have come
// that it counts: refusals do not come in the order of their requests.
const lateMost = time.Minute

// unnamed tells what is known of an id that no record has. What this server
// cannot have given out is an error with status 404.
func (a *api) unnamed(ctx context.Context, id string) (any, error) {
	at, ok := broker.RequestIDTime(id)
	if !ok {
		return nil, fail(http.StatusNotFound, "no record has the id %.200q, and this server never gave it out: its request ids are 32 digits of 0 to 9 and a to f. guestlist audit ls shows which records there are", id)
	}
	if at.After(a.cfg.Now().Add(time.Minute)) {
		return nil, fail(http.StatusNotFound, "no record has the id %s, and this server never gave it out: as a request id it is of %s, which is to come. guestlist audit ls shows which records there are", id, at.Format(time.RFC3339))
	}
	first, err := a.cfg.Store.Records(ctx, store.RecordQuery{Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(first) > 0 {
		if r, err := first[0].Record(); err == nil && at.Add(time.Second).Before(r.Timestamp) {
			return nil, fail(http.StatusNotFound, "no record has the id %s: as a request id it is of %s, and this log begins at %s", id, at.Format(time.RFC3339Nano), r.Timestamp.Format(time.RFC3339Nano))
		}
	}
	out := Why{RequestID: id, Records: []json.RawMessage{}, Unnamed: &Unnamed{GivenAt: at}}
	for _, span := range unnamedSpans {
		found, err := a.standing(ctx, id, at, span)
		if err != nil {
			return nil, err
		}
		if found.better(out.Unnamed) {
			if err := out.tell(found); err != nil {
				return nil, err
			}
		}
		if v := out.Unnamed.Verdict; v == UnnamedSummarised || v == UnnamedSeveral && span.before >= time.Minute {
			break
		}
	}
	return out, nil
}

// standing are summaries that may stand for one request: those whose digest has
// its id, or where there is none those that cannot tell.
type standing struct {
	sealed  []decisionlog.Sealed
	records []decisionlog.Record
	sure    decisionlog.Standing
}

// better reports whether s says more than what is known.
func (s standing) better(u *Unnamed) bool {
	return u.Verdict == "" || u.Verdict == UnnamedUnrecorded || s.sure == decisionlog.StandsProbably
}

// standing reads the summaries that begin in a span around a moment and do not
// end before it.
func (a *api) standing(ctx context.Context, id string, at time.Time, in span) (standing, error) {
	var out standing
	q := store.RecordQuery{Summaries: true, Since: at.Add(-in.before), Until: at.Add(in.after), Limit: 1000, Newest: in.newest}
	for range in.pages {
		page, err := a.cfg.Store.Records(ctx, q)
		if err != nil {
			return out, err
		}
		for _, sealed := range page {
			if q.After = sealed.Seq; q.Newest {
				q.After, q.Before = 0, sealed.Seq
			}
			if r, err := sealed.Record(); err == nil && !over(r, at) {
				out.take(sealed, r, r.StandsFor(id))
			}
		}
		if len(page) < q.Limit {
			break
		}
	}
	return out, nil
}

// over reports whether the last request of a summary came so long before a
// moment that it counts none from then.
func over(r decisionlog.Record, at time.Time) bool {
	last, ok := broker.RequestIDTime(r.LastRequestID)
	return ok && last.Add(lateMost).Before(at)
}

// take keeps the summaries that stand surest.
func (s *standing) take(sealed decisionlog.Sealed, r decisionlog.Record, sure decisionlog.Standing) {
	if sure == decisionlog.StandsNot || sure < s.sure {
		return
	}
	if sure > s.sure {
		*s = standing{sure: sure}
	}
	s.sealed, s.records = append(s.sealed, sealed), append(s.records, r)
}

// tell writes what was found into the answer.
func (w *Why) tell(s standing) error {
	u := w.Unnamed
	switch {
	case len(s.records) == 0:
		u.Verdict = UnnamedUnrecorded
		u.Told = "nothing recorded at that moment has this id. Every answer has one, if it is this server's: of what is not refused only decisions and acts are recorded, " +
			"not metadata, keys, help, status, an address that is none, a page shown, or each introspection. Of the reads of an operator, and of their acts that are refused, the first in a minute is. The server's log has a line http.request or admin.request with it. " +
			"Refusals of the last second before the server is killed are lost"
		return nil
	case len(s.records) == 1 && s.sure == decisionlog.StandsProbably:
		u.Verdict = UnnamedSummarised
		u.Told = fmt.Sprintf("one of %d like refusals of %s that one record counts; its digest has this id, and has a foreign one about once in 2,000 times", s.records[0].Count, networkOf(s.sealed[0], s.records[0]))
	case s.sure == decisionlog.StandsProbably:
		u.Verdict = UnnamedSeveral
		u.Told = fmt.Sprintf("one of the like refusals that %d records count: the digests of all of them have this id, and each has a foreign one about once in 2,000 times", len(s.records))
	default:
		u.Verdict = UnnamedSeveral
		u.Told = fmt.Sprintf("perhaps one of the like refusals that %d records count, which have no digest of all their ids; perhaps nothing was refused", len(s.records))
	}
	w.Reason, w.PublicReason = s.records[0].Reason, s.records[0].PublicReason
	for _, r := range s.records {
		if r.Reason != w.Reason {
			w.Reason, w.PublicReason = "", ""
		}
	}
	if len(s.sealed) > unnamedMost {
		s.sealed = s.sealed[:unnamedMost]
		u.Told += fmt.Sprintf("; the first %d are shown", unnamedMost)
	}
	var err error
	w.Records, err = inView(s.sealed, decisionlog.Sealed.JSON)
	return err
}

// networkOf names the network that a summary is about.
func networkOf(s decisionlog.Sealed, r decisionlog.Record) string {
	network := decisionlog.Subscriber(r.Source)
	switch {
	case s.Body == nil, slices.Contains(r.Erased, "/source"):
		return "a network that is erased"
	case r.Source == "":
		return "several networks"
	case !network.IsValid():
		return r.Source
	}
	return network.String()
}
