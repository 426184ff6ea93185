package server_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"guestlist/server/keys"
	"guestlist/server/servertest"
	"guestlist/store/bolt"
)

// roundsPerStore is after how many rounds a loop begins with another store, so
// that reading it whole stays cheap.
const roundsPerStore = 20

// loop kills children that serve from one store, one after the other.
type loop struct {
	t     *testing.T
	r     *rand.Rand
	seed  uint64
	apart bool
	dir   string
	now   time.Time
	n     *notes
	keys  []*servertest.ClientKey

	reached map[string]int // rounds by the point that ended them; "none": it was not reached
	records int
	answers int
}

// newLoop begins a loop by a seed.
func newLoop(t *testing.T, seed uint64, apart bool) *loop {
	l := &loop{t: t, seed: seed, apart: apart, r: rand.New(rand.NewPCG(seed, 0)), reached: map[string]int{}}
	l.keys = []*servertest.ClientKey{servertest.NewClientKey(t, "ES256", "a"), servertest.NewClientKey(t, "EdDSA", "b")}
	return l
}

// round is one child from its start to its end, and what it left. It returns
// what is wrong with that.
func (l *loop) round(i int) []string {
	if i%roundsPerStore == 0 {
		l.dir, l.n, l.now = l.t.TempDir(), newNotes(), time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	}
	l.now = l.now.Add(20 * time.Minute)
	spec := childSpec{Dir: l.dir, Now: l.now, Point: points[l.r.IntN(len(points))], Count: 1 + l.r.IntN(60), Apart: l.apart}
	where := fmt.Sprintf("seed %d, round %d, %s %d", l.seed, i, spec.Point, spec.Count)
	found := l.run(spec, uint64(i))
	found = append(found, l.hold()...)
	for j := range found {
		found[j] = where + ": " + found[j]
	}
	return found
}

// run plays against a child until it is gone.
func (l *loop) run(spec childSpec, round uint64) (found []string) {
	raw, err := json.Marshal(spec)
	check(l.t, err)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+string(raw), "TMPDIR="+l.dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	check(l.t, err)
	check(l.t, cmd.Start())
	patience := 10 * time.Second
	if spec.Point == pointOutside {
		patience = time.Duration(l.r.IntN(700)) * time.Millisecond
	}
	var ready childReady
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		check(l.t, json.Unmarshal(line, &ready))
		var late atomic.Bool
		timer := time.AfterFunc(patience, func() { late.Store(true); cmd.Process.Kill() })
		found = l.play(ready, round)
		timer.Stop()
		if late.Load() && spec.Point != pointOutside {
			spec.Point = "none" // it was not reached so often
		}
		cmd.Process.Kill() // where a surprise ended the play before
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != -1 {
		found = append(found, fmt.Sprintf("the child was not killed: %v", err))
	}
	l.reached[spec.Point]++
	return found
}

// play has clients, people and operators at a child, until it is gone.
func (l *loop) play(ready childReady, round uint64) (found []string) {
	var under sync.WaitGroup
	var mu sync.Mutex
	for w := range 4 {
		d := newDriver(l.t, ready, l.n, l.seed+round*10+uint64(w), fmt.Sprintf("r%dw%d", round, w), l.now, l.keys)
		under.Go(func() {
			var err error
			if w == 0 {
				err = d.again()
			}
			if err == nil && w == 3 {
				d.name = "operated"
				err = d.operate()
			} else if err == nil {
				err = d.play()
			}
			if !errors.Is(err, errGone) {
				mu.Lock()
				defer mu.Unlock()
				found = append(found, "the driver: "+err.Error())
			}
		})
	}
	under.Wait()
	return found
}

// hold holds the store that a child left against its records and the notes.
func (l *loop) hold() []string {
	file := filepath.Join(l.dir, "guestlist.db")
	if _, err := os.Stat(file); err != nil {
		return nil // it was killed before there was one
	}
	st, err := bolt.Open(bolt.Config{Path: file})
	if err != nil {
		return []string{err.Error()}
	}
	defer st.Close()
	ledger, err := servertest.ReadLedger(l.t.Context(), st, file)
	if err != nil {
		return []string{err.Error()}
	}
	k, err := keys.Open(keys.Config{Dir: filepath.Join(l.dir, "keys"), Now: func() time.Time { return l.now }})
	check(l.t, err)
	ledger.Pseudonym, ledger.Now = k.Pseudonym, l.now.Add(20*time.Minute) // nothing is later than that
	l.records, l.answers = max(l.records, len(ledger.Records)), l.answers+l.n.answers
	l.n.answers = 0
	return append(ledger.Violations(), l.n.held(ledger)...)
}

// held says what the driver was told and the store does not have.
func (n *notes) held(l *servertest.Ledger) (found []string) {
	wrong := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	outcomes := map[string]bool{}
	for _, r := range l.Records {
		outcomes[r.RequestID+" "+r.Outcome] = true
	}
	for id, want := range n.told {
		if !outcomes[id+" "+want] {
			wrong("request %s was answered, and has no record %s", id, want)
		}
	}
	for h := range n.sessions {
		if _, ok := l.Sessions[h]; !ok {
			wrong("a session was opened, and is not there")
		}
	}
	for h, c := range n.codes {
		if row, ok := l.Codes[h]; !ok || c.redeemed && row.SpentAt.IsZero() {
			wrong("a code of %s was given out, and is there: %v; redeemed: %v, and spent %s", c.client, ok, c.redeemed, row.SpentAt)
		}
	}
	for key := range n.access {
		if row, ok := l.Access[key]; !ok || n.over[key] && row.EndedAt.IsZero() && l.Grants[row.GrantID].EndedAt.IsZero() {
			wrong("an access token was given out, and is there: %v; given back: %v, and ended %s", ok, n.over[key], row.EndedAt)
		}
	}
	for h, used := range n.refresh {
		row, ok := l.Refresh[h]
		if !ok || used && row.SpentAt.IsZero() {
			wrong("a refresh token was given out, and is there: %v; used: %v, and spent %s", ok, used, row.SpentAt)
		}
		if why := n.ended[h]; why != "" && l.Grants[row.GrantID].EndedAt.IsZero() {
			wrong("grant %s lives, though %s", row.GrantID, why)
		}
	}
	blocks := map[string]bool{}
	for _, b := range l.Blocks {
		blocks[b.Value] = true
	}
	for id, want := range n.blocked {
		if want != nil && blocks[id] != *want {
			wrong("%s is blocked: %v, and the operator was told %v", id, blocks[id], *want)
		}
	}
	for id, want := range n.pinned {
		if _, there := l.Pins[id]; want != nil && there != *want {
			wrong("%s is pinned: %v, and the operator was told %v", id, there, *want)
		}
	}
	return found
}

// rounds plays rounds, and reports what they found.
func (l *loop) rounds(n int) {
	began := time.Now()
	for i := range n {
		for _, what := range l.round(i) {
			l.t.Error(what)
		}
		if l.t.Failed() {
			break
		}
	}
	l.t.Logf("seed %d: rounds %v, %d answers, up to %d records in a store, %s", l.seed, l.reached, l.answers, l.records, time.Since(began).Round(time.Second))
	if !l.t.Failed() && l.answers < 3*n {
		l.t.Errorf("%d answers in %d rounds: the drivers did not get to play", l.answers, n)
	}
}

// TestKilled (PF-38): a server that is killed at any moment leaves what it said
// yes to, and nothing without its record. The heavy suite has 200 rounds of it.
func TestKilled(t *testing.T) {
	t.Parallel()
	newLoop(t, uint64(time.Now().UnixNano()), false).rounds(len(points) + 4)
}

// TestKilledFindsRecordsApart: the loop finds a store that commits records
// apart from what they are about.
func TestKilledFindsRecordsApart(t *testing.T) {
	t.Parallel()
	const within = 60 // half of the rounds find something
	l := newLoop(t, uint64(time.Now().UnixNano()), true)
	for i := range within {
		if found := l.round(i); len(found) > 0 {
			t.Logf("after %d rounds: %q", i+1, found)
			return
		}
	}
	t.Errorf("seed %d: nothing was found in %d rounds", l.seed, within)
}
