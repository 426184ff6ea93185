//go:build linux || darwin

package bolt

import (
	"fmt"
	"math"
	"os"
	"syscall"
)

// statfs says how many bytes of the file system that f is on are free for this
// process, and how many it has.
func statfs(f *os.File) (free, size int64, err error) {
	var st syscall.Statfs_t
	if err := syscall.Fstatfs(int(f.Fd()), &st); err != nil {
		return 0, 0, fmt.Errorf("statfs %s: %w", f.Name(), err)
	}
	return int64(st.Bavail) * int64(st.Bsize), int64(st.Blocks) * int64(st.Bsize), nil
}

// fileLimit is how long the process may let a file become.
func fileLimit() (int64, bool) {
	var limit syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit)
	return int64(limit.Cur), err == nil && limit.Cur < math.MaxInt64
}
