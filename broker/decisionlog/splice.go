package decisionlog

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// gap stands in for a raw member while the rest is marshalled.
var gap = json.RawMessage("0")

// spliced marshals a value whose raw members that Set wrote are put in
// afterwards: encoding/json would check and compact each of them once more.
type spliced struct {
	made  []json.RawMessage
	names []string // of the gaps, in the order of the members
	raw   []json.RawMessage
	bytes int
}

// take returns what to marshal for the raw member of that name: a gap, when
// Set wrote it.
func (s *spliced) take(name string, raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return raw
	}
	for _, m := range s.made {
		if len(m) == len(raw) && &m[0] == &raw[0] {
			s.names, s.raw, s.bytes = append(s.names, name), append(s.raw, raw), s.bytes+len(raw)
			return gap
		}
	}
	return raw
}

// marshal writes v and fills its gaps. The first place that looks like a gap
// is the gap: in a string the quotes would be escaped, and the only numbers
// under names of others' choosing, the metrics, come behind all raw members.
func (s *spliced) marshal(v any) ([]byte, error) {
	rest, err := json.Marshal(v)
	if err != nil || len(s.names) == 0 {
		return rest, err
	}
	out := make([]byte, 0, len(rest)+s.bytes)
	for i, name := range s.names {
		head, tail, ok := bytes.Cut(rest, []byte(`"`+name+`":0`))
		if !ok {
			return nil, fmt.Errorf("the member %s has no place", name)
		}
		out = append(append(out, head...), `"`+name+`":`...)
		out, rest = append(out, s.raw[i]...), tail
	}
	return append(out, rest...), nil
}
