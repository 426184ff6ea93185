package decisionlog_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"guestlist/broker/decisionlog"
)

var update = flag.Bool("update", false, "write the golden files anew")

// viewed are one record of each kind that views tell apart.
func viewed() map[string]decisionlog.Record {
	at := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	decided := sample()
	decided.Path, decided.Revision, decided.Epoch = "admission/v1", "sha256:aa", 4
	decided.TraceID, decided.SpanID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	decided.Labels, decided.Metrics = map[string]string{"tier": "gold"}, map[string]int64{"timer_decide_ns": 12000}
	decided.Policy, decided.Result = []string{"agents"}, json.RawMessage(`{"allowed":false}`)
	decided.Settings = json.RawMessage(`{"client_ttl":"30d"}`)
	hidden, err := decided.Mask([]decisionlog.Edit{remove("/input/user/sub"), upsert("/source", `"192.0.2.0/24"`), upsert("/detail", `"…"`)})
	if err != nil {
		panic(err)
	}
	return map[string]decisionlog.Record{
		"decided": decided, "masked": hidden, "withheld": decided.Withhold("mask.rego:7: it did not finish in its time"),
		"erased": decided, "computed": computed(), "computed_erased": computed(),
		"issued": {DecisionID: "d2", Timestamp: at, Event: "token.issued", Outcome: decisionlog.OutcomeIssued, Epoch: 4,
			ClientID: "https://client.example.com/c", Subject: "pseudonym", GrantID: "g1", TokenID: "t1"},
	}
}

// TestView: each view of each kind of record is a golden file.
func TestView(t *testing.T) {
	for _, name := range decisionlog.Views() {
		write, err := decisionlog.View(name)
		if err != nil {
			t.Fatal(err)
		}
		for kind, r := range viewed() {
			s, err := decisionlog.Seal(7, r)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(kind, "erased") {
				s.Body, s.Salt = nil, nil
			}
			line, err := write(s)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.ContainsAny(line, "\r\n") {
				t.Errorf("View(%q) of %s has more than one line: %q", name, kind, line)
			}
			var got bytes.Buffer
			if err := json.Indent(&got, line, "", "  "); err != nil {
				t.Fatalf("View(%q) of %s: %v", name, kind, err)
			}
			got.WriteByte('\n')
			file := filepath.Join("testdata", "view", name+"_"+kind+".json")
			if *update {
				if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), want) {
				t.Errorf("View(%q) of %s = %s, want %s", name, kind, got.Bytes(), want)
			}
		}
	}
}

func TestViewRefuses(t *testing.T) {
	for _, name := range []string{"", "OPA", "syslog"} {
		if _, err := decisionlog.View(name); err == nil {
			t.Errorf("View(%q) = nil error, want one", name)
		}
	}
	for _, name := range decisionlog.Views() {
		write, err := decisionlog.View(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := write(decisionlog.Sealed{Seq: 1, Header: []byte("{")}); err == nil {
			t.Errorf("View(%q) of a damaged record = nil error, want one", name)
		}
	}
}
