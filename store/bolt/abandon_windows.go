package bolt

import "os"

// abandon closes the descriptor of a file that bbolt may not be able to close
// after a panic. The lock ends with the process.
func abandon(f *os.File) error { return f.Close() }
