package bolt

import (
	_ "embed"
	"encoding/binary"
	"math/bits"
)

// A record is a short text most of which stands in recordDict. compress/flate
// reads the dictionary anew for each, and makes codes of its own for each: nine
// tenths of its time. A deflater has the dictionary at hand and one set of codes
// for all. What it writes is deflate still (RFC 1951), one block with dynamic
// codes, less the bytes in front that say the codes: they are the same for every
// record and stand in recordCode.

// recordCode is how the deflate text of every record begins, up to the last
// bit of its codes. Like recordDict it never changes.
//
//go:embed record.code
var recordCode []byte

// recordCodeBits is the length of recordCode; the bits of its last byte beyond
// it are zero.
const recordCodeBits = 667

// The lengths of the codes in recordCode, one hexadecimal digit for each symbol:
// Huffman's, of the records of testdata/records with admissions and tokens
// weighed more, every byte and every distance among them.
const (
	literalLengths = "ccc9cccccccccccc9ccccccccccccccc7c7ccccccccc876844455555557ccccccbbabbbabbbbbbbbbbbb9bbbbbbcbcc9c455545988a989778a776899a999c7cc" +
		"ccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccdccccccccc" +
		"9ddd87888677667877898bad9abddd"
	distanceLengths = "999999998789779658655434149999"
)

const (
	textMax  = 32 << 10 // dictionary and record, so that every distance can be written
	hashed   = 6        // bytes that a match has at least
	hashBits = 13
	matchMax = 258 // of the format
	tries    = 8   // places that are compared for a match
	lazyMax  = 16  // a match of this length is not given up for a longer one behind it
)

// code is a sequence of bits, the first one lowest.
type code struct {
	bits uint64
	n    uint
}

// deflater compresses records, for one goroutine.
type deflater struct {
	text  [textMax + 8]byte     // a byte that nothing refers to, recordDict, the record; read in words of 8
	known [1 << hashBits]uint16 // by hash: where bytes stand in the dictionary, zero for nowhere
	last  [1 << hashBits]uint16 // the same, with those of the record
	prev  [textMax]uint16       // by place: where bytes of the same hash stand before

	literals  [257]code          // by byte; the last one ends the text
	lengths   [matchMax + 1]code // by length, extra bits included
	distances [30]code           // by symbol, without extra bits

	out     []byte
	pending uint64 // bits that are not in out yet
	n       uint
}

func newDeflater() *deflater {
	d := &deflater{}
	end := 1 + copy(d.text[1:], recordDict)
	for i := 1; i+hashed <= end; i++ {
		d.enter(i)
	}
	d.known = d.last
	symbols := codes(literalLengths)
	copy(d.literals[:], symbols)
	for length := 3; length <= matchMax; length++ {
		symbol, extra := lengthSymbol(length)
		d.lengths[length] = symbols[symbol].then(extra)
	}
	copy(d.distances[:], codes(distanceLengths))
	return d
}

// codes are the codes of RFC 1951, 3.2.2, of so many bits for each symbol.
func codes(lengths string) []code {
	out, next := make([]code, len(lengths)), uint64(0)
	for n := uint(1); n < 16; n++ {
		for symbol, digit := range []byte(lengths) {
			if uint(digit) == uint('0')+n && n < 10 || uint(digit) == uint('a')+n-10 && n >= 10 {
				out[symbol] = code{bits.Reverse64(next) >> (64 - n), n}
				next++
			}
		}
		next <<= 1
	}
	return out
}

// then is c with more bits behind it.
func (c code) then(more code) code { return code{c.bits | more.bits<<c.n, c.n + more.n} }

// lengthSymbol is the symbol of a length, and its extra bits.
func lengthSymbol(length int) (symbol int, extra code) {
	v := length - 3
	switch {
	case length == matchMax:
		return 285, code{}
	case v < 8:
		return 257 + v, code{}
	}
	n := bits.Len(uint(v)) - 3
	return 257 + 4*n + v>>n, code{uint64(v & (1<<n - 1)), uint(n)}
}

// distanceSymbol is the same of a distance.
func distanceSymbol(distance int) (symbol int, extra code) {
	v := distance - 1
	if v < 4 {
		return v, code{}
	}
	n := bits.Len(uint(v)) - 2
	return 2*n + v>>n, code{uint64(v & (1<<n - 1)), uint(n)}
}

// deflate appends what is compressed of parts to out. It reports false for what
// is too long, or becomes longer than it was.
func (d *deflater) deflate(out []byte, parts ...[]byte) ([]byte, bool) {
	from := 1 + len(recordDict)
	end, given := from, len(out)
	for _, part := range parts {
		if len(part) > textMax-end {
			return nil, false
		}
		end += copy(d.text[end:], part)
	}
	d.last = d.known
	whole := uint(recordCodeBits / 8)
	d.out, d.pending, d.n = out, uint64(recordCode[whole]), recordCodeBits%8
	for i := from; i < end; {
		i += d.step(i, end)
	}
	d.write(d.literals[256])
	for ; d.n > 0; d.n -= min(d.n, 8) {
		d.out, d.pending = append(d.out, byte(d.pending)), d.pending>>8
	}
	out, d.out = d.out, nil
	return out, len(out)-given <= end-from
}

// step writes the match or the byte at i and returns its length.
func (d *deflater) step(i, end int) int {
	if i+hashed > end {
		d.write(d.literals[d.text[i]])
		return 1
	}
	length, at := d.match(i, end)
	d.enter(i)
	if 0 < length && length < lazyMax && i+1+hashed <= end {
		if longer, _ := d.match(i+1, end); longer > length+1 {
			length = 0
		}
	}
	if length == 0 {
		d.write(d.literals[d.text[i]])
		return 1
	}
	symbol, extra := distanceSymbol(i - at)
	d.write(d.lengths[length])
	d.write(d.distances[symbol].then(extra))
	return length
}

// match finds where the bytes at i stand before, as many of them as it can; a
// length of zero is none.
func (d *deflater) match(i, end int) (length, at int) {
	most := min(end-i, matchMax)
	for c, n := int(d.last[d.hash(i)]), 0; c != 0 && n < tries && length < most; c, n = int(d.prev[c]), n+1 {
		if d.text[c+length] != d.text[i+length] {
			continue
		}
		if l := d.common(c, i, most); l > length && l >= hashed {
			length, at = l, c
		}
	}
	return length, at
}

// common is how many bytes at a and b are the same, up to most.
func (d *deflater) common(a, b, most int) int {
	for n := 0; n < most; n += 8 {
		if x := binary.LittleEndian.Uint64(d.text[a+n:]) ^ binary.LittleEndian.Uint64(d.text[b+n:]); x != 0 {
			return min(n+bits.TrailingZeros64(x)/8, most)
		}
	}
	return most
}

func (d *deflater) hash(i int) uint64 {
	return binary.LittleEndian.Uint64(d.text[i:]) << (64 - 8*hashed) * 0x9e3779b185ebca87 >> (64 - hashBits)
}

// enter makes the bytes at i known.
func (d *deflater) enter(i int) {
	h := d.hash(i)
	d.prev[i], d.last[h] = d.last[h], uint16(i)
}

// write appends up to 32 bits.
func (d *deflater) write(c code) {
	d.pending |= c.bits << d.n
	if d.n += c.n; d.n >= 32 {
		d.out = binary.LittleEndian.AppendUint32(d.out, uint32(d.pending))
		d.pending, d.n = d.pending>>32, d.n-32
	}
}
