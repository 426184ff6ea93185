package fetch_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"guestlist/broker/fetch"
)

// TestHeldIsAsked: the better of two validators is sent, and none that no host
// can have given.
func TestHeldIsAsked(t *testing.T) {
	const date = "Sun, 06 Nov 1994 08:49:37 GMT"
	tests := []struct {
		name         string
		held         fetch.Held
		match, since string
	}{
		{"nothing", fetch.Held{}, "", ""},
		{"entity tag", fetch.Held{ETag: `"v1"`}, `"v1"`, ""},
		{"weak entity tag", fetch.Held{ETag: `W/"v1"`}, `W/"v1"`, ""},
		{"date", fetch.Held{LastModified: date}, "", date},
		{"both", fetch.Held{ETag: `"v1"`, LastModified: date}, `"v1"`, ""},
		{"malformed tag", fetch.Held{ETag: "v1", LastModified: date}, "", date},
		{"line break in a tag", fetch.Held{ETag: "\"v\r\nX-Y: 1\""}, "", ""},
		{"malformed date", fetch.Held{LastModified: "yesterday"}, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := make(chan http.Header, 1)
			h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
				got <- r.Header.Clone()
				serveJSON("{}")(w, r)
			})
			doc, err := newDoor(t, h.config()).Document(t.Context(), parse(t, clientURL), fetch.DefaultLimits(), tt.held)
			if err != nil {
				t.Fatal(err)
			}
			sent := <-got
			if m, s := sent.Get("If-None-Match"), sent.Get("If-Modified-Since"); m != tt.match || s != tt.since {
				t.Errorf("asked If-None-Match %q, If-Modified-Since %q, want %q, %q", m, s, tt.match, tt.since)
			}
			if doc.NotModified || string(doc.Body) != "{}" {
				t.Errorf("Document() = %q, not modified %t, want the new document", doc.Body, doc.NotModified)
			}
		})
	}
}

// TestNotModified is B37 and F2: 304 renews the copy that is held by the
// headers it has itself, and is an error where no copy was named.
func TestNotModified_F2_B37(t *testing.T) {
	tag := fetch.Held{ETag: `"v1"`, LastModified: "Sun, 06 Nov 1994 08:49:37 GMT"}
	date := fetch.Held{LastModified: tag.LastModified}
	given := func(fresh time.Duration) fetch.Held {
		return fetch.Held{ETag: tag.ETag, LastModified: tag.LastModified, FreshFor: fresh}
	}
	tests := []struct {
		name   string
		held   fetch.Held
		header []string
		fresh  time.Duration
		want   fetch.Held
		reason string
		later  bool // transient
	}{
		{"X21 silent host", given(20 * time.Minute), nil, 20 * time.Minute, tag, "", false},
		{"X21 silent host, by date", fetch.Held{LastModified: date.LastModified, FreshFor: 20 * time.Minute}, nil, 20 * time.Minute, date, "", false},
		{"X21 silent host, of a copy that was stale at once", tag, nil, time.Minute, tag, "", false},
		{"silent host, past the ceiling", given(48 * time.Hour), nil, 24 * time.Hour, tag, "", false},
		{"max-age of the 304 wins", given(20 * time.Minute), []string{"Cache-Control", "max-age=600"}, 10 * time.Minute, tag, "", false},
		{"max-age of the 304", tag, []string{"Cache-Control", "max-age=600"}, 10 * time.Minute, tag, "", false},
		{"no-store of the 304 meets the floor", tag, []string{"Cache-Control", "no-store"}, time.Minute, tag, "", false},
		{"Expires of the 304", tag, []string{"Date", tag.LastModified, "Expires", "Sun, 06 Nov 1994 08:59:37 GMT"}, 10 * time.Minute, tag, "", false},
		{"the same tag, weak", given(time.Hour), []string{"Etag", `W/"v1"`}, time.Hour, fetch.Held{ETag: `W/"v1"`, LastModified: tag.LastModified}, "", false},
		{"another date", date, []string{"Last-Modified", "Mon, 07 Nov 1994 08:49:37 GMT"}, time.Minute, fetch.Held{LastModified: "Mon, 07 Nov 1994 08:49:37 GMT"}, "", false},
		{"tag where a date was asked", date, []string{"Etag", `"v1"`}, time.Minute, tag, "", false},
		{"another tag", tag, []string{"Etag", `"v2"`}, 0, fetch.Held{}, "fetch_status", true},
		{"nothing held", fetch.Held{}, nil, 0, fetch.Held{}, "fetch_status", false},
		{"nothing well formed held", fetch.Held{ETag: "v1", FreshFor: time.Hour}, nil, 0, fetch.Held{}, "fetch_status", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t, func(w http.ResponseWriter, _ *http.Request) {
				for k, v := range headers(tt.header...) {
					w.Header()[k] = v
				}
				w.WriteHeader(http.StatusNotModified)
			})
			doc, err := newDoor(t, h.config()).Document(t.Context(), parse(t, clientURL), fetch.DefaultLimits(), tt.held)
			if tt.reason != "" {
				wantReason(t, err, tt.reason, tt.later)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := (fetch.Held{ETag: doc.ETag, LastModified: doc.LastModified}); got != tt.want {
				t.Errorf("validators = %+v, want %+v", got, tt.want)
			}
			if !doc.NotModified || len(doc.Body) != 0 || doc.FreshFor != tt.fresh || doc.ContentType != "" {
				t.Errorf("Document() = %+v, want a 304 fresh for %s", doc, tt.fresh)
			}
			if doc.FetchedAt.IsZero() || !doc.Address.IsValid() {
				t.Errorf("Document() = %+v, want when and from where", doc)
			}
		})
	}
}

// TestHeldIsPartOfTheFlight: who holds nothing never gets a 304 that somebody
// else asked for.
func TestHeldIsPartOfTheFlight_B37(t *testing.T) {
	begun, gate := make(chan string, 2), make(chan struct{})
	h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
		begun <- r.Header.Get("If-None-Match")
		<-gate
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		serveJSON("{}")(w, r)
	})
	g := newDoor(t, h.config())
	id := parse(t, clientURL)
	var callers sync.WaitGroup
	for _, held := range []fetch.Held{{}, {ETag: `"v1"`}} {
		callers.Go(func() {
			doc, err := g.Document(t.Context(), id, fetch.DefaultLimits(), held)
			if err != nil || doc.NotModified != (held.ETag != "") {
				t.Errorf("Document(%+v) = %+v, %v", held, doc, err)
			}
		})
	}
	var asked []string
	for range 2 {
		select {
		case tag := <-begun:
			asked = append(asked, tag)
		case <-time.After(time.Minute): // they share one flight
		}
	}
	close(gate)
	callers.Wait()
	if got := strings.Join(asked, ""); got != `"v1"` {
		t.Errorf("the two requests asked %q", asked)
	}
}
