package broker

import (
	"time"

	"guestlist/broker/cimd"
)

// proceed asks the user or refresh phase about the stored document.
func (c *call) proceed() error {
	bound := c.req.Bound
	switch {
	case !c.live:
		return Refuse(ReasonClientEnded, "the client has no row any more")
	case bound != nil && bound.Incarnation != c.row.Incarnation:
		return Refuse(ReasonClientEnded, "the client was admitted anew since; incarnation %d is over", bound.Incarnation)
	case bound != nil && bound.DocumentSHA256 != "" && bound.DocumentSHA256 != c.row.DocumentSHA256:
		return Refuse(ReasonDocumentChanged, "the document changed from %s to %s", bound.DocumentSHA256, c.row.DocumentSHA256)
	}
	if bound != nil && bound.DocumentSHA256 != "" && !c.row.WithdrawnAt.IsZero() {
		return Refuse(ReasonDocumentChanged, "the document was withdrawn or replaced by one that is refused, at %s", c.row.WithdrawnAt.UTC().Format(time.RFC3339))
	}
	p, err := c.stored(cimd.ProfileCIMD)
	if err != nil {
		return &Error{Reason: ReasonServerTrouble, Err: err}
	}
	c.doc = parsed{Parsed: p, from: fromStore, body: c.row.Published, fetchedAt: c.row.FetchedAt}
	if err := c.stillListed(); err != nil {
		return err
	}
	if err := c.began(); err != nil {
		return err
	}
	c.describeDocument()
	c.input.User = totalUser(*c.req.Person).readBy(c.policy)
	phase := PhaseUser
	if r := c.req.Refresh; r != nil {
		phase, c.input.Grant, c.input.Now = PhaseRefresh, totalGrant(r.Grant), totalNow(r.Now)
	}
	d := c.ask(phase, &c.doc.Document)
	c.out.Client, c.out.RedirectURI = c.row, c.req.Facts.RedirectURI
	c.out.Client.Document = c.doc.Document
	if !d.Allowed {
		c.lapse(d)
		return refusal(d)
	}
	return c.stands(d.Settings)
}
