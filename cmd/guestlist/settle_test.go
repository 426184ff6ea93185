package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"guestlist/policies"
)

// A server that starts in the middle of a checkout waits for the rest: a policy
// without the veto beside it would admit more than was written.
func TestFirstLoadWaitsForACheckout(t *testing.T) {
	dir := t.TempDir()
	writeTestFile(t, filepath.Join(dir, "example.rego"), admitPolicy)
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		go func() {
			time.Sleep(settleFor / 4)
			writeTestFile(t, filepath.Join(dir, "veto.rego"), "package admission.policies.veto\n\nclient_ids := {\""+processClient+"\"}\n\ndeny contains {\"code\": \"closed\", \"message\": \"closed\"}\n")
		}()
		set, _, _, err := loadSettled(t.Context(), policies.Config{FS: os.DirFS(dir)}, true)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(set.Policies()); n != 2 {
			t.Errorf("%d policies, want the veto that was still to come too", n)
		}
		if took := time.Since(began); took != 2*settleFor {
			t.Errorf("the load took %s, want %s", took, 2*settleFor)
		}
	})
}

// TestNeverHalf: what is being written is not in force before it is done, also
// where each part of it would load. The rule that admits is there from the
// first piece on, the denial comes last. Once it is done, it is in force within
// two spells of quiet (PF-09).
func TestNeverHalf(t *testing.T) {
	const denial = "\ndeny contains {\"code\": \"no\", \"message\": \"not this one\"} if input.client.host == \"client.example.com\"\n"
	for name, write := range map[string]func(put func(name, text string)){
		"one file in pieces, as an editor that truncates": func(put func(name, text string)) {
			written := ""
			for piece := range strings.SplitSeq(admitPolicy+strings.Repeat("\n# and more\n", 12)+denial, "more") {
				written += piece
				put("example.rego", written)
			}
		},
		"many files, as a checkout": func(put func(name, text string)) {
			put("a.rego", strings.Replace(admitPolicy, "policies.example", "policies.a", 1))
			for i := range 20 {
				put(fmt.Sprintf("p%d.rego", i), strings.Replace(otherPolicy, "policies.example", fmt.Sprintf("policies.p%d", i), 1))
			}
			put("z.rego", "package admission.guardrails\n"+denial)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := configDir(t)
			writeTestFile(t, filepath.Join(dir, "policies", "example.rego"), otherPolicy)
			c, err := parseIn(dir, minimalConfig)
			check(t, err)
			p, err := planFrom(c)
			check(t, err)
			synctest.Test(t, func(t *testing.T) {
				a, err := open(t.Context(), p, zerolog.Nop())
				check(t, err)
				defer a.close(t.Context())
				before := a.broker.Revision()
				done := make(chan error, 1)
				reloaded := func() { done <- a.reload(t.Context(), byWatch) }
				write(func(name, text string) {
					writeTestFile(t, filepath.Join(dir, "policies", name), text)
					if reloaded != nil {
						go reloaded()
						reloaded = nil
					}
					time.Sleep(settleFor / 2)
					if now := a.broker.Revision(); now != before {
						t.Fatalf("half-way, with %s, %s is in force", name, now)
					}
				})
				wrote := time.Now()
				check(t, <-done)
				if took := time.Since(wrote); took > 2*settleFor {
					t.Errorf("in force %s after the last piece, want %s at most", took, 2*settleFor)
				}
				whole, _, err := policies.Load(t.Context(), policies.Config{FS: p.policies, Maxima: p.maxima})
				if err != nil || a.broker.Revision() != whole.Revision() || whole.Revision() == before {
					t.Errorf("in force is %s, want all of it, %s (%v)", a.broker.Revision(), whole.Revision(), err)
				}
			})
		})
	}
}

// One that starts on a directory of yesterday does not wait.
func TestChangedLately(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	file := filepath.Join(dir, "example.rego")
	if err := os.WriteFile(file, []byte(admitPolicy), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		at   time.Time
		want bool
	}{"just now": {now, true}, "in the future": {now.Add(time.Hour), true}, "yesterday": {now.Add(-24 * time.Hour), false}} {
		for _, path := range []string{file, dir} {
			if err := os.Chtimes(path, c.at, c.at); err != nil {
				t.Fatal(err)
			}
		}
		if got := changedLately(os.DirFS(dir), now); got != c.want {
			t.Errorf("%s: changedLately = %v, want %v", name, got, c.want)
		}
	}
}
