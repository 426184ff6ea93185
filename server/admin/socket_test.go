package admin_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"guestlist/server/admin"
)

func TestListenMode(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	l, err := admin.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("mode = %v, %v, want a socket of mode 0600", info.Mode(), err)
	}
	l.Close()
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("after Close: %v, want the socket gone", err)
	}
}

// stale leaves a socket that nobody answers on, as a killed server does.
func stale(t *testing.T, path string) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
}

func TestListenReplacesAStaleSocket(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	stale(t, path)
	l, err := admin.Listen(path)
	if err != nil {
		t.Fatalf("Listen over a stale socket = %v", err)
	}
	l.Close()
}

func TestListenRefuses(t *testing.T) {
	dir := shortDir(t)
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, "other")
	stale(t, other)
	link := filepath.Join(dir, "link")
	if err := os.Symlink(other, link); err != nil {
		t.Fatal(err)
	}
	live, err := admin.Listen(filepath.Join(dir, "live"))
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	for _, test := range []struct{ name, path, want string }{
		{"empty path", "", "empty"},
		{"abstract name", "@guestlist", "name a file"},
		{"too long", filepath.Join(dir, strings.Repeat("x", 107-len(dir))), "has 108 bytes"},
		{"missing directory", filepath.Join(dir, "none", "s"), "does not exist: make it"},
		{"regular file", file, "not a socket"},
		{"directory", dir, "not a socket"},
		{"symbolic link", link, "not a socket"},
		{"another server", filepath.Join(dir, "live"), "another server answers there"},
	} {
		l, err := admin.Listen(test.path)
		if err == nil {
			l.Close()
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: Listen() = %v, want %q", test.name, err, test.want)
		}
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "precious" {
		t.Errorf("the file holds %q, %v, want it untouched", b, err)
	}
	if c, err := net.Dial("unix", filepath.Join(dir, "live")); err != nil {
		t.Errorf("the other server = %v, want it still there", err)
	} else {
		c.Close()
	}
	longest := filepath.Join(dir, strings.Repeat("x", 106-len(dir)))
	l, err := admin.Listen(longest)
	if err != nil {
		t.Errorf("Listen with %d bytes = %v, want nil", len(longest), err)
	} else {
		l.Close()
	}
}

func TestClientSaysHowToReachAServer(t *testing.T) {
	dir := shortDir(t)
	stale(t, filepath.Join(dir, "stale"))
	for _, path := range []string{filepath.Join(dir, "none"), filepath.Join(dir, "stale")} {
		_, err := admin.NewClient(path).Clients(context.Background(), admin.ClientFilter{}, "", 0)
		if err == nil || !strings.HasPrefix(err.Error(), "no server answers on "+path) || !strings.Contains(err.Error(), "guestlist serve") {
			t.Errorf("Clients() on %s = %v, want no server and what to do", path, err)
		}
	}
}
