package signin

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// maxFileBytes bounds what is read as a people file; tens of thousands of
// entries fit.
const maxFileBytes = 16 << 20

// stamp tells one state of a file from another. The zero value is "absent".
type stamp struct{ info fs.FileInfo }

func (s stamp) same(other stamp) bool {
	if s.info == nil || other.info == nil {
		return s.info == other.info
	}
	return os.SameFile(s.info, other.info) &&
		s.info.ModTime().Equal(other.info.ModTime()) &&
		s.info.Size() == other.info.Size() &&
		s.info.Mode() == other.info.Mode()
}

// Reload reads the people file if its inode, size, modification time or mode
// changed. Changed reports that a new list is in force; err is what keeps the
// file as it is now from being used, also when an earlier call found it.
func (p *People) Reload() (changed bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reload()
}

// Problem returns what keeps the people file as it is now from being used,
// or nil. While there is a problem the last good list is in force.
func (p *People) Problem() error {
	_, err := p.Reload()
	return err
}

// roll returns the list in force, after a look at the file.
func (p *People) roll() *roll {
	p.mu.Lock()
	defer p.mu.Unlock()
	// The error is kept for Problem; the last good list answers.
	_, _ = p.reload()
	return p.current
}

// reload looks at the file and tells what came of it, where that is news.
func (p *People) reload() (changed bool, err error) {
	before := p.problem
	changed, err = p.look()
	if p.reloaded != nil && (changed || err != nil && (before == nil || before.Error() != err.Error())) {
		p.reloaded(len(p.current.accounts), err)
	}
	return changed, err
}

func (p *People) look() (changed bool, err error) {
	if p.file == "" {
		return false, nil
	}
	now, err := statPeople(p.file)
	if err != nil {
		p.seen, p.problem = stamp{}, err
		return false, err
	}
	if now.same(p.seen) && (now.info != nil || len(p.current.accounts) == 0) {
		return false, p.problem
	}
	next, judged, err := p.read(now)
	p.seen, p.problem = judged, err
	if err != nil {
		return false, err
	}
	p.current = next
	return true, nil
}

// read returns the list of the file, and the stamp of the content it judged:
// the zero stamp if it saw none, so that the next look tries again.
func (p *People) read(now stamp) (*roll, stamp, error) {
	if now.info == nil {
		if len(p.current.accounts) > 0 {
			return nil, stamp{}, fmt.Errorf("people file %s is gone; its last list of %d stays in force: put it back, or write [] to it to remove everybody", p.file, len(p.current.accounts))
		}
		return newRoll(nil), stamp{}, nil
	}
	data, judged, err := readPeople(p.file)
	if err != nil {
		return nil, stamp{}, err
	}
	rows, err := parse(data)
	if err == nil && rows == nil && len(p.current.accounts) > 0 {
		err = fmt.Errorf("it has no content; its last list of %d stays in force: write [] to it to remove everybody", len(p.current.accounts))
	}
	if err != nil {
		return nil, judged, fmt.Errorf("people file %s: %w", p.file, err)
	}
	accounts, err := admit(rows)
	if err != nil {
		return nil, judged, fmt.Errorf("people file %s: %w", p.file, err)
	}
	return newRoll(accounts), judged, nil
}

// statPeople returns the zero stamp for a file that does not exist. Anything
// but a regular file is refused before it is opened: a pipe would block.
func statPeople(file string) (stamp, error) {
	info, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return stamp{}, nil
	}
	if err != nil {
		return stamp{}, fmt.Errorf("look at people file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return stamp{}, fmt.Errorf("people file %s is not a regular file", file)
	}
	return stamp{info}, nil
}

// readPeople reads a people file that exists. It refuses one that anybody but
// its owner may write, because who writes it can sign in as anybody. That
// others may read it is left to the operator: the hashes are made for that.
func readPeople(file string) ([]byte, stamp, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, stamp{}, fmt.Errorf("read people file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, stamp{}, fmt.Errorf("read people file: %w", err)
	}
	if perm := info.Mode().Perm(); perm&0o022 != 0 {
		return nil, stamp{}, fmt.Errorf("people file %s has mode %04o, others than its owner may write it: run chmod go-w %s", file, perm, file)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, stamp{}, fmt.Errorf("read people file: %w", err)
	}
	if len(data) > maxFileBytes {
		return nil, stamp{}, fmt.Errorf("people file %s is larger than %d MiB", file, maxFileBytes>>20)
	}
	return data, stamp{info}, nil
}
