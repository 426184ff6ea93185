package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
)

// wellKnown is where protected resource metadata begins (RFC 9728 section 3).
const wellKnown = "/.well-known/oauth-protected-resource"

// config is what the server is made of; every member is required.
type config struct {
	issuer   string   // the only issuer whose tokens are accepted
	resource string   // this server's identifier, the audience of its tokens
	scopes   []string // what a token must have
	now      func() time.Time
	log      io.Writer // trouble with the issuer, one line each
}

// newHandler builds the whole server and returns it with the path of the MCP
// endpoint.
func newHandler(c config) (http.Handler, string, error) {
	if c.issuer == "" {
		return nil, "", errors.New("--issuer is missing: give the issuer's URL, for instance http://127.0.0.1:8080")
	}
	if _, err := parseSecure(c.issuer); err != nil {
		return nil, "", fmt.Errorf("--issuer %q: %w", c.issuer, err)
	}
	u, err := parseSecure(c.resource)
	if err != nil {
		return nil, "", fmt.Errorf("--resource %q: %w", c.resource, err)
	}
	endpoint := u.EscapedPath()
	if endpoint == "" {
		endpoint = "/"
	}
	described := wellKnown + strings.TrimSuffix(u.EscapedPath(), "/")
	metadata := &oauthex.ProtectedResourceMetadata{
		Resource:               c.resource,
		ResourceName:           "Example MCP server",
		AuthorizationServers:   []string{c.issuer},
		ScopesSupported:        c.scopes,
		BearerMethodsSupported: []string{"header"},
	}
	v := &verifier{issuer: c.issuer, resource: c.resource, now: c.now, log: c.log, keys: newKeyring(c.issuer, c.now)}
	protect := auth.RequireBearerToken(v.verify, &auth.RequireBearerTokenOptions{
		ResourceMetadataURL: u.Scheme + "://" + u.Host + described,
		Scopes:              c.scopes,
		ClockSkew:           leeway,
	})
	tools := newTools()
	// No sessions: nothing of one caller is kept for another to find.
	stream := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return tools }, &mcp.StreamableHTTPOptions{Stateless: true})
	routes := http.NewServeMux()
	routes.Handle(described, auth.ProtectedResourceMetadataHandler(metadata))
	routes.Handle(exact(endpoint), protect(stream))
	return routes, endpoint, nil
}

// exact keeps a path that ends in a slash from matching everything below it.
func exact(path string) string {
	if strings.HasSuffix(path, "/") {
		return path + "{$}"
	}
	return path
}

// parseSecure accepts an absolute https URL without query and fragment, or an
// http one on loopback, for development.
func parseSecure(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, err
	}
	ip := net.ParseIP(u.Hostname())
	loopback := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	switch {
	case u.Scheme != "https" && !(u.Scheme == "http" && loopback):
		return nil, errors.New("want https, or http on a loopback address")
	case u.Host == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || strings.Contains(raw, "#"):
		return nil, errors.New("want scheme, host and path only")
	}
	return u, nil
}

// identity is what whoami answers.
type identity struct {
	Subject  string   `json:"sub" jsonschema:"the person who allowed this client"`
	ClientID string   `json:"client_id" jsonschema:"the client that called"`
	Scopes   []string `json:"scopes" jsonschema:"what the client may do"`
}

// addition is what add takes.
type addition struct {
	A int `json:"a" jsonschema:"first number"`
	B int `json:"b" jsonschema:"second number"`
}

// sum is what add answers.
type sum struct {
	Sum int `json:"sum"`
}

// newTools is the MCP server behind the token check.
func newTools() *mcp.Server {
	s := mcp.NewServer(&mcp.Implementation{Name: "example-mcp-server", Version: "1.0.0"}, nil)
	mcp.AddTool(s, &mcp.Tool{Name: "whoami", Description: "Says whose access token was presented"}, whoami)
	mcp.AddTool(s, &mcp.Tool{Name: "add", Description: "Adds two numbers"}, add)
	return s
}

func whoami(_ context.Context, req *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, identity, error) {
	if req.Extra == nil || req.Extra.TokenInfo == nil {
		return nil, identity{}, errors.New("no access token")
	}
	info := req.Extra.TokenInfo
	clientID, _ := info.Extra[clientIDKey].(string)
	return nil, identity{Subject: info.UserID, ClientID: clientID, Scopes: info.Scopes}, nil
}

func add(_ context.Context, _ *mcp.CallToolRequest, in addition) (*mcp.CallToolResult, sum, error) {
	return nil, sum{in.A + in.B}, nil
}
