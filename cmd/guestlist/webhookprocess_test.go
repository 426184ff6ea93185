package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestWebhookProcess plays a receiver behind TLS that hangs, fails, redirects
// and answers without end, while people go on signing in.
func TestWebhookProcess(t *testing.T) {
	s := newSite(t)
	hanging, release, taken := make(chan struct{}), make(chan struct{}), make(chan *http.Request, 1)
	var body []byte
	tries := 0
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") }))
	defer elsewhere.Close()
	receiver := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch tries++; tries {
		case 1:
			io.Copy(io.Discard, r.Body)
			close(hanging)
			select {
			case <-release:
			case <-r.Context().Done():
			}
			w.WriteHeader(http.StatusInternalServerError)
		case 2:
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		default:
			body, _ = io.ReadAll(r.Body)
			select {
			case taken <- r:
			default:
			}
			for i := 0; i < 1<<14 && r.Context().Err() == nil; i++ {
				if _, err := w.Write(make([]byte, 1<<14)); err != nil {
					return
				}
			}
		}
	}))
	tlsConfig, certificate, err := demoCertificate("localhost")
	if err != nil {
		t.Fatal(err)
	}
	receiver.TLS = tlsConfig
	receiver.StartTLS()
	defer receiver.Close()
	ca, err := os.ReadFile(filepath.Join(s.dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	s.write("ca.pem", string(ca)+string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw})))
	s.write("hook.secret", strings.Repeat("s", 30)+"\n")
	_, port, _ := strings.Cut(receiver.Listener.Addr().String(), ":")
	s.add("webhooks: [{url: \"https://localhost:" + port + "/in?key=SECRETPATH\", secret_file: hook.secret}]\n")
	p := s.serve()
	defer p.stop(syscall.SIGTERM)

	// The first post hangs, and the server does not.
	s.alice().get(s.authorizeLink())
	<-hanging
	resp, page := s.alice().play(s.authorizeLink())
	if status, answer := s.exchange(code(t, resp, page)); status != http.StatusOK {
		t.Fatalf("exchange while the receiver hangs: %d %s", status, answer)
	}
	close(release)
	p.find(p.errs, `"webhook.failing"`, "\n")
	if out, _, code := output(t, "status", "--config", s.config); code != 2 || !strings.Contains(out, "webhook_") || strings.Contains(out, "SECRETPATH") {
		t.Errorf("status: exit %d, want the problem without the address's path\n%s", code, out)
	}
	r := <-taken
	p.find(p.errs, `"webhook.working"`, "\n")
	checkDelivery(t, s, r, body)
	if text, _ := p.errs.text(); strings.Contains(text, "SECRETPATH") || strings.Contains(text, strings.Repeat("s", 30)) {
		t.Error("the log has the receiver's secret")
	}
}

// checkDelivery holds that a post tells of the first sight, signed.
func checkDelivery(t *testing.T, s *site, r *http.Request, body []byte) {
	t.Helper()
	stamp, signature, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Guestlist-Signature"), "t="), ",v1=")
	mac := hmac.New(sha256.New, []byte(strings.Repeat("s", 30)))
	mac.Write([]byte(stamp + "." + string(body)))
	if want := hex.EncodeToString(mac.Sum(nil)); signature != want {
		t.Errorf("signature %q, want %q", signature, want)
	}
	var d delivery
	if err := json.Unmarshal(body, &d); err != nil {
		t.Fatalf("delivery %s: %v", body, err)
	}
	i := slices.IndexFunc(d.Events, func(e webhookEvent) bool { return e.Kind == kindFirstSights })
	if d.Issuer != s.issuer || i < 0 || d.Events[i].ClientID != processClient || !slices.Equal(d.Events[i].First, []string{"client", "host"}) || d.Events[i].RequestID == "" {
		t.Errorf("delivery %s, want the first sight of %s", body, processClient)
	}
}

// TestWebhookExample: the post in the README is one that this program sends.
func TestWebhookExample(t *testing.T) {
	_, rest, ok := strings.Cut(section(t, "Telling operators"), "```json\n")
	example, _, closed := strings.Cut(rest, "```")
	if !ok || !closed {
		t.Fatal("the README has no example of a post")
	}
	var d delivery
	decoder := json.NewDecoder(strings.NewReader(example))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&d); err != nil {
		t.Fatalf("the example: %v", err)
	}
	got, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	if err := json.Compact(&want, []byte(example)); err != nil || want.String() != string(got) {
		t.Errorf("the example is\n%s\nthe program would write\n%s", want.String(), got)
	}
	for _, e := range d.Events {
		if kindOf(e) != e.Kind {
			t.Errorf("an event %s %s of the example is told as %q, want %q", e.Event, e.Outcome, kindOf(e), e.Kind)
		}
	}
}
