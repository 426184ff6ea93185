package servertest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// HostileMark is in every hostile string, as letters that nothing escapes.
const HostileMark = "h0stile"

// Bounds that hold for whatever strangers, authors and operators write.
const (
	MaxLogLine = 8 << 10  // bytes of a line of the log
	MaxRecord  = 64 << 10 // bytes of a decision record as JSON, with documents of the default size
)

// Hostile is a string with a name for messages.
type Hostile struct{ Name, Text string }

// HostileStrings are what breaks lines, terminals, pages, headers and
// spreadsheets that trust their input.
func HostileStrings() []Hostile {
	const m = HostileMark
	out := []Hostile{
		{"CR LF", m + "\r\nSet-Cookie: a=" + m}, {"LF", m + "\n" + m}, {"CR", m + "\r" + m}, {"NEL", m + "\u0085" + m},
		{"LS", m + "\u2028" + m}, {"PS", m + "\u2029" + m}, {"VT FF", m + "\v\f" + m}, {"NUL", m + "\x00" + m}, {"DEL", m + "\x7f" + m},
		{"forged line", m + "\n{\"level\":\"info\",\"event\":\"forged\",\"client_id\":\"" + m + "\"}\n"},
		{"forged member", m + `","event":"forged","x":"` + m}, {"forged row", m + "\n2026-11-25T12:00:00Z  token.issued  issued  " + m},
		{"ANSI colour", "\x1b[31m" + m + "\x1b[0m"}, {"ANSI clear", "\x1b[2J\x1b[H" + m}, {"OSC title", "\x1b]0;" + m + "\x07"},
		{"OSC link", "\x1b]8;;https://evil.example/\x1b\\" + m + "\x1b]8;;\x1b\\"}, {"backspaces", m + "\b\b\b\b"}, {"C1 CSI", "\u009b31m" + m},
		{"C1 OSC", "\u009d0;" + m + "\u009c"}, {"bidi override", m + "\u202e" + m + "\u202c"}, {"bidi isolate", m + "\u2066" + m + "\u2069\u2067"},
		{"bidi marks", m + "\u200e\u200f\u061c" + m}, {"zero width", m + "\u200b\u200c\u200d\u2060\ufeff" + m}, {"soft hyphen", m + "\u00ad" + m},
		{"tags", m + "\U000e0041\U000e0042\U000e007f"}, {"invalid UTF-8", m + "\xff\xfe\xc3\x28" + m}, {"overlong", m + "\xc0\xaf\xe0\x80\xaf" + m},
		{"surrogate bytes", m + "\xed\xa0\x80" + m}, {"lone surrogate escape", m + `\ud800` + m}, {"quotes", m + `"'` + "`" + m},
		{"backslashes", m + `\\\n\u000a\x1b` + m}, {"braces", m + `{{.}}${x}%(x)s%n%s` + m},
		{"formula =", `=HYPERLINK("https://evil.example/` + m + `")`}, {"formula +", "+" + m}, {"formula -", "-" + m}, {"formula @", "@SUM(" + m + ")"},
		{"formula tab", "\t=" + m}, {"formula CR", "\r=" + m}, {"formula full width", "＝" + m}, {"formula quoted", `"=` + m + `","` + m},
		{"semicolon", m + ";=" + m + ",=" + m}, {"markup", "<script>alert('" + m + "')</script><img src=x onerror=" + m + "()>"},
		{"attribute", `" onmouseover="` + m + `()" x='`}, {"javascript", "javascript:" + m + "()"}, {"markdown", "[" + m + "](https://evil.example/) `" + m + "` | " + m},
		{"percent CR LF", m + "%0d%0aSet-Cookie:%20a=" + m}, {"percent twice", m + "%250a%2500%25ff"}, {"percent bad", m + "%zz%"},
		{"percent escape", m + "%1b%5d0;%07%e2%80%ae%00%ff"}, {"8 KiB", m + strings.Repeat("8", 8<<10)}, {"64 KiB", m + strings.Repeat("64", 32<<10)},
		{"64 KiB of escapes", m + strings.Repeat("\u202e", 64<<10/3)}, {"64 KiB of lines", m + strings.Repeat("\n", 64<<10)},
	}
	return out
}

// Loud returns what in s could break a line, steer a terminal or turn the
// reading direction, quoted; empty where there is nothing.
func Loud(s string) string {
	for i, r := range s {
		if r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD") {
			return fmt.Sprintf("%q, no UTF-8", s[i:i+1])
		}
		if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) {
			return fmt.Sprintf("%q", r)
		}
	}
	return ""
}

// CheckLog holds that a log is what its writers meant, whatever they were
// given: one JSON object a line, each member once, nothing loud, nothing long.
// It returns the objects.
func CheckLog(t testing.TB, log string) []map[string]any {
	t.Helper()
	if log != "" && !strings.HasSuffix(log, "\n") {
		t.Errorf("the log ends inside a line")
	}
	var out []map[string]any
	for line := range strings.Lines(log) {
		line = strings.TrimSuffix(line, "\n")
		fields, err := members(line)
		switch loud := Loud(line); {
		case err != nil:
			t.Errorf("a line of the log: %v\n%.300q", err, line)
		case loud != "":
			t.Errorf("a line of the log has %s\n%.300q", loud, line)
		case len(line) > MaxLogLine:
			t.Errorf("a line of the log has %d bytes, want %d at most\n%.300q", len(line), MaxLogLine, line)
		case fields["event"] == "forged" || fields["event"] == nil:
			t.Errorf("a line of the log without an event of its own\n%.300q", line)
		default:
			out = append(out, fields)
		}
	}
	return out
}

// members reads a JSON object whose members are there once each.
func members(line string) (map[string]any, error) {
	var out map[string]any
	if err := json.Unmarshal([]byte(line), &out); err != nil {
		return nil, err
	}
	d := json.NewDecoder(strings.NewReader(line))
	n, depth := 0, 0
	for key := false; ; {
		token, err := d.Token()
		if err != nil {
			break
		}
		switch delim, _ := token.(json.Delim); delim {
		case '{', '[':
			depth++
			key = depth == 1
		case '}', ']':
			depth--
			key = depth == 1
		default:
			if depth == 1 && key {
				n++
			}
			key = depth == 1 && !key
		}
	}
	if n != len(out) {
		return nil, fmt.Errorf("%d members, %d names", n, len(out))
	}
	return out, nil
}

// CheckRecord holds that one record as JSON is one quiet line of bounded
// length.
func CheckRecord(t testing.TB, line []byte) {
	t.Helper()
	loud := Loud(string(line))
	switch {
	case !json.Valid(line):
		t.Errorf("a record is no JSON: %.300q", line)
	case loud != "":
		t.Errorf("a record has %s\n%.300q", loud, line)
	case len(line) > MaxRecord:
		t.Errorf("a record has %d bytes, want %d at most\n%.300q", len(line), MaxRecord, line)
	}
}
