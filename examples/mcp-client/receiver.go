package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
)

// receiver waits on a free loopback port for the person's browser to bring
// back the answer of the authorization server (RFC 8252 section 7.3).
type receiver struct {
	redirectURI string
	show        func(url string) error // sends the person away
	server      *http.Server

	mu     sync.Mutex
	state  string          // of the request under way; empty: none
	answer chan url.Values // of the request under way
}

// newReceiver listens. host is the loopback name in the redirect URI.
func newReceiver(host string, show func(string) error) (*receiver, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the redirect: %w", err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return nil, err
	}
	r := &receiver{redirectURI: "http://" + net.JoinHostPort(host, port) + redirectPath, show: show}
	routes := http.NewServeMux()
	routes.HandleFunc("GET "+redirectPath, r.receive)
	r.server = &http.Server{Handler: routes, ReadHeaderTimeout: 5 * time.Second}
	go r.server.Serve(l) // ends with close
	return r, nil
}

// close stops listening. An answer to the browser that is under way is
// finished first.
func (r *receiver) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	r.server.Shutdown(ctx)
}

// fetch is the SDK's authorization code fetcher: it shows the authorization
// URL and waits for the answer. The SDK checks iss (RFC 9207).
func (r *receiver) fetch(ctx context.Context, args *auth.AuthorizationArgs) (*auth.AuthorizationResult, error) {
	u, err := url.Parse(args.URL)
	if err != nil {
		return nil, fmt.Errorf("authorization URL: %w", err)
	}
	state := u.Query().Get("state")
	if state == "" {
		return nil, errors.New("authorization URL: no state")
	}
	answer := r.await(state)
	if err := r.show(args.URL); err != nil {
		return nil, err
	}
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the person: %w", ctx.Err())
	case q := <-answer:
		if q.Get("code") == "" {
			return nil, fmt.Errorf("the authorization server refused: %q %q", q.Get("error"), q.Get("error_description"))
		}
		return &auth.AuthorizationResult{Code: q.Get("code"), State: state, Iss: q.Get("iss")}, nil
	}
}

// await says which answer is waited for, and where it will come.
func (r *receiver) await(state string) <-chan url.Values {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state, r.answer = state, make(chan url.Values, 1)
	return r.answer
}

// receive takes the one answer that belongs to the request under way. Others
// change nothing: any page can send a browser here.
func (r *receiver) receive(w http.ResponseWriter, req *http.Request) {
	q := req.URL.Query()
	r.mu.Lock()
	known := r.state != "" && q.Get("state") == r.state
	if known {
		r.state = ""
		r.answer <- q // never blocks: one answer for each state
	}
	r.mu.Unlock()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	if !known {
		http.Error(w, "This answer belongs to no request of this program.", http.StatusBadRequest)
		return
	}
	fmt.Fprintln(w, "You can close this window and go back to the program.")
}
