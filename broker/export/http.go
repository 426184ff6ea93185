package export

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"guestlist/broker/fetch"
)

// HTTPConfig is what NewHTTP and NewOTLP need.
type HTTPConfig struct {
	URL    string                 // of the receiver; Door.CheckURL holds for it
	Door   *fetch.Operator        // bounds how long a post may take
	Token  func() (string, error) // the bearer token of a post; nil: none
	Header http.Header            // of every post beside those this package sets; nil: none
	Gzip   bool                   // compress the bodies
	Array  bool                   // a JSON array instead of JSON lines; OTLP has neither
}

// HTTP is a sink that posts JSON. A status from 200 to 299 takes a batch.
// Statuses that speak about the body (400, 413, 422) make it smaller. A post is
// known by its Idempotency-Key, which the same records under the same numbers
// have again, and by the numbers of its first and last record.
type HTTP struct{ cfg HTTPConfig }

// NewHTTP checks cfg.
func NewHTTP(cfg HTTPConfig) (*HTTP, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	return &HTTP{cfg}, nil
}

func (c HTTPConfig) check() error {
	if c.Door == nil {
		return errors.New("a receiver needs a door to leave by")
	}
	return c.Door.CheckURL(c.URL)
}

// Send implements Sink.
func (h *HTTP) Send(ctx context.Context, records []Record) error {
	kind, body := "application/x-ndjson", lines(records)
	if h.cfg.Array {
		kind, body = "application/json", array(records)
	}
	_, err := h.cfg.post(ctx, kind, body, records)
	return err
}

// post sends one body and turns the answer into an error of Sink.Send.
func (c HTTPConfig) post(ctx context.Context, kind string, body []byte, records []Record) (fetch.Answer, error) {
	header := c.Header.Clone()
	if header == nil {
		header = http.Header{}
	}
	first, last := records[0].Seq, records[len(records)-1].Seq
	sum := sha256.Sum256(body)
	header.Set("Content-Type", kind)
	header.Set("Idempotency-Key", fmt.Sprintf(`"%d-%d-%s"`, first, last, hex.EncodeToString(sum[:8])))
	header.Set("Guestlist-First-Seq", strconv.FormatUint(first, 10))
	header.Set("Guestlist-Last-Seq", strconv.FormatUint(last, 10))
	if c.Token != nil {
		token, err := c.Token()
		if err != nil {
			return fetch.Answer{}, fmt.Errorf("read the token: %w", err)
		}
		header.Set("Authorization", "Bearer "+token)
	}
	if c.Gzip {
		header.Set("Content-Encoding", "gzip")
		body = compressed(body)
	}
	a, err := c.Door.Send(ctx, c.URL, header, body)
	if err != nil {
		return a, err
	}
	return a, rejection(a)
}

// rejection is what an answer says about a batch; nil when it was taken.
func rejection(a fetch.Answer) error {
	err := a.Err()
	if err == nil {
		return nil
	}
	never := a.Status == http.StatusBadRequest || a.Status == http.StatusRequestEntityTooLarge || a.Status == http.StatusUnprocessableEntity
	return &Rejection{Err: err, Never: never, After: retryAfter(a.Header.Get("Retry-After"), time.Now())}
}

// retryAfter reads RFC 9110 section 10.2.3; zero for what is neither of its
// two forms, or past.
func retryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}

// array are records as one JSON array.
func array(records []Record) []byte {
	b := []byte{'['}
	for i, r := range records {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, r.Line...)
	}
	return append(b, ']')
}

// compressed is b in the gzip format.
func compressed(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(b) // into memory, which takes it
	w.Close()
	return out.Bytes()
}
