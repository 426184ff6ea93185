package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A file is told of when it has come to rest, whatever became of it, and not
// again until it is another.
func TestWatchFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "facts.yaml")
	write := func(name string, lines int) {
		writeTestFile(t, filepath.Join(dir, name), strings.Repeat("a: 1\n", lines))
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		told := watchFile(ctx, file)
		after := func(what string, looks int, want bool) {
			t.Helper()
			time.Sleep(time.Duration(looks)*fileEvery + time.Millisecond)
			synctest.Wait()
			got := false
			select {
			case <-told:
				got = true
			default:
			}
			if got != want {
				t.Errorf("%s: told %v, want %v", what, got, want)
			}
		}
		after("at the beginning", 1, true)
		after("nothing changed", 5, false)
		write("facts.yaml", 1)
		after("made", 1, false)
		write("facts.yaml", 2)
		after("still written", 1, false)
		after("at rest", 1, true)
		write("other.yaml", 1)
		after("another file", 3, false)
		write("next.yaml", 3)
		if err := os.Rename(filepath.Join(dir, "next.yaml"), file); err != nil {
			t.Fatal(err)
		}
		after("replaced", 2, true)
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		after("gone", 2, true)
		if err := os.Symlink("other.yaml", file); err != nil {
			t.Fatal(err)
		}
		after("a link", 2, true)
		write("other.yaml", 4)
		after("what it leads to", 2, true)
	})
}
