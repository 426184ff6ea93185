package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"guestlist/server/keys"
)

// keyList runs keys list.
func (s *site) keyList() []keys.Info {
	s.t.Helper()
	stdout, stderr, code := output(s.t, "keys", "list", "--config", s.config, "-o", "json")
	if code != 0 {
		s.t.Fatalf("keys list: exit %d: %s", code, stderr)
	}
	var out []keys.Info
	if err := json.Unmarshal([]byte(stdout), &out); err != nil {
		s.t.Fatalf("keys list: %v\n%s", err, stdout)
	}
	return out
}

// keyStates are the states of one purpose in order.
func keyStates(list []keys.Info, purpose string) string {
	var out []string
	for _, i := range list {
		if i.Purpose == purpose {
			out = append(out, i.State)
		}
	}
	return strings.Join(out, " ")
}

// published are the key ids that the server shows to the world.
func (s *site) published() []string {
	s.t.Helper()
	resp, err := http.Get(s.issuer + "/jwks")
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	var set struct{ Keys []struct{ Kid string } }
	if err := json.Unmarshal(body, &set); err != nil {
		s.t.Fatalf("/jwks: %v\n%s", err, body)
	}
	var out []string
	for _, k := range set.Keys {
		out = append(out, k.Kid)
	}
	return out
}

// rotate runs keys rotate and returns what it says.
func (s *site) rotate(args ...string) (stdout, stderr string, code int) {
	s.t.Helper()
	return output(s.t, append([]string{"keys", "rotate", "--config", s.config}, args...)...)
}

// TestKeysRotateAsksTheServer: the running server publishes the new key at
// once, records who asked, and a flow that is under way goes on.
func TestKeysRotateAsksTheServer(t *testing.T) {
	s := newSite(t)
	p := s.serve()
	before := s.published()
	alice := s.alice()
	resp, body := alice.get(s.authorizeLink()) // its ticket is sealed with the old key
	stdout, stderr, exit := s.rotate()
	if exit != 0 || stderr != "" || strings.Count(stdout, "a new key is published") != 2 {
		t.Fatalf("keys rotate: exit %d, %q, %q", exit, stdout, stderr)
	}
	after := s.published()
	if len(after) != len(before)+1 || !slices.Equal(after[:len(before)], before) {
		t.Errorf("/jwks after the rotation = %v, want %v and one more", after, before)
	}
	list := s.keyList()
	for purpose, want := range map[string]string{"signing": "active published", "sealing": "active published", "pseudonym": "active"} {
		if got := keyStates(list, purpose); got != want {
			t.Errorf("keys list: %s = %s, want %s", purpose, got, want)
		}
	}
	for _, event := range []string{"keys.rotation_asked", "keys.rotated"} {
		records := s.audit("--event", event)
		if len(records) != 2 || records[0]["actor"] == "" || records[0]["actor"] == nil {
			t.Errorf("%s records = %v, want two with an actor", event, records)
		}
	}
	resp, body = alice.submit(resp, body, "password", map[string][]string{"username": {"alice"}, "password": {processPassword}})
	resp, body = alice.submit(resp, body, "decision", map[string][]string{"decision": {"allow"}})
	if status, answer := s.exchange(code(t, resp, body)); status != http.StatusOK {
		t.Errorf("a flow that was under way: exchange = %d %s", status, answer)
	}
	// A restart keeps them.
	p.stop(syscall.SIGTERM)
	s.serve()
	if got := s.published(); !slices.Equal(got, after) {
		t.Errorf("/jwks after a restart = %v, want %v", got, after)
	}
	if stdout, stderr, exit := s.rotate("pseudonym"); exit != exitError || !strings.Contains(stderr, "never rotated") || stdout != "" {
		t.Errorf("keys rotate pseudonym: exit %d, %q, %q, want a refusal", exit, stdout, stderr)
	}
	if got := s.audit("--event", "keys.rotated"); len(got) != 2 {
		t.Errorf("%d keys.rotated records after a refused rotation, want 2", len(got))
	}
}

// TestKeysRotateBySocket needs no configuration file.
func TestKeysRotateBySocket(t *testing.T) {
	t.Setenv(configEnv, "")
	s := newSite(t)
	s.serve()
	socket := filepath.Join(s.dir, "admin.sock")
	if _, stderr, exit := output(t, "keys", "rotate", "sealing", "--socket", socket); exit != 0 {
		t.Fatalf("keys rotate --socket: exit %d, %s", exit, stderr)
	}
	list := s.keyList()
	if got := keyStates(list, "sealing") + ", " + keyStates(list, "signing"); got != "active published, active" {
		t.Errorf("sealing, signing = %s, want only sealing rotated", got)
	}
	if _, stderr, exit := output(t, "keys", "rotate", "--socket", socket+"x"); exit != exitError || !strings.Contains(stderr, "no server answers") {
		t.Errorf("keys rotate at a dead socket without configuration: exit %d, %q", exit, stderr)
	}
}

// TestKeysRotateWithoutServer changes the directory itself and says so.
func TestKeysRotateWithoutServer(t *testing.T) {
	s := newSite(t)
	dir := filepath.Join(s.dir, "keys")
	for _, args := range [][]string{{"keys", "list"}, {"keys", "rotate"}} {
		_, stderr, exit := output(t, append(args, "--config", s.config)...)
		if exit != exitError || !strings.Contains(stderr, dir) || !strings.Contains(stderr, "guestlist serve") {
			t.Errorf("%v before the first start: exit %d, %q, want what to do", args, exit, stderr)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%v made the key directory", args)
		}
	}
	p := s.serve()
	before := s.published()
	p.stop(syscall.SIGTERM)
	stdout, stderr, exit := s.rotate("signing")
	if exit != 0 || !strings.Contains(stderr, dir) || !strings.Contains(stderr, "no server answers") || !strings.Contains(stderr, "nothing was recorded") ||
		strings.Count(stdout, "a new key is published") != 1 {
		t.Errorf("keys rotate signing: exit %d, %q, %q", exit, stdout, stderr)
	}
	list := s.keyList()
	if got := keyStates(list, "signing") + ", " + keyStates(list, "sealing"); got != "active published, active" {
		t.Errorf("signing, sealing = %s, want only signing rotated", got)
	}
	s.serve()
	if got := s.published(); len(got) != 2 || !slices.Equal(got[:1], before) {
		t.Errorf("/jwks of the next server = %v, want %v and one more", got, before)
	}
}

// TestServerFollowsTheKeyDirectory: no server answers on the socket that is
// configured, but one runs on the directory.
func TestServerFollowsTheKeyDirectory(t *testing.T) {
	s := newSite(t)
	config, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	s.write("guestlist.yaml", strings.Replace(string(config), "admin: {socket: admin.sock}\n", "", 1))
	s.serve()
	if _, stderr, exit := s.rotate("signing"); exit != 0 || !strings.Contains(stderr, "sets no admin.socket") {
		t.Fatalf("keys rotate: exit %d, %q", exit, stderr)
	}
	eventually(t, "/jwks has the key that another process added", func() bool { return len(s.published()) == 2 })
}

// TestKeysRotateBesideATroubledServer: when it is not certain that no server
// runs, the directory is left alone.
func TestKeysRotateBesideATroubledServer(t *testing.T) {
	s := newSite(t)
	p := s.serve()
	p.stop(syscall.SIGTERM)
	l, err := net.Listen("unix", filepath.Join(s.dir, "admin.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	if _, stderr, exit := s.rotate("signing"); exit != exitError || !strings.Contains(stderr, "ask the server") {
		t.Errorf("keys rotate: exit %d, %q, want an error", exit, stderr)
	}
	if got := keyStates(s.keyList(), "signing"); got != "active" {
		t.Errorf("signing = %s, want no rotation", got)
	}
}

// TestKeysListShowsNoSecret in any format.
func TestKeysListShowsNoSecret(t *testing.T) {
	s := newSite(t)
	s.serve().stop(syscall.SIGTERM)
	var secrets []string
	for _, purpose := range []string{"signing", "sealing", "pseudonym"} {
		raw, err := os.ReadFile(filepath.Join(s.dir, "keys", purpose+".json"))
		if err != nil {
			t.Fatal(err)
		}
		var file struct {
			Keys []struct{ Key struct{ D, K string } }
		}
		if err := json.Unmarshal(raw, &file); err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, file.Keys[0].Key.D+file.Keys[0].Key.K)
	}
	if sheet, _, _ := output(t, "keys", "list", "--config", s.config, "-o", "csv"); strings.Count(sheet, "Z,,\n") != 3 {
		t.Errorf("keys list -o csv = %q, want nothing where a key does not end", sheet)
	}
	for _, format := range []string{"table", "json", "ndjson", "csv"} {
		stdout, stderr, exit := output(t, "keys", "list", "--config", s.config, "-o", format)
		if exit != 0 || strings.Count(stdout, "active") != 3 {
			t.Errorf("keys list -o %s: exit %d, %q, %s", format, exit, stdout, stderr)
		}
		for _, secret := range secrets {
			if secret == "" || strings.Contains(stdout, secret) {
				t.Errorf("keys list -o %s shows a secret, or the test has none", format)
			}
		}
	}
}

// G-01: the running server destroys the pseudonym key and records who asked;
// sessions and grants go on, and records of one person before and after cannot
// be brought together.
func TestKeysDestroyPseudonym(t *testing.T) {
	s := newSite(t)
	p := s.serve()
	alice := s.alice()
	s.token(alice)
	before := s.audit("--person", "alice")
	if len(before) == 0 {
		t.Fatal("no records of alice")
	}
	old := before[0]["subject"].(string)
	destroy := func(args ...string) (stdout, stderr string, exit int) {
		return output(t, append([]string{"keys", "destroy", "--config", s.config}, args...)...)
	}
	if _, stderr, exit := destroy("pseudonym"); exit != exitFindings || !strings.Contains(stderr, "nothing was changed") || len(s.audit("--person", "alice")) != len(before) {
		t.Errorf("keys destroy without a yes: exit %d, %q", exit, stderr)
	}
	if _, stderr, exit := destroy("signing", "--yes"); exit != exitError || !strings.Contains(stderr, "want pseudonym") {
		t.Errorf("keys destroy signing: exit %d, %q", exit, stderr)
	}
	if stdout, stderr, exit := destroy("pseudonym", "--yes"); exit != 0 || stderr != "" || !strings.Contains(stdout, "the key is destroyed") {
		t.Fatalf("keys destroy: exit %d, %q, %q", exit, stdout, stderr)
	}
	for _, event := range []string{"keys.rotation_asked", "keys.destroyed"} {
		if list := s.audit("--event", event); len(list) != 1 || list[0]["actor"] == nil {
			t.Errorf("%s records = %v, want one with an actor", event, list)
		}
	}
	if list := s.audit("--person", "alice"); len(list) != 0 {
		t.Errorf("%d records of alice by her name, want none of before", len(list))
	}
	if list := s.audit("--person", old); len(list) != len(before) {
		t.Errorf("%d records by the old pseudonym, want the %d of before", len(list), len(before))
	}
	s.token(alice) // still signed in, or asked anew by the same name
	after := s.audit("--person", "alice")
	if len(after) == 0 || after[0]["subject"] == old {
		t.Errorf("records of alice after: %v, want some under another pseudonym", after)
	}
	p.stop(syscall.SIGTERM)
	if _, stderr, exit := destroy("pseudonym", "--yes"); exit != 0 || !strings.Contains(stderr, "nothing was recorded") || !strings.Contains(stderr, filepath.Join(s.dir, "keys")) {
		t.Errorf("keys destroy without a server: exit %d, %q", exit, stderr)
	}
	s.serve()
	if list := s.audit("--person", "alice"); len(list) != 0 {
		t.Errorf("%d records of alice by her name after the second time, want none", len(list))
	}
}
