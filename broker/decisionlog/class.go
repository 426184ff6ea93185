package decisionlog

import "strings"

// Class says whom the body of a record is about, and so how long it is kept
// (decision_log.retain). Every record has exactly one.
type Class string

// The classes.
const (
	ClassPeople    Class = "people"
	ClassClients   Class = "clients"
	ClassStrangers Class = "strangers"
	ClassOperators Class = "operators"
)

// ClassDoc documents one class.
type ClassDoc struct {
	Class   Class
	Meaning string // which records are of it, one sentence
}

// Classes lists every class. ClassOf takes the first that fits.
func Classes() []ClassDoc {
	return []ClassDoc{
		{ClassPeople, "A person is concerned: the record has a `subject`, or its event begins with `person.`."},
		{ClassOperators, "An operator or the server itself acted: the record has an `actor`, or its event begins with `policy.`, `facts.`, `keys.`, `config.`, `log.` or `admin.`."},
		{ClassStrangers, "Somebody was refused, and nobody is known: the outcome is `refused`."},
		{ClassClients, "All others: clients that were let in, changed or came to their end."},
	}
}

// ClassOf returns the class of a record. It looks at the header alone, so that
// an erased body changes nothing.
func ClassOf(r Record) Class {
	family, _, _ := strings.Cut(r.Event, ".")
	switch {
	case r.Subject != "" || family == "person":
		return ClassPeople
	case r.Actor != "":
		return ClassOperators
	}
	switch family {
	case "policy", "facts", "keys", "config", "log", "admin":
		return ClassOperators
	}
	if r.Outcome == OutcomeRefused {
		return ClassStrangers
	}
	return ClassClients
}
