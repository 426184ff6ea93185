package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// call is one tool call from the outside: discovery, authorization and all.
type call struct {
	server       string
	clientID     string
	tool         string
	arguments    string // JSON object
	redirectHost string
	open         bool
	person       io.Writer // where the authorization URL is shown
}

// run returns the tool's answer as JSON. A tool that reports an error is an
// error here.
func (c *call) run(ctx context.Context) (json.RawMessage, error) {
	if c.server == "" {
		return nil, errors.New("--server is missing: give the URL of the MCP server")
	}
	if !slices.Contains(redirectHosts, c.redirectHost) {
		return nil, fmt.Errorf("--redirect-host %q: want one of %v", c.redirectHost, redirectHosts)
	}
	var arguments map[string]any
	if err := json.Unmarshal([]byte(c.arguments), &arguments); err != nil {
		return nil, fmt.Errorf("--arguments: %w", err)
	}
	receiver, err := newReceiver(c.redirectHost, c.show)
	if err != nil {
		return nil, err
	}
	defer receiver.close()
	handler, err := auth.NewAuthorizationCodeHandler(&auth.AuthorizationCodeHandlerConfig{
		ClientIDMetadataDocumentConfig: &auth.ClientIDMetadataDocumentConfig{URL: c.clientID},
		RedirectURL:                    receiver.redirectURI,
		AuthorizationCodeFetcher:       receiver.fetch,
		Client:                         &http.Client{Timeout: 30 * time.Second},
	})
	if err != nil {
		return nil, fmt.Errorf("--client-id %q: %w", c.clientID, err)
	}
	client := mcp.NewClient(&mcp.Implementation{Name: "example-mcp-client", Version: "1.0.0"}, nil)
	session, err := client.Connect(ctx, &mcp.StreamableClientTransport{
		Endpoint: c.server, OAuthHandler: &lastingRefusal{OAuthHandler: handler}, DisableStandaloneSSE: true,
	}, nil)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", c.server, err)
	}
	defer session.Close()
	res, err := session.CallTool(ctx, &mcp.CallToolParams{Name: c.tool, Arguments: arguments})
	if err != nil {
		return nil, fmt.Errorf("call %s: %w", c.tool, err)
	}
	return answer(res)
}

// lastingRefusal gives a failed authorization as the answer to every later
// one. The SDK connects once more in the form of older servers when connecting
// failed, and a person who refused should not be asked again.
type lastingRefusal struct {
	auth.OAuthHandler
	mu  sync.Mutex
	err error
}

// Authorize implements auth.OAuthHandler.
func (l *lastingRefusal) Authorize(ctx context.Context, req *http.Request, resp *http.Response) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		resp.Body.Close()
		return l.err
	}
	l.err = l.OAuthHandler.Authorize(ctx, req, resp)
	return l.err
}

// answer is the structured result of a tool, or what it said in words.
func answer(res *mcp.CallToolResult) (json.RawMessage, error) {
	if res.IsError {
		said, err := json.Marshal(res.Content)
		return nil, errors.Join(fmt.Errorf("the tool reported an error: %s", said), err)
	}
	if res.StructuredContent != nil {
		return json.Marshal(res.StructuredContent)
	}
	return json.Marshal(res.Content)
}

// show tells the person where to go.
func (c *call) show(url string) error {
	if _, err := fmt.Fprintf(c.person, "open: %s\n", url); err != nil {
		return err
	}
	if c.open {
		return browse(url)
	}
	return nil
}

// browse opens url in the person's browser.
func browse(url string) error {
	var err error
	switch runtime.GOOS {
	case "darwin":
		err = exec.Command("open", url).Start()
	case "windows":
		err = exec.Command("rundll32", "url.dll,FileProtocolHandler", url).Start()
	default:
		err = exec.Command("xdg-open", url).Start()
	}
	if err != nil {
		return fmt.Errorf("--open: %w", err)
	}
	return nil
}
