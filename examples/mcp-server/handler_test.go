package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// bearer presents one token with every request.
type bearer struct{ token string }

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return http.DefaultTransport.RoundTrip(r)
}

// started is a server with its issuer and an accepted token.
func started(t *testing.T) (base, resource string, good token) {
	t.Helper()
	issuer := newFakeIssuer(t)
	key := issuer.publish(t, "k1")
	s := httptest.NewUnstartedServer(nil)
	resource = "http://" + s.Listener.Addr().String() + "/mcp"
	handler, _, err := newHandler(config{issuer: issuer.URL, resource: resource, scopes: []string{"mcp:read"}, now: time.Now, log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	s.Config.Handler = handler
	s.Start()
	t.Cleanup(s.Close)
	return s.URL, resource, goodToken(key, issuer.URL, resource, time.Now())
}

func TestTools(t *testing.T) {
	_, resource, good := started(t)
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	session, err := client.Connect(t.Context(), &mcp.StreamableClientTransport{
		Endpoint: resource, HTTPClient: &http.Client{Transport: bearer{good.sign(t)}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	tests := []struct {
		name string
		args any
		want any
	}{
		{"whoami", nil, map[string]any{
			"sub": "alice", "client_id": "https://client.example/oauth/client.json", "scopes": []any{"mcp:read", "mcp:write"},
		}},
		{"add", addition{2, 3}, map[string]any{"sum": 5.0}},
	}
	for _, tt := range tests {
		res, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: tt.name, Arguments: tt.args})
		if err != nil || res.IsError {
			t.Errorf("%s = %+v, %v, want a result", tt.name, res, err)
			continue
		}
		if !reflect.DeepEqual(res.StructuredContent, tt.want) {
			t.Errorf("%s = %v, want %v", tt.name, res.StructuredContent, tt.want)
		}
	}
}

// TestChallenge holds X12: the challenge points to the metadata (RFC 9728
// section 5.1), and the metadata names this resource.
func TestChallenge(t *testing.T) {
	base, resource, good := started(t)
	narrow, foreign := good, good
	narrow.claims, foreign.claims = map[string]any{}, map[string]any{}
	for name, value := range good.claims {
		narrow.claims[name], foreign.claims[name] = value, value
	}
	narrow.claims["scope"] = "mcp:write"
	foreign.claims["aud"] = "https://else.example/mcp"
	tests := []struct {
		name, authorization string
		status              int
	}{
		{"no token", "", http.StatusUnauthorized},
		{"other scheme", "Basic " + good.sign(t), http.StatusUnauthorized},
		{"no JWT", "Bearer x", http.StatusUnauthorized},
		{"token of another resource", "Bearer " + foreign.sign(t), http.StatusUnauthorized},
		{"scope is missing", "Bearer " + narrow.sign(t), http.StatusForbidden},
	}
	want := `Bearer resource_metadata="` + base + `/.well-known/oauth-protected-resource/mcp", scope="mcp:read"`
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, resource, strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			if tt.authorization != "" {
				req.Header.Set("Authorization", tt.authorization)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if got := resp.Header.Get("WWW-Authenticate"); resp.StatusCode != tt.status || got != want {
				t.Errorf("answer = %d with %q, want %d with %q", resp.StatusCode, got, tt.status, want)
			}
		})
	}
}

func TestMetadata(t *testing.T) {
	tests := []struct{ resource, path, endpoint string }{
		{"http://127.0.0.1:9000/mcp", "/.well-known/oauth-protected-resource/mcp", "/mcp"},
		{"https://mcp.example/a/b", "/.well-known/oauth-protected-resource/a/b", "/a/b"},
		{"https://mcp.example", "/.well-known/oauth-protected-resource", "/"},
		{"https://mcp.example/", "/.well-known/oauth-protected-resource", "/"},
	}
	for _, tt := range tests {
		t.Run(tt.resource, func(t *testing.T) {
			handler, endpoint, err := newHandler(config{
				issuer: "https://issuer.example", resource: tt.resource, scopes: []string{"mcp:read"}, now: time.Now, log: io.Discard,
			})
			if err != nil || endpoint != tt.endpoint {
				t.Fatalf("newHandler = %q, %v, want %q", endpoint, err, tt.endpoint)
			}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, tt.path, nil))
			var got map[string]any
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatalf("metadata = %d %s: %v", w.Code, w.Body, err)
			}
			want := map[string]any{
				"resource": tt.resource, "resource_name": "Example MCP server", "authorization_servers": []any{"https://issuer.example"},
				"scopes_supported": []any{"mcp:read"}, "bearer_methods_supported": []any{"header"},
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("metadata = %v, want %v", got, want)
			}
		})
	}
}

func TestRunRefuses(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"no issuer", nil, "--issuer is missing"},
		{"issuer without TLS", []string{"--issuer", "http://issuer.example"}, "want https"},
		{"issuer with a query", []string{"--issuer", "https://issuer.example?x"}, "scheme, host and path"},
		{"resource without TLS", []string{"--issuer", "https://issuer.example", "--resource", "http://10.0.0.1/mcp"}, "want https"},
		{"resource with a fragment", []string{"--issuer", "https://issuer.example", "--resource", "https://mcp.example/#x"}, "scheme, host and path"},
		{"resource without a host", []string{"--issuer", "https://issuer.example", "--resource", "https:///mcp"}, "scheme, host and path"},
		{"argument", []string{"--issuer", "https://issuer.example", "x"}, "want flags only"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			args := append([]string{"--listen", "127.0.0.1:0"}, tt.args...)
			if err := run(t.Context(), args, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("run(%q) = %v, want %q", args, err, tt.want)
			}
		})
	}
}

// TestRun holds the start-up line and the stop; the issuer is not there yet.
func TestRun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"--listen", "127.0.0.1:0", "--issuer", "http://127.0.0.1:1"}, w, io.Discard)
		w.Close()
	}()
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatalf("start: %v", <-done)
	}
	url, ok := strings.CutPrefix(strings.TrimSpace(line), "ready: ")
	if !ok {
		t.Fatalf("first line = %q, want ready: and a URL", line)
	}
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("answer at %s = %d, want %d", url, resp.StatusCode, http.StatusUnauthorized)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("run = %v, want no error after a stop", err)
	}
}
