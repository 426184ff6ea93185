package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// scripts are command-line sessions of whole jobs, told from beginning to end.
const scripts = "../../testdata/script"

// TestScripts plays every session of testdata/script. Beside the commands of
// testscript a script has:
//
//	guestlist …      the program, which must end with 0
//	exits CODE …     the program, which must end with CODE
//	site             a configured server below site/, with a person alice, a
//	                 document host for client.example.com and no policies yet;
//	                 sets $CONFIG and $ISSUER
//	serve            starts that server; it ends with the script
//	soon STATUS REASON
//	                 asks for the client until the answer has STATUS, and the log
//	                 REASON where it is given, at most five seconds; prints the
//	                 page and sets $REQUEST to its id
//	flow             signs alice in, allows, exchanges the code, prints the answer
//	docs FILE        what the document host serves from now on
//	rejected TEXT    waits until the server's log says that policies were
//	                 refused, with TEXT (a regular expression)
//	healthy          waits until policy status has nothing to say
//	sink dead|alive  the receiver of the log at https://localhost, which the
//	                 configuration names from the first time on; what it took is
//	                 in the file $SINK
//	delivered        waits until that receiver has the newest record
//	copied EXPORT COPY
//	                 holds a copy of the log to have all of an export, in order
//	moment NAME      sets $NAME to the present time
func TestScripts(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(scripts, "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d scripts, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			s := &session{t: t}
			testscript.Run(t, testscript.Params{
				Files: []string{file},
				Cmds: map[string]func(*testscript.TestScript, bool, []string){
					"guestlist": s.guestlist, "exits": s.exits, "site": s.site, "serve": s.serve, "soon": s.soon, "flow": s.flow, "docs": s.docs,
					"rejected": s.rejected, "healthy": s.healthy, "sink": s.sink, "delivered": s.delivered, "copied": s.copied, "moment": s.moment,
				},
			})
		})
	}
}

// session is one script under way.
type session struct {
	t     *testing.T
	on    *site
	runs  *process
	takes *sink // nil before it is there
}

// guestlist runs the program, which must be content.
func (s *session) guestlist(ts *testscript.TestScript, neg bool, args []string) {
	s.exits(ts, neg, append([]string{"0"}, args...))
}

// exits runs the program and holds its exit code.
func (s *session) exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE argument…")
	}
	cmd := guestlist(args[1:]...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Stdout, cmd.Stderr = ts.Stdout(), ts.Stderr()
	err := cmd.Run()
	if cmd.ProcessState == nil {
		ts.Fatalf("%v", err)
	}
	if got := strconv.Itoa(cmd.ProcessState.ExitCode()); got != args[0] {
		ts.Fatalf("exit code %s, want %s", got, args[0])
	}
}

// site makes the configured server.
func (s *session) site(ts *testscript.TestScript, _ bool, _ []string) {
	s.on = newSite(s.t)
	ts.Check(os.Remove(filepath.Join(s.on.dir, "policies", "example.rego")))
	ts.Check(os.Symlink(s.on.dir, ts.MkAbs("site")))
	ts.Setenv("CONFIG", s.on.config)
	ts.Setenv("ISSUER", s.on.issuer)
}

// serve starts the server.
func (s *session) serve(*testscript.TestScript, bool, []string) { s.runs = s.on.serve() }

// rejected waits for a line of the log.
func (s *session) rejected(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: rejected TEXT")
	}
	want := regexp.MustCompile(`"policy\.rejected".*(` + args[0] + `)`)
	s.until(ts, "the log says that policies matching "+args[0]+" were rejected", func() bool {
		text, _ := s.runs.errs.text()
		return want.MatchString(text)
	})
}

// healthy waits until the policies in force are those of the directory.
func (s *session) healthy(ts *testscript.TestScript, _ bool, _ []string) {
	s.until(ts, "policy status is content", func() bool {
		_, _, code := output(s.t, "policy", "status", "--config", s.on.config)
		return code == 0
	})
}

// until waits for what the server does.
func (s *session) until(ts *testscript.TestScript, what string, done func() bool) {
	for deadline := time.Now().Add(patience); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			ts.Fatalf("it did not come to this within %s: %s", patience, what)
		}
	}
}

// docs sets what the document host answers.
func (s *session) docs(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: docs FILE")
	}
	body := ts.ReadFile(args[0])
	s.on.body.Store(&body)
}

// styles is what nobody reads in the output of a script.
var styles = regexp.MustCompile(`(?s)<style>.*?</style>`)

// soon asks until the answer has the status; it prints the last answer's
// request id and public reason.
func (s *session) soon(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 1 {
		ts.Fatalf("usage: soon STATUS [REASON]")
	}
	s.until(ts, "an answer has "+strings.Join(args, " "), func() bool {
		resp, body := s.on.alice().get(s.on.authorizeLink())
		id := resp.Header.Get("X-Request-Id")
		if strconv.Itoa(resp.StatusCode) != args[0] || len(args) > 1 && s.reason(id) != args[1] {
			return false
		}
		ts.Setenv("REQUEST", id)
		fmt.Fprintln(ts.Stdout(), styles.ReplaceAllString(body, ""))
		return true
	})
}

// reason is why a request was refused.
func (s *session) reason(id string) string {
	var why struct{ Reason string }
	stdout, _, _ := output(s.t, "audit", "why", id, "--config", s.on.config, "-o", "json")
	json.Unmarshal([]byte(stdout), &why) // nothing known: no reason
	return why.Reason
}

// flow is a whole authorization, to the access token.
func (s *session) flow(ts *testscript.TestScript, _ bool, _ []string) {
	resp, body := s.on.alice().play(s.on.authorizeLink())
	to, err := resp.Location()
	if err != nil || to.Query().Get("code") == "" {
		ts.Fatalf("no code: status %d\n%s", resp.StatusCode, body)
	}
	status, answer := s.on.exchange(to.Query().Get("code"))
	if status != http.StatusOK {
		ts.Fatalf("no token: status %d\n%s", status, answer)
	}
	fmt.Fprintln(ts.Stdout(), answer)
}
