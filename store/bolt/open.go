package bolt

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"guestlist/broker/disk"
	"guestlist/store"
)

// fileVersion is the format of the file as a whole: which buckets there are
// and what their keys mean. An earlier format is upgraded when a file is
// opened; an earlier program would not keep up what came later, so it refuses.
const fileVersion = 7

// formatKey is the key of the format row in metaBucket.
const formatKey = "format"

// format says what kind of file this is. It is the one row that every later
// format keeps readable.
type format struct {
	Format  int       `json:"format"`
	Created time.Time `json:"created"`
}

// Open opens the store in cfg.Path and makes it when no file is there; a file
// of an earlier format is upgraded, and one of 16 MiB or more of which more
// than half is free is written anew beside it, compact, and replaced. Every
// error wraps store.ErrUnavailable and says what to do; a file that is not a
// complete store of this format, or that another process holds, is not
// written to.
func Open(cfg Config) (*Store, error) {
	if cfg.Path == "" {
		return nil, fmt.Errorf("%w: open store: the path is empty", store.ErrUnavailable)
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = time.Second
	}
	if cfg.InitialMmapSize <= 0 {
		cfg.InitialMmapSize = 64 << 20
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	waste, err := prepare(cfg)
	if err != nil {
		return nil, fmt.Errorf("%w: open store: %w", store.ErrUnavailable, err)
	}
	if waste {
		done := compact(cfg)
		if cfg.Compacted != nil {
			cfg.Compacted(done)
		}
	}
	s := &Store{
		told:    cfg.Committed,
		mask:    cfg.Mask,
		path:    cfg.Path,
		queue:   make(chan *request, batchMax),
		idle:    make(chan struct{}),
		changed: make(chan struct{}),
		room:    room{wanted: cfg.Reserve, disk: cfg.Disk, told: cfg.RoomChanged},
	}
	s.room.free.Store(-1)
	if s.db, s.file, err = openFile(cfg, false); err != nil {
		return nil, fmt.Errorf("%w: open store: %w", store.ErrUnavailable, err)
	}
	if err := upgrade(cfg.Path, s.db, s.file); err != nil {
		return nil, fmt.Errorf("%w: open store: %w", store.ErrUnavailable, err)
	}
	if err := s.summariseAll(cfg.Summarised); err != nil {
		var f *fault
		if errors.As(err, &f) {
			return nil, fmt.Errorf("%w: open store: %w", store.ErrUnavailable, errors.Join(err, abandon(s.file)))
		}
		return nil, fmt.Errorf("%w: open store: %w", store.ErrUnavailable, errors.Join(err, s.db.Close()))
	}
	go s.commitLoop()
	return s, nil
}

// prepare makes sure that a complete store is at cfg.Path: it makes one where
// nothing is, and else looks without writing. It reports whether the file is
// worth a compaction.
func prepare(cfg Config) (waste bool, err error) {
	info, err := os.Stat(cfg.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, create(cfg)
	case err != nil:
		return false, err
	case !info.Mode().IsRegular():
		return false, fmt.Errorf("%s is not a regular file: name the file itself", cfg.Path)
	case info.Size() == 0:
		return false, fmt.Errorf("%s is empty: restore a backup, or remove the file if it never held anything", cfg.Path)
	}
	db, file, err := openFile(cfg, true)
	if err != nil {
		return false, err
	}
	err = guarded(cfg.Path, func() error {
		return db.View(func(tx *bbolt.Tx) error {
			waste = wasteful(db, tx)
			return complete(cfg.Path, tx, info.Size())
		})
	})
	var f *fault
	if errors.As(err, &f) {
		return false, errors.Join(err, abandon(file))
	}
	return waste, errors.Join(err, db.Close())
}

// complete is the cheap check at start: format, buckets, state and length.
func complete(path string, tx *bbolt.Tx, size int64) error {
	v := viewOf(tx)
	if tx.Size() > size {
		return fmt.Errorf("%s is cut short (%d of %d bytes): restore a backup", path, size, tx.Size())
	}
	if tx.Bucket([]byte(metaBucket)) == nil {
		return fmt.Errorf("%s is a bbolt file of another program: check the path", path)
	}
	f, ok, err := load[format](v, metaBucket, []byte(formatKey))
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", path, err)
	case !ok:
		return fmt.Errorf("%s is a bbolt file of another program: check the path", path)
	case f.Format > fileVersion:
		return fmt.Errorf("%s has format %d, this program reads up to %d: use the newer program", path, f.Format, fileVersion)
	}
	for _, b := range required(f.Format) {
		if _, err := v.bucket(b); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	if _, err := v.state(); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// openFile opens an existing file and hands out its descriptor too.
func openFile(cfg Config, readOnly bool) (*bbolt.DB, *os.File, error) {
	for range 3 {
		db, file, err := openOnce(cfg, readOnly)
		if err != nil {
			return nil, nil, err
		}
		// Who waited for the lock may hold a file that was replaced meanwhile.
		opened, err := file.Stat()
		named, err2 := os.Stat(cfg.Path)
		if err := errors.Join(err, err2); err != nil {
			return nil, nil, errors.Join(err, db.Close())
		}
		if os.SameFile(opened, named) {
			return db, file, nil
		}
		if err := db.Close(); err != nil {
			return nil, nil, err
		}
	}
	return nil, nil, fmt.Errorf("%s is replaced again and again: is another program at work on it?", cfg.Path)
}

func openOnce(cfg Config, readOnly bool) (*bbolt.DB, *os.File, error) {
	var file *os.File
	opts := &bbolt.Options{
		Timeout:      cfg.Timeout,
		ReadOnly:     readOnly,
		FreelistType: bbolt.FreelistMapType,
		NoStatistics: true,
		OpenFile: func(path string, flag int, mode os.FileMode) (f *os.File, err error) {
			file, err = os.OpenFile(path, flag&^os.O_CREATE, mode)
			return file, err
		},
	}
	if readOnly { // to count free pages
		opts.PreLoadFreelist, opts.NoStatistics = true, false
	} else {
		opts.InitialMmapSize = cfg.InitialMmapSize
	}
	var db *bbolt.DB
	err := guarded(cfg.Path, func() (err error) {
		db, err = bbolt.Open(cfg.Path, 0o600, opts)
		return err
	})
	if err == nil {
		return db, file, nil
	}
	var f *fault
	if errors.As(err, &f) && file != nil {
		abandon(file)
	}
	return nil, nil, explain(cfg.Path, err)
}

// explain says what an error of bbolt means for the file and what to do.
func explain(path string, err error) error {
	var f *fault
	var io *fs.PathError
	switch {
	case errors.As(err, &f), errors.As(err, &io):
		return err
	case errors.Is(err, berrors.ErrTimeout):
		return fmt.Errorf("%s is in use by another process: stop it, or talk to it instead of opening its file", path)
	case errors.Is(err, berrors.ErrVersionMismatch):
		return fmt.Errorf("%s was written by another version of bbolt: use the program that wrote it", path)
	}
	return fmt.Errorf("%s is not a store file, or its first pages are damaged: check the path, or restore a backup: %w", path, err)
}

// create makes a complete store under another name first, so that a crash
// never leaves half of one at cfg.Path.
func create(cfg Config) error {
	dir := filepath.Dir(cfg.Path)
	tmp, err := os.CreateTemp(dir, filepath.Base(cfg.Path)+".new-*")
	if err != nil {
		return fmt.Errorf("create %s: %w: the directory must exist and be writable", cfg.Path, err)
	}
	defer os.Remove(tmp.Name())
	tmp.Close()
	db, err := bbolt.Open(tmp.Name(), 0o600, &bbolt.Options{FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return fmt.Errorf("create %s: %w", cfg.Path, err)
	}
	err = errors.Join(db.Update(func(tx *bbolt.Tx) error { return furnish(tx, cfg.Now()) }), db.Close())
	if err != nil {
		return fmt.Errorf("create %s: %w", cfg.Path, err)
	}
	if err := os.Link(tmp.Name(), cfg.Path); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("create %s: %w", cfg.Path, err)
	}
	return disk.SyncDir(dir)
}

// furnish writes buckets and meta rows of a new store.
func furnish(tx *bbolt.Tx, now time.Time) error {
	for _, b := range buckets() {
		if _, err := tx.CreateBucket([]byte(b)); err != nil {
			return err
		}
	}
	t := &txn{view: viewOf(tx)}
	if err := t.save(metaBucket, []byte(formatKey), format{Format: fileVersion, Created: now.UTC()}); err != nil {
		return err
	}
	return t.finish()
}
