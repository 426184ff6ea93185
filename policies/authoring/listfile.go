package authoring

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// listFile is the text of a list with the places of its hosts and rows, so
// that an edit leaves every other byte as it is.
type listFile struct {
	body        []byte
	open, close int // of the braces around the hosts
	hosts       []listHost
}

// listHost is one host of a list and its rows.
type listHost struct {
	name        string
	start       int // of its name
	open, close int // of the brackets around its rows
	rows        []listRow
}

// listRow is one row, start to end.
type listRow struct {
	start, end int
	value      any
	path       string
}

// parseList finds the rows of data.json. What is no list is an error with its
// line.
func parseList(body []byte) (*listFile, error) {
	l := &listFile{body: body}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	err := l.read(d)
	if err == nil {
		if _, end := d.Token(); end != io.EOF {
			err = errors.New("text after the end of the object")
		}
	}
	if err != nil {
		at := min(int(d.InputOffset()), len(body))
		return nil, fmt.Errorf("line %d: %w", 1+bytes.Count(body[:at], []byte("\n")), err)
	}
	return l, nil
}

func (l *listFile) read(d *json.Decoder) error {
	if err := opening(d, '{'); err != nil {
		return err
	}
	l.open = int(d.InputOffset()) - 1
	for d.More() {
		before := int(d.InputOffset())
		name, err := d.Token()
		if err != nil {
			return err
		}
		h := listHost{start: before + bytes.IndexByte(l.body[before:], '"')}
		h.name, _ = name.(string)
		if err := l.readRows(d, &h); err != nil {
			return fmt.Errorf("host %.80q: %w", h.name, err)
		}
		l.hosts = append(l.hosts, h)
	}
	_, err := d.Token()
	l.close = int(d.InputOffset()) - 1
	return err
}

func (l *listFile) readRows(d *json.Decoder, h *listHost) error {
	if err := opening(d, '['); err != nil {
		return err
	}
	h.open = int(d.InputOffset()) - 1
	for d.More() {
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return err
		}
		end := int(d.InputOffset())
		r := listRow{start: end - len(raw), end: end}
		v := json.NewDecoder(bytes.NewReader(raw))
		v.UseNumber()
		if err := v.Decode(&r.value); err != nil {
			return err
		}
		if m, ok := r.value.(map[string]any); ok {
			r.path, _ = m["path"].(string)
		}
		h.rows = append(h.rows, r)
	}
	_, err := d.Token()
	h.close = int(d.InputOffset()) - 1
	return err
}

// opening reads one brace or bracket.
func opening(d *json.Decoder, want json.Delim) error {
	t, err := d.Token()
	if err == nil && t != want {
		err = errors.New(`a list is {"host": [{"path": "/…"}]}`)
	}
	return err
}

// find returns the host and the row of a path, nil where there is none.
func (l *listFile) find(host, path string) (*listHost, *listRow) {
	for i := range l.hosts {
		if l.hosts[i].name != host {
			continue
		}
		for j := range l.hosts[i].rows {
			if l.hosts[i].rows[j].path == path {
				return &l.hosts[i], &l.hosts[i].rows[j]
			}
		}
		return &l.hosts[i], nil
	}
	return nil, nil
}

// add returns the text with one row more, hosts and paths in their order where
// the list keeps to it.
func (l *listFile) add(host, path, row string) []byte {
	if h, _ := l.find(host, path); h != nil {
		spans := make([]span, len(h.rows))
		for i, r := range h.rows {
			spans[i] = span{r.path, r.start, r.end}
		}
		return l.insert(h.open, h.close, spans, path, func(string) string { return row })
	}
	spans := make([]span, len(l.hosts))
	for i, h := range l.hosts {
		spans[i] = span{h.name, h.start, h.close + 1}
	}
	return l.insert(l.open, l.close, spans, host, func(indent string) string {
		name, open, end := encode(host), "[", "]"
		if indent != "" {
			open, end = "["+l.newline()+indent+l.unit(), l.newline()+indent+"]"
		}
		return name + ": " + open + row + end
	})
}

// span is one entry between brackets.
type span struct {
	key        string
	start, end int
}

// insert puts a new entry among others in the order of their keys, on a line
// of its own unless the others share one.
func (l *listFile) insert(open, end int, others []span, key string, text func(indent string) string) []byte {
	if len(others) == 0 {
		outer := l.indent(open, true)
		inner := outer + l.unit()
		return l.splice(open+1, end, l.newline()+inner+text(inner)+l.newline()+outer)
	}
	for _, o := range others {
		if o.key > key {
			indent, between := l.indent(o.start, false), ", "
			if indent != "" {
				between = "," + l.newline() + indent
			}
			return l.splice(o.start, o.start, text(indent)+between)
		}
	}
	last := others[len(others)-1]
	indent, between := l.indent(last.start, false), ", "
	if indent != "" {
		between = "," + l.newline() + indent
	}
	return l.splice(last.end, last.end, between+text(indent))
}

// remove returns the text without a row, and without its host when it was the
// only one.
func (l *listFile) remove(h *listHost, r *listRow) []byte {
	var all []span
	at := -1
	if len(h.rows) > 1 {
		for i := range h.rows {
			if &h.rows[i] == r {
				at = i
			}
			all = append(all, span{"", h.rows[i].start, h.rows[i].end})
		}
	} else {
		for i := range l.hosts {
			if &l.hosts[i] == h {
				at = i
			}
			all = append(all, span{"", l.hosts[i].start, l.hosts[i].close + 1})
		}
	}
	switch {
	case len(all) == 1:
		return l.splice(l.open+1, l.close, "")
	case at == len(all)-1:
		return l.splice(all[at-1].end, all[at].end, "")
	}
	return l.splice(all[at].start, all[at+1].start, "")
}

// splice returns the text with what is between from and to replaced.
func (l *listFile) splice(from, to int, text string) []byte {
	out := append([]byte{}, l.body[:from]...)
	return append(append(out, text...), l.body[to:]...)
}

// indent is the white space before a place that begins its line; empty where
// something else stands before it, unless the line's own indentation is asked
// for.
func (l *listFile) indent(at int, ofLine bool) string {
	line := l.body[bytes.LastIndexByte(l.body[:at], '\n')+1 : at]
	rest := bytes.TrimLeft(line, " \t")
	if len(rest) > 0 && !ofLine {
		return ""
	}
	return string(line[:len(line)-len(rest)])
}

// unit is one step of indentation: that of the first host, or two spaces.
func (l *listFile) unit() string {
	if len(l.hosts) > 0 {
		if s := l.indent(l.hosts[0].start, false); s != "" {
			return s
		}
	}
	return "  "
}

// newline is how the file ends its lines.
func (l *listFile) newline() string {
	if bytes.Contains(l.body, []byte("\r\n")) {
		return "\r\n"
	}
	return "\n"
}

// encode writes a value as JSON on one line, a space after commas and colons.
func encode(v any) string {
	var b strings.Builder
	switch v := v.(type) {
	case map[string]any:
		return "{" + strings.Join(encodeMembers(v), ", ") + "}"
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = encode(e)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return "null"
	}
	return strings.TrimSuffix(b.String(), "\n")
}
