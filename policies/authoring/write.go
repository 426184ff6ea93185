package authoring

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"guestlist/broker/disk"
)

// Write puts body in the place of a file, so that a reader, or a crash, sees
// the old content or the new. A file that exists keeps its mode and its owner,
// and a link to a file stays a link; a new one has mode 0644, for servers that
// run as another user.
func Write(name string, body []byte) error {
	mode := fs.FileMode(0o644)
	info, err := os.Stat(name)
	if err == nil {
		mode = info.Mode().Perm()
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = disk.Replace(name, body, mode)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
