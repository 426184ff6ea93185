package broker

import (
	"context"
	"slices"

	"guestlist/broker/cimd"
	"guestlist/broker/decisionlog"
)

// Preview is what would come of a client's next flow, in the server's own
// order of checks, as far as they let it come.
type Preview struct {
	ClientID     string              `json:"client_id"`
	Registration Registration        `json:"registration"` // how it would be known
	Known        bool                `json:"known"`        // it is a client that lives now
	Warnings     []string            `json:"warnings"`     // about the identifier
	Reached      string              `json:"reached"`      // last check that was made: form, known (switches and blocks), url, fetch, document
	Allowed      bool                `json:"allowed"`      // every check was passed
	Reason       Reason              `json:"reason"`       // why not; empty when allowed
	Detail       string              `json:"detail"`       // the precise text for the operator
	Request      RequestInput        `json:"request"`      // what policy was asked about; its redirect URI is one of the document's
	Phases       []decisionlog.Phase `json:"phases"`       // what policy said
	Provenance   ProvenanceInput     `json:"provenance"`   // of the document; zero without one
	Document     cimd.Document       `json:"document"`     // its kept members
	Dropped      []string            `json:"dropped"`      // published members that are not kept, see cimd.Parsed
	Published    []byte              `json:"published"`    // its bytes; empty without one
	InForce      string              `json:"in_force"`     // SHA-256 of the document in force of a known client
	Changes      []string            `json:"changes"`      // against that, see Changes
	Waits        bool                `json:"waits"`        // it would wait for Approve
	Settings     Settings            `json:"settings"`     // strict ones where no policy matched
	Effective    Effective           `json:"effective"`    // what would be granted for Request
	Redirects    []cimd.Redirect     `json:"redirects"`    // registered redirect URIs that the settings keep
	Cut          []decisionlog.Cut   `json:"cut"`          // what would not be given
}

// Preview asks what would come of a client's next flow. It fetches the
// document, of a pinned client reads the pinned one, spends no budget of
// strangers, stages nothing on u and records nothing. Without a person's
// request policy is asked about the first redirect URI that the settings keep,
// the settings' default scopes and the first resource that they allow.
//
// A client that is refused is no error: Reason says why, and the rest how far
// it came. Errors are *Error: the store could not be read, or no policy is
// active.
func (b *Broker) Preview(ctx context.Context, u Unit, clientID string) (Preview, error) {
	c := b.asking(ctx, u, "", clientID)
	c.dry = true
	p := Preview{
		ClientID: clientID, Registration: RegistrationCIMD, Warnings: []string{}, Reached: "form", Settings: StrictSettings(),
		Phases: []decisionlog.Phase{}, Provenance: ProvenanceInput{Changed: []string{}}, Dropped: []string{}, Changes: []string{},
		Effective: totalEffective(Effective{}), Redirects: []cimd.Redirect{}, Cut: []decisionlog.Cut{},
	}
	err := c.preview(&p)
	c.fill(&p)
	if err == nil {
		p.Allowed = true
		return p, nil
	}
	p.Reason, p.Detail = ReasonOf(err), err.Error()
	if p.Reason == ReasonStoreUnavailable || p.Reason == ReasonServerTrouble {
		return Preview{}, err
	}
	return p, nil
}

// preview makes the checks in their order.
func (c *call) preview(p *Preview) error {
	if err := c.enter(); err != nil {
		return err
	}
	p.Warnings = list(c.id.Warnings)
	p.Reached = "known"
	err := c.meet()
	p.Known, p.Registration = c.live, c.registration
	if c.live {
		p.InForce = c.row.DocumentSHA256
	}
	if err != nil {
		return err
	}
	p.Reached = "url"
	if err := c.began(); err != nil {
		return err
	}
	d := c.ask(PhaseURL, nil)
	if !d.Allowed {
		return refusal(d)
	}
	p.Reached = "fetch"
	if err = c.obtain(d); err == nil || isForm(err) {
		p.Reached = "document"
	}
	if err != nil {
		return err
	}
	if c.live && c.doc.SHA256 != c.row.DocumentSHA256 {
		c.changes = Changes(c.row.Document, c.doc.Document)
	}
	c.input.Request.Resources = firstResource(d.Settings, c.b.cfg.Offer)
	if d = c.propose(); !d.Allowed {
		return refusal(d)
	}
	p.Waits = c.mustWait(d.Settings)
	return nil
}

// firstResource is the resource that a question without one is about.
func firstResource(s Settings, offer Offer) []string {
	for _, r := range offer.Resources {
		if s.Audiences == nil || slices.Contains(s.Audiences, r.ID) {
			return []string{r.ID}
		}
	}
	return []string{}
}

// fill tells what the checks found.
func (c *call) fill(p *Preview) {
	if len(c.phases) == 0 {
		return
	}
	d := c.out.Decision
	p.Phases, p.Request, p.Settings = c.phases, c.out.Request, d.Settings
	p.Document, p.Dropped, p.Published, p.Changes = c.doc.Document, list(c.doc.Dropped), c.doc.body, list(c.changes)
	if d.Phase != PhaseURL {
		p.Provenance, p.Effective = c.input.Provenance, totalEffective(d.Effective)
		p.Redirects = append(p.Redirects, d.Redirects...)
		p.Cut = append(p.Cut, d.Cut...)
	}
}
