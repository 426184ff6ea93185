package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"guestlist/server/admin"
	"guestlist/server/keys"
	"guestlist/server/servertest"
	"guestlist/store/bolt"
)

// crash is a site whose server is killed again and again, in the middle of what
// clients, people and operators do. What they were told goes on from one server
// to the next.
type crash struct {
	*site
	seed uint64

	mu        sync.Mutex
	r         *rand.Rand
	idle      []*family         // nobody has them in hand
	all       []*family         // every one, by its birth
	outcomes  map[string]string // by request id: outcomes that a record of it must have, by |
	revisions map[string]bool   // whose activation was told
	acts      map[string]int    // what was done and judged
	wrong     []string
	flows     int
}

// crashPolicy admits the clients of one path; a spent refresh token of theirs is
// answered again for so long.
func crashPolicy(name, grace, format string) string {
	return fmt.Sprintf(`# METADATA
# title: %[1]s clients
# authors: [Platform team <platform@corp.example>]
package admission.policies.%[1]s

client_ids := {"https://client.example.com/%[1]s/*"}

settings := {
	"scopes": {"ceiling": ["mcp:read"], "default": ["mcp:read"]},
	"redirect": {"loopback": true},
	"grant_types": ["authorization_code", "refresh_token"],
	"refresh_token": {"issue": true, "grace": %[2]q},
	"access_token": {"format": %[3]q, "ttl": "30m"},
}
`, name, grace, format)
}

// newCrash writes a site with two kinds of clients: what a hasty one presents
// again ends its grant at once, a patient one gets the same answer for a minute.
func newCrash(t *testing.T, seed uint64) *crash {
	t.Helper()
	c := &crash{
		site: newSite(t), seed: seed, r: rand.New(rand.NewPCG(seed, 0)), outcomes: map[string]string{}, revisions: map[string]bool{}, acts: map[string]int{},
	}
	c.each = true
	c.write("secret", operatorSecret)
	config, err := os.ReadFile(c.config)
	orFail(t, err)
	c.write("guestlist.yaml", strings.NewReplacer("unsigned: true", "unsigned: true, watch: false", "    scopes: [mcp:read]\n", "    scopes: [mcp:read]\n    secret_file: secret\n").Replace(string(config)))
	orFail(t, os.Remove(filepath.Join(c.dir, "policies", "example.rego")))
	c.write("policies/hasty.rego", crashPolicy("hasty", "0s", "opaque"))
	c.write("policies/patient.rego", crashPolicy("patient", "60s", "jwt"))
	return c
}

// chance is a number below n.
func (c *crash) chance(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.r.IntN(n)
}

// find notes what must not be.
func (c *crash) find(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wrong = append(c.wrong, fmt.Sprintf(format, args...))
}

// judged counts what was done.
func (c *crash) judged(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.acts[what]++
}

// The moments at which a server is killed.
const (
	killAnswered = "answered" // when somebody was given an answer
	killServing  = "serving"  // some time after it began to serve
	killStarting = "starting" // some time after it was started
)

// round is one server from its start to its end, and what it left.
func (c *crash) round(n int, moment string) {
	c.t.Helper()
	where := fmt.Sprintf("seed %d, round %d, %s", c.seed, n, moment)
	if moment == killStarting {
		p := start(c.t, guestlist("serve", "--config", c.config))
		time.Sleep(time.Duration(c.chance(300)) * time.Millisecond)
		p.stop(syscall.SIGKILL)
	} else {
		c.play(c.serve(), moment)
	}
	c.check()
	for _, w := range c.wrong {
		c.t.Errorf("%s: %s", where, w)
	}
}

// play has clients, people and an operator at a server until it is gone.
func (c *crash) play(p *process, moment string) {
	var left atomic.Int64 // answers until it is killed
	left.Store(1 << 40)
	kill := func() { p.cmd.Process.Signal(syscall.SIGKILL) }
	patience := time.Minute // for as many answers
	if moment == killAnswered {
		left.Store(int64(40 + c.chance(60)))
	} else {
		patience = time.Duration(c.chance(500)) * time.Millisecond
	}
	timer := time.AfterFunc(patience, kill)
	defer timer.Stop()
	answered := func() {
		if left.Add(-1) == 0 {
			kill()
		}
	}
	var under sync.WaitGroup
	for range 3 {
		w := newWorker(c, answered)
		under.Go(w.play)
	}
	under.Go(func() { c.operate(p) })
	under.Wait()
	p.stop(syscall.SIGKILL)
}

// operate has policies activated by SIGHUP, and the log asked, until the server
// is gone. An activation was told when the server's own log says so.
func (c *crash) operate(p *process) {
	op := admin.NewClient(filepath.Join(c.dir, "admin.sock"))
	for n := 0; ; n++ {
		c.write("policies/more.rego", crashPolicy("more", "1s", "jwt")+fmt.Sprintf("\n# %d\n", time.Now().UnixNano()))
		text, _ := p.errs.text()
		before := strings.Count(text, `"policy.activated"`)
		p.cmd.Process.Signal(syscall.SIGHUP)
		for activated := false; !activated; {
			text, changed := p.errs.text()
			if activated = strings.Count(text, `"policy.activated"`) > before; activated {
				break
			}
			select {
			case <-changed:
			case <-p.done:
				c.activations(p)
				return
			}
		}
		c.activations(p)
		c.judged("activated")
		for range 3 {
			_, _ = op.Records(c.t.Context(), admin.RecordFilter{Limit: 10}) // writes what is held; that the server is gone is noticed above
		}
	}
}

// activations notes the revisions that a server said to be in force.
func (c *crash) activations(p *process) {
	text, _ := p.errs.text()
	lines := strings.Split(text, "\n")
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, line := range lines[:len(lines)-1] { // the last one may be a part
		var said struct{ Event, Revision string }
		if json.Unmarshal([]byte(line), &said) == nil && said.Event == "policy.activated" {
			c.revisions[said.Revision] = true
		}
	}
}

// ledger reads the store of a site whose server is gone; nil: there is none yet.
func (s *site) ledger() *servertest.Ledger {
	s.t.Helper()
	file := filepath.Join(s.dir, "guestlist.db")
	if _, err := os.Stat(file); err != nil {
		return nil
	}
	st, err := bolt.Open(bolt.Config{Path: file})
	orFail(s.t, err)
	defer st.Close()
	l, err := servertest.ReadLedger(s.t.Context(), st, file)
	orFail(s.t, err)
	k, err := keys.Open(keys.Config{Dir: filepath.Join(s.dir, "keys"), Now: time.Now})
	orFail(s.t, err)
	l.Pseudonym, l.Now = k.Pseudonym, time.Now()
	return l
}

// check holds what a server left against its records, and against what
// everybody was told.
func (c *crash) check() {
	c.t.Helper()
	l := c.ledger()
	if l == nil {
		return
	}
	for _, v := range l.Violations() {
		c.find("%s", v)
	}
	there := map[string]bool{}
	for _, r := range l.Records {
		there[r.RequestID+" "+r.Outcome] = true
	}
	for id, want := range c.outcomes {
		found := false
		for _, o := range strings.Split(want, "|") {
			found = found || there[id+" "+o]
		}
		if !found {
			c.find("request %s was answered, and has no record %s", id, want)
		}
	}
	for revision := range c.revisions {
		if !l.Bundles[revision] {
			c.find("revision %.15s was told to be in force, and never was", revision)
		}
	}
	for _, f := range c.all {
		for _, wrong := range f.held(l) {
			c.find("%s: %s", f.client, wrong)
		}
	}
}

// rounds plays rounds, each with the next of the moments.
func (c *crash) rounds(n int) {
	began := time.Now()
	moments := []string{killAnswered, killServing, killAnswered, killStarting}
	for i := range n {
		if c.round(i, moments[i%len(moments)]); c.t.Failed() {
			break
		}
	}
	c.t.Logf("seed %d: %d rounds, %v, %s", c.seed, n, c.acts, time.Since(began).Round(time.Millisecond))
	if !c.t.Failed() && c.acts["issued"] == 0 {
		c.t.Errorf("seed %d: nobody came to a token in %d rounds", c.seed, n)
	}
}

// TestProgramKilled (PF-38): whatever the program said before it was killed at
// any moment holds after its restart, and nothing is there without its record. The
// heavy suite has 50 rounds of it.
func TestProgramKilled(t *testing.T) {
	t.Parallel()
	newCrash(t, uint64(time.Now().UnixNano())).rounds(4)
}
