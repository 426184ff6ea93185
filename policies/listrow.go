package policies

import (
	"encoding/json"
	"time"

	"guestlist/broker/cimd"
)

// Row is one line of a list, read as Load reads it.
type Row struct {
	row     *row
	pattern *pattern
}

// ReadRow reads a row that stands below host in a list. v is a JSON object as
// encoding/json decodes it, numbers as json.Number. The error says which member
// cannot be what it is.
func ReadRow(host string, v any) (Row, error) {
	r, p, err := decodeRow("", host, v)
	return Row{r, p}, err
}

// Path is the row's path, wildcards included.
func (r Row) Path() string { return r.row.path }

// Expires is the row's end as written, empty where it has none.
func (r Row) Expires() string { return r.row.written }

// Expired reports whether the row is over at a moment.
func (r Row) Expired(at time.Time) bool { return r.row.expired(at) }

// Wildcard reports whether the row may match more than one client.
func (r Row) Wildcard() bool { return !r.pattern.exact() }

// Matches reports whether the row names a client, expired or not.
func (r Row) Matches(id cimd.ID) bool {
	x := &index{}
	x.add(&entry{pattern: r.pattern})
	return len(x.lookup(id)) > 0
}

// RowText returns the row that a candidate names (decisionlog.Candidate.Row) as
// one line of JSON, with owner and ticket; false where the set has none of that
// name. It looks at every row.
func (s *Set) RowText(name string) (string, bool) {
	for _, p := range s.policies {
		for _, e := range p.entries {
			if e.row == nil || e.row.name() != name {
				continue
			}
			text, err := json.Marshal(e.row.member())
			return string(text), err == nil
		}
	}
	return "", false
}
