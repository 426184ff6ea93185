package policies

import (
	"fmt"
	"slices"
	"strings"

	"guestlist/broker"
)

// terms are settings on their way through the meets, with what the settings
// alone cannot say.
type terms struct {
	broker.Settings
	groups    [][]string // the person must be in one of each
	strongest bool       // of the methods left, only the strongest that the document offers
	conflict  string     // two sides leave nothing; empty when all is well
	written   []byte     // Settings as JSON, or nil; whoever changes Settings drops it
}

// complete fills what the winner leaves open from the defaults, then from the
// strict values.
func complete(winner, defaults partial) terms {
	t := terms{Settings: broker.StrictSettings()}
	for _, m := range members {
		v, ok := winner[m.path]
		if !ok {
			v, ok = defaults[m.path]
		}
		if ok {
			m.put(&t.Settings, v)
		}
	}
	if g := t.Require.Groups; len(g) > 0 {
		t.groups = [][]string{g}
	}
	t.trim()
	return t
}

// bound meets t with the members that a row, a ceiling or the maxima name.
func (t *terms) bound(by partial, who string) {
	before := t.TokenEndpointAuthMethods
	for _, m := range members {
		if v, ok := by[m.path]; ok {
			m.meet(&t.Settings, v)
		}
	}
	if methods := by.strings("token_endpoint_auth_methods"); len(methods) > 0 {
		t.meetMethods(before, methods, who)
	}
	if g := by.strings("require.groups"); len(g) > 0 {
		t.groups = append(t.groups, g)
	}
	t.trim()
}

// meet bounds t by the settings of another policy of equal rank.
func (t *terms) meet(o terms, who string) {
	before := t.TokenEndpointAuthMethods
	for _, m := range members {
		m.meet(&t.Settings, m.value(&o.Settings))
	}
	t.strongest = t.strongest || o.strongest
	t.meetMethods(before, o.TokenEndpointAuthMethods, who)
	t.groups = append(t.groups, o.groups...)
	if o.conflict != "" {
		t.conflict = o.conflict
	}
	t.trim()
}

// meetMethods keeps two traps shut: a list that became empty would mean "the
// strongest", and a list met with an absent one would lose "the strongest".
func (t *terms) meetMethods(a, b []string, who string) {
	if (len(a) == 0) != (len(b) == 0) {
		t.strongest = true
	}
	if len(a) > 0 && len(b) > 0 && len(t.TokenEndpointAuthMethods) == 0 {
		t.conflict = fmt.Sprintf("token_endpoint_auth_methods: %s and %s of %s have nothing in common", strings.Join(a, ", "), strings.Join(b, ", "), who)
	}
}

// trim keeps the default scopes within the ceiling.
func (t *terms) trim() {
	t.Scopes.Default = slices.DeleteFunc(slices.Clone(t.Scopes.Default), func(s string) bool {
		return !slices.Contains(t.Scopes.Ceiling, s)
	})
}

// narrowMethods settles "the strongest" once the document is known: a client
// that offers a key must use it, also where the other side would let it go
// without.
func (t *terms) narrowMethods(offered []string) {
	const key = "private_key_jwt"
	if !t.strongest || !slices.Contains(offered, key) {
		return
	}
	if !slices.Contains(t.TokenEndpointAuthMethods, key) {
		t.conflict = "token_endpoint_auth_methods: one side wants the strongest method, which is " + key + ", the other does not allow it"
		return
	}
	t.TokenEndpointAuthMethods, t.written = []string{key}, nil
}

// lacksGroup returns the first demand for groups that the person does not
// meet.
func (t *terms) lacksGroup(have []string) []string {
	for _, any := range t.groups {
		if !slices.ContainsFunc(any, func(g string) bool { return slices.Contains(have, g) }) {
			return any
		}
	}
	return nil
}
