package authoring

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"guestlist/policies"
)

// load says whether dir would load with files in the place of what it has, or
// added to it; their names are slash paths below dir. Nothing is written, so
// that a server which watches dir never meets an edit that is refused.
func load(ctx context.Context, dir string, files map[string][]byte) ([]policies.Finding, error) {
	_, found, err := policies.Load(ctx, policies.Config{FS: overlay{os.DirFS(dir), files}})
	return found, err
}

// overlay is a directory with some files put over it.
type overlay struct {
	base  fs.FS
	files map[string][]byte
}

// Open implements fs.FS. Directories that only the new files have are known
// to ReadDir and Stat alone.
func (o overlay) Open(name string) (fs.File, error) {
	if body, ok := o.files[name]; ok {
		return &memoryFile{*bytes.NewReader(body), memoryInfo{name, int64(len(body)), 0o644}}, nil
	}
	return o.base.Open(name)
}

// ReadFile implements fs.ReadFileFS.
func (o overlay) ReadFile(name string) ([]byte, error) {
	if body, ok := o.files[name]; ok {
		return body, nil
	}
	return fs.ReadFile(o.base, name)
}

// Stat implements fs.StatFS.
func (o overlay) Stat(name string) (fs.FileInfo, error) {
	if body, ok := o.files[name]; ok {
		return memoryInfo{name, int64(len(body)), 0o644}, nil
	}
	info, err := fs.Stat(o.base, name)
	if err != nil && len(o.below(name)) > 0 || name == "." {
		return memoryInfo{name, 0, fs.ModeDir | 0o755}, nil
	}
	return info, err
}

// ReadDir implements fs.ReadDirFS.
func (o overlay) ReadDir(name string) ([]fs.DirEntry, error) {
	there, err := fs.ReadDir(o.base, name)
	added := o.below(name)
	if err != nil && len(added) == 0 {
		return nil, err
	}
	out := slices.DeleteFunc(there, func(e fs.DirEntry) bool {
		return slices.ContainsFunc(added, func(a fs.DirEntry) bool { return a.Name() == e.Name() && !a.IsDir() })
	})
	for _, a := range added {
		if !slices.ContainsFunc(out, func(e fs.DirEntry) bool { return e.Name() == a.Name() }) {
			out = append(out, a)
		}
	}
	slices.SortFunc(out, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return out, nil
}

// below lists what the new files put into a directory.
func (o overlay) below(dir string) []fs.DirEntry {
	var out []fs.DirEntry
	for name, body := range o.files {
		rest, ok := strings.CutPrefix(name, dir+"/")
		if dir == "." {
			rest, ok = name, true
		}
		first, _, deeper := strings.Cut(rest, "/")
		switch {
		case !ok || slices.ContainsFunc(out, func(e fs.DirEntry) bool { return e.Name() == first }):
		case deeper:
			out = append(out, fs.FileInfoToDirEntry(memoryInfo{first, 0, fs.ModeDir | 0o755}))
		default:
			out = append(out, fs.FileInfoToDirEntry(memoryInfo{first, int64(len(body)), 0o644}))
		}
	}
	return out
}

// memoryFile is an open file of an overlay.
type memoryFile struct {
	bytes.Reader
	info memoryInfo
}

// Stat implements fs.File.
func (f *memoryFile) Stat() (fs.FileInfo, error) { return f.info, nil }

// Close implements fs.File.
func (f *memoryFile) Close() error { return nil }

// memoryInfo describes a file of an overlay; it has no time.
type memoryInfo struct {
	name string
	size int64
	mode fs.FileMode
}

// The methods of fs.FileInfo.

func (i memoryInfo) Name() string       { return path.Base(i.name) }
func (i memoryInfo) Size() int64        { return i.size }
func (i memoryInfo) Mode() fs.FileMode  { return i.mode }
func (i memoryInfo) ModTime() time.Time { return time.Time{} }
func (i memoryInfo) IsDir() bool        { return i.mode.IsDir() }
func (i memoryInfo) Sys() any           { return nil }
