package broker

import "time"

// began starts the input of the phases: what every phase knows.
func (c *call) began() error {
	client, host, err := c.firstSeen()
	if err != nil {
		return &Error{Reason: ReasonStoreUnavailable, Err: err}
	}
	c.input = c.baseInput(c.req.Facts)
	c.input.Client.FirstSeen, c.input.Client.HostFirstSeen = client.UTC(), host.UTC()
	return nil
}

// firstSeen is when this client, and any client of its host, was first
// admitted; the present moment where none ever was, and for a client_id that
// is no URL, which an operator named.
func (c *call) firstSeen() (client, host time.Time, err error) {
	if c.id.IsOpaque() {
		return c.now, c.now, nil
	}
	if host, err = c.sighted(c.id.Host); err != nil {
		return client, host, err
	}
	if client = c.row.Since(); client.IsZero() {
		client, err = c.sighted(c.id.String())
	}
	return client, earlier(client, host), err
}

// sighted is when the store saw a name first, no later than now.
func (c *call) sighted(name string) (time.Time, error) {
	at, err := c.u.FirstSeen(c.ctx, name)
	if err != nil || at.IsZero() {
		return c.now, err
	}
	return earlier(at, c.now), nil
}
