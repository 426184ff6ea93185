package bolt

import (
	"encoding/binary"
	"hash/crc32"
	"slices"
	"sort"

	"guestlist/store"
)

// A summary says what the records of one block can be found by, so that a
// query reads few of them. It takes a few bytes a record where an index over
// every member would take dozens for each.

// blockLen is how many records a block has: those from 1 to 256 are block 0.
const blockLen = 256

// postings are records of a block, one bit each.
type postings [blockLen / 64]uint64

// everyPosting are all records of a block.
var everyPosting = postings{^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)}

func (p *postings) add(i byte) { p[i/64] |= 1 << (i % 64) }

func (p postings) has(seq uint64) bool {
	i := byte(seq - 1)
	return p[i/64]>>(i%64)&1 == 1
}

func (p postings) and(q postings) postings {
	for i := range p {
		p[i] &= q[i]
	}
	return p
}

func (p postings) or(q postings) postings {
	for i := range p {
		p[i] |= q[i]
	}
	return p
}

func (p postings) less(q postings) postings {
	for i := range p {
		p[i] &^= q[i]
	}
	return p
}

// termLen is the length of a stored term: 4 bits for the member, 20 for a hash
// of the value. Members do not share hashes, so that no host that a stranger
// chooses is taken for an event.
const termLen = 3

// keysOf are terms as they are stored.
func keysOf(terms []store.Term) []uint32 {
	out, value := make([]uint32, 0, len(terms)), make([]byte, 0, 128)
	for _, t := range terms {
		value = append(value[:0], t.Value...)
		out = append(out, uint32(t.Member)<<20|crc32.ChecksumIEEE(value)>>12)
	}
	return out
}

// A term's code is how many bytes of postings it has: one for each record, but
// for two of them.
const (
	codeAll  = 0            // every record of the block
	codeBits = blockLen / 8 // a bit for each record
)

// entry is what a summary says of one record.
type entry struct {
	at    int64 // Unix time
	terms []uint32
}

// writeSummary encodes the summary of a whole block: the span of times, the
// number of terms, the terms in order, their codes, their postings.
func writeSummary(entries []entry) []byte {
	first, last := entries[0].at, entries[0].at
	var all []uint32 // a term, and in the last byte a record that has it
	for i, e := range entries {
		first, last = min(first, e.at), max(last, e.at)
		for _, t := range e.terms {
			all = append(all, t<<8|uint32(i))
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	var terms, codes, lists []byte
	for list := []byte(nil); len(all) > 0; list = list[:0] {
		t := all[0] >> 8
		for ; len(all) > 0 && all[0]>>8 == t; all = all[1:] {
			list = append(list, byte(all[0]))
		}
		terms = append(terms, byte(t>>16), byte(t>>8), byte(t))
		codes = append(codes, codeOf(list))
		lists = appendPostings(lists, list)
	}
	out := binary.AppendVarint(nil, first)
	out = binary.AppendVarint(out, last)
	out = binary.AppendUvarint(out, uint64(len(codes)))
	return slices.Concat(out, terms, codes, lists)
}

func codeOf(list []byte) byte {
	switch n := len(list); {
	case n == blockLen:
		return codeAll
	case n < codeBits:
		return byte(n)
	}
	return codeBits
}

func appendPostings(out, list []byte) []byte {
	switch codeOf(list) {
	case codeAll:
		return out
	case codeBits:
		var p postings
		for _, i := range list {
			p.add(i)
		}
		for _, word := range p {
			out = binary.BigEndian.AppendUint64(out, word)
		}
		return out
	}
	return append(out, list...)
}

// summary reads an encoded one, which it points into.
type summary struct {
	first, last         int64 // Unix times
	terms, codes, lists []byte
}

// readSummary reports false for what is cut short. It does not look at the
// postings: a query reads thousands of summaries, and a checksum covers each.
func readSummary(raw []byte) (s summary, ok bool) {
	var used int
	for _, to := range []*int64{&s.first, &s.last} {
		if *to, used = binary.Varint(raw); used <= 0 {
			return s, false
		}
		raw = raw[used:]
	}
	n, used := binary.Uvarint(raw)
	if used <= 0 || n > uint64(len(raw)) || uint64(len(raw)-used) < n*(termLen+1) {
		return s, false
	}
	raw = raw[used:]
	s.terms, s.codes, s.lists = raw[:n*termLen], raw[n*termLen:n*(termLen+1)], raw[n*(termLen+1):]
	return s, true
}

// find returns the records that have a term; all of the block where it cannot
// tell.
func (s summary) find(term uint32) (p postings) {
	n := len(s.codes)
	at := func(i int) uint32 {
		t := s.terms[i*termLen:]
		return uint32(t[0])<<16 | uint32(t[1])<<8 | uint32(t[2])
	}
	i := sort.Search(n, func(i int) bool { return at(i) >= term })
	if i == n || at(i) != term {
		return p
	}
	from := 0
	for _, code := range s.codes[:i] {
		from += int(code)
	}
	code := s.codes[i]
	if code > codeBits || from+int(code) > len(s.lists) {
		return everyPosting
	}
	list := s.lists[from : from+int(code)]
	switch code {
	case codeAll:
		return everyPosting
	case codeBits:
		for w := range p {
			p[w] = binary.BigEndian.Uint64(list[8*w:])
		}
		return p
	}
	for _, i := range list {
		p.add(i)
	}
	return p
}
