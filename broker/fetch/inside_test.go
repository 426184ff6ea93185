package fetch

// These tests stand inside the package because what they prove has no outside:
// the hook behind the resolve check, the order of dials to public addresses,
// the wait for a slot, the system resolver's refusal.

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"guestlist/broker/cimd"
)

// TestDialHook_F11_B3 gives the dialer loopback as if the first check had been
// passed by mistake.
func TestDialHook_F11_B3(t *testing.T) {
	ln, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	for _, host := range []string{"127.0.0.1", "0.0.0.0", "::ffff:127.0.0.1", "::1", "localhost"} {
		conn, err := guardedDialer(gate{}).DialContext(t.Context(), "tcp", net.JoinHostPort(host, port))
		if err == nil {
			conn.Close()
		}
		if fe, ok := errors.AsType[*Error](err); !ok || fe.Reason != reasonBlocked {
			t.Errorf("dial %s = %v, want %s", host, err, reasonBlocked)
		}
	}
	conn, err := guardedDialer(gate{}).DialContext(t.Context(), "udp", "8.8.8.8:53")
	if err == nil {
		conn.Close()
	}
	if fe, ok := errors.AsType[*Error](err); !ok || fe.Reason != reasonBlocked {
		t.Errorf("dial over UDP = %v, want %s", err, reasonBlocked)
	}
}

func TestDialFirst(t *testing.T) {
	list := []netip.AddrPort{
		netip.MustParseAddrPort("1.1.1.1:443"), netip.MustParseAddrPort("1.1.1.2:443"),
		netip.MustParseAddrPort("1.1.1.3:443"), netip.MustParseAddrPort("1.1.1.4:443"),
	}
	here, there := net.Pipe()
	defer there.Close()
	defer here.Close()
	refused := errors.New("connection refused")
	tests := []struct {
		name   string
		dial   func(ctx context.Context, i int) (net.Conn, error)
		dials  int
		reason string
		took   time.Duration
	}{
		{"first answers", func(context.Context, int) (net.Conn, error) { return here, nil }, 1, "", 0},
		{"third answers", func(_ context.Context, i int) (net.Conn, error) {
			if i == 3 {
				return here, nil
			}
			return nil, refused
		}, 3, "", 0},
		{"none answers", func(context.Context, int) (net.Conn, error) { return nil, refused }, 4, reasonConnect, 0},
		{"all hang", func(ctx context.Context, _ int) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}, 4, reasonTimeout, 4 * time.Second},
		{"first hangs for its share", func(ctx context.Context, i int) (net.Conn, error) {
			if i == 1 {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return here, nil
		}, 2, "", time.Second},
		{"hook refuses", func(context.Context, int) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Err: refuse(reasonBlocked, "", nil)}
		}, 1, reasonBlocked, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
				defer cancel()
				start := time.Now()
				var dialled []string
				_, _, err := dialFirst(ctx, func(ctx context.Context, _, address string) (net.Conn, error) {
					dialled = append(dialled, address)
					return tt.dial(ctx, len(dialled))
				}, list)
				want := []string{}
				for _, a := range list[:tt.dials] {
					want = append(want, a.String())
				}
				if !slices.Equal(dialled, want) {
					t.Errorf("dialled %v, want %v", dialled, want)
				}
				reason := ""
				if fe, ok := errors.AsType[*Error](err); ok {
					reason = fe.Reason
				}
				if reason != tt.reason || time.Since(start) != tt.took {
					t.Errorf("dialFirst() = %v after %s, want %q after %s", err, time.Since(start), tt.reason, tt.took)
				}
			})
		})
	}
}

func TestWaitForSlot_PF17(t *testing.T) {
	for flights, places := range map[int]int{0: 64, 3: 3} {
		waitForSlot(t, flights, places)
	}
}

// waitForSlot fills every place and sees that one more waits for the deadline.
func waitForSlot(t *testing.T, flights, places int) {
	synctest.Test(t, func(t *testing.T) {
		g, err := New(Config{Flights: flights})
		if err != nil {
			t.Fatal(err)
		}
		for range places {
			g.slots <- struct{}{}
		}
		id, err := cimd.Parse("https://client.example.com/c")
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_, err = g.Document(t.Context(), id, DefaultLimits(), Held{})
		fe, ok := errors.AsType[*Error](err)
		if !ok || fe.Reason != reasonTimeout || !fe.Transient || time.Since(start) != defaultTimeout {
			t.Errorf("Document() = %v after %s, want %s after %s", err, time.Since(start), reasonTimeout, defaultTimeout)
		}
	})
}

// TestHostsFile asks for the one name that every hosts file has, unrooted as
// it stands there; no name server is needed for it.
func TestHostsFile(t *testing.T) {
	got, err := systemResolver{}.LookupNetIP(t.Context(), "ip", "localhost")
	if !errors.Is(err, errHostsFile) {
		t.Errorf("LookupNetIP(localhost) = %v, %v, want %v", got, err, errHostsFile)
	}
}

// TestTargetOfVectors_F18 takes every valid identifier of the shared vectors
// apart and puts it together again.
func TestTargetOfVectors_F18(t *testing.T) {
	data, err := os.ReadFile("../../testdata/vectors/client_id_urls.json")
	if err != nil {
		t.Fatal(err)
	}
	var rows []struct {
		Input string `json:"input"`
		Valid bool   `json:"valid"`
	}
	if err := json.Unmarshal(data, &rows); err != nil {
		t.Fatal(err)
	}
	g, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, row := range rows {
		id, err := cimd.Parse(row.Input)
		if err != nil {
			continue
		}
		n++
		tgt, err := g.target(id, Limits{AllowPort: true})
		if err != nil {
			t.Errorf("target(%q) = %v", row.Input, err)
			continue
		}
		if got := id.Origin() + tgt.url.RequestURI(); got != row.Input {
			t.Errorf("target(%q) would ask for %q", row.Input, got)
		}
	}
	if n < 10 {
		t.Errorf("%d identifiers tested, want at least 10", n)
	}
}

// TestExactURL refuses what net/url would write otherwise; cimd.Parse lets
// none of it through.
func TestExactURL_F18(t *testing.T) {
	const authority = "client.example.com"
	for _, rest := range []string{"", "c", "?a", "/a b", "/a\"b", "/a<b", "/\u00e9", "/%zz", "/%4", "/a\nb", "/a#b", ":443/a", "@x/a"} {
		if u, err := exactURL("https://"+authority+rest, authority); err == nil {
			t.Errorf("exactURL(%q) would ask for %q, want an error", rest, u.RequestURI())
		}
	}
	if _, err := exactURL("http://client.example.com/c", authority); err == nil {
		t.Error("exactURL(http) = nil, want an error")
	}
}
