package cimd

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Reasons that this package gives. They are stable: one reason keeps one
// meaning for ever.
const (
	reasonMalformed   = "client_id_malformed"
	reasonNotJSON     = "document_not_json"
	reasonIDMissing   = "document_client_id_missing"
	reasonIDMismatch  = "document_client_id_mismatch"
	reasonSecret      = "document_secret_present"
	reasonPrivateKey  = "document_private_key"
	reasonRedirects   = "document_redirects_invalid"
	reasonAuthMethod  = "document_auth_method_unsupported"
	reasonNothing     = "document_nothing_usable"
	reasonMember      = "document_member_invalid"
	reasonNameMissing = "document_name_missing"
)

// Error is the one error type of this package. Functions that return error
// return a nil interface or an *Error.
type Error struct {
	// Reason is a stable snake_case code: client_id_malformed,
	// document_not_json, document_client_id_missing,
	// document_client_id_mismatch, document_secret_present,
	// document_private_key, document_redirects_invalid,
	// document_auth_method_unsupported, document_nothing_usable,
	// document_member_invalid or document_name_missing.
	Reason string
	// Rule names the requirement that was broken, for instance "U2", "D3" or
	// "RFC 7591 2".
	Rule string
	// Detail is a plain sentence for an operator. It may quote what a stranger
	// sent, escaped to ASCII and cut to at most 80 bytes per message.
	Detail string
}

// Error returns reason, rule and detail in one line.
func (e *Error) Error() string {
	return e.Reason + " (" + e.Rule + "): " + e.Detail
}

// fault is a broken rule before it is known which value broke it. The phrase
// continues a sentence that begins with the name of the value.
type fault struct {
	rule, phrase string
	// unusable marks a redirect URI that is well formed and harmless but can
	// never be used here; the rest of the document may still serve.
	unusable bool
}

// about turns a fault into the error for the value called subject.
func (f *fault) about(reason, subject string) *Error {
	return &Error{Reason: reason, Rule: f.rule, Detail: subject + " " + f.phrase}
}

// maxQuoted bounds one piece of foreign text in a message. A message has at most
// a second piece, one escaped byte, and stays within 80 bytes of both.
const maxQuoted = 72

// quote escapes foreign text to ASCII and cuts it, so that it can stand in a
// log line or on a terminal.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := 0; i < len(s); {
		_, size := utf8.DecodeRuneInString(s[i:])
		piece := strconv.QuoteToASCII(s[i : i+size])
		piece = piece[1 : len(piece)-1]
		if b.Len()+len(piece) > maxQuoted-len(`..."`) {
			b.WriteString("...")
			break
		}
		b.WriteString(piece)
		i += size
	}
	b.WriteByte('"')
	return b.String()
}
