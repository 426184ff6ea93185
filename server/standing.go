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

// onChange is what a change of the client's document means to its grants: what
// the settings say of a host's document. An operator's own is in force at once,
// and grants are held against it whatever settings say.
func onChange(client broker.Client, settings string) string {
	if client.Registration != broker.RegistrationCIMD {
		return "reconsent"
	}
	return settings
}

// documentStands reports what introspection, and an answer that is given again,
// have to know of the document of a grant's client: a token whose grant would
// not be refreshed, for what became of the document or its keys, is not active
// either (design §9). It reads what is stored and fetches nothing; settings is
// document.on_change as the grant was made with it.
func documentStands(ctx context.Context, u store.Unit, g store.Grant, settings string) (bool, error) {
	client, found, err := u.Client(ctx, g.ClientID)
	if err != nil {
		return false, &broker.Error{Reason: broker.ReasonStoreUnavailable, Err: err}
	}
	doc, err := client.Listed()
	if err != nil {
		return false, err
	}
	word := onChange(client, settings)
	keys := g.AuthMethod == "none" || client.KeysStand(g.CreatedAt, word) == nil
	return found && client.Acts(word) && restsOn(g, doc, word) == nil && keys, nil
}
