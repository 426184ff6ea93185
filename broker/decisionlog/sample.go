package decisionlog

import (
	"sync"
	"time"
)

// sampleKeys is how many keys a Sample tells apart in one period.
const sampleKeys = 10_000

// Sample picks what is recorded of something that happens too often to have a
// record each time: the first of each key in a period. Its zero value is ready,
// and safe for concurrent use.
type Sample struct {
	// Quiet makes a period of a key begin anew whenever it comes: what goes on
	// without a pause is picked once.
	Quiet bool

	mu   sync.Mutex
	last map[string]time.Time
}

// samplePeriod is how long one pick stands for what is like it.
const samplePeriod = time.Minute

// Forget takes back the pick of a key whose record could not be kept: the next
// one is picked.
func (s *Sample) Forget(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.last, key)
}

// Pick reports whether what has this key is to be recorded at now. Where more
// keys come in a period than are told apart, the further ones are not picked.
func (s *Sample) Pick(key string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at, known := s.last[key]; known && now.Sub(at) < samplePeriod && !now.Before(at) {
		if s.Quiet {
			s.last[key] = now
		}
		return false
	}
	if s.last == nil {
		s.last = map[string]time.Time{}
	}
	if len(s.last) >= sampleKeys {
		for k, at := range s.last {
			if now.Sub(at) >= samplePeriod || now.Before(at) {
				delete(s.last, k)
			}
		}
		if len(s.last) >= sampleKeys {
			return false
		}
	}
	s.last[key] = now
	return true
}
