package decisionlog

import (
	"slices"
	"strings"
	"sync"
)

// Event documents one event: what its records say beside the members that all
// records have (see Members).
type Event struct {
	Name     string   // one of the Event constants
	When     string   // one sentence: when it is written
	Outcomes []string // those it can have
	Has      []string // members that each of its records has
	May      []string // members that some of its records have
	Actor    string   // whom actor names; empty: the record has none
}

// Members of events that are alike.
var (
	askedFor   = []string{"request_id", "path", "revision", "facts_sha256", "engine", "source"}
	theClient  = []string{"client_id", "registration", "incarnation"}
	theStored  = append(slices.Clone(theClient), "document_sha256", "policy")
	theDecided = []string{
		"client_id_digest", "phase", "policy", "phases", "labels", "settings", "effective", "cut", "document_sha256",
		"expires_at", "metrics", "input", "result", "refreshed",
	}
	refusedBy  = []string{"reason", "public_reason", "detail"}
	theRequest = []string{"request_id", "revision", "source", "subject"}
)

// list joins lists of members.
func list(parts ...[]string) []string { return slices.Concat(parts...) }

// operator is whom actor names where only an operator can act.
const operator = "the operator who acted"

// admissions are the events of clients and their documents.
var admissions = []Event{
	{EventAdmissionDecided, "A client asked to act, at the start of a flow or later in it, and was let in or refused.",
		[]string{OutcomeAdmitted, OutcomeReused, OutcomeRefused}, []string{"path"},
		list(askedFor, theClient, theDecided, refusedBy, []string{"subject", "grant_id", "count", "last_request_id", "request_ids"}), ""},
	{EventDocumentFetched, "The document of a client was looked at where no request of a stranger asked for it: in the background, or by guestlist client refresh.",
		[]string{OutcomeDone, OutcomeRefused}, []string{"client_id", "path"},
		list(askedFor, theClient, theDecided, refusedBy, []string{"actor"}), "the operator who had it fetched; absent in the background"},
	{EventDocumentChanged, "A client's host serves a document that says other things than the one in force: it is in force now (done), or waits for an operator (held).",
		[]string{OutcomeDone, OutcomeHeld}, list(theClient, []string{"document_sha256", "detail"}),
		list(askedFor, []string{"policy", "actor"}), "the operator who had it fetched; absent where nobody did"},
	{EventDocumentWithdrawn, "A client's host has no valid document any more, found so the first time, or an hour or more later again.",
		[]string{OutcomeDone}, list(theStored, []string{"reason", "detail"}), list(askedFor, []string{"actor"}), "the operator who had it fetched; absent where nobody did"},
	{EventDocumentPinned, "An operator stored a document that is used in place of the host's.",
		[]string{OutcomeDone}, []string{"client_id", "registration", "document_sha256", "actor"}, []string{"path", "revision", "request_id"}, operator},
	{EventDocumentUnpinned, "An operator had the host's document used again.",
		[]string{OutcomeDone}, []string{"client_id", "registration", "document_sha256", "actor"}, []string{"path", "revision", "request_id"}, operator},
	{EventDocumentApproved, "An operator put in force what waited: a changed document, or keys.",
		[]string{OutcomeGranted}, []string{"client_id", "registration", "document_sha256", "actor", "detail"},
		list(askedFor, []string{"incarnation", "policy"}), operator},
	{EventClientExpired, "A client was met, or swept, after the end of its life, and is gone with its grants.",
		[]string{OutcomePruned}, list(theClient, []string{"reason", "detail"}), list(askedFor, []string{"document_sha256", "policy"}), ""},
	{EventClientPruned, "A client was met, or swept, whom a block, the policies or another registration keep out, and is gone with its grants.",
		[]string{OutcomePruned}, list(theClient, []string{"reason", "detail"}), list(askedFor, []string{"document_sha256", "policy", "actor"}),
		"the operator whose block ended it at once; absent where it was met later"},
	{EventClientBlocked, "An operator keeps out a client, host, domain or document; each client that it ends has a client.pruned.",
		[]string{OutcomeDone}, []string{"actor", "detail"}, []string{"path", "revision", "request_id", "client_id", "document_sha256"}, operator},
	{EventClientUnblocked, "An operator took a block back.",
		[]string{OutcomeDone}, []string{"actor", "detail"}, []string{"path", "revision", "request_id", "client_id", "document_sha256"}, operator},
	{EventClientRevoked, "An operator ended a client and its grants.",
		[]string{OutcomeDone}, list(theClient, []string{"reason", "actor"}), list(askedFor, []string{"document_sha256", "policy", "detail"}), operator},
	{EventClientsRevoked, "An operator's revocation is over; count says how many clients it ended.",
		[]string{OutcomeDone}, []string{"actor", "reason", "count", "detail"}, []string{"revision", "request_id"}, operator},
	{EventClientKeysChanged, "A client authenticated with a key from a key set that does not go on from the keys it had: they are its keys now (done), or wait for an operator (refused).",
		[]string{OutcomeDone, OutcomeRefused}, list(theStored, []string{"request_id", "grant_id", "detail"}),
		list(theRequest, []string{"reason", "public_reason"}), ""},
}

// people are the events of persons, grants and tokens.
var people = []Event{
	{EventPersonSignedIn, "A person signed in.",
		[]string{OutcomeGranted}, []string{"request_id", "source", "subject"}, []string{"revision"}, ""},
	{EventPersonSignInFailed, "A sign-in failed: wrong name, wrong password, a disabled person, or too many attempts. The subject is the name that was tried; the summary of a flood has none.",
		[]string{OutcomeRefused}, []string{"request_id", "reason", "public_reason"},
		[]string{"source", "subject", "revision", "client_id", "client_id_digest", "count", "last_request_id", "request_ids", "detail", "path", "facts_sha256", "engine"}, ""},
	{EventPersonSignedOut, "A person signed out.",
		[]string{OutcomeDone}, []string{"request_id", "source", "subject"}, []string{"revision"}, ""},
	{EventConsentGranted, "A person allowed a client what it asked for: the grant grant_id begins.",
		[]string{OutcomeGranted}, list(theStored, []string{"request_id", "source", "subject", "grant_id", "settings", "effective", "path"}),
		[]string{"revision", "detail"}, ""},
	{EventConsentRefused, "A person refused a client what it asked for.",
		[]string{OutcomeRefused}, []string{"request_id", "source", "subject", "client_id", "incarnation", "reason", "public_reason"},
		[]string{"revision"}, ""},
	{EventConsentWithdrawn, "A person took back what they had allowed: the grant ends.",
		[]string{OutcomeDone}, list(theStored, []string{"request_id", "source", "subject", "grant_id", "reason"}), []string{"revision"}, ""},
	{EventTokenIssued, "A code was exchanged for tokens.",
		[]string{OutcomeIssued}, list(theStored, theRequest, []string{"grant_id", "token_id", "effective", "path", "expires_at"}), nil, ""},
	{EventTokenRefreshed, "A refresh token was exchanged for new tokens.",
		[]string{OutcomeIssued}, list(theStored, theRequest, []string{"grant_id", "token_id", "effective", "path", "expires_at"}), nil, ""},
	{EventTokenRepeatedInGrace, "A refresh token came again inside its grace window, and the answer was given again.",
		[]string{OutcomeReused}, list(theStored, theRequest, []string{"grant_id", "token_id"}), nil, ""},
	{EventTokenReuseDetected, "A refresh token came again after its grace window: the grant ends.",
		[]string{OutcomeRefused}, list(theStored, theRequest, refusedBy, []string{"grant_id"}), nil, ""},
	{EventTokenReplayDetected, "A code came again, from somebody who passes the checks of its client: the grant ends.",
		[]string{OutcomeRefused}, list(theStored, theRequest, refusedBy, []string{"grant_id"}), nil, ""},
	{EventTokenRevoked, "A client gave a token back; with a refresh token the grant ends.",
		[]string{OutcomeDone}, list(theStored, theRequest, []string{"grant_id", "detail"}), []string{"token_id"}, ""},
	{EventTokenIntrospected, "A protected resource asked about an access token that is active: the first time in a minute for each grant and resource.",
		[]string{OutcomeDone}, list(theStored, theRequest, []string{"grant_id", "token_id", "detail"}), nil, ""},
	{EventGrantEnded, "A policy ended a grant: by a denial that says end_grant, or because none names its client any more.",
		[]string{OutcomeRefused}, list(theStored, theRequest, refusedBy, []string{"grant_id"}), nil, ""},
	{EventRequestRefused, "A request was refused that no admission decided about, or after it was admitted.",
		[]string{OutcomeRefused}, []string{"request_id", "reason", "public_reason", "detail"},
		[]string{"revision", "source", "subject", "client_id", "client_id_digest", "count", "last_request_id", "request_ids", "path", "facts_sha256", "engine"}, ""},
}

// operations are the events of the server itself and of its operators.
var operations = []Event{
	{EventPolicyActivated, "Another policy revision decides from now on; the epoch is the new one.",
		[]string{OutcomeDone}, []string{"path", "revision", "engine", "detail"}, []string{"facts_sha256", "actor", "request_id"},
		"who had it loaded: an operator, SIGHUP, or watch for the directory that is watched; absent at a start"},
	{EventPolicyRejected, "A policy revision was refused; the one in force goes on.",
		[]string{OutcomeRefused}, []string{"reason", "path", "revision", "detail"}, []string{"actor", "request_id"},
		"who had it loaded: an operator, SIGHUP, or watch for the directory that is watched"},
	{EventPolicyReloadAsked, "An operator asks to load the policies again; what comes of it is the next record of a policy.",
		[]string{OutcomeDone}, []string{"actor"}, []string{"revision", "request_id"}, operator},
	{EventFactsChanged, "The operator's facts have other values from now on; the epoch is the new one.",
		[]string{OutcomeDone}, []string{"path", "revision", "engine", "detail"}, []string{"facts_sha256", "actor", "request_id"},
		"who had them loaded with the policies: an operator, or SIGHUP; absent where the file changed, and at a start"},
	{EventFactsRejected, "A facts file was refused; the facts in force go on.",
		[]string{OutcomeRefused}, []string{"reason", "path", "revision", "detail"}, []string{"facts_sha256", "request_id"}, ""},
	{EventKeysRotated, "A new key is published, which takes over later; detail names its purpose.",
		[]string{OutcomeDone}, []string{"actor", "detail"}, []string{"revision", "request_id"}, operator},
	{EventKeysRotationAsked, "An operator asks for a new key; it is there when keys.rotated follows.",
		[]string{OutcomeDone}, []string{"actor", "detail"}, []string{"revision", "request_id"}, operator},
	{EventKeysDestroyed, "The key of the pseudonyms is gone for ever and another one is in use: a subject of an earlier record cannot be brought together with a username, nor with a later record. It follows keys.rotation_asked.",
		[]string{OutcomeDone}, []string{"actor", "detail"}, []string{"revision", "request_id"}, operator},
	{EventConfigReloaded, "A file that the configuration names was read again while the server runs, the people file or the TLS certificate: it is in force (done), or the last good one goes on (refused). Also when a start finds that what this server offers is not what it was: resources, grants, methods.",
		[]string{OutcomeDone, OutcomeRefused}, []string{"detail"}, []string{"revision", "reason", "engine", "facts_sha256", "actor", "request_id"}, "of a start or a reload of the policies: an operator, or SIGHUP; absent at a start"},
	{EventAdminRequest, "An operator read something through the admin API (done), or an act of theirs was refused; the first after a minute in which the same operator did not ask the same. Status alone is read without a record.",
		[]string{OutcomeDone, OutcomeRefused}, []string{"actor", "detail"}, []string{"revision", "request_id", "reason"}, "the operator who asked"},
	{EventLogExported, "An operator read records of the decision log: guestlist audit ls and audit export; the first after a minute in which they did not.",
		[]string{OutcomeDone}, []string{"actor", "detail"}, []string{"revision", "request_id"}, "the operator who read"},
	{EventLogErased, "The bodies of count records went by age (decision_log.retain), in the same commit; detail names class and age, the first and the last of them. Its own body is never erased.",
		[]string{OutcomeDone}, []string{"count", "detail"}, []string{"revision"}, ""},
	{EventLogHeld, "An operator put a legal hold on records: those that fit keep their bodies until it is dropped. detail names the hold, its filter and why.",
		[]string{OutcomeDone}, []string{"actor", "detail"}, []string{"revision", "request_id"}, operator},
	{EventLogReleased, "An operator dropped a legal hold: what it held and is past its age goes.",
		[]string{OutcomeDone}, []string{"actor", "detail"}, []string{"revision", "request_id"}, operator},
}

// Events lists every event, the most important first.
func Events() []Event { return slices.Concat(admissions, people, operations) }

// Selection picks records by what they say; empty members pick any.
type Selection struct {
	Event, Outcome, PublicReason string
	Created, Refreshed           bool // only where the record has no member refreshed; only where it has
}

// Holds reports whether s picks r.
func (s Selection) Holds(r Record) bool {
	return s.Event == r.Event && (s.Outcome == "" || s.Outcome == r.Outcome) &&
		(s.PublicReason == "" || s.PublicReason == r.PublicReason) && !(s.Created && r.Refreshed) && (!s.Refreshed || r.Refreshed)
}

// Alias is a name of something that happens and has no record of its own,
// because another record says it: so that nothing is written twice.
type Alias struct {
	Name  string
	When  string      // one sentence
	Means []Selection // the records that say it
}

// Aliases lists every alias, in the order of Events.
func Aliases() []Alias {
	return []Alias{
		{"client.created", "A client was let in that did not live: its row is new.", []Selection{{Event: EventAdmissionDecided, Outcome: OutcomeAdmitted, Created: true}}},
		{"client.refreshed", "A client that lived was let in, or looked at, with a document that its host served anew.", []Selection{
			{Event: EventAdmissionDecided, Outcome: OutcomeAdmitted, Refreshed: true}, {Event: EventDocumentFetched, Outcome: OutcomeDone}}},
		{"client.admitted", "A client was let in.", []Selection{
			{Event: EventAdmissionDecided, Outcome: OutcomeAdmitted}, {Event: EventAdmissionDecided, Outcome: OutcomeReused}}},
		{"client.refused", "A client was refused, with the client_id as it was sent where it is one.", []Selection{{Event: EventAdmissionDecided, Outcome: OutcomeRefused}}},
		{"client.held", "A changed document waits for an operator.", []Selection{{Event: EventDocumentChanged, Outcome: OutcomeHeld}}},
		{"client.changed", "A client's document changed.", []Selection{{Event: EventDocumentChanged}}},
		{"client.deleted", "A client is gone.", []Selection{{Event: EventClientExpired}, {Event: EventClientPruned}, {Event: EventClientRevoked}}},
		{"document.rejected", "A document came and was refused for what it says.", []Selection{
			{Event: EventAdmissionDecided, Outcome: OutcomeRefused, PublicReason: "document_invalid"},
			{Event: EventDocumentFetched, Outcome: OutcomeRefused, PublicReason: "document_invalid"}}},
		{"policy.loaded", "Another policy revision decides.", []Selection{{Event: EventPolicyActivated}}},
		{"policy.failed", "A policy revision was refused.", []Selection{{Event: EventPolicyRejected}}},
	}
}

// Select returns what picks the records that a name means, an event or an
// alias; a name that ends in a dot means every event that begins so. Nothing:
// there is no such name. What it returns is for reading only.
func Select(name string) []Selection { return selections()[name] }

// selections are what every name means.
var selections = sync.OnceValue(func() map[string][]Selection {
	all := map[string][]Selection{}
	for _, a := range Aliases() {
		all[a.Name] = a.Means
	}
	for _, e := range Events() {
		family, _, _ := strings.Cut(e.Name, ".")
		pick := Selection{Event: e.Name}
		all[e.Name], all[family+"."] = []Selection{pick}, append(all[family+"."], pick)
	}
	return all
})
