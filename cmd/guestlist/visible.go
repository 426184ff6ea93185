package main

import (
	"strconv"
	"strings"
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

// visibleRow is visible for every cell of a row.
func visibleRow(cells []string) []string {
	out := make([]string, len(cells))
	for i, c := range cells {
		out[i] = visible(c)
	}
	return out
}

// visibleText is visible for every line of a text.
func visibleText(s string) string {
	return strings.Join(visibleRow(strings.Split(s, "\n")), "\n")
}
