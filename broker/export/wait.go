package export

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"time"
)

// How an exporter waits after an error: backoffFirst, then twice as long each
// time, up to backoffMost, of which a random part up to a half is taken off.
// A sink may ask for more, up to askedMost.
const (
	backoffFirst = time.Second
	backoffMost  = time.Minute
	askedMost    = time.Hour
)

// backoff is how long to wait after an error.
type backoff struct{ last time.Duration }

// next is how long to wait after one more error.
func (b *backoff) next() time.Duration {
	b.last = min(max(2*b.last, backoffFirst), backoffMost)
	var random [8]byte
	rand.Read(random[:])
	return b.last - time.Duration(binary.BigEndian.Uint64(random[:])%uint64(b.last/2))
}

// after looks at what Send returned: it halves the next batch where the sink
// would not take one of that size, and says how long to wait. told is false
// while halving goes on, which is no outage.
func (e *Exporter) after(err error, wait *backoff) (pause time.Duration, told bool) {
	r, ok := errors.AsType[*Rejection](err)
	if !ok {
		return wait.next(), true
	}
	asked := min(r.After, askedMost)
	if r.Never && e.size > 1 {
		e.size /= 2
		e.most = e.size
		return asked, false
	}
	return max(wait.next(), asked), true
}

// grow lets the next batch have more after one of n was taken: quickly up to
// what the sink took before, then one by one.
func (e *Exporter) grow(n int) {
	if n == e.most {
		e.most = min(e.most+1, e.cfg.Records)
	}
	e.size = min(2*n, e.most)
}

// pause waits, at most until ctx is done.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
