package signin_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"guestlist/server/signin"
)

func TestOpenAccepts(t *testing.T) {
	hash := cheap(password)
	tests := []struct {
		name, content string
		people        int
	}{
		{"nothing", "", 0},
		{"only a comment", "# nobody yet\n", 0},
		{"only a document mark", "---\n", 0},
		{"empty list", "[]\n", 0},
		{"everything", people, 3},
		{"members without value", "- username: ada\n  full_name:\n  email:\n  groups:\n  password: " + hash, 1},
		{"flow style", "- {username: ada, password: '" + hash + "', groups: [], disabled: false}", 1},
		{"every character of usernames", "- username: aZ09._-@+\n  password: " + hash, 1},
		{"username of 64", "- username: " + strings.Repeat("a", 64) + "\n  password: " + hash, 1},
		{"names that differ in case", "- username: ada\n  password: " + hash + "\n- username: ADA\n  password: " + hash, 2},
		{"name in another script", "- username: ada\n  full_name: 愛田\n  password: " + hash, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := write(t, tt.content)
			if _, err := signin.Open(signin.Config{File: file}); err != nil {
				t.Fatalf("Open(%q) = %v, want nil", tt.content, err)
			}
			if entries, err := signin.List(file); err != nil || len(entries) != tt.people {
				t.Errorf("List(%q) = %d entries, %v, want %d", tt.content, len(entries), err, tt.people)
			}
		})
	}
}

// TestOpenRefuses says where, and never quotes a password.
func TestOpenRefuses(t *testing.T) {
	hash := cheap(password)
	ben := "- username: ben\n  password: " + hash + "\n" // two lines before the broken entry
	with := func(old, new string) string {
		return ben + "- username: ada\n  password: " + strings.Replace(hash, old, new, 1)
	}
	const passwd = "guestlist person passwd ada"
	tests := []struct {
		name, content string
		want          []string
	}{
		{"unknown member", ben + "- username: ada\n  password: " + hash + "\n  denied: true", []string{"line 5", `"denied"`, "known are"}},
		{"member in the wrong case", ben + "- username: ada\n  Disabled: true\n  password: " + hash, []string{"line 4", `"Disabled"`}},
		{"repeated member", ben + "- username: ada\n  password: " + hash + "\n  password: " + hash, []string{"line 5", "already defined"}},
		{"username twice", ben + ben, []string{"line 3", `"ben"`, "line 1"}},
		{"no username", ben + "- full_name: Ada\n  password: " + hash, []string{"line 3", "username"}},
		{"username with a space", ben + "- username: ada l\n  password: " + hash, []string{"line 3", "1 to 64 characters"}},
		{"username in another script", ben + "- username: аda\n  password: " + hash, []string{"line 3", "1 to 64 characters"}},
		{"username of 65", ben + "- username: " + strings.Repeat("a", 65) + "\n  password: " + hash, []string{"line 3"}},
		{"username a number", ben + "- username: 1234\n  password: " + hash, []string{"line 3", "quotes"}},
		{"disabled: yes", ben + "- username: ada\n  password: " + hash + "\n  disabled: yes", []string{"line 5", "neither true nor false"}},
		{"disabled without value", ben + "- username: ada\n  password: " + hash + "\n  disabled:", []string{"line 5", "neither true nor false"}},
		{"groups a word", ben + "- username: ada\n  password: " + hash + "\n  groups: eng", []string{"line 5", "not a list"}},
		{"group a number", ben + "- username: ada\n  password: " + hash + "\n  groups: [7]", []string{"line 5", "not text"}},
		{"group twice", ben + "- username: ada\n  password: " + hash + "\n  groups: [eng, eng]", []string{"line 3", "twice"}},
		{"group empty", ben + "- username: ada\n  password: " + hash + "\n  groups: ['']", []string{"line 3", "empty"}},
		{"email with a space", ben + "- username: ada\n  email: a b\n  password: " + hash, []string{"line 3", "email"}},
		{"full name of two lines", ben + "- username: ada\n  full_name: \"a\\nb\"\n  password: " + hash, []string{"line 3", "full_name"}},
		{"full name too long", ben + "- username: ada\n  full_name: " + strings.Repeat("a", 257) + "\n  password: " + hash, []string{"line 3", "256 bytes"}},
		{"alias", ben + "- username: &a ada\n  password: " + hash, []string{"line 3", "not text"}},
		{"merge", ben + "- <<: {username: ada}\n  password: " + hash, []string{"line 3", "unknown member"}},
		{"not YAML", ben + "- username: 'ada\n", []string{"line 3", "not YAML"}},
		{"tab", ben + "- username: ada\n\tpassword: x\n", []string{"line 4", "not YAML"}},
		{"two documents", ben + "---\n" + ben, []string{"more than one"}},
		{"a mapping", "ada:\n  password: " + hash, []string{"line 1", "not a list"}},
		{"an item that is no person", ben + "- ada", []string{"line 3", "not a person"}},
		{"null", "null", []string{"line 1", "not a list"}},
		{"not UTF-8", ben + "- username: \xff", []string{"UTF-8"}},

		{"no password", ben + "- username: ada\n  disabled: true", []string{"line 3", "there is none", passwd}},
		{"password in clear", ben + "- username: ada\n  password: hunter2hunter2", []string{"line 4", "not an argon2id hash", passwd}},
		{"argon2i", with("argon2id", "argon2i"), []string{"line 4", "not an argon2id hash", passwd}},
		{"old version", with("v=19", "v=16"), []string{"line 4", "version", passwd}},
		{"parameters in another order", with("m=8,t=1", "t=1,m=8"), []string{"line 4", "m=…,t=…,p=…", passwd}},
		{"more parameters", with("p=1", "p=1,keyid=x"), []string{"line 4", "one way", passwd}},
		{"leading zero", with("m=8", "m=08"), []string{"line 4", "one way", passwd}},
		{"plus sign", with("m=8", "m=+8"), []string{"line 4", passwd}},
		{"m too large", with("m=8", "m=65537"), []string{"line 4", "m is not", passwd}},
		{"m past 32 bits", with("m=8", "m=4294967304"), []string{"line 4", passwd}},
		{"m too small", with("m=8", "m=7"), []string{"line 4", "m is not", passwd}},
		{"m too small for p", with("p=1", "p=2"), []string{"line 4", "m is not", passwd}},
		{"t too large", with("t=1", "t=11"), []string{"line 4", "t is not", passwd}},
		{"t zero", with("t=1", "t=0"), []string{"line 4", "t is not", passwd}},
		{"p too large", with("m=8,t=1,p=1", "m=64,t=1,p=5"), []string{"line 4", "p is not", passwd}},
		{"p zero", with("p=1", "p=0"), []string{"line 4", "p is not", passwd}},
		{"p past 8 bits", with("p=1", "p=257"), []string{"line 4", passwd}},
		{"salt too short", with("c2FsdHNhbHRzYWx0c2FsdA", "c2FsdA"), []string{"line 4", "its salt is not between", passwd}},
		{"salt padded", with("c2FsdHNhbHRzYWx0c2FsdA", "c2FsdHNhbHRzYWx0c2FsdA=="), []string{"line 4", "salt", passwd}},
		{"salt with stray bits", with("c2FsdHNhbHRzYWx0c2FsdA", "c2FsdHNhbHRzYWx0c2FsdB"), []string{"line 4", "one way", passwd}},
		{"hash too short", ben + "- username: ada\n  password: " + hash[:len(hash)-31], []string{"line 4", "its hash is not between", passwd}},
		{"hash missing", ben + "- username: ada\n  password: " + hash[:strings.LastIndex(hash, "$")], []string{"line 4", passwd}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := write(t, tt.content)
			_, err := signin.Open(signin.Config{File: file})
			if err == nil {
				t.Fatalf("Open(%q) = nil, want an error", tt.content)
			}
			// The name of the directory tells the name of the case.
			about, text, _ := strings.Cut(err.Error(), file)
			if about != "people file " {
				t.Errorf("Open(%q) = %v, want it to name the file", tt.content, err)
			}
			for _, want := range tt.want {
				if !strings.Contains(text, want) {
					t.Errorf("Open(%q) = %v, want it to say %q", tt.content, err, want)
				}
			}
			for _, secret := range []string{"hunter2", "c2FsdA", hash[len(hash)-20:]} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("Open(%q) = %v, it quotes a password entry", tt.content, err)
				}
			}
			if _, err := signin.List(file); err == nil {
				t.Errorf("List(%q) = nil, want an error", tt.content)
			}
		})
	}
}

func TestOpenPermissions(t *testing.T) {
	tests := []struct {
		mode os.FileMode
		ok   bool
	}{{0o600, true}, {0o400, true}, {0o640, true}, {0o644, true}, {0o620, false}, {0o602, false}, {0o666, false}}
	for _, tt := range tests {
		file := write(t, people)
		if err := os.Chmod(file, tt.mode); err != nil {
			t.Fatal(err)
		}
		_, err := signin.Open(signin.Config{File: file})
		if (err == nil) != tt.ok {
			t.Errorf("Open(mode %04o) = %v, want accepted: %v", tt.mode, err, tt.ok)
		}
		if err != nil && !strings.Contains(err.Error(), "chmod go-w") {
			t.Errorf("Open(mode %04o) = %v, want the remedy chmod go-w", tt.mode, err)
		}
	}
}

func TestOpenOddFiles(t *testing.T) {
	dir := t.TempDir()
	for _, file := range []string{"", filepath.Join(dir, "absent.yaml")} {
		p := open(t, signin.Config{File: file, Now: newClock().Now})
		if err := p.Problem(); err != nil {
			t.Errorf("Problem() of file %q = %v, want nil", file, err)
		}
		if _, ok := p.Lookup("ada"); ok {
			t.Errorf("Lookup(ada) of file %q = true, want false", file)
		}
	}
	large := write(t, strings.Repeat("#", 16<<20+1))
	for _, file := range []string{dir, large, filepath.Join(large, "below-a-file")} {
		if _, err := signin.Open(signin.Config{File: file}); err == nil {
			t.Errorf("Open(%s) = nil, want an error", file)
		}
	}
}

func TestReload(t *testing.T) {
	file := filepath.Join(t.TempDir(), "people.yaml")
	p := open(t, signin.Config{File: file, Now: newClock().Now})
	entry := func(more string) string { return "- username: ada\n  password: " + cheap(password) + more }
	steps := []struct {
		name    string
		do      func()
		changed bool
		problem string
		known   bool
	}{
		{"absent", func() {}, false, "", false},
		{"appears", func() { rewrite(t, file, entry("")) }, true, "", true},
		{"untouched", func() {}, false, "", true},
		{"joins a group", func() { rewrite(t, file, entry("\n  groups: [eng]")) }, true, "", true},
		{"breaks", func() { rewrite(t, file, entry("\n  disable: true")) }, false, "line 3", true},
		{"still broken", func() {}, false, "line 3", true},
		{"password breaks", func() { rewrite(t, file, "- username: ada\n  password: hunter2hunter2") }, false, "line 2", true},
		{"emptied", func() { rewrite(t, file, "") }, false, "write []", true},
		{"gone", func() { os.Remove(file) }, false, "gone", true},
		{"still gone", func() {}, false, "gone", true},
		{"comes back", func() { rewrite(t, file, entry("")) }, true, "", true},
		{"a directory in its place", func() { os.Rename(file, file+"~"); os.Mkdir(file, 0o700) }, false, "regular", true},
		{"the same file again", func() { os.Remove(file); os.Rename(file+"~", file) }, true, "", true},
		{"writable for all", func() { os.Chmod(file, 0o666) }, false, "chmod", true},
		{"no longer", func() { os.Chmod(file, 0o600) }, true, "", true},
		{"disabled", func() { rewrite(t, file, entry("\n  disabled: true")) }, true, "", false},
		{"enabled", func() { rewrite(t, file, entry("\n  disabled: false")) }, true, "", true},
		{"nobody on purpose", func() { rewrite(t, file, "[]") }, true, "", false},
		{"gone when nobody was left", func() { os.Remove(file) }, true, "", false},
	}
	for _, s := range steps {
		s.do()
		changed, err := p.Reload()
		if changed != s.changed || (err == nil) != (s.problem == "") || (err != nil && !strings.Contains(err.Error(), s.problem)) {
			t.Fatalf("%s: Reload() = %v, %v, want %v, %q", s.name, changed, err, s.changed, s.problem)
		}
		if got := p.Problem(); (got == nil) != (err == nil) {
			t.Errorf("%s: Problem() = %v, want %v", s.name, got, err)
		}
		if _, ok := p.Lookup("ada"); ok != s.known {
			t.Errorf("%s: Lookup(ada) = %v, want %v", s.name, ok, s.known)
		}
		if _, err := p.SignIn(t.Context(), "ada", password, "192.0.2.1"); (err == nil) != s.known {
			t.Errorf("%s: SignIn(ada) = %v, want success: %v", s.name, err, s.known)
		}
	}
}

// H-06: local people lose a group at the next look, with no call of Reload.
// Each step changes one thing by which a change is seen.
func TestLookupSeesChangesH06(t *testing.T) {
	file := write(t, people)
	then := time.Now().Add(-time.Hour)
	p := open(t, signin.Config{File: file})
	steps := []struct {
		name, groups string
		age          time.Time
		move         bool
	}{
		{"all three", "[a]", then, false},
		{"only the size", "[ab]", then, false},
		{"only the time", "[cd]", then.Add(time.Second), false},
		{"only the inode", "[ef]", then.Add(time.Second), true},
	}
	for _, s := range steps {
		to := file
		if s.move {
			to += ".next"
		}
		rewrite(t, to, strings.Replace(people, "[eng, admins]", s.groups, 1))
		if err := os.Chtimes(to, s.age, s.age); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(to, file); err != nil {
			t.Fatal(err)
		}
		if got, _ := p.Lookup("ada"); fmt.Sprint(got.Groups) != s.groups {
			t.Errorf("%s changed: Lookup(ada).Groups = %q, want %s", s.name, got.Groups, s.groups)
		}
	}
}
