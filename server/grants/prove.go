package grants

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"guestlist/broker"
	"guestlist/broker/cimd"
	"guestlist/server/keys"
	"guestlist/store"
)

// prove checks the client assertion of a caller who presented something of
// grant g, on the terms that g was made on, and stages that its jti is spent:
// last, and only once all else holds. Method none proves nothing and needs
// nothing.
//
// The keys are those of the client as it is stored, or those its stored
// jwks_uri serves: they may be fetched here, the document never is, and neither
// for a grant or client that has ended (grant_ended, client_ended) or a
// document without the method (document_changed). A fault is
// client_authentication_failed, a jti that was used before
// assertion_replayed.
func (e *Engine) prove(ctx context.Context, u store.Unit, g store.Grant, auth ClientAuth) error {
	if auth.Method != methodKey {
		return nil
	}
	if !g.EndedAt.IsZero() {
		return broker.Refuse(broker.ReasonGrantEnded, "the grant has ended; no key is looked at for it")
	}
	client, found, err := u.Client(ctx, auth.ClientID)
	switch {
	case err != nil:
		return unavailable("read client", err)
	case !found || client.Expired(e.now()):
		return broker.Refuse(broker.ReasonClientEnded, "the client has ended, and its keys with it")
	case !slices.Contains(client.Document.AuthMethods(), methodKey):
		return broker.Refuse(broker.ReasonDocumentChanged, "the client's document does not offer %s any more", methodKey)
	}
	set := broker.StrictSettings()
	if len(g.Settings) > 0 {
		if err := json.Unmarshal(g.Settings, &set); err != nil {
			return &broker.Error{Reason: broker.ReasonServerTrouble, Err: fmt.Errorf("read settings of grant: %w", err)}
		}
	}
	said, err := e.authentic(ctx, client.Document, set, auth)
	if err != nil {
		return &broker.Error{Reason: broker.ReasonClientAuthFailed, Err: err}
	}
	if !set.ReplayPrevention {
		return nil
	}
	return spendAssertion(ctx, u, auth.ClientID, said)
}

// authentic checks everything about an assertion but the use of its jti:
// first what needs no keys.
func (e *Engine) authentic(ctx context.Context, doc cimd.Document, set broker.Settings, auth ClientAuth) (statement, error) {
	c, payload, err := auth.Assertion.read()
	if err != nil {
		return statement{}, err
	}
	audiences := []string{e.issuer}
	if set.Compat.TokenEndpointAudience {
		audiences = append(audiences, strings.TrimSuffix(e.issuer, "/")+"/token")
	}
	if err := c.check(auth.ClientID, audiences, e.now()); err != nil {
		return statement{}, err
	}
	algs := SigningAlgs()
	if doc.SigningAlg != "" {
		algs = slices.DeleteFunc(algs, func(a string) bool { return a != doc.SigningAlg })
	}
	header, signed, err := e.verify(ctx, doc, set, algs, string(auth.Assertion))
	if err != nil {
		return statement{}, err
	}
	if err := checkType(header); err != nil {
		return statement{}, err
	}
	if header.Type != "" && c.audience[0] != e.issuer {
		return statement{}, errors.New("an assertion with a typ has the issuer for aud, also where the token endpoint is accepted")
	}
	if !bytes.Equal(signed, payload) {
		return statement{}, errors.New("the signature is about another payload")
	}
	return c, nil
}

// verify checks the signature with the keys of the client's document. A key
// that a fetched set does not have may be in a newer one.
func (e *Engine) verify(ctx context.Context, doc cimd.Document, set broker.Settings, algs []string, token string) (keys.Header, []byte, error) {
	if doc.JWKS != nil {
		return keys.VerifyWith(doc.JWKS, algs, token)
	}
	same := broker.SameOriginAs(doc.JWKSURI, doc.ClientID)
	if set.JWKS.SameOrigin && !same {
		return keys.Header{}, nil, errors.New("jwks_uri is of another origin than the client identifier")
	}
	name := keySetName{
		uri: doc.JWKSURI, allowPort: same, cidrs: strings.Join(set.Network.AllowCIDRs, " "), proxy: set.Network.EgressProxy,
	}
	jwks, fetchedAt, err := e.keySets.get(ctx, name, time.Time{})
	if err != nil {
		return keys.Header{}, nil, err
	}
	header, signed, err := keys.VerifyWith(jwks, algs, token)
	if !errors.Is(err, keys.ErrNoKey) {
		return header, signed, err
	}
	newer, at, fault := e.keySets.get(ctx, name, fetchedAt)
	if fault != nil {
		return keys.Header{}, nil, fmt.Errorf("%w; looking for a newer set: %w", err, fault)
	}
	if at.Equal(fetchedAt) {
		return keys.Header{}, nil, err
	}
	return keys.VerifyWith(newer, algs, token)
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
