package main

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"guestlist/store"
)

// The demo client: where its document is said to live. The name is reserved
// (RFC 6761) and reached through the host map.
const (
	demoHost     = "demo-client.example"
	demoClientID = "https://" + demoHost + "/oauth/client.json"
	demoScope    = "mcp:read mcp:write"
)

// demo is a client that nobody registered: a document host with TLS and a
// callback page on http loopback. The callback has another loopback name than
// the issuer, because cookies ignore ports (trap F9).
type demo struct {
	issuer      string
	resource    string
	app         *app // set before serve
	documents   net.Listener
	certificate *x509.Certificate
	callback    net.Listener
	servers     []*http.Server

	mu      sync.Mutex
	started map[string]attempt // by state
}

// attempt is one admission that a browser was sent on.
type attempt struct {
	verifier string
	began    time.Time
}

// newDemo listens for documents and callbacks.
func newDemo(issuer, resource string) (*demo, error) {
	d := &demo{issuer: issuer, resource: resource, started: map[string]attempt{}}
	config, certificate, err := demoCertificate(demoHost)
	if err != nil {
		return nil, err
	}
	d.certificate = certificate
	if d.documents, err = listenTLS(config); err != nil {
		return nil, err
	}
	d.callback, err = net.Listen("tcp", "127.0.0.1:0")
	return d, err
}

// redirectURI is where the demo client gets its answer.
func (d *demo) redirectURI() string { return d.base() + "/callback" }

// base is the callback host under the loopback name that the issuer does not use.
func (d *demo) base() string {
	_, port, _ := net.SplitHostPort(d.callback.Addr().String())
	return "http://localhost:" + port
}

// link starts an admission in a browser.
func (d *demo) link() string { return d.base() + "/start" }

// serve starts both hosts.
func (d *demo) serve(log zerolog.Logger) {
	docs := http.NewServeMux()
	docs.HandleFunc("GET /oauth/client.json", d.document)
	client := http.NewServeMux()
	client.HandleFunc("GET /{$}", d.start)
	client.HandleFunc("GET /start", d.start)
	client.HandleFunc("GET /callback", d.finish)
	for l, h := range map[net.Listener]http.Handler{d.documents: docs, d.callback: client} {
		s := httpServer(h, log)
		d.servers = append(d.servers, s)
		go func() {
			if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				log.Error().Str("event", "demo.failed").Err(err).Send()
			}
		}()
	}
}

// close ends both hosts.
func (d *demo) close() {
	for _, s := range d.servers {
		s.Close()
	}
	d.documents.Close()
	d.callback.Close()
}

// document is the client ID metadata document.
func (d *demo) document(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "max-age=300")
	json.NewEncoder(w).Encode(map[string]any{
		"client_id":                  demoClientID,
		"client_name":                "Demo client",
		"client_uri":                 "https://" + demoHost + "/",
		"redirect_uris":              []string{"http://localhost/callback", "http://127.0.0.1/callback"},
		"grant_types":                []string{"authorization_code", "refresh_token"},
		"response_types":             []string{"code"},
		"token_endpoint_auth_method": "none",
	})
}

// start sends the browser to the authorization endpoint.
func (d *demo) start(w http.ResponseWriter, r *http.Request) {
	state, verifier := secret(), secret()
	d.mu.Lock()
	if len(d.started) > 100 {
		clear(d.started)
	}
	d.started[state] = attempt{verifier: verifier, began: time.Now().Add(-time.Second)}
	d.mu.Unlock()
	sum := sha256.Sum256([]byte(verifier))
	q := url.Values{
		"response_type": {"code"}, "client_id": {demoClientID}, "redirect_uri": {d.redirectURI()}, "state": {state},
		"scope": {demoScope}, "resource": {d.resource}, "code_challenge_method": {"S256"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])},
	}
	http.Redirect(w, r, d.issuer+"/authorize?"+q.Encode(), http.StatusFound)
}

// secret is 256 random bits in base64url.
func secret() string {
	var b [32]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// finish redeems the code and shows what came of the admission.
func (d *demo) finish(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	d.mu.Lock()
	a, known := d.started[q.Get("state")]
	delete(d.started, q.Get("state"))
	d.mu.Unlock()
	switch {
	case !known:
		d.show(w, http.StatusBadRequest, result{Problem: "This answer belongs to no admission that was started here, or was used before."})
		return
	case q.Get("iss") != d.issuer:
		d.show(w, http.StatusBadRequest, result{Problem: "The answer's iss is not the issuer: " + q.Get("iss")})
		return
	case q.Get("code") == "":
		d.show(w, http.StatusOK, d.outcome(r, a, result{Problem: q.Get("error") + ": " + q.Get("error_description")}))
		return
	}
	token, err := d.redeem(r, q.Get("code"), a.verifier)
	res := result{Claims: token}
	if err != nil {
		res.Problem = err.Error()
	}
	d.show(w, http.StatusOK, d.outcome(r, a, res))
}

// redeem exchanges the code at the token endpoint, as any client does, and
// returns the claims of the access token.
func (d *demo) redeem(r *http.Request, code, verifier string) (string, error) {
	form := url.Values{
		"grant_type": {"authorization_code"}, "client_id": {demoClientID}, "code": {code}, "code_verifier": {verifier},
		"redirect_uri": {d.redirectURI()}, "resource": {d.resource},
	}
	req, err := http.NewRequestWithContext(r.Context(), http.MethodPost, d.issuer+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	client := &http.Client{Timeout: 10 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return "", err
	}
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.AccessToken == "" {
		return "", fmt.Errorf("the token endpoint answered %s: %s", resp.Status, body)
	}
	parts := strings.Split(answer.AccessToken, ".")
	if len(parts) != 3 {
		return "", errors.New("the access token is not a JWT")
	}
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	return string(claims), err
}

// result is what the last page shows.
type result struct {
	Problem string
	Claims  string   // JSON of the access token's payload
	Records []record // decision records, oldest first
	Socket  string
}

// record is one decision record for the page.
type record struct{ Event, Outcome, RequestID, JSON string }

// outcome adds the decision records that the admission caused.
func (d *demo) outcome(r *http.Request, a attempt, res result) result {
	if err := d.app.batch.Flush(r.Context()); err != nil {
		res.Problem = err.Error()
		return res
	}
	sealed, err := d.app.store.Records(r.Context(), store.RecordQuery{ClientID: demoClientID, Since: a.began})
	if err != nil {
		res.Problem = err.Error()
		return res
	}
	for _, s := range sealed {
		b, err := s.JSON()
		rec, rerr := s.Record()
		if err != nil || rerr != nil {
			continue
		}
		res.Records = append(res.Records, record{rec.Event, rec.Outcome, rec.RequestID, indent(b)})
	}
	res.Claims = indent([]byte(res.Claims))
	return res
}

// show writes the last page.
func (d *demo) show(w http.ResponseWriter, status int, res result) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	demoPage.Execute(w, res)
}

// demoPage is the end of the demo admission.
var demoPage = template.Must(template.New("demo").Parse(demoHTML))
