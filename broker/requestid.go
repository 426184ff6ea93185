package broker

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"time"
)

// NewRequestID returns the id of a request that came at now: 128 bits in hex,
// of which the first 48 are the Unix time in milliseconds and the rest is
// random. An id that no record names still says when it was given out.
func NewRequestID(now time.Time) string {
	var v [16]byte
	binary.BigEndian.PutUint64(v[:8], uint64(now.UnixMilli())<<16)
	rand.Read(v[6:])
	return hex.EncodeToString(v[:])
}

// RequestIDTime returns when an id of NewRequestID was given out, to the
// millisecond. It reports false for what has another form; whether this server
// gave it out, it cannot tell.
func RequestIDTime(id string) (time.Time, bool) {
	var v [16]byte
	if len(id) != hex.EncodedLen(len(v)) {
		return time.Time{}, false
	}
	if _, err := hex.Decode(v[:], []byte(id)); err != nil || hex.EncodeToString(v[:]) != id {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(binary.BigEndian.Uint64(v[:8]) >> 16)).UTC(), true
}

// requestKey is the context key of WithRequest.
type requestKey struct{}

// WithRequest puts the id of an operator's request into a context: the records
// of what is done in it have the id. A request of a client has its own in
// Request.
func WithRequest(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestKey{}, id)
}

// RequestOf returns the id that WithRequest put into a context, empty where no
// operator asked.
func RequestOf(ctx context.Context) string {
	id, _ := ctx.Value(requestKey{}).(string)
	return id
}
