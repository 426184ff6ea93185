package pages

import (
	"net/http"
	"time"
)

// Error is the page for a request that ends on this server.
type Error struct {
	// Status of the answer; 0 means 500.
	Status int
	// RequestID is shown next to the reason, for the operator who is asked.
	RequestID string
	// PublicReason is the code strangers may learn.
	PublicReason string
	// Title is the heading; empty means a general one.
	Title string
	// Text says what happened and what to do next.
	Text string
	// UserMessage is what a policy says to the person on purpose; may be empty.
	UserMessage string
	// HelpURL leads to this server's help page of the reason; may be empty.
	HelpURL string
	// RetryAfter is how many seconds to wait; 0 for none. It is also sent as
	// Retry-After.
	RetryAfter int
	// ReadAgain is when the client's document, of which a copy was used, is
	// fetched again; zero says nothing. Shown to the minute.
	ReadAgain time.Time
}

// Error writes an error page.
func (p *Pages) Error(w http.ResponseWriter, d Error) {
	if d.Title == "" {
		d.Title = "This request cannot go on"
	}
	d.RetryAfter = max(d.RetryAfter, 0)
	p.write(w, answer{"error", statusOr(d.Status, http.StatusInternalServerError), d.RequestID, d.RetryAfter}, d)
}

// Help is the page that explains one public reason.
type Help struct {
	// Reason is the public reason.
	Reason string
	// Title is the heading; empty means the reason.
	Title string
	// Text explains the reason.
	Text string
	// What lists what the reader can do, each a sentence.
	What []string
}

// Help writes a help page, with status 200.
func (p *Pages) Help(w http.ResponseWriter, d Help) {
	if d.Title == "" {
		d.Title = d.Reason
	}
	p.write(w, answer{"help", http.StatusOK, "", 0}, d)
}

// Message is a page with one thing to say.
type Message struct {
	// Status of the answer; 0 means 200.
	Status int
	// RequestID is shown at the foot of the page.
	RequestID string
	// Title is the heading.
	Title string
	// Text is one paragraph.
	Text string
}

// Message writes a message page.
func (p *Pages) Message(w http.ResponseWriter, d Message) {
	p.write(w, answer{"message", statusOr(d.Status, http.StatusOK), d.RequestID, 0}, d)
}
