package broker

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"time"
)

// NewRequestID returns the id of a request that came at now: 128 bits in hex,
// of which the first 48 are the Unix time in milliseconds and the rest is
// random. An id that no record names still says when it was given out, and
// index entries of new records stand beside each other.
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
