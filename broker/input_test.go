package broker_test

import (
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"guestlist/broker"
)

// membersOf is the table of design §4, "Input is total".
var membersOf = map[broker.Phase][]string{
	broker.PhaseURL: {"contract", "phase", "registration", "issuer", "time", "clock", "client_id", "facts", "client", "request", "row"},
	broker.PhaseDocument: {"contract", "phase", "registration", "issuer", "time", "clock", "client_id", "facts", "client", "request", "row",
		"published", "redirects", "provenance", "effective"},
	broker.PhaseUser: {"contract", "phase", "registration", "issuer", "time", "clock", "client_id", "facts", "client", "request", "row",
		"published", "redirects", "provenance", "effective", "user"},
	broker.PhaseRefresh: {"contract", "phase", "registration", "issuer", "time", "clock", "client_id", "facts", "client", "request", "row",
		"published", "redirects", "provenance", "effective", "user", "grant", "now"},
}

func TestPhaseJSONHasTheMembersOfItsPhase(t *testing.T) {
	for phase, want := range membersOf {
		b, err := broker.Input{Phase: phase}.PhaseJSON()
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatal(err)
		}
		if g, w := slices.Sorted(maps.Keys(got)), slices.Sorted(slices.Values(want)); !slices.Equal(g, w) {
			t.Errorf("%s: members %v, want %v", phase, g, w)
		}
	}
}

// TestPhaseJSONIsTheInput holds what is recorded to what policies were shown:
// the same members with the same values, none renamed, swapped or lost.
func TestPhaseJSONIsTheInput(t *testing.T) {
	w := newWorld(t)
	w.policy.facts = map[string]any{"freeze": true}
	asked := w.mustAdmit().asked
	asked = append(asked, w.mustAdmit(person(nil)).asked...)
	asked = append(asked, w.mustAdmit(func(r *broker.Request) {
		person(nil)(r)
		r.Refresh = &broker.Refresh{Grant: broker.GrantInput{RedirectHost: "grant.example"}, Now: broker.NowInput{GrantType: "refresh_token"}}
	}).asked...)
	for _, q := range asked {
		q.Input.Row = map[string]any{"path": "/x"}
		whole, err := json.Marshal(q.Input)
		if err != nil {
			t.Fatal(err)
		}
		part, err := q.Input.PhaseJSON()
		if err != nil {
			t.Fatal(err)
		}
		var want, got map[string]any
		if err := errors.Join(json.Unmarshal(whole, &want), json.Unmarshal(part, &got)); err != nil {
			t.Fatal(err)
		}
		for _, k := range broker.MembersBefore(q.Input.Phase) {
			delete(want, k)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("phase %s: PhaseJSON() = %s\nwant the members of %s", q.Input.Phase, part, whole)
		}
	}
}

// nulls walks v and names every nil slice and map; row alone may be null.
func nulls(v reflect.Value, path string) []string {
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return nil
		}
		var out []string
		for i := range v.NumField() {
			out = append(out, nulls(v.Field(i), path+"."+v.Type().Field(i).Tag.Get("json"))...)
		}
		return out
	case reflect.Slice:
		if v.IsNil() {
			return []string{path}
		}
		var out []string
		for i := range v.Len() {
			out = append(out, nulls(v.Index(i), path+"[]")...)
		}
		return out
	case reflect.Map:
		if v.IsNil() && path != "input.row" {
			return []string{path}
		}
	}
	return nil
}

// TestInputIsTotal walks what the policy saw and what the record kept (traps
// F6): in both, an absent operand of "not" would count as true.
func TestInputIsTotal(t *testing.T) {
	w := newWorld(t)
	w.policy.answer = func(q broker.Query, d *broker.Decision) {
		if q.Input.Phase == broker.PhaseUser {
			d.Effective = broker.Effective{} // as from an engine that gave up
		}
	}
	cold := w.mustAdmit()
	signedIn := w.mustAdmit(person(nil))
	refreshed := w.mustAdmit(func(r *broker.Request) { person(nil)(r); r.Refresh = &broker.Refresh{} })
	seen := map[broker.Phase]bool{}
	for _, q := range slices.Concat(cold.asked, signedIn.asked, refreshed.asked) {
		seen[q.Input.Phase] = true
		if n := nulls(reflect.ValueOf(q.Input), "input"); n != nil {
			t.Errorf("phase %s: %v are null, want typed empty values", q.Input.Phase, n)
		}
		if (q.Document != nil) != (q.Input.Phase != broker.PhaseURL) || !reflect.DeepEqual(q.Offer, offer()) {
			t.Errorf("phase %s: document %v, offer %+v", q.Input.Phase, q.Document, q.Offer)
		}
	}
	if len(seen) != 4 {
		t.Errorf("phases seen: %v, want all four", seen)
	}
	for _, r := range append(w.records, w.later...) {
		if r.Input == nil {
			continue
		}
		var in map[string]any
		if err := json.Unmarshal(r.Input, &in); err != nil {
			t.Fatal(err)
		}
		phase := broker.Phase(in["phase"].(string))
		if g, want := slices.Sorted(maps.Keys(in)), slices.Sorted(slices.Values(membersOf[phase])); !slices.Equal(g, want) {
			t.Errorf("recorded input of phase %s: members %v, want %v", phase, g, want)
		}
		if n := jsonNulls(in, "input"); n != nil {
			t.Errorf("recorded input of phase %s: %v are null", phase, n)
		}
	}
}

// jsonNulls names every null below v but row.
func jsonNulls(v any, path string) []string {
	var out []string
	switch v := v.(type) {
	case nil:
		if path != "input.row" {
			return []string{path}
		}
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			out = append(out, jsonNulls(v[k], path+"."+k)...)
		}
	case []any:
		for _, e := range v {
			out = append(out, jsonNulls(e, path+"[]")...)
		}
	}
	return out
}

func TestInputOfAColdRequest(t *testing.T) {
	zone := time.FixedZone("Test/Zone", 14*3600)
	w := newWorld(t, func(c *broker.Config) { c.Zone = zone })
	w.policy.facts = map[string]any{"freeze": false}
	w.host.body = document(map[string]any{"x_vendor": "kept for display rules"})
	o := w.mustAdmit(func(r *broker.Request) { r.ClientID = clientID })
	in := o.asked[0].Input
	if in.Client.Host != "app.example.com" || in.Client.RegistrableDomain != "example.com" || !slices.Equal(in.Client.Parents, []string{"example.com"}) ||
		!slices.Equal(in.Client.Segments, []string{"oauth", "client.json"}) || in.Client.AdmittedBefore || in.Request.RedirectURI != "" {
		t.Errorf("url phase: client %+v, redirect %q; want it taken apart and no redirect yet", in.Client, in.Request.RedirectURI)
	}
	if want := (broker.ClockInput{Zone: "Test/Zone", Date: "2026-11-26", Weekday: "thursday", Hour: 2}); in.Clock != want {
		t.Errorf("clock = %+v, want %+v", in.Clock, want)
	}
	if !in.Time.Equal(noon) || in.Time.Location() != time.UTC || in.Facts["freeze"] != false || in.Issuer != "https://as.example.org" || in.Contract != "admission/v1" {
		t.Errorf("time %v, facts %v, issuer %q, contract %q", in.Time, in.Facts, in.Issuer, in.Contract)
	}
	in = o.asked[1].Input
	if in.Request.RedirectURI != redirect || in.Request.Redirect != (broker.RedirectInput{Kind: "https", Host: "app.example.com", Relation: "same_origin"}) {
		t.Errorf("document phase: request %+v", in.Request)
	}
	if len(in.Redirects) != 2 || in.Redirects[1].Kind != "loopback" || in.Published["x_vendor"] != "kept for display rules" {
		t.Errorf("document phase: redirects %v, published %v", in.Redirects, in.Published)
	}
	if p := in.Provenance; p.From != "network" || p.Age != 0 || p.Bytes != len(w.host.body) || len(p.SHA256) != 64 || !p.FetchedAt.Equal(noon) {
		t.Errorf("provenance = %+v", p)
	}
	w.at(90 * time.Second)
	warm := w.mustAdmit()
	if p := warm.asked[1].Input.Provenance; p.From != "store" || p.Age != 90 || !warm.asked[0].Input.Client.AdmittedBefore {
		t.Errorf("warm: provenance %+v, admitted before %v", p, warm.asked[0].Input.Client.AdmittedBefore)
	}
}

// A document that arrived after the request's own time is not of negative age.
func TestAgeIsNeverNegative(t *testing.T) {
	w := newWorld(t)
	w.host.ago = -3 * time.Second
	if p := w.mustAdmit().asked[1].Input.Provenance; p.Age != 0 {
		t.Errorf("age = %d, want 0", p.Age)
	}
}
