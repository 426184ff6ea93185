package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// otherPolicy names another client.
var otherPolicy = strings.Replace(admitPolicy, "client.example.com", "other.example.com", 1)

// turns waits until the client of these tests gets a status.
func (s *site) turns(what string, want int) {
	s.t.Helper()
	eventually(s.t, fmt.Sprintf("%d after %s", want, what), func() bool {
		resp, _ := s.alice().get(s.authorizeLink())
		return resp.StatusCode == want
	})
}

// stays holds a status for a while.
func (s *site) stays(what string, want int, long time.Duration) {
	s.t.Helper()
	for began := time.Now(); time.Since(began) < long; time.Sleep(30 * time.Millisecond) {
		if resp, body := s.alice().get(s.authorizeLink()); resp.StatusCode != want {
			s.t.Fatalf("%s: %d, want %d\n%s", what, resp.StatusCode, want, body)
		}
	}
}

// TestWatchedDirectory: each way to change a directory, PF-09: what was added,
// changed or deleted is in force without a restart. How soon the watcher tells
// and the load follows is the matter of TestWatcherIsTold, TestWatcherLooks and
// TestNeverHalf.
func TestWatchedDirectory(t *testing.T) {
	s := newSite(t)
	policies := filepath.Join(s.dir, "policies")
	real := filepath.Join(s.dir, "trees", "one")
	check(t, os.MkdirAll(filepath.Dir(real), 0o700), os.Rename(policies, real), os.Symlink(real, policies))
	p := s.serve()
	s.turns("the start", http.StatusOK)
	for _, step := range []struct {
		name string
		do   func() error
		want int
	}{
		{"a file replaced by rename", func() error {
			tmp := filepath.Join(real, ".example.rego.tmp")
			if err := os.WriteFile(tmp, []byte(otherPolicy), 0o600); err != nil {
				return err
			}
			return os.Rename(tmp, filepath.Join(real, "example.rego"))
		}, http.StatusForbidden},
		{"a directory added", func() error {
			s.write("trees/one/more/deep/more.rego", strings.Replace(admitPolicy, "policies.example", "policies.more", 1))
			return nil
		}, http.StatusOK},
		{"a file in the new directory changed", func() error {
			s.write("trees/one/more/deep/more.rego", strings.Replace(otherPolicy, "policies.example", "policies.more", 1))
			return nil
		}, http.StatusForbidden},
		{"the link of the directory swapped", func() error {
			s.write("trees/two/example.rego", admitPolicy)
			tmp := policies + ".new"
			if err := os.Symlink(filepath.Join(s.dir, "trees", "two"), tmp); err != nil {
				return err
			}
			return os.Rename(tmp, policies)
		}, http.StatusOK},
		{"a file of the swapped directory changed", func() error {
			s.write("trees/two/example.rego", otherPolicy)
			return nil
		}, http.StatusForbidden},
		{"the directory removed and made anew", func() error {
			if err := os.RemoveAll(filepath.Join(s.dir, "trees", "two")); err != nil {
				return err
			}
			p.find(p.errs, `"policy.rejected"`, "\n")
			s.write("trees/two/example.rego", admitPolicy)
			return nil
		}, http.StatusOK},
		{"a file that is linked from elsewhere, changed there", func() error {
			s.write("elsewhere.rego", otherPolicy)
			name := filepath.Join(s.dir, "trees", "two", "example.rego")
			if err := os.Remove(name); err != nil {
				return err
			}
			return os.Symlink(filepath.Join(s.dir, "elsewhere.rego"), name)
		}, http.StatusForbidden},
		{"that file changed", func() error { s.write("elsewhere.rego", admitPolicy); return nil }, http.StatusOK},
		{"a file deleted", func() error { return os.Remove(filepath.Join(s.dir, "trees", "two", "example.rego")) }, http.StatusForbidden},
	} {
		check(t, step.do())
		s.turns(step.name, step.want)
	}
}

// change is one of what a watched directory may see.
type change struct {
	name  string
	do    func() error
	watch string // directory that is watched from then on
	root  bool   // the name of the directory stands for another one
}

// restless makes a directory behind a link, and what may happen to it.
func restless(t *testing.T) (policies string, list []change) {
	t.Helper()
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	write := func(name string, lines int) error {
		return errors.Join(os.MkdirAll(filepath.Dir(path(name)), 0o700), os.WriteFile(path(name), []byte(strings.Repeat("# a line\n", lines)), 0o600))
	}
	check(t, write("one/example.rego", 1), os.Symlink(path("one"), path("policies")))
	return path("policies"), []change{
		{name: "a file changed", do: func() error { return write("one/example.rego", 2) }},
		{name: "a file replaced by rename", do: func() error {
			return errors.Join(write("one/.new", 3), os.Rename(path("one/.new"), path("one/example.rego")))
		}},
		{name: "a directory added", do: func() error { return write("one/more/deep/more.rego", 1) }, watch: path("one/more/deep")},
		{name: "a file deleted", do: func() error { return os.Remove(path("one/example.rego")) }},
		{name: "the link of the directory swapped", do: func() error {
			return errors.Join(write("two/example.rego", 1), os.Symlink(path("two"), path("next")), os.Rename(path("next"), path("policies")))
		}, watch: path("two"), root: true},
	}
}

// TestWatcherIsTold: where the system tells of changes, nothing waits for a
// look (PF-09): here nobody looks, but at what the directory's name stands for,
// which no system tells of. What is new is watched too.
func TestWatcherIsTold(t *testing.T) {
	_, list := restless(t)
	for i := range list {
		dir, list := restless(t)
		w, look := newWatcher(dir, zerolog.Nop()), make(chan time.Time)
		<-w.out // of what changed before
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); w.run(ctx, look, nil) }()
		check(t, list[i].do())
		if list[i].root {
			look <- time.Time{}
		}
		select {
		case <-w.out:
		case <-time.After(patience):
			t.Errorf("%s: not told", list[i].name)
		}
		eventually(t, list[i].name+", and what is new is watched", func() bool {
			return list[i].watch == "" || slices.Contains(w.events.WatchList(), list[i].watch)
		})
		stop()
		<-ended
	}
}

// TestWatcherLooks: where the system tells nothing, a change is seen at the
// next look all the same (PF-09: in force within 5 s), and a swapped link soon.
func TestWatcherLooks(t *testing.T) {
	_, list := restless(t)
	for i := range list {
		dir, list := restless(t)
		synctest.Test(t, func(t *testing.T) {
			root, err := os.Stat(dir)
			check(t, err)
			w := &watcher{dir: dir, root: root, tree: treeState(os.DirFS(dir)), log: zerolog.Nop(), out: make(chan struct{}, 1)}
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			go w.look(ctx)
			time.Sleep(2 * treeEvery)
			synctest.Wait()
			if len(w.out) != 0 {
				t.Error("told where nothing changed")
			}
			check(t, list[i].do())
			within := treeEvery
			if list[i].root {
				within = rootEvery
			}
			time.Sleep(within)
			synctest.Wait()
			if len(w.out) != 1 {
				t.Errorf("%s: not told within %s", list[i].name, within)
			}
		})
	}
	if treeEvery+2*settleFor > 4*time.Second {
		t.Errorf("a change is read up to %s late, which leaves too little of the 5 s", treeEvery+2*settleFor)
	}
}

// Checkouts and images whose files all have one time, and the same sizes, are
// told apart: else a swap is not noticed, or two of them are read as one.
func TestTreesOfOneTimeAreToldApart(t *testing.T) {
	at := time.Unix(1, 0)
	var states []string
	for _, body := range []string{"package a", "package b"} {
		dir := t.TempDir()
		name := filepath.Join(dir, "a.rego")
		check(t, os.WriteFile(name, []byte(body), 0o600), os.Chtimes(name, at, at), os.Chtimes(dir, at, at))
		states = append(states, treeState(os.DirFS(dir)), treeState(os.DirFS(dir)))
	}
	if states[0] != states[1] || states[0] == states[2] {
		t.Errorf("treeState = %q, want the first two the same and the third another", states)
	}
}

// check ends the test at an error.
func check(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestMountedConfigMap changes a directory as Kubernetes does: its files are
// links into one behind a name that begins with dots, and that is swapped.
func TestMountedConfigMap(t *testing.T) {
	s := newSite(t)
	dir := filepath.Join(s.dir, "policies")
	s.write("policies/..1/example.rego", admitPolicy)
	s.write("policies/..2/example.rego", otherPolicy)
	check(t, os.Remove(filepath.Join(dir, "example.rego")), os.Symlink("..1", filepath.Join(dir, "..data")),
		os.Symlink("..data/example.rego", filepath.Join(dir, "example.rego")))
	s.serve()
	s.turns("the start", http.StatusOK)
	check(t, os.Symlink("..2", filepath.Join(dir, "..tmp")), os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, "..data")))
	s.turns("the swap", http.StatusForbidden)
}

// TestBrokenDirectoryOnce is G-34: a directory that does not load changes
// nothing, and log, record, status and policy status say so, once; what is
// mended is in force again.
func TestBrokenDirectoryOnce(t *testing.T) {
	s := newSite(t)
	p := s.serve()
	s.write("policies/example.rego", strings.Replace(admitPolicy, "settings :=", "settings =", 1)+"\nnonsense if {\n")
	p.find(p.errs, `"policy.rejected"`, "\n")
	for range 3 {
		p.cmd.Process.Signal(syscall.SIGHUP)
		s.stays("broken", http.StatusOK, 3*settleFor)
	}
	text, _ := p.errs.text()
	if n := strings.Count(text, `"policy.rejected"`); n != 1 {
		t.Errorf("policy.rejected is logged %d times, want once", n)
	}
	if got := s.audit("--event", "policy.rejected"); len(got) != 1 {
		t.Errorf("policy.rejected records = %v, want one", got)
	}
	check(t, os.Chmod(filepath.Join(s.dir, "policies", "example.rego"), 0o640))
	s.stays("broken, another mode", http.StatusOK, 3*settleFor)
	s.write("policies/example.rego", admitPolicy)
	line := p.find(p.errs, `"policy.unchanged"`, "\n")
	if !strings.Contains(line, `"mended":true`) {
		t.Errorf("line of the mended directory: %s", line)
	}
	if _, _, exit := output(t, "status", "--config", s.config); exit != 0 {
		t.Errorf("status of a mended server: exit %d", exit)
	}
}
