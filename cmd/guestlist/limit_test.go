package main

import (
	"testing"

	"golang.org/x/sys/unix"
)

// limit bounds the size of files that a running process may write; the
// process gets an error instead of a signal, as with a full disk.
func limit(t *testing.T, p *process, size uint64) {
	t.Helper()
	r := unix.Rlimit{Cur: size, Max: unix.RLIM_INFINITY}
	if err := unix.Prlimit(p.cmd.Process.Pid, unix.RLIMIT_FSIZE, &r, nil); err != nil {
		t.Fatalf("set the file size limit: %v", err)
	}
}

// tooSmall is a bound under which no page of the store can be written but its
// first two; what bbolt preallocated does not help it.
const tooSmall = 8 << 10
