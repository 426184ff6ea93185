package main

import (
	"io"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// visible escapes what could break a line, steer a terminal or turn the
// reading direction: control, format and other invisible characters, and
// bytes that are not UTF-8. Strangers choose client identifiers and names.
func visible(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			b.WriteString(`\x` + strconv.FormatUint(uint64(s[0])|0x100, 16)[1:])
		case strconv.IsPrint(r):
			b.WriteString(s[:n])
		default:
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
		s = s[n:]
	}
	return b.String()
}

// visibleRow is visible for every cell.
func visibleRow(cells ...string) []string {
	for i, c := range cells {
		cells[i] = visible(c)
	}
	return cells
}

// quietJSON passes JSON on with everything invisible in its strings as \u
// escapes: the same values, and nothing a terminal acts on. Each Write must
// hold whole characters, as those of json.Encoder do.
type quietJSON struct{ w io.Writer }

// Write implements io.Writer.
func (q quietJSON) Write(p []byte) (int, error) {
	var b strings.Builder
	for _, r := range string(p) {
		switch {
		case r == '\n' || strconv.IsPrint(r):
			b.WriteRune(r)
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			b.WriteString(unicodeEscape(hi) + unicodeEscape(lo))
		default:
			b.WriteString(unicodeEscape(r))
		}
	}
	if _, err := io.WriteString(q.w, b.String()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// unicodeEscape is the JSON escape of a character below 0x10000.
func unicodeEscape(r rune) string { return `\u` + strconv.FormatInt(int64(r)|0x10000, 16)[1:] }
