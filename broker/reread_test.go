package broker_test

import (
	"testing"

	"guestlist/broker"
	"guestlist/broker/cimd"
)

// TestStoredDocumentIsReadAsItIs holds that remembering the parsed form of a
// stored document never answers for other bytes, another client or another
// profile.
func TestStoredDocumentIsReadAsItIs(t *testing.T) {
	t.Run("same", func(t *testing.T) {
		w := newWorld(t)
		w.mustAdmit()
		for range 3 {
			if o := w.mustAdmit(); !o.Reused || o.asked[1].Document.ClientName != "App" || o.asked[1].Input.Published["client_name"] != "App" {
				t.Errorf("warm: reused %v, document %+v", o.Reused, o.asked[1].Document)
			}
		}
	})
	t.Run("other bytes under the digest of before", func(t *testing.T) {
		w := newWorld(t)
		w.mustAdmit()
		w.mustAdmit()
		row := w.rows[clientID]
		row.Published = document(map[string]any{"client_name": "Other"})
		w.rows[clientID] = row
		if o := w.mustAdmit(); o.asked[1].Document.ClientName != "Other" || o.asked[1].Input.Published["client_name"] != "Other" {
			t.Errorf("document phase saw %q, want the stored bytes", o.asked[1].Document.ClientName)
		}
	})
	t.Run("same bytes under another client", func(t *testing.T) {
		const other = "https://other.example.com/oauth/client.json"
		w := newWorld(t)
		w.mustAdmit()
		w.mustAdmit()
		row := w.rows[clientID]
		row.ID = other
		w.rows[other] = row
		w.refused(w.admit(func(r *broker.Request) { r.ClientID = other }), broker.ReasonDocumentMismatch)
	})
	t.Run("another profile", func(t *testing.T) {
		w := newWorld(t)
		w.policy.settings.Document.Profile = string(cimd.ProfileCIMD)
		w.host.body = document(map[string]any{"client_name": nil})
		w.mustAdmit()
		w.mustAdmit(person(nil)) // reads with the weaker profile
		w.policy.settings.Document.Profile = string(cimd.ProfileMCP)
		if o := w.admit(); o.err == nil || o.hits != 0 {
			t.Errorf("Admit() = %v after %d fetches, want a refusal of the stored document", o.err, o.hits)
		}
	})
}
