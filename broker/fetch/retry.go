package fetch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// MaxRetries is the most that Config.Retries may be.
const MaxRetries = 5

// firstPause is how long the first retry waits; each further one waits twice
// as long.
const firstPause = 50 * time.Millisecond

// persist tries until the host answers, the trouble is none that passes, the
// retries are spent or the deadline leaves no room for another.
func (g *Guarded) persist(ctx context.Context, t target, lim Limits) (Document, error) {
	for n := 0; ; n++ {
		doc, err := g.attempt(ctx, t, lim)
		if err == nil {
			return doc, nil
		}
		if n == g.retries || !passes(err) || !pause(ctx, firstPause<<n) {
			return Document{}, counted(err, n+1)
		}
	}
}

// passes reports whether trouble may be over in a moment: that of the network,
// 429 and a status from 500 on. A definite answer does not pass: a redirect,
// 404, 403 (a firewall's word), a name that does not exist, a refused address
// or certificate.
func passes(err error) bool {
	e, ok := errors.AsType[*Error](err)
	if !ok || !e.Transient {
		return false
	}
	switch e.Reason {
	case reasonConnect, reasonTimeout, reasonProxy:
		return true
	case reasonDNS:
		de, ok := errors.AsType[*net.DNSError](e.Err)
		return e.Err != nil && !(ok && de.IsNotFound)
	case reasonStatus:
		return e.status != http.StatusForbidden
	}
	return false
}

// pause waits, where the deadline leaves time for it, and reports whether it
// did.
func pause(ctx context.Context, wait time.Duration) bool {
	if end, ok := ctx.Deadline(); ok && time.Until(end) <= wait {
		return false
	}
	select {
	case <-time.After(wait):
		return true
	case <-ctx.Done():
		return false
	}
}

// counted tells the operator how often it was tried.
func counted(err error, tries int) error {
	e, ok := errors.AsType[*Error](err)
	if !ok || tries == 1 {
		return err
	}
	again := *e
	again.Detail = bounded(fmt.Sprintf("%s, %d tries", e.Detail, tries))
	return &again
}
