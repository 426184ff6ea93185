// Package corpus plays imagined requests against a guest list and writes down
// what it decides about each, one line a scene, so that a change of policy
// shows as a diff.
//
// Shipped scenes are real clients by their published documents, and what
// clients and attackers send: lookalike and malformed identifiers, every kind
// of redirect URI, documents that ask for too much, people with and without
// groups, refreshes from elsewhere. Listed adds scenes for the patterns of a
// guest list, Read those of its authors. Nothing here knows Rego: every
// decision is made by the policy of the stage, on the server's own path.
package corpus

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"time"

	"guestlist/broker"
)

//go:embed scenes.json documents
var shipped embed.FS

// Noon is when scenes take place unless somebody says otherwise: on a
// Wednesday, so that office hours are on.
func Noon() time.Time { return time.Date(2026, time.November, 25, 12, 0, 0, 0, time.UTC) }

// Scene is one imagined request and what is to follow it, as scenes.json
// writes it. Schema describes the members.
type Scene struct {
	Name        string          `json:"name"`
	Purpose     string          `json:"purpose"`
	ClientID    string          `json:"client_id"`
	Document    json.RawMessage `json:"document"` // replaced by the bytes of the file where it named one; nil: see Stage.Play
	RedirectURI *string         `json:"redirect_uri"`
	Scope       string          `json:"scope"`
	Resource    words           `json:"resource"`
	Prompt      words           `json:"prompt"`
	PAR         bool            `json:"par"`
	Source      string          `json:"source"`
	UserAgent   string          `json:"user_agent"`
	At          *time.Time      `json:"at"`
	User        *Person         `json:"user"`
	Refresh     *Refresh        `json:"refresh"`
	Facts       map[string]any  `json:"facts"`
	Expect      *Expect         `json:"expect"`
}

// Person is who signs in and agrees.
type Person struct {
	Name     string          `json:"name"`
	Groups   []string        `json:"groups"`
	Claims   map[string]any  `json:"claims"`
	ACR      string          `json:"acr"`
	AMR      []string        `json:"amr"`
	SignedIn broker.Duration `json:"signed_in"` // how long before the request
}

// Refresh is a later use of the refresh token, where one was given out.
type Refresh struct {
	After    broker.Duration `json:"after"`
	Source   string          `json:"source"`   // empty: as the request
	Groups   []string        `json:"groups"`   // nil: as they were
	Scope    string          `json:"scope"`    // empty: what was granted
	Resource words           `json:"resource"` // nil: what was granted
}

// Expect is what the authors of a scene hold to be right; empty members are
// not looked at.
type Expect struct {
	Outcome string `json:"outcome"`
	Reason  string `json:"reason"`
	Policy  string `json:"policy"`
}

// words is a list of strings, written as one string or as an array.
type words []string

// UnmarshalJSON reads either form.
func (w *words) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(b, []byte(`"`)) {
		*w = make(words, 1)
		return json.Unmarshal(b, &(*w)[0])
	}
	return json.Unmarshal(b, (*[]string)(w))
}

// Shipped returns the scenes that come with the program.
func Shipped() ([]Scene, error) {
	scenes, err := Read(shipped)
	if err != nil {
		return nil, fmt.Errorf("shipped scenes: %w", err)
	}
	return scenes, nil
}
