package metrics

import (
	"regexp"
	"sync"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
)

// other stands for every value that is in no set.
const other = "other"

// set is the values that a label may have. A set never grows.
type set map[string]string

func setOf(values ...string) set {
	s := set{}
	for _, v := range values {
		s[v] = v
	}
	return s
}

// hold returns v where it is in the set, else other.
func (s set) hold(v string) string {
	if held, ok := s[v]; ok {
		return held
	}
	return other
}

// documentSources are the values of ProvenanceInput.From.
var documentSources = []string{"network", "store", "pin", "configuration"}

// The sets of labels that nobody configures.
var (
	froms    = setOf(documentSources...)
	budgets  = setOf(broker.SpentBudgets()...)
	outcomes = setOf(decisionlog.OutcomeAdmitted, decisionlog.OutcomeReused, decisionlog.OutcomeRefused)
)

// phases are those that are asked, and "none" for what was refused before.
var phases = set{
	"": "none", string(broker.PhaseURL): string(broker.PhaseURL), string(broker.PhaseDocument): string(broker.PhaseDocument),
	string(broker.PhaseUser): string(broker.PhaseUser), string(broker.PhaseRefresh): string(broker.PhaseRefresh),
}

// reasonSet is every reason that is documented.
func reasonSet() set {
	s := set{}
	for _, d := range broker.Reasons() {
		s[string(d.Reason)] = string(d.Reason)
	}
	return s
}

// publicSet is every public reason.
func publicSet() set {
	s := set{}
	for _, d := range broker.Reasons() {
		s[string(d.Public)] = string(d.Public)
	}
	return s
}

// maxPolicies is how many policies are counted by name in the life of a
// process; guest lists that come and go must not add series for ever.
const maxPolicies = 200

// policyName is what a policy is called that is counted by name: what fits a
// package of Rego written without quotes, and is short.
var policyName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`)

// policies holds the names of policies that have won, the first maxPolicies of
// them.
type policies struct {
	mu    sync.RWMutex
	names set
}

// hold is the label of a decision's winners: "none" where no policy won,
// "several" where some of equal rank did together.
func (p *policies) hold(winner []string) string {
	switch len(winner) {
	case 0:
		return "none"
	case 1:
	default:
		return "several"
	}
	p.mu.RLock()
	name, known := p.names[winner[0]]
	p.mu.RUnlock()
	if known {
		return name
	}
	return p.meet(winner[0])
}

// meet takes in the name of a policy that has not won before, while there is
// room.
func (p *policies) meet(name string) string {
	if !policyName.MatchString(name) {
		return other
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.names) >= maxPolicies {
		return other
	}
	p.names[name] = name
	return name
}
