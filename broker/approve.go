package broker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"guestlist/broker/cimd"
	"guestlist/broker/decisionlog"
)

// Approved is what an operator's approval put in force.
type Approved struct {
	ClientID     string       `json:"client_id"`
	Registration Registration `json:"registration"`
	Before       string       `json:"before"`  // SHA-256 of the document that was in force
	SHA256       string       `json:"sha256"`  // of the document in force now
	Changes      []string     `json:"changes"` // see Changes; empty where only keys waited
	Keys         bool         `json:"keys"`    // keys behind jwks_uri that waited are accepted
}

// Waits names by one digest all of a client that waits for an operator: a
// document by its SHA-256, keys that wait together with the document that will
// then be in force, and, where nothing else waits, the one in force for keys
// whose change stopped older grants. Empty: nothing waits.
func (c Client) Waits() string {
	document := c.DocumentSHA256
	if c.Pending != nil {
		document = c.Pending.SHA256
	}
	switch {
	case len(c.PendingKeys) > 0:
		b, err := json.Marshal([]any{document, c.PendingKeys})
		if err != nil {
			panic("broker: strings cannot be written: " + err.Error())
		}
		sum := sha256.Sum256(b)
		return hex.EncodeToString(sum[:])
	case c.Pending != nil || !c.KeysChangedAt.IsZero():
		return document
	}
	return ""
}

// Approve puts in force what waits for an operator: the changed document of a
// client or of a pin, and keys that were replaced without continuity. Where
// only keys wait, grants that such a change stopped go on again; a document
// that is approved stops none, and lets none go on that was stopped before.
// digest is Waits, or the digest of the document that waits beside a pin, as
// the operator saw it; empty means whatever waits. The record
// document.approved names the actor. Nothing is fetched, and policy is asked
// at the next flow.
//
// Errors are *Error and mean that nothing may be committed:
// ReasonClientIDUnknown, ReasonNothingWaits, and ReasonDocumentChanged where
// something else waits than what is named.
func (b *Broker) Approve(ctx context.Context, u Unit, actor, clientID, digest string) (Approved, error) {
	c := b.asking(ctx, u, actor, clientID)
	if err := c.enter(); err != nil {
		return Approved{}, err
	}
	row, found, err := u.Client(ctx, clientID)
	pin, pinned, perr := u.Pin(ctx, clientID)
	switch err = errors.Join(err, perr); {
	case err != nil:
		return Approved{}, &Error{Reason: ReasonStoreUnavailable, Err: err}
	case pinned:
		return c.approvePin(pin, digest)
	case !found || row.Expired(c.now):
		return Approved{}, Refuse(ReasonClientIDUnknown, "no client has the id %.300q", clientID)
	}
	c.row, c.live, c.registration = row, true, row.Registration
	return c.approveRow(digest)
}

// approveRow puts in force what waits in the client's row.
func (c *call) approveRow(digest string) (Approved, error) {
	row := c.row
	p, waits, stopped := row.Pending, row.Waits(), row.KeysChangedAt
	out := Approved{
		ClientID: row.ID, Registration: row.Registration, Before: row.DocumentSHA256, SHA256: row.DocumentSHA256, Changes: []string{},
		Keys: len(row.PendingKeys) > 0 || p == nil,
	}
	switch {
	case waits == "":
		return Approved{}, Refuse(ReasonNothingWaits, "nothing of %s waits for approval", row.ID)
	case digest != "" && digest != waits:
		return Approved{}, Refuse(ReasonDocumentChanged, "%.64s does not wait: %s does", digest, waits)
	}
	if p == nil {
		stopped = time.Time{}
	} else {
		parsedDoc, err := cimd.ParseDocument(p.Published, c.id, cimd.ProfileCIMD)
		if err != nil {
			return Approved{}, fromCIMD(err)
		}
		out.SHA256, out.Changes = p.SHA256, Changes(row.Document, parsedDoc.Document)
		row.setDocument(parsed{Parsed: parsedDoc, body: p.Published}, out.Changes, c.now)
	}
	row.ApproveKeys()
	row.KeysChangedAt = stopped
	c.u.RequireEpoch(c.out.Epoch)
	c.u.UpdateClient(row)
	c.recordApproval(out)
	return out, nil
}

// approvePin makes the host's document the pinned one.
func (c *call) approvePin(pin Pin, digest string) (Approved, error) {
	p := pin.Pending
	switch {
	case p == nil:
		return Approved{}, Refuse(ReasonNothingWaits, "nothing of the pinned client %s waits for approval", pin.ID)
	case digest != "" && digest != p.SHA256:
		return Approved{}, Refuse(ReasonDocumentChanged, "%.64s does not wait: %s does", digest, p.SHA256)
	}
	out := Approved{ClientID: pin.ID, Registration: RegistrationPinned, Before: pin.SHA256, SHA256: p.SHA256, Changes: slices.Clone(p.Changes)}
	c.u.RequireEpoch(c.out.Epoch)
	c.u.PutPin(Pin{ID: pin.ID, Published: p.Published, SHA256: p.SHA256, Actor: c.actor, At: c.now})
	c.row.ID, c.row.Registration = pin.ID, RegistrationPinned
	c.recordApproval(out)
	return out, nil
}

// recordApproval stages the record of an approval.
func (c *call) recordApproval(a Approved) {
	detail := "approved in place of " + a.Before + ": "
	for _, class := range a.Changes {
		detail += class + " "
	}
	if a.Keys {
		detail += "keys"
	}
	r := c.event(decisionlog.EventDocumentApproved, decisionlog.OutcomeGranted, detail)
	r.DocumentSHA256 = a.SHA256
	c.u.Append(r)
}
