package decisionlog

import (
	"bytes"
	"io"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// Quiet passes JSON lines on with everything invisible in their strings as \u
// escapes: the same values, and nothing that breaks a line for some reader,
// steers a terminal or turns the reading direction. Strangers choose what
// records and log lines hold. Each Write must have whole characters, as those
// of json.Encoder and zerolog do.
type Quiet struct {
	W io.Writer // gets one Write for each
}

// Write implements io.Writer.
func (q Quiet) Write(p []byte) (int, error) {
	if _, err := q.W.Write(quieted(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// quieted is b with everything invisible as escapes, b itself where there is
// nothing.
func quieted(b []byte) []byte {
	first := bytes.IndexFunc(b, invisible)
	if first < 0 {
		return b
	}
	out := append(make([]byte, 0, len(b)+64), b[:first]...)
	for rest := b[first:]; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		switch {
		case !invisible(r):
			out = append(out, rest[:n]...)
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			out = escaped(escaped(out, hi), lo)
		default:
			out = escaped(out, r)
		}
		rest = rest[n:]
	}
	return out
}

// invisible reports whether a character is none that is seen. Bytes that are
// no UTF-8 are.
func invisible(r rune) bool {
	return r == utf8.RuneError || r >= 0x7f && !strconv.IsPrint(r) || r < ' ' && r != '\n'
}

// escaped appends the JSON escape of a character below 0x10000.
func escaped(b []byte, r rune) []byte {
	return append(b, `\u`+strconv.FormatInt(int64(r)|0x10000, 16)[1:]...)
}
