package policies_test

import (
	"os"
	"slices"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/broker/cimd"
	"guestlist/policies"
)

// turn is one question to a rule and the code it must answer with, "" for none.
type turn struct {
	change func(*broker.Query) // nil: the harmless request as it is
	code   string
}

// trial is one of the ten rules in the policy of its name in
// examples/policies/ten-rules. Every column must be filled.
type trial struct {
	phase   broker.Phase // the first phase in which the rule can refuse
	fires   []turn       // it refuses
	silent  []turn       // it does not
	later   []turn       // at a refresh two hours later from another address
	missing []turn       // a fact, a datum or a member is missing or empty
}

// all applies several changes.
func all(changes ...func(*broker.Query)) func(*broker.Query) {
	return func(q *broker.Query) {
		for _, c := range changes {
			c(q)
		}
	}
}

// keys says how the client's document lets it authenticate.
func keys(methods ...string) func(*broker.Query) {
	return func(q *broker.Query) {
		q.Document.AuthMethodsSupported = methods
	}
}

func facts(name string, value any) func(*broker.Query) {
	return func(q *broker.Query) { q.Input.Facts = map[string]any{name: value} }
}

func clock(weekday string, hour int) func(*broker.Query) {
	return func(q *broker.Query) { q.Input.Clock.Weekday, q.Input.Clock.Hour = weekday, hour }
}

func source(ip string) func(*broker.Query) {
	return func(q *broker.Query) { q.Input.Request.Source.IP = ip }
}

func now(ip string) func(*broker.Query) {
	return func(q *broker.Query) { q.Input.Now.Source.IP = ip }
}

func pushed(q *broker.Query) { q.Input.Request.PAR = true }

func signedIn(ago time.Duration) func(*broker.Query) {
	return func(q *broker.Query) { q.Input.User.AuthTime = q.Input.Time.Add(-ago) }
}

func hostSeen(ago time.Duration) func(*broker.Query) {
	return func(q *broker.Query) { q.Input.Client.HostFirstSeen = q.Input.Time.Add(-ago) }
}

func resource(id string) func(*broker.Query) {
	return func(q *broker.Query) { q.Input.Request.Resources = []string{id} }
}

func known(q *broker.Query) { q.Input.Client.AdmittedBefore = true }

// redirectTo is a request and a document with one redirect URI of this kind.
func redirectTo(kind, uri string) func(*broker.Query) {
	return func(q *broker.Query) {
		q.Input.Request.RedirectURI, q.Document.RedirectURIs = uri, []string{uri}
		q.Input.Request.Redirect = broker.RedirectInput{Kind: kind, Relation: "same_origin"}
		q.Input.Redirects = []cimd.Redirect{{URI: uri, Kind: kind, Relation: "same_origin"}}
	}
}

var (
	writes   = scopes("mcp:write")
	loopback = redirectTo("loopback", "http://127.0.0.1:1234/cb")
	desktop  = func(q *broker.Query) { q.Input.ClientID = "https://agents.example.com/loopback/desktop.json" }
)

// The ten rules, by package.
var trials = map[string]trial{
	"group": {broker.PhaseUser,
		[]turn{{all(writes, groups("sales")), "group_missing"}},
		[]turn{{all(writes, groups("sales", "eng")), ""}, {nil, ""}},
		[]turn{{all(writes, groups("eng")), ""}, {all(writes, groups("sales")), "group_missing"}}, // G-14
		[]turn{{writes, "group_missing"}, {all(writes, groups("")), "group_missing"}},
	},
	"key": {broker.PhaseDocument,
		[]turn{{all(writes, keys("none")), "key_missing"}},
		[]turn{{all(writes, keys("private_key_jwt")), ""}, {all(writes, keys("none", "private_key_jwt")), ""}, {keys("none"), ""}},
		[]turn{{all(writes, keys("private_key_jwt")), ""}, {all(writes, keys("none")), "key_missing"}, {keys("none"), ""}},
		[]turn{{all(writes, keys()), "key_missing"}},
	},
	"resource": {broker.PhaseUser,
		[]turn{{all(writes, groups("eng"), resource("https://ledger.corp.example")), "resource_refused"},
			{all(writes, groups("finance"), resource("https://ledger.corp.example")), "resource_refused"}},
		[]turn{{all(writes, groups("eng")), ""}, {all(groups("finance"), resource("https://ledger.corp.example")), ""}},
		[]turn{{all(writes, groups("eng")), ""}, {all(writes, groups("sales")), "resource_refused"}},
		[]turn{{nil, "resource_refused"}, {all(groups("eng"), resource("https://unowned.corp.example")), "resource_refused"}},
	},
	"freeze": {broker.PhaseURL,
		[]turn{{facts("change_freeze", true), "change_freeze"}},
		[]turn{{facts("change_freeze", false), ""}},
		[]turn{{all(known, facts("change_freeze", true)), ""}, {known, ""}},
		[]turn{{facts("another", false), "change_freeze"}, {facts("change_freeze", nil), "change_freeze"}, {facts("change_freeze", "false"), "change_freeze"}},
	},
	"hours": {broker.PhaseUser,
		[]turn{{clock("wednesday", 7), "outside_hours"}, {clock("sunday", 12), "outside_hours"}},
		[]turn{{nil, ""}, {clock("friday", 17), ""}},
		[]turn{{clock("wednesday", 14), ""}, {clock("wednesday", 19), "outside_hours"}},
		[]turn{{func(q *broker.Query) { q.Input.Clock = broker.ClockInput{} }, "outside_hours"}},
	},
	"network": {broker.PhaseURL,
		[]turn{{source("198.51.100.9"), "outside_network"}},
		[]turn{{source("192.0.2.7"), ""}, {source("2001:db8::7"), ""}},
		[]turn{{nil, "outside_network"}, {now("192.0.2.200"), ""}},
		[]turn{{source(""), "outside_network"}},
	},
	"par": {broker.PhaseDocument,
		[]turn{{writes, "par_missing"}},
		[]turn{{all(writes, pushed), ""}, {nil, ""}},
		[]turn{{all(writes, pushed), ""}, {writes, "par_missing"}},
		[]turn{{all(writes, func(q *broker.Query) { q.Input.Request = broker.RequestInput{Scopes: q.Input.Request.Scopes} }), "par_missing"}},
	},
	"quarantine": {broker.PhaseDocument,
		[]turn{{all(writes, hostSeen(6*24*time.Hour)), "host_quarantined"}, {all(writes, hostSeen(0)), "host_quarantined"}},
		[]turn{{all(writes, hostSeen(7*24*time.Hour)), ""}, {hostSeen(0), ""}},
		[]turn{{all(writes, hostSeen(7*24*time.Hour)), ""}, {all(writes, hostSeen(2*time.Hour)), "host_quarantined"}},
		[]turn{{writes, "host_quarantined"}},
	},
	"signin": {broker.PhaseUser,
		[]turn{{all(writes, signedIn(16*time.Minute)), "signin_stale"}},
		[]turn{{all(writes, signedIn(14*time.Minute)), ""}, {signedIn(5 * time.Hour), ""}},
		[]turn{{writes, ""}, {all(writes, signedIn(13*time.Hour)), "signin_stale"}},
		[]turn{{all(writes, func(q *broker.Query) { q.Input.User.AuthTime = time.Time{} }), "signin_stale"}},
	},
	"loopback": {broker.PhaseDocument,
		[]turn{{loopback, "loopback_unnamed"}},
		[]turn{{all(desktop, loopback), ""}, {nil, ""}},
		[]turn{{all(desktop, loopback), ""}, {loopback, "loopback_unnamed"}},
		[]turn{{func(q *broker.Query) {
			q.Input.Request.RedirectURI, q.Input.Request.Redirect = "", broker.RedirectInput{}
		}, "loopback_unnamed"}},
	},
}

// twoHoursLater is a refresh: the request is as it was when the person agreed,
// the clock and the address are those of the call.
func twoHoursLater(q *broker.Query) {
	q.Input.Time = noon.Add(2 * time.Hour)
	q.Input.Clock.Hour = 14
	q.Input.Now.Source.IP = "198.51.100.9"
}

// corporate is a server that has what the rules ask about.
func corporate(q *broker.Query) {
	q.Offer.AuthMethods = []string{"none", "private_key_jwt"}
	q.Offer.Resources = []broker.Resource{{ID: "https://mcp.corp.example"}}
	for _, id := range q.Input.Request.Resources {
		if id != q.Offer.Resources[0].ID {
			q.Offer.Resources = append(q.Offer.Resources, broker.Resource{ID: id})
		}
	}
}

// Each of the ten rules is tried in its phase, at a refresh two hours later
// from another address, and with everything missing that can be: it refuses
// then, with its own code, and is never an evaluation error. (G-14)
func TestTenRules(t *testing.T) {
	set := loadConfig(t, policies.Config{FS: os.DirFS("../examples/policies/ten-rules"), Deadline: 5 * time.Second})
	for _, name := range tenRules {
		c, ok := trials[name]
		if !ok {
			t.Errorf("rule %s has no trial", name)
		}
		for column, turns := range map[string][]turn{"fires": c.fires, "silent": c.silent, "later": c.later, "missing": c.missing} {
			if len(turns) == 0 {
				t.Errorf("rule %s: column %s is empty", name, column)
			}
			for _, turn := range turns {
				if code := turn.code; column == "fires" && code == "" || column == "missing" && code == "" || column == "silent" && code != "" {
					t.Errorf("rule %s: column %s expects code %q", name, column, code)
				}
				phase, first := c.phase, func(*broker.Query) {}
				if column == "later" {
					phase, first = broker.PhaseRefresh, twoHoursLater
				}
				change := turn.change
				if change == nil {
					change = func(*broker.Query) {}
				}
				d := decide(t, set, "https://agents.example.com/"+name+"/client.json", phase, first, change, corporate)
				codes := []string{}
				for _, n := range d.Denials {
					codes = append(codes, n.Code)
				}
				switch {
				case turn.code == "" && !d.Allowed:
					t.Errorf("%s, %s: refused with %s (%s), want allowed", name, column, d.Reason, d.Detail)
				case turn.code != "" && (d.Reason != broker.ReasonPolicyDenied || !slices.Equal(codes, []string{turn.code})):
					t.Errorf("%s, %s: reason %q (%s), codes %v, want policy_denied and %s", name, column, d.Reason, d.Detail, codes, turn.code)
				}
			}
		}
	}
}
