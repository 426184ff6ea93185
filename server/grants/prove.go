package grants

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"guestlist/broker"
	"guestlist/server/keys"
	"guestlist/store"
)

// Proof says what a client proved itself with, where its keys were fetched.
// It is zero where none were: method none, or keys inside the document.
type Proof struct {
	// Keys are those that the jwks_uri serves. Empty: none were fetched.
	Keys []broker.KeyPrint
	// Key is the thumbprint of the key that signed, one of Keys.
	Key string
	// Strange says that the key is none of the client's, and that Keys do not
	// go on from the client's: whether it counts all the same is for settings
	// to say (broker.Client.MeetKeys).
	Strange bool
}

// MayFetch says why no keys are to be fetched for the client of a grant; nil:
// they may, by the way that is open now. It may stage what it finds over. It is
// asked right before a fetch and only then.
type MayFetch func(u store.Unit, g store.Grant) (broker.NetworkSettings, error)

// prove checks the client assertion of a caller who presented something of
// grant g, on the terms that g was made on, and stages that its jti is spent:
// last, and only once all else holds. Method none proves nothing and needs
// nothing.
//
// The keys are those of the client as it is stored, or those its stored
// jwks_uri serves: they may be fetched here, the document never is, and neither
// for a grant or client that has ended (grant_ended, client_ended), a
// document without the method (document_changed), or where may has a reason
// against it. A fault is
// client_authentication_failed, a jti that was used before
// assertion_replayed.
func (e *Engine) prove(ctx context.Context, u store.Unit, may MayFetch, g store.Grant, auth ClientAuth) (Proof, error) {
	if auth.Method != methodKey {
		return Proof{}, nil
	}
	if !g.EndedAt.IsZero() {
		return Proof{}, broker.Refuse(broker.ReasonGrantEnded, "the grant has ended; no key is looked at for it")
	}
	client, found, err := u.Client(ctx, auth.ClientID)
	switch {
	case err != nil:
		return Proof{}, unavailable("read client", err)
	case !found || client.Expired(e.now()) || client.Incarnation != g.Incarnation:
		return Proof{}, broker.Refuse(broker.ReasonClientEnded, "the client has ended, and its keys with it")
	case !slices.Contains(client.Document.AuthMethods(), methodKey):
		return Proof{}, broker.Refuse(broker.ReasonDocumentChanged, "the client's document does not offer %s any more", methodKey)
	}
	set, err := settingsOf(g)
	if err != nil {
		return Proof{}, err
	}
	if may == nil {
		may = func(store.Unit, store.Grant) (broker.NetworkSettings, error) {
			return broker.NetworkSettings{}, errors.New("nobody said that keys may be fetched")
		}
	}
	p := proving{e: e, client: client, set: set, auth: auth, may: func() (broker.NetworkSettings, error) { return may(u, g) }}
	said, err := p.authentic(ctx)
	if refused := (*broker.Error)(nil); errors.As(err, &refused) {
		return Proof{}, refused
	}
	if err != nil {
		return Proof{}, &broker.Error{Reason: broker.ReasonAssertionInvalid, Err: err}
	}
	if !set.ReplayPrevention {
		return p.proof, nil
	}
	return p.proof, spendAssertion(ctx, u, auth.ClientID, said)
}

// settingsOf are the settings that a grant was made on.
func settingsOf(g store.Grant) (broker.Settings, error) {
	set := broker.StrictSettings()
	if len(g.Settings) == 0 {
		return set, nil
	}
	if err := json.Unmarshal(g.Settings, &set); err != nil {
		return set, &broker.Error{Reason: broker.ReasonServerTrouble, Err: fmt.Errorf("read settings of grant: %w", err)}
	}
	return set, nil
}

// proving is one assertion being checked.
type proving struct {
	e      *Engine
	client broker.Client
	set    broker.Settings // of the grant
	auth   ClientAuth
	may    func() (broker.NetworkSettings, error) // asked before a fetch
	proof  Proof                                  // what came of it
}

// authentic checks everything about an assertion but the use of its jti:
// first what needs no keys.
func (p *proving) authentic(ctx context.Context) (statement, error) {
	c, payload, err := p.auth.Assertion.read()
	if err != nil {
		return statement{}, err
	}
	audiences := []string{p.e.issuer}
	if p.set.Compat.TokenEndpointAudience {
		audiences = append(audiences, strings.TrimSuffix(p.e.issuer, "/")+"/token")
	}
	if err := c.check(p.auth.ClientID, audiences, p.e.now()); err != nil {
		return statement{}, err
	}
	algs := SigningAlgs()
	if only := p.client.Document.SigningAlg; only != "" {
		algs = slices.DeleteFunc(algs, func(a string) bool { return a != only })
	}
	header, err := keys.ReadHeader(algs, string(p.auth.Assertion))
	if err != nil {
		return statement{}, err
	}
	if err := checkType(header); err != nil {
		return statement{}, err
	}
	if namesKind(header) && c.audience[0] != p.e.issuer {
		return statement{}, errors.New("an assertion with a typ of its own has the issuer for aud, also where the token endpoint is accepted")
	}
	signed, err := p.verify(ctx, algs)
	if err != nil {
		return statement{}, err
	}
	if !bytes.Equal(signed, payload) {
		return statement{}, errors.New("the signature is about another payload")
	}
	return c, nil
}

// verify checks the signature with the keys of the client's document. A key
// that a fetched set does not have may be in a newer one.
func (p *proving) verify(ctx context.Context, algs []string) ([]byte, error) {
	doc, token := p.client.Document, string(p.auth.Assertion)
	if doc.JWKS != nil {
		_, signed, err := keys.VerifyWith(doc.JWKS, algs, token)
		return signed, err
	}
	same := broker.SameOriginAs(doc.JWKSURI, doc.ClientID)
	if p.set.JWKS.SameOrigin && !same {
		return nil, errors.New("jwks_uri is of another origin than the client identifier")
	}
	w := keysWanted{
		keySetName: keySetName{
			uri: doc.JWKSURI, allowPort: same, cidrs: strings.Join(p.set.Network.AllowCIDRs, " "), proxy: p.set.Network.EgressProxy,
		},
		may: p.may, stale: min(p.set.Document.StaleIfError.Std(), staleKeys),
	}
	got, err := p.e.keySets.get(ctx, w)
	if err != nil {
		return nil, err
	}
	header, signed, err := keys.VerifyWith(got.jwks, algs, token)
	if errors.Is(err, keys.ErrNoKey) {
		w.unless = got.at
		newer, fault := p.e.keySets.get(ctx, w)
		switch {
		case fault != nil:
			return nil, fmt.Errorf("%w; looking for a newer set: %w", err, fault)
		case newer.at.Equal(got.at):
			return nil, err
		}
		got = newer
		header, signed, err = keys.VerifyWith(got.jwks, algs, token)
	}
	if err != nil {
		return nil, err
	}
	p.proof = Proof{Keys: got.prints, Key: header.Thumbprint, Strange: p.client.Strange(got.prints, header.Thumbprint)}
	return signed, nil
}

// spendAssertion stages that a jti is used. It is kept for as long as the
// assertion could come again; another client may use the same jti.
func spendAssertion(ctx context.Context, u store.Unit, clientID string, c statement) error {
	key := hashOf(clientID + "\x00" + c.id)
	spent, err := u.Spent(ctx, store.SpendAssertion, key)
	switch {
	case err != nil:
		return unavailable("read mark of assertion", err)
	case spent:
		return broker.Refuse(broker.ReasonAssertionReplayed, "the jti of the assertion was used before")
	}
	u.Spend(store.SpendAssertion, key, c.expires.Add(assertionSkew))
	return nil
}
