package export_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"guestlist/broker/export"
)

// newFile is a file sink of its own.
func newFile(t *testing.T, cfg export.FileConfig) *export.File {
	t.Helper()
	f, err := export.NewFile(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// batch are records with these places.
func batch(seqs ...uint64) (out []export.Record) {
	for _, s := range seqs {
		r := export.Record{Line: fmt.Appendf(nil, `{"seq":%d}`, s)}
		r.Seq = s
		out = append(out, r)
	}
	return out
}

func send(t *testing.T, s export.Sink, seqs ...uint64) {
	t.Helper()
	if err := s.Send(t.Context(), batch(seqs...)); err != nil {
		t.Fatalf("Send(%v) = %v", seqs, err)
	}
}

// wantFile checks what a file has: lines with these places, nothing else.
func wantFile(t *testing.T, path string, seqs ...uint64) {
	t.Helper()
	var want strings.Builder
	for _, s := range seqs {
		fmt.Fprintf(&want, "{\"seq\":%d}\n", s)
	}
	wantText(t, path, want.String())
}

func wantText(t *testing.T, path, want string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(b) != want {
		t.Errorf("%s has %q, want %q", filepath.Base(path), b, want)
	}
}

// TestFileRotatesBySize: a file is renamed before it would be too long, in the
// middle of a batch never; the oldest of those that are kept goes.
func TestFileRotatesBySize(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.jsonl")
	f := newFile(t, export.FileConfig{Path: path, MaxBytes: 25, Keep: 2})
	send(t, f, 1, 2)
	send(t, f, 3)
	wantFile(t, path, 3)
	wantFile(t, path+".1", 1, 2)
	send(t, f, 4)
	send(t, f, 5, 6, 7)
	wantFile(t, path, 5, 6, 7)
	wantFile(t, path+".1", 3, 4)
	wantFile(t, path+".2", 1, 2)
	send(t, f, 8)
	wantFile(t, path+".1", 5, 6, 7)
	wantFile(t, path+".2", 3, 4)
	if err := os.Remove(path + ".1"); err != nil { // somebody took it
		t.Fatal(err)
	}
	send(t, f, 9, 10)
	wantFile(t, path+".1", 8)
	wantFile(t, path+".2", 3, 4)
	for _, p := range []string{path, path + ".1", path + ".2"} {
		if info, err := os.Stat(p); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v, want mode 0600", p, info.Mode(), err)
		}
	}
	if all, _ := filepath.Glob(path + "*"); len(all) != 3 {
		t.Errorf("files %v, want three", all)
	}
}

// TestFileRotatedByOthers: a file that was renamed, removed or replaced is
// made anew at once; one that was cut short is appended to.
func TestFileRotatedByOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.jsonl")
	f := newFile(t, export.FileConfig{Path: path})
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	send(t, f, 1)
	do(os.Rename(path, path+".old"))
	send(t, f, 2)
	wantFile(t, path+".old", 1)
	wantFile(t, path, 2)
	do(os.Remove(path))
	send(t, f, 3)
	wantFile(t, path, 3)
	do(os.Rename(path, path+".old"))
	do(os.WriteFile(path, nil, 0o640))
	send(t, f, 4)
	wantFile(t, path, 4)
	do(os.Truncate(path, 0)) // copytruncate
	send(t, f, 5)
	wantFile(t, path, 5)
}

// TestFileMendsItsEnd: a line that a crash cut is taken out and written again;
// what is no line of ours stays.
func TestFileMendsItsEnd(t *testing.T) {
	long := strings.Repeat("x", 200_000)
	for name, test := range map[string]struct{ has, want string }{
		"nothing":          {"", ""},
		"whole":            {"{\"seq\":1}\n", "{\"seq\":1}\n"},
		"cut":              {"{\"seq\":1}\n{\"seq\":2,\"a", "{\"seq\":1}\n"},
		"only a cut line":  {"{\"seq\":2,\"a", ""},
		"cut, long":        {"{\"seq\":1}\n{\"a\":\"" + long, "{\"seq\":1}\n"},
		"cut, long, alone": {"{\"a\":\"" + long, ""},
		"zeros":            {"{\"seq\":1}\n\x00\x00\x00", "{\"seq\":1}\n"},
		"of others":        {"# a comment", "# a comment\n"},
		"of others, long":  {"# " + long, "# " + long + "\n"},
		"break at a chunk": {"a\n{" + strings.Repeat("y", 64<<10-1), "a\n"},
	} {
		path := filepath.Join(t.TempDir(), "log.jsonl")
		if err := os.WriteFile(path, []byte(test.has), 0o600); err != nil {
			t.Fatal(err)
		}
		send(t, newFile(t, export.FileConfig{Path: path}), 2)
		if b, err := os.ReadFile(path); err != nil || string(b) != test.want+"{\"seq\":2}\n" {
			t.Errorf("%s: the file has %.80q, want %.80q and the record", name, b, test.want)
		}
	}
}

// TestFileTrouble: a directory that is gone, a file that is a directory, a pipe
// that nobody reads: errors, as long as they last, and no wait.
func TestFileTrouble(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "later", "log.jsonl")
	f := newFile(t, export.FileConfig{Path: path})
	if err := f.Send(t.Context(), batch(1)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Send() without a directory = %v", err)
	}
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	send(t, f, 1)
	wantFile(t, path, 1)
	if err := newFile(t, export.FileConfig{Path: dir}).Send(t.Context(), batch(1)); err == nil {
		t.Error("Send() into a directory = nil, want an error")
	}
	pipe := filepath.Join(dir, "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	p := newFile(t, export.FileConfig{Path: pipe, MaxBytes: 1, Keep: 1})
	if err := p.Send(t.Context(), batch(1)); !errors.Is(err, syscall.ENXIO) {
		t.Errorf("Send() to a pipe without a reader = %v", err)
	}
	reader, err := os.OpenFile(pipe, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	send(t, p, 7)
	send(t, p, 8)
	r := bufio.NewReader(reader)
	for _, want := range []string{"{\"seq\":7}\n", "{\"seq\":8}\n"} {
		if line, err := r.ReadString('\n'); err != nil || line != want {
			t.Errorf("the pipe gave %q, %v, want %q", line, err, want)
		}
	}
	for name, cfg := range map[string]export.FileConfig{
		"no path": {}, "negative": {Path: "x", MaxBytes: -1}, "keeps none": {Path: "x", MaxBytes: 1},
	} {
		if _, err := export.NewFile(cfg); err == nil {
			t.Errorf("%s: NewFile() = nil, want an error", name)
		}
	}
}

// TestFileFullDisk: a disk that is full is a lag and no loss: nothing half
// written stays, and all is there once there is room. The limit of a file's
// size stands for the disk's.
func TestFileFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.jsonl")
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	f := newFile(t, export.FileConfig{Path: path})
	send(t, f, 1)
	limit := before
	limit.Cur = 25 // 10 bytes are there: one line fits, the next is cut
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	err1, err2 := f.Send(t.Context(), batch(2, 3)), f.Send(t.Context(), batch(2, 3))
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	if err1 == nil || err2 == nil {
		t.Errorf("Send() on a full disk = %v, %v, want errors", err1, err2)
	}
	wantFile(t, path, 1)
	send(t, f, 2, 3)
	wantFile(t, path, 1, 2, 3)
}

// TestFileRotatedMeanwhile: while records are written the file is renamed, read
// and removed again and again; every record was read once at least.
func TestFileRotatedMeanwhile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "log.jsonl")
	f := newFile(t, export.FileConfig{Path: path, MaxBytes: 200, Keep: 1000})
	sending, done := make(chan int), make(chan struct{})
	moved, seen := 0, map[uint64]bool{}
	read := func(name string) {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Error(err)
		}
		for l := range strings.Lines(string(b)) {
			var n uint64
			if _, err := fmt.Sscanf(l, "{\"seq\":%d}\n", &n); err != nil && strings.HasSuffix(l, "\n") {
				t.Errorf("%s: line %q", name, l)
			}
			seen[n] = true
		}
	}
	go func() {
		defer close(done)
		for i := range sending {
			name := fmt.Sprintf("%s.moved%03d", path, i)
			if os.Rename(path, name) == nil {
				read(name)
				os.Remove(name) // with all that is written to it from now on
				moved++
			}
		}
	}()
	last := uint64(0)
	for i := range 300 {
		sending <- i // and at the same time
		send(t, f, last+1, last+2)
		last += 2
	}
	close(sending)
	<-done
	files, _ := filepath.Glob(path + "*")
	for _, name := range files {
		read(name)
	}
	delete(seen, 0) // of a line that was being written
	if len(seen) != int(last) || moved < 30 {
		t.Errorf("%d records in %d files, want %d", len(seen), len(files), last)
	}
}

// TestFileExport: an exporter to a file whose directory comes late.
func TestFileExport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "later", "log.jsonl")
		m := newMemory()
		m.append(t, 3)
		_, stop := start(t, m, newFile(t, export.FileConfig{Path: path}))
		wait(time.Minute)
		if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		wait(2 * time.Minute)
		stop()
		b, err := os.ReadFile(path)
		if lines := slices.Collect(strings.Lines(string(b))); err != nil || len(lines) != 3 || !strings.HasPrefix(lines[2], `{"seq":3,`) {
			t.Errorf("the file has %q, %v", b, err)
		}
	})
}
