package policies_test

import (
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/broker/cimd"
	"guestlist/policies"
)

func starter(t *testing.T, name string) fs.FS {
	t.Helper()
	root, ok := policies.Starter(name)
	if !ok {
		t.Fatalf("Starter(%q) is unknown", name)
	}
	return root
}

func TestStartersLoadWithoutFindings(t *testing.T) {
	for _, name := range policies.StarterNames() {
		set, findings, err := policies.Load(context.Background(), policies.Config{FS: starter(t, name), Now: time.Now})
		if err != nil || len(findings) != 0 {
			t.Fatalf("Load(%s) = %v, findings %v, want none", name, err, findings)
		}
		for _, p := range set.Policies() {
			if p.ReviewBy == "" {
				t.Errorf("starter %s: policy %s has no review_by", name, p.Name)
			}
		}
	}
	if _, ok := policies.Starter("nope"); ok {
		t.Errorf("Starter(nope) is known")
	}
}

// asPublished builds a document-phase query from a published document.
func asPublished(t *testing.T, file string) broker.Query {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("..", "testdata", "realworld", file))
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		ClientID string `json:"client_id"`
	}
	if err := json.Unmarshal(body, &m); err != nil {
		t.Fatal(err)
	}
	id, err := cimd.Parse(m.ClientID)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := cimd.ParseDocument(body, id, cimd.ProfileMCP)
	if err != nil {
		t.Fatal(err)
	}
	return question(t, m.ClientID, broker.PhaseDocument, func(q *broker.Query) {
		q.Document, q.Input.Published, q.Input.Redirects = &doc.Document, doc.Published, nil
		for _, uri := range doc.Document.RedirectURIs {
			r, err := cimd.ClassifyRedirect(uri, id)
			if err != nil {
				t.Fatal(err)
			}
			q.Input.Redirects = append(q.Input.Redirects, r)
		}
		r := q.Input.Redirects[0]
		q.Input.Request.RedirectURI = r.URI
		q.Input.Request.Redirect = broker.RedirectInput{Kind: r.Kind, Host: r.Host, Relation: r.Relation}
	})
}

func TestStarterKnownClientsAdmitsRealDocuments(t *testing.T) {
	set := loadConfig(t, policies.Config{FS: starter(t, "known_clients"), Deadline: 5e9})
	for _, file := range []string{"claude-ai.json", "claude-code.json", "chatgpt.json", "vscode.json", "goose.json", "zed.planned.json"} {
		t.Run(file, func(t *testing.T) {
			q := asPublished(t, file)
			d := set.Decide(context.Background(), q)
			allowed(t, d)
			if len(d.Candidates) != 1 || d.Candidates[0].Row == "" {
				t.Errorf("candidates = %+v, want the one row", d.Candidates)
			}
			web := file == "claude-ai.json" || file == "chatgpt.json"
			if d.Settings.Redirect.Loopback == web {
				t.Errorf("redirect.loopback = %v, want %v", d.Settings.Redirect.Loopback, !web)
			}
			if got := strings.Join(d.Effective.Scopes, " "); got != "mcp:read" {
				t.Errorf("scopes = %q, want the default", got)
			}
		})
	}
	refused(t, set.Decide(context.Background(), asPublished(t, "mcp-spec-example.json")), broker.ReasonNoPolicyMatched)
}

func TestStarterDevelopmentAdmitsAnyone(t *testing.T) {
	set := loadConfig(t, policies.Config{FS: starter(t, "development"), Deadline: 5e9})
	for _, file := range []string{"mcp-spec-example.json", "claude-code.json"} {
		d := set.Decide(context.Background(), asPublished(t, file))
		allowed(t, d)
		if d.Settings.Consent.Mode != "always" || strings.Join(d.Winner, " ") != "anyone" {
			t.Errorf("winner %v, consent %s, want anyone and always", d.Winner, d.Settings.Consent.Mode)
		}
	}
}

func TestStarterDenyAllAdmitsNobody(t *testing.T) {
	set := loadConfig(t, policies.Config{FS: starter(t, "deny_all"), Deadline: 5e9})
	refused(t, set.Decide(context.Background(), asPublished(t, "claude-ai.json")), broker.ReasonNoPolicyMatched)
}
