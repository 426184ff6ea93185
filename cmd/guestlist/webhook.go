package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
)

// How a webhook waits: webhookGather for what happens together, webhookPause
// before the first repetition and twice as long before each further one, up to
// webhookPauseMax.
const (
	webhookGather   = time.Second
	webhookPause    = time.Second
	webhookPauseMax = 5 * time.Minute
)

// webhook is a cursor behind the decision log that tells a receiver of
// refusals, changes and first sights, each at least once. It holds nothing but
// its place in the log, so that a receiver that is slow, broken or gone costs
// neither memory nor the server's time: what waits, waits in the log.
type webhook struct {
	name      string // of the cursor
	url       string
	secret    []byte
	kinds     []string // see webhookKinds
	perMinute int      // events told one by one in a minute; the others are counted
	issuer    string
	log       decisionlog.Log
	sights    sights
	post      func(ctx context.Context, url string, header http.Header, body []byte) error // the operator door
	trouble   zerolog.Logger

	problem atomic.Pointer[string] // why the receiver is not reached; nil: nothing is known to be wrong
	minute  time.Time              // when the present minute of the rate began
	told    int                    // events told in it
}

// run delivers until ctx is done. What was not acknowledged then is delivered
// after the next start.
func (w *webhook) run(ctx context.Context) {
	var at uint64
	w.insist(ctx, func() (err error) { at, err = w.begin(ctx); return err })
	kept := at
	for ctx.Err() == nil {
		changed := w.log.Changed()
		if room, until := w.room(); room == 0 {
			pause(ctx, until)
			continue
		}
		var d delivery
		w.insist(ctx, func() (err error) { d, err = w.collect(ctx, at); return err })
		switch {
		case ctx.Err() != nil:
		case d.upto == at:
			select {
			case <-ctx.Done():
			case <-changed:
				pause(ctx, webhookGather)
			}
		case d.empty():
			if at = d.upto; at-kept >= webhookRecords { // or the next start would read it all again
				w.insist(ctx, func() error { return w.remember(ctx, at) })
				kept = at
			}
		default:
			w.deliver(ctx, d)
			at, kept = d.upto, d.upto
		}
	}
}

// begin returns where the webhook stopped. A new one begins with what happens
// from now on, not with the past.
func (w *webhook) begin(ctx context.Context) (uint64, error) {
	next, err := w.log.Position(ctx, w.name)
	if err != nil || next != 0 {
		return max(next, 1) - 1, err
	}
	at, err := w.log.Last(ctx)
	if err != nil {
		return 0, err
	}
	return at, w.remember(ctx, at)
}

// remember stores the place behind at: a stored zero would look like a webhook
// that never began.
func (w *webhook) remember(ctx context.Context, at uint64) error {
	return w.log.Remember(ctx, w.name, at+1)
}

// room is how many events may still be told one by one in the present minute
// and, when it is none, how long that minute lasts.
func (w *webhook) room() (n int, until time.Duration) {
	now := time.Now()
	if since := now.Sub(w.minute); since < 0 || since >= time.Minute {
		w.minute, w.told = now, 0
	}
	return max(0, w.perMinute-w.told), w.minute.Add(time.Minute).Sub(now)
}

// deliver posts d until the receiver takes it, with the same bytes and the
// same identifiers each time, and remembers the place behind it.
func (w *webhook) deliver(ctx context.Context, d delivery) {
	d.ID, d.Issuer = broker.NewID(), w.issuer
	body, err := json.Marshal(d)
	if err != nil { // nothing in it can fail to be written
		w.failing(fmt.Errorf("write a delivery: %w", err))
		return
	}
	w.told += max(1, len(d.Events))
	w.insist(ctx, func() error { return w.post(ctx, w.url, w.header(d.ID, body, time.Now()), body) })
	if ctx.Err() == nil {
		w.insist(ctx, func() error { return w.remember(ctx, d.upto) })
	}
}

// header is that of one post. The signature is over the time, a full stop and
// the body, so that an old post cannot be passed off as a new one.
func (w *webhook) header(id string, body []byte, now time.Time) http.Header {
	t := fmt.Sprint(now.Unix())
	mac := hmac.New(sha256.New, w.secret)
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return http.Header{
		"Content-Type":        {"application/json"},
		"Guestlist-Delivery":  {id},
		"Guestlist-Signature": {"t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))},
	}
}

// insist tries until it works or ctx is done, ever more slowly.
func (w *webhook) insist(ctx context.Context, try func() error) {
	for wait := webhookPause; ; wait = min(2*wait, webhookPauseMax) {
		err := try()
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			w.working()
			return
		}
		w.failing(err)
		pause(ctx, wait)
	}
}

// failing keeps what is wrong for the status, and tells the log once.
func (w *webhook) failing(err error) {
	text := err.Error()
	if w.problem.Swap(&text) == nil {
		w.trouble.Error().Str("event", "webhook.failing").Str("webhook", w.name).Err(err).Msg("it is tried again; nothing is lost")
	}
}

func (w *webhook) working() {
	if w.problem.Swap(nil) != nil {
		w.trouble.Info().Str("event", "webhook.working").Str("webhook", w.name).Send()
	}
}
