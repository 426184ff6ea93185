package fetch_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"guestlist/broker/fetch"
)

// nameServer is a DNS server on loopback, over UDP and TCP, that writes down
// what it is asked.
type nameServer struct {
	addr netip.AddrPort
	// reply makes the messages that answer a query; several are sent one after
	// another, over TCP only the first.
	reply func(q dnsmessage.Message, network string) [][]byte
	mu    sync.Mutex
	asked []string // "network type name"
}

func newNameServer(t testing.TB, reply func(q dnsmessage.Message, network string) [][]byte) *nameServer {
	t.Helper()
	s := &nameServer{reply: reply}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = netip.MustParseAddrPort(tcp.Addr().String())
	udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(s.addr))
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	t.Cleanup(func() { tcp.Close(); udp.Close(); serving.Wait() })
	serving.Go(func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := udp.ReadFromUDP(buf)
			if err != nil {
				return
			}
			for _, msg := range s.answers(buf[:n], "udp") {
				udp.WriteToUDP(msg, from)
			}
		}
	})
	serving.Go(func() {
		for {
			conn, err := tcp.Accept()
			if err != nil {
				return
			}
			s.serveTCP(conn)
		}
	})
	return s
}

func (s *nameServer) serveTCP(conn net.Conn) {
	defer conn.Close()
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return
	}
	query := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, query); err != nil {
		return
	}
	for _, msg := range s.answers(query, "tcp") {
		conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...))
		return
	}
}

func (s *nameServer) answers(query []byte, network string) [][]byte {
	var q dnsmessage.Message
	if err := q.Unpack(query); err != nil || len(q.Questions) != 1 {
		return nil
	}
	s.mu.Lock()
	s.asked = append(s.asked, fmt.Sprintf("%s %s %s", network, strings.TrimPrefix(q.Questions[0].Type.String(), "Type"), q.Questions[0].Name))
	s.mu.Unlock()
	return s.reply(q, network)
}

// took returns what was asked, sorted.
func (s *nameServer) took() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(slices.Values(s.asked))
}

// packed answers q with a code and records.
func packed(q dnsmessage.Message, h dnsmessage.Header, records ...dnsmessage.Resource) []byte {
	h.ID, h.Response = h.ID^q.ID, true
	m := dnsmessage.Message{Header: h, Questions: q.Questions, Answers: records}
	out, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return out
}

// record is an A, AAAA, CNAME or TXT record of a name; the kind is read off the
// value.
func record(name, value string) dnsmessage.Resource {
	r := dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(name), Class: dnsmessage.ClassINET, TTL: 60}}
	a, err := netip.ParseAddr(value)
	switch {
	case err == nil && a.Is4():
		r.Body = &dnsmessage.AResource{A: a.As4()}
	case err == nil:
		r.Body = &dnsmessage.AAAAResource{AAAA: a.As16()}
	case strings.HasSuffix(value, "."):
		r.Body = &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(value)}
	default:
		r.Body = &dnsmessage.TXTResource{TXT: []string{value}}
	}
	return r
}

const asked = "client.example.com."

// TestNameServer: what a DNS server can say, and what is made of it.
func TestNameServer(t *testing.T) {
	isA := func(q dnsmessage.Message) bool { return q.Questions[0].Type == dnsmessage.TypeA }
	both := func(records ...dnsmessage.Resource) func(dnsmessage.Message, string) [][]byte {
		return func(q dnsmessage.Message, _ string) [][]byte {
			var out []dnsmessage.Resource
			for _, r := range records {
				_, six := r.Body.(*dnsmessage.AAAAResource)
				if _, four := r.Body.(*dnsmessage.AResource); four && !isA(q) || six && isA(q) {
					continue
				}
				out = append(out, r)
			}
			return [][]byte{packed(q, dnsmessage.Header{}, out...)}
		}
	}
	only4 := func(code dnsmessage.RCode) func(dnsmessage.Message, string) [][]byte {
		return func(q dnsmessage.Message, _ string) [][]byte {
			if isA(q) {
				return [][]byte{packed(q, dnsmessage.Header{}, record(asked, "192.0.2.1"))}
			}
			return [][]byte{packed(q, dnsmessage.Header{RCode: code})}
		}
	}
	fails := func(code dnsmessage.RCode) func(dnsmessage.Message, string) [][]byte {
		return func(q dnsmessage.Message, _ string) [][]byte {
			return [][]byte{packed(q, dnsmessage.Header{RCode: code})}
		}
	}
	var loop []dnsmessage.Resource
	for i := range 40 {
		loop = append(loop, record(fmt.Sprintf("a%d.example.", i), fmt.Sprintf("a%d.example.", i+1)))
	}
	tests := []struct {
		name  string
		reply func(dnsmessage.Message, string) [][]byte
		want  string // addresses, in order
		fault string // in the error
		gone  bool   // the name does not exist
	}{
		{"both families, in turn", both(record(asked, "192.0.2.1"), record(asked, "192.0.2.2"), record(asked, "2001:db8::1")), "192.0.2.1 2001:db8::1 192.0.2.2", "", false},
		{"mapped address stays what it is", both(record(asked, "::ffff:127.0.0.1")), "::ffff:127.0.0.1", "", false},
		{"another case", both(record("CLIENT.example.COM.", "192.0.2.1")), "192.0.2.1", "", false},
		{"alias", both(record(asked, "Cdn.example.net."), record("cdn.example.net.", "192.0.2.1")), "192.0.2.1", "", false},
		{"aliases in any order", both(record("b.example.", "192.0.2.1"), record("a.example.", "b.example."), record(asked, "a.example.")), "192.0.2.1", "", false},
		{"record of another name", both(record("other.example.", "192.0.2.1")), "", "", false},
		{"unknown records", both(record(asked, "text"), record(asked, "192.0.2.1")), "192.0.2.1", "", false},
		{"no records", both(), "", "", false},
		{"alias to itself", both(record(asked, asked)), "", "aliases", false},
		{"endless aliases", both(append(loop, record(asked, "a0.example."))...), "", "aliases", false},
		{"IPv4 only, SERVFAIL for IPv6", only4(dnsmessage.RCodeServerFailure), "192.0.2.1", "", false},
		{"IPv4 only, NXDOMAIN for IPv6", only4(dnsmessage.RCodeNameError), "192.0.2.1", "", false},
		{"NXDOMAIN", fails(dnsmessage.RCodeNameError), "", "no such host", true},
		{"SERVFAIL", fails(dnsmessage.RCodeServerFailure), "", "RCodeServerFailure", false},
		{"REFUSED", fails(dnsmessage.RCodeRefused), "", "RCodeRefused", false},
		{"cut short, whole over TCP", func(q dnsmessage.Message, network string) [][]byte {
			if network == "udp" {
				return [][]byte{packed(q, dnsmessage.Header{Truncated: true}, record(asked, "198.51.100.1"))}
			}
			return both(record(asked, "192.0.2.1"))(q, network)
		}, "192.0.2.1", "", false},
		{"cut short over TCP too", func(q dnsmessage.Message, _ string) [][]byte {
			return [][]byte{packed(q, dnsmessage.Header{Truncated: true})}
		}, "", "cut short", false},
		{"another's answer over TCP", func(q dnsmessage.Message, network string) [][]byte {
			if network == "udp" {
				return [][]byte{packed(q, dnsmessage.Header{Truncated: true})}
			}
			return [][]byte{packed(q, dnsmessage.Header{ID: 1}, record(asked, "198.51.100.1"))}
		}, "", "another question", false},
		{"closes over TCP", func(q dnsmessage.Message, network string) [][]byte {
			if network == "udp" {
				return [][]byte{packed(q, dnsmessage.Header{Truncated: true})}
			}
			return nil
		}, "", "EOF", false},
		{"forgeries first", func(q dnsmessage.Message, network string) [][]byte {
			other, query := q, q
			other.Questions = []dnsmessage.Question{{Name: dnsmessage.MustNewName("other.example."), Type: q.Questions[0].Type, Class: dnsmessage.ClassINET}}
			two := q
			two.Questions = append(slices.Clone(q.Questions), q.Questions...)
			raw, _ := query.Pack() // no response
			forged := record(asked, "198.51.100.1")
			return append([][]byte{
				{}, {1, 2, 3}, raw, packed(q, dnsmessage.Header{ID: 1}, forged), packed(other, dnsmessage.Header{}, forged), packed(two, dnsmessage.Header{}, forged),
			}, both(record(asked, "192.0.2.1"))(q, network)...)
		}, "192.0.2.1", "", false},
		{"records cut off", func(q dnsmessage.Message, _ string) [][]byte {
			whole := packed(q, dnsmessage.Header{}, record(asked, "192.0.2.1"), record(asked, "2001:db8::1"))
			return [][]byte{whole[:len(whole)-3]}
		}, "", "answer of the name server", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newNameServer(t, tt.reply)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			got, err := fetch.NameServer{Address: s.addr}.LookupNetIP(ctx, "ip", asked)
			var words []string
			for _, a := range got {
				words = append(words, a.String())
			}
			if strings.Join(words, " ") != tt.want {
				t.Errorf("LookupNetIP() = %v, %v, want %q", got, err, tt.want)
			}
			if (err != nil) != (tt.fault != "") || err != nil && !strings.Contains(err.Error(), tt.fault) {
				t.Errorf("LookupNetIP() = %v, want an error that says %q", err, tt.fault)
			}
			if de, ok := errors.AsType[*net.DNSError](err); tt.gone != (ok && de.IsNotFound) {
				t.Errorf("LookupNetIP() = %v, want not found %t", err, tt.gone)
			}
			for _, q := range s.took() {
				if !strings.HasSuffix(q, " "+asked) {
					t.Errorf("asked %q, want the rooted name alone", q)
				}
			}
		})
	}
}

// TestNameServerAsked: a name is asked rooted and once, for both families, and
// the hosts file and the search list, which know localhost, are not used.
func TestNameServerAsked_F11(t *testing.T) {
	s := newNameServer(t, func(q dnsmessage.Message, _ string) [][]byte {
		return [][]byte{packed(q, dnsmessage.Header{RCode: dnsmessage.RCodeNameError})}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	server := fetch.NameServer{Address: s.addr}
	if got, err := server.LookupNetIP(ctx, "ip", "localhost."); err == nil {
		t.Errorf("LookupNetIP(localhost.) = %v, want an error", got)
	}
	if got, want := s.took(), []string{"udp A localhost.", "udp AAAA localhost."}; !slices.Equal(got, want) {
		t.Errorf("asked %q, want %q", got, want)
	}
	for _, bad := range [][2]string{{"ip", "client.example.com"}, {"ip", ""}, {"ip", strings.Repeat("a.", 200)}, {"tcp", asked}} {
		if got, err := server.LookupNetIP(ctx, bad[0], bad[1]); err == nil {
			t.Errorf("LookupNetIP(%q, %q) = %v, want an error", bad[0], bad[1], got)
		}
	}
	if n := len(s.took()); n != 2 {
		t.Errorf("%d questions, want none for what is no rooted name", n)
	}
}

// TestNameServerLost: a packet that is lost is sent again.
func TestNameServerLost(t *testing.T) {
	var lost sync.Map
	s := newNameServer(t, func(q dnsmessage.Message, _ string) [][]byte {
		if _, again := lost.LoadOrStore(q.Questions[0].Type, true); !again {
			return nil
		}
		if q.Questions[0].Type == dnsmessage.TypeAAAA {
			return [][]byte{packed(q, dnsmessage.Header{})}
		}
		return [][]byte{packed(q, dnsmessage.Header{}, record(asked, "192.0.2.1"))}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	got, err := fetch.NameServer{Address: s.addr}.LookupNetIP(ctx, "ip", asked)
	if err != nil || len(got) != 1 {
		t.Errorf("LookupNetIP() = %v, %v", got, err)
	}
}

// TestNameServerBehindTheDoor: the deadline of the fetch is the server's too,
// and what it says is checked like anybody's word.
func TestNameServerBehindTheDoor_F11_PF17(t *testing.T) {
	silent := newNameServer(t, func(dnsmessage.Message, string) [][]byte { return nil })
	private := newNameServer(t, func(q dnsmessage.Message, _ string) [][]byte {
		if q.Questions[0].Type == dnsmessage.TypeAAAA {
			return [][]byte{packed(q, dnsmessage.Header{}, record(asked, "::ffff:10.0.0.1"))}
		}
		return [][]byte{packed(q, dnsmessage.Header{}, record(asked, "93.184.216.34"))}
	})
	gone := newNameServer(t, func(q dnsmessage.Message, _ string) [][]byte {
		return [][]byte{packed(q, dnsmessage.Header{RCode: dnsmessage.RCodeNameError})}
	})
	for _, tt := range []struct {
		name      string
		server    netip.AddrPort
		reason    string
		transient bool
	}{
		{"silent", silent.addr, "fetch_timeout", true},
		{"one public and one private answer", private.addr, "fetch_blocked_address", false},
		{"no such name", gone.addr, "fetch_dns", true},
		{"nobody there", netip.MustParseAddrPort(closedPort(t)), "fetch_dns", true},
	} {
		var timeout time.Duration
		if tt.reason == "fetch_timeout" {
			timeout = 300 * time.Millisecond
		}
		g := newDoor(t, fetch.Config{Resolver: fetch.NameServer{Address: tt.server}, Timeout: timeout})
		_, err := g.Document(t.Context(), parse(t, clientURL), fetch.DefaultLimits(), fetch.Held{})
		if fe := wantReason(t, err, tt.reason, tt.transient); t.Failed() {
			t.Fatalf("%s: %v", tt.name, fe)
		}
	}
}
