package broker

import "errors"

// hint tells whoever asked that a stored copy of the document was judged, and
// when it is fetched again (G-27): a redirect URI that was published a minute
// ago is not in the copy.
//
// That a copy is stored tells a stranger that the client is known here. They
// learn it only from reasons that are about the document itself, which say
// already that policy lets the client come this far; never where policy
// refused.
func (c *call) hint(err error) {
	var e *Error
	if c.doc.from != "store" || c.row.Registration != RegistrationCIMD || !c.row.Fresh(c.now) || !errors.As(err, &e) {
		return
	}
	if e.Reason == ReasonRedirectMismatch || e.Reason.Public() == PublicDocumentInvalid {
		e.ReadAgain = c.row.FreshUntil
	}
}
