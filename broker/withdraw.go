package broker

import (
	"time"

	"guestlist/broker/cimd"
	"guestlist/broker/decisionlog"
)

// goneAfter is how long after it was first found withdrawn a document that is
// so still counts as gone.
const goneAfter = time.Hour

// withdraw makes a stored document stop standing in for its host: the host
// itself withdrew it, or serves something that is refused. Found so again, an
// hour or more later, it is gone, which refreshes feel (design §5). What waited
// for approval is dropped: it is published no longer.
func (c *call) withdraw(cause error) {
	row := c.row
	switch {
	case !c.live || c.dry || !row.GoneAt.IsZero():
		return
	case row.WithdrawnAt.IsZero():
		row.WithdrawnAt = c.now
		row.UsableUntil, row.FreshUntil = earlier(row.UsableUntil, c.now), earlier(row.FreshUntil, c.now)
	case c.now.Before(row.WithdrawnAt.Add(goneAfter)):
		return
	default:
		row.GoneAt = c.now
	}
	row.Pending = nil
	c.row = row
	c.u.RequireEpoch(c.out.Epoch)
	c.u.UpdateClient(row)
	r := c.event(decisionlog.EventDocumentWithdrawn, decisionlog.OutcomeDone, cause.Error())
	r.Reason = string(ReasonOf(cause))
	c.u.Append(r)
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

// event is a record about the stored client.
func (c *call) event(event, outcome, detail string) decisionlog.Record {
	return decisionlog.Record{
		DecisionID: NewID(), Timestamp: c.now, Event: event, Outcome: outcome, RequestID: c.req.RequestID, TraceID: c.req.TraceID, SpanID: c.req.SpanID,
		Path: Contract, Revision: c.out.Revision, Engine: c.policy.Engine(), Epoch: c.out.Epoch, ClientID: c.row.ID,
		Registration: string(c.row.Registration), Incarnation: c.row.Incarnation, DocumentSHA256: c.row.DocumentSHA256,
		Policy: c.row.Policy, Actor: c.actor, Detail: detail,
	}
}

// tell writes a record about a document of the stored client together with the
// row.
func (c *call) tell(event, outcome, sha256, detail string) {
	r := c.event(event, outcome, detail)
	r.DocumentSHA256 = sha256
	c.beside = append(c.beside, func() { c.u.Append(r) })
}

// putVersion writes the document at hand into the client's history, together
// with the row, where the store has room for that.
func (c *call) putVersion() {
	if c.b.room() >= RoomForKnown {
		return
	}
	v := Version{ClientID: c.id.String(), SHA256: c.doc.SHA256, Published: c.doc.body, SeenAt: c.now, From: c.doc.from, Changes: list(c.changes)}
	c.beside = append(c.beside, func() { c.u.PutVersion(v) })
}

// writeBeside stages what goes with the row.
func (c *call) writeBeside() {
	for _, write := range c.beside {
		write()
	}
}
