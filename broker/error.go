package broker

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"guestlist/broker/cimd"
)

// Error is a refusal or a failure on its way to whoever asked.
type Error struct {
	Reason Reason // why; maps to the answer
	Detail string // fit for strangers when set; empty means the reason's standard text
	Err    error  // the precise cause; for operators only

	RetryAfter time.Duration // when asking again may help; zero: unknown, or never
	ReadAgain  time.Time     // when the stored document that was judged is fetched again; zero: it was not the cause, or strangers may not learn it
}

// Error implements error with the operator's view of the refusal: the reason
// once, then what is known.
func (e *Error) Error() string {
	s := string(e.Reason)
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Err == nil {
		return s
	}
	cause := e.Err.Error()
	if e.Detail == "" && (strings.HasPrefix(cause, s+":") || strings.HasPrefix(cause, s+" (")) {
		return cause
	}
	return s + ": " + cause
}

// Unwrap returns the precise cause.
func (e *Error) Unwrap() error { return e.Err }

// Refuse returns an *Error whose cause is made from format and args. The
// cause is for operators; strangers see only the reason's standard text.
func Refuse(r Reason, format string, args ...any) *Error {
	return &Error{Reason: r, Err: fmt.Errorf(format, args...)}
}

// ReasonOf returns the reason that err carries. An error without one is the
// server's own trouble.
func ReasonOf(err error) Reason {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return ReasonServerTrouble
}

// Errors that a commit may end with.
var (
	// ErrSpent says that a first-caller-wins precondition was lost. Final.
	ErrSpent = errors.New("already spent")
	// ErrConflict says that the epoch or an incarnation moved on. The step
	// is to be run again, at most three times in all.
	ErrConflict = errors.New("decided under an older state")
)

// refusal turns a denial into the error that strangers and operators see.
func refusal(d Decision) *Error {
	msg := d.Detail
	if msg == "" && len(d.Denials) > 0 {
		msg = d.Denials[0].Message
	}
	return &Error{Reason: d.Reason, Detail: d.UserMessage, Err: errText(msg)}
}

// errText is an operator's sentence as an error.
type errText string

// Error implements error.
func (e errText) Error() string { return string(e) }

// malformed refuses a client_id by the rule it breaks and in the words of
// package cimd, less the quotation: what is no identifier is a stranger's text
// and leaves its digest alone (design §6).
func malformed(err error) *Error {
	var ce *cimd.Error
	if !errors.As(err, &ce) {
		return &Error{Reason: ReasonServerTrouble, Err: err}
	}
	_, words, _ := strings.Cut(ce.Detail, "\"")
	quoted, err := strconv.QuotedPrefix("\"" + words)
	if err != nil {
		return Refuse(Reason(ce.Reason), "rule %s", ce.Rule)
	}
	return Refuse(Reason(ce.Reason), "%s: it%s", ce.Rule, ("\"" + words)[len(quoted):])
}

// fromCIMD gives the form error of a document its reason.
func fromCIMD(err error) *Error {
	return &Error{Reason: cimdReason(err), Err: err}
}

// cimdReason reads the reason of a form error.
func cimdReason(err error) Reason {
	var ce *cimd.Error
	if errors.As(err, &ce) {
		return Reason(ce.Reason)
	}
	return ReasonServerTrouble
}
