package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"time"

	"guestlist/policies"
	"guestlist/server/admin"
)

// filterMember is one member of a RecordFilter, as messages call it.
type filterMember struct {
	name string
	at   func(f *admin.RecordFilter) *string
	near func(c admin.ClientRow) []string // what a stored client has of it; nil: none
}

var filterMembers = []filterMember{
	{"client", func(f *admin.RecordFilter) *string { return &f.ClientID }, func(c admin.ClientRow) []string { return []string{c.ID} }},
	{"host", func(f *admin.RecordFilter) *string { return &f.Host }, func(c admin.ClientRow) []string { return hostsOf(c.ID) }},
	{"domain", func(f *admin.RecordFilter) *string { return &f.Domain }, nil},
	{"person", func(f *admin.RecordFilter) *string { return &f.Person }, nil},
	{"policy", func(f *admin.RecordFilter) *string { return &f.Policy }, func(c admin.ClientRow) []string { return c.Policy }},
	{"label", func(f *admin.RecordFilter) *string { return &f.Label }, func(c admin.ClientRow) []string { return c.Tags }},
	{"grant", func(f *admin.RecordFilter) *string { return &f.GrantID }, nil},
	{"event", func(f *admin.RecordFilter) *string { return &f.Event }, nil},
	{"outcome", func(f *admin.RecordFilter) *string { return &f.Outcome }, nil},
	{"reason", func(f *admin.RecordFilter) *string { return &f.Reason }, nil},
}

// hostsOf is the host of a client identifier, if it has one.
func hostsOf(clientID string) []string {
	u, err := url.Parse(clientID)
	if err != nil || u.Hostname() == "" {
		return nil
	}
	return []string{u.Hostname()}
}

// none says on standard error why a list is empty, as far as that is known. It
// is help: what cannot be asked is left out.
func (l *lister) none(ctx context.Context) {
	if text := l.whyNone(ctx); text != "" {
		fmt.Fprintln(l.errs, text)
	}
}

// whyNone asks for each filter alone, then for all of them at any time.
func (l *lister) whyNone(ctx context.Context) string {
	all := admin.RecordFilter{Newest: true, Limit: 1}
	set := 0
	for _, m := range filterMembers {
		value := *m.at(&l.f)
		if value == "" {
			continue
		}
		set++
		alone := admin.RecordFilter{Newest: true, Limit: 1}
		*m.at(&alone), *m.at(&all) = value, value
		page, err := l.api.RecordPage(ctx, alone)
		if err != nil {
			return ""
		}
		if len(page.Records) == 0 {
			return fmt.Sprintf("no record has the %s %.300q%s", m.name, value, l.nearest(ctx, m, value))
		}
	}
	if l.f.After > 0 {
		return "" // whoever reads on knows
	}
	page, err := l.api.RecordPage(ctx, all)
	switch {
	case err != nil:
		return ""
	case len(page.Records) > 0:
		return "no record that fits is in that range: the last one is " + momentOf(page)
	case set > 0:
		return "each of these has records, and no record has all of them"
	}
	return "the log has no record yet"
}

// nearest is the value most like one that no record has, among the stored
// clients.
func (l *lister) nearest(ctx context.Context, m filterMember, value string) string {
	if m.near == nil {
		return ""
	}
	page, err := l.api.Clients(ctx, admin.ClientFilter{}, "", 1000)
	if err != nil {
		return ""
	}
	var known []string
	for _, c := range page.Clients {
		known = append(known, m.near(c)...)
	}
	slices.Sort(known)
	return visible(didYouMean(policies.Closest(value, slices.Compact(known))))
}

// momentOf names the record of a page of one.
func momentOf(page admin.RecordPage) string {
	var r struct{ Timestamp time.Time }
	if json.Unmarshal(page.Records[0], &r) != nil || r.Timestamp.IsZero() {
		return fmt.Sprint(page.Last)
	}
	return fmt.Sprintf("%d, of %s", page.Last, r.Timestamp.UTC().Format(time.RFC3339))
}
