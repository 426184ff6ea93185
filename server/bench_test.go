//go:build unix

package server_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/mux"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/server/servertest"
	"guestlist/server/signin"
	"guestlist/store"
	"guestlist/store/bolt"
)

// The benchmarks of this file ask a whole server over HTTP on loopback, by a
// client that does as little as it can (wire), because its CPU time counts
// too. Each has a bare counterpart to be compared with in the same run:
//
//	Authorize/warm  with  Canned     CPU per request
//	Flow/warm       with  BareFlow   time and CPU per flow

// benchPolicy has settings, a refresh token and a rule for each phase.
const benchPolicy = `package admission.policies.clients

client_ids := {"https://client.example.com/**"}

settings := {
	"scopes": {"ceiling": ["mcp:read", "mcp:write"], "default": ["mcp:read"]},
	"grant_types": ["authorization_code", "refresh_token"],
	"redirect": {"loopback": true},
	"refresh_token": {"issue": true},
}

deny contains {"code": "late", "message": "closed at night"} if input.clock.hour > 22

deny_document contains {"code": "nameless", "message": "a client has a name"} if input.published.client_name == ""

deny_user contains {"code": "write_needs_eng", "message": "write access is for engineering"} if {
	"mcp:write" in input.effective.scopes
	not "eng" in input.user.groups
}
`

// bench is a server to be measured, with an admitted client.
type bench struct {
	*servertest.Server
	b    *testing.B
	wire *wire
}

func newBench(b *testing.B, change ...func(*servertest.Options)) *bench {
	b.Helper()
	o := servertest.Options{
		Policy: map[string]string{"clients.rego": benchPolicy}, Log: io.Discard,
		Budgets: broker.Budgets{PerSource: 1 << 20, PerDomain: 1 << 20, Total: 1 << 20},
		Caps:    broker.Caps{Total: 1 << 20, PerDomain: 1 << 20},
		SignIns: signin.Rate{Burst: 1 << 20, Every: time.Millisecond},
	}
	for _, f := range change {
		f(&o)
	}
	s := &bench{b: b, Server: servertest.New(b, o)}
	s.publish(client)
	s.wire = dial(b, s.Issuer)
	if got := s.wire.do(s.get("/authorize", s.Request(client, nil))); got.StatusCode != http.StatusOK {
		b.Fatalf("first authorize: %d\n%s", got.StatusCode, got.body)
	}
	return s
}

func (s *bench) publish(id string) {
	s.Docs.Publish(id, map[string]any{"grant_types": []string{"authorization_code", "refresh_token"}})
}

// wire is one keep-alive connection.
type wire struct {
	b    *testing.B
	conn net.Conn
	r    *bufio.Reader
	sent int
}

// reply is an answer whose body was read.
type reply struct {
	*http.Response
	body []byte
}

func dial(b *testing.B, base string) *wire {
	b.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	return &wire{b: b, conn: conn, r: bufio.NewReaderSize(conn, 32<<10)}
}

// do sends the bytes of one request and reads the answer.
func (w *wire) do(request []byte) reply {
	w.sent++
	if _, err := w.conn.Write(request); err != nil {
		w.b.Fatal(err)
	}
	resp, err := http.ReadResponse(w.r, nil)
	if err != nil {
		w.b.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.b.Fatal(err)
	}
	return reply{resp, body}
}

// want ends the benchmark unless the answer has that status.
func (r reply) want(b *testing.B, status int) reply {
	if r.StatusCode != status {
		b.Helper()
		b.Fatalf("status %d, want %d; location %q\n%s", r.StatusCode, status, r.Header.Get("Location"), r.body)
	}
	return r
}

// get and post write requests of one browser; cookies is a Cookie header or
// empty.
func (s *bench) get(path string, query url.Values, cookies ...string) []byte {
	return request(s.Issuer, http.MethodGet, path+"?"+query.Encode(), "", cookies...)
}

func (s *bench) post(path string, form url.Values, header ...string) []byte {
	return request(s.Issuer, http.MethodPost, path, form.Encode(), header...)
}

// request writes a request as a browser sends it.
func request(base, method, target, body string, header ...string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: */*\r\n", method, target, strings.TrimPrefix(base, "http://"))
	for _, h := range header {
		b.WriteString(h + "\r\n")
	}
	if method == http.MethodPost {
		fmt.Fprintf(&b, "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n" + body)
	return b.Bytes()
}

// field cuts the value of a hidden field out of a page.
func field(page []byte, name string) string {
	_, rest, ok := bytes.Cut(page, []byte(`name="`+name+`" value="`))
	if !ok {
		return ""
	}
	value, _, _ := bytes.Cut(rest, []byte{'"'})
	return html.UnescapeString(string(value))
}

// cookies joins the cookies that answers set to one header.
func cookies(answers ...reply) string {
	var list []string
	for _, a := range answers {
		for _, c := range a.Cookies() {
			list = append(list, c.Name+"="+c.Value)
		}
	}
	return "Cookie: " + strings.Join(list, "; ")
}

// flow goes from authorize to the code: authorize, sign-in, its redirect,
// consent. It returns the code.
func (s *bench) flow() string {
	first := s.wire.do(s.get("/authorize", s.Request(client, nil))).want(s.b, http.StatusOK)
	form := url.Values{
		"ticket": {field(first.body, "ticket")}, "csrf": {field(first.body, "csrf")},
		"username": {servertest.Person}, "password": {servertest.Password},
	}
	signed := s.wire.do(s.post("/signin", form, cookies(first))).want(s.b, http.StatusSeeOther)
	jar := cookies(first, signed)
	asked := s.wire.do(request(s.Issuer, http.MethodGet, signed.Header.Get("Location"), "", jar)).want(s.b, http.StatusOK)
	form = url.Values{
		"ticket": {field(asked.body, "ticket")}, "csrf": {field(asked.body, "csrf")}, "decision": {"allow"}, "scope": {"mcp:read"},
	}
	back := s.wire.do(s.post("/consent", form, jar)).want(s.b, http.StatusSeeOther)
	u, err := url.Parse(back.Header.Get("Location"))
	if err != nil {
		s.b.Fatal(err)
	}
	return u.Query().Get("code")
}

// exchange redeems a code and returns the tokens.
func (s *bench) exchange(code string) (access, refresh string) {
	return s.tokens(url.Values{
		"grant_type": {"authorization_code"}, "client_id": {client}, "code": {code}, "redirect_uri": {redirectURI},
		"code_verifier": {servertest.Verifier}, "resource": {servertest.Resource},
	})
}

func (s *bench) tokens(form url.Values) (access, refresh string) {
	answer := s.wire.do(s.post("/token", form)).want(s.b, http.StatusOK)
	var t struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	if err := json.Unmarshal(answer.body, &t); err != nil || t.Refresh == "" {
		s.b.Fatalf("tokens: %v\n%s", err, answer.body)
	}
	return t.Access, t.Refresh
}

// measure runs op until the benchmark has enough. What prepare does is not
// counted; nil does nothing. Beside the time it reports the CPU time of the
// whole process, in which waiting for the disk does not count.
func measure(b *testing.B, prepare, op func()) {
	b.Helper()
	var used time.Duration
	b.ReportAllocs()
	began := cpu(b)
	for b.Loop() {
		if prepare != nil {
			b.StopTimer()
			used += cpu(b) - began
			prepare()
			began = cpu(b)
			b.StartTimer()
		}
		op()
	}
	used += cpu(b) - began
	b.ReportMetric(float64(used.Nanoseconds())/float64(b.N), "cpu-ns/op")
}

// cpu is the CPU time that this process has used.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkAuthorize measures the authorization endpoint. Warm answers with
// the sign-in page to a client that is known and fresh; signed-in answers with
// the consent page; cold fetches the document of a client never met, from a
// TLS host in this process. Handler is warm without HTTP around it.
func BenchmarkAuthorize(b *testing.B) {
	b.Run("warm", func(b *testing.B) {
		s := newBench(b)
		ask := s.get("/authorize", s.Request(client, nil))
		measure(b, nil, func() { s.wire.do(ask).want(b, http.StatusOK) })
	})
	b.Run("signed-in", func(b *testing.B) {
		s := newBench(b)
		first := s.wire.do(s.get("/authorize", s.Request(client, nil)))
		form := url.Values{"csrf": {field(first.body, "csrf")}, "ticket": {field(first.body, "ticket")}, "username": {servertest.Person}, "password": {servertest.Password}}
		signed := s.wire.do(s.post("/signin", form, cookies(first))).want(b, http.StatusSeeOther)
		ask := s.get("/authorize", s.Request(client, nil), cookies(first, signed))
		measure(b, nil, func() { s.wire.do(ask).want(b, http.StatusOK) })
	})
	b.Run("cold", func(b *testing.B) {
		s := newBench(b)
		n, id := 0, ""
		measure(b, func() {
			n++
			id = "https://client.example.com/" + strconv.Itoa(n)
			s.publish(id)
		}, func() { s.wire.do(s.get("/authorize", s.Request(id, nil))).want(b, http.StatusOK) })
	})
	b.Run("handler", func(b *testing.B) {
		s := newBench(b)
		r := httptest.NewRequest(http.MethodGet, s.Issuer+"/authorize?"+s.Request(client, nil).Encode(), nil)
		measure(b, nil, func() {
			w := httptest.NewRecorder()
			if s.Handler.ServeHTTP(w, r); w.Code != http.StatusOK {
				b.Fatal(w.Code)
			}
		})
	})
}

// BenchmarkExchange redeems a code: policy, one commit, one ES256 signature.
func BenchmarkExchange(b *testing.B) {
	s := newBench(b)
	var code string
	measure(b, func() { code = s.flow() }, func() { s.exchange(code) })
}

// BenchmarkRefresh rotates a refresh token: policy, one commit, one ES256
// signature.
func BenchmarkRefresh(b *testing.B) {
	s := newBench(b)
	_, token := s.exchange(s.flow())
	measure(b, nil, func() {
		_, token = s.tokens(url.Values{"grant_type": {"refresh_token"}, "client_id": {client}, "refresh_token": {token}})
	})
}

// BenchmarkIntrospect asks about an access token that is active.
func BenchmarkIntrospect(b *testing.B) {
	s := newBench(b)
	token, _ := s.exchange(s.flow())
	basic := "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape("Example MCP server")+":"+url.QueryEscape(servertest.Secret)))
	ask := s.post("/introspect", url.Values{"token": {token}}, basic)
	if got := s.wire.do(ask); !bytes.Contains(got.body, []byte(`"active":true`)) {
		b.Fatalf("introspection: %d\n%s", got.StatusCode, got.body)
	}
	measure(b, nil, func() { s.wire.do(ask).want(b, http.StatusOK) })
}

// BenchmarkFlow is a whole flow: authorize, sign-in, its redirect, consent,
// code exchange. The password hash is the cheapest there is, so that it does
// not hide the rest.
func BenchmarkFlow(b *testing.B) {
	b.Run("warm", func(b *testing.B) {
		s := newBench(b)
		commits, requests := s.Store.Commits(), s.wire.sent
		s.exchange(s.flow())
		if got, sent := s.Store.Commits()-commits, s.wire.sent-requests; got != flowCommits || sent != flowRequests {
			b.Fatalf("a flow takes %d commits and %d requests; the bare one %d and %d", got, sent, flowCommits, flowRequests)
		}
		measure(b, nil, func() { s.exchange(s.flow()) })
	})
}

// What a flow is made of; BenchmarkBareFlow does the same.
const (
	flowRequests = 5
	flowCommits  = 3
)

// canned puts handlers behind the router and the HTTP server of the real thing
// and returns their base URL.
func canned(b *testing.B, routes map[string]http.HandlerFunc) string {
	b.Helper()
	m := mux.NewRouter().UseEncodedPath().SkipClean(true)
	for path, h := range routes {
		m.Path(path).Handler(h)
	}
	web := httptest.NewServer(m)
	b.Cleanup(web.Close)
	return web.URL
}

// page answers with n bytes of HTML.
func page(n int) http.HandlerFunc {
	body := bytes.Repeat([]byte("x"), n)
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Length", strconv.Itoa(n))
		w.Write(body)
	}
}

// BenchmarkCanned answers the request of BenchmarkAuthorize with a page of the
// same size that is ready.
func BenchmarkCanned(b *testing.B) {
	s := newBench(b)
	query := s.Request(client, nil)
	size := len(s.wire.do(s.get("/authorize", query)).want(b, http.StatusOK).body)
	base := canned(b, map[string]http.HandlerFunc{"/authorize": page(size)})
	w, ask := dial(b, base), request(base, http.MethodGet, "/authorize?"+query.Encode(), "")
	measure(b, nil, func() { w.do(ask).want(b, http.StatusOK) })
}

// BenchmarkBareFlow is the least that a flow can be: as many requests over
// HTTP with pages and forms of the same size, as many durable writes of the
// same size, and one ES256 signature. Store writes rows and records through
// the store; file overwrites and syncs a plain file, which is less than any
// store can do.
func BenchmarkBareFlow(b *testing.B) {
	sizes := flowSizes(b)
	b.Run("store", func(b *testing.B) {
		kept, err := bolt.Open(bolt.Config{Path: filepath.Join(b.TempDir(), "store.db")})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { kept.Close() })
		bareFlow(b, sizes, func(row, record int) error {
			u, id := kept.Begin(), broker.NewID()
			u.CreateClient(broker.Client{ID: id, Incarnation: 1, Published: make([]byte, max(1, row*3/4-600))})
			u.Append(decisionlog.Record{DecisionID: id, RequestID: id, ClientID: id, Detail: strings.Repeat("x", record)})
			return kept.Commit(context.Background(), u)
		})
	})
	b.Run("file", func(b *testing.B) {
		f, err := os.Create(filepath.Join(b.TempDir(), "file"))
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { f.Close() })
		bareFlow(b, sizes, func(row, record int) error {
			if _, err := f.WriteAt(make([]byte, row+record), 0); err != nil {
				return err
			}
			return f.Sync()
		})
	})
}

// flowSize are the bytes of one flow's answers and durable writes.
type flowSize struct {
	signIn, consent int
	rows, records   [flowCommits]int // sign-in, consent, exchange
}

// flowSizes measures one flow of the real server.
func flowSizes(b *testing.B) flowSize {
	s := newBench(b)
	first := s.wire.do(s.get("/authorize", s.Request(client, nil)))
	size := flowSize{signIn: len(first.body), consent: len(first.body)}
	s.exchange(s.flow())
	for _, r := range s.Records(store.RecordQuery{}) {
		raw, err := json.Marshal(r)
		if err != nil {
			b.Fatal(err)
		}
		switch step := map[string]int{"person.signed_in": 1, "consent.granted": 2, "token.issued": 3}[r.Event]; step {
		case 0:
		case 1:
			size.records[0], size.rows[0] = len(raw), 300
		default:
			// The admission of the same request is in the same commit.
			for _, other := range s.Records(store.RecordQuery{RequestID: r.RequestID}) {
				raw, _ := json.Marshal(other)
				size.records[step-1] += len(raw)
			}
			g, _, err := s.Store.Begin().Grant(b.Context(), r.GrantID)
			if err != nil {
				b.Fatal(err)
			}
			raw, _ := json.Marshal(g)
			size.rows[step-1] = len(raw)
		}
	}
	return size
}

// bareFlow measures a flow that only answers, writes and signs.
func bareFlow(b *testing.B, size flowSize, write func(row, record int) error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	durable := func(w http.ResponseWriter, step int) {
		if err := write(size.rows[step], size.records[step]); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	}
	base := canned(b, map[string]http.HandlerFunc{
		"/authorize": page(size.signIn),
		"/signin":    func(w http.ResponseWriter, r *http.Request) { durable(w, 0) },
		"/consent": func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				durable(w, 1)
				return
			}
			page(size.consent)(w, r)
		},
		"/token": func(w http.ResponseWriter, r *http.Request) {
			durable(w, 2)
			sum := sha256.Sum256([]byte(r.URL.Path))
			sig, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
			}
			w.Write(append(sig, make([]byte, 700)...))
		},
	})
	w, form := dial(b, base), strings.Repeat("x", 1500)
	query := "?" + url.Values{"q": {strings.Repeat("x", 1500)}}.Encode()
	steps := [flowRequests][]byte{
		request(base, http.MethodGet, "/authorize"+query[:400], ""), request(base, http.MethodPost, "/signin", form),
		request(base, http.MethodGet, "/consent"+query, ""), request(base, http.MethodPost, "/consent", form),
		request(base, http.MethodPost, "/token", form[:400]),
	}
	measure(b, nil, func() {
		for _, r := range steps {
			w.do(r).want(b, http.StatusOK)
		}
	})
}
