package main

import (
	"encoding/json"
	"time"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
)

// story is what audit why tells of the decision beside its records: the
// newest one among them for which the policies were asked.
type story struct {
	DecisionID string         `json:"decision_id"`
	At         time.Time      `json:"at"`
	InForce    *storyForce    `json:"in_force,omitempty"` // nil: not known any more
	Document   *storyDocument `json:"document,omitempty"` // nil: none was judged
	Then       *storyAnswer   `json:"then"`               // decided again by the policies of then
	Today      *storyAnswer   `json:"today"`              // the same question to the policies of now
	Policies   []storyRule    `json:"policies,omitempty"` // the text of the winner and of what refused
	Grants     []storyGrant   `json:"grants,omitempty"`   // that came of it, oldest first

	Material *storyMaterial `json:"material,omitempty"` // only where it was asked for
}

// storyForce is the revision that decided.
type storyForce struct {
	Revision string         `json:"revision"`
	Since    time.Time      `json:"since"`            // when it came into force
	Source   string         `json:"source,omitempty"` // where it was read from
	Actor    string         `json:"actor,omitempty"`  // who had it loaded
	Facts    string         `json:"facts_sha256,omitempty"`
	Values   map[string]any `json:"facts,omitempty"` // of the input; none where it was erased
}

// storyDocument is the document that was judged.
type storyDocument struct {
	SHA256    string    `json:"sha256"`
	Bytes     int       `json:"bytes,omitempty"`
	FetchedAt time.Time `json:"fetched_at,omitzero"`
	From      string    `json:"from,omitempty"`
	Kept      bool      `json:"kept"` // its bytes are at hand
}

// Answers of a question that is put again.
const (
	answerSame    = "same"           // as recorded
	answerDiffers = "differs"        // not as recorded
	answerEngine  = "engine_differs" // not as recorded, but another engine or contract answered
	answerNone    = "not_replayable" // the question or the policies are not kept, or were masked
)

// storyAnswer is what the policies say to the recorded question.
type storyAnswer struct {
	Answer   string             `json:"answer"`             // one of the answer constants
	Why      string             `json:"why,omitempty"`      // of an answer that is not the same
	Revision string             `json:"revision,omitempty"` // that answered
	Engine   string             `json:"engine,omitempty"`
	Allowed  bool               `json:"allowed"`
	Reason   string             `json:"reason,omitempty"`
	Winner   []string           `json:"winner,omitempty"`
	Differs  []string           `json:"differs,omitempty"` // members of the record
	Phase    *decisionlog.Phase `json:"phase,omitempty"`   // with its explanation
	Settings json.RawMessage    `json:"settings,omitempty"`
}

// storyRule is a piece of the policy text in force.
type storyRule struct {
	Policy   string `json:"policy"`
	Rule     string `json:"rule"`
	Location string `json:"location"` // file:line; of a row its name
	Text     string `json:"text"`
}

// storyGrant is one grant as its records tell.
type storyGrant struct {
	ID        string    `json:"grant_id"`
	Subject   string    `json:"subject,omitempty"` // pseudonym
	At        time.Time `json:"at"`                // of its first record
	Issued    int       `json:"tokens_issued"`
	Refreshed int       `json:"tokens_refreshed"`
	LastAt    time.Time `json:"last_at"` // of its last record
	Ended     string    `json:"ended,omitempty"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
	EndedBy   string    `json:"ended_by,omitempty"` // the operator, or the person's pseudonym
}

// storyMaterial is all it takes to decide again elsewhere.
type storyMaterial struct {
	Document []byte            `json:"document,omitempty"`
	Files    map[string][]byte `json:"files,omitempty"` // of the revision
	Maxima   json.RawMessage   `json:"maxima,omitempty"`
	Offer    broker.Offer      `json:"offer"`
}
