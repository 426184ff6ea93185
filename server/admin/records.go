package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"time"

	"guestlist/broker/decisionlog"
	"guestlist/store"
)

// RecordFilter selects records; every set member must fit.
type RecordFilter struct {
	ClientID string // exact client identifier
	Host     string // host of the client identifier
	Domain   string // registrable domain of the client identifier
	Person   string // username, or the pseudonym that records show
	Policy   string // one of the policies that gave the settings or refused
	Label    string // one of the policy's tags
	GrantID  string // exact grant
	Event    string // an event, or a name that means several: see decisionlog.Select
	Outcome  string // exact outcome
	Reason   string // exact reason

	Since  time.Time     // at or after
	Until  time.Time     // before
	After  uint64        // sequence numbers behind this one
	Before uint64        // sequence numbers before this one; zero: no bound
	Limit  int           // at most this many; zero means 100, the most is 1000
	Newest bool          // the newest ones, newest first; else the oldest
	View   string        // a name of decisionlog.Views; empty means native
	Wait   time.Duration // how long to wait for a record where none fits yet, up to 10 s
}

// RecordPage is the answer of /v1/audit.
type RecordPage struct {
	// Records are complete JSON objects, in the native view with seq; one that
	// cannot be read or proven is {"seq", "error"}.
	Records []json.RawMessage `json:"records"`
	First   uint64            `json:"first,omitempty"` // sequence number of the first of them
	Last    uint64            `json:"last,omitempty"`  // of the last
	More    bool              `json:"more,omitempty"`  // whether others fit behind the last one
}

// waitMax bounds how long an answer of /v1/audit waits for a record.
const waitMax = 10 * time.Second

// recordParams are the parameters of a RecordFilter.
var recordParams = []string{
	"client_id", "host", "domain", "person", "policy", "label", "grant_id", "event", "outcome", "reason",
	"since", "until", "after", "before", "limit", "newest", "view", "wait",
}

// query writes f as parameters.
func (f RecordFilter) query() url.Values {
	q := url.Values{}
	for i, v := range []string{f.ClientID, f.Host, f.Domain, f.Person, f.Policy, f.Label, f.GrantID, f.Event, f.Outcome, f.Reason} {
		set(q, recordParams[i], v)
	}
	setTime(q, "since", f.Since)
	setTime(q, "until", f.Until)
	setNumber(q, "after", f.After)
	setNumber(q, "before", f.Before)
	setLimit(q, f.Limit)
	set(q, "view", f.View)
	if f.Newest {
		q.Set("newest", "true")
	}
	if f.Wait > 0 {
		q.Set("wait", f.Wait.String())
	}
	return q
}

// Records returns the records that fit f.
func (c *Client) Records(ctx context.Context, f RecordFilter) ([]json.RawMessage, error) {
	page, err := c.RecordPage(ctx, f)
	return page.Records, err
}

// RecordPage returns the records that fit f, and where others begin.
func (c *Client) RecordPage(ctx context.Context, f RecordFilter) (RecordPage, error) {
	var out RecordPage
	err := c.call(ctx, http.MethodGet, "/v1/audit", f.query(), &out)
	return out, err
}

// listRecords answers /v1/audit.
func (a *api) listRecords(ctx context.Context, q url.Values) (any, error) {
	query, err := a.recordQuery(q)
	if err != nil {
		return nil, err
	}
	name := q.Get("view")
	if name == "" {
		name = decisionlog.ViewNative
	}
	write, err := decisionlog.View(name)
	if err != nil {
		return nil, fail(http.StatusBadRequest, "%s", err)
	}
	wait, err := waitOf(q)
	if err != nil {
		return nil, err
	}
	if err := a.flush(ctx); err != nil {
		return nil, err
	}
	limit := query.Limit
	query.Limit++ // to know whether there are more
	sealed, err := a.await(ctx, query, wait)
	if err != nil {
		return nil, err
	}
	page := RecordPage{More: len(sealed) > limit}
	sealed = sealed[:min(len(sealed), limit)]
	if n := len(sealed); n > 0 {
		page.First, page.Last = sealed[0].Seq, sealed[n-1].Seq
	}
	page.Records, err = inView(sealed, write)
	return page, err
}

// await reads records, and where there are none waits for some.
func (a *api) await(ctx context.Context, q store.RecordQuery, wait time.Duration) ([]decisionlog.Sealed, error) {
	over := time.After(wait)
	for {
		changed := a.cfg.Store.Changed()
		sealed, err := a.cfg.Store.Records(ctx, q)
		if err != nil || len(sealed) > 0 || wait == 0 {
			return sealed, err
		}
		select {
		case <-changed:
		case <-over:
			return nil, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// waitOf reads wait=.
func waitOf(q url.Values) (time.Duration, error) {
	s := q.Get("wait")
	if s == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || d > waitMax {
		return 0, fail(http.StatusBadRequest, "wait %.40q: want a duration up to %s", s, waitMax)
	}
	return d, nil
}

// pseudonym is how records name a person (see keys.Pseudonym).
var pseudonym = regexp.MustCompile(`^[A-Za-z0-9_-]{22}$`)

// recordQuery reads a RecordFilter.
func (a *api) recordQuery(q url.Values) (store.RecordQuery, error) {
	out := store.RecordQuery{
		ClientID: q.Get("client_id"), Host: q.Get("host"), Domain: q.Get("domain"), Subject: q.Get("person"), Policy: q.Get("policy"), Label: q.Get("label"),
		GrantID: q.Get("grant_id"), Event: q.Get("event"), Outcome: q.Get("outcome"), Reason: q.Get("reason"),
	}
	if out.Subject != "" && !pseudonym.MatchString(out.Subject) {
		if a.cfg.Pseudonym == nil {
			return out, fail(http.StatusNotFound, "this server cannot tell the pseudonym of a person: name it as records show it")
		}
		out.Subject = a.cfg.Pseudonym(out.Subject)
	}
	var err error
	if out.Limit, err = limitOf(q); err != nil {
		return out, err
	}
	for name, to := range map[string]*time.Time{"since": &out.Since, "until": &out.Until} {
		s := q.Get(name)
		if s == "" {
			continue
		}
		if *to, err = time.Parse(time.RFC3339Nano, s); err != nil {
			return out, fail(http.StatusBadRequest, "%s %.60q: want a time like 2026-11-20T10:00:00Z", name, s)
		}
	}
	for name, to := range map[string]*uint64{"after": &out.After, "before": &out.Before} {
		if s := q.Get(name); s != "" {
			if *to, err = strconv.ParseUint(s, 10, 64); err != nil {
				return out, fail(http.StatusBadRequest, "%s %.60q: want a sequence number", name, s)
			}
		}
	}
	if s := q.Get("newest"); s != "" {
		if out.Newest, err = strconv.ParseBool(s); err != nil {
			return out, fail(http.StatusBadRequest, "newest %.40q: want true or false", s)
		}
	}
	return out, nil
}

// records reads records as JSON objects.
func (a *api) records(ctx context.Context, q store.RecordQuery) ([]json.RawMessage, error) {
	sealed, err := a.cfg.Store.Records(ctx, q)
	if err != nil {
		return nil, err
	}
	return inView(sealed, decisionlog.Sealed.JSON)
}

// inView writes records. One that is damaged does not hide the others.
func inView(sealed []decisionlog.Sealed, write func(decisionlog.Sealed) ([]byte, error)) ([]json.RawMessage, error) {
	out := make([]json.RawMessage, 0, len(sealed))
	for _, s := range sealed {
		b, err := write(s)
		if err != nil {
			b, err = json.Marshal(map[string]any{"seq": s.Seq, "error": err.Error()})
		}
		if err != nil {
			return nil, fmt.Errorf("record %d: %w", s.Seq, err)
		}
		out = append(out, b)
	}
	return out, nil
}
