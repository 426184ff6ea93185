package server

import (
	"context"
	"slices"

	"guestlist/broker"
	"guestlist/broker/cimd"
	"guestlist/store"
)

// restsOn refuses with document_changed where the document no longer has what
// a grant rests on: the redirect URI that was approved, the authentication
// method it was made with. Settings may accept that.
func restsOn(g store.Grant, doc cimd.Document, onChange string) error {
	if onChange == "accept" {
		return nil
	}
	if _, _, ok := cimd.MatchRedirect(doc.RedirectURIs, &g.RedirectURI); !ok {
		return broker.Refuse(broker.ReasonDocumentChanged, "the document no longer lists the redirect URI that was approved (document.on_change: %s)", onChange)
	}
	if !slices.Contains(doc.AuthMethods(), g.AuthMethod) {
		return broker.Refuse(broker.ReasonDocumentChanged, "the document no longer offers the authentication method of the grant (document.on_change: %s)", onChange)
	}
	return nil
}

// documentStands reports what introspection has to know of the document of a
// grant's client: a token whose grant would not be refreshed, for what became
// of the document or its keys, is not active either (design §9). It reads what
// is stored and fetches nothing; onChange is as the grant was made with it.
func documentStands(ctx context.Context, u store.Unit, g store.Grant, onChange string) (bool, error) {
	client, found, err := u.Client(ctx, g.ClientID)
	if err != nil {
		return false, &broker.Error{Reason: broker.ReasonStoreUnavailable, Err: err}
	}
	keys := g.AuthMethod == "none" || client.KeysStand(g.CreatedAt, onChange) == nil
	return found && client.Acts(onChange) && restsOn(g, client.Document, onChange) == nil && keys, nil
}
