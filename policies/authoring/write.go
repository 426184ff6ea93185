package authoring

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Write puts body in the place of a file, so that a reader, or a crash, sees
// the old content or the new. A file that exists keeps its mode, and a link to
// a file stays a link; a new one has mode 0644, for servers that run as
// another user.
func Write(name string, body []byte) error {
	target, err := filepath.EvalSymlinks(name)
	mode := fs.FileMode(0o644)
	switch info, statErr := os.Stat(name); {
	case errors.Is(err, fs.ErrNotExist):
		target = name
	case err != nil:
		return fmt.Errorf("write %s: %w", name, err)
	case statErr != nil:
		return fmt.Errorf("write %s: %w", name, statErr)
	default:
		mode = info.Mode().Perm()
	}
	if err := replace(target, body, mode); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

func replace(target string, body []byte, mode fs.FileMode) error {
	dir := filepath.Dir(target)
	tmp, err := os.CreateTemp(dir, "."+filepath.Base(target)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()
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
