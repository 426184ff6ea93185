package fetch

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
)

// The reasons an Error can carry. They are stable and documented; strangers
// must not see them, because they would tell live internal ports from dead
// ones.
const (
	reasonBlocked     = "fetch_blocked_address"
	reasonDNS         = "fetch_dns"
	reasonTimeout     = "fetch_timeout"
	reasonTLS         = "fetch_tls"
	reasonConnect     = "fetch_connect"
	reasonProxy       = "fetch_proxy"
	reasonStatus      = "fetch_status"
	reasonRedirect    = "fetch_redirect"
	reasonContentType = "fetch_content_type"
	reasonEncoding    = "fetch_encoding"
	reasonTooLarge    = "fetch_too_large"
	reasonFailed      = "fetch_failed"
)

// maxDetail bounds Error.Detail in bytes.
const maxDetail = 200

// Error is the only error type that Guarded.Document returns.
type Error struct {
	// Reason is one of fetch_blocked_address, fetch_dns, fetch_timeout,
	// fetch_tls, fetch_connect, fetch_proxy, fetch_status, fetch_redirect,
	// fetch_content_type, fetch_encoding, fetch_too_large and fetch_failed.
	Reason string
	// Transient is true where the trouble says nothing about the document: name
	// lookup, timeout, connect, proxy, TLS, status 5xx, 429 and 403, and a caller that
	// left before the answer. A document held from before may stay usable.
	Transient bool
	// Detail tells the operator more: the status, the host of a Location, the
	// media type. At most 200 bytes of printable ASCII; what the host sent is
	// quoted in it. Not for strangers.
	Detail string
	// Err is the cause, or nil. Its text may carry bytes the host sent.
	Err error

	status int // of an answer that came, else 0
}

// Error gives reason, detail and cause. It is for the log, not for strangers.
func (e *Error) Error() string {
	s := e.Reason
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// refuse makes an Error that ends usability, trouble one that does not.
func refuse(reason, detail string, err error) *Error {
	return &Error{Reason: reason, Detail: bounded(detail), Err: err}
}

func trouble(reason, detail string, err error) *Error {
	e := refuse(reason, detail, err)
	e.Transient = true
	return e
}

// during names the trouble of one step: the deadline where it struck,
// otherwise reason.
func during(step, reason string, err error) *Error {
	if isTimeout(err) {
		return trouble(reasonTimeout, step, err)
	}
	return trouble(reason, step, err)
}

func isTimeout(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		return true
	}
	ne, ok := errors.AsType[net.Error](err)
	return ok && ne.Timeout()
}

// bounded keeps a detail inside its limit. Its parts are ASCII already:
// literals, numbers and quoted strings.
func bounded(s string) string {
	if len(s) > maxDetail {
		return s[:maxDetail-3] + "..."
	}
	return s
}

// quoted shows bytes a host sent: escaped to ASCII, and short.
func quoted(s string) string {
	const most = 64
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return strconv.QuoteToASCII(s)
}
