package signin_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"guestlist/server/signin"
)

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestHashPassword(t *testing.T) {
	tests := []struct {
		name, password string
		ok             bool
	}{
		{"8 characters", "12345678", true},
		{"7 characters", "1234567", false},
		{"7 characters of 21 bytes", "愛愛愛愛愛愛愛", false},
		{"1024 bytes", strings.Repeat("x", 1024), true},
		{"1025 bytes", strings.Repeat("x", 1025), false},
		{"empty", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := signin.HashPassword([]byte(tt.password))
			if (err == nil) != tt.ok {
				t.Fatalf("HashPassword(%q) = %v, want accepted: %v", tt.password, err, tt.ok)
			}
			if err == nil && !strings.HasPrefix(got, "$argon2id$v=19$m=19456,t=2,p=1$") {
				t.Errorf("HashPassword(%q) = %q, want argon2id with 19 MiB, t=2, p=1", tt.password, got)
			}
		})
	}
}

// TestEdit starts from nothing and does what the commands do.
func TestEdit(t *testing.T) {
	file := filepath.Join(t.TempDir(), "people.yaml")
	p := open(t, signin.Config{File: file, Now: newClock().Now})
	ada := signin.Entry{Username: "ada", FullName: "Ada: \"L\" #1", Email: "ada@corp.example", Groups: []string{"eng, ops", "true", "- x"}}
	ben := signin.Entry{Username: "007", Disabled: true}
	for _, e := range []signin.Entry{ada, ben} {
		if err := signin.Add(file, e, []byte(password)); err != nil {
			t.Fatalf("Add(%+v) = %v, want nil", e, err)
		}
	}
	if got, err := signin.List(file); err != nil || !reflect.DeepEqual(got, []signin.Entry{ada, ben}) {
		t.Errorf("List = %+v, %v, want %+v", got, err, []signin.Entry{ada, ben})
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the file = %v, %v, want 0600", info.Mode(), err)
	}
	if got, err := p.SignIn(t.Context(), "ada", password, "192.0.2.1"); err != nil || !reflect.DeepEqual(got.Groups, ada.Groups) {
		t.Errorf("SignIn(ada) = %+v, %v, want groups %q", got, err, ada.Groups)
	}
	if err := signin.Passwd(file, "ada", []byte("a new password")); err != nil {
		t.Fatalf("Passwd(ada) = %v, want nil", err)
	}
	if _, err := p.SignIn(t.Context(), "ada", "a new password", "192.0.2.1"); err != nil {
		t.Errorf("SignIn(ada) with the new password = %v, want nil", err)
	}
	if _, err := p.SignIn(t.Context(), "ada", password, "192.0.2.1"); err != signin.ErrWrong {
		t.Errorf("SignIn(ada) with the old password = %v, want %v", err, signin.ErrWrong)
	}
	if names, _ := filepath.Glob(filepath.Join(filepath.Dir(file), ".*")); len(names) > 0 {
		t.Errorf("temporary files are left: %q", names)
	}
}

// What the operator wrote stays, byte for byte, but for what changed.
func TestEditKeepsText(t *testing.T) {
	file := write(t, strings.TrimSuffix(people, "\n"))
	if err := signin.Add(file, signin.Entry{Username: "cid"}, []byte(password)); err != nil {
		t.Fatal(err)
	}
	if got := read(t, file); !strings.HasPrefix(got, people+"- username: cid\n") {
		t.Errorf("after Add the file is\n%s\nwant it to begin with\n%s", got, people)
	}
	if err := signin.Passwd(file, "ben", []byte("a new password")); err != nil {
		t.Fatal(err)
	}
	was := strings.Split(people, cheap("another secret"))
	if got := read(t, file); !strings.HasPrefix(got, was[0]) || !strings.Contains(got, was[1]) || strings.Contains(got, cheap("another secret")) {
		t.Errorf("after Passwd the file is\n%s\nwant only the hash of ben changed in\n%s", got, people)
	}
}

// Layouts into which no text can be put are written anew, with every entry.
func TestEditOtherLayouts(t *testing.T) {
	hash := cheap(password)
	for _, content := range []string{
		"[]\n",
		"# nobody\n---\n",
		"[{username: ben, password: '" + hash + "'}]",
		"  - username: ben\n    password: " + hash + "\n",
		"- username: ben\n  password: >-\n    " + hash + "\n",
		"- username: ben\n  password: " + hash + "\n- username: eve\n  password: " + hash + "\n",
		"- username: ben\n  password: " + hash + "\n...\n",
	} {
		file := write(t, content)
		before, err := signin.List(file)
		if err != nil {
			t.Fatalf("List(%q) = %v, want nil", content, err)
		}
		if err := signin.Add(file, signin.Entry{Username: "ada"}, []byte(password)); err != nil {
			t.Errorf("Add to %q = %v, want nil", content, err)
			continue
		}
		for _, e := range before {
			if err := signin.Passwd(file, e.Username, []byte("a new password")); err != nil {
				t.Errorf("Passwd(%s) in %q = %v, want nil", e.Username, content, err)
			}
		}
		want := append(before, signin.Entry{Username: "ada"})
		if got, err := signin.List(file); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("List after edits of %q = %+v, %v, want %+v", content, got, err, want)
		}
	}
}

func TestEditRefuses(t *testing.T) {
	broken := people + "- username: cid\n"
	good := signin.Entry{Username: "dan"}
	add := func(e signin.Entry, pw string) func(string) error {
		return func(file string) error { return signin.Add(file, e, []byte(pw)) }
	}
	passwd := func(name, pw string) func(string) error {
		return func(file string) error { return signin.Passwd(file, name, []byte(pw)) }
	}
	tests := []struct {
		name, content string
		do            func(file string) error
		want          string
	}{
		{"add an existing one", people, add(signin.Entry{Username: "ada"}, password), "there already"},
		{"add a disabled one", people, add(signin.Entry{Username: "gone"}, password), "there already"},
		{"add a bad username", people, add(signin.Entry{Username: "a b"}, password), "1 to 64"},
		{"add no username", people, add(signin.Entry{}, password), "1 to 64"},
		{"add a bad group", people, add(signin.Entry{Username: "dan", Groups: []string{"a\nb"}}, password), "one line"},
		{"add with a short password", people, add(good, "short"), "fewer than 8"},
		{"add to a broken file", broken, add(good, password), "cid"},
		{"add to what is not YAML", "- '", add(good, password), "line 1"},
		{"passwd of an unknown one", people, passwd("eve", password), "nobody is called"},
		{"passwd too long", people, passwd("ada", strings.Repeat("x", 1025)), "1024"},
		{"passwd when another is broken", broken, passwd("ada", password), "cid"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := write(t, tt.content)
			if err := tt.do(file); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error that says %q", err, tt.want)
			}
			if got := read(t, file); got != tt.content {
				t.Errorf("the file is now\n%s\nwant it untouched", got)
			}
		})
	}
}

// The remedy that a broken password entry names must work.
func TestPasswdRepairs(t *testing.T) {
	for _, member := range []string{"", "\n  password: hunter2hunter2", "\n  password: ''", "\n  password:"} {
		file := write(t, people+"- username: cid"+member+"\n")
		if _, err := signin.Open(signin.Config{File: file}); err == nil {
			t.Fatalf("Open with %q = nil, want an error", member)
		}
		if err := signin.Passwd(file, "cid", []byte(password)); err != nil {
			t.Errorf("Passwd(cid) with %q = %v, want nil", member, err)
		}
		if got, err := signin.List(file); err != nil || len(got) != 4 {
			t.Errorf("List afterwards = %d entries, %v, want 4", len(got), err)
		}
	}
}

func TestEditFollowsLinks(t *testing.T) {
	file := write(t, people)
	link := filepath.Join(t.TempDir(), "link.yaml")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	if err := signin.Add(link, signin.Entry{Username: "dan"}, []byte(password)); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is now %v, %v, want still a link", info, err)
	}
	if got, err := signin.List(file); err != nil || len(got) != 4 {
		t.Errorf("List of the target = %d entries, %v, want 4", len(got), err)
	}
}

func TestEditConcurrently(t *testing.T) {
	var many strings.Builder // so that reading takes a while
	const there, writers = 500, 6
	for i := range there {
		fmt.Fprintf(&many, "- username: there%d\n  password: %s\n", i, cheap(password))
	}
	file := write(t, many.String())
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			if err := signin.Add(file, signin.Entry{Username: fmt.Sprintf("user%d", i)}, []byte(password)); err != nil {
				t.Errorf("Add(user%d) = %v, want nil", i, err)
			}
		})
	}
	wg.Wait()
	if got, err := signin.List(file); err != nil || len(got) != there+writers {
		t.Errorf("List after %d concurrent Adds to %d entries = %d, %v, want all", writers, there, len(got), err)
	}
}
