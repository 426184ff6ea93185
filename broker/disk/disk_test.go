package disk_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"guestlist/broker/disk"
)

// holds fails unless path is a regular file with that content and mode, alone
// in its directory but for others.
func holds(t *testing.T, path, content string, mode fs.FileMode, others ...string) {
	t.Helper()
	body, err := os.ReadFile(path)
	if err != nil || string(body) != content {
		t.Errorf("%s holds %q, %v, want %q", filepath.Base(path), body, err, content)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != mode {
		t.Errorf("%s has mode %v, %v, want %v", filepath.Base(path), info.Mode(), err, mode)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1+len(others) {
		t.Errorf("beside %s are %v, %v, want %v", filepath.Base(path), left, err, others)
	}
}

func TestReplace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	for _, c := range []struct {
		content string
		mode    fs.FileMode
	}{{"new", 0o600}, {"longer than before", 0o666}, {"", 0o640}} {
		if err := disk.Replace(path, []byte(c.content), c.mode); err != nil {
			t.Fatalf("Replace(%q) = %v, want nil", c.content, err)
		}
		holds(t, path, c.content, c.mode)
	}
}

// A replacement that cannot be put in its place leaves nothing behind.
func TestReplaceFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "d")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := disk.Replace(path, []byte("x"), 0o600); err == nil {
		t.Error("Replace of a directory = nil, want an error")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v, want the directory alone", left, err)
	}
	if err := disk.Replace(filepath.Join(dir, "absent", "f"), []byte("x"), 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Replace in no directory = %v, want that it is not there", err)
	}
}

func TestReplaceThroughALink(t *testing.T) {
	there, here := t.TempDir(), t.TempDir()
	path, link := filepath.Join(there, "f"), filepath.Join(here, "link")
	if err := errors.Join(os.WriteFile(path, []byte("old"), 0o600), os.Symlink(path, link)); err != nil {
		t.Fatal(err)
	}
	unlock, err := disk.Lock(link)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
	if err := disk.Replace(link, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	holds(t, path, "new", 0o600, "f.lock")
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link is now %v, %v, want still a link", info, err)
	}
}

// TestOwner: whoever edits as root does not take a file away.
func TestOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	uid := os.Geteuid()
	if uid == 0 {
		uid = 12345
		if err := os.Chown(path, uid, uid); err != nil {
			t.Fatal(err)
		}
	}
	unlock, err := disk.Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
	if err := disk.Replace(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + ".lock"} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := int(info.Sys().(*syscall.Stat_t).Uid); got != uid || info.Mode() != 0o600 {
			t.Errorf("%s belongs to %d with mode %v, want %d and 0600", filepath.Base(name), got, info.Mode(), uid)
		}
	}
}

// TestGroup: a file that a group may read, as the server's may, stays that
// group's when its owner edits.
func TestGroup(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, nil, 0o640); err != nil {
		t.Fatal(err)
	}
	groups, err := os.Getgroups()
	if err != nil {
		t.Fatal(err)
	}
	group := os.Getegid()
	for _, other := range groups {
		group = other // one of the user's, most likely not the first
	}
	if os.Geteuid() == 0 {
		group = 12345
	}
	if err := os.Chown(path, -1, group); err != nil {
		t.Fatal(err)
	}
	if err := disk.Replace(path, []byte("x"), 0o640); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := int(info.Sys().(*syscall.Stat_t).Gid); got != group || info.Mode() != 0o640 {
		t.Errorf("the file is of group %d with mode %v, want %d and 0640", got, info.Mode(), group)
	}
}

func TestCreate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := disk.Create(path, []byte("first"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := disk.Create(path, []byte("second"), 0o644); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Create of what is there = %v, want fs.ErrExist", err)
	}
	holds(t, path, "first", 0o600)
}

// TestLock: of a number that many raise by reading and replacing, no step is lost.
func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	const writers = 8
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			unlock, err := disk.Lock(path)
			if err != nil {
				t.Error(err)
				return
			}
			defer unlock()
			old, err := os.ReadFile(path)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Error(err)
			}
			if err := disk.Replace(path, append(old, '+'), 0o600); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	holds(t, path, "++++++++", 0o600, "f.lock")
}

// TestSyncDir: a file system that cannot sync a directory, as /proc cannot, is
// no error; a directory that is not there is one.
func TestSyncDir(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{dir, "/proc"} {
		if err := disk.SyncDir(d); err != nil {
			t.Errorf("SyncDir(%s) = %v, want nil", d, err)
		}
	}
	if err := disk.SyncDir(filepath.Join(dir, "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("SyncDir of nothing = %v, want that it is not there", err)
	}
}
