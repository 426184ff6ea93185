package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
)

// process is a run of the program inside the test.
type process struct {
	t              *testing.T
	stdout, stderr *bufio.Reader
	done           chan error
}

func start(ctx context.Context, t *testing.T, args ...string) *process {
	t.Helper()
	outR, outW := io.Pipe()
	errR, errW := io.Pipe()
	p := &process{t: t, stdout: bufio.NewReader(outR), stderr: bufio.NewReader(errR), done: make(chan error, 1)}
	go func() {
		err := run(ctx, args, outW, errW)
		outW.Close()
		errW.Close()
		p.done <- err
	}()
	return p
}

// line reads one line of standard output and returns what follows prefix.
func (p *process) line(prefix string) string { return p.after(p.stdout, prefix) }

func (p *process) after(r *bufio.Reader, prefix string) string {
	p.t.Helper()
	line, err := r.ReadString('\n')
	rest, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), prefix)
	if err != nil || !ok {
		p.t.Fatalf("line = %q, %v, want one that begins with %q", line, err, prefix)
	}
	return rest
}

// fakeServer plays the authorization server and the MCP server. The person
// agrees at once.
type fakeServer struct {
	*httptest.Server
	t       *testing.T
	iss     string     // what the authorization response says
	refuse  string     // error of the authorization response
	asked   url.Values // the authorization request
	redeems int
}

func newFakeServer(t *testing.T) *fakeServer {
	t.Helper()
	f := &fakeServer{t: t}
	s := mcp.NewServer(&mcp.Implementation{Name: "fake", Version: "1"}, nil)
	mcp.AddTool(s, &mcp.Tool{Name: "whoami"}, func(_ context.Context, req *mcp.CallToolRequest, in map[string]any) (*mcp.CallToolResult, map[string]any, error) {
		return nil, map[string]any{"sub": req.Extra.TokenInfo.UserID, "in": in}, nil
	})
	mcp.AddTool(s, &mcp.Tool{Name: "fail"}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
		return nil, nil, fmt.Errorf("no such luck")
	})
	mux := http.NewServeMux()
	f.Server = httptest.NewServer(mux)
	t.Cleanup(f.Close)
	f.iss = f.URL
	protect := auth.RequireBearerToken(verify, &auth.RequireBearerTokenOptions{
		Scopes: []string{"mcp:read"}, ResourceMetadataURL: f.URL + "/.well-known/oauth-protected-resource/mcp",
	})
	mux.Handle("/mcp", protect(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return s }, &mcp.StreamableHTTPOptions{Stateless: true})))
	mux.Handle("/.well-known/oauth-protected-resource/mcp", auth.ProtectedResourceMetadataHandler(&oauthex.ProtectedResourceMetadata{
		Resource: f.URL + "/mcp", AuthorizationServers: []string{f.URL},
	}))
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", f.metadata)
	mux.HandleFunc("GET /authorize", f.authorize)
	mux.HandleFunc("POST /token", f.token)
	return f
}

func verify(_ context.Context, token string, _ *http.Request) (*auth.TokenInfo, error) {
	if token != "good" {
		return nil, auth.ErrInvalidToken
	}
	return &auth.TokenInfo{UserID: "alice", Scopes: []string{"mcp:read"}, Expiration: time.Now().Add(time.Minute)}, nil
}

func (f *fakeServer) metadata(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{
		"issuer": f.URL, "authorization_endpoint": f.URL + "/authorize", "token_endpoint": f.URL + "/token", "jwks_uri": f.URL + "/jwks",
		"response_types_supported": []string{"code"}, "code_challenge_methods_supported": []string{"S256"},
		"token_endpoint_auth_methods_supported": []string{"none"},
		"client_id_metadata_document_supported": true, "authorization_response_iss_parameter_supported": true,
	})
}

func (f *fakeServer) authorize(w http.ResponseWriter, r *http.Request) {
	f.asked = r.URL.Query()
	q := url.Values{"state": {f.asked.Get("state")}, "iss": {f.iss}}
	if f.refuse != "" {
		q.Set("error", f.refuse)
	} else {
		q.Set("code", "the-code")
	}
	http.Redirect(w, r, f.asked.Get("redirect_uri")+"?"+q.Encode(), http.StatusFound)
}

// token answers the second try: the SDK tries HTTP Basic first (trap F3).
func (f *fakeServer) token(w http.ResponseWriter, r *http.Request) {
	f.redeems++
	r.ParseForm()
	sum := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
	challenge := base64.RawURLEncoding.EncodeToString(sum[:])
	w.Header().Set("Content-Type", "application/json")
	if r.PostForm.Get("client_id") != f.asked.Get("client_id") || r.PostForm.Get("code") != "the-code" ||
		r.PostForm.Get("resource") != f.URL+"/mcp" || challenge != f.asked.Get("code_challenge") {
		w.WriteHeader(http.StatusUnauthorized)
		io.WriteString(w, `{"error":"invalid_client"}`)
		return
	}
	io.WriteString(w, `{"access_token":"good","token_type":"Bearer","expires_in":60}`)
}

// TestCall plays the person: it opens the printed URL and reads the result.
func TestCall(t *testing.T) {
	tests := []struct{ name, host string }{
		{"default redirect host", "127.0.0.1"},
		{"localhost", "localhost"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFakeServer(t)
			args := []string{"call", "--server", f.URL + "/mcp", "--arguments", `{"x":1}`}
			if tt.host != "127.0.0.1" {
				args = append(args, "--redirect-host", tt.host)
			}
			p := start(t.Context(), t, args...)
			resp, err := http.Get(p.after(p.stderr, "open: "))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				t.Errorf("answer to the browser = %d, want %d", resp.StatusCode, http.StatusOK)
			}
			if got, want := p.line(""), `{"in":{"x":1},"sub":"alice"}`; got != want {
				t.Errorf("result = %s, want %s", got, want)
			}
			if err := <-p.done; err != nil {
				t.Errorf("run = %v, want no error", err)
			}
			redirect, err := url.Parse(f.asked.Get("redirect_uri"))
			if err != nil || redirect.Hostname() != tt.host || redirect.Path != "/callback" || redirect.Port() == "" {
				t.Errorf("redirect_uri = %v, %v, want http://%s:PORT/callback", redirect, err, tt.host)
			}
			if got := f.asked.Get("client_id"); got != defaultClientID {
				t.Errorf("client_id = %q, want %q", got, defaultClientID)
			}
			if got := f.asked.Get("resource"); got != f.URL+"/mcp" {
				t.Errorf("resource = %q, want %q", got, f.URL+"/mcp")
			}
		})
	}
}

func TestCallFails(t *testing.T) {
	tests := []struct {
		name    string
		tool    string
		change  func(*fakeServer)
		want    string
		redeems bool
	}{
		{"the person refuses", "whoami", func(f *fakeServer) { f.refuse = "access_denied" }, "access_denied", false},
		{"M15: another issuer answers", "whoami", func(f *fakeServer) { f.iss = "https://evil.example" }, "does not match expected issuer", false},
		{"the tool fails", "fail", func(*fakeServer) {}, "no such luck", true},
		{"no such tool", "nothing", func(*fakeServer) {}, "call nothing", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFakeServer(t)
			tt.change(f)
			p := start(t.Context(), t, "call", "--server", f.URL+"/mcp", "--tool", tt.tool, "--timeout", "20s")
			resp, err := http.Get(p.after(p.stderr, "open: "))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			again := make(chan []byte, 1)
			go func() {
				b, _ := io.ReadAll(p.stderr) // a pipe of our own: no error but the end
				again <- b
			}()
			out, err := io.ReadAll(p.stdout)
			if err != nil || len(out) > 0 {
				t.Errorf("standard output = %q, %v, want nothing", out, err)
			}
			if err := <-p.done; err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("run = %v, want %q", err, tt.want)
			}
			if b := <-again; len(b) > 0 {
				t.Errorf("the person is shown %q as well, want to be asked once", b)
			}
			if (f.redeems > 0) != tt.redeems {
				t.Errorf("token requests = %d, want some: %v", f.redeems, tt.redeems)
			}
		})
	}
}

func TestCallStopped(t *testing.T) {
	f := newFakeServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p := start(ctx, t, "call", "--server", f.URL+"/mcp")
	p.after(p.stderr, "open: ")
	cancel()
	if err := <-p.done; err == nil || !strings.Contains(err.Error(), "context canceled") {
		t.Errorf("run = %v, want that it was stopped", err)
	}
}

// TestReceiver holds that only the answer to the request under way counts,
// and only once.
func TestReceiver(t *testing.T) {
	shown := make(chan string, 1)
	r, err := newReceiver("127.0.0.1", func(u string) error { shown <- u; return nil })
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	bring := func(query string, want int) {
		t.Helper()
		resp, err := http.Get(r.redirectURI + query)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("answer %q = %d, want %d", query, resp.StatusCode, want)
		}
	}
	bring("?code=early&state=", http.StatusBadRequest)
	if _, err := r.fetch(t.Context(), &auth.AuthorizationArgs{URL: "https://issuer.example/authorize"}); err == nil {
		t.Error("fetch without a state = no error, want one")
	}
	type outcome struct {
		res *auth.AuthorizationResult
		err error
	}
	got := make(chan outcome, 1)
	go func() {
		res, err := r.fetch(t.Context(), &auth.AuthorizationArgs{URL: "https://issuer.example/authorize?state=s1"})
		got <- outcome{res, err}
	}()
	<-shown
	bring("?code=forged&state=s2", http.StatusBadRequest)
	bring("?code=forged", http.StatusBadRequest)
	bring("?code=c1&state=s1&iss=https%3A%2F%2Fissuer.example", http.StatusOK)
	bring("?code=c2&state=s1", http.StatusBadRequest)
	o := <-got
	if o.err != nil || *o.res != (auth.AuthorizationResult{Code: "c1", State: "s1", Iss: "https://issuer.example"}) {
		t.Errorf("fetch = %+v, %v, want the code c1", o.res, o.err)
	}
}
