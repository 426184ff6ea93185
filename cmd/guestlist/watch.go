package main

import (
	"context"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/rs/zerolog"
)

// settleFor is how long a directory must be quiet before it is read: editors
// and checkouts write several files.
const settleFor = 200 * time.Millisecond

// watchDir tells when something below dir changed and has been quiet since.
// Without a directory the channel stays silent.
func watchDir(ctx context.Context, dir string, log zerolog.Logger) <-chan struct{} {
	out := make(chan struct{}, 1)
	if dir == "" {
		return out
	}
	w, err := fsnotify.NewWatcher()
	if err == nil {
		err = watchTree(w, dir)
	}
	if err != nil {
		log.Error().Str("event", "policy.watch_failed").Str("dir", dir).Err(err).Msg("send SIGHUP to reload")
		return out
	}
	go func() {
		defer w.Close()
		var quiet <-chan time.Time
		for {
			select {
			case <-ctx.Done():
				return
			case _, ok := <-w.Events:
				if !ok {
					return
				}
				watchTree(w, dir) // directories made since are watched too
				quiet = time.After(settleFor)
			case err := <-w.Errors:
				log.Error().Str("event", "policy.watch_failing").Str("dir", dir).Err(err).Send()
				quiet = time.After(settleFor)
			case <-quiet:
				quiet = nil
				select {
				case out <- struct{}{}:
				default:
				}
			}
		}
	}()
	return out
}

// watchTree watches dir and every directory below it.
func watchTree(w *fsnotify.Watcher, dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return w.Add(path)
		}
		return nil
	})
}
