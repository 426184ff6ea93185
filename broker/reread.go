package broker

import (
	"crypto/sha256"
	"sync"

	"guestlist/broker/cimd"
)

// maxReread bounds the bytes of published documents whose parsed form is kept.
const maxReread = 2 << 20

// reread remembers the parsed form of stored documents, so that a document is
// not parsed again at each step of each flow. What it returns is shared: it is
// for reading only. The zero value is ready, and safe for concurrent use.
type reread struct {
	mu     sync.Mutex
	parsed map[rereadKey]cimd.Parsed
	bytes  int // of the published documents in parsed
}

// rereadKey is everything that the parsed form depends on. The digest is
// taken from the bytes, not believed from the row.
type rereadKey struct {
	published [sha256.Size]byte
	id        string
	profile   cimd.Profile
}

// document is cimd.ParseDocument. Refused documents are not remembered: they
// are rare, and not stored.
func (r *reread) document(published []byte, id cimd.ID, profile cimd.Profile) (cimd.Parsed, error) {
	key := rereadKey{sha256.Sum256(published), id.String(), profile}
	r.mu.Lock()
	p, ok := r.parsed[key]
	r.mu.Unlock()
	if ok {
		return p, nil
	}
	p, err := cimd.ParseDocument(published, id, profile)
	if err != nil {
		return p, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.parsed == nil || r.bytes+len(published) > maxReread {
		r.parsed, r.bytes = map[rereadKey]cimd.Parsed{}, 0
	}
	if _, raced := r.parsed[key]; !raced {
		r.parsed[key] = p
		r.bytes += len(published)
	}
	return p, nil
}
