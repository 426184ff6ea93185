package fetch

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// maxHeaderBytes bounds the status line and headers of an answer.
const maxHeaderBytes = 16 << 10

// exchange sends the one request over conn and returns the headers, body
// unread. The transport lives for this request only: it cannot dial, so it
// can neither retry nor reach anything but conn.
func (g *Guarded) exchange(ctx context.Context, conn *tls.Conn, t target) (*http.Response, error) {
	var given atomic.Bool
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	transport := &http.Transport{
		DialTLSContext: func(context.Context, string, string) (net.Conn, error) {
			if given.Swap(true) {
				return nil, errors.New("a second connection was asked for")
			}
			return conn, nil
		},
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeaderBytes,
		Protocols:              protocols,
		TLSNextProto:           map[string]func(string, *tls.Conn) http.RoundTripper{},
	}
	req := (&http.Request{
		Method: http.MethodGet,
		URL:    t.url,
		Host:   t.url.Host,
		Header: http.Header{
			"Accept":          {t.form.accept},
			"Accept-Encoding": {"identity"},
			"User-Agent":      {g.userAgent},
		},
	}).WithContext(ctx)
	t.held.ask(req.Header)
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return nil, wireError("response headers", err)
	}
	return resp, nil
}

// wireError sorts what goes wrong between handshake and last byte.
func wireError(step string, err error) error {
	op, isOp := errors.AsType[*net.OpError](err)
	switch {
	case isTimeout(err):
		return trouble(reasonTimeout, step, err)
	case strings.Contains(err.Error(), "response headers exceeded"):
		return refuse(reasonTooLarge, "headers of more than "+strconv.Itoa(maxHeaderBytes)+" bytes", err)
	case isOp && (op.Op == "remote error" || op.Op == "local error"):
		return trouble(reasonTLS, step, err)
	case isOp, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return trouble(reasonConnect, "the host closed the connection: "+step, err)
	}
	return refuse(reasonFailed, step, err)
}

// readDocument judges status, encoding, media type and size, in this order,
// and reads at most one byte more than limit.
func readDocument(resp *http.Response, limit int64, t target) (Document, error) {
	if resp.StatusCode == http.StatusNotModified && t.held != (Held{}) {
		return t.held.confirmed(resp.Header)
	}
	if err := checkStatus(resp); err != nil {
		return Document{}, err
	}
	if err := checkEncoding(resp.Header); err != nil {
		return Document{}, err
	}
	mediaType, err := t.form.mediaType(resp.Header.Values("Content-Type"))
	if err != nil {
		return Document{}, err
	}
	if resp.ContentLength > limit {
		return Document{}, tooLarge(limit, fmt.Sprintf(", %d announced", resp.ContentLength))
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if int64(len(body)) > limit {
		return Document{}, tooLarge(limit, "")
	}
	if err != nil {
		return Document{}, wireError("body", err)
	}
	return Document{
		Body:         body,
		ETag:         entityTag(resp.Header.Values("ETag")),
		LastModified: httpDate(resp.Header.Values("Last-Modified")),
		ContentType:  mediaType,
	}, nil
}

func tooLarge(limit int64, more string) error {
	return refuse(reasonTooLarge, fmt.Sprintf("body of more than %d bytes%s", limit, more), nil)
}

// checkStatus admits 200 and nothing else. 304 is no redirect;
// where no validator was sent it answers nothing that was asked.
func checkStatus(resp *http.Response) error {
	code := resp.StatusCode
	e := refuse(reasonStatus, "status "+strconv.Itoa(code), nil)
	e.status = code
	switch {
	case code == http.StatusOK:
		return nil
	case code >= 300 && code < 400 && code != http.StatusNotModified:
		return refuse(reasonRedirect, e.Detail+locationHost(resp.Header.Get("Location")), nil)
	case code >= 500, code == http.StatusTooManyRequests, code == http.StatusForbidden:
		e.Transient = true
	}
	if code == http.StatusForbidden && isHTML(resp.Header) {
		e.Detail = botCheck
	}
	return e
}

// botCheck tells the operator what a page instead of a document means, and the
// way around it.
const botCheck = "a page of HTML with status 403: a firewall or bot check of the host; remedy: guestlist client pin URL --document FILE"

// isHTML reports whether an answer is a page for people.
func isHTML(h http.Header) bool {
	mediaType, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && mediaType == "text/html"
}

// locationHost names the host a redirect points to, for the operator.
func locationHost(location string) string {
	if location == "" {
		return ", no Location"
	}
	u, err := url.Parse(location)
	switch {
	case err != nil:
		return ", Location is not a URL"
	case u.Host == "":
		return ", Location on the same host"
	}
	return ", Location host " + quoted(u.Host)
}

func checkEncoding(h http.Header) error {
	for _, v := range h.Values("Content-Encoding") {
		if v != "" && !strings.EqualFold(v, "identity") {
			return refuse(reasonEncoding, "Content-Encoding "+quoted(v), nil)
		}
	}
	return nil
}

// mediaType returns the one media type of an answer, when its form admits it.
func (f form) mediaType(values []string) (string, error) {
	if len(values) != 1 {
		return "", refuse(reasonContentType, fmt.Sprintf("%d Content-Type headers", len(values)), nil)
	}
	mediaType, _, err := mime.ParseMediaType(values[0])
	if err != nil {
		return "", refuse(reasonContentType, "Content-Type "+quoted(values[0]), err)
	}
	if !f.admits(mediaType) {
		return "", refuse(reasonContentType, "Content-Type "+quoted(mediaType), nil)
	}
	return mediaType, nil
}

// entityTag keeps a single well-formed validator (RFC 9110, section 8.8.3).
func entityTag(values []string) string {
	const most = 256
	if len(values) != 1 || len(values[0]) > most {
		return ""
	}
	opaque := strings.TrimPrefix(values[0], "W/")
	if len(opaque) < 2 || opaque[0] != '"' || opaque[len(opaque)-1] != '"' {
		return ""
	}
	for _, c := range []byte(opaque[1 : len(opaque)-1]) {
		if c < 0x21 || c == '"' || c == 0x7f {
			return ""
		}
	}
	return values[0]
}

// httpDate keeps a single date in one of the three forms of RFC 9110, section
// 5.6.7.
func httpDate(values []string) string {
	if len(values) != 1 {
		return ""
	}
	if _, err := http.ParseTime(values[0]); err != nil {
		return ""
	}
	return values[0]
}
