package store

import (
	"slices"

	"guestlist/broker"
	"guestlist/broker/cimd"
	"guestlist/broker/decisionlog"
)

// Member is one thing that records can be found by. Stores keep its number.
type Member uint8

// The members, from 1.
const (
	MemberClient  Member = iota + 1 // client identifier
	MemberHost                      // host of the client identifier
	MemberDomain                    // registrable domain of the host, by the suffixes known when the record was written
	MemberSubject                   // pseudonym of the person
	MemberPolicy                    // a policy that gave the settings or refused
	MemberReason
	MemberEvent
	MemberOutcome
	MemberGrant
	MemberLabel   // one of the policy's tags
	MemberSummary // whether it stands for several refusals
	MemberLife    // of an admission: created or refreshed; summaries of earlier programs lack it
	MemberRequest // id of the request; a summary of refusals has those of the first and the last
	MemberDecision
)

// The values of MemberLife.
const (
	lifeCreated   = "created"   // the client did not live before
	lifeRefreshed = "refreshed" // it did, and its host served its document anew
)

// Term is one value that a record can be found by.
type Term struct {
	Member Member // which of its members
	Value  string // what it has there, not empty
}

// summaryTerm is the value of each record that stands for several refusals.
const summaryTerm = "refusals"

// TermsOf returns what r can be found by, each once, beside its time. All of it
// is in the header of a record.
func TermsOf(r decisionlog.Record) []Term {
	terms := make([]Term, 0, 14)
	add := func(m Member, value string) {
		if t := (Term{m, value}); value != "" && !slices.Contains(terms, t) {
			terms = append(terms, t)
		}
	}
	add(MemberRequest, r.RequestID)
	add(MemberRequest, r.LastRequestID)
	add(MemberDecision, r.DecisionID)
	add(MemberClient, r.ClientID)
	if id, err := cimd.Parse(r.ClientID); err == nil {
		add(MemberHost, id.Host)
		add(MemberDomain, id.RegistrableDomain())
	}
	add(MemberSubject, r.Subject)
	add(MemberReason, r.Reason)
	add(MemberEvent, r.Event)
	add(MemberOutcome, r.Outcome)
	add(MemberGrant, r.GrantID)
	if r.LastRequestID != "" {
		add(MemberSummary, summaryTerm)
	}
	for _, p := range r.Policy {
		add(MemberPolicy, p)
	}
	for _, p := range r.Phases {
		for _, d := range p.Denials {
			add(MemberPolicy, d.Policy)
		}
	}
	for label := range r.Labels {
		add(MemberLabel, label)
	}
	if r.Outcome == decisionlog.OutcomeAdmitted {
		life := lifeCreated
		if r.Refreshed {
			life = lifeRefreshed
		}
		add(MemberLife, life)
	}
	return terms
}

// Terms returns what a record must have to fit q, beside its event and its
// time.
func (q RecordQuery) Terms() []Term {
	all := []Term{
		{MemberClient, q.ClientID}, {MemberHost, q.Host}, {MemberDomain, q.Domain}, {MemberSubject, q.Subject}, {MemberPolicy, q.Policy},
		{MemberReason, q.Reason}, {MemberOutcome, q.Outcome}, {MemberGrant, q.GrantID}, {MemberLabel, q.Label},
		{MemberRequest, q.RequestID}, {MemberDecision, q.DecisionID},
	}
	if q.Summaries {
		all = append(all, Term{MemberSummary, summaryTerm})
	}
	return slices.DeleteFunc(all, func(t Term) bool { return t.Value == "" })
}

// picks is what the name q.Event means; nothing: any record. A name that the
// catalogue has not is an event of another version of the program.
func (q RecordQuery) picks() []decisionlog.Selection {
	if q.Event == "" {
		return nil
	}
	if known := decisionlog.Select(q.Event); len(known) > 0 {
		return known
	}
	return []decisionlog.Selection{{Event: q.Event}}
}

// Choice is what a record that one selection picks can be found by.
type Choice struct {
	All  []Term // it has each of them
	Any  []Term // where there are some, it has one of them
	None []Term // it has none of them
}

// Choices returns the choices one of which a record of q.Event fits, where q
// names one. A record that fits one may be of another event all the same:
// [RecordQuery.Fits] says.
func (q RecordQuery) Choices() []Choice {
	var out []Choice
	for _, s := range q.picks() {
		c := Choice{All: []Term{{MemberEvent, s.Event}}}
		if s.Outcome != "" {
			c.All = append(c.All, Term{MemberOutcome, s.Outcome})
		}
		if s.PublicReason != "" {
			for _, r := range broker.Reasons() {
				if string(r.Reason.Public()) == s.PublicReason {
					c.Any = append(c.Any, Term{MemberReason, string(r.Reason)})
				}
			}
		}
		if s.Created {
			c.None = append(c.None, Term{MemberLife, lifeRefreshed})
		}
		if s.Refreshed {
			c.None = append(c.None, Term{MemberLife, lifeCreated})
		}
		out = append(out, c)
	}
	return out
}

// Fits reports whether a record has all that q asks for. It does not look at
// sequence numbers.
func (q RecordQuery) Fits(r decisionlog.Record) bool {
	switch {
	case !q.Since.IsZero() && r.Timestamp.Before(q.Since),
		!q.Until.IsZero() && !r.Timestamp.Before(q.Until),
		q.Event != "" && !slices.ContainsFunc(q.picks(), func(s decisionlog.Selection) bool { return s.Holds(r) }):
		return false
	}
	wanted := q.Terms()
	if len(wanted) == 0 {
		return true
	}
	has := TermsOf(r)
	return !slices.ContainsFunc(wanted, func(t Term) bool { return !slices.Contains(has, t) })
}
