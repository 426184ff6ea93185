// Package decisionlog builds, seals and exports decision records: what was
// asked, what was decided, why, and what came of it.
//
// A Record is written in the same commit as the state change it explains
// (design §6). Strangers' refusals and the reuse of an admitted client go
// through a Batch instead, at most one second late. Seal turns a record into
// the bytes that are stored; nothing in this package knows the store.
package decisionlog

import (
	"encoding/json"
	"time"
)

// Outcomes of a record. One outcome has one meaning for ever.
const (
	OutcomeAdmitted = "admitted" // a client was let in and has a new life or a new document
	OutcomeReused   = "reused"   // a client already admitted was let in again without a fetch
	OutcomeRefused  = "refused"  // somebody was told no; Reason says why
	OutcomeHeld     = "held"     // a changed document waits for an operator
	OutcomePruned   = "pruned"   // a client row and its grants came to their end
	OutcomeIssued   = "issued"   // a code or token was given out
	OutcomeGranted  = "granted"  // a person or an operator said yes
	OutcomeDone     = "done"     // an act of an operator or of the program itself took effect
)

// Record is one decision or one act, as its author knows it: the sequence
// number is added by Seal. Members that share their meaning with a decision
// log event of Open Policy Agent share its name. Nothing secret belongs here:
// codes, tokens, verifiers, cookies and unparsed input appear as digests only.
type Record struct {
	DecisionID     string            `json:"decision_id"`                // random, unique; names this record for ever
	Timestamp      time.Time         `json:"timestamp"`                  // when it was decided, UTC
	Event          string            `json:"event"`                      // one of the Event constants
	Outcome        string            `json:"outcome"`                    // one of the Outcome constants
	Reason         string            `json:"reason,omitempty"`           // stable code of a refusal; empty when nothing was refused
	PublicReason   string            `json:"public_reason,omitempty"`    // what the stranger was told
	RequestID      string            `json:"request_id,omitempty"`       // the id that every page and OAuth error carries
	TraceID        string            `json:"trace_id,omitempty"`         // W3C trace id, when tracing is on
	SpanID         string            `json:"span_id,omitempty"`          // of the request in that trace
	Labels         map[string]string `json:"labels,omitempty"`           // the policy's tags
	Path           string            `json:"path,omitempty"`             // the contract that was asked: admission/v1
	Revision       string            `json:"revision,omitempty"`         // digest of the policy bundle that decided
	FactsSHA256    string            `json:"facts_sha256,omitempty"`     // digest of the operator's facts that decided; empty where the policies know none
	Engine         string            `json:"engine,omitempty"`           // policy engine and version
	Epoch          uint64            `json:"epoch"`                      // the epoch it was decided under
	ClientID       string            `json:"client_id,omitempty"`        // client identifier URL; empty when it could not be parsed
	ClientIDDigest string            `json:"client_id_digest,omitempty"` // sha256 and length of a client_id that could not be parsed
	Registration   string            `json:"registration,omitempty"`     // cimd, pinned, registered
	Incarnation    uint64            `json:"incarnation,omitempty"`      // which life of the client
	Phase          string            `json:"phase,omitempty"`            // the last phase that was asked
	Policy         []string          `json:"policy,omitempty"`           // the winner; several only at equal rank
	Phases         []Phase           `json:"phases,omitempty"`           // every phase that was asked, in order
	Settings       json.RawMessage   `json:"settings,omitempty"`         // the terms that applied
	Effective      json.RawMessage   `json:"effective,omitempty"`        // what is granted after negotiation
	Cut            []Cut             `json:"cut,omitempty"`              // what was asked and not given
	DocumentSHA256 string            `json:"document_sha256,omitempty"`  // of the document that was judged
	ExpiresAt      *time.Time        `json:"expires_at,omitempty"`       // end of the client, grant or token this record made
	Subject        string            `json:"subject,omitempty"`          // keyed pseudonym of the person
	GrantID        string            `json:"grant_id,omitempty"`         // the grant concerned
	TokenID        string            `json:"token_id,omitempty"`         // jti of the token issued
	Actor          string            `json:"actor,omitempty"`            // operator who acted, as the admin API knows them; of a reload also SIGHUP or watch
	Count          int               `json:"count,omitempty"`            // a summary of this many like refusals; zero means one
	Refreshed      bool              `json:"refreshed,omitempty"`        // admitted: the client lived before, and its host served its document anew
	LastRequestID  string            `json:"last_request_id,omitempty"`  // of a summary: the last request it stands for
	RequestIDs     []byte            `json:"request_ids,omitempty"`      // of a summary: digest of the requests it stands for, see StandsFor
	Metrics        map[string]int64  `json:"metrics,omitempty"`          // nanoseconds by name: timer_decide_ns, timer_fetch_ns
	Erased         []string          `json:"erased,omitempty"`           // JSON pointers to what masking removed from the body, sorted
	Masked         []string          `json:"masked,omitempty"`           // JSON pointers to what masking replaced in the body, sorted
	MaskError      string            `json:"mask_error,omitempty"`       // why the record could not be masked and has no body; says nothing of the record
	Computed       []string          `json:"computed,omitempty"`         // JSON pointers to what a policy computed, sorted: it is kept with the members below; see NoteComputed

	// The members below may hold personal data. They are stored apart from
	// the ones above, covered by a salted digest, so that they can be erased.

	Detail string          `json:"detail,omitempty"` // the precise text for the operator
	Source string          `json:"source,omitempty"` // address the request came from
	Input  json.RawMessage `json:"input,omitempty"`  // policy input of the last phase
	Result json.RawMessage `json:"result,omitempty"` // policy result of the last phase

	made []json.RawMessage // what Set and Keep wrote
}

// Set writes v as JSON into a raw member of r. Seal stores it as it stands,
// where it checks and compacts raw members from elsewhere; its bytes must not
// be changed after. On an error the member stays what it was.
func (r *Record) Set(member *json.RawMessage, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	r.Keep(member, b)
	return nil
}

// Keep is Set for bytes that json.Marshal made before, not empty. It does not
// check that.
func (r *Record) Keep(member *json.RawMessage, marshalled json.RawMessage) {
	*member = marshalled
	r.made = append(r.made, marshalled)
}

// Phase is what the policies said in one phase of an admission.
type Phase struct {
	Phase       string      `json:"phase"`                  // url, document, user, refresh
	Allowed     bool        `json:"allowed"`                // whether the phase let the request go on
	Reason      string      `json:"reason,omitempty"`       // why not
	Winner      []string    `json:"winner,omitempty"`       // policies whose settings apply
	Why         string      `json:"why,omitempty"`          // why the winner won
	NearestMiss string      `json:"nearest_miss,omitempty"` // how close the closest pattern came when none matched
	Candidates  []Candidate `json:"candidates,omitempty"`   // every policy that matched, best first
	Denials     []Denial    `json:"denials,omitempty"`      // what refused
	Warnings    []Denial    `json:"warnings,omitempty"`     // what was said without refusing

	Explanation *Explanation `json:"explanation,omitempty"` // nil in the records of a log
}

// Candidate is one policy that matched the client identifier.
type Candidate struct {
	Policy   string `json:"policy"`          // package name below admission.policies
	Title    string `json:"title,omitempty"` // METADATA title
	Pattern  string `json:"pattern"`         // the pattern that matched, as written
	Priority int    `json:"priority"`        // -100 to 100
	Mode     string `json:"mode"`            // enforce, warn, shadow
	Settles  bool   `json:"settles"`         // false: veto-only, gives no settings
	Row      string `json:"row,omitempty"`   // list and path of the row that matched
}

// Denial is one element of a policy's deny or warn set.
type Denial struct {
	Policy      string `json:"policy"`                 // the policy, or guardrails
	Rule        string `json:"rule"`                   // deny, deny_document, deny_user, deny_refresh, warn
	Code        string `json:"code,omitempty"`         // the author's code; empty where it was computed and is gone
	Message     string `json:"message,omitempty"`      // for the operator
	UserMessage string `json:"user_message,omitempty"` // may be shown to the person, on purpose
	Remedy      string `json:"remedy,omitempty"`       // what to do about it
	Effect      string `json:"effect,omitempty"`       // refuse or end_grant
	Location    string `json:"location,omitempty"`     // file:line of the rule that fired
	Read        []Read `json:"read,omitempty"`         // what that rule and its helpers look at; empty in the records of a log

	// Computed names those of code, message, user_message and remedy that the
	// policies do not spell out, so that they may say something of a person or of
	// what a stranger sent. It is not written: see [Record.NoteComputed].
	Computed []string `json:"-"`

	// Of a denial that the guardrails waive for this client, which then stands
	// among the warnings and refuses nothing:

	WaivedBy     string `json:"waived_by,omitempty"`     // the owner of the waiver
	WaivedUntil  string `json:"waived_until,omitempty"`  // when it ends, as written
	WaiverTicket string `json:"waiver_ticket,omitempty"` // as written
}

// Cut is one value that was asked for and not given.
type Cut struct {
	Member string `json:"member"`        // scope, grant_types, redirect_uris …
	Value  string `json:"value"`         // bounded, as asked
	By     string `json:"by"`            // settings, server, document, resource
	Why    string `json:"why,omitempty"` // one plain sentence
}
