package fetch

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"
)

// maxDials is how many addresses of one name are tried, so that a name with a
// hundred addresses does not make this server knock at a hundred doors.
const maxDials = 4

// connect opens the one connection of a fetch and proves the host's name. Its
// context has a deadline. The address is the one that was checked, or that the
// host map names; none where a proxy resolves.
func (g *Guarded) connect(ctx context.Context, t target) (*tls.Conn, netip.AddrPort, error) {
	raw, addr, err := g.dial(ctx, t)
	if err != nil {
		return nil, addr, err
	}
	// The deadline of the socket backs the one of the context: whoever reads or
	// writes it, it ends.
	end, _ := ctx.Deadline()
	if err := raw.SetDeadline(end); err != nil {
		raw.Close()
		return nil, addr, trouble(reasonFailed, "setting the deadline", err)
	}
	conn := tls.Client(raw, &tls.Config{
		RootCAs:    g.roots,
		ServerName: t.host,
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
	})
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, addr, during("TLS handshake", reasonTLS, err)
	}
	return conn, addr, nil
}

// dial opens the way to the host: by the host map, through a proxy that
// resolves, through one that is told a checked address, or straight to it.
func (g *Guarded) dial(ctx context.Context, t target) (net.Conn, netip.AddrPort, error) {
	if t.mapped != "" {
		conn, err := (&net.Dialer{KeepAlive: -1}).DialContext(ctx, "tcp", t.mapped)
		if err != nil {
			return nil, netip.AddrPort{}, during("connect to the mapped address", reasonConnect, err)
		}
		return conn, remoteAddr(conn), nil
	}
	if t.proxy.resolves {
		conn, err := t.proxy.tunnel(ctx, net.JoinHostPort(t.host, strconv.Itoa(int(t.port))))
		return conn, netip.AddrPort{}, err
	}
	addrs, err := g.resolve(ctx, t)
	if err != nil {
		return nil, netip.AddrPort{}, err
	}
	dial := guardedDialer(t.gate).DialContext
	if t.proxy.url != nil {
		dial = func(ctx context.Context, _, address string) (net.Conn, error) { return t.proxy.tunnel(ctx, address) }
	}
	return dialFirst(ctx, dial, addrs[:min(len(addrs), maxDials)])
}

// dialFirst tries the addresses in order. Each gets an equal share of the time
// that is left, so that a dead first one does not eat it all. An address that
// the guard refuses ends the attempt.
func dialFirst(
	ctx context.Context,
	dial func(ctx context.Context, network, address string) (net.Conn, error),
	addrs []netip.AddrPort,
) (net.Conn, netip.AddrPort, error) {
	end, _ := ctx.Deadline()
	var last error
	for i, addr := range addrs {
		share, cancel := context.WithTimeout(ctx, time.Until(end)/time.Duration(len(addrs)-i))
		conn, err := dial(share, "tcp", addr.String())
		cancel()
		if err == nil {
			return conn, addr, nil
		}
		last = during("connect", reasonConnect, err)
		if own, ok := errors.AsType[*Error](err); ok {
			last = own
			if !own.Transient {
				break
			}
		}
	}
	return nil, netip.AddrPort{}, last
}

// guardedDialer checks the address once more, in the hook that the socket
// passes on its way to connect. It needs no knowledge of how the address was
// found.
func guardedDialer(allowed gate) *net.Dialer {
	return &net.Dialer{
		KeepAlive: -1,
		Control: func(network, address string, _ syscall.RawConn) error {
			if network != "tcp4" && network != "tcp6" {
				return refuse(reasonBlocked, "network "+quoted(network), nil)
			}
			addr, err := netip.ParseAddrPort(address)
			if err != nil {
				return refuse(reasonBlocked, "address of the socket", err)
			}
			if err := allowed.check(addr.Addr()); err != nil {
				return refuse(reasonBlocked, fmt.Sprintf("socket to %s", addr), err)
			}
			return nil
		},
	}
}

// remoteAddr is the address a connection was made to.
func remoteAddr(conn net.Conn) netip.AddrPort {
	tcp, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := tcp.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
