package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/server/admin"
	"guestlist/server/servertest"
	"guestlist/store"
)

var updateRecords = flag.Bool("update", false, "write the golden records anew")

// goldenRecords is where the record of each event is.
var goldenRecords = filepath.Join("..", "testdata", "records")

// recorded is a server with one client, whose operators have a socket.
type recorded struct {
	*servertest.Server
	t     *testing.T
	b     *servertest.Browser
	admin *admin.Client
}

// operators lets an operator act on s, as who the test runs as.
func operators(t *testing.T, s *servertest.Server) *admin.Client {
	t.Helper()
	return admin.NewClient(operatorSocket(t, s))
}

// operatorSocket is where operators act on s.
func operatorSocket(t testing.TB, s *servertest.Server) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gl")
	check(t, err)
	socket := filepath.Join(dir, "s")
	l, err := admin.Listen(socket)
	check(t, err)
	h, err := admin.New(admin.Config{
		Store: s.Kept, Flush: s.Batch.Flush, Now: s.Clock.Now, Later: s.Batch.Keep, Broker: s.Broker, Pseudonym: s.Keys.Pseudonym,
		Reload: func(context.Context) error { return nil }, Rotate: func(_ context.Context, purpose string) error { return s.Keys.Rotate(purpose) },
		Destroy: func(_ context.Context, purpose string) error { return s.Keys.Destroy(purpose) },
	})
	check(t, err)
	web := httptest.NewUnstartedServer(h)
	web.Listener.Close()
	web.Listener, web.Config.ConnContext = l, admin.ConnContext
	web.Start()
	t.Cleanup(func() { web.Close(); os.RemoveAll(dir) })
	return socket
}

// newRecorded starts a server whose one client may refresh.
func newRecorded(t *testing.T, policy map[string]string) *recorded {
	t.Helper()
	s := servertest.New(t, servertest.Options{Policy: policy})
	s.Docs.Publish(client, refreshing)
	return &recorded{s, t, s.Browser(), operators(t, s)}
}

// arrive has the client ask.
func (r *recorded) arrive() servertest.Page {
	r.t.Helper()
	return r.b.Authorize(r.Request(client, nil))
}

// changed has the client's document say something else, and go stale.
func (r *recorded) changed() {
	r.Docs.Publish(client, map[string]any{"grant_types": []string{"authorization_code", "refresh_token"}, "client_name": "Renamed"})
	r.Clock.Advance(2 * time.Hour)
}

// pinned is a document that can be pinned.
func pinned(name string) []byte {
	return []byte(`{"client_id": "` + client + `", "client_name": "` + name + `", "client_uri": "https://client.example.com/",
		"redirect_uris": ["` + redirectURI + `"], "response_types": ["code"]}`)
}

// firing has what fires each event. The rest of a scenario may write other events.
var firing = map[string]func(*recorded){
	decisionlog.EventAdmissionDecided: func(r *recorded) { r.arrive() },
	decisionlog.EventDocumentFetched: func(r *recorded) {
		r.arrive()
		must(r.t)(r.admin.Refresh(r.t.Context(), client))
	},
	decisionlog.EventDocumentChanged: func(r *recorded) {
		r.arrive()
		r.changed()
		r.arrive()
	},
	decisionlog.EventDocumentWithdrawn: func(r *recorded) {
		r.arrive()
		r.Docs.Set(client, servertest.Answer{Status: http.StatusNotFound})
		must(r.t)(r.admin.Refresh(r.t.Context(), client))
	},
	decisionlog.EventDocumentPinned: func(r *recorded) { check(r.t, r.admin.Pin(r.t.Context(), client, pinned("Pinned"))) },
	decisionlog.EventDocumentUnpinned: func(r *recorded) {
		check(r.t, r.admin.Pin(r.t.Context(), client, pinned("Pinned")))
		check(r.t, r.admin.Unpin(r.t.Context(), client))
	},
	decisionlog.EventDocumentApproved: func(r *recorded) {
		check(r.t, r.admin.Pin(r.t.Context(), client, pinned("Pinned")))
		got, err := r.admin.Refresh(r.t.Context(), client)
		check(r.t, err)
		must(r.t)(r.admin.Approve(r.t.Context(), client, got.After))
	},
	decisionlog.EventClientExpired: func(r *recorded) {
		r.arrive()
		r.Clock.Advance(40 * 24 * time.Hour)
		r.arrive()
	},
	decisionlog.EventClientPruned: func(r *recorded) {
		r.arrive()
		check(r.t, r.Activate(map[string]string{"p.rego": "package admission.defaults\n\nsettings := {}\n"}))
		r.arrive()
	},
	decisionlog.EventClientBlocked: func(r *recorded) { r.block() },
	decisionlog.EventClientUnblocked: func(r *recorded) {
		r.block()
		must(r.t)(r.admin.Unblock(r.t.Context(), broker.BlockHost, "client.example.com"))
	},
	decisionlog.EventKeysDestroyed: func(r *recorded) { check(r.t, r.admin.DestroyKey(r.t.Context(), "pseudonym")) },
	decisionlog.EventLogHeld:       func(r *recorded) { r.hold() },
	decisionlog.EventLogReleased: func(r *recorded) {
		must(r.t)(r.admin.DropHold(r.t.Context(), r.hold().ID))
	},
	decisionlog.EventClientRevoked:  func(r *recorded) { r.end() },
	decisionlog.EventClientsRevoked: func(r *recorded) { r.end() },
	decisionlog.EventPersonSignedIn: func(r *recorded) { r.b.SignIn(r.arrive(), servertest.Person) },
	decisionlog.EventPersonSignInFailed: func(r *recorded) {
		r.b.Submit(r.arrive(), "password", url.Values{"username": {servertest.Person}, "password": {"a wrong password"}})
	},
	decisionlog.EventPersonSignedOut: func(r *recorded) {
		p := r.b.SignIn(r.arrive(), servertest.Person)
		_, fields, _ := p.Form("decision")
		r.b.Post(r.Issuer+"/signout", url.Values{"csrf": fields["csrf"]})
	},
	decisionlog.EventConsentGranted: func(r *recorded) { r.b.Play(r.Request(client, nil)) },
	decisionlog.EventConsentRefused: func(r *recorded) {
		r.b.Submit(r.b.SignIn(r.arrive(), servertest.Person), "decision", url.Values{"decision": {"deny"}})
	},
	decisionlog.EventConsentWithdrawn: func(r *recorded) {
		r.b.Play(r.Request(client, nil))
		r.b.Submit(accountOf(r.t, r.Server, r.b), "revoke_all", url.Values{"revoke_all": {"all"}})
	},
	decisionlog.EventTokenIssued:    func(r *recorded) { signedIn(r.t, r.Server) },
	decisionlog.EventTokenRefreshed: func(r *recorded) { refresh(r.Server, signedIn(r.t, r.Server)["refresh_token"], nil) },
	decisionlog.EventTokenRepeatedInGrace: func(r *recorded) {
		first := signedIn(r.t, r.Server)["refresh_token"]
		refresh(r.Server, first, nil)
		refresh(r.Server, first, nil)
	},
	decisionlog.EventTokenReuseDetected: func(r *recorded) {
		first := signedIn(r.t, r.Server)["refresh_token"]
		refresh(r.Server, first, nil)
		r.Clock.Advance(time.Minute)
		refresh(r.Server, first, nil)
	},
	decisionlog.EventTokenReplayDetected: func(r *recorded) {
		p := r.b.Play(r.Request(client, nil))
		r.Token(r.Exchange(client, p, nil))
		r.Token(r.Exchange(client, p, nil))
	},
	decisionlog.EventTokenRevoked: func(r *recorded) { revoke(r.t, r.Server, signedIn(r.t, r.Server)["refresh_token"]) },
	decisionlog.EventTokenIntrospected: func(r *recorded) {
		token := signedIn(r.t, r.Server)["access_token"]
		for range 3 { // sampled
			introspect(r.t, r.Server, "Example MCP server", servertest.Secret, token)
		}
	},
	decisionlog.EventGrantEnded: func(r *recorded) {
		token := signedIn(r.t, r.Server)["refresh_token"]
		check(r.t, r.Activate(refreshPolicy(`deny_refresh contains {"code": "left", "message": "m", "effect": "end_grant"}`)))
		refresh(r.Server, token, nil)
	},
	decisionlog.EventRequestRefused:    func(r *recorded) { r.Token(url.Values{"grant_type": {"password"}}) },
	decisionlog.EventPolicyActivated:   func(*recorded) {},
	decisionlog.EventPolicyReloadAsked: func(r *recorded) { must(r.t)(r.admin.Reload(r.t.Context())) },
	decisionlog.EventFactsChanged:      func(r *recorded) { check(r.t, r.SetFacts(map[string]any{"freeze": true})) },
	decisionlog.EventKeysRotated:       func(r *recorded) { check(r.t, r.admin.Rotate(r.t.Context(), "signing")) },
	decisionlog.EventKeysRotationAsked: func(r *recorded) { check(r.t, r.admin.Rotate(r.t.Context(), "signing")) },
	decisionlog.EventAdminRequest: func(r *recorded) {
		for range 3 { // sampled
			must(r.t)(r.admin.Reach(r.t.Context(), admin.ClientFilter{Host: "client.example.com"}))
		}
	},
	decisionlog.EventLogExported: func(r *recorded) {
		must(r.t)(r.admin.Records(r.t.Context(), admin.RecordFilter{Outcome: "refused"}))
	},
}

// must ends the test on an error.
func must(t *testing.T) func(_ any, err error) {
	return func(_ any, err error) { t.Helper(); check(t, err) }
}

func (r *recorded) block() {
	must(r.t)(r.admin.Block(r.t.Context(), broker.Block{Kind: broker.BlockHost, Value: "client.example.com", Reason: "stolen"}))
}

// hold puts a legal hold.
func (r *recorded) hold() store.Hold {
	r.t.Helper()
	h, err := r.admin.Hold(r.t.Context(), admin.RecordFilter{Host: "client.example.com", Person: "alice"}, "case 2026-7")
	check(r.t, err)
	return h
}

// end revokes the client.
func (r *recorded) end() {
	r.arrive()
	must(r.t)(r.admin.Revoke(r.t.Context(), admin.ClientFilter{Host: "client.example.com"}, "no longer used"))
}

// refreshPolicy lets the client refresh, with a further rule.
func refreshPolicy(rule string) map[string]string {
	return map[string]string{
		"facts.schema.json": `{"type": "object", "properties": {"freeze": {"type": "boolean", "default": false}}}`,
		"clients.rego": "# METADATA\n# title: Clients\n# authors: [Team <team@corp.example>]\npackage admission.policies.clients\n\n" +
			"client_ids := {\"" + client + "\"}\n\n" +
			`settings := {"scopes": {"ceiling": ["mcp:read"], "default": ["mcp:read"]}, "redirect": {"loopback": true}, "tags": ["tier-one"], ` +
			`"grant_types": ["authorization_code", "refresh_token"], "refresh_token": {"issue": true}}` + "\n\n" +
			`deny contains {"code": "frozen", "message": "m"} if input.facts.freeze` + "\n" + rule + "\n",
	}
}

// TestEventsFired is CU-21, H-10, G-29, G-01: each event is written by what it
// says, once, with the members that it says, as its golden file has it.
func TestEventsFired(t *testing.T) {
	t.Parallel()
	for event, fire := range firing {
		t.Run(event, func(t *testing.T) {
			t.Parallel()
			r := newRecorded(t, refreshPolicy(""))
			fire(r)
			fired(t, r.Server, event)
		})
	}
	t.Run(decisionlog.EventClientKeysChanged, func(t *testing.T) {
		t.Parallel()
		f := newFetchedKeys(t, `"document": {"on_change": "accept"},`)
		f.serve(f.b)
		f.refresh(f.b)
		fired(t, f.Server, decisionlog.EventClientKeysChanged)
	})
}

// volatile are the members that no two runs share, and texts with such.
var (
	volatile   = []string{"seq", "decision_id", "request_id", "last_request_id", "grant_id", "token_id", "incarnation", "revision", "engine", "subject", "actor", "trace_id"}
	thumbprint = regexp.MustCompile(`\b[A-Za-z0-9_-]{43}\b`)
	holdID     = regexp.MustCompile(`\bhold [0-9a-f]{16}\b`)
	pseudonym  = regexp.MustCompile(`\bperson [A-Za-z0-9_-]{22}\b`)
)

// fired compares the first record of an event with its golden file; there is
// one, but of activations, of which a start is the first.
func fired(t *testing.T, s *servertest.Server, event string) {
	t.Helper()
	check(t, s.Batch.Flush(t.Context()))
	sealed, err := s.Store.Records(t.Context(), store.RecordQuery{Event: event})
	check(t, err)
	if len(sealed) == 0 || len(sealed) > 1 && event != decisionlog.EventPolicyActivated {
		t.Fatalf("%d records %s, want one", len(sealed), event)
	}
	whole, err := sealed[0].JSON()
	check(t, err)
	var m map[string]any
	check(t, json.Unmarshal(whole, &m))
	for _, name := range volatile {
		if v, ok := m[name]; ok {
			if _, text := v.(string); text {
				m[name] = strings.ToUpper(name)
			} else {
				m[name] = 1
			}
		}
	}
	if metrics, ok := m["metrics"].(map[string]any); ok {
		for name := range metrics {
			metrics[name] = 1
		}
	}
	out, err := json.MarshalIndent(m, "", "  ")
	check(t, err)
	out = append(bytes.ReplaceAll(out, []byte(s.Issuer), []byte("https://as.example.com")), '\n')
	out = thumbprint.ReplaceAll(out, []byte("THUMBPRINT"))
	out = pseudonym.ReplaceAll(holdID.ReplaceAll(out, []byte("hold HOLD")), []byte("person SUBJECT"))
	file := filepath.Join(goldenRecords, event+".json")
	if *updateRecords {
		check(t, os.WriteFile(file, out, 0o644))
	}
	want, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(out, want) {
		t.Errorf("%s (%v) has:\n%s\nthe record is:\n%s", file, err, want, out)
	}
}
