package authoring

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Write puts body in the place of a file, so that a reader, or a crash, sees
// the old content or the new. A file that exists keeps its mode and its owner,
// and a link to a file stays a link; a new one has mode 0644, for servers that
// run as another user.
func Write(name string, body []byte) error {
	target, err := filepath.EvalSymlinks(name)
	mode, owner := fs.FileMode(0o644), fs.FileInfo(nil)
	switch info, statErr := os.Stat(name); {
	case errors.Is(err, fs.ErrNotExist):
		target = name
	case err != nil:
		return fmt.Errorf("write %s: %w", name, err)
	case statErr != nil:
		return fmt.Errorf("write %s: %w", name, statErr)
	default:
		mode, owner = info.Mode().Perm(), info
	}
	if err := replace(target, body, mode, owner); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

func replace(target string, body []byte, mode fs.FileMode, old fs.FileInfo) error {
	dir := filepath.Dir(target)
	tmp, err := os.CreateTemp(dir, "."+filepath.Base(target)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()
	if err := keepOwner(tmp, old); err != nil {
		return err
	}
	if _, err := tmp.Write(body); err != nil {
		return err
	}
	if err := errors.Join(tmp.Chmod(mode), tmp.Sync()); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), target); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// keepOwner gives f the owner of the file that it takes the place of, if there
// is one: an administrator who edits as root must not take it away from the
// server's user.
func keepOwner(f *os.File, old fs.FileInfo) error {
	if old == nil {
		return nil
	}
	owner, ok := old.Sys().(*syscall.Stat_t)
	if !ok || int(owner.Uid) == os.Geteuid() {
		return nil
	}
	if err := f.Chown(int(owner.Uid), int(owner.Gid)); err != nil {
		return fmt.Errorf("keep its owner (run this as user id %d): %w", owner.Uid, err)
	}
	return nil
}
