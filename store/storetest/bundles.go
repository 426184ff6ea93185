package storetest

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"time"

	"guestlist/broker"
	"guestlist/store"
)

// bundle is one with two files, of which the first never differs.
func bundle(second string) broker.Bundle {
	return broker.Bundle{
		Files:  map[string][]byte{"a.rego": []byte("package a"), "lists/data.json": []byte(second), "guardrails:empty": {}},
		Maxima: []byte(`{"client_ttl":"1h"}`),
	}
}

// activation is one of a revision.
func activation(revision string, at time.Duration) broker.Activation {
	return broker.Activation{Revision: revision, Facts: "f-" + revision, At: moment(at), Offer: broker.Offer{GrantTypes: []string{revision}}}
}

// kept lists which of these revisions have a bundle, all of it.
func (e *env) kept(bundles map[string]broker.Bundle) []string {
	e.Helper()
	var out []string
	for _, revision := range slices.Sorted(maps.Keys(bundles)) {
		got, ok, err := e.s.Bundle(context.Background(), revision)
		if err != nil {
			e.Fatalf("Bundle(%s) = %v", revision, err)
		}
		if !ok {
			continue
		}
		if want := bundles[revision]; !reflect.DeepEqual(got, want) {
			e.Errorf("Bundle(%s) = %v, want %v", revision, got, want)
		}
		out = append(out, revision)
	}
	return out
}

// bundlesKept is about what was in force, by epoch.
func bundlesKept(e *env) {
	ctx := context.Background()
	before := e.epoch()
	if _, ok, err := e.s.Begin().Activation(ctx, before); ok || err != nil {
		e.Errorf("new store: Activation() = %v, %v, want none", ok, err)
	}
	bundles := map[string]broker.Bundle{"r1": bundle("one"), "r2": bundle("two"), "r3": {}}
	e.must(func(u store.Unit) { u.Activate(activation("r1", 0), bundles["r1"]) })
	e.must(func(u store.Unit) { u.PutBlock(broker.Block{Kind: broker.BlockHost, Value: "a.example"}) })
	e.must(func(u store.Unit) {
		u.RequireEpoch(before + 2)
		u.Activate(activation("r2", time.Hour), bundles["r2"])
	})
	e.want("activated under another epoch", broker.ErrConflict, func(u store.Unit) {
		u.RequireEpoch(before)
		u.Activate(activation("r3", time.Hour), bundles["r3"])
	})
	e.reopen()
	if got := e.kept(bundles); !slices.Equal(got, []string{"r1", "r2"}) {
		e.Errorf("bundles kept: %v, want r1 and r2", got)
	}
	for epoch, want := range map[uint64]broker.Activation{before + 1: activation("r1", 0), before + 2: activation("r1", 0), before + 3: activation("r2", time.Hour), before + 9: activation("r2", time.Hour)} {
		want.Epoch = min(epoch, before+3)
		if want.Revision == "r1" {
			want.Epoch = before + 1
		}
		if got, ok, err := e.s.Begin().Activation(ctx, epoch); err != nil || !ok || !reflect.DeepEqual(got, want) {
			e.Errorf("Activation(%d) = %+v, %v, %v, want %+v", epoch, got, ok, err, want)
		}
	}
	if _, ok, err := e.s.Begin().Activation(ctx, before); ok || err != nil {
		e.Errorf("Activation() of an epoch before the first one = %v, %v, want none", ok, err)
	}
}

// bundlesSwept: what nobody can decide again goes, what is in force stays, and
// so does a file that another revision has too.
func bundlesSwept(e *env) {
	bundles := map[string]broker.Bundle{"r1": bundle("one"), "r2": bundle("two"), "r3": bundle("three")}
	for i, revision := range []string{"r1", "r2", "r1", "r3"} {
		e.must(func(u store.Unit) { u.Activate(activation(revision, time.Duration(i)*time.Hour), bundles[revision]) })
	}
	for _, test := range []struct {
		name   string
		oldest time.Duration
		gone   int
		left   []string
	}{
		{"a record from before all", 0, 0, []string{"r1", "r2", "r3"}},
		{"r1 gave way to r2 at the bound, and came back", time.Hour, 0, []string{"r1", "r2", "r3"}},
		{"a moment before r2 gave way", 2*time.Hour - 1, 0, []string{"r1", "r2", "r3"}},
		{"r2 gave way at the bound", 2 * time.Hour, 1, []string{"r1", "r3"}},
		{"a record from after all", 1000 * time.Hour, 1, []string{"r3"}},
		{"once more", 1000 * time.Hour, 0, []string{"r3"}},
	} {
		n, err := e.s.SweepMaterial(context.Background(), moment(test.oldest).Add(store.BundleKept))
		if err != nil || n != test.gone {
			e.Errorf("%s: SweepMaterial() = %d, %v, want %d", test.name, n, err, test.gone)
		}
		if got := e.kept(bundles); !slices.Equal(got, test.left) {
			e.Errorf("%s: bundles kept: %v, want %v", test.name, got, test.left)
		}
	}
	e.must(func(u store.Unit) { u.Activate(activation("r2", 2000*time.Hour), bundles["r2"]) })
	if got := e.kept(bundles); !slices.Equal(got, []string{"r2", "r3"}) {
		e.Errorf("bundles kept after r2 came back: %v", got)
	}
}
