package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/server/servertest"
	"guestlist/store"
)

// debugLine is one line of the debug log, as README lists them.
type debugLine struct{ name, when string }

// debugLines lists them all.
func debugLines() []debugLine {
	return []debugLine{
		{debugFetched, "a host served a valid document, or said that the stored one stands"},
		{debugNotFetched, "it did not, or was not asked: budgets, pace"},
		{debugMatched, "a client was let in"},
		{debugMissed, "no policy matched; what came nearest"},
		{debugRefused, "a client was refused for anything else"},
		{decisionlog.EventClientExpired, "the end of a client's life, met or swept"},
		{decisionlog.EventClientPruned, "the end of a client that is kept out"},
		{decisionlog.EventClientRevoked, "the end of a client by an operator"},
	}
}

const debugClient = "https://client.example.com/oauth/client.json"

// debugBudget is how many cold fetches a minute one source has.
const debugBudget = 3

// debugPolicy names the clients of one host, and refuses one by what its
// document says.
var debugPolicy = map[string]string{"p.rego": `# METADATA
# title: Example
# authors: [Team <team@corp.example>]
package admission.policies.example

client_ids := {"https://client.example.com/oauth/*"}

settings := {
	"scopes": {"ceiling": ["mcp:read"]},
	"redirect": {"loopback": true},
	"client_ttl": "30d",
}

deny_document contains {"code": "forbidden", "message": "nobody wants it"} if {
	input.published.client_name == "Forbidden"
}
`}

// debugged is a server whose broker is observed as the program's is.
type debugged struct {
	*servertest.Server
	t     *testing.T
	sweep *sweeper
	lines servertest.Buffer
	seq   uint64   // of the last record of what came before the scenario
	from  int      // of the lines of the scenario
	ids   []string // request ids in the order of their requests
}

func newDebugged(t *testing.T, level zerolog.Level) *debugged {
	t.Helper()
	d := &debugged{t: t}
	a := &app{log: zerolog.New(&d.lines).Level(level)}
	if err := a.measure(); err != nil {
		t.Fatal(err)
	}
	d.Server = servertest.New(t, servertest.Options{Policy: debugPolicy, Budgets: broker.Budgets{PerSource: debugBudget}, Observe: servertest.Observer{Broker: a.observeBroker()}})
	d.sweep = &sweeper{store: d.Store, broker: d.Broker, now: d.Clock.Now, log: zerolog.New(failing{t})}
	d.Docs.Publish(debugClient, nil)
	return d
}

// begin ends what only prepares a scenario.
func (d *debugged) begin() {
	d.t.Helper()
	if err := d.Batch.Flush(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
	newest, err := store.Log{Store: d.Store}.Last(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	d.seq, d.from, d.ids = newest, len(d.lines.String()), nil
}

// arrive has a client ask.
func (d *debugged) arrive(id string) {
	p := d.Browser().Authorize(d.Request(id, nil))
	d.ids = append(d.ids, p.Header.Get("X-Request-Id"))
}

// debugScenarios are what PF-36 and PF-37 ask to be seen.
var debugScenarios = map[string]func(*debugged){
	"admitted": func(d *debugged) {
		d.begin()
		d.arrive(debugClient)
	},
	"reused": func(d *debugged) {
		d.arrive(debugClient)
		d.begin()
		d.arrive(debugClient)
	},
	"used": func(d *debugged) {
		b := d.Browser()
		p := b.SignIn(b.Authorize(d.Request(debugClient, nil)), "alice")
		d.begin()
		p = b.Submit(p, "decision", url.Values{"decision": {"allow"}})
		d.ids = append(d.ids, p.Header.Get("X-Request-Id"))
		status, answer, header := d.Token(d.Exchange(debugClient, p, nil))
		d.ids = append(d.ids, header.Get("X-Request-Id"))
		if status != http.StatusOK {
			d.t.Fatalf("token: %d %v", status, answer)
		}
	},
	"missed": func(d *debugged) {
		d.begin()
		d.arrive("https://client.example.com/other/client.json")
	},
	"denied": func(d *debugged) {
		d.Docs.Publish(debugClient, map[string]any{"client_name": "Forbidden"})
		d.begin()
		d.arrive(debugClient)
	},
	"not_fetched": func(d *debugged) {
		d.Docs.Set(debugClient, servertest.Answer{Status: http.StatusNotFound})
		d.begin()
		d.arrive(debugClient)
	},
	"paced": func(d *debugged) {
		d.Docs.Set(debugClient, servertest.Answer{Status: http.StatusServiceUnavailable})
		d.arrive(debugClient)
		d.arrive(debugClient)
		d.begin()
		d.arrive(debugClient)
	},
	"over_budget": func(d *debugged) {
		for i := range debugBudget {
			d.arrive(fmt.Sprintf("https://client.example.com/oauth/%d.json", i))
		}
		d.begin()
		d.arrive(debugClient)
	},
	"swept": func(d *debugged) {
		d.arrive(debugClient)
		d.Clock.Advance(40 * 24 * time.Hour)
		d.begin()
		d.sweep.round(d.t.Context())
	},
	"pruned": func(d *debugged) {
		d.arrive(debugClient)
		if err := d.Activate(map[string]string{"p.rego": "package admission.defaults\n\nsettings := {}\n"}); err != nil {
			d.t.Fatal(err)
		}
		d.begin()
		d.arrive(debugClient)
	},
}

// TestDebugLog is PF-36, PF-37: each scenario yields exactly the lines of its
// golden file at level debug, and none at level info; the records that tell the
// same are there at either.
func TestDebugLog(t *testing.T) {
	dir, seen := filepath.Join("..", "..", "testdata", "debug"), map[string]bool{}
	for name, play := range debugScenarios {
		for _, level := range []zerolog.Level{zerolog.DebugLevel, zerolog.InfoLevel} {
			d := newDebugged(t, level)
			play(d)
			lines := d.written()
			if level > zerolog.DebugLevel && d.lines.String() != "" {
				t.Errorf("%s: at level %s the debug log has\n%s", name, level, d.lines.String())
			} else if level == zerolog.DebugLevel {
				sameLines(t, filepath.Join(dir, name+".log"), lines)
			}
			for _, l := range lines {
				seen[l["event"].(string)] = true
			}
			sameLines(t, filepath.Join(dir, name+".records"), d.recorded())
		}
	}
	for _, l := range debugLines() {
		if !seen[l.name] && l.name != decisionlog.EventClientRevoked {
			t.Errorf("no scenario has a line %s", l.name)
		}
	}
}

// written are the lines of the scenario.
func (d *debugged) written() (out []map[string]any) {
	d.t.Helper()
	for line := range strings.Lines(d.lines.String()[d.from:]) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			d.t.Fatalf("line %q: %v", line, err)
		}
		if m["level"] != "debug" || m["client_id"] == nil {
			d.t.Errorf("the line %s has no level debug, or no client_id", line)
		}
		out = append(out, d.plain(m))
	}
	return out
}

// recorded are the records of the scenario.
func (d *debugged) recorded() (out []map[string]any) {
	d.t.Helper()
	if err := d.Batch.Flush(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
	sealed, err := d.Store.Records(d.t.Context(), store.RecordQuery{After: d.seq})
	if err != nil {
		d.t.Fatal(err)
	}
	for _, s := range sealed {
		whole, err := s.JSON()
		if err != nil {
			d.t.Fatal(err)
		}
		var m map[string]any
		if err := json.Unmarshal([]byte(strings.ReplaceAll(string(whole), d.Issuer, "https://as.example.com")), &m); err != nil {
			d.t.Fatal(err)
		}
		out = append(out, d.plain(m))
	}
	return out
}

// plain puts what no two runs share into words: ids and durations.
func (d *debugged) plain(m map[string]any) map[string]any {
	if id, ok := m["request_id"].(string); ok {
		m["request_id"] = fmt.Sprintf("REQUEST %d", slices.Index(d.ids, id)+1)
	}
	for _, name := range []string{"decision_id", "incarnation", "revision", "engine", "grant_id", "subject", "token_id", "seq"} {
		if _, ok := m[name]; ok {
			m[name] = strings.ToUpper(name)
		}
	}
	if metrics, ok := m["metrics"].(map[string]any); ok {
		for _, name := range slices.Collect(maps.Keys(metrics)) {
			metrics[name] = "NANOSECONDS"
		}
	}
	if _, ok := m["took_ms"]; ok {
		m["took_ms"] = "MILLISECONDS"
	}
	return m
}

// sameLines compares lines with a golden file.
func sameLines(t *testing.T, file string, lines []map[string]any) {
	t.Helper()
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	for _, l := range lines {
		if err := e.Encode(l); err != nil {
			t.Fatal(err)
		}
	}
	if *updatePages {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || string(want) != b.String() {
		t.Errorf("%s (%v) has:\n%s\nit was:\n%s", file, err, want, b.String())
	}
}

// TestReadmeDebugLog: the table of README lists every line of the debug log,
// and no other.
func TestReadmeDebugLog(t *testing.T) {
	var want []string
	for _, l := range debugLines() {
		want = append(want, "| `"+l.name+"` | "+l.when+" |")
	}
	_, rest, _ := strings.Cut(section(t, "For auditors"), "| line of the debug log | tells of |\n|---|---|\n")
	table, _, _ := strings.Cut(rest, "\n\n")
	if got := strings.Split(strings.TrimSpace(table), "\n"); !slices.Equal(got, want) {
		t.Errorf("README has the lines\n%s\nwant\n%s", table, strings.Join(want, "\n"))
	}
}

// TestDebugProcess: log.level reaches the debug log.
func TestDebugProcess(t *testing.T) {
	s := newSite(t)
	s.add("log: {level: debug}\n")
	p := s.serve()
	s.alice().play(s.authorizeLink())
	p.find(p.errs, `"level":"debug","event":"document.fetched"`, "\n")
	if line := p.find(p.errs, `"level":"debug","event":"admission.matched"`, "\n"); !strings.Contains(line, `"time":`) {
		t.Errorf("the line %s has no time", line)
	}
}
