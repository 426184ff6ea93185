// Package disk changes files whole: a reader, or a crash at any moment, sees the
// old content or the new. What it returned from without an error survives a loss
// of power, as far as the file system can promise that.
//
// A link stays a link: what it leads to is changed, and locked.
package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Replace puts body in the place of what path holds, if anything. The file has
// the mode afterwards, whatever the umask, and the owner and the group it had: an
// administrator who edits as root does not take it away from the server's user.
// A group that its owner may not give stays behind.
// A crash may leave a temporary file beside it, whose name begins with a dot.
// Replace does not lock.
func Replace(path string, body []byte, mode fs.FileMode) error {
	return write(followed(path), body, mode, os.Rename)
}

// Create makes a file that is not there yet, complete at once, with the mode.
// Where somebody else was first that file stays, with an error that is
// fs.ErrExist.
func Create(path string, body []byte, mode fs.FileMode) error {
	return write(path, body, mode, os.Link)
}

// write makes the complete content durable under another name, then has it put
// in its place.
func write(path string, body []byte, mode fs.FileMode, place func(tmp, path string) error) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	err = keepOwner(tmp, path)
	if err == nil {
		_, err = tmp.Write(body)
	}
	if err == nil {
		err = errors.Join(tmp.Chmod(mode), tmp.Sync())
	}
	if err := errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	if err := place(tmp.Name(), path); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// Lock waits until no other process has locked path, which need not be there.
// The lock is a file of its own, path.lock with mode 0600 and the owner of path.
// It stays: removing it would let two writers hold locks on two files of one
// name. Who only reads needs no lock.
func Lock(path string) (unlock func(), err error) {
	path = followed(path)
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err = keepOwner(f, path); err == nil {
		err = Flock(f)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil // closing unlocks
}

// Flock waits until no other process has locked the open file or directory.
// Closing f unlocks it.
func Flock(f *os.File) error {
	for {
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// SyncDir makes the names in dir durable. It is no error where that cannot be
// asked for: of some file systems, and of a directory that may be written to
// but not listed.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOTSUP) {
		return fmt.Errorf("sync directory: %w", err)
	}
	return nil
}

// followed is what path leads to, or path where that is nothing.
func followed(path string) string {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		return target
	}
	return path
}

// keepOwner gives f the owner and the group of what path holds.
func keepOwner(f *os.File, path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	if int(owner.Uid) == os.Geteuid() {
		_ = f.Chown(-1, int(owner.Gid)) // not in that group: nothing is taken from the owner
		return nil
	}
	if err := f.Chown(int(owner.Uid), int(owner.Gid)); err != nil {
		return fmt.Errorf("keep its owner (run this as user id %d): %w", owner.Uid, err)
	}
	return nil
}
