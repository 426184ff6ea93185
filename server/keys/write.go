package keys

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// create writes a file that does not exist yet. The hard link makes the
// complete file appear at once and fails if another process was faster, which
// is no error: the caller reads what is there.
func create(path, purpose string, entries []entry) error {
	return write(path, purpose, entries, func(tmp string) error {
		if err := os.Link(tmp, path); !errors.Is(err, os.ErrExist) {
			return err
		}
		return nil
	})
}

// replace puts a new content in the place of a file, so that a reader or a
// crash sees the old content or the new. The caller holds the lock.
func replace(path, purpose string, entries []entry) error {
	return write(path, purpose, entries, func(tmp string) error { return os.Rename(tmp, path) })
}

// write makes the complete content durable under another name, then has it put
// in its place. A crash may leave a temporary file behind, whose new keys
// nobody ever used.
func write(path, purpose string, entries []entry, place func(tmp string) error) error {
	raw, err := encode(purpose, entries)
	if err != nil {
		return fmt.Errorf("encode key file %s: %w", path, err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+purpose+".*.tmp") // mode 0600
	if err != nil {
		return fmt.Errorf("write key file %s: %w", path, err)
	}
	defer os.Remove(tmp.Name())
	err = keepOwner(tmp, path)
	if err == nil {
		_, err = tmp.Write(raw)
	}
	if err == nil {
		err = tmp.Sync()
	}
	if err := errors.Join(err, tmp.Close()); err != nil {
		return fmt.Errorf("write key file %s: %w", path, err)
	}
	if err := place(tmp.Name()); err != nil {
		return fmt.Errorf("write key file %s: %w", path, err)
	}
	return syncDir(filepath.Dir(path))
}

// keepOwner gives f the owner of the key file: an administrator who rotates as
// root must not take the file away from the server's user.
func keepOwner(f *os.File, path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(owner.Uid) == os.Geteuid() {
		return nil
	}
	if err := f.Chown(int(owner.Uid), int(owner.Gid)); err != nil {
		return fmt.Errorf("keep its owner (run this as user id %d): %w", owner.Uid, err)
	}
	return nil
}

// lock waits until nobody else changes the key file. The lock file stays:
// removing it would let two writers hold locks on two files of one name.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock key file: %w", err)
	}
	if err = keepOwner(f, path); err == nil {
		err = flock(f)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock key file %s: %w", path, err)
	}
	return func() { f.Close() }, nil // closing unlocks
}

func flock(f *os.File) error {
	for {
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// syncDir makes a new name in dir survive a power loss.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync directory %s: %w", dir, err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync directory %s: %w", dir, err)
	}
	return nil
}
