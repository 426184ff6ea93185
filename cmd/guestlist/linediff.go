package main

import (
	"bytes"
	"fmt"
	"strings"
)

// Bounds of a line difference.
const (
	diffContext = 3       // lines shown around a change
	diffWork    = 4 << 20 // line pairs compared; beyond, the changed part is shown as replaced
)

// edit is one line of a difference.
type edit struct {
	op   byte // ' ', '-' or '+'
	line string
}

// lineDiff writes how a file changed, in unified form; empty when it did not.
func lineDiff(name string, before, after []byte) string {
	if bytes.Equal(before, after) {
		return ""
	}
	edits := editsOf(splitLines(before), splitLines(after))
	var b strings.Builder
	fmt.Fprintf(&b, "--- %s\n+++ %s\n", name, name)
	oldLine, newLine := 1, 1
	for i := 0; i < len(edits); {
		if from, to, ok := hunk(edits, i); ok {
			for ; i < from; i++ {
				oldLine, newLine = oldLine+1, newLine+1
			}
			oldLine, newLine = writeHunk(&b, edits[from:to], oldLine, newLine)
			i = to
			continue
		}
		break
	}
	return b.String()
}

// splitLines cuts text after its newlines.
func splitLines(text []byte) []string {
	lines := strings.SplitAfter(string(text), "\n")
	if n := len(lines); lines[n-1] == "" {
		return lines[:n-1]
	}
	return lines
}

// hunk finds the next changes at or after i, with their context.
func hunk(edits []edit, i int) (from, to int, ok bool) {
	first := i
	for first < len(edits) && edits[first].op == ' ' {
		first++
	}
	if first == len(edits) {
		return 0, 0, false
	}
	last := first
	for j := first; j < len(edits) && j-last <= 2*diffContext; j++ {
		if edits[j].op != ' ' {
			last = j
		}
	}
	return max(i, first-diffContext), min(len(edits), last+1+diffContext), true
}

// writeHunk writes one hunk and returns the lines that follow it.
func writeHunk(b *strings.Builder, edits []edit, oldLine, newLine int) (int, int) {
	var olds, news int
	for _, e := range edits {
		olds += boolInt(e.op != '+')
		news += boolInt(e.op != '-')
	}
	fmt.Fprintf(b, "@@ -%s +%s @@\n", span(oldLine, olds), span(newLine, news))
	for _, e := range edits {
		b.WriteByte(e.op)
		b.WriteString(e.line)
		if !strings.HasSuffix(e.line, "\n") {
			b.WriteString("\n\\ No newline at end of file\n")
		}
	}
	return oldLine + olds, newLine + news
}

// span is how a hunk names its lines; an empty one stands after a line.
func span(first, n int) string {
	if n == 0 {
		first--
	}
	return fmt.Sprintf("%d,%d", first, n)
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// editsOf compares lines: what is alike at both ends is set aside, the rest is
// compared by its longest common subsequence.
func editsOf(a, b []string) []edit {
	start := 0
	for start < len(a) && start < len(b) && a[start] == b[start] {
		start++
	}
	end := 0
	for end < len(a)-start && end < len(b)-start && a[len(a)-1-end] == b[len(b)-1-end] {
		end++
	}
	var out []edit
	for _, l := range a[:start] {
		out = append(out, edit{' ', l})
	}
	out = append(out, middle(a[start:len(a)-end], b[start:len(b)-end])...)
	for _, l := range a[len(a)-end:] {
		out = append(out, edit{' ', l})
	}
	return out
}

func middle(a, b []string) []edit {
	common := make([][]int32, len(a)+1)
	if len(a)*len(b) <= diffWork {
		for i := range common {
			common[i] = make([]int32, len(b)+1)
		}
		for i := len(a) - 1; i >= 0; i-- {
			for j := len(b) - 1; j >= 0; j-- {
				if common[i][j] = max(common[i+1][j], common[i][j+1]); a[i] == b[j] {
					common[i][j] = common[i+1][j+1] + 1
				}
			}
		}
	}
	var out []edit
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && common[i] != nil && a[i] == b[j]:
			out = append(out, edit{' ', a[i]})
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && (common[i] == nil || common[i+1][j] >= common[i][j+1]):
			out = append(out, edit{'-', a[i]})
			i++
		default:
			out = append(out, edit{'+', b[j]})
			j++
		}
	}
	return out
}
