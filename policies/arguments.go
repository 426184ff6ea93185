package policies

import "github.com/open-policy-agent/opa/v1/ast"

// checkArguments refuses denials that a function makes from what may be absent,
// as in "deny_user contains group.missing(input.row.groups)": an absent
// argument leaves the function undefined, and with it the denial.
func (p *pkg) checkArguments(out *report) {
	for name, rules := range p.rules {
		if p.kind.specs()[name].shape != shapeSet {
			continue
		}
		for _, r := range rules {
			if r.Head.Key == nil {
				continue
			}
			call, ok := r.Head.Key.Value.(ast.Call)
			if !ok {
				continue
			}
			for _, ref := range refsIn(call[1:]) {
				if ref = p.spelledOut(ref); p.mayBeAbsent(ref) {
					out.fail(p.file, r.Location.Row, "argument_absence", "collect it, which gives an empty set where it is absent: {x | some x in "+ref.String()+"}",
						"package %s: %s may be absent, and then %s denies nothing", p.name, ref, name)
				}
			}
		}
	}
}
