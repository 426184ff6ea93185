package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// otherPolicy names another client.
var otherPolicy = strings.Replace(admitPolicy, "client.example.com", "other.example.com", 1)

// turns waits until the client of these tests gets a status, and says how long
// it took.
func (s *site) turns(what string, want int) time.Duration {
	s.t.Helper()
	began := time.Now()
	for {
		resp, body := s.alice().get(s.authorizeLink())
		if resp.StatusCode == want {
			return time.Since(began)
		}
		if time.Since(began) > 5*time.Second {
			s.t.Fatalf("5 s after %s: %d, want %d\n%s", what, resp.StatusCode, want, body)
		}
		time.Sleep(20 * time.Millisecond)
	}
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
// changed or deleted is in force without a restart, within 5 s each on the
// busiest machine, and within a second as a rule.
func TestWatchedDirectory(t *testing.T) {
	s := newSite(t)
	policies := filepath.Join(s.dir, "policies")
	real := filepath.Join(s.dir, "trees", "one")
	check(t, os.MkdirAll(filepath.Dir(real), 0o700), os.Rename(policies, real), os.Symlink(real, policies))
	p := s.serve()
	s.turns("the start", http.StatusOK)
	var took []time.Duration
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
		took = append(took, s.turns(step.name, step.want))
	}
	slices.Sort(took)
	if median := took[len(took)/2]; median > time.Second {
		t.Errorf("in force after %v, want a second as a rule", took)
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

// TestNeverHalf: what is being written is not in force before it is done, also
// where each part of it would load. The rule that admits is there from the
// first piece on, the denial comes last.
func TestNeverHalf(t *testing.T) {
	s := newSite(t)
	s.write("policies/example.rego", otherPolicy)
	s.serve()
	s.turns("the start", http.StatusForbidden)
	denial := "\ndeny contains {\"code\": \"no\", \"message\": \"not this one\"} if input.client.host == \"client.example.com\"\n"
	t.Run("one file in pieces, as an editor that truncates", func(t *testing.T) {
		f, err := os.OpenFile(filepath.Join(s.dir, "policies", "example.rego"), os.O_TRUNC|os.O_WRONLY, 0o600)
		check(t, err)
		for piece := range strings.SplitSeq(admitPolicy+strings.Repeat("\n# and more\n", 12)+denial, "more") {
			_, err := f.WriteString(piece)
			check(t, err)
			s.stays("half-way", http.StatusForbidden, settleFor/2)
		}
		check(t, f.Close())
		s.stays("written", http.StatusForbidden, 4*settleFor)
		s.write("policies/example.rego", admitPolicy)
		s.turns("the last piece", http.StatusOK)
	})
	t.Run("many files, as a checkout", func(t *testing.T) {
		s.write("policies/example.rego", otherPolicy)
		s.turns("the change", http.StatusForbidden)
		s.write("policies/a.rego", strings.Replace(admitPolicy, "policies.example", "policies.a", 1))
		for i := range 20 {
			s.write(fmt.Sprintf("policies/sub%d/p.rego", i), strings.Replace(otherPolicy, "policies.example", fmt.Sprintf("policies.p%d", i), 1))
			s.stays("half-way", http.StatusForbidden, settleFor/4)
		}
		s.write("policies/z.rego", "package admission.guardrails\n"+denial)
		s.stays("written", http.StatusForbidden, 4*settleFor)
		check(t, os.Remove(filepath.Join(s.dir, "policies", "z.rego")))
		s.turns("the denial is gone", http.StatusOK)
	})
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
