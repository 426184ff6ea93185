package policies

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
)

// spelt are the texts and numbers that the files of a unit spell out, by their
// JSON. They stand in the revision, which is kept with the log, so a record may
// repeat them for good; one that happens to be the value of a claim too is the
// policy's word all the same. Texts of base data are not among them: which of
// them a rule picks may say who asked.
type spelt map[string]struct{}

// speltIn collects what modules spell out. Names of clients and waivers, of which
// there may be many, are none that a rule says.
func speltIn(modules map[string]*ast.Module) spelt {
	w := spelt{}
	for _, m := range modules {
		for _, r := range m.Rules {
			if name := r.Head.Name.String(); name == "client_ids" || name == "waivers" {
				continue
			}
			ast.WalkTerms(r, func(t *ast.Term) bool {
				switch v := t.Value.(type) {
				case ast.String:
					w[string(v)] = struct{}{}
				case ast.Number:
					w[string(v)] = struct{}{}
				}
				return false
			})
		}
	}
	return w
}

// public are the members of input that say nothing of a person: who the client
// is stands in the header of a record anyway, and the rest is the server's, or
// the row's and so of the revision.
var public = []string{"contract", "phase", "registration", "issuer", "time", "clock", "client_id", "client", "row"}

// personal reports whether anything is read that is not public, so that what is
// computed from it may be personal.
func (r reads) personal() bool {
	for name := range r {
		if !slices.Contains(public, name) {
			return true
		}
	}
	return false
}

// computedIn names the texts of a denial that may say something of a person
// because no file spells them out.
func (r *rule) computedIn(d decisionlog.Denial) (out []string) {
	if !r.personal {
		return nil
	}
	for _, text := range [...]struct{ member, value string }{
		{"code", d.Code}, {"message", d.Message}, {"user_message", d.UserMessage}, {"remedy", d.Remedy},
	} {
		if _, ours := r.rt.spelt[text.value]; text.value != "" && !ours {
			out = append(out, text.member)
		}
	}
	return out
}

// computedOf lists the texts and numbers of settings that may say something of
// a person because no file spells them out.
func (r *rule) computedOf(t *ast.Term) (out []string) {
	if !r.personal {
		return nil
	}
	ast.WalkTerms(t, func(t *ast.Term) bool {
		value := ""
		switch v := t.Value.(type) {
		case ast.String:
			value = string(v)
		case ast.Number:
			value = string(v)
		}
		if _, ours := r.rt.spelt[value]; value != "" && !ours {
			out = append(out, value)
		}
		return false
	})
	return out
}

// textsOf are the texts of settings that another revision gave, of which it is
// not known any more who spelt them out.
func textsOf(s broker.Settings) []string {
	out := slices.Concat(s.Scopes.Ceiling, s.Scopes.Default, s.GrantTypes, s.ResponseTypes, s.Redirect.Hosts, s.Audiences, s.Require.ACR, s.Require.Groups, s.Tags)
	for _, m := range []map[string]any{s.Claims, s.Device} {
		if b, err := json.Marshal(m); err == nil && len(m) > 0 {
			out = append(out, string(b))
		}
	}
	return out
}

// unsaid takes out of cuts the default scopes that a policy computed: nobody
// asked for them, and what was cut stands in the header of a record for good.
func (d *decision) unsaid(cuts []decisionlog.Cut) []decisionlog.Cut {
	if len(d.query.Input.Request.Scopes) > 0 {
		return cuts
	}
	for i := range cuts {
		if c := &cuts[i]; c.Member == "scope" && slices.ContainsFunc(d.out.Computed, func(text string) bool { return strings.HasPrefix(text, c.Value) }) {
			c.Value = "(computed)"
		}
	}
	return cuts
}
