package broker

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"guestlist/broker/cimd"
	"guestlist/broker/decisionlog"
)

// baseInput fills what every phase knows.
func (c *call) baseInput(facts RequestInput) Input {
	local := c.now.In(c.b.cfg.Zone)
	facts.Scopes, facts.Resources, facts.Prompt = list(facts.Scopes), list(facts.Resources), list(facts.Prompt)
	return Input{
		Contract: Contract, Registration: RegistrationCIMD, Issuer: c.b.cfg.Issuer, Time: c.now.UTC(),
		Clock: ClockInput{
			Zone: c.b.cfg.Zone.String(), Date: local.Format("2006-01-02"),
			Weekday: strings.ToLower(local.Weekday().String()), Hour: local.Hour(), Minute: local.Minute(),
		},
		ClientID: c.id.String(), Facts: c.b.cfg.Facts, Client: describeID(c.id, c.live), Request: facts,
		Redirects: []cimd.Redirect{}, Published: map[string]any{},
		Provenance: ProvenanceInput{Changed: []string{}},
		Effective:  Effective{AuthMethods: []string{}, GrantTypes: []string{}, ResponseTypes: []string{}, Scopes: []string{}, Resources: []string{}},
		User:       UserInput{Groups: []string{}, Claims: map[string]any{}, AMR: []string{}},
		Grant:      GrantInput{Scopes: []string{}, Resources: []string{}},
		Now:        NowInput{Scopes: []string{}, Resources: []string{}},
	}
}

// list turns nil into the empty list, so that input is total.
func list(v []string) []string {
	if v == nil {
		return []string{}
	}
	return v
}

// describeID takes the identifier apart for policies.
func describeID(id cimd.ID, admittedBefore bool) ClientInput {
	return ClientInput{
		Scheme: "https", Host: id.Host, Port: id.Port, RegistrableDomain: id.RegistrableDomain(),
		Parents: list(id.Parents()), Labels: list(id.Labels()), Path: id.Path, Segments: list(id.Segments),
		Query: id.Query, Warnings: list(id.Warnings), AdmittedBefore: admittedBefore,
	}
}

// describeDocument fills what the document phase adds.
func (c *call) describeDocument() {
	doc := c.doc
	c.input.Published = doc.Published
	for _, uri := range doc.Document.RedirectURIs {
		if r, err := cimd.ClassifyRedirect(uri, c.id); err == nil {
			c.input.Redirects = append(c.input.Redirects, r)
		}
	}
	c.input.Provenance = ProvenanceInput{
		SHA256: doc.SHA256, FetchedAt: doc.fetchedAt.UTC(), Age: int64(c.now.Sub(doc.fetchedAt).Seconds()),
		From: doc.from, Bytes: len(doc.body), Changed: []string{},
	}
	if c.live && c.row.DocumentSHA256 != doc.SHA256 {
		c.input.Provenance.Changed = changedMembers(c.row.Document, doc.Document)
	}
}

// changedMembers names the kept members in which two documents differ.
func changedMembers(a, b cimd.Document) []string {
	ma, mb := members(a), members(b)
	out := []string{}
	for _, k := range slices.Sorted(maps.Keys(ma)) {
		if !reflect.DeepEqual(ma[k], mb[k]) {
			out = append(out, k)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(mb)) {
		if _, ok := ma[k]; !ok {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}

// members is a document as a JSON object.
func members(d cimd.Document) map[string]any {
	out := map[string]any{}
	if b, err := json.Marshal(d); err == nil {
		json.NewDecoder(bytes.NewReader(b)).Decode(&out)
	}
	return out
}

// record authors the one record of this call: in the unit when state changes,
// else for the batch.
func (c *call) record(err error) error {
	d := c.out.Decision
	r := decisionlog.Record{
		DecisionID: NewID(), Timestamp: c.now, Event: "admission.decided", RequestID: c.req.RequestID,
		Path: Contract, Revision: c.out.Revision, Epoch: c.out.Epoch, Registration: string(RegistrationCIMD),
		Phase: string(d.Phase), Policy: d.Winner, Phases: c.phases, Cut: d.Cut, DocumentSHA256: c.doc.SHA256,
		Metrics: c.metrics, Source: c.req.Facts.Source.IP, Labels: tags(d.Settings.Tags),
	}
	if c.policy != nil {
		r.Engine = c.policy.Engine()
	}
	c.recordClient(&r)
	if err := c.recordAnswer(&r, err); err != nil {
		return err
	}
	if c.changes || c.req.Commits && err == nil {
		c.u.Append(r)
		return nil
	}
	return c.b.cfg.Later(r)
}

// recordClient names the client; one that could not be parsed leaves only a
// digest and its length.
func (c *call) recordClient(r *decisionlog.Record) {
	if c.id.String() == "" {
		sum := sha256.Sum256([]byte(c.req.ClientID))
		r.ClientIDDigest = fmt.Sprintf("sha256:%s (%d bytes)", hex.EncodeToString(sum[:]), len(c.req.ClientID))
		return
	}
	r.ClientID = c.id.String()
	r.Incarnation = c.out.Client.Incarnation
	if !c.out.Client.ExpiresAt.IsZero() {
		t := c.out.Client.ExpiresAt.UTC()
		r.ExpiresAt = &t
	}
	if c.req.Person != nil {
		r.Subject = c.b.cfg.Pseudonym(c.req.Person.Sub)
	}
	if c.req.Bound != nil {
		r.GrantID = c.req.Bound.GrantID
	}
}

// recordAnswer fills outcome, settings, input and result.
func (c *call) recordAnswer(r *decisionlog.Record, err error) error {
	d := c.out.Decision
	switch {
	case err != nil:
		r.Outcome, r.Reason, r.Detail = decisionlog.OutcomeRefused, string(ReasonOf(err)), err.Error()
		r.PublicReason = string(ReasonOf(err).Public())
	case c.out.Reused || c.req.Person != nil:
		r.Outcome = decisionlog.OutcomeReused
	default:
		r.Outcome = decisionlog.OutcomeAdmitted
	}
	if len(c.phases) == 0 {
		return nil
	}
	var jerr error
	if r.Input, jerr = c.input.PhaseJSON(); jerr != nil {
		return jerr
	}
	if !d.Matched() {
		return nil
	}
	if r.Settings, jerr = json.Marshal(d.Settings); jerr != nil {
		return jerr
	}
	if d.Phase != PhaseURL {
		if r.Effective, jerr = json.Marshal(d.Effective); jerr != nil {
			return jerr
		}
	}
	r.Result, jerr = json.Marshal(map[string]any{"allow": err == nil, "policy": d.Winner, "denials": d.Denials})
	return jerr
}

// tags turns a policy's tags into labels.
func tags(t []string) map[string]string {
	if len(t) == 0 {
		return nil
	}
	out := make(map[string]string, len(t))
	for _, v := range t {
		out[v] = "true"
	}
	return out
}
