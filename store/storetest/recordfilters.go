package storetest

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/store"
)

// logged are many records, with values that come often, seldom, once or never.
// They are staged in units of different sizes and stay over a restart.
func logged(e *env) []decisionlog.Record {
	const n = 1100
	var all []decisionlog.Record
	for i := range n {
		r := newRecord(name("d", i))
		r.Timestamp = moment(time.Duration(i-i%3*5) * time.Second) // not quite in order
		r.ClientID = "https://" + []string{"a.one.example", "b.one.example:8443", "two.example"}[i%3] + "/" + name("", i%7)
		r.Event = []string{"admission.decided", "token.issued", "consent.granted"}[i/2%3]
		if i%5 == 0 {
			reason := []broker.Reason{broker.ReasonPolicyDenied, broker.ReasonFetchDNS, broker.ReasonDocumentNotJSON}[i/5%3]
			r.Outcome, r.Reason, r.PublicReason = decisionlog.OutcomeRefused, string(reason), string(reason.Public())
			r.Phases = []decisionlog.Phase{{Phase: "url", Denials: []decisionlog.Denial{{Policy: "guardrails"}, {Policy: "p1"}}}}
		} else {
			r.Policy, r.Refreshed = []string{name("p", i%4), "q"}, i%11 > 0
		}
		if i%4 == 1 {
			r.Subject, r.GrantID, r.Labels = name("s", i%50), name("g", i%90), map[string]string{"gold": "true", name("l", i%3): "true"}
		}
		if i == 3 || i == 700 {
			r.Event, r.ClientID = "rare", ""
		}
		if i%100 == 8 {
			r.RequestID, r.LastRequestID, r.Count = "flood", name("r", i), 9
		}
		all = append(all, r)
	}
	for from := 0; from < n; {
		to := min(n, from+1+from%97)
		e.must(func(u store.Unit) {
			for _, r := range all[from:to] {
				u.Append(r)
			}
		})
		if from = to; from > 300 && from < 400 {
			e.reopen()
		}
	}
	return all
}

// naive is what a query has to answer, written down once more.
func naive(all []decisionlog.Record, q store.RecordQuery) (want []uint64) {
	is := func(want string, have ...string) bool { return want == "" || slices.Contains(have, want) }
	for i, r := range all {
		_, rest, _ := strings.Cut(r.ClientID, "https://")
		host, _, _ := strings.Cut(rest, "/")
		host, _, _ = strings.Cut(host, ":")
		labels := strings.Split(host, ".")
		domain := strings.Join(labels[max(0, len(labels)-2):], ".")
		policies := slices.Clone(r.Policy)
		for _, p := range r.Phases {
			for _, d := range p.Denials {
				policies = append(policies, d.Policy)
			}
		}
		seq := uint64(i + 1)
		if is(q.ClientID, r.ClientID) && is(q.Host, host) && is(q.Domain, domain) && is(q.Subject, r.Subject) && is(q.Policy, policies...) &&
			is(q.Label, slices.Collect(maps.Keys(r.Labels))...) && is(q.GrantID, r.GrantID) && (is(q.Event, r.Event) || slices.ContainsFunc(decisionlog.Select(q.Event), func(s decisionlog.Selection) bool { return s.Holds(r) })) && is(q.Outcome, r.Outcome) &&
			is(q.Reason, r.Reason) && (!q.Summaries || r.LastRequestID != "") && is(q.RequestID, r.RequestID, r.LastRequestID) && is(q.DecisionID, r.DecisionID) &&
			(q.Since.IsZero() || !r.Timestamp.Before(q.Since)) && (q.Until.IsZero() || r.Timestamp.Before(q.Until)) &&
			seq > q.After && (q.Before == 0 || seq < q.Before) {
			want = append(want, seq)
		}
	}
	if q.Newest {
		slices.Reverse(want)
	}
	limit := q.Limit
	if limit == 0 {
		limit = 1000
	}
	return want[:min(len(want), limit)]
}

// some draws one of the values, or none, so that a few members are set.
func some(t *rapid.T, label string, values ...string) string {
	if rapid.IntRange(0, 3).Draw(t, label+" set") != 0 {
		return ""
	}
	return rapid.SampledFrom(values).Draw(t, label)
}

// selections are names that mean several events, or some of the records of one.
var selections = []string{"client.created", "client.refreshed", "client.admitted", "client.refused", "document.rejected", "token.", "consent.", "client.deleted"}

// drawQuery draws a query about logged.
func drawQuery(t *rapid.T) store.RecordQuery {
	q := store.RecordQuery{
		ClientID:  some(t, "client", "https://two.example/002", "https://a.one.example/000", "https://b.one.example:8443/001", "https://two.example/"),
		Host:      some(t, "host", "a.one.example", "b.one.example", "two.example", "one.example"),
		Domain:    some(t, "domain", "one.example", "two.example", "a.one.example"),
		Subject:   some(t, "subject", "s001", "s049", "s002", "alice"),
		Policy:    some(t, "policy", "p001", "p1", "q", "guardrails", "none"),
		Label:     some(t, "label", "gold", "l002", "silver"),
		GrantID:   some(t, "grant", "g001", "g089", "g"),
		Event:     some(t, "event", append(selections, "admission.decided", "token.issued", "rare", "never")...),
		Outcome:   some(t, "outcome", decisionlog.OutcomeRefused, decisionlog.OutcomeAdmitted),
		Reason:    some(t, "reason", "policy_denied", "fetch_dns", "fetch_tls"),
		Summaries: rapid.IntRange(0, 5).Draw(t, "summaries") == 0,
		Newest:    rapid.Bool().Draw(t, "newest"),
		Limit:     rapid.SampledFrom([]int{0, 1, 7, 100}).Draw(t, "limit"),
	}
	if rapid.IntRange(0, 9).Draw(t, "by id") == 0 {
		q.RequestID = rapid.SampledFrom([]string{"flood", "r008", "r"}).Draw(t, "request")
	}
	seq := rapid.SampledFrom([]uint64{0, 1, 255, 256, 257, 511, 512, 513, 600, 1023, 1024, 1025, 1100, 2000})
	at := rapid.Map(rapid.IntRange(-10, 1110), func(s int) time.Time { return moment(time.Duration(s)*time.Second + 1) })
	if rapid.Bool().Draw(t, "in a range") {
		q.After, q.Before = seq.Draw(t, "after"), seq.Draw(t, "before")
	}
	if rapid.IntRange(0, 2).Draw(t, "in a time") == 0 {
		q.Since, q.Until = at.Draw(t, "since"), at.Draw(t, "until")
	}
	return q
}

// recordFilters compares queries of every kind with a filter that looks at all.
func recordFilters(e *env) {
	all := logged(e)
	one := []store.RecordQuery{
		{}, {Newest: true}, {ClientID: "https://two.example/002"}, {Host: "b.one.example"}, {Domain: "one.example"}, {Subject: "s001"}, {Policy: "p1"},
		{Policy: "q"}, {Label: "gold"}, {GrantID: "g001"}, {Event: "rare"}, {Event: "rare", Newest: true, Limit: 1}, {Outcome: decisionlog.OutcomeRefused},
		{Reason: "fetch_dns"}, {Summaries: true}, {Summaries: true, Newest: true, Limit: 3}, {Summaries: true, Since: moment(300 * time.Second), Until: moment(900 * time.Second)}, {RequestID: "flood"}, {RequestID: "r108"}, {DecisionID: "d700"}, {Before: 257}, {Before: 257, Newest: true, Limit: 2},
		{After: 256, Limit: 2}, {After: 255, Before: 258}, {RequestID: "flood", Before: 300, Newest: true}, {RequestID: "flood", After: 300, Before: 500},
	}
	for _, name := range selections[:7] {
		one = append(one, store.RecordQuery{Event: name}, store.RecordQuery{Event: name, Newest: true, Limit: 3, Before: 700})
	}
	for _, q := range one {
		want := naive(all, q)
		if got := seqs(e.records(q)); !reflect.DeepEqual(got, want) || len(want) == 0 {
			e.Errorf("Records(%+v) = %v, want %v, not empty", q, got, want)
		}
	}
	rapid.Check(e.T, func(t *rapid.T) {
		q := drawQuery(t)
		want := naive(all, q)
		if got := seqs(e.records(q)); !(len(got) == 0 && len(want) == 0) && !reflect.DeepEqual(got, want) {
			t.Errorf("Records(%+v) = %v, want %v", q, got, want)
		}
	})
}
