package server_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/server/admin"
	"guestlist/server/grants"
	"guestlist/server/servertest"
	"guestlist/server/signin"
)

// notes are what a driver was told, over all its rounds. What is asserted of
// the store afterwards is in holdNotes.
type notes struct {
	mu       sync.Mutex
	told     map[string]string   // request id: an outcome that a record of it must have
	sessions map[string]bool     // hashes of sessions that were opened
	codes    map[string]codeNote // by hash
	access   map[string]string   // key: jti
	over     map[string]bool     // keys of access tokens that were given back
	refresh  map[string]bool     // hash: it was used
	ended    map[string]string   // hash of a refresh token whose family ended: why
	blocked  map[string]*bool    // by URL, as last answered; nil: unknown
	pinned   map[string]*bool    // by client, as last answered; nil: unknown
	acts     map[string]int      // events that were answered, at least so often
	answers  int
}

// codeNote is what became of a code that the driver was given.
type codeNote struct {
	client, code string
	redeemed     bool
}

func newNotes() *notes {
	return &notes{
		told: map[string]string{}, sessions: map[string]bool{}, codes: map[string]codeNote{}, access: map[string]string{}, over: map[string]bool{},
		refresh: map[string]bool{}, ended: map[string]string{}, blocked: map[string]*bool{}, pinned: map[string]*bool{}, acts: map[string]int{},
	}
}

// hash is what the store has in place of a secret.
func hash(secret string) string { return signin.SessionHash(secret) }

// errGone says that the child does not answer any more.
var errGone = errors.New("the child is gone")

// errStopped says that a flow was refused on its way: an operator ended its
// client, or others moved too often.
var errStopped = errors.New("the flow was stopped")

// driver is one client, person or operator that plays against a child.
type driver struct {
	t     *testing.T
	ready childReady
	n     *notes
	r     *rand.Rand
	name  string // of its clients
	now   time.Time
	web   *http.Client
	key   *servertest.ClientKey // of the client at hand; nil: it is public
	keys  []*servertest.ClientKey
	flows int
}

// newDriver returns a driver with a browser of its own.
func newDriver(t *testing.T, ready childReady, n *notes, seed uint64, name string, now time.Time, keys []*servertest.ClientKey) *driver {
	d := &driver{t: t, ready: ready, n: n, r: rand.New(rand.NewPCG(seed, 1)), name: name, now: now, keys: keys}
	d.fresh()
	return d
}

// fresh takes another browser.
func (d *driver) fresh() {
	jar, err := cookiejar.New(nil)
	check(d.t, err)
	d.web = &http.Client{Jar: jar, Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if !strings.HasPrefix(r.URL.String(), d.ready.Issuer) {
			return http.ErrUseLastResponse
		}
		return nil
	}}
}

// send sends a form, or without one a GET, and reads the whole answer.
func (d *driver) send(to string, form url.Values) (servertest.Page, error) {
	method, body := http.MethodGet, ""
	if form != nil {
		method, body = http.MethodPost, form.Encode()
	}
	r, err := http.NewRequest(method, to, strings.NewReader(body))
	check(d.t, err)
	if form != nil {
		r.Header = formHeader()
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	resp, err := d.web.Do(r)
	if err != nil {
		return servertest.Page{}, errGone
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return servertest.Page{}, errGone
	}
	d.n.note(func(n *notes) { n.answers++ })
	return servertest.Page{Status: resp.StatusCode, Header: resp.Header, Body: string(b), Location: resp.Header.Get("Location"), URL: resp.Request.URL.String()}, nil
}

// note changes the notes.
func (n *notes) note(change func(*notes)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change(n)
}

// must notes that a request must have a record of an outcome.
func (d *driver) must(p servertest.Page, outcome string) {
	d.n.note(func(n *notes) { n.told[p.Header.Get("X-Request-Id")] = outcome })
}

// submit sends the form that has an element.
func (d *driver) submit(p servertest.Page, element string, values url.Values) (servertest.Page, error) {
	action, fields, ok := p.Form(element)
	if !ok && p.Status != http.StatusInternalServerError {
		return p, errStopped
	}
	if !ok {
		return p, fmt.Errorf("status %d, %s has no form with %q: %.300s", p.Status, p.URL, element, brief(p))
	}
	for k, v := range values {
		fields[k] = v
	}
	to, err := url.Parse(p.URL)
	check(d.t, err)
	if to, err = to.Parse(action); err != nil {
		return p, err
	}
	return d.send(to.String(), fields)
}

// chance is true once in n times.
func (d *driver) chance(n int) bool { return d.r.IntN(n) == 0 }

// play plays flows until the child is gone; another error is a surprise.
func (d *driver) play() error {
	for {
		d.flows++
		d.fresh()
		kind := []string{"plain", "opaque", "held", "brief", "once"}[d.r.IntN(5)]
		id := fmt.Sprintf("https://client.example.com/%s/%s-%d", kind, d.name, d.flows)
		members := map[string]any{"grant_types": []string{"authorization_code", "refresh_token"}}
		if d.key = nil; d.chance(4) {
			d.key = d.keys[d.r.IntN(len(d.keys))]
			members = keyedDocument(map[string]any{"jwks": servertest.KeySet(d.key)})
		}
		if err := d.ready.control("/publish?id="+url.QueryEscape(id), members); err != nil {
			return errGone
		}
		if err := d.flow(id); err != nil && !errors.Is(err, errStopped) {
			return err
		}
	}
}

// flow is one client from its first request to its tokens, and what it does
// with them.
func (d *driver) flow(id string) error {
	request := url.Values{
		"response_type": {"code"}, "client_id": {id}, "redirect_uri": {redirectURI}, "scope": {"mcp:read"}, "state": {"state-1"},
		"resource": {servertest.Resource}, "code_challenge": {servertest.Challenge}, "code_challenge_method": {"S256"},
	}
	p, err := d.send(d.ready.Issuer+"/authorize?"+request.Encode(), nil)
	if err != nil || p.Status != http.StatusOK {
		return err
	}
	d.must(p, "admitted")
	if d.chance(8) {
		if p, err = d.submit(p, "password", url.Values{"username": {servertest.Person}, "password": {"a wrong password"}}); err != nil {
			return err
		}
	}
	if p, err = d.submit(p, "password", url.Values{"username": {servertest.Person}, "password": {servertest.Password}}); err != nil {
		return err
	}
	issuer, err := url.Parse(d.ready.Issuer)
	check(d.t, err)
	for _, c := range d.web.Jar.Cookies(issuer) {
		if strings.HasSuffix(c.Name, "session") {
			d.n.note(func(n *notes) { n.sessions[hash(c.Value)] = true })
		}
	}
	if d.chance(6) {
		if p, err = d.submit(p, "decision", url.Values{"decision": {"deny"}}); err == nil && p.Param("error") == "access_denied" {
			d.must(p, "refused")
		}
		return err
	}
	if p, err = d.submit(p, "decision", allow()); err != nil || !hasCode(p) {
		return err
	}
	d.must(p, "granted")
	code := p.Param("code")
	d.n.note(func(n *notes) { n.codes[hash(code)] = codeNote{client: id, code: code} })
	tokens, err := d.token(url.Values{
		"grant_type": {"authorization_code"}, "client_id": {id}, "code": {code}, "redirect_uri": {redirectURI}, "code_verifier": {servertest.Verifier},
	})
	if err != nil || tokens == nil {
		return err
	}
	d.n.note(func(n *notes) { n.codes[hash(code)] = codeNote{client: id, code: code, redeemed: true} })
	return d.use(id, code, tokens)
}

// tokens is an answer of the token endpoint.
type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

// token posts to the token endpoint and notes what it gave; nil where it gave
// nothing.
func (d *driver) token(form url.Values) (*tokens, error) {
	p, err := d.post("/token", form)
	if err != nil || p.Status != http.StatusOK {
		return nil, err
	}
	var got tokens
	if err := json.Unmarshal([]byte(p.Body), &got); err != nil {
		return nil, err
	}
	d.n.note(func(n *notes) {
		n.access[accessKey(d.t, got.Access)] = got.Access
		if _, known := n.refresh[hash(got.Refresh)]; !known {
			n.refresh[hash(got.Refresh)] = false
		}
	})
	if form.Get("grant_type") == "authorization_code" {
		d.must(p, "issued")
	}
	return &got, nil
}

// accessKey is the key that the store has for an access token.
func accessKey(t *testing.T, token string) string {
	if strings.Count(token, ".") != 2 {
		return hash(token)
	}
	return grants.AccessKey(servertest.Claims(t, token)["jti"].(string))
}

// post posts a form of the client at hand.
func (d *driver) post(path string, form url.Values) (servertest.Page, error) {
	if d.key != nil {
		now := d.now.Add(5 * time.Minute) // its clock is somewhere between, see use
		form.Set("client_assertion_type", servertest.AssertionType)
		form.Set("client_assertion", d.key.Sign(nil, map[string]any{
			"iss": form.Get("client_id"), "sub": form.Get("client_id"), "aud": d.ready.Issuer, "jti": broker.NewID(), "exp": now.Unix(),
		}))
	}
	return d.send(d.ready.Issuer+path, form)
}

// use refreshes, repeats, reuses, replays, asks about and gives back tokens.
func (d *driver) use(id, code string, got *tokens) error {
	for d.r.IntN(4) > 0 {
		refresh := url.Values{"grant_type": {"refresh_token"}, "client_id": {id}, "refresh_token": {got.Refresh}}
		next, err := d.token(refresh)
		if err != nil || next == nil {
			return err
		}
		d.n.note(func(n *notes) { n.refresh[hash(got.Refresh)] = true })
		if d.chance(3) {
			if _, err := d.token(refresh); err != nil {
				return err
			}
		}
		if d.chance(5) {
			return d.reuse(id, got.Refresh)
		}
		got = next
	}
	switch d.r.IntN(6) {
	case 0:
		p, err := d.post("/revoke", url.Values{"client_id": {id}, "token": {got.Access}})
		if err == nil && p.Status == http.StatusOK {
			d.n.note(func(n *notes) { n.over[accessKey(d.t, got.Access)] = true })
		}
		return err
	case 1:
		p, err := d.post("/revoke", url.Values{"client_id": {id}, "token": {got.Refresh}})
		if err == nil && p.Status == http.StatusOK {
			d.n.note(func(n *notes) { n.ended[hash(got.Refresh)] = "it was given back" })
		}
		return err
	case 2:
		p, err := d.post("/token", url.Values{
			"grant_type": {"authorization_code"}, "client_id": {id}, "code": {code}, "redirect_uri": {redirectURI}, "code_verifier": {servertest.Verifier},
		})
		if err == nil && p.Status == http.StatusBadRequest {
			d.n.note(func(n *notes) { n.ended[hash(got.Refresh)] = "the code came again" })
		}
		return err
	case 3:
		return d.withdraw(got)
	}
	return nil
}

// withdraw has the person take everything back.
func (d *driver) withdraw(got *tokens) error {
	p, err := d.send(d.ready.Issuer+"/account", nil)
	if err != nil {
		return err
	}
	_, fields, ok := p.Form("revoke_all")
	if !ok {
		return nil // another driver of the same person was first
	}
	p, err = d.send(d.ready.Issuer+"/account", url.Values{"csrf": fields["csrf"], "revoke_all": {"all"}})
	if err == nil && p.Status == http.StatusOK {
		d.n.note(func(n *notes) { n.ended[hash(got.Refresh)] = "the person took it back" })
	}
	return err
}

// reuse presents a spent refresh token after its grace window, for which the
// clock of the child goes a little forward.
func (d *driver) reuse(id, token string) error {
	if err := d.ready.control("/advance?by=11s", nil); err != nil {
		return errGone
	}
	p, err := d.post("/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {id}, "refresh_token": {token}})
	if err == nil && p.Status == http.StatusBadRequest {
		d.n.note(func(n *notes) { n.ended[hash(token)] = "a spent token came again" })
	}
	return err
}

// again presents codes and refresh tokens that are spent for certain: none may
// give anything. What a family makes of it does not matter.
func (d *driver) again() error {
	var used []codeNote
	d.n.note(func(n *notes) {
		for _, c := range n.codes {
			if c.redeemed && len(used) < 3 {
				used = append(used, c)
			}
		}
	})
	for _, c := range used {
		p, err := d.send(d.ready.Issuer+"/token", url.Values{
			"grant_type": {"authorization_code"}, "client_id": {c.client}, "code": {c.code}, "redirect_uri": {redirectURI}, "code_verifier": {servertest.Verifier},
		})
		if err != nil {
			return err
		}
		if p.Status == http.StatusOK {
			return fmt.Errorf("the code of %s was spent, and gives tokens again", c.client)
		}
	}
	return nil
}

// operate does what operators do until the child is gone.
func (d *driver) operate() error {
	op := admin.NewClient(d.ready.Socket)
	ctx := d.t.Context()
	for i := 0; ; i++ {
		id := fmt.Sprintf("https://client.example.com/plain/%s-%d", d.name, d.r.IntN(5))
		var err error
		set := func(to map[string]*bool, value bool, act func() error) error {
			d.n.note(func(*notes) { to[id] = nil })
			err := act()
			if err == nil {
				d.n.note(func(*notes) { to[id] = &value })
			}
			return err
		}
		switch d.r.IntN(9) {
		case 0:
			err = set(d.n.blocked, true, func() error {
				_, err := op.Block(ctx, broker.Block{Kind: broker.BlockURL, Value: id, Reason: "stolen"})
				return err
			})
		case 1:
			err = set(d.n.blocked, false, func() error { _, err := op.Unblock(ctx, broker.BlockURL, id); return err })
		case 2:
			x := trial{id: id}
			err = set(d.n.pinned, true, func() error { return op.Pin(ctx, id, x.document("Pinned")) })
		case 3:
			err = set(d.n.pinned, false, func() error { return op.Unpin(ctx, id) })
		case 4:
			_, err = op.Revoke(ctx, admin.ClientFilter{Policy: []string{"plain", "opaque", "once"}[d.r.IntN(3)]}, "no longer used")
		case 5:
			err = d.ready.control("/facts", map[string]any{"round": d.r.IntN(100)})
		case 6:
			err = d.ready.control("/activate?id="+url.QueryEscape(id+fmt.Sprint("/", d.r.IntN(100))), nil)
		case 7:
			err = d.ready.control("/sweep", nil)
		case 8:
			err = d.ready.control("/flush", nil)
		}
		var refused *admin.Refusal
		if err != nil && !errors.As(err, &refused) {
			return errGone
		}
	}
}
