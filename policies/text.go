package policies

import (
	"bytes"
	"errors"
	"io"
)

// byteOrderMark is what some editors write before UTF-8.
var byteOrderMark = []byte("\xef\xbb\xbf")

// textTrouble says in words why a JSON text cannot be read.
func textTrouble(body []byte, err error) string {
	switch {
	case bytes.HasPrefix(body, byteOrderMark):
		return "it begins with a byte order mark"
	case len(bytes.TrimSpace(body)) == 0:
		return "the file is empty"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "it ends too early: a bracket or a quote is not closed"
	}
	return err.Error()
}

// textRemedy is what to do about it, where that is known.
func textRemedy(body []byte) string {
	switch {
	case bytes.HasPrefix(body, byteOrderMark):
		return "save it as UTF-8 without a byte order mark"
	case len(bytes.TrimSpace(body)) == 0:
		return "write {}, or delete the file"
	}
	return ""
}
