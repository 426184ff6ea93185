package fetch

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	// udpTries and udpWait are how often, and for how long each time, an answer
	// over UDP is waited for.
	udpTries = 3
	udpWait  = time.Second
	// maxUDPAnswer is what one read takes; an answer without EDNS is shorter.
	maxUDPAnswer = 4096
)

// NameServer is a Resolver that asks one DNS server: over UDP, and over TCP
// where the answer was cut short. It reads no file: there is no search list, no
// hosts file and no second server. The server must be a recursive one; it is
// the operator's and may be anywhere. DNSSEC is not checked.
type NameServer struct {
	// Address is the server's. Required.
	Address netip.AddrPort
}

// LookupNetIP asks for the A and the AAAA records of host, a rooted name, at
// the same time, and returns them in turn. What only one of the two questions
// brings will do. network is "ip". ctx must have a deadline: over UDP the
// server has three times one second to answer, over TCP until the deadline.
// A name that does not exist is a *net.DNSError with IsNotFound.
func (s NameServer) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	name, err := dnsmessage.NewName(host)
	if err != nil || network != "ip" || host == "" || host[len(host)-1] != '.' {
		return nil, fmt.Errorf("%s %s is not a rooted name to look up", quoted(network), quoted(host))
	}
	type result struct {
		addrs []netip.Addr
		err   error
	}
	six := make(chan result, 1)
	go func() {
		addrs, err := s.ask(ctx, name, dnsmessage.TypeAAAA)
		six <- result{addrs, err}
	}()
	v4, err4 := s.ask(ctx, name, dnsmessage.TypeA)
	r6 := <-six
	if addrs := inTurn(v4, r6.addrs); len(addrs) > 0 {
		return addrs, nil
	}
	if err4 != nil {
		return nil, err4
	}
	return nil, r6.err
}

// inTurn alternates, so that the first few of many are of both families.
func inTurn(a, b []netip.Addr) []netip.Addr {
	var out []netip.Addr
	for i := range max(len(a), len(b)) {
		if i < len(a) {
			out = append(out, a[i])
		}
		if i < len(b) {
			out = append(out, b[i])
		}
	}
	return out
}

// ask asks one question.
func (s NameServer) ask(ctx context.Context, name dnsmessage.Name, t dnsmessage.Type) ([]netip.Addr, error) {
	var last error
	for range udpTries {
		q, err := newQuery(name, t)
		if err != nil {
			return nil, err
		}
		a, err := s.overUDP(ctx, q)
		if err == nil && a.cut {
			a, err = s.overTCP(ctx, q)
		}
		if err == nil {
			return a.addrs, a.err
		}
		last = err
		if ctx.Err() != nil {
			break
		}
	}
	return nil, fmt.Errorf("name server %s: %w", s.Address, last)
}

// query is one question on the wire.
type query struct {
	id       uint16
	question dnsmessage.Question
	packed   []byte
}

func newQuery(name dnsmessage.Name, t dnsmessage.Type) (query, error) {
	var id [2]byte
	if _, err := rand.Read(id[:]); err != nil {
		return query{}, fmt.Errorf("query id: %w", err)
	}
	q := query{
		id:       binary.BigEndian.Uint16(id[:]),
		question: dnsmessage.Question{Name: name, Type: t, Class: dnsmessage.ClassINET},
	}
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: q.id, RecursionDesired: true},
		Questions: []dnsmessage.Question{q.question},
	}
	var err error
	if q.packed, err = m.Pack(); err != nil {
		return query{}, fmt.Errorf("query: %w", err)
	}
	return q, nil
}

// connect opens a socket to the server, which ends with ctx.
func (s NameServer) connect(ctx context.Context, network string) (net.Conn, error) {
	conn, err := (&net.Dialer{KeepAlive: -1}).DialContext(ctx, network, s.Address.String())
	if err != nil {
		return nil, err
	}
	if end, ok := ctx.Deadline(); ok {
		err = conn.SetDeadline(end)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// overUDP sends q from a port of its own and waits for the answer to it; what
// answers something else is passed over.
func (s NameServer) overUDP(ctx context.Context, q query) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, udpWait)
	defer cancel()
	conn, err := s.connect(ctx, "udp")
	if err != nil {
		return answer{}, err
	}
	defer conn.Close()
	if _, err := conn.Write(q.packed); err != nil {
		return answer{}, err
	}
	buf := make([]byte, maxUDPAnswer)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return answer{}, err
		}
		if a, ours := q.read(buf[:n]); ours {
			return a, nil
		}
	}
}

// overTCP is RFC 1035, section 4.2.2: each message after its length.
func (s NameServer) overTCP(ctx context.Context, q query) (answer, error) {
	conn, err := s.connect(ctx, "tcp")
	if err != nil {
		return answer{}, err
	}
	defer conn.Close()
	if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(q.packed))), q.packed...)); err != nil {
		return answer{}, err
	}
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return answer{}, err
	}
	buf := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, buf); err != nil {
		return answer{}, err
	}
	a, ours := q.read(buf)
	switch {
	case !ours:
		return answer{}, errors.New("the answer over TCP is to another question")
	case a.cut:
		return answer{}, errors.New("the answer over TCP is cut short")
	}
	return a, nil
}
