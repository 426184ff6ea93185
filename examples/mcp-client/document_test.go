package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestDocument(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), []string{"document", "--client-id", "https://app.example/oauth/client.json"}, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("document %s: %v", out.Bytes(), err)
	}
	want := map[string]any{
		"client_id": "https://app.example/oauth/client.json", "client_name": "Example MCP client",
		"redirect_uris": []any{"http://127.0.0.1/callback", "http://localhost/callback"},
		"grant_types":   []any{"authorization_code"}, "response_types": []any{"code"}, "token_endpoint_auth_method": "none",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("document = %v, want %v", got, want)
	}
}

func TestRefusedArguments(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"nothing", nil, "say what to do"},
		{"unknown command", []string{"register"}, "want document or call"},
		{"http", []string{"document", "--client-id", "http://app.example/c.json"}, "want https"},
		{"root path", []string{"document", "--client-id", "https://app.example/"}, "want https"},
		{"no host", []string{"document", "--client-id", "https:///c.json"}, "want https"},
		{"query", []string{"document", "--client-id", "https://app.example/c?x=1"}, "want https"},
		{"address without certificate", []string{"document", "--serve-document", "127.0.0.1:0"}, "go together"},
		{"certificate without address", []string{"document", "--cert-out", "x.pem"}, "go together"},
		{"stray argument", []string{"document", "x"}, "want flags only"},
		{"no server", []string{"call"}, "--server is missing"},
		{"redirect to elsewhere", []string{"call", "--server", "http://127.0.0.1:1/mcp", "--redirect-host", "evil.example"}, "--redirect-host"},
		{"arguments that are no object", []string{"call", "--server", "http://127.0.0.1:1/mcp", "--arguments", "[]"}, "--arguments"},
		{"no time", []string{"call", "--server", "http://127.0.0.1:1/mcp", "--timeout", "1ns"}, "deadline exceeded"},
		{"client_id for a call", []string{"call", "--server", "http://127.0.0.1:1/mcp", "--client-id", "http://app.example/c"}, "--client-id"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := run(t.Context(), tt.args, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("run(%q) = %v, want %q", tt.args, err, tt.want)
			}
		})
	}
}

// TestServeDocument fetches as an authorization server does that trusts the
// written certificate and nothing else.
func TestServeDocument(t *testing.T) {
	certOut := filepath.Join(t.TempDir(), "client.pem")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p := start(ctx, t, "document", "--serve-document", "127.0.0.1:0", "--cert-out", certOut)
	addr := p.line("ready: ")
	data, err := os.ReadFile(certOut)
	if err != nil {
		t.Fatal(err)
	}
	block, rest := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE" || len(rest) > 0 {
		t.Fatalf("%s holds %q, want one certificate", certOut, data)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(data)
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
	}}
	defer client.CloseIdleConnections()
	tests := []struct {
		url    string
		status int
	}{
		{defaultClientID, http.StatusOK},
		{"https://mcp-client.example/", http.StatusNotFound},
		{defaultClientID + "/", http.StatusNotFound},
	}
	for _, tt := range tests {
		resp, err := client.Get(tt.url)
		if err != nil {
			t.Errorf("get %s: %v", tt.url, err)
			continue
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != tt.status {
			t.Errorf("get %s = %d, %v, want %d", tt.url, resp.StatusCode, err, tt.status)
		}
		if tt.status != http.StatusOK {
			continue
		}
		var got metadata
		if err := json.Unmarshal(body, &got); err != nil || got.ClientID != tt.url || resp.Header.Get("Content-Type") != "application/json" {
			t.Errorf("document at %s = %s (%s), want its own client_id in JSON", tt.url, body, resp.Header.Get("Content-Type"))
		}
	}
	if _, err := client.Get("https://other.example/oauth/client.json"); err == nil {
		t.Error("the certificate is good for another host, want it good for the client_id's only")
	}
	cancel()
	if err := <-p.done; err != nil {
		t.Errorf("run = %v, want no error after a stop", err)
	}
}
