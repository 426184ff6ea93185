package broker

import (
	"errors"
	"slices"
	"strings"
	"time"

	"guestlist/broker/cimd"
	"guestlist/broker/decisionlog"
	"guestlist/broker/fetch"
)

// obtain brings the document: from the row while it is fresh, else from its
// host, else, in transient trouble of the host, from the row while it is
// usable (design §5).
func (c *call) obtain(d Decision) error {
	profile := cimd.Profile(d.Settings.Document.Profile)
	if c.given != nil {
		return c.take(profile)
	}
	if !c.apart && c.own() && c.row.Fresh(c.now) {
		return c.fromStore(profile)
	}
	if err := c.findRoom(); err != nil {
		return err
	}
	began := c.b.cfg.Now()
	limits := c.limits(d)
	held, stored := c.copyHeld(limits, profile)
	got, p, err := c.b.origin.document(c.ctx, wanted{
		id: c.id, limits: limits, held: held, copy: stored, profile: profile, source: decisionlog.Subscriber(c.req.Facts.Source.IP),
		domain: c.domain(), request: c.req.RequestID, cold: !c.live, exact: namesHost(d), apart: c.apart, afresh: c.afresh,
	})
	c.metrics["timer_fetch_ns"] = c.b.cfg.Now().Sub(began).Nanoseconds()
	if isForm(err) {
		c.withdraw(fromCIMD(err))
		return fromCIMD(err)
	}
	if err != nil {
		return c.unobtained(err, profile)
	}
	c.doc = parsed{
		Parsed: p, from: fromNetwork, body: got.Body, fetchedAt: got.FetchedAt, freshFor: got.FreshFor,
		etag: got.ETag, lastModified: got.LastModified,
	}
	// The digests of others were looked at before.
	if err := c.anyBlock([]blockKey{documentBlock(c.doc.SHA256)}); err != nil {
		return err
	}
	return nil
}

// limits are the settings' and the server's bounds on one fetch.
func (c *call) limits(d Decision) fetch.Limits {
	s := d.Settings.Document
	return fetch.Limits{
		MaxBytes:  s.MaxBytes,
		Floor:     max(s.TTLFloor.Std(), c.b.cfg.Cache.Floor),
		Default:   c.b.cfg.Cache.Default,
		Ceiling:   min(s.TTLCeiling.Std(), c.b.cfg.Cache.Ceiling),
		AllowPort: namesPort(d),
		Network:   d.Settings.Network.Fetch(),
	}
}

// copyHeld are the stored document of this client and its validators, where
// its host gave any and it would be accepted as it is: an answer that it still
// stands is worth nothing otherwise (B37).
func (c *call) copyHeld(lim fetch.Limits, profile cimd.Profile) (fetch.Held, []byte) {
	held := fetch.Held{ETag: c.row.ETag, LastModified: c.row.LastModified}
	if !c.own() || c.afresh || held == (fetch.Held{}) || int64(len(c.row.Published)) > lim.MaxBytes {
		return fetch.Held{}, nil
	}
	if _, err := c.b.reread.document(c.row.Published, c.id, profile); err != nil {
		return fetch.Held{}, nil
	}
	held.FreshFor = c.row.FreshUntil.Sub(c.row.FetchedAt)
	return held, c.row.Published
}

// fromStore judges the stored document again.
func (c *call) fromStore(profile cimd.Profile) error {
	p, err := c.b.reread.document(c.row.Published, c.id, profile)
	if err != nil {
		return fromCIMD(err)
	}
	c.doc = parsed{Parsed: p, from: fromStore, body: c.row.Published, fetchedAt: c.row.FetchedAt}
	return nil
}

// unobtained falls back on the row in transient trouble and while fetches are
// paced, and ends its usability otherwise.
func (c *call) unobtained(err error, profile cimd.Profile) error {
	usable := c.own() && !c.apart && c.now.Before(c.row.UsableUntil)
	var e *Error
	var fe *fetch.Error
	switch {
	case errors.As(err, &e):
		if usable && e.RetryAfter > 0 {
			return c.fromStore(profile)
		}
		return e
	case !errors.As(err, &fe):
		return &Error{Reason: ReasonFetchFailed, Err: err}
	case fe.Transient && usable:
		return c.fromStore(profile)
	}
	refused := &Error{Reason: Reason(fe.Reason), Err: err}
	if !fe.Transient {
		c.withdraw(refused)
	}
	return refused
}

// stage prepares the client's row when this request gave it a new life or a
// document that its host served; a row that is reused at most lives longer.
func (c *call) stage(d Decision) {
	if c.doc.from == fromStore && c.doc.SHA256 == c.row.DocumentSHA256 {
		c.reuse(d.Settings)
		return
	}
	row, isNew, write := c.row, !c.live, c.u.UpdateClient
	if isNew {
		row, write = Client{Incarnation: newIncarnation(), CreatedAt: c.now}, c.u.CreateClient
		if first := c.input.Client.FirstSeen; first.Before(c.now) {
			row.FirstSeen = first
		}
	}
	row.ID, row.Registration, row.Domain = c.id.String(), c.registration, c.domain()
	c.putInForce(&row)
	if c.doc.from != fromStore {
		c.seen(&row, d.Settings)
	}
	row.Policy, row.Tags, row.Revision, row.OnPolicyChange = d.Winner, d.Settings.Tags, c.out.Revision, d.Settings.OnPolicyChange
	row.ExpiresAt = c.expiry(row, d.Settings)
	c.out.Client = row
	c.write = func() {
		c.u.RequireEpoch(c.out.Epoch)
		if isNew && c.given == nil {
			c.u.CapClients(row.Domain, row.Policy, c.caps())
		}
		write(row)
		c.writeBeside()
	}
}

// putInForce makes the document at hand the row's. One that is another than
// before enters the client's history, unless it waited and stands there
// already.
func (c *call) putInForce(row *Client) {
	if row.DocumentSHA256 != c.doc.SHA256 && (row.Pending == nil || row.Pending.SHA256 != c.doc.SHA256) {
		c.putVersion()
	}
	if len(c.changes) > 0 {
		c.tell(decisionlog.EventDocumentChanged, decisionlog.OutcomeDone, c.doc.SHA256, strings.Join(c.changes, " ")+": in force")
	}
	row.setDocument(c.doc, c.changes, c.now)
}

// setDocument puts a document in force.
func (row *Client) setDocument(doc parsed, changes []string, now time.Time) {
	row.Document, row.DocumentSHA256, row.DocumentBytes, row.Published = doc.Document, doc.SHA256, len(doc.body), doc.body
	row.ETag, row.LastModified, row.Pending = doc.etag, doc.lastModified, nil
	moved := slices.Contains(changes, changeKeysMoved)
	if moved || slices.Contains(changes, changeAuthWeakened) {
		row.KeysChangedAt = now
	}
	if moved {
		row.Keys, row.PendingKeys = nil, nil
	}
}

// reuse leaves the row alone as long as it outlives the flow that starts now
// and nothing was learnt of its document.
func (c *call) reuse(s Settings) {
	row := c.row
	until := c.now.Add(min(c.flow(), s.ClientTTL.Std()))
	changed := stricter(row.OnPolicyChange, row.OnPolicyChange) != s.OnPolicyChange
	row.OnPolicyChange = s.OnPolicyChange
	switch longer := until.After(row.ExpiresAt); {
	case c.told:
		row.ExpiresAt = c.expiry(row, s)
		c.row, c.write = row, c.rewrite
	case changed:
		row.ExpiresAt = later(until, row.ExpiresAt)
		c.row, c.write = row, c.rewrite
	case longer:
		row.ExpiresAt = until
		c.write = func() {
			c.u.RequireEpoch(c.out.Epoch)
			c.u.ExtendClient(row.ID, row.Incarnation, until)
		}
	}
	c.out.Client, c.out.Reused = row, !c.told
	c.out.Client.Document = c.doc.Document
}

// flow is how long a flow may take from its start to the exchange of its code.
func (c *call) flow() time.Duration { return c.b.cfg.Lives.Ticket + c.b.cfg.Lives.Code }

// freshFor bounds the freshness that the fetch was given by the settings of
// the document phase, which may not have been known when it was fetched.
func (c *call) freshFor(s Settings) time.Duration {
	lim := c.limits(Decision{Settings: s})
	return min(c.doc.freshFor, max(lim.Ceiling, lim.Floor))
}

// expiry is the end of the client's life: usable until, or the end of a flow
// started at the last moment of freshness, or what it was, whichever is latest;
// never past client_ttl. Grants move it forward by ExtendClient.
func (c *call) expiry(row Client, s Settings) time.Time {
	end := later(row.FreshUntil, c.now).Add(c.flow())
	return earlier(later(later(row.UsableUntil, end), row.ExpiresAt), c.now.Add(s.ClientTTL.Std()))
}

// later returns the later of two times.
func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// earlier returns the earlier of two times.
func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// namesPort reports whether a winning pattern spells out a port.
func namesPort(d Decision) bool {
	return slices.ContainsFunc(winningHosts(d), func(host string) bool { return strings.Contains(host, ":") })
}

// namesHost reports whether a winning pattern spells out the host.
func namesHost(d Decision) bool {
	return slices.ContainsFunc(winningHosts(d), func(host string) bool { return !strings.Contains(host, "*") })
}

// winningHosts are the hosts, ports included, of the patterns that won.
func winningHosts(d Decision) []string {
	var out []string
	for _, c := range d.Candidates {
		rest, isPattern := strings.CutPrefix(c.Pattern, "https://")
		if host, _, _ := strings.Cut(rest, "/"); isPattern && slices.Contains(d.Winner, c.Policy) {
			out = append(out, host)
		}
	}
	return out
}
