package keys

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// lookEvery is how often a set that is in use looks whether its file changed.
const lookEvery = time.Second

// source is a key file and the last good set that was read from it.
type source struct {
	cfg     Config
	purpose string
	path    string
	build   func([]entry) (*set, error)
	set     atomic.Pointer[set]
	looked  atomic.Int64 // when the file was looked at, in nanoseconds

	mu      sync.Mutex  // held while the file is read
	seen    os.FileInfo // of the file as it was last read; nil: it could not be found
	problem error       // why it could not be read then
	left    error       // why keys that are gone could not be removed
}

func newSource(cfg Config, purpose string, build func([]entry) (*set, error)) *source {
	return &source{cfg: cfg, purpose: purpose, path: filepath.Join(cfg.Dir, purpose+".json"), build: build}
}

// open reads the file, makes it if it is missing, adds the key that is asked
// for and removes keys that are gone.
func (s *source) open() error {
	now := s.cfg.Now()
	s.looked.Store(now.UnixNano())
	err := s.reload()
	if s.cfg.Existing {
		return err
	}
	if errors.Is(err, os.ErrNotExist) {
		if err = s.create(now); err == nil {
			err = s.reload()
		}
	}
	if err != nil {
		return err
	}
	have := s.set.Load()
	if s.cfg.RS256 && s.purpose == purposeSigning && have.inUse(algRS256, now) == nil {
		return s.update(addRS256)
	}
	if slices.ContainsFunc(have.keys, func(k key) bool { return k.gone(now) }) {
		err := s.update(func(entries []entry, _ time.Time) ([]entry, error) { return entries, nil })
		s.mu.Lock()
		s.left = err
		s.mu.Unlock()
	}
	return nil
}

// create makes the file with one key.
func (s *source) create(now time.Time) error {
	algorithm := algSecret
	if s.purpose == purposeSigning {
		algorithm = algES256
	}
	now = now.UTC().Truncate(time.Second)
	first, err := fresh(algorithm, now, now)
	if err != nil {
		return err
	}
	return create(s.path, s.purpose, []entry{first})
}

// addRS256 adds a key that is used at once: nobody waits for it to be
// published, because no token was ever signed with that algorithm.
func addRS256(entries []entry, now time.Time) ([]entry, error) {
	if slices.ContainsFunc(entries, func(e entry) bool { return e.Algorithm == algRS256 }) {
		return entries, nil // another process was faster
	}
	added, err := fresh(algRS256, now, now)
	return append(entries, added), err
}

// read returns what the file holds now.
func (s *source) read() ([]entry, *set, error) {
	entries, err := load(s.path, s.purpose)
	if err != nil {
		return nil, nil, err
	}
	set, err := s.build(entries)
	if err != nil {
		return nil, nil, damaged(s.path, err)
	}
	return entries, set, nil
}

// reload reads the file. On an error the last good set stays.
func (s *source) reload() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reloadLocked()
}

func (s *source) reloadLocked() error {
	s.seen, s.problem = nil, nil
	if info, err := os.Stat(s.path); err == nil {
		s.seen = info // before it is read: a change meanwhile shows at the next look
	}
	_, set, err := s.read()
	if err != nil {
		s.problem = err
		return err
	}
	s.set.Store(set)
	return nil
}

// current returns the set, after a look at the file when the last one was a
// second ago. One goroutine looks, the others do not wait.
func (s *source) current(now time.Time) *set {
	last, n := s.looked.Load(), now.UnixNano()
	if (n-last >= int64(lookEvery) || n < last) && s.looked.CompareAndSwap(last, n) && s.purpose != purposePseudonym {
		s.follow(true)
	}
	return s.set.Load()
}

// follow reads the file if it changed. With retry it also reads one that it
// could not read before, which may have been for want of memory or handles.
func (s *source) follow(retry bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	info, err := os.Stat(s.path)
	if err == nil && same(info, s.seen) && (s.problem == nil || !retry) {
		return
	}
	if err != nil && s.problem != nil && !retry {
		return
	}
	s.reloadLocked() // its error is kept as the problem
}

// same reports whether two looks saw the same file with the same content.
func same(a, b os.FileInfo) bool {
	return b != nil && os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size() && a.Mode() == b.Mode()
}

// usable finds a key by id, in the file too when this process does not know it.
func (s *source) usable(id string) *key {
	now := s.cfg.Now()
	if k := s.current(now).usable(id, now); k != nil || s.set.Load().byID[id] != nil {
		return k
	}
	s.follow(false)
	return s.set.Load().usable(id, now)
}

// inUse finds the key that everything new is made with.
func (s *source) inUse(algorithm string) (*key, error) {
	now := s.cfg.Now()
	k := s.current(now).inUse(algorithm, now)
	if k == nil {
		s.follow(false)
		k = s.set.Load().inUse(algorithm, now)
	}
	if k == nil {
		return nil, fmt.Errorf("the %s set has no key for %s", s.purpose, algorithm)
	}
	return k, nil
}

// Reload reads the signing and sealing keys again, whether or not their files
// changed. It is not needed to follow other processes. On an error the last
// good set stays in use.
func (k *Keys) Reload() error {
	return errors.Join(k.signing.reload(), k.sealing.reload())
}

// Problem says why the keys in use are not those of the directory, nil if they
// are: a file was damaged, lost or opened to others while this process ran. It
// also says which keys that are gone could not be removed from their file. It
// is as old as the last look at the files.
func (k *Keys) Problem() error {
	var problems []error
	for _, s := range k.sources() {
		s.mu.Lock()
		problems = append(problems, s.problem, s.left)
		s.mu.Unlock()
	}
	return errors.Join(problems...)
}
