package server_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"guestlist/server/servertest"
	"guestlist/store"
)

// TestComputedTextsAreErased: what policies say by a claim, a name and an
// address is in no header of the log, is found in its place, and is gone with
// the bodies; what they spell out stays.
func TestComputedTextsAreErased(t *testing.T) {
	t.Parallel()
	const mail = servertest.Person + "@example.com"
	files := readingClaims()
	files["p.rego"] += `
warn contains {"code": "spelt", "message": "spelt out for good"}

warn contains {"code": "seen", "message": sprintf("%s was here", [input.user.sub]), "remedy": input.user.claims.email}

deny_user contains {"code": concat("_", ["no", input.user.sub]), "message": sprintf("%s from %s", [input.user.claims.email, input.request.source.ip]), "user_message": input.user.claims.email} if input.effective.scopes == []
`
	s := servertest.New(t, servertest.Options{Policy: files})
	s.Docs.Publish(client, refreshing)
	if p := s.Browser().Play(s.Request(client, nil)); p.Status >= http.StatusInternalServerError {
		t.Fatalf("play: %d\n%s", p.Status, p.Body)
	}
	if err := s.Batch.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	sealed, err := s.Store.Records(t.Context(), store.RecordQuery{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	computed, seqs := 0, []uint64{}
	for _, one := range sealed {
		seqs = append(seqs, one.Seq)
		for _, canary := range []string{mail, servertest.Person + " was here", "no_" + servertest.Person, "from 127.0.0.1"} {
			if bytes.Contains(one.Header, []byte(canary)) {
				t.Errorf("the header of record %d holds %q: %s", one.Seq, canary, one.Header)
			}
		}
		r, err := one.Record()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range r.Phases {
			for _, d := range p.Warnings {
				if d.Code == "seen" && d.Message == servertest.Person+" was here" && d.Remedy == mail {
					computed++
				}
			}
		}
	}
	if computed == 0 {
		t.Error("no record has the warning with the person's name")
	}
	u := s.Store.Begin()
	u.EraseBodies(seqs)
	if err := s.Store.Commit(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	if sealed, err = s.Store.Records(t.Context(), store.RecordQuery{Limit: 1000}); err != nil {
		t.Fatal(err)
	}
	spelt := false
	for _, one := range sealed {
		line, err := one.JSON()
		if err != nil || bytes.Contains(line, []byte(mail)) || bytes.Contains(line, []byte("was here")) {
			t.Errorf("erased, record %d is %s, %v", one.Seq, line, err)
		}
		spelt = spelt || strings.Contains(string(line), "spelt out for good")
	}
	if !spelt {
		t.Error("the warning that is spelt out is gone")
	}
}
