package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
)

var updatePages = flag.Bool("update", false, "write the golden files of this package anew")

// compareGolden holds got against a golden file.
func compareGolden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "explain", name+".golden")
	if *updatePages {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; got:\n%s\nwant:\n%s", path, got, want)
	}
}

var decided = time.Date(2026, 11, 20, 10, 0, 0, 120_000_000, time.UTC)

const exampleClient = "https://agents.example/cimd/client.json"

// refused is a request that no policy matched.
func refused() []decisionlog.Record {
	return []decisionlog.Record{{
		DecisionID: "d-refused", Timestamp: decided, Event: "admission.decided", Outcome: "refused", Reason: "no_policy_matched",
		PublicReason: "client_not_admitted", RequestID: "r-refused", Path: "admission/v1", Revision: "sha256:rev", Engine: "opa v1.22.3",
		Epoch: 3, ClientID: exampleClient, Registration: "cimd", Phase: "url",
		Phases: []decisionlog.Phase{{Phase: "url", Reason: "no_policy_matched", NearestMiss: "policy agents matches https://agents.example/client.json: the path differs"}},
		Detail: "policy agents matches https://agents.example/client.json: the path differs", Source: "192.0.2.1",
		Input: json.RawMessage(`{"client_id":"https://agents.example/cimd/client.json","phase":"url"}`),
	}}
}

// denied is a request that met an expired client and was denied then.
func denied() []decisionlog.Record {
	pruned := decisionlog.Record{
		DecisionID: "d-pruned", Timestamp: decided, Event: "client.pruned", Outcome: "pruned", Reason: "client_ended", RequestID: "r-denied",
		Revision: "sha256:rev", Engine: "opa v1.22.3", Epoch: 3, ClientID: exampleClient, Registration: "cimd", Incarnation: 77,
		DocumentSHA256: "aabb", Policy: []string{"agents"}, Detail: "the client expired at 2026-11-19T10:00:00Z",
	}
	answer := pruned
	answer.DecisionID, answer.Event, answer.Outcome, answer.Reason, answer.PublicReason = "d-denied", "admission.decided", "refused", "policy_denied", "client_not_admitted"
	answer.Detail, answer.Source, answer.Phase = "loopback is for engineering", "192.0.2.1", "document"
	candidates := []decisionlog.Candidate{
		{Policy: "agents", Title: "Agents we know", Pattern: "https://agents.example/**", Priority: 10, Mode: "enforce", Settles: true, Row: "partners /cimd/**"},
		{Policy: "vetoes", Pattern: "https://*.example/**", Mode: "enforce"},
	}
	answer.Phases = []decisionlog.Phase{
		{Phase: "url", Allowed: true, Winner: []string{"agents"}, Why: "the higher priority 10 (policy agents)", Candidates: candidates},
		{
			Phase: "document", Reason: "policy_denied", Winner: []string{"agents"}, Why: "the higher priority 10 (policy agents)", Candidates: candidates,
			Denials: []decisionlog.Denial{
				{Policy: "guardrails", Rule: "deny_document", Code: "no_loopback", Message: "loopback is for engineering", UserMessage: "Ask your administrator.", Remedy: "ask for a waiver", Effect: "end_grant", Location: "guardrails/base.rego:14"},
				{Policy: "vetoes", Rule: "deny", Code: "too_new", Message: "the domain is new", Effect: "refuse", Location: "vetoes.rego:9"},
			},
			Warnings: []decisionlog.Denial{{Policy: "agents", Rule: "warn", Code: "no_logo", Message: "the document has no logo", Location: "agents.rego:21"},
				{Policy: "vetoes", Rule: "deny", Code: "no_shop", Message: "shops are closed", Location: "vetoes.rego:12", WaivedBy: "IAM <iam@corp.example>", WaivedUntil: "2026-12-01", WaiverTicket: "SEC-1"}},
		},
	}
	return []decisionlog.Record{pruned, answer}
}

// admitted is a request that was let in, with a consent.
func admitted(t *testing.T) []decisionlog.Record {
	s := broker.StrictSettings()
	s.Scopes = broker.ScopeSettings{Ceiling: []string{"mcp:read", "mcp:write"}, Default: []string{"mcp:read"}, Unknown: "drop", Document: "advisory"}
	s.RefreshToken.Issue, s.Redirect.Loopback, s.Audiences = true, true, []string{"https://mcp.example"}
	s.Claims = map[string]any{"tenant": "blue"}
	settings, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	effective, err := json.Marshal(broker.Effective{
		AuthMethods: []string{"none"}, GrantTypes: []string{"authorization_code"}, ResponseTypes: []string{"code"}, Scopes: []string{"mcp:read"}, Resources: []string{},
	})
	if err != nil {
		t.Fatal(err)
	}
	end := decided.Add(24 * time.Hour)
	return []decisionlog.Record{
		{
			DecisionID: "d-in", Timestamp: decided, Event: "admission.decided", Outcome: "admitted", RequestID: "r-in", Labels: map[string]string{"partner": "true", "blue": "true"},
			Revision: "sha256:rev", Engine: "opa v1.22.3", Epoch: 3, ClientID: exampleClient, Registration: "cimd", Incarnation: 78, Phase: "document",
			Policy: []string{"agents"},
			Phases: []decisionlog.Phase{{
				Phase: "url", Allowed: true, Winner: []string{"agents"}, Why: "the only policy that matches and gives settings",
				Candidates: []decisionlog.Candidate{{Policy: "agents", Pattern: exampleClient, Mode: "warn", Settles: true}},
			}},
			Settings: settings, Effective: effective, DocumentSHA256: "aabb", ExpiresAt: &end, Source: "192.0.2.1",
			Cut: []decisionlog.Cut{
				{Member: "scope", Value: "admin", By: "settings", Why: "beyond the ceiling"},
				{Member: "grant_types", Value: "refresh_token", By: "server"},
			},
			Metrics: map[string]int64{"timer_fetch_ns": 12_345_678, "timer_decide_url_ns": 90_000},
			Input:   json.RawMessage(`{"phase":"document","published":{"client_name":"Agent"}}`), Result: json.RawMessage(`{"allow":true}`),
		},
		{DecisionID: "d-yes", Timestamp: decided.Add(time.Minute), Event: "consent.granted", Outcome: "granted", RequestID: "r-in", Epoch: 3, ClientID: exampleClient, Subject: "p-1234", GrantID: "g-1", TokenID: "t-1", Actor: "olga", TraceID: "0af7"},
	}
}

// flood is a summary, and a client_id that could not be parsed.
func flood() []decisionlog.Record {
	return []decisionlog.Record{{
		DecisionID: "d-flood", Timestamp: decided, Event: "admission.decided", Outcome: "refused", Reason: "client_id_malformed", PublicReason: "client_not_admitted",
		RequestID: "r-first", LastRequestID: "r-last", Count: 900, ClientIDDigest: "sha256:cafe (12 bytes)", Source: "192.0.2.1", Epoch: 3,
	}}
}

// asLogged numbers records as the log does.
func asLogged(t *testing.T, records []decisionlog.Record) whyAnswer {
	t.Helper()
	why, err := whyOf(records...)
	if err != nil {
		t.Fatal(err)
	}
	for i, raw := range why.Records {
		why.Records[i] = json.RawMessage(`{"seq":` + strconv.Itoa(41+i) + `,` + string(raw[1:]))
	}
	return why
}

func TestExplainPages(t *testing.T) {
	unreadable := asLogged(t, refused())
	unreadable.Records = append(unreadable.Records, json.RawMessage(`{"seq":42,"error":"record 42: the body does not match the header's digest"}`))
	evaluated, err := whyOf(refused()...)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		why  whyAnswer
		show func(*bytes.Buffer, whyAnswer) error
	}{
		{"refused", asLogged(t, refused()), nil},
		{"denied", asLogged(t, denied()), nil},
		{"admitted", asLogged(t, admitted(t)), nil},
		{"admitted_verbose", asLogged(t, admitted(t)), func(b *bytes.Buffer, w whyAnswer) error { return explain(b, w, true) }},
		{"flood", asLogged(t, flood()), nil},
		{"unreadable", unreadable, nil},
		{"evaluated", evaluated, nil},
		{"hostile", asLogged(t, hostile(t, refused())), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			var b bytes.Buffer
			if test.show == nil {
				test.show = func(b *bytes.Buffer, w whyAnswer) error { return explain(b, w, false) }
			}
			if err := test.show(&b, test.why); err != nil {
				t.Fatal(err)
			}
			compareGolden(t, test.name, b.String())
		})
	}
}

// nasty tries to end the line, colour the terminal, turn the direction, hide
// and leave UTF-8.
const nasty = "x\ny\r\tz\x1b[31m\u202eevil\u2066\u200b\u2028\u0085\x7f\U000e0041\ufeff\u00ad"

// hostile puts nasty at the end of every string of the records.
func hostile(t *testing.T, records []decisionlog.Record) []decisionlog.Record {
	t.Helper()
	changed := 0
	for i := range records {
		spoil(reflect.ValueOf(&records[i]).Elem(), &changed)
	}
	if changed < 8*len(records) {
		t.Fatalf("%d strings were spoilt, want most of them", changed)
	}
	return records
}

func spoil(v reflect.Value, changed *int) {
	switch v.Kind() {
	case reflect.String:
		if v.String() != "" {
			v.SetString(v.String() + nasty)
			*changed++
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			spoil(v.Field(i), changed)
		}
	case reflect.Slice:
		if v.Type() == reflect.TypeFor[json.RawMessage]() {
			return
		}
		for i := range v.Len() {
			spoil(v.Index(i), changed)
		}
	}
}

// unsafe names the first character of s that a terminal acts on or hides.
func unsafe(s string) (string, bool) {
	for _, r := range s {
		if r != '\n' && !strconv.IsPrint(r) {
			return strconv.QuoteRuneToASCII(r), true
		}
	}
	return "", false
}

func TestPagesKeepTheirLines(t *testing.T) {
	pageOf := func(records []decisionlog.Record) string {
		var b bytes.Buffer
		if err := explain(&b, asLogged(t, records), true); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	for name, records := range map[string][2][]decisionlog.Record{
		"refused":  {refused(), refused()},
		"denied":   {denied(), denied()},
		"admitted": {admitted(t), admitted(t)},
		"flood":    {flood(), flood()},
	} {
		plain := records[0]
		for i := range plain { // spoilt words are unknown words: plain ones must be too
			if plain[i].Outcome == "refused" {
				plain[i].Outcome += "?"
			}
			for _, ph := range plain[i].Phases {
				for j := range ph.Denials {
					ph.Denials[j].Effect += "?"
				}
			}
		}
		want := strings.Count(pageOf(plain), "\n")
		got := pageOf(hostile(t, records[1]))
		if n := strings.Count(got, "\n"); n != want {
			t.Errorf("%s: %d lines with hostile strings, want %d:\n%s", name, n, want, got)
		}
		if r, bad := unsafe(got); bad {
			t.Errorf("%s: the page holds %s:\n%s", name, r, got)
		}
	}
}

func TestWhyOfTakesTheLastRefusal(t *testing.T) {
	why, err := whyOf(append(denied(), refused()[0], decisionlog.Record{Outcome: "done", Reason: "client_ended"})...)
	if err != nil || why.Reason != "no_policy_matched" || why.PublicReason != "client_not_admitted" || why.RequestID != "r-denied" {
		t.Errorf("whyOf() = %q %q %q, %v", why.RequestID, why.PublicReason, why.Reason, err)
	}
	if why, err := whyOf(admitted(t)...); err != nil || why.Reason != "" || why.PublicReason != "" {
		t.Errorf("whyOf(admitted) = %q %q, %v, want no reason", why.Reason, why.PublicReason, err)
	}
}

func TestVisible(t *testing.T) {
	for in, want := range map[string]string{
		"plain é 界 \\n": "plain é 界 \\n",
		"a\nb\tc":       `a\nb\tc`,
		"\x1b[0m\x00":   `\x1b[0m\x00`,
		"a\u202eb":      `a\u202eb`,
		"\u00a0":        `\u00a0`,
		"a\xffb\x80":    `a\xffb\x80`,
		"\U000e0041":    `\U000e0041`,
		"it's '":        "it's '",
		"\ufffd":        "\ufffd",
	} {
		if got := visible(in); got != want {
			t.Errorf("visible(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestQuietJSONKeepsValues(t *testing.T) {
	var b bytes.Buffer
	want := map[string]string{"a": nasty, "b": "é 界 \U0001f600 \U000e0041"}
	if err := printJSON(decisionlog.Quiet{W: &b}, want); err != nil {
		t.Fatal(err)
	}
	if r, bad := unsafe(b.String()); bad {
		t.Errorf("the JSON holds %s: %s", r, b.String())
	}
	var got map[string]string
	if err := json.Unmarshal(b.Bytes(), &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("read back %q, %v, want %q", got, err, want)
	}
}
