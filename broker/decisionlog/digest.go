package decisionlog

import (
	"crypto/sha256"
	"encoding/binary"
)

// A digest of request ids is a Bloom filter. With 16 bits for an id and 11 of
// them set it answers yes for a foreign id about once in 2,000 times, also
// where it holds few, and never answers no for one that it was made of.
const (
	digestBits   = 16
	digestProbes = 11
	digestLeast  = 64   // bytes
	digestMost   = 2048 // ids, which take 4 KiB
)

// requestHash is what a digest is made of: the beginning of the SHA-256 of a
// request id, 16 bits for each bit of the digest.
type requestHash [2 * digestProbes]byte

func hashRequest(id string) requestHash {
	sum := sha256.Sum256([]byte(id))
	return requestHash(sum[:])
}

// digestOf makes the digest of the ids with these hashes.
func digestOf(hashes []requestHash) []byte {
	d := make([]byte, max(len(hashes)*digestBits/8, digestLeast))
	for _, h := range hashes {
		for i := range digestProbes {
			at := h.bit(i, d)
			d[at/8] |= 1 << (at % 8)
		}
	}
	return d
}

// bit is the i-th bit of a hash in d.
func (h requestHash) bit(i int, d []byte) int {
	return int(binary.BigEndian.Uint16(h[2*i:])) % (8 * len(d))
}

// digestHas reports whether the id with that hash can be among those of d.
func digestHas(d []byte, h requestHash) bool {
	if len(d) == 0 {
		return false
	}
	for i := range digestProbes {
		if at := h.bit(i, d); d[at/8]>>(at%8)&1 == 0 {
			return false
		}
	}
	return true
}

// Standing is how sure it is that a record is about a request.
type Standing int

// The standings, from no to sure.
const (
	StandsNot      Standing = iota // it is not
	StandsPerhaps                  // a summary that has no digest of all its ids
	StandsProbably                 // a summary whose digest has the id: wrong about once in 2,000 times
	StandsSurely                   // the record names the id
)

// StandsFor reports whether r is about the request with that id. It looks at
// ids alone, never at times.
func (r Record) StandsFor(requestID string) Standing {
	switch {
	case requestID == "":
		return StandsNot
	case requestID == r.RequestID, requestID == r.LastRequestID:
		return StandsSurely
	case r.LastRequestID == "" || r.Count <= 2:
		return StandsNot
	case digestHas(r.RequestIDs, hashRequest(requestID)):
		return StandsProbably
	case len(r.RequestIDs) == 0 || r.Count > digestMost:
		return StandsPerhaps
	}
	return StandsNot
}
