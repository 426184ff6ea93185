package pages

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxLabel is how many runes of a self-chosen name are shown.
const maxLabel = 60

// maxField is how many bytes a field is filled in again with.
const maxField = 256

// maxMarks is how many combining marks may sit on one letter: enough for every
// living script, too few to grow over the lines above and below.
const maxMarks = 4

// label makes a name that a stranger chose fit to stand in a line of text:
// white space and control characters become one space, bidirectional controls
// become U+FFFD so that the oddity shows, heaps of combining marks are cut, and
// what exceeds maxLabel runes is replaced by an ellipsis. Escaping is left to
// the template.
func label(name string) string {
	var out []rune
	marks := 0
	for _, r := range strings.Join(strings.FieldsFunc(name, isGap), " ") {
		if unicode.Is(unicode.M, r) {
			if marks++; marks > maxMarks {
				continue
			}
		} else {
			marks = 0
		}
		if unicode.Is(unicode.Bidi_Control, r) {
			r = unicode.ReplacementChar
		}
		if len(out) == maxLabel {
			return strings.TrimSpace(string(out)) + "…"
		}
		out = append(out, r)
	}
	return string(out)
}

// field fills in again what somebody typed, unless it is nothing that anybody
// is called: too long, or with characters that nobody sees.
func field(s string) string {
	if len(s) > maxField || !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return ""
	}
	return s
}

func isGap(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r)
}

// ascii shows hosts and identifiers: printable ASCII as it is, everything else
// as an escape, so that no letter can pass for another.
func ascii(s string) string {
	var out strings.Builder
	for _, r := range s {
		if r > ' ' && r < 0x7f {
			out.WriteRune(r)
		} else {
			fmt.Fprintf(&out, `\u{%x}`, r)
		}
	}
	return out.String()
}

// wait says a number of seconds as a person would, rounded up.
func wait(seconds int) string {
	unit, n := "second", seconds
	if seconds > 90 {
		unit, n = "minute", (seconds+59)/60
	}
	if n != 1 {
		unit += "s"
	}
	return fmt.Sprintf("%d %s", n, unit)
}
