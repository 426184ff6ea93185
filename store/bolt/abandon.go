//go:build !windows

package bolt

import (
	"errors"
	"os"
	"syscall"
)

// abandon gives up the lock and the descriptor of a file that bbolt may not
// be able to close after a panic. Closing alone would not do: the mapping
// keeps the open file, and with it the lock, alive.
func abandon(f *os.File) error {
	return errors.Join(syscall.Flock(int(f.Fd()), syscall.LOCK_UN), f.Close())
}
