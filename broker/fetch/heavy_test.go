//go:build heavy

package fetch_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"guestlist/broker/fetch"
)

// slowHosts is how many hosts are slow at once.
const slowHosts = 1000

// TestSlowHosts_PF17_B38 fetches from a thousand hosts at once that are silent,
// drip their handshake or drip their answer. Every caller is answered at the
// deadline, and goroutines, descriptors and memory return to where they were;
// with the usual number of places and with one for each.
func TestSlowHosts_PF17_B38(t *testing.T) {
	good := newHost(t, serveJSON("{}"))
	drip := func(conn net.Conn, head string) {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		_, err := io.WriteString(conn, head)
		for err == nil {
			<-tick.C
			_, err = io.WriteString(conn, "a")
		}
	}
	kinds := []string{
		listenRaw(t, func(conn net.Conn) { io.Copy(io.Discard, conn) }),
		listenRaw(t, func(conn net.Conn) { drip(conn, "\x16\x03\x03\x40\x00") }),
		listenRaw(t, func(conn net.Conn) {
			secure := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{good.cert}})
			if _, ok := readRequest(secure); ok {
				drip(secure, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n")
			}
		}),
	}
	for _, flights := range []int{64, slowHosts} {
		t.Run(fmt.Sprintf("%d at once", flights), func(t *testing.T) {
			const timeout, slack = 5 * time.Second, 15 * time.Second // without a deadline: minutes
			hosts := map[string]string{}
			for i := range slowHosts {
				hosts[fmt.Sprintf("h%d.example.com:443", i)] = kinds[i%len(kinds)]
			}
			g := newDoor(t, fetch.Config{RootCAs: good.roots, InsecureHostMap: hosts, Timeout: timeout, Flights: flights})
			before := usage(t)
			start := time.Now()
			var callers sync.WaitGroup
			for i := range slowHosts {
				id := parse(t, fmt.Sprintf("https://h%d.example.com/client.json", i))
				callers.Go(func() {
					_, err := g.Document(t.Context(), id, fetch.DefaultLimits(), fetch.Held{})
					wantReason(t, err, "fetch_timeout", true)
				})
			}
			callers.Wait()
			took := time.Since(start)
			if took > timeout+slack {
				t.Errorf("the last of %d callers waited %s, want about %s", slowHosts, took, timeout)
			}
			after, calm := settle(t, before)
			t.Logf("%d hosts in %s; before %+v, after %+v", slowHosts, took, before, after)
			if !calm {
				t.Errorf("after the flood %+v are in use, before it %+v", after, before)
			}
		})
	}
}

// used is what a flood could leave behind.
type used struct {
	goroutines, descriptors int
	heap                    uint64 // bytes
}

func usage(t *testing.T) used {
	t.Helper()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return used{runtime.NumGoroutine(), len(fds), m.HeapAlloc}
}

// settle waits until no more is used than before, but for a few of what comes
// and goes by itself, and reports whether that came.
func settle(t *testing.T, before used) (used, bool) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var now used
	for range 100 {
		now = usage(t)
		if now.goroutines <= before.goroutines+5 && now.descriptors <= before.descriptors+5 && now.heap <= before.heap+4<<20 {
			return now, true
		}
		<-tick.C
	}
	return now, false
}
