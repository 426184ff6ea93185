package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"guestlist/policies"
)

// A server that starts in the middle of a checkout waits for the rest: a policy
// without the veto beside it would admit more than was written.
func TestFirstLoadWaitsForACheckout(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Error(err)
		}
	}
	write("example.rego", admitPolicy)
	done := make(chan struct{})
	go func() {
		defer close(done)
		time.Sleep(settleFor / 4)
		write("veto.rego", "package admission.policies.veto\n\nclient_ids := {\""+processClient+"\"}\n\ndeny contains {\"code\": \"closed\", \"message\": \"closed\"}\n")
	}()
	set, _, _, err := loadSettled(t.Context(), policies.Config{FS: os.DirFS(dir)}, true)
	<-done
	if err != nil {
		t.Fatal(err)
	}
	if n := len(set.Policies()); n != 2 {
		t.Errorf("%d policies, want the veto that was still to come too", n)
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
