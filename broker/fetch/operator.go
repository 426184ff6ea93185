package fetch

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

const (
	operatorUserAgent = "guestlist/0 (operator notices)"
	// maxAnswerBytes is how much of an answer is read.
	maxAnswerBytes = 4 << 10
)

// OperatorConfig is what NewOperator needs. Its zero value is usable.
type OperatorConfig struct {
	// RootCAs are the certificate authorities a host may be verified by. nil
	// means the system's. See LoadCAFile.
	RootCAs *x509.CertPool
	// Timeout is the one deadline over lookup, connect, TLS, request and
	// answer. 0 means 5 s; negative is refused.
	Timeout time.Duration
	// InsecureHTTP lets addresses be http too: whoever is on the way can read
	// and change what is sent.
	InsecureHTTP bool
}

// Operator is the door for addresses that stand in the configuration. Where
// they lead is the operator's business: they may be private, they may be on
// loopback, and the address check of Guarded is not made. Never hand it an
// address that a stranger had a say in. It is safe for concurrent use and
// holds no connection between requests.
type Operator struct {
	client   *http.Client
	insecure bool
}

// NewOperator checks cfg and returns the door.
func NewOperator(cfg OperatorConfig) (*Operator, error) {
	if cfg.Timeout < 0 {
		return nil, fmt.Errorf("timeout %s is negative", cfg.Timeout)
	}
	return &Operator{
		insecure: cfg.InsecureHTTP,
		client: &http.Client{
			Timeout:       cmp.Or(cfg.Timeout, defaultTimeout),
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport: &http.Transport{
				DialContext:            (&net.Dialer{KeepAlive: -1}).DialContext,
				TLSClientConfig:        &tls.Config{RootCAs: cfg.RootCAs, MinVersion: tls.VersionTLS12},
				DisableKeepAlives:      true,
				DisableCompression:     true,
				MaxResponseHeaderBytes: maxHeaderBytes,
			},
		},
	}, nil
}

// CheckURL says why Post would refuse an address before any lookup, so that a
// configuration can be refused where it is read: it is not absolute, not https
// (or http with InsecureHTTP), or has a user name or a fragment.
func (o *Operator) CheckURL(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return errors.New("not a URL")
	case u.Scheme != "https" && !(u.Scheme == "http" && o.insecure):
		return fmt.Errorf("scheme %s is not allowed", quoted(u.Scheme))
	case u.Hostname() == "" || u.Opaque != "":
		return errors.New("it has no host")
	case u.User != nil:
		return errors.New("it has a user name or password in it, which would end up in logs")
	case u.Fragment != "":
		return errors.New("it has a fragment")
	}
	return nil
}

// Post is Send for those who only want to know whether it was taken: the
// status must be from 200 to 299.
func (o *Operator) Post(ctx context.Context, address string, header http.Header, body []byte) error {
	a, err := o.Send(ctx, address, header, body)
	if err != nil {
		return err
	}
	return a.Err()
}

// Answer is what came back on Send.
type Answer struct {
	Host   string      // that was asked, with its port if the address has one
	Status int         // any; a redirect is not followed
	Header http.Header // at most 16 KiB
	Body   []byte      // at most 4 KiB; what is longer is cut
}

// Err is nil for a status from 200 to 299. The error names the host of the
// address and not its path, which may hold a secret.
func (a Answer) Err() error {
	if a.Status < 200 || a.Status > 299 {
		return fmt.Errorf("post to %s: status %d", a.Host, a.Status)
	}
	return nil
}

// Send posts body with header to address, once, and returns what was answered.
// A redirect is an answer and not followed. Nothing is retried. The error is
// that of getting no answer; like that of Answer it names only the host.
func (o *Operator) Send(ctx context.Context, address string, header http.Header, body []byte) (Answer, error) {
	if err := o.CheckURL(address); err != nil {
		return Answer{}, fmt.Errorf("post: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return Answer{}, errors.New("post: not a URL")
	}
	req.Header = header.Clone()
	if req.Header == nil {
		req.Header = http.Header{}
	}
	req.Header.Set("User-Agent", operatorUserAgent)
	resp, err := o.client.Do(req)
	if err != nil {
		if ue, ok := errors.AsType[*url.Error](err); ok {
			err = ue.Err
		}
		return Answer{}, fmt.Errorf("post to %s: %w", req.URL.Host, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if err != nil {
		return Answer{}, fmt.Errorf("post to %s: read the answer: %w", req.URL.Host, err)
	}
	return Answer{Host: req.URL.Host, Status: resp.StatusCode, Header: resp.Header, Body: answer}, nil
}
