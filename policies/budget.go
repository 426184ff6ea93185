package policies

import (
	"context"
	"time"

	"github.com/open-policy-agent/opa/v1/topdown"
)

// budget is a share of the deadline. The engine asks it at every step, so it
// can count the time in which the evaluation ran: a pause of the whole process,
// or of the goroutine on a busy machine, counts as one quantum at most. Without
// this a loaded machine would refuse clients for policies that are in order.
// The context bounds the time on the wall.
type budget struct {
	ctx   context.Context
	left  time.Duration
	last  time.Time
	calls uint
	spent bool
}

var _ topdown.Cancel = (*budget)(nil)

const (
	quantum  = 5 * time.Millisecond // the longest pause between two looks at the clock that counts in full
	interval = 8                    // steps between two looks at the clock
	wallTime = 20                   // times the deadline: when a decision ends whatever it waited for
)

func newBudget(ctx context.Context, share time.Duration) *budget {
	return &budget{ctx: ctx, left: share, last: time.Now()}
}

// Cancel ends the evaluation.
func (b *budget) Cancel() { b.spent = true }

// Cancelled reports whether the evaluation has to end.
func (b *budget) Cancelled() bool {
	if b.calls++; b.spent || b.calls%interval != 1 {
		return b.spent
	}
	b.look()
	return b.spent
}

// look takes the time since the last look off the budget.
func (b *budget) look() {
	now := time.Now()
	b.left -= min(now.Sub(b.last), quantum)
	b.last = now
	b.spent = b.spent || b.left <= 0 || b.ctx.Err() != nil
}
