package server

import (
	"cmp"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"guestlist/broker"
)

// Bounds of a request.
const (
	maxQuery  = 16 << 10 // bytes of a query string
	maxBody   = 64 << 10 // bytes of a form body
	maxParams = 64       // parameters
	maxValue  = 8 << 10  // bytes of one value
)

// params are the parameters of a request, each once but resource.
type params struct{ url.Values }

// one returns a parameter, empty when absent.
func (p params) one(name string) string { return p.Get(name) }

// optional returns a parameter, nil when absent.
func (p params) optional(name string) *string {
	v, ok := p.Values[name]
	if !ok {
		return nil
	}
	return &v[0]
}

// queryParams reads the parameters of a GET.
func queryParams(r *http.Request) (params, error) {
	if len(r.URL.RawQuery) > maxQuery {
		return params{}, broker.Refuse(broker.ReasonRequestInvalid, "the query has %d bytes, at most %d are read", len(r.URL.RawQuery), maxQuery)
	}
	return parseParams(r.URL.RawQuery, "resource")
}

// formParams reads the parameters of a POST: from the body alone, whose
// length must be known beforehand (traps 13 and F14). Only the one named
// parameter may repeat.
func formParams(w http.ResponseWriter, r *http.Request, repeatable string) (params, error) {
	ct, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || ct != "application/x-www-form-urlencoded" {
		return params{}, &statusError{http.StatusUnsupportedMediaType, broker.Refuse(broker.ReasonRequestInvalid,
			"content type %s, want application/x-www-form-urlencoded", shown(cmp.Or(ct, r.Header.Get("Content-Type"))))}
	}
	if r.ContentLength < 0 || len(r.TransferEncoding) > 0 {
		w.Header().Set("Connection", "close")
		return params{}, &statusError{http.StatusLengthRequired, broker.Refuse(broker.ReasonRequestInvalid, "the body has no Content-Length")}
	}
	if r.ContentLength > maxBody {
		w.Header().Set("Connection", "close")
		return params{}, &statusError{http.StatusRequestEntityTooLarge, broker.Refuse(broker.ReasonRequestInvalid,
			"the body has %d bytes, at most %d are read", r.ContentLength, maxBody)}
	}
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return params{}, broker.Refuse(broker.ReasonRequestInvalid, "the body could not be read: %w", err)
	}
	return parseParams(string(b), repeatable)
}

// parseParams reads a form-encoded string strictly: well-formed escapes,
// UTF-8, no parameter twice but the repeatable one (RFC 6749 section 3.1, RFC
// 8707 section 2). A parameter without a value counts as absent.
func parseParams(raw, repeatable string) (params, error) {
	p := params{url.Values{}}
	n := 0
	seen := map[string]bool{}
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		if n++; n > maxParams {
			return p, broker.Refuse(broker.ReasonRequestInvalid, "more than %d parameters", maxParams)
		}
		k, v, _ := strings.Cut(pair, "=")
		name, err := unescape(k)
		if err != nil {
			return p, err
		}
		value, err := unescape(v)
		if err != nil {
			return p, err
		}
		if seen[name] && name != repeatable {
			return p, repeated(name)
		}
		seen[name] = true
		if value != "" {
			p.Add(name, value)
		}
	}
	return p, nil
}

// repeated refuses a parameter that came twice.
func repeated(name string) error {
	return &broker.Error{Reason: broker.ReasonRequestInvalid, Detail: "A parameter was sent more than once.",
		Err: broker.Refuse(broker.ReasonRequestInvalid, "parameter %s was sent more than once", shown(name))}
}

// unescape decodes one name or value.
func unescape(s string) (string, error) {
	out, err := url.QueryUnescape(s)
	switch {
	case err != nil:
		return "", broker.Refuse(broker.ReasonRequestInvalid, "a parameter has a malformed escape")
	case !utf8.ValidString(out):
		return "", broker.Refuse(broker.ReasonRequestInvalid, "a parameter is not UTF-8")
	case len(out) > maxValue:
		return "", broker.Refuse(broker.ReasonRequestInvalid, "a parameter has %d bytes, at most %d are read", len(out), maxValue)
	case strings.ContainsRune(out, 0):
		return "", broker.Refuse(broker.ReasonRequestInvalid, "a parameter contains NUL")
	}
	return out, nil
}

// parseScope splits a scope value into its tokens (RFC 6749 section 3.3).
func parseScope(s string) ([]string, bool) {
	if s == "" {
		return []string{}, true
	}
	out := strings.Split(s, " ")
	if len(out) > 100 {
		return nil, false
	}
	for _, token := range out {
		if token == "" {
			return nil, false
		}
		for i := range len(token) {
			if c := token[i]; c < 0x21 || c > 0x7e || c == '"' || c == '\\' {
				return nil, false
			}
		}
	}
	return out, true
}

// validResource reports whether s is an absolute URI without a fragment (RFC
// 8707 section 2) and without user information.
func validResource(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.IsAbs() && u.Host != "" && u.User == nil && u.Fragment == "" && !strings.Contains(s, "#") && len(s) <= 2048
}

// askable are those resources that policies and records may learn of: valid
// ones, with no query of a client's own making.
func (s *Server) askable(resources []string) []string {
	out := make([]string, 0, len(resources))
	for _, asked := range resources {
		known := func(r broker.Resource) bool { return broker.SameResource(r.ID, asked) }
		if validResource(asked) && (!strings.Contains(asked, "?") || slices.ContainsFunc(s.cfg.Resources, known)) {
			out = append(out, asked)
		}
	}
	return out
}
