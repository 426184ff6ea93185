// Package policies turns Rego into decisions: it loads a directory of
// policies, checks it, decides and explains.
//
// A policy is one Rego package below admission.policies, in one file. It names
// client identifier URLs (client_ids, or client_ids_from with a list kept as
// data), gives the terms of admission (settings) and may refuse (deny,
// deny_document, deny_user, deny_refresh) or remark (warn). The packages
// admission.guardrails, admission.defaults, admission.anyone and admission.mask
// have a place of their own. The contract is called admission/v1; it is plain Rego v1 with an
// allow-list of built-ins and no custom ones, so that other Rego tools agree.
//
// # Loading
//
// Load reads, compiles and checks everything and returns one immutable Set, or
// nothing. What can be seen without a request is an error at load: a misspelt
// rule name, an unknown settings member, an input path outside the schema, a
// rule that reads what its phase does not know, a data reference that leads
// nowhere, a pattern wider than a registrable domain, an opaque client_id in a
// policy that is not for registered clients, a negation whose operands
// may be absent (the rule would not hold then, whatever it denies).
//
// # Facts
//
// Facts are the operator's data, input.facts: switches such as a change freeze.
// The file facts.schema.json at the root names them, each with its type and the
// value that it has until somebody sets another, so that every fact is there in
// every phase. They are never frozen: a refresh reads the present ones, as every
// phase does. Set.WithFacts gives them other values without compiling again; the
// schema is part of the revision, the values are not.
//
// # Masking
//
// The package admission.mask names what of a decision record is not kept. Its
// input is the record, so it is compiled apart, with the libraries that it uses;
// those may not read the input of policies. It takes no part in decisions.
//
// # Deciding
//
// A decision is a pure function of the query and the revision. Go keeps the
// host index, the ranking and the meet of settings; the Rego of a policy only
// states facts, and each matching policy is evaluated by itself with its share
// of the deadline, so that a broken one never changes the answer for clients
// it does not match. At most 64 policies may match one client.
//
// Phases add up: phase user evaluates deny, deny_document and deny_user. When
// several things refuse, the reason is the first of: a denial of the
// guardrails, an evaluation error (policy_error), a denial of a policy, no
// policy that admits (no_policy_matched), a query in the identifier that the
// settings do not allow, the error of the negotiation, a missing group.
// Everything that was found is in the Decision.
//
// A registered client may have an opaque client_id: no host, no path, every
// member of input.client empty. Only a policy that names it literally matches,
// and admission.anyone where its registrations say so.
//
// In phase refresh a grant whose client no policy names any more may go on on
// the terms it was made on (Query.Kept): guardrails, maxima and the denials of
// every matching policy still hold.
//
// In phase url the settings are the strict ones unless they can be known
// without the document: a constant, or an expression over url-phase input.
//
// # Terms
//
// The winner's settings are completed member by member by admission.defaults
// and the strict values, then met with the settings of the list row, the
// ceiling of the guardrails and the server maxima. A meet never widens either
// side. Where two sides demand groups, the person must be in one of each; the
// settings show the union.
//
// A rule settings that exists but is undefined for a request is a
// policy_error: it must not hand the client to a lower-ranked policy. So is a
// ceiling, which would bound nothing. A row
// that expires on a date is over at the first moment of that date, UTC.
package policies
