//go:build !linux && !darwin

package bolt

import "os"

// statfs does not know on this system; what fails tells.
func statfs(*os.File) (free, size int64, err error) { return 0, 0, nil }

// fileLimit does not know on this system.
func fileLimit() (int64, bool) { return 0, false }
