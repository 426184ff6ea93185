package main

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/rs/zerolog"
)

// How often a watched directory is looked at beside what the system tells of
// it: what its name stands for, which a swapped link changes, and all of it,
// for file systems that tell nothing.
const (
	rootEvery = 250 * time.Millisecond
	treeEvery = 3 * time.Second
)

// watcher tells when something below a directory may have changed.
type watcher struct {
	dir    string
	log    zerolog.Logger
	events *fsnotify.Watcher // nil: the system tells nothing
	root   fs.FileInfo       // nil: there is no such directory
	tree   string            // the tree as it was looked at last
	out    chan struct{}
}

// watchDir watches until ctx is done. Without a directory the channel stays
// silent.
func watchDir(ctx context.Context, dir string, log zerolog.Logger) <-chan struct{} {
	if dir == "" {
		return nil
	}
	w := newWatcher(dir, log)
	go w.look(ctx)
	return w.out
}

// newWatcher takes up a directory, and tells of what changed before.
func newWatcher(dir string, log zerolog.Logger) *watcher {
	w := &watcher{dir: dir, log: log, out: make(chan struct{}, 1)}
	var err error
	if w.events, err = fsnotify.NewWatcher(); err != nil {
		log.Warn().Str("event", "policy.watch_failed").Str("dir", dir).Err(err).Msg("changes are seen within seconds")
	}
	w.root, _ = os.Stat(dir)
	w.tree = treeState(os.DirFS(dir))
	w.watchTree(dir)
	w.tell()
	return w
}

// look runs the watcher with its looks at the directory.
func (w *watcher) look(ctx context.Context) {
	root, tree := time.NewTicker(rootEvery), time.NewTicker(treeEvery)
	defer root.Stop()
	defer tree.Stop()
	w.run(ctx, root.C, tree.C)
}

// run tells of changes until ctx is done: of those that the system tells of,
// and of those that it finds when root and tree tick.
func (w *watcher) run(ctx context.Context, root, tree <-chan time.Time) {
	var events chan fsnotify.Event
	var errs chan error
	if w.events != nil {
		defer w.events.Close()
		events, errs = w.events.Events, w.events.Errors
	}
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-events:
			if e.Has(fsnotify.Create) {
				w.watchTree(e.Name)
			}
			w.tell()
		case err := <-errs:
			w.log.Warn().Str("event", "policy.watch_failing").Str("dir", w.dir).Err(err).Send()
			w.tell()
		case <-root:
			w.lookRoot()
		case <-tree:
			if now := treeState(os.DirFS(w.dir)); now != w.tree {
				w.tree = now
				w.tell()
			}
		}
	}
}

// tell wakes who listens.
func (w *watcher) tell() {
	select {
	case w.out <- struct{}{}:
	default:
	}
}

// lookRoot notices that another directory has the name now, or none.
func (w *watcher) lookRoot() {
	now, err := os.Stat(w.dir)
	if err != nil {
		now = nil
	}
	if now == nil && w.root == nil || now != nil && w.root != nil && os.SameFile(now, w.root) {
		return
	}
	w.root = now
	w.watchTree(w.dir)
	w.tell()
}

// watchTree watches path and every directory below it, but those whose names
// begin with a dot. What cannot be watched is looked at all the same.
func (w *watcher) watchTree(path string) {
	if w.events == nil {
		return
	}
	top := ""
	if path == w.dir {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			path = real
		}
		top = path
	}
	_ = filepath.WalkDir(path, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || !d.IsDir():
			return nil
		case strings.HasPrefix(d.Name(), ".") && path != top:
			return fs.SkipDir
		}
		if err := w.events.Add(path); err != nil {
			w.log.Warn().Str("event", "policy.watch_failing").Str("dir", path).Err(err).Msg("changes are seen within seconds")
		}
		return nil
	})
}
