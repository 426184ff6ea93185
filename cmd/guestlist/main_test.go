package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/html"
)

// asProgram makes the test binary behave as guestlist itself, so that tests
// run it as a process of its own without building it.
const asProgram = "TEST_GUESTLIST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) == "1" {
		os.Unsetenv(asProgram)
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
		stop()
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// patience is how long a test waits for what another process does. It bounds a
// hang and measures nothing: a busy machine may take long for anything.
const patience = 2 * time.Minute

// eventually waits for what another process does.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it did not come to this within %s: %s", patience, what)
		}
	}
}

// process is a program under test.
type process struct {
	t    testing.TB
	cmd  *exec.Cmd
	out  *lines
	errs *lines
	done chan struct{}
}

// lines collects output and lets a test wait for it.
type lines struct {
	mu      sync.Mutex
	b       bytes.Buffer
	changed chan struct{}
}

// Write implements io.Writer.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b.Write(p)
	close(l.changed)
	l.changed = make(chan struct{})
	return len(p), nil
}

// text returns what was written, and what closes when there is more.
func (l *lines) text() (string, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String(), l.changed
}

// guestlist prepares the program as a command.
func guestlist(args ...string) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

// output runs the program to its end.
func output(t testing.TB, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return runCommand(t, guestlist(args...))
}

// runCommand runs a command to its end.
func runCommand(t testing.TB, cmd *exec.Cmd) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// start runs a command in the background until the test ends.
func start(t testing.TB, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd, out: &lines{changed: make(chan struct{})}, errs: &lines{changed: make(chan struct{})}, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.out, p.errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() { p.stop(syscall.SIGTERM) })
	return p
}

// stop signals the process and waits for its end.
func (p *process) stop(sig syscall.Signal) {
	p.cmd.Process.Signal(sig)
	select {
	case <-p.done:
	case <-time.After(patience):
		p.cmd.Process.Kill()
		p.t.Errorf("%v did not stop within %s of %v", p.cmd.Args[1:], patience, sig)
	}
}

// find waits until one of the process's outputs has text between two marks.
func (p *process) find(l *lines, before, after string) string {
	p.t.Helper()
	deadline := time.After(patience)
	for why := ""; ; {
		text, changed := l.text()
		if _, rest, ok := strings.Cut(text, before); ok {
			if found, _, ok := strings.Cut(rest, after); ok {
				return found
			}
		}
		if why != "" {
			out, _ := p.out.text()
			errs, _ := p.errs.text()
			p.t.Fatalf("%v %s without %q\nstdout:\n%s\nstderr:\n%s", p.cmd.Args[1:], why, before, out, errs)
		}
		select {
		case <-changed:
		case <-p.done: // all that it wrote is there
			why = "ended"
		case <-deadline:
			why = "ran for " + patience.String()
		}
	}
}

// person is a browser with a cookie jar and somebody in front of it.
type person struct {
	t                  testing.TB
	client             *http.Client
	username, password string
	stopAt             func(*url.URL) bool // redirects that are not followed
}

// newPerson returns a browser.
func newPerson(t testing.TB, username, password string) *person {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &person{t: t, username: username, password: password}
	p.client = &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if p.stopAt != nil && p.stopAt(r.URL) {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	return p
}

// play opens a link, signs in and allows, and returns the last answer.
func (p *person) play(link string) (*http.Response, string) {
	p.t.Helper()
	resp, body := p.get(link)
	if strings.Contains(body, `name="password"`) {
		resp, body = p.submit(resp, body, "password", url.Values{"username": {p.username}, "password": {p.password}})
	}
	if strings.Contains(body, `name="decision"`) {
		resp, body = p.submit(resp, body, "decision", url.Values{"decision": {"allow"}})
	}
	return resp, body
}

// get opens a page.
func (p *person) get(link string) (*http.Response, string) {
	p.t.Helper()
	resp, err := p.client.Get(link)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.read(resp)
}

// read reads an answer.
func (p *person) read(resp *http.Response) (*http.Response, string) {
	p.t.Helper()
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp, string(b)
}

// submit fills the form that has the named element.
func (p *person) submit(resp *http.Response, body, element string, values url.Values) (*http.Response, string) {
	p.t.Helper()
	root, err := html.Parse(strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	for form := range root.Descendants() {
		if form.Data != "form" {
			continue
		}
		fields, found := formFields(form, element)
		if !found {
			continue
		}
		for k, v := range values {
			fields[k] = v
		}
		to, err := resp.Request.URL.Parse(attribute(form, "action"))
		if err != nil {
			p.t.Fatal(err)
		}
		next, err := p.client.PostForm(to.String(), fields)
		if err != nil {
			p.t.Fatal(err)
		}
		return p.read(next)
	}
	p.t.Fatalf("no form with %q on %s:\n%s", element, resp.Request.URL, body)
	return nil, ""
}

// formFields returns a form's inputs and whether it has the named element.
func formFields(form *html.Node, element string) (url.Values, bool) {
	fields, found := url.Values{}, false
	for n := range form.Descendants() {
		if n.Data != "input" && n.Data != "button" {
			continue
		}
		name := attribute(n, "name")
		found = found || name == element
		if n.Data == "input" && name != "" {
			fields.Add(name, attribute(n, "value"))
		}
	}
	return fields, found
}

// attribute returns an attribute's value.
func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}
