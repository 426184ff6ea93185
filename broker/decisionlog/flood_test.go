package decisionlog_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
)

// refusal is one of a flood.
func refusal(at time.Time, reason, source string) decisionlog.Record {
	return decisionlog.Record{
		DecisionID: broker.NewID(), Timestamp: at, Event: decisionlog.EventRequestRefused, Outcome: decisionlog.OutcomeRefused,
		Reason: reason, RequestID: broker.NewRequestID(at), Source: source,
	}
}

// refused counts what records stand for, by reason.
func refused(records []decisionlog.Record) map[string]int {
	out := map[string]int{}
	for _, r := range records {
		out[r.Reason] += max(1, r.Count)
	}
	return out
}

// A summary tells of every id that it stands for, however many there are, and
// of others about once in 2,000 times.
func TestDigestTellsIDsApart(t *testing.T) {
	for _, n := range []int{3, 10, 31, 33, 100, 2047, 2048, 2049, 5000} {
		synctest.Test(t, func(t *testing.T) {
			w := &writes{}
			b := batch(t, w, 0)
			now := time.Now()
			ids := map[string]bool{}
			for i := range n + 64 {
				r := refusal(now, "no_policy_matched", "192.0.2.1")
				if err := b.Add(r); err != nil {
					t.Fatal(err)
				}
				if i >= 64 {
					ids[r.RequestID] = true
				}
			}
			b.Close(t.Context())
			sums := w.all()[64:]
			if got := refused(sums)["no_policy_matched"]; got != n || len(sums) != (n+2047)/2048 {
				t.Fatalf("%d summaries of %d, want %d of %d", len(sums), got, (n+2047)/2048, n)
			}
			for id := range ids {
				stands := 0
				for _, s := range sums {
					if s.StandsFor(id) >= decisionlog.StandsProbably {
						stands++
					}
				}
				if stands == 0 {
					t.Fatalf("of %d: no summary has %s", n, id)
				}
			}
			wrong, tries := 0, 20_000
			for range tries {
				if sums[0].StandsFor(broker.NewRequestID(now)) != decisionlog.StandsNot {
					wrong++
				}
			}
			if wrong > tries/500 { // how full a small digest is varies
				t.Errorf("of %d: %d of %d foreign ids are found, want about one in 2,000", n, wrong, tries)
			}
			if size := len(sums[0].RequestIDs); size > max(64, 2*n) || size > 4096 {
				t.Errorf("of %d: a digest of %d bytes, want 2 an id and at most 4096", n, size)
			}
		})
	}
}

func TestStandsFor(t *testing.T) {
	sum := decisionlog.Record{RequestID: "first", LastRequestID: "last", Count: 3}
	for _, c := range []struct {
		name string
		r    decisionlog.Record
		id   string
		want decisionlog.Standing
	}{
		{"the first", sum, "first", decisionlog.StandsSurely},
		{"the last", sum, "last", decisionlog.StandsSurely},
		{"no id", decisionlog.Record{LastRequestID: "last", Count: 3}, "", decisionlog.StandsNot},
		{"without a digest", sum, "other", decisionlog.StandsPerhaps},
		{"of two", decisionlog.Record{RequestID: "first", LastRequestID: "last", Count: 2}, "other", decisionlog.StandsNot},
		{"no summary", decisionlog.Record{RequestID: "first", Count: 3}, "other", decisionlog.StandsNot},
		{"an empty digest has none", decisionlog.Record{RequestID: "a", LastRequestID: "b", Count: 3, RequestIDs: make([]byte, 64)}, "other", decisionlog.StandsNot},
		{"a full digest has all", decisionlog.Record{RequestID: "a", LastRequestID: "b", Count: 3, RequestIDs: []byte{255, 255}}, "other", decisionlog.StandsProbably},
		{"more than the digest holds", decisionlog.Record{RequestID: "a", LastRequestID: "b", Count: 2049, RequestIDs: make([]byte, 4096)}, "other", decisionlog.StandsPerhaps},
	} {
		if got := c.r.StandsFor(c.id); got != c.want {
			t.Errorf("%s: StandsFor(%q) = %v, want %v", c.name, c.id, got, c.want)
		}
	}
}

// TestShortOfRoom: while there is little room every refusal that may be
// summarised is, from the first one on, and none is lost; what never is has its
// own record.
func TestShortOfRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, short := &writes{}, true
		b, err := decisionlog.NewBatch(decisionlog.BatchConfig{Commit: w.commit, Single: broker.Single, Short: func() bool { return short }})
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		for i := range 300 {
			if err := b.Add(refusal(now, "store_low", fmt.Sprintf("192.0.2.%d", i%200))); err != nil {
				t.Fatal(err)
			}
		}
		for range 3 {
			if err := b.Add(refusal(now, "client_blocked", "192.0.2.1")); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := w.all()
		if n := refused(got); len(got) != 4 || n["store_low"] != 300 || n["client_blocked"] != 3 {
			t.Errorf("%d records of %v, want one of 300 refusals and one of each blocked client", len(got), n)
		}
		short = false
		for range 3 {
			if err := b.Add(refusal(now, "store_low", "192.0.2.1")); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Close(t.Context()); err != nil || len(w.all()) != 7 {
			t.Errorf("with room again: %v, %d records, want three more", err, len(w.all()))
		}
	})
}

// TestFloodIsBounded is B40, G-15 and design §6: what a flood writes is a burst
// and so many records a second, whatever its rate and its number of sources;
// nothing of it is lost, and what is never summarised is not.
func TestFloodIsBounded(t *testing.T) {
	const perSecond, seconds = 2000, 10
	for name, source := range map[string]func(i int) string{
		"one address":       func(int) string { return "192.0.2.1" },
		"four addresses":    func(i int) string { return fmt.Sprintf("192.0.2.%d", i%4) },
		"1,000 addresses":   func(i int) string { return fmt.Sprintf("198.51.%d.%d", i%1000/250, i%250) },
		"addresses unheard": func(i int) string { return fmt.Sprintf("2001:db8:%x:%x::1", i>>16, i&0xffff) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &writes{}
				b := batch(t, w, 0)
				for i := range perSecond * seconds {
					r := refusal(time.Now(), []string{"no_policy_matched", "rate_limited", "client_id_malformed"}[i%3], source(i))
					switch {
					case i%1000 == 7:
						r.Reason = "assertion_invalid"
					case i%1000 == 8:
						r.Phases = []decisionlog.Phase{{Denials: []decisionlog.Denial{{Policy: "guardrails"}}}}
						r.Reason = "policy_denied"
					case i%1000 == 9:
						r.Outcome, r.Reason = decisionlog.OutcomeReused, ""
					}
					if err := b.Add(r); err != nil {
						t.Fatalf("refusal %d: %v", i, err)
					}
					time.Sleep(time.Second / perSecond)
				}
				b.Close(t.Context())
				got := w.all()
				sums := 0
				for _, r := range got {
					if r.Count > 0 {
						sums++
					}
				}
				counted := refused(got)
				if counted["assertion_invalid"] != 20 || counted["policy_denied"] != 20 || counted[""] != 20 {
					t.Errorf("counted %v, want 20 by guardrail, 20 bad assertions and 20 allows", counted)
				}
				if n := len(got) - sums; n > 1024+64*(seconds+1)+60 {
					t.Errorf("%d records of one refusal each, want at most a burst of 1024 and 64 a second", n)
				}
				if most := seconds * (3 + 64) * 2; sums > most {
					t.Errorf("%d summaries, want at most %d", sums, most)
				}
				total := 0
				for _, n := range counted {
					total += n
				}
				if total != perSecond*seconds {
					t.Errorf("%d refusals are recorded, want %d", total, perSecond*seconds)
				}
				if n := len(w.batches); n > 8*seconds {
					t.Errorf("%d commits in %d s, want few", n, seconds)
				}
				t.Logf("%d refusals: %d records, of which %d summaries, in %d commits", total, len(got), sums, len(w.batches))
			})
		})
	}
}

// A flood while the log cannot be written takes no more room as it goes on,
// and is counted to the last when the log comes back.
func TestFloodInAnOutage(t *testing.T) {
	for _, room := range []int{256, 16} {
		synctest.Test(t, func(t *testing.T) {
			w := &writes{err: errors.New("disk full")}
			b := batch(t, w, room)
			const n = 200_000
			for i := range n {
				if err := b.Add(refusal(time.Now(), "no_policy_matched", fmt.Sprintf("192.0.2.%d", i%3))); err != nil {
					t.Fatalf("refusal %d: %v", i, err)
				}
				time.Sleep(200 * time.Microsecond)
			}
			w.fail(nil)
			b.Close(t.Context())
			got := w.all()
			if refused(got)["no_policy_matched"] != n || len(got) > 2*room {
				t.Errorf("%d records of %v refusals, want at most %d of %d", len(got), refused(got), 2*room, n)
			}
		})
	}
}

// At most 64 networks have summaries of their own between two flushes, of which
// there are two here; all others share one.
func TestFloodOfManyBusyNetworks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &writes{}
		b := batch(t, w, 256)
		w.mu.Lock() // the log is slow
		for i := range 200 * 40 {
			if err := b.Add(refusal(time.Now(), "no_policy_matched", fmt.Sprintf("192.0.2.%d", i%200))); err != nil {
				t.Error(err)
			}
		}
		w.mu.Unlock()
		b.Close(t.Context())
		own, shared := 0, 0
		for _, r := range w.all() {
			switch {
			case r.Count > 0 && r.Source != "":
				own++
			case r.Count > 0:
				shared++
			}
		}
		if own < 64 || own > 2*64 || shared == 0 || refused(w.all())["no_policy_matched"] != 8000 {
			t.Errorf("%d summaries of one network and %d of several, of %v refusals, want 64 to 128, some and 8000", own, shared, refused(w.all()))
		}
	})
}

// An operator's refusals are never summarised.
func TestOperatorsRefusalsAreSingle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &writes{}
		b := batch(t, w, 0)
		for range 1500 { // more than strangers have at once
			r := refusal(time.Now(), "nothing_waits", "")
			r.Actor = "uid 1000"
			if err := b.Add(r); err != nil {
				t.Fatal(err)
			}
		}
		b.Close(t.Context())
		if n := len(w.all()); n != 1500 {
			t.Errorf("%d records of 1500 refusals of an operator, want each", n)
		}
	})
}

// A summary that begins a batch is written a second later, like a record.
func TestSummaryIsWrittenInASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &writes{}
		b := batch(t, w, 16)
		at := time.Now()
		for i := range 8 { // all that may have a record at once
			b.Add(refusal(at, "no_policy_matched", fmt.Sprintf("192.0.2.%d", i)))
		}
		if err := b.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		b.Add(refusal(at, "no_policy_matched", "192.0.2.1"))
		time.Sleep(time.Second)
		synctest.Wait()
		if got := w.all(); len(got) != 9 || got[8].Count != 1 {
			t.Errorf("%d records are written, want 8 and a summary of one", len(got))
		}
		b.Close(t.Context())
	})
}

// A log that fails slowly takes no more than twice the room, and all that was
// taken is written when it works again.
func TestSlowFailureIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &writes{err: errors.New("disk full")}
		b, err := decisionlog.NewBatch(decisionlog.BatchConfig{Single: broker.Single, Max: 64, Commit: func(ctx context.Context, r []decisionlog.Record) error {
			time.Sleep(time.Second)
			return w.commit(ctx, r)
		}})
		if err != nil {
			t.Fatal(err)
		}
		taken := 0
		for range 20_000 {
			if err := b.Add(refusal(time.Now(), "no_policy_matched", "192.0.2.1")); err != nil {
				t.Fatalf("a refusal that may be counted: %v", err)
			}
			if b.Add(refusal(time.Now(), "client_blocked", "192.0.2.1")) == nil {
				taken++
			}
			time.Sleep(4 * time.Millisecond)
		}
		w.fail(nil)
		b.Close(t.Context())
		got := refused(w.all())
		if got["client_blocked"] != taken || got["no_policy_matched"] != 20_000 || taken > 2*64 || len(w.all()) > taken+64/2+8 {
			t.Errorf("%d refusals by a block were taken, %v written in %d records, want the same, 20,000 others, and few more", taken, got, len(w.all()))
		}
	})
}
