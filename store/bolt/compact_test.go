package bolt_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"guestlist/broker"
	"guestlist/store"
	"guestlist/store/bolt"
)

// churned makes a closed store whose file is of so many MiB, most of them
// swept.
func churned(t testing.TB, mib int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "store.db")
	s := open(t, path)
	big := strings.Repeat("x", 1<<20)
	for i := range mib {
		u := s.Begin()
		u.PutSession(store.Session{Hash: fmt.Sprint(i), Username: big, ExpiresAt: at})
		u.CreateClient(broker.Client{ID: fmt.Sprintf("https://a.example/%d", i), Incarnation: 1, Published: fmt.Append(nil, i), ExpiresAt: at})
		if err := s.Commit(t.Context(), u); err != nil {
			t.Fatal(err)
		}
	}
	n, err := s.Sweep(t.Context(), at, 2*mib)
	if err := errors.Join(err, s.Probe(t.Context()), s.Close()); err != nil || n != mib {
		t.Fatalf("swept %d, %v", n, err)
	}
	return path
}

// dump is everything that a file holds.
func dump(path string) (map[string]string, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, Timeout: time.Second})
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	err = db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, bk *bbolt.Bucket) error {
			return bk.ForEach(func(k, v []byte) error {
				all[string(name)+" "+string(k)] = string(v)
				return nil
			})
		})
	})
	return all, errors.Join(err, db.Close())
}

func size(t testing.TB, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// reopened opens and closes a store and returns what was said of compaction.
func reopened(t *testing.T, path string) []bolt.Compaction {
	t.Helper()
	var said []bolt.Compaction
	s, err := bolt.Open(bolt.Config{Path: path, Compacted: func(c bolt.Compaction) { said = append(said, c) }})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return said
}

// TestCompact: a file that is mostly free shrinks at start, keeps what it
// holds, its mode whatever the umask, and its name, and is left alone afterwards.
func TestCompact(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	path := churned(t, 20)
	link := filepath.Join(t.TempDir(), "link.db")
	write(t, path+".compact", []byte("half of what a killed process wrote"))
	if err := errors.Join(os.Symlink(path, link), os.Chmod(path, 0o640)); err != nil {
		t.Fatal(err)
	}
	before, err := dump(path)
	if err != nil {
		t.Fatal(err)
	}
	was := size(t, path)
	said := reopened(t, link)
	if len(said) != 1 || said[0].Err != nil || said[0].Before != was || said[0].After > was/2 || size(t, path) > was/2 {
		t.Errorf("compaction of %d bytes = %+v, the file has %d", was, said, size(t, path))
	}
	if after, err := dump(path); err != nil || !reflect.DeepEqual(after, before) {
		t.Errorf("the compact file holds something else, %v", err)
	}
	info, err := os.Lstat(link)
	if err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link became %v, %v", info, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the mode became %v, %v", info, err)
	}
	if left, _ := filepath.Glob(path + "*"); len(left) != 1 {
		t.Errorf("files afterwards: %q, want one", left)
	}
	if said := reopened(t, path); len(said) != 0 {
		t.Errorf("opened again: %+v, want nothing said", said)
	}
	if said := reopened(t, churned(t, 8)); len(said) != 0 {
		t.Errorf("a small file: %+v, want nothing said", said)
	}
}

// TestCompactNowhere: where nothing can be written beside it, the file stays
// in use.
func TestCompactNowhere(t *testing.T) {
	path := churned(t, 20)
	if err := os.MkdirAll(filepath.Join(path+".compact", "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	// What is in the way is another program's: nothing but a file is removed.
	before := read(t, path)
	said := reopened(t, path)
	if len(said) != 1 || said[0].Err == nil || !bytes.Equal(read(t, path), before) {
		t.Errorf("with a directory in the way: %+v, want an error and the file unchanged", said)
	}
}

// TestCompactOnAFullDisk (trap F11) leaves the file in use.
func TestCompactOnAFullDisk(t *testing.T) {
	path := churned(t, 20)
	before, err := dump(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := child("compact", path).Run(); err != nil {
		t.Errorf("child = %v, want it to find everything in order", err)
	}
	if after, err := dump(path); err != nil || !reflect.DeepEqual(after, before) {
		t.Errorf("the file holds something else, %v", err)
	}
	if left, _ := filepath.Glob(path + "*"); len(left) != 1 {
		t.Errorf("files afterwards: %q, want one", left)
	}
}

// compactFull runs in a child, because the limit is the process's.
func compactFull(path string) error {
	limit := syscall.Rlimit{Cur: 16 << 10, Max: 16 << 10}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	var said []bolt.Compaction
	s, err := bolt.Open(bolt.Config{Path: path, Compacted: func(c bolt.Compaction) { said = append(said, c) }})
	if err != nil {
		return err
	}
	if len(said) != 1 || said[0].Err == nil {
		return fmt.Errorf("compaction = %+v, want an error", said)
	}
	return s.Close()
}

// TestKillInCompaction: kill -9 at any moment leaves a file that holds
// everything.
func TestKillInCompaction(t *testing.T) {
	path := churned(t, 20)
	bloated := read(t, path)
	before, err := dump(path)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := child("open", path).Run(); err != nil {
		t.Fatal(err)
	}
	took, small := time.Since(began), 0
	for range 12 {
		write(t, path, bloated)
		c := child("open", path)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(rand.N(took*3/2), func() { c.Process.Kill() })
		c.Wait()
		if after, err := dump(path); err != nil || !reflect.DeepEqual(after, before) {
			t.Fatalf("killed: the file holds something else, %v", err)
		}
		if size(t, path) < int64(len(bloated)) {
			small++
		}
	}
	t.Logf("%d of 12 were compacted before the kill", small)
	write(t, path, bloated)
	if reopened(t, path); size(t, path) > int64(len(bloated))/2 {
		t.Errorf("afterwards the file has %d bytes of %d", size(t, path), len(bloated))
	}
}

// TestReplacedWhileWaiting: who waits for the lock of a file that another
// process compacts does not go on with the one that is no more.
func TestReplacedWhileWaiting(t *testing.T) {
	path, other := made(t), made(t)
	s := open(t, other)
	u := s.Begin()
	u.PutCursor("new", 7)
	if err := errors.Join(s.Commit(t.Context(), u), s.Close()); err != nil {
		t.Fatal(err)
	}
	// Held for reading: the first look passes, opening for writing waits.
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(100*time.Millisecond, func() {
		if err := errors.Join(os.Rename(other, path), db.Close()); err != nil {
			t.Error(err)
		}
	})
	s, err = bolt.Open(bolt.Config{Path: path, Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got, err := s.Begin().Cursor(t.Context(), "new"); err != nil || got != 7 {
		t.Errorf("Cursor() = %d, %v, want that of the file that is there now", got, err)
	}
}

// openAndClose runs in a child that is killed.
func openAndClose(path string) error {
	s, err := bolt.Open(bolt.Config{Path: path})
	if err != nil {
		return err
	}
	return s.Close()
}
