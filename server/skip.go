package server

import (
	"errors"
	"slices"

	"guestlist/broker"
)

// errAsk says that the person has to be asked after all.
var errAsk = errors.New("the page may not be left out")

// skips reports whether the policy leaves the consent page out for this
// request (consent.mode skip). It does not rest on the decision alone: without
// a page nobody can tell an impostor, so the client must prove a key and the
// answer must go to its own https origin (RFC 8252 section 8.6), and a client
// that asks for the page gets it.
func (t ticket) skips(a broker.Admission) bool {
	return a.Decision.Settings.Consent.Mode == "skip" &&
		slices.Equal(a.Decision.Effective.AuthMethods, []string{"private_key_jwt"}) &&
		t.Facts.Redirect.Kind == "https" && t.Facts.Redirect.Relation == "same_origin" &&
		!slices.Contains(t.Facts.Prompt, "consent")
}
