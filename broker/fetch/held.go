package fetch

import (
	"net/http"
	"strings"
	"time"
)

// Held is the validator of a copy that the caller still has, as Document gave
// it with that copy, and how long that was fresh. What is not well formed is not sent.
type Held struct {
	// ETag is sent as If-None-Match.
	ETag string
	// LastModified is sent as If-Modified-Since where there is no ETag, which
	// is the better one (RFC 9110, section 13.1.3).
	LastModified string
	// FreshFor is the lifetime that the copy was given. A 304 that names none
	// renews it for as long: what it does not say stays as it was (RFC 9111,
	// section 3.2).
	FreshFor time.Duration
}

// wellFormed drops what no host has sent, and with both validators the rest:
// nothing can be asked about such a copy.
func (h Held) wellFormed() Held {
	h.ETag, h.LastModified = entityTag([]string{h.ETag}), httpDate([]string{h.LastModified})
	if h.ETag == "" && h.LastModified == "" {
		return Held{}
	}
	return h
}

// ask makes a request conditional.
func (h Held) ask(header http.Header) {
	switch {
	case h.ETag != "":
		header.Set("If-None-Match", h.ETag)
	case h.LastModified != "":
		header.Set("If-Modified-Since", h.LastModified)
	}
}

// confirmed is the answer 304. One that names another entity tag than the one
// asked about says nothing about the copy (RFC 9111, section 4.3.4).
func (h Held) confirmed(header http.Header) (Document, error) {
	tag, modified := entityTag(header.Values("ETag")), httpDate(header.Values("Last-Modified"))
	if h.ETag != "" && tag != "" && strings.TrimPrefix(tag, "W/") != strings.TrimPrefix(h.ETag, "W/") {
		return Document{}, trouble(reasonStatus, "status 304 for another entity tag, "+quoted(tag), nil)
	}
	if tag == "" {
		tag = h.ETag
	}
	if modified == "" {
		modified = h.LastModified
	}
	return Document{NotModified: true, ETag: tag, LastModified: modified}, nil
}
