package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"guestlist/server/admin"
)

// watchedSite is a site with a listener for monitoring, and its address.
func watchedSite(t *testing.T) (s *site, base string) {
	t.Helper()
	s = newSite(t)
	listen := "127.0.0.1:" + freePort(t)
	text, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	s.write("guestlist.yaml", strings.Replace(string(text), "admin: {socket: admin.sock}", "admin: {socket: admin.sock, listen: "+listen+"}", 1))
	return s, "http://" + listen
}

// monitor asks the listener for monitoring.
func monitor(t *testing.T, target string) (int, string) {
	t.Helper()
	resp, err := http.Get(target)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// metricNames are the names in an exposition, those of Go and the process left
// out.
func metricNames(text string) []string {
	var out []string
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (\S+)`).FindAllStringSubmatch(text, -1) {
		if !strings.HasPrefix(m[1], "go_") && !strings.HasPrefix(m[1], "process_") {
			out = append(out, m[1])
		}
	}
	return slices.Sorted(slices.Values(out))
}

// TestMetricsOfARunningServer is G-30 and G-34: what a flow leaves in the metrics
// is what the README lists, no more and no less, and a directory that does not
// load is told of while admissions go on.
func TestMetricsOfARunningServer(t *testing.T) {
	s, base := watchedSite(t)
	told := make(chan struct{}, 100)
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { told <- struct{}{} }))
	defer receiver.Close()
	s.write("hook.secret", strings.Repeat("s", 43))
	s.add("webhooks: [{url: \"" + receiver.URL + "\", secret_file: hook.secret}]\n")
	p := s.serve()
	defer p.stop(syscall.SIGTERM)
	alice := s.alice()
	resp, body := alice.get(s.authorizeLink())
	resp, body = alice.submit(resp, body, "password", url.Values{"username": {"alice"}, "password": {"wrong"}})
	resp, body = alice.submit(resp, body, "password", url.Values{"username": {"alice"}, "password": {processPassword}})
	resp, body = alice.submit(resp, body, "decision", url.Values{"decision": {"allow"}})
	if status, answer := s.exchange(code(t, resp, body)); status != http.StatusOK {
		t.Fatalf("exchange: %d %s", status, answer)
	}
	<-told // now its place in the log is known
	status, got := monitor(t, base+"/metrics")
	if status != http.StatusOK {
		t.Fatalf("/metrics: %d", status)
	}
	var listed []string
	for _, m := range regexp.MustCompile("(?m)^\\| `(guestlist_[a-z_]+)`").FindAllStringSubmatch(section(t, "For auditors"), -1) {
		listed = append(listed, m[1])
	}
	if names := metricNames(got); !slices.Equal(names, slices.Sorted(slices.Values(listed))) {
		t.Errorf("metrics = %q, the README lists %q", names, listed)
	}
	for _, line := range []string{
		`guestlist_clients 1`, `guestlist_fetches_total{outcome="fetched"} 1`, `guestlist_refusals_total{reason="sign_in_failed"} 1`,
		`guestlist_http_requests_total{route="/token",status="2xx"} 1`, `guestlist_component_up{component="policies"} 1`,
		`guestlist_decisions_total{outcome="admitted",phase="document",policy="example",reason="none"} 1`, `guestlist_policy_load_failed 0`,
	} {
		if !strings.Contains(got, line+"\n") {
			t.Errorf("/metrics has no line %q", line)
		}
	}
	for _, secret := range []string{processHost, "alice", "http://127"} {
		if strings.Contains(got, secret) {
			t.Errorf("/metrics says %q", secret)
		}
	}
	s.write("policies/example.rego", "package admission.policies.example\n\nno rego at all\n")
	p.find(p.errs, `"policy.rejected"`, "\n")
	status, got = monitor(t, base+"/readyz")
	var ready admin.Readiness
	if err := json.Unmarshal([]byte(got), &ready); err != nil {
		t.Fatalf("/readyz: %v: %s", err, got)
	}
	i := slices.IndexFunc(ready.Components, func(c admin.Component) bool { return c.Name == "policies" })
	if c := ready.Components[i]; status != http.StatusOK || !ready.Ready || c.State != admin.ComponentDegraded || !strings.Contains(c.Reason, "example.rego") {
		t.Errorf("/readyz with a directory that does not load: %d %+v", status, ready)
	}
	if _, got = monitor(t, base+"/metrics"); !strings.Contains(got, "guestlist_policy_load_failed 1\n") || !strings.Contains(got, `guestlist_component_up{component="policies"} 0`) {
		t.Error("/metrics does not tell of a directory that does not load")
	}
	if status, got = monitor(t, s.issuer+"/readyz"); status != http.StatusOK || got != "ok\n" {
		t.Errorf("the public /readyz: %d %q, want a bare ok", status, got)
	}
	if status, _ = monitor(t, s.issuer+"/metrics"); status != http.StatusNotFound {
		t.Errorf("the public /metrics: %d, want 404", status)
	}
	if status, _ = monitor(t, base+"/v1/status"); status != http.StatusNotFound {
		t.Errorf("/v1/status of the listener for monitoring: %d, want 404", status)
	}
}
