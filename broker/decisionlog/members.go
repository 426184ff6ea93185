package decisionlog

// Member documents one member of a record as it is exported.
type Member struct {
	Name     string
	Personal bool   // stored in the body, which can be erased; else in the header
	OPA      bool   // a decision log event of Open Policy Agent has it too, with the same meaning
	Meaning  string // one sentence or phrase
}

// Members lists every member, in the order in which a record is written.
func Members() []Member {
	return []Member{
		{"seq", false, false, "Position in the log, from 1, without gaps."},
		{"decision_id", false, true, "Random and unique; names this record for ever, and tells a second delivery of it from another record."},
		{"timestamp", false, true, "When it was decided, UTC."},
		{"event", false, false, "What happened: one of the events."},
		{"outcome", false, false, "What came of it: one of the outcomes."},
		{"reason", false, false, "Why something was refused or ended: one of the reasons. Absent where nothing was."},
		{"public_reason", false, false, "What the stranger was told instead."},
		{"request_id", false, false, "The id that the page or the OAuth error carried; all records of one request share it. Absent where no request asked."},
		{"trace_id", false, true, "W3C trace id. Absent where tracing is off."},
		{"span_id", false, true, "Span of the request in that trace. Absent where tracing is off."},
		{"labels", false, true, "The tags of the policy's settings. Absent where it has none."},
		{"path", false, true, "The policy contract that was asked, `admission/v1`."},
		{"revision", false, true, "Digest of the policy bundle in force. Absent before the first one."},
		{"facts_sha256", false, false, "Digest of the operator's facts in force. Absent where the policies know none."},
		{"engine", false, false, "Policy engine and version."},
		{"epoch", false, false, "The epoch it was decided under; 0 where none was."},
		{"client_id", false, false, "The client: its identifier as it was sent. Absent where no client is concerned, or it could not be parsed."},
		{"client_id_digest", false, false, "SHA-256 and length of a client_id that could not be parsed."},
		{"registration", false, false, "How the client is known: `cimd`, `pinned`, `registered`."},
		{"incarnation", false, false, "Which life of the client; another one begins when it is admitted anew. Absent where it has none."},
		{"phase", false, false, "The last phase that the policies were asked in."},
		{"policy", false, false, "The policies whose settings apply; several only at equal rank. Absent where none does."},
		{"phases", false, false, "What the policies said, phase by phase."},
		{"settings", false, false, "The terms that applied."},
		{"effective", false, false, "What is granted after negotiation."},
		{"cut", false, false, "What was asked for and not given. Absent where nothing was cut."},
		{"document_sha256", false, false, "Digest of the client's document that was judged, or that the grant rests on."},
		{"expires_at", false, false, "End of the client, grant or token that this record made."},
		{"subject", false, false, "The person, as a keyed pseudonym: the same for one person as long as the key is kept. Absent where nobody is signed in."},
		{"grant_id", false, false, "The installation: what one person allowed one copy of the client. Absent where there is no grant yet."},
		{"token_id", false, false, "The `jti` of the token; the token itself is in no record."},
		{"actor", false, false, "Who acted: see the event. A person who uses a client is its subject, never its actor."},
		{"count", false, false, "How many like refusals the record stands for, or how many clients an act ended. Absent: one."},
		{"refreshed", false, false, "True where an admitted client lived before, and its document came anew. Absent otherwise."},
		{"last_request_id", false, false, "Of a record that stands for several: the last of their request ids."},
		{"request_ids", false, false, "Of a record that stands for more than two: digest of all their request ids, or of the first 2,048, as a Bloom filter in base64. For each id the first 22 bytes of its SHA-256 are 11 numbers of 16 bits, and the bit n of each, modulo the number of bits, is set: in byte n/8 the one of value 2^(n mod 8). Of foreign ids about one in 2,000 is found in it."},
		{"metrics", false, true, "Nanoseconds by name: `timer_decide_url_ns`, `timer_fetch_ns` …"},
		{"erased", false, true, "JSON pointers to what masking (`admission.mask`) removed from the body. Absent where it removed nothing. A body that is erased later is not listed."},
		{"masked", false, true, "JSON pointers to what masking replaced in the body. Absent where it replaced nothing."},
		{"mask_error", false, false, "Why the record could not be masked, so that it was written without its body. Absent where it could."},
		{"computed", false, false, "JSON pointers to what a policy computed rather than spelt out (texts of denials and warnings, `settings` and `effective`): they stand in the body, and are shown in their place. Absent where it computed nothing that may say something of a person."},
		{"detail", true, false, "The precise text for the operator."},
		{"source", true, false, "The address that the request came from, behind trusted proxies."},
		{"input", true, true, "What the policies were given in the last phase."},
		{"result", true, true, "What they answered."},
	}
}

// opaOnly are the other members of a decision log event of Open Policy Agent.
// A record does not write them; none of them will ever mean anything else.
var opaOnly = []string{
	"batch_decision_id", "bundles", "custom", "error", "intermediate_results", "mapped_result", "nd_builtin_cache",
	"query", "req_id", "request_context", "requested_by", "rule_labels",
}

// outcomeDocs says what an outcome means.
var outcomeDocs = [][2]string{
	{OutcomeAdmitted, "A client was let in and has a new life or a new document."},
	{OutcomeReused, "What was given before was given again, without a fetch or a new token."},
	{OutcomeRefused, "Somebody was told no, or a grant ended; `reason` says why."},
	{OutcomeHeld, "A changed document waits for an operator."},
	{OutcomePruned, "A client and its grants came to their end."},
	{OutcomeIssued, "A token was given out."},
	{OutcomeGranted, "A person or an operator said yes."},
	{OutcomeDone, "An act of an operator, a person or the server itself took effect."},
}
