package servertest

import (
	"bytes"
	"maps"
	"net/http"
)

// held keeps an answer until its handler is done: a long page would else be
// with its reader before the request's line is in the log, or after it, as
// chance has it.
type held struct {
	http.ResponseWriter
	status int
	header http.Header // as it was when the answer began
	body   bytes.Buffer
}

// holding holds the answers of h.
func holding(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := &held{ResponseWriter: w}
		h.ServeHTTP(answer, r)
		answer.release()
	})
}

// Unwrap is for http.ResponseController.
func (h *held) Unwrap() http.ResponseWriter { return h.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (h *held) WriteHeader(status int) {
	if h.status == 0 {
		h.status, h.header = status, h.Header().Clone()
	}
}

// Write implements http.ResponseWriter.
func (h *held) Write(p []byte) (int, error) {
	h.WriteHeader(http.StatusOK)
	return h.body.Write(p)
}

// release writes the answer.
func (h *held) release() {
	if h.status == 0 {
		return
	}
	clear(h.Header())
	maps.Copy(h.Header(), h.header)
	h.ResponseWriter.WriteHeader(h.status)
	_, _ = h.ResponseWriter.Write(h.body.Bytes()) // a reader who left is told nothing
}
