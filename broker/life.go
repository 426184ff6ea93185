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
	if c.own() && c.row.Fresh(c.now) {
		return c.fromStore(profile)
	}
	if err := c.findRoom(); err != nil {
		return err
	}
	began := c.b.cfg.Now()
	got, p, err := c.b.origin.document(c.ctx, wanted{
		id: c.id, limits: c.limits(d), profile: profile, source: decisionlog.Subscriber(c.req.Facts.Source.IP),
		domain: c.domain(), cold: !c.live, exact: namesHost(d),
	})
	c.metrics["timer_fetch_ns"] = c.b.cfg.Now().Sub(began).Nanoseconds()
	if isForm(err) {
		c.endUsability()
		return fromCIMD(err)
	}
	if err != nil {
		return c.unobtained(err, profile)
	}
	c.doc = parsed{Parsed: p, from: fromNetwork, body: got.Body, fetchedAt: got.FetchedAt, freshFor: got.FreshFor}
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

// fromStore judges the stored document again.
func (c *call) fromStore(profile cimd.Profile) error {
	p, err := c.b.reread.document(c.row.Published, c.id, profile)
	if err != nil {
		return fromCIMD(err)
	}
	c.doc = parsed{Parsed: p, from: "store", body: c.row.Published, fetchedAt: c.row.FetchedAt}
	return nil
}

// unobtained falls back on the row in transient trouble and while fetches are
// paced, and ends its usability otherwise.
func (c *call) unobtained(err error, profile cimd.Profile) error {
	usable := c.own() && c.now.Before(c.row.UsableUntil)
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
	if !fe.Transient {
		c.endUsability()
	}
	return &Error{Reason: Reason(fe.Reason), Err: err}
}

// endUsability makes a stored document stop standing in for its host: the
// host itself withdrew it, or serves something that is not a document.
func (c *call) endUsability() {
	if !c.live || !c.row.WithdrawnAt.IsZero() {
		return
	}
	row := c.row
	row.UsableUntil, row.FreshUntil = earlier(row.UsableUntil, c.now), earlier(row.FreshUntil, c.now)
	row.WithdrawnAt = c.now
	c.u.RequireEpoch(c.out.Epoch)
	c.u.UpdateClient(row)
	c.ended = true
}

// blamesDocument reports whether a refusal is about the new document and not
// about the request: a stranger's faulty request must not wear out a client.
func (c *call) blamesDocument(err error) bool {
	reason := ReasonOf(err)
	if reason == ReasonRedirectMismatch {
		_, _, before := cimd.MatchRedirect(c.row.Document.RedirectURIs, c.req.RedirectURI)
		return before
	}
	return !redirectable(reason) && (c.req.Fault == nil || reason != c.req.Fault.Reason)
}

// stage prepares the client's row when this request gave it a new life or a
// new document; a row that is reused at most lives longer.
func (c *call) stage(d Decision) {
	if c.doc.from == "store" {
		c.reuse(d.Settings)
		return
	}
	row := Client{
		ID: c.id.String(), Registration: c.registration, Domain: c.domain(), Incarnation: c.row.Incarnation, CreatedAt: c.row.CreatedAt,
		Document: c.doc.Document, DocumentSHA256: c.doc.SHA256, DocumentBytes: len(c.doc.body), Published: c.doc.body,
		FetchedAt: c.doc.fetchedAt, FreshUntil: c.doc.fetchedAt.Add(c.freshFor(d.Settings)),
		Policy: d.Winner, Tags: d.Settings.Tags, Revision: c.out.Revision, OnPolicyChange: d.Settings.OnPolicyChange,
	}
	if c.live {
		row.Keys, row.PendingKeys, row.KeysChangedAt = c.row.Keys, c.row.PendingKeys, c.row.KeysChangedAt
	}
	row.UsableUntil = row.FreshUntil.Add(d.Settings.Document.StaleIfError.Std())
	row.ExpiresAt = c.expiry(row, d.Settings)
	write, isNew := c.u.UpdateClient, !c.live
	if c.live {
		row.FetchedAt = later(row.FetchedAt, c.row.FetchedAt) // a shared fetch may be older than a pin that is gone
		row.ExpiresAt = later(row.ExpiresAt, earlier(c.row.ExpiresAt, c.now.Add(d.Settings.ClientTTL.Std())))
	} else {
		row.Incarnation, row.CreatedAt, write = newIncarnation(), c.now, c.u.CreateClient
	}
	c.out.Client = row
	c.write = func() {
		c.u.RequireEpoch(c.out.Epoch)
		if isNew && c.given == nil {
			c.u.CapClients(row.Domain, row.Policy, c.caps())
		}
		write(row)
	}
}

// reuse leaves the row alone as long as it outlives the flow that starts now.
func (c *call) reuse(s Settings) {
	c.out.Client, c.out.Reused = c.row, true
	until := c.now.Add(min(c.flow(), s.ClientTTL.Std()))
	changed := stricter(c.row.OnPolicyChange, c.row.OnPolicyChange) != s.OnPolicyChange
	if !changed && !until.After(c.row.ExpiresAt) {
		return
	}
	c.out.Client.ExpiresAt, c.out.Client.OnPolicyChange = later(until, c.row.ExpiresAt), s.OnPolicyChange
	row := c.out.Client
	c.write = func() {
		c.u.RequireEpoch(c.out.Epoch)
		if changed {
			c.u.UpdateClient(row)
			return
		}
		c.u.ExtendClient(row.ID, row.Incarnation, until)
	}
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
// started at the last moment of freshness, whichever is later; never past
// client_ttl. Grants move it forward by ExtendClient.
func (c *call) expiry(row Client, s Settings) time.Time {
	end := later(row.FreshUntil, c.now).Add(c.flow())
	return earlier(later(row.UsableUntil, end), c.now.Add(s.ClientTTL.Std()))
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
