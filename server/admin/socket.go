package admin

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// pathMax is how many bytes the path of a Unix socket may have: 108 in
// sockaddr_un, one of them for the end.
const pathMax = 107

// Listen makes the Unix socket path with mode 0600 and listens on it. A
// socket that nobody answers on, left by a server that was killed, is
// removed first; anything else at path is left alone and an error. Closing
// the listener removes the socket.
func Listen(path string) (net.Listener, error) {
	switch {
	case path == "":
		return nil, errors.New("admin socket: the path is empty")
	case strings.HasPrefix(path, "@"):
		return nil, fmt.Errorf("admin socket %q: a name without a file has no mode to protect it: name a file", path)
	case len(path) > pathMax:
		return nil, fmt.Errorf("admin socket %q: the path has %d bytes and a socket's may have %d: choose a shorter admin.socket", path, len(path), pathMax)
	}
	if err := clear(path); err != nil {
		return nil, fmt.Errorf("admin socket %s: %w", path, err)
	}
	l, err := net.Listen("unix", path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("admin socket %s: the directory %s does not exist: make it", path, filepath.Dir(path))
	}
	if err != nil {
		return nil, fmt.Errorf("admin socket %s: %w", path, err)
	}
	// Until the mode is set others may connect; permit refuses them.
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("admin socket %s: %w", path, err), l.Close())
	}
	return l, nil
}

// clear removes a socket that nobody answers on.
func clear(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return errors.New("there is something that is not a socket: remove it, or choose another admin.socket")
	}
	switch err := knock(path); {
	case err == nil:
		return errors.New("another server answers there: stop it, or choose another admin.socket")
	case !errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("find out whether another server answers: %w", err)
	}
	return os.Remove(path)
}
