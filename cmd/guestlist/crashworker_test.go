package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/html"

	"guestlist/server/admin"
	"guestlist/server/signin"
)

// errGone says that the server does not answer any more.
var errGone = errors.New("the server is gone")

// asRefusal reports whether the server refused.
func asRefusal(err error, to **admin.Refusal) bool { return errors.As(err, to) }

// worker is a client and a person in front of it.
type worker struct {
	*crash
	web      *http.Client
	operator *admin.Client
	answered func() // is told of each answer
}

func newWorker(c *crash, answered func()) *worker {
	w := &worker{crash: c, answered: answered, operator: admin.NewClient(filepath.Join(c.dir, "admin.sock"))}
	w.fresh()
	return w
}

// fresh takes another browser.
func (w *worker) fresh() {
	jar, err := cookiejar.New(nil)
	if err != nil {
		panic(err)
	}
	w.web = &http.Client{Jar: jar, Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if !strings.HasPrefix(r.URL.String(), w.issuer) {
			return http.ErrUseLastResponse
		}
		return nil
	}}
}

// answer is one whole answer of the server.
type answer struct {
	status int
	id     string // of the request
	body   string
	at     *url.URL // of the page
	to     *url.URL // where it sends a browser; nil: nowhere
	said   struct {
		AccessToken  string `json:"access_token"`
		RefreshToken string `json:"refresh_token"`
		Active       bool
	}
}

// send sends a request and reads the whole answer.
func (w *worker) send(r *http.Request) (answer, error) {
	resp, err := w.web.Do(r)
	if err != nil {
		return answer{}, errGone
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, errGone
	}
	a := answer{status: resp.StatusCode, id: resp.Header.Get("X-Request-Id"), body: string(raw), at: resp.Request.URL}
	if resp.StatusCode/100 == 3 {
		a.to, _ = resp.Location() // none: it sends nowhere
	}
	_ = json.Unmarshal(raw, &a.said) // pages and revocations say nothing
	w.answered()
	if a.status >= 500 && a.status != http.StatusServiceUnavailable {
		w.find("%s answers %d: %.500s", r.URL.Path, a.status, a.body)
	}
	if a.status == http.StatusServiceUnavailable {
		w.judged("try later")
		return a, errLater
	}
	return a, nil
}

// errLater says that a step lost to others too often; whether it took effect is
// not looked at.
var errLater = errors.New("try later")

// get opens a page.
func (w *worker) get(to string) (answer, error) {
	r, err := http.NewRequest(http.MethodGet, to, nil)
	if err != nil {
		panic(err)
	}
	return w.send(r)
}

// post posts a form.
func (w *worker) post(to string, form url.Values, resource bool) (answer, error) {
	r, err := http.NewRequest(http.MethodPost, to, strings.NewReader(form.Encode()))
	if err != nil {
		panic(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if resource {
		r.SetBasicAuth(url.QueryEscape("Example MCP server"), url.QueryEscape(operatorSecret))
	}
	return w.send(r)
}

// form posts a form to an endpoint, by a client or by the resource.
func (w *worker) form(path string, form url.Values, resource bool) (answer, error) {
	return w.post(w.issuer+path, form, resource)
}

// refresh presents a refresh token.
func (w *worker) refresh(f *family, h *rotated) (answer, error) {
	return w.form("/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {f.client}, "refresh_token": {h.token}}, false)
}

// must notes that a request has a record of one of these outcomes.
func (w *worker) must(a answer, outcomes string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.outcomes[a.id] = outcomes
}

// submit sends the form of a page that has an element.
func (w *worker) submit(a answer, element string, values url.Values) (answer, bool, error) {
	root, err := html.Parse(strings.NewReader(a.body))
	if err != nil {
		return a, false, nil
	}
	for form := range root.Descendants() {
		if form.Data != "form" {
			continue
		}
		fields, found := formFields(form, element)
		to, err := a.at.Parse(attribute(form, "action"))
		if !found || err != nil {
			continue
		}
		for k, v := range values {
			fields[k] = v
		}
		next, err := w.post(to.String(), fields, false)
		return next, true, err
	}
	return a, false, nil
}

// play does one thing after the other until the server is gone.
func (w *worker) play() {
	for err := error(nil); !errors.Is(err, errGone); {
		f := w.pick()
		if f == nil {
			err = w.arrive()
			continue
		}
		err = w.act(f)
		w.mu.Lock()
		w.idle = append(w.idle, f)
		w.mu.Unlock()
	}
}

// pick takes a family in hand, or none where another is to be begun.
func (w *worker) pick() *family {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.idle) == 0 || w.r.IntN(3) == 0 {
		return nil
	}
	i := w.r.IntN(len(w.idle))
	f := w.idle[i]
	w.idle = slices.Delete(w.idle, i, i+1)
	return f
}

// act does something with what a client was given.
func (w *worker) act(f *family) error {
	switch n := w.chance(20); {
	case n < 8:
		return w.rotate(f)
	case n < 12:
		return w.replay(f)
	case n < 16:
		return w.introspect(f)
	case n < 18:
		return w.giveBack(f, n == 16)
	case n < 19:
		return w.replayCode(f)
	}
	return w.block(f)
}

// arrive has a client come that nobody knows, and a person allow it.
func (w *worker) arrive() error {
	f := w.stranger()
	link, err := url.Parse(w.authorizeLink())
	if err != nil {
		panic(err)
	}
	q := link.Query()
	q.Set("client_id", f.client)
	link.RawQuery = q.Encode()
	if w.chance(5) == 0 {
		w.fresh()
	}
	a, err := w.get(link.String())
	if err != nil || a.status != http.StatusOK {
		return err
	}
	if a.at.Path == "/authorize" {
		w.must(a, "admitted")
	}
	if next, ok, err := w.submit(a, "password", url.Values{"username": {"alice"}, "password": {processPassword}}); err != nil {
		return err
	} else if ok {
		a = next
	}
	f.asked = time.Now()
	a, ok, err := w.submit(a, "decision", url.Values{"decision": {"allow"}})
	if err != nil || !ok || a.to == nil || a.to.Query().Get("code") == "" {
		return err
	}
	w.must(a, "granted")
	w.judged("granted")
	f.secret = a.to.Query().Get("code")
	f.code = signin.SessionHash(f.secret)
	w.mu.Lock()
	w.all = append(w.all, f)
	w.mu.Unlock()
	if err := w.redeem(f); err != nil || len(f.access) == 0 {
		return err
	}
	w.mu.Lock()
	w.idle = append(w.idle, f)
	w.mu.Unlock()
	return nil
}

// stranger is a client that was never there.
func (w *worker) stranger() *family {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flows++
	f := &family{client: fmt.Sprintf("https://%s/%s/%d", processHost, "patient", w.flows)}
	if w.flows%2 == 0 {
		f.client, f.hasty = strings.Replace(f.client, "patient", "hasty", 1), true
	}
	return f
}
