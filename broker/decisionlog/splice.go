package decisionlog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// gap stands in for a raw member while the rest is marshalled.
var gap = json.RawMessage("0")

// spliced marshals a value whose raw members are put in afterwards: encoding/json
// would check and compact once more each that Set wrote.
type spliced struct {
	made  []json.RawMessage
	names []string // of the gaps, in the order of the members
	raw   []json.RawMessage
	rest  bytes.Buffer // what was marshalled, with gaps
	out   []byte       // the same without
}

// begin is for another value, with raw members that Set wrote. What was
// marshalled before ends.
func (s *spliced) begin(made []json.RawMessage) {
	s.made, s.names, s.raw, s.out = made, s.names[:0], s.raw[:0], s.out[:0]
	s.rest.Reset()
}

// take returns what to marshal for the raw member of that name: a gap, unless
// it is no JSON. What Set did not write is checked and compacted first.
func (s *spliced) take(name string, raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return raw
	}
	if !slices.ContainsFunc(s.made, func(m json.RawMessage) bool { return len(m) == len(raw) && &m[0] == &raw[0] }) {
		compact, err := json.Marshal(raw)
		if err != nil {
			return raw // as marshal will say
		}
		raw = compact
	}
	s.names, s.raw = append(s.names, name), append(s.raw, raw)
	return gap
}

// marshal writes v and fills its gaps. The first place that looks like a gap
// is the gap: in a string the quotes would be escaped, every raw member is a gap
// itself, and the only other numbers under names of others' choosing, the
// metrics, come behind them.
func (s *spliced) marshal(v any) ([]byte, error) {
	if err := json.NewEncoder(&s.rest).Encode(v); err != nil {
		return nil, err
	}
	rest, out := bytes.TrimSuffix(s.rest.Bytes(), []byte("\n")), s.out
	for i, name := range s.names {
		head, tail, ok := bytes.Cut(rest, []byte(`"`+name+`":0`))
		if !ok {
			return nil, fmt.Errorf("the member %s has no place", name)
		}
		out = append(append(out, head...), `"`+name+`":`...)
		out, rest = append(out, s.raw[i]...), tail
	}
	s.out = append(out, rest...)
	return s.out, nil
}
