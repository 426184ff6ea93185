package policies

import (
	"encoding/json"
	"reflect"
	"slices"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
)

// trail follows the value of every settings member from whoever gave it
// through the meets. A nil trail follows nothing, so that a decision that
// nobody wants explained does not pay for it.
type trail struct {
	values []any                // by position in members
	steps  [][]decisionlog.Step // by position in members
}

// follow begins a trail: what a policy wrote, else the defaults, else the strict
// values. Without a policy it is the terms of a grant.
func (d *decision) follow(policy string, own, defaults partial) *trail {
	if !d.query.Explain {
		return nil
	}
	t := &trail{values: make([]any, len(members)), steps: make([][]decisionlog.Step, len(members))}
	strict := broker.StrictSettings()
	for i, m := range members {
		by, v := "strict", m.value(&strict)
		if policy == "" {
			by, v = "grant", m.value(d.query.Kept)
		} else if w, ok := own[m.path]; ok {
			by, v = "policy "+policy, w
		} else if w, ok := defaults[m.path]; ok {
			by, v = "defaults", w
		}
		t.put(i, by, v)
	}
	return t
}

// step notes what somebody changed.
func (t *trail) step(by string, now *terms) {
	if t == nil {
		return
	}
	for i, m := range members {
		v := m.value(&now.Settings)
		if alike(t.values[i], v) { // in another order, perhaps
			by := t.steps[i][len(t.steps[i])-1].By
			t.steps[i] = t.steps[i][:len(t.steps[i])-1]
			t.put(i, by, v)
			continue
		}
		t.put(i, by, v)
	}
}

// row notes what the row of a list changed.
func (t *trail) row(r *row, now *terms) {
	if t != nil {
		t.step("row "+r.name(), now)
	}
}

// met notes what another policy of equal rank changed.
func (t *trail) met(policy string, now *terms) {
	if t != nil {
		t.step("policy "+policy+" (equal rank)", now)
	}
}

func (t *trail) put(i int, by string, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		b = []byte("null")
	}
	t.values[i] = v
	t.steps[i] = append(t.steps[i], decisionlog.Step{By: by, Value: b})
}

// alike compares two values of one member; the order of a list says nothing.
func alike(a, b any) bool {
	x, isList := a.([]string)
	y, _ := b.([]string)
	if !isList || (x == nil) != (y == nil) {
		return reflect.DeepEqual(a, b)
	}
	return slices.Equal(slices.Compact(slices.Sorted(slices.Values(x))), slices.Compact(slices.Sorted(slices.Values(y))))
}

// sources are the trails of all members.
func (t *trail) sources() []decisionlog.Source {
	if t == nil {
		return nil
	}
	out := make([]decisionlog.Source, len(members))
	for i, m := range members {
		out[i] = decisionlog.Source{Member: m.path, Steps: t.steps[i]}
	}
	return out
}
