package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"syscall"
	"time"

	"guestlist/policies"
)

// settleFor is how long a policy directory must be quiet before it is read:
// editors and checkouts write several files, and one in pieces. settleMax is
// how long it may take to become so.
const (
	settleFor = 200 * time.Millisecond
	settleMax = 20 * time.Second
)

// errUnsettled refuses a directory that is written to all the time.
var errUnsettled = errors.New("the directory changes all the time. Remedy: write elsewhere and rename, or reload once it is done")

// treeState tells two moments of a tree apart by what the file system says of
// its files: name, which file it is, size, mode and time of the last change.
// Times and sizes alone do not tell two images or checkouts apart whose times
// are all the same. Names that begin with a dot are left out, as when policies
// are read.
func treeState(root fs.FS) string {
	var b strings.Builder
	if root == nil {
		return ""
	}
	_ = fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			fmt.Fprintf(&b, "%q %v\n", name, err)
			return nil
		}
		if strings.HasPrefix(path.Base(name), ".") && name != "." {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		info, err := fs.Stat(root, name) // of what a link leads to
		if err != nil {
			fmt.Fprintf(&b, "%q %v\n", name, err)
			return nil
		}
		fmt.Fprintf(&b, "%q %d %v %d", name, info.Size(), info.Mode(), info.ModTime().UnixNano())
		if file, ok := info.Sys().(*syscall.Stat_t); ok {
			fmt.Fprintf(&b, " %d %d", file.Dev, file.Ino)
		}
		b.WriteString("\n")
		return nil
	})
	return b.String()
}

// loadSettled loads the policies of a moment at which nothing changed: the tree
// was quiet for a while before, and is the same when all of it was read and
// compiled. It returns the state of that tree. The first load of a program
// waits for quiet only where something changed a moment ago: a server may start
// in the middle of a checkout, but mostly it does not.
func loadSettled(ctx context.Context, cfg policies.Config, first bool) (set *policies.Set, notes []policies.Finding, tree string, err error) {
	for began := time.Now(); ; {
		tree = treeState(cfg.FS)
		if !first || changedLately(cfg.FS, began) {
			if tree, err = settled(ctx, cfg.FS, tree, began); err != nil {
				return nil, nil, tree, err
			}
		}
		set, notes, err = policies.Load(ctx, cfg)
		if treeState(cfg.FS) == tree {
			return set, notes, tree, err
		}
		first = false
	}
}

// changedLately reports whether a file or directory was written within
// settleFor before now, or is written in the future, which tells nothing.
func changedLately(root fs.FS, now time.Time) bool {
	if root == nil {
		return false
	}
	found := errors.New("found")
	return fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if strings.HasPrefix(path.Base(name), ".") && name != "." {
			if d != nil && d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if info, err := fs.Stat(root, name); err == nil && now.Sub(info.ModTime()) < settleFor {
			return found
		}
		return nil
	}) != nil
}

// settled waits until the tree has been quiet for settleFor.
func settled(ctx context.Context, root fs.FS, tree string, began time.Time) (string, error) {
	for {
		if time.Since(began) > settleMax {
			return tree, errUnsettled
		}
		select {
		case <-ctx.Done():
			return tree, ctx.Err()
		case <-time.After(settleFor):
		}
		now := treeState(root)
		if now == tree {
			return tree, nil
		}
		tree = now
	}
}
