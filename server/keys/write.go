package keys

import (
	"errors"
	"fmt"
	"io/fs"

	"guestlist/broker/disk"
)

// create writes a file that does not exist yet. That another process was faster
// is no error: the caller reads what is there.
func create(path, purpose string, entries []entry) error {
	return write(path, purpose, entries, func(path string, body []byte, mode fs.FileMode) error {
		if err := disk.Create(path, body, mode); !errors.Is(err, fs.ErrExist) {
			return err
		}
		return nil
	})
}

// replace puts a new content in the place of a file. The caller holds the lock.
// A crash may leave a temporary file behind, whose new keys nobody ever used.
func replace(path, purpose string, entries []entry) error {
	return write(path, purpose, entries, disk.Replace)
}

func write(path, purpose string, entries []entry, place func(path string, body []byte, mode fs.FileMode) error) error {
	raw, err := encode(purpose, entries)
	if err != nil {
		return fmt.Errorf("encode key file %s: %w", path, err)
	}
	if err := place(path, raw, 0o600); err != nil {
		return fmt.Errorf("write key file %s: %w", path, err)
	}
	return nil
}
