package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/policies"
	"guestlist/policies/authoring"
)

// factsInForce is what the app knows of its facts beside their values.
type factsInForce struct {
	values map[string]any // of the file, as last taken over
	sha256 string
	since  time.Time // when this process took them over
}

// readFacts returns the values of the facts file, none where none is named.
func readFacts(file string) (policies.FactValues, error) {
	if file == "" {
		return policies.FactValues{}, nil
	}
	values, err := authoring.ReadFacts(file)
	if errors.Is(err, fs.ErrNotExist) {
		return values, fmt.Errorf("there is no facts file %s. Remedy: guestlist facts set NAME=VALUE --config FILE makes it, and so does writing {} to it", file)
	}
	return values, err
}

// withFacts gives a set the facts of a file; without one they have their
// defaults.
func withFacts(set *policies.Set, file string) (*policies.Set, error) {
	values, err := readFacts(file)
	if err != nil {
		return nil, err
	}
	with, err := set.WithFacts(values.Values)
	if err != nil {
		return nil, misfit(values, err)
	}
	return with, nil
}

// equip gives a set that is to be activated its facts. Where the file is at
// fault the values in force go on, if there are any and they fit; where the set
// is, because the active one takes the same values, it is refused.
func (a *app) equip(ctx context.Context, set *policies.Set) (*policies.Set, map[string]any, error) {
	active := a.active.Load()
	file, problem := readFacts(a.plan.facts)
	if problem == nil {
		with, err := set.WithFacts(file.Values)
		if err == nil {
			a.factsProblem.Store(nil)
			return with, file.Values, nil
		}
		problem = misfit(file, err)
		if active != nil {
			if _, err := active.set.WithFacts(file.Values); err == nil {
				return nil, nil, problem
			}
		}
	}
	if active == nil {
		return nil, nil, problem
	}
	a.factsRejected(ctx, problem)
	with, err := set.WithFacts(a.facts.Load().values)
	if err != nil {
		return nil, nil, fmt.Errorf("the facts in force do not fit its %s: %w", policies.FactsFile, err)
	}
	return with, a.facts.Load().values, nil
}

// misfit says that values and schema do not go together.
func misfit(file policies.FactValues, err error) error {
	if file.File == "" {
		return fmt.Errorf("%s: %w", policies.FactsFile, err)
	}
	return fmt.Errorf("the facts of %s do not fit %s of the policies: %w", file.File, policies.FactsFile, file.Explain(err))
}

// renew takes over the facts file where it changed. Policies are not loaded
// again. On an error the values in force go on, and status says so.
func (a *app) renew(ctx context.Context) {
	a.loading.Lock()
	defer a.loading.Unlock()
	a.renewLocked(ctx)
}

func (a *app) renewLocked(ctx context.Context) {
	active := a.active.Load()
	if active == nil || a.plan.facts == "" {
		return
	}
	file, err := readFacts(a.plan.facts)
	var next *policies.Set
	if err == nil {
		if next, err = active.set.WithFacts(file.Values); err != nil {
			err = misfit(file, err)
		}
	}
	if err == nil {
		err = a.activate(ctx, next, file.Values, "")
	}
	if err != nil {
		a.factsRejected(ctx, err)
		return
	}
	now := *active
	now.set = next
	a.active.Store(&now)
	a.factsProblem.Store(nil)
}

// activate has the broker decide by a set with its facts; the caller keeps the
// set as the active one. by is who had it loaded; empty: nobody.
func (a *app) activate(ctx context.Context, set *policies.Set, values map[string]any, by string) error {
	sum, err := broker.FactsDigest(set.Facts())
	if err != nil {
		return err
	}
	source, before, active := a.plan.source, a.facts.Load(), a.active.Load()
	if a.plan.facts != "" && set.Revision() == a.broker.Revision() {
		source = a.plan.facts + changes(active.set.Facts(), set.Facts())
	}
	a.masking.CompareAndSwap(nil, set) // the first revision masks its own activation
	u := a.store.Begin()
	if err := a.broker.Activate(ctx, set, source, by, u, func(ctx context.Context) error { return a.store.Commit(ctx, u) }); err != nil {
		return err
	}
	if a.masking.Swap(set).Revision() != set.Revision() {
		a.unmasked.Store(nil)
	}
	in := &factsInForce{values: values, sha256: sum, since: time.Now()}
	if before != nil && before.sha256 == sum {
		in.since = before.since
	} else if before != nil {
		asked(ctx, a.log.Info().Str("event", "facts.changed")).Str("facts_sha256", sum).Msg(source)
	}
	a.facts.Store(in)
	return nil
}

// factsSource names where facts come from.
func (a *app) factsSource() string {
	if a.plan.facts == "" {
		return "the defaults of " + policies.FactsFile
	}
	return a.plan.facts
}

// changes writes what is another value now: "; change_freeze: false → true".
func changes(before, after map[string]any) string {
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(after)) {
		was, is := written(before[name]), written(after[name])
		if was != is {
			fmt.Fprintf(&out, "; %s: %s → %s", name, was, is)
		}
	}
	return out.String()
}

// written is the value of a fact as JSON, cut where it is long.
func written(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "?"
	}
	if len(b) > 200 {
		return strings.ToValidUTF8(string(b[:200]), "") + "…"
	}
	return string(b)
}

// factsRejected notes that the facts file was refused; the values in force go
// on. The same trouble once more is neither logged nor recorded.
func (a *app) factsRejected(ctx context.Context, err error) {
	text := err.Error()
	if was := a.factsProblem.Swap(&text); was != nil && *was == text {
		return
	}
	asked(ctx, a.log.Error().Str("event", "facts.rejected")).Str("source", a.factsSource()).Msg("the facts in force go on: " + text)
	a.batch.Add(decisionlog.Record{
		DecisionID: broker.NewID(), Timestamp: time.Now(), Event: decisionlog.EventFactsRejected, Outcome: decisionlog.OutcomeRefused,
		Reason: string(broker.ReasonPolicyError), Path: broker.Contract, Revision: a.broker.Revision(), FactsSHA256: a.facts.Load().sha256, RequestID: broker.RequestOf(ctx), Detail: text,
	})
}

// factsStatus adds what status says of facts, nothing where there are none.
func (a *app) factsStatus(out map[string]any) {
	if p := a.factsProblem.Load(); p != nil {
		out["facts_problem"] = *p
	}
	in := a.facts.Load()
	if in == nil || in.sha256 == "" && a.plan.facts == "" {
		return
	}
	out["facts"], out["facts_sha256"] = a.factsSource(), in.sha256
	out["facts_age"] = time.Since(in.since).Round(time.Second).String()
}
