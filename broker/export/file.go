package export

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"guestlist/broker/disk"
)

// FileConfig is what NewFile needs.
type FileConfig struct {
	Path     string // JSON lines are appended; created with mode 0600, its directory is not
	MaxBytes int64  // the file is renamed before it would have more; 0: never. A single batch may have more
	Keep     int    // renamed files that stay: Path.1 is the newest; at least 1 with MaxBytes
}

// File is a sink of JSON lines in a file. Send returns when they are on the
// disk. A file that was renamed or removed by somebody else is noticed and made
// anew, so that a rotation by others needs no signal.
type File struct {
	cfg  FileConfig
	file *os.File
}

// NewFile checks cfg. It touches no file: what is wrong with one is the error
// of Send, for as long as it is wrong.
func NewFile(cfg FileConfig) (*File, error) {
	switch {
	case cfg.Path == "":
		return nil, errors.New("a file needs a path")
	case cfg.MaxBytes < 0 || cfg.MaxBytes > 0 && cfg.Keep < 1:
		return nil, fmt.Errorf("%s: at most %d bytes and %d renamed files: the first may not be negative, and with it at least one file is kept", cfg.Path, cfg.MaxBytes, cfg.Keep)
	}
	return &File{cfg: cfg}, nil
}

// Send implements Sink. What a failed write left in the file is taken out
// again, at the latest by the next Send.
func (f *File) Send(ctx context.Context, records []Record) error {
	b := lines(records)
	for range 3 { // a file that is renamed while it is written to may be gone before anybody reads it
		if err := f.ready(int64(len(b))); err != nil {
			return err
		}
		if err := f.write(ctx, b); err != nil {
			return err
		}
		if f.current() {
			return nil
		}
	}
	return fmt.Errorf("%s: it is renamed all the time", f.cfg.Path)
}

// Close closes the file. The next Send opens it again.
func (f *File) Close() error {
	if f.file == nil {
		return nil
	}
	err := f.file.Close()
	f.file = nil
	return err
}

// ready sees to it that the right file is open and has room for n bytes.
func (f *File) ready(n int64) error {
	if f.file != nil && !f.current() {
		f.Close()
	}
	if err := f.open(); err != nil {
		return err
	}
	if f.cfg.MaxBytes == 0 {
		return nil
	}
	info, err := f.file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() == 0 || info.Size()+n <= f.cfg.MaxBytes {
		return nil
	}
	f.Close()
	if err := f.rotate(); err != nil {
		return fmt.Errorf("rename %s: %w", f.cfg.Path, err)
	}
	return f.open()
}

// current reports whether the open file is the one that has the name.
func (f *File) current() bool {
	named, err := os.Stat(f.cfg.Path)
	if err != nil {
		return false
	}
	open, err := f.file.Stat()
	return err == nil && os.SameFile(named, open)
}

// open opens the file, unless it is, and mends its end. A pipe that nobody
// reads is an error, and not waited for.
func (f *File) open() error {
	if f.file != nil {
		return nil
	}
	file, err := os.OpenFile(f.cfg.Path, os.O_APPEND|os.O_CREATE|os.O_WRONLY|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return err
	}
	if err := mend(file); err != nil {
		file.Close()
		return fmt.Errorf("mend the end of %s: %w", f.cfg.Path, err)
	}
	if err := disk.SyncDir(filepath.Dir(f.cfg.Path)); err != nil {
		file.Close()
		return err
	}
	f.file = file
	return nil
}

// write appends b and waits for the disk. On an error the file is again what it
// was, or closed, so that its end is mended when it is opened.
func (f *File) write(ctx context.Context, b []byte) error {
	info, err := f.file.Stat()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { f.file.SetWriteDeadline(time.Unix(1, 0)) }) // of a pipe; a file of a disk has none
	_, err = f.file.Write(b)
	stop()
	if err == nil && info.Mode().IsRegular() {
		err = f.file.Sync()
	}
	if err == nil {
		return nil
	}
	if info.Mode().IsRegular() {
		f.file.Truncate(info.Size())
	}
	f.Close()
	return err
}

// rotate gives the file the name Path.1, and those that had such a name the
// next one, up to the first that is free; the last of Keep is replaced.
func (f *File) rotate() error {
	name := func(i int) string { return fmt.Sprintf("%s.%d", f.cfg.Path, i) }
	free := 1
	for ; free < f.cfg.Keep; free++ {
		if _, err := os.Lstat(name(free)); errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	for i := free - 1; i >= 1; i-- {
		if err := os.Rename(name(i), name(i+1)); err != nil {
			return err
		}
	}
	if err := os.Rename(f.cfg.Path, name(1)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return disk.SyncDir(filepath.Dir(f.cfg.Path))
}

// mend takes a line without an end out of a file, which a crash or a full disk
// left there: the record is written again. What does not look like one of ours
// is kept as a line of its own.
func mend(file *os.File) error {
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
		return err
	}
	end, first, err := lastLine(file.Name(), info.Size())
	switch {
	case err != nil || end == info.Size():
		return err
	case first == '{' || first == 0: // a disk may give zeros for what it did not get
		return file.Truncate(end)
	}
	_, err = file.Write([]byte{'\n'})
	return err
}

// lastLine returns where the last line of a file of that size begins, which is
// its size when it ends with a line break, and the first byte of that line.
func lastLine(path string, size int64) (at int64, first byte, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, 0, err
	}
	defer file.Close()
	const chunk = 64 << 10
	for end := size; end > 0; end = max(end-chunk, 0) {
		b := make([]byte, min(chunk, end))
		if _, err := file.ReadAt(b, end-int64(len(b))); err != nil {
			return 0, 0, err
		}
		i := bytes.LastIndexByte(b, '\n') + 1
		if i < len(b) {
			first = b[i]
		}
		if i > 0 {
			return end - int64(len(b)-i), first, nil
		}
	}
	return 0, first, nil
}
