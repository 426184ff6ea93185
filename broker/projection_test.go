package broker_test

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"guestlist/broker"
	"guestlist/broker/cimd"
)

// ciba is the grant type of B11.
const ciba = "urn:openid:params:grant-type:ciba"

// projected is all that follows from a document: what is kept, its digests,
// and what is left after settings and server.
type projected struct {
	doc        cimd.Document
	digest     string
	negotiated broker.Negotiated
}

// project reads a document as Admit does.
func project(t *testing.T, body []byte) projected {
	t.Helper()
	doc, in := parsed(t, clientID, body, redirect)
	return projected{doc, broker.SecurityDigest(doc), broker.Negotiate(terms(), in, doc, offer())}
}

// TestProjection is B9 to B12: members that make other servers send requests,
// redirect people or trust somebody change neither what is kept, nor the
// digest a consent rests on, nor what is negotiated.
func TestProjection(t *testing.T) {
	plain := project(t, document(nil))
	const inside = "https://inside.example/x"
	for name, v := range map[string]any{
		"B9 sector_identifier_uri":                     map[string]any{"sector_identifier_uri": inside},
		"B10 backchannel_logout_uri":                   map[string]any{"backchannel_logout_uri": inside, "backchannel_logout_session_required": true},
		"B10 frontchannel_logout_uri":                  map[string]any{"frontchannel_logout_uri": inside},
		"B10 request_uris":                             map[string]any{"request_uris": []string{inside}},
		"B11 backchannel_client_notification_endpoint": map[string]any{"backchannel_client_notification_endpoint": inside, "backchannel_token_delivery_mode": "ping"},
		"B12 post_logout_redirect_uris":                map[string]any{"post_logout_redirect_uris": []string{"https://evil.example/"}},
		"D10 D11 a software statement with a secret":   map[string]any{"software_statement": "eyJhbGciOiJub25lIn0.eyJjbGllbnRfc2VjcmV0IjoicyJ9."},
		"D19 client_id_expires_at":                     map[string]any{"client_id_expires_at": 1},
		"a login to start":                             map[string]any{"initiate_login_uri": inside},
		"a promise of trust":                           map[string]any{"trusted": true, "skip_consent": true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := project(t, document(v.(map[string]any))); !reflect.DeepEqual(got, plain) {
				t.Errorf("with %v\n%+v\nwant\n%+v", v, got, plain)
			}
		})
	}
	// B11: the grant is cut, what else the document says stays in force.
	got := project(t, document(map[string]any{"grant_types": []string{"authorization_code", ciba}, "backchannel_client_notification_endpoint": inside}))
	if !reflect.DeepEqual(got.negotiated.Effective, plain.negotiated.Effective) || got.negotiated.Err != nil {
		t.Errorf("with CIBA %+v, want %+v", got.negotiated, plain.negotiated)
	}
	if cut, want := cuts(got.negotiated), cuts(plain.negotiated); cut != "grant_types="+ciba+"<server "+want {
		t.Errorf("with CIBA cut = %q, want the grant type and %q", cut, want)
	}
}

// FuzzProjection holds B9 to B12 end to end for any member: a document with
// one more member is the same document to consent and negotiation.
func FuzzProjection(f *testing.F) {
	f.Add("sector_identifier_uri", "https://inside.example/x")
	f.Add("software_statement", "e30.e30.")
	f.Add("jwks#de", "{}")
	plain := document(nil)
	c, err := cimd.Parse(clientID)
	if err != nil {
		f.Fatal(err)
	}
	kept, err := os.ReadFile("cimd/testdata/kept_members.golden")
	if err != nil {
		f.Fatal(err)
	}
	names := strings.Fields(string(kept))
	f.Fuzz(func(t *testing.T, name, value string) {
		if slices.Contains(names, name) {
			return
		}
		with := document(map[string]any{name: value})
		if _, err := cimd.ParseDocument(with, c, cimd.ProfileMCP); err != nil {
			return // what may be refused is held in package cimd
		}
		if got, want := project(t, with), project(t, plain); !reflect.DeepEqual(got, want) {
			t.Errorf("with %q: %q\n%+v\nwant\n%+v", name, value, got, want)
		}
	})
}

// TestB13PolicySeesEveryRedirect: what a document registers and the request
// does not use is shown to policy with its kind and relation, and is judged
// again, out of the stored document, when a later request uses it.
func TestB13PolicySeesEveryRedirect(t *testing.T) {
	w := newWorld(t)
	other := []string{redirect, "https://evil.example/cb", "https://auth.example.com/cb", "http://localhost:1/cb", "com.example.app:/cb"}
	w.host.body = document(map[string]any{"redirect_uris": other})
	if o := w.admit(); o.err != nil {
		t.Fatal(o.err)
	}
	var seen []string
	for _, q := range w.policy.queries() {
		if q.Input.Phase == broker.PhaseDocument {
			for _, r := range q.Input.Redirects {
				seen = append(seen, r.URI+" "+r.Kind+" "+r.Relation)
			}
		}
	}
	want := []string{
		redirect + " https same_origin", "https://evil.example/cb https cross_site", "https://auth.example.com/cb https same_site",
		"http://localhost:1/cb loopback cross_site", "com.example.app:/cb private_scheme cross_site",
	}
	if !reflect.DeepEqual(seen, want) {
		t.Errorf("policy saw\n%q\nwant\n%q", seen, want)
	}
	for _, uri := range other[1:] {
		o := w.admit(func(r *broker.Request) { r.RedirectURI = &uri })
		if o.reason != broker.ReasonRedirectNotAllowed || o.hits != 0 {
			t.Errorf("with %s: %v and %d fetches, want %s and none", uri, o.err, o.hits, broker.ReasonRedirectNotAllowed)
		}
	}
}
