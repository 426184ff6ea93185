package export_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"guestlist/broker/decisionlog"
	"guestlist/broker/export"
)

// memory is a log in memory.
type memory struct {
	mu       sync.Mutex
	records  []decisionlog.Sealed
	changed  chan struct{}
	position map[string]uint64
	stored   int   // how often a position was remembered
	down     error // what every call answers, if it is set
}

func newMemory() *memory {
	return &memory{changed: make(chan struct{}), position: map[string]uint64{}}
}

// append adds n records as one commit does.
func (m *memory) append(t testing.TB, n int, change ...func(*decisionlog.Record)) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	for range n {
		seq := uint64(len(m.records) + 1)
		r := decisionlog.Record{
			DecisionID: fmt.Sprintf("d%d", seq), Timestamp: time.Now(), Event: "admission.decided", Outcome: decisionlog.OutcomeRefused,
			Reason: "policy_denied", RequestID: fmt.Sprintf("r%d", seq), ClientID: "https://client.example.com/c",
			Detail: "no\nlines \"quoted\"", Source: "192.0.2.7", Input: json.RawMessage(`{"user":{"sub":"alice"}}`),
		}
		for _, c := range change {
			c(&r)
		}
		s, err := decisionlog.Seal(seq, r)
		if err != nil {
			t.Fatal(err)
		}
		m.records = append(m.records, s)
	}
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *memory) set(down error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = down
}

func (m *memory) Next(_ context.Context, after uint64, max int) ([]decisionlog.Sealed, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down != nil {
		return nil, m.down
	}
	rest := m.records[after:]
	return rest[:min(max, len(rest))], nil
}

func (m *memory) Last(context.Context) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return uint64(len(m.records)), m.down
}

func (m *memory) Changed() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed
}

func (m *memory) Position(_ context.Context, name string) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.position[name], m.down
}

func (m *memory) Remember(_ context.Context, name string, seq uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down == nil {
		m.position[name], m.stored = seq, m.stored+1
	}
	return m.down
}

// heard is a log that a test reads while it is written.
type heard struct {
	mu sync.Mutex
	b  strings.Builder
}

func (h *heard) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.b.Write(p)
}

func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.b.String()
}

// receiver is a sink that a test steers.
type receiver struct {
	mu     sync.Mutex
	answer func(try int, records []export.Record) error // nil: taken
	tries  [][]uint64                                   // the places of every batch that was sent
	at     []time.Time
	taken  []export.Record
}

func (r *receiver) Send(ctx context.Context, records []export.Record) error {
	r.mu.Lock()
	var seqs []uint64
	for _, x := range records {
		seqs = append(seqs, x.Seq)
	}
	r.tries, r.at = append(r.tries, seqs), append(r.at, time.Now())
	answer, try := r.answer, len(r.tries)
	r.mu.Unlock()
	if answer != nil {
		if err := answer(try, records); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.taken = append(r.taken, records...)
	return nil
}

func (r *receiver) set(answer func(try int, records []export.Record) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

// sent are the places of every batch so far.
func (r *receiver) sent() [][]uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.tries)
}

// got are the records that were taken so far.
func (r *receiver) got() []export.Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.taken)
}

// wantAll checks that records 1 to n were taken, in order, and none that was
// taken is followed by an earlier one but after a repetition.
func (r *receiver) wantAll(t *testing.T, n int) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	want := uint64(1)
	for _, x := range r.taken {
		if x.Seq > want {
			t.Fatalf("record %d was taken before %d", x.Seq, want)
		}
		if x.Seq == want {
			want++
		}
	}
	if int(want-1) != n {
		t.Errorf("records up to %d were taken, want %d", want-1, n)
	}
}

// start runs an exporter to sink until stop.
func start(t *testing.T, m *memory, sink export.Sink, change ...func(*export.Config)) (e *export.Exporter, stop func()) {
	t.Helper()
	cfg := export.Config{Name: "out", Log: m, Sink: sink, Trouble: zerolog.Nop()}
	for _, c := range change {
		c(&cfg)
	}
	e, err := export.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); e.Run(ctx) }()
	synctest.Wait()
	return e, func() { t.Helper(); cancel(); <-done }
}

// wait lets time pass.
func wait(d time.Duration) { time.Sleep(d); synctest.Wait() }

// TestDeadSinkComesBack: what happened meanwhile arrives, in order and once;
// the log says it twice; positions cost few commits; the lag is a number.
func TestDeadSinkComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said heard
		m, r := newMemory(), &receiver{}
		e, stop := start(t, m, r, func(c *export.Config) { c.Trouble = zerolog.New(&said) })
		m.append(t, 300)
		wait(time.Millisecond)
		r.wantAll(t, 300)
		r.set(func(int, []export.Record) error { return errors.New("broken pipe") })
		died := time.Now()
		for range 700 {
			m.append(t, 1)
			wait(time.Second)
		}
		l, err := e.Lag(t.Context())
		if err != nil || l.Behind != 700 || !l.Oldest.Equal(died) || l.Problem != "broken pipe" || l.Since.Sub(died) > time.Second || l.Name != "out" {
			t.Errorf("Lag() = %+v, %v, want 700 behind since %s", l, err, died)
		}
		r.set(nil)
		wait(time.Minute)
		r.wantAll(t, 1000)
		if len(r.got()) != 1000 {
			t.Errorf("%d were taken, want none twice", len(r.got()))
		}
		if l, err := e.Lag(t.Context()); err != nil || l != (export.Lag{Name: "out"}) {
			t.Errorf("Lag() = %+v, %v, want none", l, err)
		}
		stop()
		if f, w := strings.Count(said.String(), "log.export_failing"), strings.Count(said.String(), "log.export_working"); f != 1 || w != 1 {
			t.Errorf("said failing %d times, working %d times, want once each:\n%s", f, w, said.String())
		}
		if m.position["out"] != 1001 || m.stored > 10 {
			t.Errorf("position %d remembered %d times, want 1001 and few", m.position["out"], m.stored)
		}
	})
}

// TestOutageIsToldEveryHour: an outage is loud for as long as it lasts.
func TestOutageIsToldEveryHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said heard
		m, r := newMemory(), &receiver{answer: func(int, []export.Record) error { return errors.New("gone") }}
		m.append(t, 1)
		_, stop := start(t, m, r, func(c *export.Config) { c.Trouble = zerolog.New(&said) })
		wait(5*time.Hour + 30*time.Minute)
		stop()
		if n := strings.Count(said.String(), "log.export_failing"); n != 6 {
			t.Errorf("told %d times in five and a half hours, want 6", n)
		}
		if n := len(r.sent()); n < 300 || n > 700 {
			t.Errorf("%d tries, want them slow", n)
		}
	})
}

// TestSinksAreIndependent: of two exporters one is dead, and the other does
// not notice.
func TestSinksAreIndependent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, good := newMemory(), &receiver{}
		dead := &receiver{answer: func(int, []export.Record) error { return errors.New("gone") }}
		hung := &hanging{}
		_, stop1 := start(t, m, dead, func(c *export.Config) { c.Name = "dead" })
		_, stop2 := start(t, m, good, func(c *export.Config) { c.Name = "good" })
		_, stop3 := start(t, m, hung, func(c *export.Config) { c.Name = "hung" })
		for range 100 {
			m.append(t, 1)
			wait(time.Millisecond)
		}
		good.wantAll(t, 100)
		began := time.Now()
		stop1()
		stop2()
		stop3()
		if d := time.Since(began); d > 6*time.Second {
			t.Errorf("stopping took %s", d)
		}
		if m.position["good"] != 101 || m.position["dead"] != 1 || m.position["hung"] != 1 {
			t.Errorf("positions %v, want only the good one moved", m.position)
		}
	})
}

// hanging is a sink that never answers.
type hanging struct{}

func (*hanging) Send(ctx context.Context, _ []export.Record) error {
	<-ctx.Done()
	return ctx.Err()
}

// TestWhereItBegins: an exporter goes on where it stopped; a new one begins
// with the past or with what happens from now on, also after it was killed
// before anything happened.
func TestWhereItBegins(t *testing.T) {
	now := func(c *export.Config) { c.FromNow = true }
	for name, test := range map[string]struct {
		position uint64
		change   []func(*export.Config)
		want     []uint64
	}{
		"new":                       {0, nil, []uint64{1, 2, 3, 4}},
		"new, from now":             {0, []func(*export.Config){now}, []uint64{4}},
		"behind 2":                  {3, nil, []uint64{3, 4}},
		"behind 2, from now":        {3, []func(*export.Config){now}, []uint64{3, 4}},
		"began with nothing":        {1, []func(*export.Config){now}, []uint64{1, 2, 3, 4}},
		"position under other name": {0, []func(*export.Config){func(c *export.Config) { c.Cursor = "old" }}, []uint64{3, 4}},
	} {
		synctest.Test(t, func(t *testing.T) {
			m, r := newMemory(), &receiver{}
			if test.position > 0 {
				m.position["out"] = test.position
			}
			m.position["old"] = 3
			m.append(t, 3)
			_, stop := start(t, m, r, test.change...)
			m.append(t, 1)
			wait(time.Second)
			stop()
			var got []uint64
			for _, x := range r.got() {
				got = append(got, x.Seq)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("%s: took %v, want %v", name, got, test.want)
			}
		})
	}
}

// TestKilledBetweenSendAndPosition: whatever the moment at which the program
// dies, the next one leaves nothing out; what comes again has its number.
func TestKilledBetweenSendAndPosition(t *testing.T) {
	for dieAfter := range 8 {
		synctest.Test(t, func(t *testing.T) {
			m, r := newMemory(), &receiver{}
			r.answer = func(try int, _ []export.Record) error {
				if try > dieAfter {
					m.set(errors.New("dead")) // the store is gone with the process, and the sink may have the batch
				}
				return nil
			}
			m.append(t, 20)
			_, stop := start(t, m, r, func(c *export.Config) { c.Records = 4 })
			wait(time.Minute)
			stop()
			m.set(nil)
			r.set(nil)
			_, stop = start(t, m, r, func(c *export.Config) { c.Records = 4 })
			wait(time.Minute)
			stop()
			r.wantAll(t, 20)
			if m.position["out"] != 21 {
				t.Errorf("dead after %d: position %d", dieAfter, m.position["out"])
			}
		})
	}
}

// TestSmallerBatches: a sink that takes little at a time gets little at a
// time, without an outage being told; one record that it never takes holds up
// the others, loudly, and nothing is left out.
func TestSmallerBatches(t *testing.T) {
	never := &export.Rejection{Err: errors.New("status 413"), Never: true}
	synctest.Test(t, func(t *testing.T) {
		var said heard
		m, r := newMemory(), &receiver{}
		r.answer = func(_ int, records []export.Record) error {
			if len(records) > 10 {
				return never
			}
			return nil
		}
		m.append(t, 1000)
		_, stop := start(t, m, r, func(c *export.Config) { c.Trouble = zerolog.New(&said) })
		wait(time.Second)
		r.wantAll(t, 1000)
		if said.String() != "" {
			t.Errorf("said %s", said.String())
		}
		if n := len(r.sent()); n > 200 {
			t.Errorf("%d posts for 1000 records of 10 at most", n)
		}
		poison := uint64(1100)
		r.set(func(_ int, records []export.Record) error {
			for _, x := range records {
				if x.Seq == poison {
					return never
				}
			}
			return nil
		})
		m.append(t, 200)
		e, stop2 := start(t, m, r, func(c *export.Config) { c.Trouble, c.Name = zerolog.New(&said), "other" })
		wait(time.Hour)
		r.wantAll(t, int(poison-1))
		if l, err := e.Lag(t.Context()); err != nil || l.Behind != 101 || l.Problem != "status 413" {
			t.Errorf("Lag() = %+v, %v", l, err)
		}
		if !strings.Contains(said.String(), `"seq":1100`) {
			t.Errorf("said %s, want the record named", said.String())
		}
		r.set(nil)
		wait(time.Hour)
		r.wantAll(t, 1200)
		stop()
		stop2()
	})
}

// TestWaits: after errors ever longer and not in step with others; as long as
// the sink asks, within reason; the same batch comes again with its bounds.
func TestWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		asks := []time.Duration{0, 0, 5 * time.Minute, 100 * time.Hour, 0}
		r := &receiver{}
		r.answer = func(try int, _ []export.Record) error {
			if try <= len(asks) {
				return &export.Rejection{Err: errors.New("status 503"), After: asks[try-1]}
			}
			return nil
		}
		m.append(t, 3)
		_, stop := start(t, m, r)
		m.append(t, 3)
		wait(3 * time.Hour)
		stop()
		r.wantAll(t, 6)
		for i, w := range []struct{ least, most time.Duration }{
			{500 * time.Millisecond, time.Second}, {time.Second, 2 * time.Second}, {5 * time.Minute, 5 * time.Minute},
			{time.Hour, time.Hour}, {8 * time.Second, 16 * time.Second},
		} {
			if d := r.at[i+1].Sub(r.at[i]); d < w.least || d > w.most {
				t.Errorf("wait %d took %s, want %s to %s", i+1, d, w.least, w.most)
			}
			if !slices.Equal(r.sent()[i+1], []uint64{1, 2, 3}) {
				t.Errorf("try %d was of %v, want the same again", i+2, r.sent()[i+1])
			}
		}
	})
}

// TestBounds: a batch has at most so many records and bytes, one record
// excepted, and waits for more where it is told to.
func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, r := newMemory(), &receiver{}
		_, stop := start(t, m, r, func(c *export.Config) { c.Records, c.Bytes, c.Gather = 5, 4000, time.Second })
		for range 4 {
			m.append(t, 1)
			wait(100 * time.Millisecond)
		}
		if len(r.sent()) != 0 {
			t.Errorf("tries %v before the time is over", r.sent())
		}
		wait(time.Second)
		m.append(t, 7)
		m.append(t, 3, func(r *decisionlog.Record) { r.Detail = strings.Repeat("x", 9000) })
		wait(time.Minute)
		stop()
		var sizes []int
		for _, x := range r.sent() {
			sizes = append(sizes, len(x))
		}
		if want := []int{4, 5, 2, 1, 1, 1}; !slices.Equal(sizes, want) {
			t.Errorf("batches of %v, want %v", sizes, want)
		}
	})
}

// TestLogTrouble: a log that cannot be read or written is a problem, outlived.
// A record that cannot be read is exported as that.
func TestLogTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, r := newMemory(), &receiver{}
		m.append(t, 2)
		m.records[0].Body = []byte(`{}`)
		m.set(errors.New("disk on fire"))
		e, stop := start(t, m, r)
		if _, err := e.Lag(t.Context()); err == nil {
			t.Error("Lag() = nil, want the error")
		}
		wait(time.Minute)
		m.set(nil)
		if l, _ := e.Lag(t.Context()); !strings.Contains(l.Problem, "disk on fire") {
			t.Errorf("Lag() = %+v", l)
		}
		wait(time.Minute)
		m.set(errors.New("disk full"))
		wait(time.Hour)
		m.set(nil)
		wait(time.Minute)
		stop()
		r.wantAll(t, 2)
		if want := `{"error":"record 1: the body does not match the header's digest","seq":1}`; string(r.got()[0].Line) != want {
			t.Errorf("line %s, want %s", r.got()[0].Line, want)
		}
		if m.position["out"] != 3 {
			t.Errorf("position %d, want 3", m.position["out"])
		}
	})
}

// TestWriter: what is written to the standard output are lines of the view.
func TestWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		var out strings.Builder
		m.append(t, 2)
		_, stop := start(t, m, export.Writer{W: &out}, func(c *export.Config) {
			c.View = func(s decisionlog.Sealed) ([]byte, error) { return fmt.Appendf(nil, `{"n":%d}`, s.Seq), nil }
		})
		stop()
		if want := "{\"n\":1}\n{\"n\":2}\n"; out.String() != want {
			t.Errorf("wrote %q, want %q", out.String(), want)
		}
	})
	if err := (export.Writer{W: short{}}).Send(t.Context(), []export.Record{{Line: []byte("{}")}}); err == nil {
		t.Error("Send() with a short write = nil, want an error")
	}
}

// short writes less than it is given.
type short struct{}

func (short) Write(p []byte) (int, error) { return len(p) - 1, nil }

func TestNewRefuses(t *testing.T) {
	good := export.Config{Name: "x", Log: newMemory(), Sink: &receiver{}}
	for name, change := range map[string]func(*export.Config){
		"no name":         func(c *export.Config) { c.Name = "" },
		"no log":          func(c *export.Config) { c.Log = nil },
		"no sink":         func(c *export.Config) { c.Sink = nil },
		"negative count":  func(c *export.Config) { c.Records = -1 },
		"negative bytes":  func(c *export.Config) { c.Bytes = -1 },
		"negative gather": func(c *export.Config) { c.Gather = -1 },
	} {
		cfg := good
		change(&cfg)
		if _, err := export.New(cfg); err == nil {
			t.Errorf("%s: New() = nil, want an error", name)
		}
	}
	if _, err := export.New(good); err != nil {
		t.Errorf("New() = %v", err)
	}
}
