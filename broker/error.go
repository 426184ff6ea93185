package broker

import (
	"errors"
	"fmt"
)

// Error is a refusal or a failure on its way to whoever asked.
type Error struct {
	Reason Reason // why; maps to the answer
	Detail string // fit for strangers when set; empty means the reason's standard text
	Err    error  // the precise cause; for operators only
}

// Error implements error with the operator's view of the refusal.
func (e *Error) Error() string {
	s := string(e.Reason)
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
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
