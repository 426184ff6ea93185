package bolt_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"guestlist/store"
	"guestlist/store/bolt"
)

// childEnv tells a re-executed test binary what to be.
const childEnv = "GUESTLIST_BOLT_TEST_CHILD"

// TestMain runs the part of a child process, or the tests.
func TestMain(m *testing.M) {
	role, path, _ := strings.Cut(os.Getenv(childEnv), " ")
	var err error
	switch role {
	case "":
		os.Exit(m.Run())
	case "full":
		err = fullDisk(path)
	case "low":
		err = lowDisk(path)
	case "compact":
		err = compactFull(path)
	case "open":
		err = openAndClose(path)
	case "write":
		err = writeForEver(path)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func child(role, path string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+role+" "+path)
	cmd.Stderr = os.Stderr
	return cmd
}

// TestFullDisk (trap F11): the file may not grow beyond a limit, which to bbolt
// looks like a full disk.
func TestFullDisk(t *testing.T) {
	if err := child("full", filepath.Join(t.TempDir(), "store.db")).Run(); err != nil {
		t.Errorf("child = %v, want it to find everything in order", err)
	}
}

// fullDisk runs in a child, because the limit is the process's.
func fullDisk(path string) error {
	s, err := bolt.Open(bolt.Config{Path: path})
	if err != nil {
		return err
	}
	big := strings.Repeat("x", 1<<20)
	put := func(i int) error {
		u := s.Begin()
		u.PutSession(store.Session{Hash: fmt.Sprint(i), Username: big})
		u.PutCursor("last", uint64(i))
		return s.Commit(context.Background(), u)
	}
	if err := put(0); err != nil {
		return fmt.Errorf("without a limit: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		return err
	}
	limit := syscall.Rlimit{Cur: uint64(info.Size()), Max: was.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	// What is preallocated still fits; then it does not.
	failed := 0
	for i := 1; failed == 0 && i < 200; i++ {
		if err := put(i); errors.Is(err, store.ErrUnavailable) {
			failed = i
		} else if err != nil {
			return err
		}
	}
	if failed == 0 || s.Healthy() == nil {
		return fmt.Errorf("at the limit: unit %d failed, Healthy() = %v, want a failure and its reason", failed, s.Healthy())
	}
	if err := left(s, failed); err != nil {
		return fmt.Errorf("at the limit: %w", err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		return err
	}
	if err := errors.Join(s.Probe(context.Background()), s.Healthy()); err != nil {
		return fmt.Errorf("with room again: %w", err)
	}
	if err := errors.Join(left(s, failed), s.Close()); err != nil {
		return err
	}
	if s, err = bolt.Open(bolt.Config{Path: path}); err != nil {
		return err
	}
	return errors.Join(left(s, failed), put(failed), s.Close())
}

// left checks that everything before the failed unit is there and nothing of
// it.
func left(s *bolt.Store, failed int) error {
	ctx := context.Background()
	last, err := s.Begin().Cursor(ctx, "last")
	if err != nil || last != uint64(failed-1) {
		return fmt.Errorf("cursor is %d, %v, want that of unit %d", last, err, failed-1)
	}
	for i := range failed + 1 {
		if _, ok, err := s.Begin().Session(ctx, fmt.Sprint(i)); err != nil || ok != (i < failed) {
			return fmt.Errorf("row of unit %d: %v, %v, want %v", i, ok, err, i < failed)
		}
	}
	return nil
}

// TestKill: after kill -9 every acknowledged commit is there, whole.
func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	open(t, path).Close()
	total := 0
	begin := time.Now()
	for round := range 20 {
		if time.Since(begin) > 8*time.Second && round >= 5 {
			break // a slow machine
		}
		acked := killed(t, path, 1+round*7)
		s := open(t, path)
		ctx := context.Background()
		for _, hash := range acked {
			if _, ok, err := s.Begin().Code(ctx, hash); err != nil || !ok {
				t.Errorf("round %d: acknowledged code %s: %v, %v, want it there", round, hash, ok, err)
			}
			if _, ok, err := s.Begin().Session(ctx, hash); err != nil || !ok {
				t.Errorf("round %d: acknowledged session %s: %v, %v, want it there", round, hash, ok, err)
			}
		}
		total += len(acked)
		s.Close()
	}
	if total < 20 {
		t.Errorf("only %d commits were acknowledged: the test looked at nothing", total)
	}
}

// killed lets a child write until it acknowledged n commits, kills it and
// returns what it had acknowledged.
func killed(t *testing.T, path string, n int) []string {
	t.Helper()
	cmd := child("write", path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var acked []string
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			break // what was written in half was not acknowledged
		}
		if acked = append(acked, strings.TrimSpace(line)); len(acked) == n {
			cmd.Process.Kill()
		}
	}
	cmd.Wait()
	if len(acked) < n {
		t.Fatalf("the child acknowledged %d commits, want at least %d", len(acked), n)
	}
	return acked
}

// writeForEver commits from four writers and acknowledges on stdout.
func writeForEver(path string) error {
	s, err := bolt.Open(bolt.Config{Path: path})
	if err != nil {
		return err
	}
	failed := make(chan error)
	for w := range 4 {
		go func() {
			for i := 0; ; i++ {
				hash := fmt.Sprintf("%d-%d-%d", os.Getpid(), w, i)
				u := s.Begin()
				u.PutCode(store.Code{Hash: hash, Challenge: strings.Repeat("c", 1000)})
				u.PutSession(store.Session{Hash: hash})
				if err := s.Commit(context.Background(), u); err != nil {
					failed <- err
					return
				}
				os.Stdout.WriteString(hash + "\n")
			}
		}()
	}
	return <-failed
}
