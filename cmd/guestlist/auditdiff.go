package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"guestlist/broker/decisionlog"
	"guestlist/server/admin"
)

// auditDiffCommand compares a client at two moments.
func auditDiffCommand(server *serverFlags) *cobra.Command {
	var from, to string
	c := &cobra.Command{
		Use:   "diff URL",
		Short: "Show what changed for a client between two moments",
		Long: "Show what changed for a client between two moments, from the records alone: the\n" +
			"last decision at or before each, its policy, settings and document, and what\n" +
			"happened between them. Exit status 2 says that something changed.",
		Example: "  guestlist audit diff https://agents.example/oauth/client.json --from 2026-11-01 --to 2026-11-20\n" +
			"  guestlist audit diff https://agents.example/oauth/client.json --from 7d",
		Args: oneArg,
	}
	chooseFlag(c.Flags(), &from, "from", "the earlier moment: a time, a date or how long ago")
	chooseFlag(c.Flags(), &to, "to", "the later one; none: now")
	format := oneFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		moments, err := between(from, to)
		if err != nil {
			return err
		}
		d, err := askDiff(c, server, args[0], moments)
		if err != nil {
			return err
		}
		if err := printOne(c.OutOrStdout(), *format, d, d.page); err != nil {
			return err
		}
		if len(d.Changes)+len(d.Events) > 0 {
			return &findings{}
		}
		return nil
	}
	return c
}

// between reads the two moments.
func between(from, to string) (moments [2]time.Time, err error) {
	if from == "" {
		return moments, errors.New("--from is missing. Remedy: say when to begin, for instance --from 7d")
	}
	if moments[0], err = past("--from", from); err != nil {
		return moments, err
	}
	if moments[1], err = past("--to", to); err != nil {
		return moments, err
	}
	if to == "" {
		moments[1] = time.Now()
	}
	return moments, ordered("--from", moments[0], "--to", moments[1])
}

// auditDiff is what changed for one client.
type auditDiff struct {
	ClientID string         `json:"client_id"`
	From     *diffSide      `json:"from"` // null: nothing was decided by then
	To       *diffSide      `json:"to"`
	Changes  []memberChange `json:"changes"`
	Events   map[string]int `json:"events"` // records between the two, by event and outcome
	More     bool           `json:"more"`   // there are more than were counted
}

// diffSide is the decision at one moment.
type diffSide struct {
	At         time.Time `json:"at"` // the moment asked about
	DecisionID string    `json:"decision_id"`
	DecidedAt  time.Time `json:"decided_at"`
	Outcome    string    `json:"outcome"`
	Reason     string    `json:"reason,omitempty"`
	BodyErased bool      `json:"body_erased,omitempty"` // its facts, and perhaps its document, are not known any more
	Masked     bool      `json:"masked,omitempty"`      // some of its facts, or all, are not known: admission.mask took them

	members map[string]string
	blind   []string // members that are not known; one that ends with a dot stands for all below
}

// memberChange is one member that is not as it was; an empty side has none.
type memberChange struct {
	Member string `json:"member"` // reason, policy, settings.client_ttl, document.client_name …
	Was    string `json:"was"`
	Is     string `json:"is"`
}

// askDiff asks about both moments and what lies between.
func askDiff(c *cobra.Command, server *serverFlags, id string, moments [2]time.Time) (auditDiff, error) {
	d := auditDiff{ClientID: id, Changes: []memberChange{}, Events: map[string]int{}}
	sides := [2]**diffSide{&d.From, &d.To}
	for i, at := range moments {
		t, err := askWhy(c, server, id, at, true)
		var refused *admin.Refusal
		if errors.As(err, &refused) && refused.Status == 404 && i == 0 {
			continue // it came later
		}
		if err != nil {
			return d, err
		}
		if *sides[i], err = t.side(at); err != nil {
			return d, err
		}
	}
	d.compare()
	return d, d.count(c, server, moments)
}

// side reads one side from an answer.
func (t told) side(at time.Time) (*diffSide, error) {
	r, err := t.last()
	if err != nil {
		return nil, err
	}
	s := &diffSide{At: at.UTC(), DecisionID: r.DecisionID, DecidedAt: r.Timestamp, Outcome: r.Outcome, Reason: r.Reason, members: map[string]string{}}
	s.put("admitted", map[bool]string{true: "no", false: "yes"}[r.Outcome == decisionlog.OutcomeRefused])
	s.put("reason", r.Reason)
	s.put("registration", r.Registration)
	s.put("revision", r.Revision)
	s.put("facts_sha256", r.FactsSHA256)
	s.put("document_sha256", r.DocumentSHA256)
	for i, p := range r.Policy {
		s.put(fmt.Sprintf("policy.%d", i), p)
	}
	for _, p := range r.Phases {
		for _, denial := range p.Denials {
			s.put("denial."+denial.Policy+"."+denial.Code, denial.Message)
			if denial.Code == "" || denial.Message == "" || r.Altered("phases") { // computed, and gone or not as it was
				s.blind = append(s.blind, "denial."+denial.Policy+".")
			}
		}
	}
	s.putAll("settings", flatten(r.Settings))
	s.putAll("effective", flatten(r.Effective))
	if t.Story != nil && t.Story.Material != nil {
		s.putAll("document", flatten(t.Story.Material.Document))
	}
	if s.BodyErased = r.BodyErased; s.BodyErased {
		s.blind = append(s.blind, "facts.")
	}
	for _, computed := range r.Computed {
		if gone := s.BodyErased || r.Altered(computed[1:]); gone && (computed == "/settings" || computed == "/effective") {
			s.blind = append(s.blind, computed[1:]+".")
		}
	}
	masked := maskedFacts(r.Record)
	s.Masked, s.blind = len(masked) > 0, append(s.blind, masked...)
	if t.Story != nil && t.Story.Document != nil && !t.Story.Document.Kept {
		s.blind = append(s.blind, "document.")
	}
	if t.Story != nil && t.Story.InForce != nil {
		for name, v := range t.Story.InForce.Values {
			s.put("facts."+name, written(v))
		}
	}
	return s, nil
}

func (s *diffSide) put(member, value string) {
	if value != "" {
		s.members[member] = value
	}
}

func (s *diffSide) putAll(below string, values map[string]string) {
	for name, v := range values {
		s.put(below+"."+name, v)
	}
}

// maskedFacts are the facts that masking took something of, as members of a
// side.
func maskedFacts(r decisionlog.Record) (members []string) {
	for _, path := range slices.Concat(r.Erased, r.Masked) {
		names, err := decisionlog.CheckPath(path)
		switch {
		case err != nil || names[0] != "input" || len(names) > 1 && names[1] != "facts":
		case len(names) < 3:
			members = append(members, "facts.")
		default:
			members = append(members, "facts."+names[2])
		}
	}
	return members
}

// compare fills Changes, member by member.
func (d *auditDiff) compare() {
	was, is := map[string]string{}, map[string]string{}
	var blind []string
	if d.From != nil {
		was, blind = d.From.members, d.From.blind
	}
	if d.To != nil {
		is, blind = d.To.members, append(blind, d.To.blind...)
	}
	all := maps.Clone(was)
	maps.Copy(all, is)
	for _, member := range slices.Sorted(maps.Keys(all)) {
		unknown := slices.ContainsFunc(blind, func(blind string) bool {
			return member == blind || strings.HasSuffix(blind, ".") && strings.HasPrefix(member, blind)
		})
		if was[member] != is[member] && !unknown {
			d.Changes = append(d.Changes, memberChange{member, was[member], is[member]})
		}
	}
}

// count counts what happened between the two moments.
func (d *auditDiff) count(c *cobra.Command, server *serverFlags, moments [2]time.Time) error {
	api, err := server.client()
	if err != nil {
		return err
	}
	raws, err := api.Records(c.Context(), admin.RecordFilter{ClientID: d.ClientID, Since: moments[0].Add(1), Until: moments[1].Add(1), Limit: 1000})
	if err != nil {
		return err
	}
	d.More = len(raws) == 1000
	records, err := decodeLogged(raws)
	for _, r := range records {
		if r.Event == "" || r.Event == decisionlog.EventAdmissionDecided && r.Outcome == decisionlog.OutcomeReused {
			continue
		}
		d.Events[r.Event+" "+r.Outcome] += max(1, r.Count)
	}
	return err
}

// page writes the difference for people.
func (d *auditDiff) page(w io.Writer) error {
	p := &page{}
	p.field(0, "client", d.ClientID)
	p.side("from", d.From)
	p.side("to", d.To)
	if len(d.Changes) == 0 {
		p.field(0, "changed", "nothing that was decided")
	}
	for _, c := range d.Changes {
		p.line(0, "")
		p.line(0, "%s", c.Member)
		p.field(1, "was", orDash(c.Was))
		p.field(1, "is", orDash(c.Is))
	}
	if len(d.Events) > 0 {
		p.line(0, "")
		p.line(0, "between them")
	}
	for _, event := range slices.Sorted(maps.Keys(d.Events)) {
		p.line(1, "%6d  %s", d.Events[event], event)
	}
	if d.More {
		p.line(1, "and more: the first 1000 records are counted. Remedy: choose a shorter time")
	}
	_, err := w.Write(p.buf.Bytes())
	return err
}

// side writes the decision at one moment.
func (p *page) side(name string, s *diffSide) {
	if s == nil {
		p.field(0, name, "nothing was decided by then")
		return
	}
	line := fmt.Sprintf("%s: %s", stamp(s.At), s.Outcome)
	if s.Reason != "" {
		line += ", " + s.Reason
	}
	p.field(0, name, fmt.Sprintf("%s (decided %s)", line, stamp(s.DecidedAt)))
	if s.BodyErased {
		p.field(0, "erased", "the body of that record, so that its facts are not compared")
	}
	if s.Masked {
		p.field(0, "masked", "facts of that record, which are not compared")
	}
}
