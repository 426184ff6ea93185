package policies

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// jsonNode is a JSON value with the line on which it begins, so that a finding
// can name it.
type jsonNode struct {
	line    int
	scalar  any // nil, bool, string or json.Number; a json.Delim of what is open below
	members map[string]*jsonNode
	names   []string // of members, as written
	items   []*jsonNode
}

// isObject and isArray tell what is open below.
func (n *jsonNode) isObject() bool { return n.scalar == json.Delim('{') }
func (n *jsonNode) isArray() bool  { return n.scalar == json.Delim('[') }

// value is the node as plain JSON.
func (n *jsonNode) value() any {
	switch {
	case n.isObject():
		out := make(map[string]any, len(n.members))
		for name, m := range n.members {
			out[name] = m.value()
		}
		return out
	case n.isArray():
		out := make([]any, 0, len(n.items))
		for _, item := range n.items {
			out = append(out, item.value())
		}
		return out
	}
	return n.scalar
}

// jsonReader reads one JSON text.
type jsonReader struct {
	d    *json.Decoder
	body []byte
	line int // where the last token was
}

// readJSON reads one JSON value and refuses repeated keys and what follows. The
// line is the one to blame for an error.
func readJSON(body []byte) (n *jsonNode, line int, err error) {
	r := &jsonReader{d: json.NewDecoder(bytes.NewReader(body)), body: body}
	r.d.UseNumber()
	if n, err = r.node(0); err == nil {
		if _, more := r.d.Token(); more != io.EOF {
			err = errors.New("something follows the value")
		}
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, r.lineAt(r.d.InputOffset()), err
	}
	return n, 0, nil
}

// lineAt is the line of an offset, from 1.
func (r *jsonReader) lineAt(offset int64) int {
	return 1 + bytes.Count(r.body[:min(int(offset), len(r.body))], []byte("\n"))
}

// node reads the next value.
func (r *jsonReader) node(depth int) (*jsonNode, error) {
	if depth > 100 {
		return nil, errors.New("nested too deeply")
	}
	t, err := r.d.Token()
	if err != nil {
		return nil, err
	}
	n := &jsonNode{line: r.lineAt(r.d.InputOffset()), scalar: t}
	switch {
	case n.isArray():
		for r.d.More() {
			item, err := r.node(depth + 1)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, item)
		}
		_, err = r.d.Token()
	case n.isObject():
		n.members = map[string]*jsonNode{}
		for r.d.More() {
			if err := r.member(n, depth); err != nil {
				return nil, err
			}
		}
		_, err = r.d.Token()
	}
	return n, err
}

// member reads one name and its value into n.
func (r *jsonReader) member(n *jsonNode, depth int) error {
	k, err := r.d.Token()
	if err != nil {
		return err
	}
	name, _ := k.(string)
	if _, twice := n.members[name]; twice {
		return fmt.Errorf("key %q is written twice", clip(name, 80))
	}
	line := r.lineAt(r.d.InputOffset())
	v, err := r.node(depth + 1)
	if err != nil {
		return err
	}
	v.line = line
	n.members[name], n.names = v, append(n.names, name)
	return nil
}
