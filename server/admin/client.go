package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"syscall"
	"time"

	"guestlist/broker"
)

// answerMax bounds what a client reads of one answer.
const answerMax = 256 << 20

// knockTimeout bounds the question whether a server still answers.
const knockTimeout = time.Second

// Client asks the admin API of a running server. It is safe for concurrent
// use.
type Client struct {
	socket string
	http   *http.Client
}

// NewClient returns a client for the Unix socket at that path. It does not
// connect yet.
func NewClient(socket string) *Client {
	var d net.Dialer
	return &Client{socket: socket, http: &http.Client{
		Timeout: time.Minute,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return d.DialContext(ctx, "unix", socket)
			},
		},
	}}
}

// patient is the client without a limit on how long an answer takes, for acts
// that may end many clients; the context still bounds it.
func (c *Client) patient() *Client {
	unbounded := *c.http
	unbounded.Timeout = 0
	return &Client{c.socket, &unbounded}
}

// Refusal is an error that the server answered with.
type Refusal struct {
	Status int    // HTTP status; 404 for what does not exist
	Text   string // fit to be shown
	Act    string // request id of an act, by which guestlist audit why and the server's log tell of it; empty for a read
}

// Error implements error. The text of an act ends with its request id.
func (r *Refusal) Error() string {
	if r.Act == "" {
		return r.Text
	}
	return r.Text + " (request ID " + r.Act + ")"
}

// NoServer is the error of a call that found nobody on the socket.
type NoServer struct {
	Socket string // path of the socket that was tried
}

// Error implements error.
func (n *NoServer) Error() string {
	return fmt.Sprintf("no server answers on %s: start it with guestlist serve, or name the socket of a running one with --config or --socket", n.Socket)
}

// Clients returns one page of the clients that f selects, behind the
// identifier after; limit zero means 100, the most is 1000.
func (c *Client) Clients(ctx context.Context, f ClientFilter, after string, limit int) (ClientPage, error) {
	q := f.query()
	set(q, "after", after)
	setLimit(q, limit)
	var out ClientPage
	err := c.call(ctx, http.MethodGet, "/v1/clients", q, &out)
	return out, err
}

// Show returns all that is known of one client.
func (c *Client) Show(ctx context.Context, id string) (ClientDetail, error) {
	var out ClientDetail
	err := c.call(ctx, http.MethodGet, "/v1/clients/show", url.Values{"id": {id}}, &out)
	return out, err
}

// History returns the documents of a client, newest first.
func (c *Client) History(ctx context.Context, id string) ([]Version, error) {
	var out History
	err := c.call(ctx, http.MethodGet, "/v1/clients/history", url.Values{"id": {id}}, &out)
	return out.Versions, err
}

// Blocks returns every block.
func (c *Client) Blocks(ctx context.Context) ([]broker.Block, error) {
	var out BlockPage
	err := c.call(ctx, http.MethodGet, "/v1/blocks", nil, &out)
	return out.Blocks, err
}

// Why returns what happened to a request; id is its request id, a decision
// id, or a client identifier for the last decision about that client, at or
// before at where that is not zero. With material the story holds the bytes of
// policies and document.
func (c *Client) Why(ctx context.Context, id string, at time.Time, material bool) (Why, error) {
	q := url.Values{"id": {id}}
	setTime(q, "at", at)
	if material {
		q.Set("material", "true")
	}
	var out Why
	err := c.call(ctx, http.MethodGet, "/v1/audit/why", q, &out)
	return out, err
}

// Status returns what the server says of itself.
func (c *Client) Status(ctx context.Context) (json.RawMessage, error) {
	var out json.RawMessage
	err := c.call(ctx, http.MethodGet, "/v1/status", nil, &out)
	return out, err
}

// Policies lists the policies that decide, with every pattern where those are
// wanted.
func (c *Client) Policies(ctx context.Context, patterns bool) (json.RawMessage, error) {
	q := url.Values{}
	if patterns {
		q.Set("patterns", "all")
	}
	var out json.RawMessage
	err := c.call(ctx, http.MethodGet, "/v1/policies", q, &out)
	return out, err
}

// PolicyStatus returns which revision decides, and what was wrong with the last
// load.
func (c *Client) PolicyStatus(ctx context.Context) (json.RawMessage, error) {
	var out json.RawMessage
	err := c.call(ctx, http.MethodGet, "/v1/policies/status", nil, &out)
	return out, err
}

// Reload makes the server load its policies again and returns the revision
// that is active then. On an error the last good revision stays in force.
func (c *Client) Reload(ctx context.Context) (string, error) {
	var out reloaded
	err := c.call(ctx, http.MethodPost, "/v1/policies/reload", nil, &out)
	return out.Revision, err
}

// Rotate makes the server publish a new key of one purpose, "signing" or
// "sealing", which takes over later.
func (c *Client) Rotate(ctx context.Context, purpose string) error {
	var out rotated
	return c.call(ctx, http.MethodPost, "/v1/keys/rotate", url.Values{"purpose": {purpose}}, &out)
}

// DestroyKey makes the server replace the key of a purpose, "pseudonym", for
// ever.
func (c *Client) DestroyKey(ctx context.Context, purpose string) error {
	var out rotated
	return c.call(ctx, http.MethodPost, "/v1/keys/destroy", url.Values{"purpose": {purpose}}, &out)
}

func set(q url.Values, name, value string) {
	if value != "" {
		q.Set(name, value)
	}
}

func setTime(q url.Values, name string, t time.Time) {
	if !t.IsZero() {
		q.Set(name, t.UTC().Format(time.RFC3339Nano))
	}
}

func setLimit(q url.Values, limit int) { setNumber(q, "limit", uint64(limit)) }

func setNumber(q url.Values, name string, n uint64) {
	if n != 0 {
		q.Set(name, strconv.FormatUint(n, 10))
	}
}

// call sends one request and decodes the answer into out.
func (c *Client) call(ctx context.Context, method, path string, q url.Values, out any) error {
	return c.send(ctx, method, path, q, nil, out)
}

// send is call with a body.
func (c *Client) send(ctx context.Context, method, path string, q url.Values, sent []byte, out any) error {
	u := url.URL{Scheme: "http", Host: "admin", Path: path, RawQuery: q.Encode()}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(sent))
	if err != nil {
		return fmt.Errorf("ask the server: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.unreachable(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, answerMax))
	if err != nil {
		return fmt.Errorf("read the server's answer on %s: %w", c.socket, err)
	}
	if resp.StatusCode != http.StatusOK {
		var p problem
		if json.Unmarshal(body, &p) != nil || p.Error == "" {
			p.Error = "the server on " + c.socket + " answered " + resp.Status
		}
		refusal := &Refusal{Status: resp.StatusCode, Text: p.Error}
		if method != http.MethodGet {
			refusal.Act = resp.Header.Get("X-Request-Id")
		}
		return refusal
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("read the server's answer on %s: %w", c.socket, err)
	}
	return nil
}

// unreachable says what a failed connection means and what to do.
func (c *Client) unreachable(err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("the admin socket %s is not yours to use: be the user the server runs as, or root", c.socket)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return &NoServer{c.socket}
	}
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	return fmt.Errorf("ask the server on %s: %w", c.socket, err)
}

// knock reports whether a server answers on the socket: nil when one does,
// else an error of the connection.
func knock(socket string) error {
	c, err := net.DialTimeout("unix", socket, knockTimeout)
	if err != nil {
		return err
	}
	return c.Close()
}
