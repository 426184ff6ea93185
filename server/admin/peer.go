package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"strconv"
)

// peerKey is the context key of the peer.
type peerKey struct{}

// peer is who is at the other end of a connection.
type peer struct {
	uid  int
	name string // of the user; "uid 1000" when the system has no name for it
	err  error  // why the peer is not known; then the rest is empty
}

// ConnContext puts the peer of a Unix socket connection into the context of
// its requests. It is for http.Server.ConnContext.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	unix, ok := c.(*net.UnixConn)
	if !ok {
		return context.WithValue(ctx, peerKey{}, peer{err: fmt.Errorf("the connection is %T, not a Unix socket", c)})
	}
	uid, err := peerUID(unix)
	if err != nil {
		return context.WithValue(ctx, peerKey{}, peer{err: err})
	}
	return withPeer(ctx, uid)
}

// withPeer puts the user with that number into ctx.
func withPeer(ctx context.Context, uid int) context.Context {
	p := peer{uid: uid, name: "uid " + strconv.Itoa(uid)}
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		p.name = u.Username
	}
	return context.WithValue(ctx, peerKey{}, p)
}

// Actor names the operator who sent the request of ctx, as records show them;
// it is empty outside a request of this API.
func Actor(ctx context.Context) string {
	p, _ := ctx.Value(peerKey{}).(peer)
	return p.name
}

// permit refuses everybody but the user this process runs as, who owns the
// socket, and root.
func permit(ctx context.Context) error {
	p, ok := ctx.Value(peerKey{}).(peer)
	switch {
	case !ok:
		return errors.New("the admin API answers on its own socket only")
	case p.err != nil:
		return fmt.Errorf("the peer of the connection is not known: %w", p.err)
	case p.uid != 0 && p.uid != os.Geteuid():
		return fmt.Errorf("%s may not use this socket: be the user the server runs as, or root", p.name)
	}
	return nil
}
