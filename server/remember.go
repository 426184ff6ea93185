package server

import (
	"context"
	"slices"
	"time"

	"guestlist/broker"
	"guestlist/store"
)

// rememberedGrants is how many grants of a person and a client are looked
// through; who has more sees the full page.
const rememberedGrants = 1000

// remembered says when this person last allowed what they are asked now,
// under consent.mode once; zero means the full page. It shortens the page and
// decides nothing: the click stays (RFC 8252 section 8.6).
func (s *Server) remembered(ctx context.Context, t ticket, a broker.Admission, person broker.UserInput) (time.Time, error) {
	terms := a.Decision.Settings.Consent
	if terms.Mode != "once" || terms.MaxAge.Std() <= 0 || slices.Contains(t.Facts.Prompt, "consent") {
		return time.Time{}, nil
	}
	list, err := s.cfg.Store.Grants(ctx, store.GrantQuery{Subject: person.Sub, ClientID: a.Client.ID, Limit: rememberedGrants})
	if err != nil {
		return time.Time{}, &broker.Error{Reason: broker.ReasonStoreUnavailable, Err: err}
	}
	if len(list) == rememberedGrants {
		return time.Time{}, nil // an end that counts could be behind them
	}
	asked := consentKey{
		redirectURI: t.RedirectURI, resources: a.Decision.Effective.Resources, scopes: a.Decision.Effective.Scopes,
		digest: broker.SecurityDigest(a.Client.Document),
	}
	return asked.lastIn(list, s.cfg.Now().Add(-terms.MaxAge.Std())), nil
}

// consentKey is what a consent is remembered by, beside person and client
// identifier (design §4).
type consentKey struct {
	redirectURI string // exact, port included
	resources   []string
	scopes      []string
	digest      string // of the document's security members
}

// lastIn returns when the newest fitting grant of list was made, if that is
// after since, and after the last end of a grant in list that takes the
// memory with it. The list holds one person's grants of one client.
func (k consentKey) lastIn(list []store.Grant, since time.Time) time.Time {
	for _, g := range list {
		if !g.EndedAt.IsZero() && !keepsConsent(g.EndReason) && g.EndedAt.After(since) {
			since = g.EndedAt
		}
	}
	var last time.Time
	for _, g := range list {
		kept := g.EndedAt.IsZero() || keepsConsent(g.EndReason)
		if kept && g.CreatedAt.After(since) && g.CreatedAt.After(last) && k.fits(g) {
			last = g.CreatedAt
		}
	}
	return last
}

// fits reports whether a grant covers all that is asked.
func (k consentKey) fits(g store.Grant) bool {
	return g.RedirectURI == k.redirectURI && g.SecurityDigest == k.digest &&
		within(k.scopes, g.Scopes) && within(k.resources, g.Resources) && within(g.Resources, k.resources)
}

// keepsConsent reports whether a grant that ended so can still be remembered:
// its client's life ran out, or the client itself gave its token back. All
// other ends are somebody's no or a sign of theft.
func keepsConsent(r broker.Reason) bool {
	return r == broker.ReasonClientEnded || r == broker.ReasonTokenRevoked
}

// within reports whether every element of a is in b.
func within(a, b []string) bool {
	return !slices.ContainsFunc(a, func(v string) bool { return !slices.Contains(b, v) })
}
