package bolt

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"

	"guestlist/broker/disk"
)

// compactFrom is the size below which a file is left alone, however little of
// it is in use.
const compactFrom = 16 << 20

// compactStep is how many bytes one transaction of a compaction writes.
const compactStep = 4 << 20

// Compaction says what came of writing a file anew without its free pages.
type Compaction struct {
	Before, After int64 // size of the file in bytes
	// Err is why the file was left as it was; nil when it was not. A full disk
	// is one of the reasons; the store works all the same.
	Err error
}

// wasteful reports whether more than half of a file is free pages. db was
// opened for reading.
func wasteful(db *bbolt.DB, tx *bbolt.Tx) bool {
	free := int64(db.Stats().FreePageN) * int64(db.Info().PageSize)
	return tx.Size() >= compactFrom && free > tx.Size()/2
}

// compact writes the file of cfg anew beside it and puts the new one in its
// place. Up to the rename, which is atomic, the old one is whole and in use:
// what a crash leaves beside it is overwritten the next time.
func compact(cfg Config) Compaction {
	var c Compaction
	path, err := filepath.EvalSymlinks(cfg.Path) // a link stays a link
	if err == nil {
		c.Before, c.After, err = compactFile(cfg, path)
	}
	if err != nil {
		c.Err = fmt.Errorf("compact %s: %w", cfg.Path, err)
	}
	return c
}

func compactFile(cfg Config, path string) (before, after int64, err error) {
	src, file, err := openFile(cfg, false)
	if err != nil {
		return 0, 0, err
	}
	defer func() {
		var f *fault
		if errors.As(err, &f) {
			err = errors.Join(err, abandon(file))
		} else {
			err = errors.Join(err, src.Close())
		}
	}()
	info, err := file.Stat()
	if err != nil {
		return 0, 0, err
	}
	tmp := path + ".compact"
	defer os.Remove(tmp) // is gone when it was renamed
	if err := copyTo(tmp, info.Mode().Perm(), src); err != nil {
		return info.Size(), 0, err
	}
	written, err := os.Stat(tmp)
	if err != nil {
		return info.Size(), 0, err
	}
	// While src is open and locked, nobody writes to what is replaced.
	if err := os.Rename(tmp, path); err != nil {
		return info.Size(), 0, err
	}
	return info.Size(), written.Size(), disk.SyncDir(filepath.Dir(path))
}

// copyTo writes what src holds to a new file, durably.
func copyTo(tmp string, mode os.FileMode, src *bbolt.DB) error {
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var file *os.File
	dst, err := bbolt.Open(tmp, mode, &bbolt.Options{
		FreelistType: bbolt.FreelistMapType, NoSync: true, NoStatistics: true,
		OpenFile: func(path string, flag int, mode os.FileMode) (f *os.File, err error) {
			if file, err = os.OpenFile(path, flag|os.O_EXCL, mode); err != nil {
				return nil, err
			}
			if err := file.Chmod(mode); err != nil { // whatever the umask is
				return nil, errors.Join(err, file.Close())
			}
			return file, nil
		},
	})
	if err != nil {
		return err
	}
	err = guarded(src.Path(), func() error {
		if err := bbolt.Compact(dst, src, compactStep); err != nil {
			return err
		}
		if err := dst.Sync(); err != nil {
			return err
		}
		return dst.View(func(tx *bbolt.Tx) error { return complete(tmp, tx, tx.Size()) })
	})
	var f *fault
	if errors.As(err, &f) {
		return errors.Join(err, abandon(file))
	}
	return errors.Join(err, dst.Close())
}
