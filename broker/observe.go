package broker

import (
	"context"
	"errors"
	"strings"
	"time"

	"guestlist/broker/decisionlog"
	"guestlist/broker/fetch"
)

// Observer is told what a Broker does, for metrics, traces and the debug log. A nil function
// is not called. They are called while a request waits, from many goroutines
// at once: they must be quick, and must not call the Broker.
type Observer struct {
	// Decided is told of every Admit once its record is authored, under the
	// context of the caller. Whether the commit behind it works is not known yet.
	Decided func(ctx context.Context, d Decided)
	// Fetched is told of every fetch of a document that was made, under a context
	// that has the values of whoever asked first.
	Fetched func(ctx context.Context, f Fetched)
	// Ended is told of every client whose end is staged, as the record in the
	// same commit says it. Whether that commit works is not known yet, and where a
	// step runs again it is told again.
	Ended func(ctx context.Context, e Ended)
	// Spent is told of every fetch that was refused before the network, under the
	// context of whoever asked.
	Spent func(ctx context.Context, s Spent)
}

// Spent is a fetch that was not made.
type Spent struct {
	Budget    string // one of SpentBudgets
	Reason    Reason // rate_limited or fetch_paced
	ClientID  string
	RequestID string // of who asked; empty: this server did
	Err       error  // the same for the operator
}

// SpentBudgets are the values of Spent.Budget: the names of cimd.budgets,
// with the share of one source in concurrent told apart, and pace for a
// document whose last fetches failed.
func SpentBudgets() []string {
	return []string{"per_source", "per_domain", "concurrent_of_source", "concurrent", "total", "pace"}
}

// Decided is one answer of Admit.
type Decided struct {
	Began   time.Time     // by Config.Now
	Took    time.Duration // fetches included
	Outcome string        // admitted, reused or refused, as the record has it
	Reason  Reason        // empty when nothing was refused
	Phase   Phase         // the last phase asked; empty when none was
	Policy  []string      // the winner; several only at equal rank; nobody may change it
	Host    string        // of the client identifier; empty when it has none
	// From says where the document came from that was judged at the start of a
	// flow: see ProvenanceInput. Empty when none was.
	From string

	ClientID    string                  // empty when it could not be parsed, or is of nobody
	RequestID   string                  // of who asked
	Err         error                   // why it was refused, for the operator; nil when it was not
	Why         string                  // why the winner won
	NearestMiss string                  // only with no_policy_matched
	Candidates  []decisionlog.Candidate // what matched in that phase, best first; nobody may change it
	Denials     []decisionlog.Denial    // what refused in that phase; nobody may change it
}

// Fetched is one fetch of a document.
type Fetched struct {
	Began       time.Time     // by Config.Now
	Took        time.Duration // retries and parsing included
	Reason      Reason        // empty: a valid document, or NotModified
	NotModified bool          // the host said that the stored copy still stands
	Host        string        // of the client identifier

	ClientID  string
	RequestID string // of who asked first; empty: this server did
	Err       error  // why it brought no valid document, for the operator; nil when it did
}

// Ended is the end of a client: the event, reason and text of its record.
type Ended struct {
	Event     string // client.expired, client.pruned or client.revoked
	Reason    Reason
	Why       string // for the operator
	ClientID  string
	Policy    []string // that gave the client its settings; nobody may change it
	RequestID string   // of who met the client, or of the operator who ended it; empty: nobody asked
}

// observe tells the observer of a call that is over, with its record.
func (b *Broker) observe(c *call, r decisionlog.Record, err error) {
	if b.cfg.Observe.Decided == nil {
		return
	}
	said := c.out.Decision
	d := Decided{
		Began: c.now, Took: b.cfg.Now().Sub(c.now), Outcome: r.Outcome, Phase: said.Phase, Policy: said.Winner, Host: c.id.Host, ClientID: r.ClientID,
		RequestID: r.RequestID, Err: err, Why: said.Why, NearestMiss: said.NearestMiss, Candidates: said.Candidates, Denials: said.Denials, From: c.out.From,
	}
	if err != nil {
		d.Reason = ReasonOf(err)
	}
	b.cfg.Observe.Decided(c.ctx, d)
}

// observe tells the observer of a fetch that is over.
func (o *origin) observe(ctx context.Context, w wanted, began time.Time, f *flight) {
	if o.seen.Fetched == nil {
		return
	}
	o.seen.Fetched(ctx, Fetched{
		Began: began, Took: o.now().Sub(began), Reason: fetchReason(f.err), NotModified: f.err == nil && f.got.NotModified, Host: w.id.Host,
		ClientID: w.id.String(), RequestID: w.request, Err: f.err,
	})
}

// spend tells the observer of a fetch that was refused. spent is the name of a
// budget, and whose share of it where it is shared out.
func (o *origin) spend(ctx context.Context, w wanted, spent string, err error) {
	if o.seen.Spent == nil {
		return
	}
	budget, _, shared := strings.Cut(spent, " of ")
	if shared && budget == "concurrent" {
		budget = "concurrent_of_source"
	}
	o.seen.Spent(ctx, Spent{Budget: budget, Reason: ReasonOf(err), ClientID: w.id.String(), RequestID: w.request, Err: err})
}

// fetchReason is why a fetch brought no valid document; empty when it did.
func fetchReason(err error) Reason {
	var fe *fetch.Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &fe):
		return Reason(fe.Reason)
	case isForm(err):
		return cimdReason(err)
	}
	return ReasonOf(err)
}
