package broker

import (
	"reflect"
	"slices"
	"strings"

	"guestlist/broker/cimd"
)

// The classes of a change of a document, see Changes.
const (
	changeCosmetic         = "cosmetic"
	changeRedirectAdded    = "redirect_added"
	changeRedirectRemoved  = "redirect_removed"
	changeAuthWeakened     = "auth_weakened"
	changeAuthStrengthened = "auth_strengthened"
	changeKeysMoved        = "keys_moved"
	changeKeysRotated      = "keys_rotated"
	changeGrantsWidened    = "grants_widened"
	changeGrantsNarrowed   = "grants_narrowed"
	changeScopesWidened    = "scopes_widened"
	changeScopesNarrowed   = "scopes_narrowed"
)

// The values of settings.document.on_change.
const (
	onChangeAccept    = "accept"
	onChangeReconsent = "reconsent"
	onChangeReapprove = "reapprove"
	onChangeDeny      = "deny"
)

// Changes names what became of a document, by what it means to those who rely
// on it (draft section 8.4), in the order of this list:
//
//   - cosmetic: what is shown or said of the client, its name and logo among
//     it, and nothing that anything rests on;
//   - redirect_added, redirect_removed: redirect URIs, byte for byte;
//   - auth_weakened: a client that could only come with its key may come
//     without one now, or its key method is gone, or it no longer demands what
//     it demanded of its tokens or requests;
//   - auth_strengthened: the methods or demands changed otherwise;
//   - keys_moved: other keys took over without any continuity: jwks_uri names
//     another place, keys moved between jwks_uri and the document, no key of
//     jwks was in it before (by its RFC 7638 thumbprint), or a kid names
//     another key;
//   - keys_rotated: the keys or their algorithm changed otherwise;
//   - grants_widened, grants_narrowed: grant or response types;
//   - scopes_widened, scopes_narrowed: the scope; a document without one
//     leaves it to policy, which is the widest.
//
// Empty means that the kept members say the same. Keys behind a jwks_uri are
// not looked at.
func Changes(before, after cimd.Document) []string {
	out := []string{}
	add := func(class string, yes bool) {
		if yes {
			out = append(out, class)
		}
	}
	gone, come := differ(before.RedirectURIs, after.RedirectURIs)
	weaker, stronger := authChange(before, after)
	moved, rotated := keyChange(before, after)
	grantsGone, grantsCome := differ(flows(before), flows(after))
	wider, narrower := scopeChange(before.Scope, after.Scope)
	add(changeCosmetic, !reflect.DeepEqual(shown(before), shown(after)))
	add(changeRedirectAdded, come)
	add(changeRedirectRemoved, gone)
	add(changeAuthWeakened, weaker)
	add(changeAuthStrengthened, stronger)
	add(changeKeysMoved, moved)
	add(changeKeysRotated, rotated)
	add(changeGrantsWidened, grantsCome)
	add(changeGrantsNarrowed, grantsGone)
	add(changeScopesWidened, wider)
	add(changeScopesNarrowed, narrower)
	return out
}

// shown is what a document says of the client and nothing rests on.
func shown(d cimd.Document) [9]string {
	return [...]string{
		d.ClientName, d.ClientURI, d.LogoURI, d.TosURI, d.PolicyURI, d.ApplicationType, d.SoftwareID, d.SoftwareVersion,
		strings.Join(d.Contacts, "\n"),
	}
}

// flows are grant and response types, told apart.
func flows(d cimd.Document) []string {
	out := []string{}
	for _, v := range d.GrantTypes {
		out = append(out, "grant "+v)
	}
	for _, v := range d.ResponseTypes {
		out = append(out, "response "+v)
	}
	return out
}

// differ reports whether something of before is gone and something has come.
func differ(before, after []string) (gone, come bool) {
	lacks := func(list []string) func(string) bool {
		return func(v string) bool { return !slices.Contains(list, v) }
	}
	return slices.ContainsFunc(before, lacks(after)), slices.ContainsFunc(after, lacks(before))
}

// authChange compares authentication methods and what the client demands.
func authChange(before, after cimd.Document) (weaker, stronger bool) {
	keyed, still := offersKey(before), offersKey(after)
	open, opened := slices.Contains(before.AuthMethods(), methodNone), slices.Contains(after.AuthMethods(), methodNone)
	weaker = keyed && (!still || opened && !open) ||
		before.DPoPBoundAccessTokens && !after.DPoPBoundAccessTokens || before.RequirePAR && !after.RequirePAR
	gone, come := differ(before.AuthMethods(), after.AuthMethods())
	demands := before.DPoPBoundAccessTokens != after.DPoPBoundAccessTokens || before.RequirePAR != after.RequirePAR
	return weaker, !weaker && (gone || come || demands)
}

// offersKey reports whether a document offers authentication with a key.
func offersKey(d cimd.Document) bool { return slices.Contains(d.AuthMethods(), methodPrivateKeyJWT) }

// keyChange compares the keys of a document and where they are. They have only
// moved where something could rest on them: the key method was offered, and is
// still.
func keyChange(before, after cimd.Document) (moved, rotated bool) {
	same := before.JWKSURI == after.JWKSURI && slices.Equal(plainJSON(before.JWKS), plainJSON(after.JWKS))
	if same {
		return false, before.SigningAlg != after.SigningAlg
	}
	if !offersKey(before) || !offersKey(after) {
		return false, true
	}
	if before.JWKSURI != after.JWKSURI {
		return true, false
	}
	old, err := Prints(before.JWKS)
	next, nerr := Prints(after.JWKS)
	moved = err != nil || nerr != nil || !Continuous(old, next)
	return moved, !moved
}

// scopeChange compares scopes; nil is the widest.
func scopeChange(before, after *string) (wider, narrower bool) {
	switch {
	case before == nil && after == nil:
		return false, false
	case before == nil:
		return false, true
	case after == nil:
		return true, false
	}
	narrower, wider = differ(strings.Fields(*before), strings.Fields(*after))
	return wider, narrower
}

// waits reports whether a changed document waits for an operator, or comes
// into force at once.
func waits(onChange string, changes []string) bool {
	harmless := []string{changeCosmetic}
	switch onChange {
	case onChangeReapprove:
		harmless = []string{changeCosmetic, changeRedirectRemoved, changeKeysRotated, changeGrantsNarrowed, changeScopesNarrowed}
	case onChangeDeny:
	default:
		return false
	}
	gone, _ := differ(changes, harmless)
	return gone
}

// stops reports whether, while such a change waits, the client does not act at
// all: under deny, and where it may no longer be the same client. A change
// that waits under settings that would no longer make it wait counts too,
// until it is in force.
func stops(onChange string, changes []string) bool {
	switch onChange {
	case onChangeAccept:
		return false
	case onChangeDeny:
		return waits(onChange, changes)
	}
	return slices.Contains(changes, changeAuthWeakened) || slices.Contains(changes, changeKeysMoved)
}
