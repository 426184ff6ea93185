package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"guestlist/broker"
	"guestlist/server/admin"
	"guestlist/server/grants"
	"guestlist/server/servertest"
	"guestlist/server/signin"
)

// family is what a client was given for one consent of a person, and what became
// of it as far as somebody was told.
type family struct {
	client  string
	hasty   bool      // its spent refresh tokens are never answered again
	code    string    // hash
	secret  string    // the code
	asked   time.Time // before the code was asked for
	access  []*pass
	refresh []*rotated
	over    string // why it has ended; empty: it lives
	doubt   bool   // what would end it was sent, and nobody answered
	blocked bool   // by an operator, who was told so
}

// pass is an access token.
type pass struct {
	token       string
	over, doubt bool // given back; sent to be given back, and nobody answered
}

// rotated is a refresh token.
type rotated struct {
	token    string
	sent     time.Time // when it was presented first; zero: never
	answered time.Time // when it was answered first; zero: never
	next     string    // the refresh token of that answer
	repeats  int       // how often it was presented after that
}

// grace is how long a patient client's token is answered again.
const grace = time.Minute

// row is the key of an access token's row.
func (p *pass) row() string {
	parts := strings.Split(p.token, ".")
	if len(parts) != 3 {
		return signin.SessionHash(p.token)
	}
	var claims struct{ JTI string }
	if raw, err := base64.RawURLEncoding.DecodeString(parts[1]); err == nil {
		_ = json.Unmarshal(raw, &claims) // an empty one has no row
	}
	return grants.AccessKey(claims.JTI)
}

// held says what a store lacks of what the client was told.
func (f *family) held(l *servertest.Ledger) (wrong []string) {
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	if row, ok := l.Codes[f.code]; l.Now.Before(f.asked.Add(time.Minute)) && (!ok || len(f.access) > 0 && row.SpentAt.IsZero()) {
		say("its code is there: %v, given tokens for: %v, and spent %s", ok, len(f.access) > 0, row.SpentAt)
	}
	for _, p := range f.access {
		row, ok := l.Access[p.row()]
		if g := l.Grants[row.GrantID]; !ok || p.over && row.EndedAt.IsZero() && g.EndedAt.IsZero() || !p.over && !p.doubt && !row.EndedAt.IsZero() {
			say("an access token is there: %v, given back: %v, and ended %s", ok, p.over, row.EndedAt)
		}
	}
	for i, h := range f.refresh {
		row, ok := l.Refresh[signin.SessionHash(h.token)]
		if !ok || !h.answered.IsZero() && row.SpentAt.IsZero() || h.sent.IsZero() && !row.SpentAt.IsZero() {
			say("refresh token %d is there: %v, presented: %v, answered: %v, and spent %s", i, ok, !h.sent.IsZero(), !h.answered.IsZero(), row.SpentAt)
		}
		if g := l.Grants[row.GrantID]; !f.doubt && g.EndedAt.IsZero() != (f.over == "") {
			say("its grant ended %s for %q, and the client was told %q", g.EndedAt, g.EndReason, f.over)
		}
	}
	if f.blocked {
		there := false
		for _, b := range l.Blocks {
			there = there || b.Value == f.client
		}
		if !there {
			say("an operator blocked it, and no block is there")
		}
	}
	return wrong
}

// redeem exchanges the code; tokens mean that the family lives.
func (w *worker) redeem(f *family) error {
	a, err := w.form("/token", url.Values{
		"grant_type": {"authorization_code"}, "client_id": {f.client}, "code": {f.secret}, "code_verifier": {processVerifier}, "redirect_uri": {"http://127.0.0.1:1/callback"},
	}, false)
	if err != nil {
		return err
	}
	if a.status == http.StatusOK {
		w.must(a, "issued")
		w.judged("issued")
		f.take(a)
	}
	return nil
}

// take takes the tokens of an answer.
func (f *family) take(a answer) {
	f.access = append(f.access, &pass{token: a.said.AccessToken})
	f.refresh = append(f.refresh, &rotated{token: a.said.RefreshToken})
}

// end notes that the family has ended, and what was judged.
func (w *worker) end(f *family, why string) {
	f.over, f.doubt = why, false
	w.judged(why)
}

// rotate presents the newest refresh token, for the first time or because the
// answer was lost.
func (w *worker) rotate(f *family) error {
	h := f.refresh[len(f.refresh)-1]
	lost := !h.sent.IsZero()
	if !lost {
		h.sent = time.Now()
	}
	a, err := w.refresh(f, h)
	if err != nil {
		return err
	}
	if !lost && a.status == http.StatusOK && f.over == "" && !f.doubt && w.chance(5) == 0 {
		return nil // the answer did not reach the client
	}
	inside := !f.hasty && time.Since(h.sent) < grace
	switch {
	case a.status == http.StatusOK && f.over != "":
		w.find("%s: its grant ended (%s), and a refresh is answered with tokens", f.client, f.over)
	case a.status == http.StatusOK:
		h.answered, h.next = time.Now(), a.said.RefreshToken
		f.doubt = false
		f.take(a)
		w.must(a, "issued|reused")
		w.judged(map[bool]string{true: "refreshed after a lost answer", false: "refreshed"}[lost])
	case f.over != "":
		w.judged("refused after its end")
	case f.doubt || lost && !inside:
		w.end(f, "reuse detected after a lost answer, or its end was in doubt")
	default:
		w.find("%s: its refresh token is refused with %d %s (lost before: %v)", f.client, a.status, a.body, lost)
	}
	return nil
}

// replay presents a refresh token that was spent for certain.
func (w *worker) replay(f *family) error {
	if len(f.refresh) < 2 || f.doubt {
		return nil
	}
	i := w.chance(len(f.refresh) - 1)
	h, successor := f.refresh[i], f.refresh[i+1]
	late := time.Since(h.answered) > grace
	h.repeats++
	f.doubt = f.hasty || late || time.Since(h.sent) > grace/2 // until it is answered
	a, err := w.refresh(f, h)
	if err != nil {
		f.doubt = f.doubt && f.over == ""
		return err
	}
	f.doubt = false
	inside := !f.hasty && time.Since(h.sent) < grace
	switch {
	case a.status == http.StatusOK && (f.over != "" || f.hasty || late):
		w.find("%s: refresh token %d was spent, and is answered with tokens; its grant ended: %q, after the window: %v", f.client, i, f.over, late)
	case a.status == http.StatusOK && a.said.RefreshToken != h.next:
		w.find("%s: refresh token %d is answered again with another successor", f.client, i)
	case a.status == http.StatusOK && !successor.answered.IsZero():
		w.find("%s: refresh token %d is answered again although its successor was used", f.client, i)
	case a.status == http.StatusOK:
		w.must(a, "reused")
		w.judged("repeated in grace")
	case f.over != "":
		w.judged("refused after its end")
	case f.hasty || late:
		w.end(f, "reuse detected")
	case inside && successor.sent.IsZero() && h.repeats <= 5:
		w.find("%s: refresh token %d is not answered again inside its window: %d %s", f.client, i, a.status, a.body)
	case inside:
		w.judged("refused in grace")
	default:
		f.doubt = true // the window ended meanwhile, or did not
	}
	return nil
}

// introspect asks about every access token.
func (w *worker) introspect(f *family) error {
	for _, p := range f.access {
		a, err := w.form("/introspect", url.Values{"token": {p.token}}, true)
		if err != nil {
			return err
		}
		switch active := a.said.Active; {
		case a.status != http.StatusOK:
			w.find("%s: introspection answers %d %s", f.client, a.status, a.body)
		case active && (f.over != "" || p.over):
			w.find("%s: an access token is active, although it ended: %q, given back: %v", f.client, f.over, p.over)
		case !active && f.over == "" && !p.over && !f.doubt && !p.doubt:
			w.find("%s: an access token that was handed out is not active", f.client)
		case active:
			f.doubt, p.doubt = false, false // what was sent did not take effect
			w.judged("active")
		case !p.doubt && !p.over && f.doubt:
			w.end(f, "ended unheard")
		default:
			p.over, p.doubt = p.over || p.doubt && !f.doubt && f.over == "", p.doubt && (f.doubt || f.over != "")
			w.judged("not active")
		}
	}
	return nil
}

// giveBack revokes an access token, or the family by its refresh token.
func (w *worker) giveBack(f *family, all bool) error {
	p, token := f.access[w.chance(len(f.access))], f.refresh[w.chance(len(f.refresh))].token
	if all {
		f.doubt = f.over == ""
	} else {
		token, p.doubt = p.token, !p.over
	}
	a, err := w.form("/revoke", url.Values{"client_id": {f.client}, "token": {token}}, false)
	if err != nil || a.status != http.StatusOK {
		return err // it stays in doubt
	}
	if all {
		w.end(f, "revoked")
	} else {
		p.over, p.doubt = true, false
		w.judged("access token revoked")
	}
	return nil
}

// replayCode presents the code once more, which ends what came of it.
func (w *worker) replayCode(f *family) error {
	f.doubt = f.over == ""
	a, err := w.form("/token", url.Values{
		"grant_type": {"authorization_code"}, "client_id": {f.client}, "code": {f.secret}, "code_verifier": {processVerifier}, "redirect_uri": {"http://127.0.0.1:1/callback"},
	}, false)
	switch {
	case err != nil:
		return err
	case a.status == http.StatusOK:
		w.find("%s: its code was spent, and gives tokens again", f.client)
	case a.status == http.StatusBadRequest && time.Since(f.asked) < time.Minute && f.over == "":
		w.end(f, "code replay detected")
	}
	return nil
}

// block has an operator block the client.
func (w *worker) block(f *family) error {
	f.doubt = f.over == ""
	_, err := w.operator.Block(w.t.Context(), broker.Block{Kind: broker.BlockURL, Value: f.client, Reason: "stolen"})
	var refused *admin.Refusal
	switch {
	case err == nil:
		f.blocked = true
		w.answered()
		w.end(f, "blocked")
	case asRefusal(err, &refused) && refused.Status < http.StatusInternalServerError:
		w.find("%s: block: %v", f.client, err)
	}
	return nil
}
