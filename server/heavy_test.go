//go:build heavy && linux

package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"guestlist/broker/cimd"
	"guestlist/broker/fetch"
	"guestlist/server/servertest"
)

// The tests of the tag heavy measure a whole server under load and print
// figures:
//
//	go test -tags heavy -run Heavy -v -timeout 30m ./server ./store/bolt
//
// They call the handler itself, so that each request can come from a source
// of its own.

// ask is one authorization request from an address.
func ask(s *servertest.Server, id, source string) (status int, took time.Duration) {
	r := httptest.NewRequest(http.MethodGet, s.Issuer+"/authorize?"+s.Request(id, nil).Encode(), nil)
	r.RemoteAddr = source + ":40000"
	w := httptest.NewRecorder()
	began := time.Now()
	s.Handler.ServeHTTP(w, r)
	return w.Code, time.Since(began)
}

// each calls do for 0 to n-1 from so many goroutines.
func each(workers, n int, do func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	wg.Wait()
}

// instant is a document host without a network. A document is of the size
// that real ones have.
type instant struct {
	now     func() time.Time
	missing func(id string) bool // answers 404; nil: none
	fetches atomic.Int64
}

// Document implements broker.Fetcher.
func (f *instant) Document(_ context.Context, id cimd.ID, lim fetch.Limits, _ fetch.Held) (fetch.Document, error) {
	f.fetches.Add(1)
	if f.missing != nil && f.missing(id.String()) {
		return fetch.Document{}, &fetch.Error{Reason: "fetch_status", Detail: "404"}
	}
	body, err := json.Marshal(map[string]any{
		"client_id": id.String(), "client_name": "Client of " + id.Host, "client_uri": "https://" + id.Host,
		"logo_uri": "https://" + id.Host + "/logo.png", "redirect_uris": []string{"http://localhost/callback", "http://127.0.0.1/callback"},
		"grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"}, "token_endpoint_auth_method": "none",
	})
	return fetch.Document{Body: body, FetchedAt: f.now(), FreshFor: lim.Default}, err
}

// usage is what the process holds.
type usage struct {
	goroutines, files int
	heap              int64 // bytes that are in use after a collection
	anon, mapped      int64 // bytes resident: memory, and pages of the store's file
}

func used(t *testing.T) usage {
	t.Helper()
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	files, err := os.ReadDir("/proc/self/fd")
	check(t, err)
	status, err := os.ReadFile("/proc/self/status")
	check(t, err)
	resident := func(name string) int64 {
		for line := range bytes.Lines(status) {
			if f := bytes.Fields(line); len(f) == 3 && string(f[0]) == name+":" {
				n, err := strconv.ParseInt(string(f[1]), 10, 64)
				check(t, err)
				return n << 10
			}
		}
		t.Fatalf("/proc/self/status has no %s", name)
		return 0
	}
	return usage{runtime.NumGoroutine(), len(files), int64(m.HeapAlloc), resident("RssAnon"), resident("RssFile")}
}

// String shows a usage.
func (u usage) String() string {
	return fmt.Sprintf("%d goroutines, %d files, heap %.1f MB, resident %.1f MB and %.1f MB of files",
		u.goroutines, u.files, float64(u.heap)/1e6, float64(u.anon)/1e6, float64(u.mapped)/1e6)
}

// returns waits until what the process holds is what it was, or a little more.
func returns(t *testing.T, base usage) {
	t.Helper()
	var now usage
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		if now = used(t); now.goroutines <= base.goroutines+10 && now.files <= base.files+10 && now.heap <= base.heap+8<<20 {
			t.Logf("returned to %v, from %v", now, base)
			return
		}
	}
	t.Errorf("holds %v, want about %v again", now, base)
}
