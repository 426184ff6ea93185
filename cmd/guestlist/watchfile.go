package main

import (
	"context"
	"io/fs"
	"os"
	"time"
)

// fileEvery is how often a watched file is looked at. A look costs nothing, and
// sees what file systems do not tell of: swapped links and mounts.
const fileEvery = 200 * time.Millisecond

// watchFile tells when a file is another one than before and has been the same
// for two looks, so that it is not read half written; and once at the beginning.
// The file need not be there. Without a name the channel stays silent.
func watchFile(ctx context.Context, file string) <-chan struct{} {
	out := make(chan struct{}, 1)
	if file == "" {
		return out
	}
	go func() {
		seen, waits := statFile(file), true
		every(ctx, fileEvery, func() {
			now := statFile(file)
			same := sameFile(seen, now)
			seen = now
			if same && waits {
				select {
				case out <- struct{}{}:
				default:
				}
			}
			waits = !same
		})
	}()
	return out
}

// statFile looks at a file; nil where it is not there.
func statFile(file string) fs.FileInfo {
	info, err := os.Stat(file)
	if err != nil {
		return nil
	}
	return info
}

// sameFile reports whether two looks saw the same content, as far as a look
// tells.
func sameFile(a, b fs.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size() && a.Mode() == b.Mode()
}
