package broker

import (
	"context"
	"encoding/json"
	"time"

	"guestlist/broker/cimd"
	"guestlist/broker/decisionlog"
)

// Policy answers policy questions. One Policy value is one immutable
// revision with its facts: everything Decide says is a function of the query
// (which the broker gives the facts) and Revision.
type Policy interface {
	// Decide answers q. It never returns an error: what cannot be evaluated
	// is a denial with reason policy_error.
	Decide(ctx context.Context, q Query) Decision
	// Revision is the digest of policies, data, capabilities and contract.
	Revision() string
	// Engine names the policy engine and its version.
	Engine() string
	// Bundle is the bytes that the revision covers, read only.
	Bundle() Bundle
	// Facts are the operator's data, input.facts: complete, never nil, read
	// only, the same for the life of the value.
	Facts() map[string]any
	// Claims names the members of input.user.claims that an answer can depend
	// on, read only; all says that it can depend on any. Whoever asks leaves the
	// others out, so that no record has what nobody read.
	Claims() (names []string, all bool)
}

// Query is one question to a Policy.
type Query struct {
	Input    Input          // complete up to its Phase; Row and Effective are filled by Decide
	Document *cimd.Document // from phase document on
	Offer    Offer          // what this server can do
	Explain  bool           // fill Decision.Explanation and the Read of denials; the answer is the same
	Kept     *Settings      // phase refresh: terms that hold when no policy names the client any more, within guardrails and maxima; nil: none do
}

// Offer is what this server can do for any client, before policy.
type Offer struct {
	GrantTypes    []string   // endpoints that exist
	ResponseTypes []string   // code
	AuthMethods   []string   // client authentication methods that work
	SigningAlgs   []string   // of client assertions, for private_key_jwt
	Resources     []Resource // the configured protected resources
}

// Resource is a protected resource that tokens can be issued for.
type Resource struct {
	ID          string   // RFC 8707 resource identifier, becomes the audience
	Name        string   // shown on the consent page
	Scopes      []string // empty: every scope
	TokenFormat string   // jwt or opaque
	SigningAlg  string   // ES256 or RS256; empty: ES256
}

// Decision is the answer of a Policy in one phase.
type Decision struct {
	Phase       Phase
	Allowed     bool
	Reason      Reason                  // why not
	Detail      string                  // precise text for the operator: the error, or the denial's message
	UserMessage string                  // what a denial wants strangers to read, else empty
	EndGrant    bool                    // a denial said effect end_grant
	Candidates  []decisionlog.Candidate // best first
	Winner      []string                // several only at equal rank
	Why         string                  // why the winner won
	NearestMiss string                  // only with no_policy_matched
	Unnamed     bool                    // only with no_policy_matched: so it is for every request at any hour, and the client's life ends
	Kept        bool                    // no policy names the client any more; Query.Kept holds
	Denials     []decisionlog.Denial
	Warnings    []decisionlog.Denial
	Settings    Settings        // strict values until a policy matched
	Written     json.RawMessage // Settings as json.Marshal writes them, where the policy has that ready; else nil
	Computed    []string        // what may stand in Settings that no policy spells out: it may say something of a person, or be a stranger's words
	Redirects   []cimd.Redirect // registered redirect URIs that the settings keep; phase document on
	Effective   Effective
	Cut         []decisionlog.Cut
	Explanation *decisionlog.Explanation // only with Query.Explain
	Took        time.Duration
}

// Matched reports whether any enabled policy that can admit names the client.
func (d Decision) Matched() bool { return len(d.Winner) > 0 }
