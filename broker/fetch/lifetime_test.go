package fetch_test

import (
	"fmt"
	"math"
	"net/http"
	"testing"
	"time"

	"guestlist/broker/fetch"
)

var fetchedAt = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// headers builds a header from alternating names and values.
func headers(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

// at is a date so many seconds after the fetch.
func at(seconds int) string {
	return fetchedAt.Add(time.Duration(seconds) * time.Second).Format(http.TimeFormat)
}

// TestLifetimeMatrix_PF14 crosses what a host can say with floors and
// ceilings; the default is 600 s.
func TestLifetimeMatrix_PF14(t *testing.T) {
	rows := []struct {
		name string
		h    http.Header
		// want in seconds for floor 0 ceiling 60, floor 0 ceiling 3600,
		// floor 60 ceiling 60, floor 60 ceiling 3600
		want [4]int
	}{
		{"absent", headers(), [4]int{60, 600, 60, 600}},
		{"max-age 0", headers("Cache-Control", "max-age=0"), [4]int{0, 0, 60, 60}},
		{"max-age 5", headers("Cache-Control", "max-age=5"), [4]int{5, 5, 60, 60}},
		{"max-age 600", headers("Cache-Control", "max-age=600"), [4]int{60, 600, 60, 600}},
		{"max-age 10^9", headers("Cache-Control", "max-age=1000000000"), [4]int{60, 3600, 60, 3600}},
		{"no-store", headers("Cache-Control", "no-store"), [4]int{0, 0, 60, 60}},
		{"no-cache", headers("Cache-Control", "no-cache"), [4]int{0, 0, 60, 60}},
		{"private", headers("Cache-Control", "private, max-age=600"), [4]int{0, 0, 60, 60}},
		{"Expires in 300 s", headers("Expires", at(300), "Date", at(0)), [4]int{60, 300, 60, 300}},
		{"Expires in the past", headers("Expires", at(-300), "Date", at(0)), [4]int{0, 0, 60, 60}},
		{"max-age 600, Age 590", headers("Cache-Control", "max-age=600", "Age", "590"), [4]int{10, 10, 60, 60}},
		{"max-age 600, Age 400", headers("Cache-Control", "max-age=600", "Age", "400"), [4]int{60, 200, 60, 200}},
		{"Expires 300, Age 200", headers("Expires", at(300), "Date", at(0), "Age", "200"), [4]int{60, 100, 60, 100}},
		{"absent, Age 400", headers("Age", "400"), [4]int{60, 600, 60, 600}},
	}
	bounds := [4][2]int{{0, 60}, {0, 3600}, {60, 60}, {60, 3600}}
	for _, row := range rows {
		for i, b := range bounds {
			lim := fetch.Limits{Floor: secs(b[0]), Default: secs(600), Ceiling: secs(b[1])}
			if got := fetch.Lifetime(row.h, fetchedAt, lim); got != secs(row.want[i]) {
				t.Errorf("Lifetime(%s, floor %d, ceiling %d) = %s, want %d s", row.name, b[0], b[1], got, row.want[i])
			}
		}
	}
}

func secs(n int) time.Duration { return time.Duration(n) * time.Second }

// TestLifetimeHeaders_X21_B36 reads single headers under bounds that hide
// nothing; the default is 77 s.
func TestLifetimeHeaders_X21_B36(t *testing.T) {
	const forever = math.MaxInt64 / int64(time.Second)
	lim := fetch.Limits{Default: secs(77), Ceiling: math.MaxInt64}
	tests := []struct {
		name string
		h    http.Header
		want int64
	}{
		{"s-maxage before max-age", headers("Cache-Control", "max-age=5, s-maxage=50"), 50},
		{"s-maxage 0 before max-age", headers("Cache-Control", "max-age=5, s-maxage=0"), 0},
		{"max-age before Expires", headers("Cache-Control", "max-age=5", "Expires", at(500), "Date", at(0)), 5},
		{"max-age on a second line", headers("Cache-Control", "public", "Cache-Control", "max-age=5"), 5},
		{"upper case", headers("Cache-Control", "Max-Age=5"), 5},
		{"quoted", headers("Cache-Control", `max-age="5"`), 5},
		{"white space", headers("Cache-Control", " public ,  max-age=5 "), 5},
		{"unknown directives only", headers("Cache-Control", "public, must-revalidate, immutable"), 77},
		{"look-alike name", headers("Cache-Control", "x-max-age=5"), 77},
		{"directive inside a quoted string", headers("Cache-Control", `x="a, max-age=5, no-store", max-age=9`), 9},
		{"quoted string without end", headers("Cache-Control", `x="a, max-age=9`), 0},
		{"escaped quote inside a string", headers("Cache-Control", `x="a\", max-age=9", max-age=8`), 8},
		{"qualified no-cache", headers("Cache-Control", `no-cache="set-cookie", max-age=9`), 0},
		{"qualified private", headers("Cache-Control", `private="x", max-age=9`), 0},
		{"no-store upper case", headers("Cache-Control", "No-Store"), 0},
		{"no-store beside s-maxage", headers("Cache-Control", "s-maxage=9, no-store"), 0},
		{"Vary star", headers("Vary", "Origin, *", "Cache-Control", "max-age=9"), 0},
		{"Vary names", headers("Vary", "Accept-Encoding", "Cache-Control", "max-age=9"), 9},
		{"duplicate max-age", headers("Cache-Control", "max-age=9, max-age=9"), 0},
		{"duplicate max-age, two lines", headers("Cache-Control", "max-age=9", "Cache-Control", "max-age=8"), 0},
		{"duplicate max-age beside s-maxage", headers("Cache-Control", "max-age=9, max-age=8, s-maxage=7"), 0},
		{"duplicate s-maxage", headers("Cache-Control", "s-maxage=9, s-maxage=8"), 0},
		{"negative max-age", headers("Cache-Control", "max-age=-1"), 0},
		{"signed max-age", headers("Cache-Control", "max-age=+9"), 0},
		{"empty max-age", headers("Cache-Control", "max-age="), 0},
		{"bare max-age", headers("Cache-Control", "max-age"), 0},
		{"max-age with a fraction", headers("Cache-Control", "max-age=9.5"), 0},
		{"max-age of letters", headers("Cache-Control", "max-age=soon"), 0},
		{"max-age hex", headers("Cache-Control", "max-age=0x10"), 0},
		{"bad max-age beside good s-maxage", headers("Cache-Control", "max-age=x, s-maxage=9"), 0},
		{"max-age 9999999999", headers("Cache-Control", "max-age=9999999999"), forever},
		{"max-age beyond 64 bits", headers("Cache-Control", "max-age=99999999999999999999999999"), forever},
		{"Age beyond 64 bits", headers("Cache-Control", "max-age=600", "Age", "99999999999999999999999999"), 0},
		{"Age equal", headers("Cache-Control", "max-age=600", "Age", "600"), 0},
		{"Age negative is ignored", headers("Cache-Control", "max-age=600", "Age", "-5"), 600},
		{"Age of letters is ignored", headers("Cache-Control", "max-age=600", "Age", "old"), 600},
		{"Age as a list: the first", headers("Cache-Control", "max-age=600", "Age", "100, 500"), 500},
		{"Age twice: the first", headers("Cache-Control", "max-age=600", "Age", "100", "Age", "500"), 500},
		{"Expires without Date", headers("Expires", at(500)), 500},
		{"Expires with a bad Date", headers("Expires", at(500), "Date", "today"), 500},
		{"Expires counts from Date", headers("Expires", at(500), "Date", at(-100)), 600},
		{"Expires 0", headers("Expires", "0"), 0},
		{"Expires -1", headers("Expires", "-1"), 0},
		{"Expires empty", headers("Expires", ""), 0},
		{"Expires twice", headers("Expires", at(500), "Expires", at(500)), 0},
		{"Expires in year 9999", headers("Expires", "Fri, 31 Dec 9999 23:59:59 GMT", "Date", at(0)), forever},
		{"Pragma is no response directive", headers("Pragma", "no-cache"), 77},
	}
	for _, tt := range tests {
		got := int64(fetch.Lifetime(tt.h, fetchedAt, lim) / time.Second)
		if got != tt.want {
			t.Errorf("Lifetime(%s: %v) = %d s, want %d s", tt.name, tt.h, got, tt.want)
		}
	}
}

func TestLifetimeBounds_F8_PF15(t *testing.T) {
	tests := []struct {
		name string
		lim  fetch.Limits
		h    http.Header
		want time.Duration
	}{
		{"zero limits keep nothing", fetch.Limits{}, headers("Cache-Control", "max-age=600"), 0},
		{"defaults, no header", fetch.DefaultLimits(), headers(), time.Hour},
		{"defaults, no-store", fetch.DefaultLimits(), headers("Cache-Control", "no-store"), time.Minute},
		{"defaults, ten years", fetch.DefaultLimits(), headers("Cache-Control", "max-age=315360000"), 24 * time.Hour},
		{"floor wins over ceiling", fetch.Limits{Floor: secs(9), Ceiling: secs(5)}, headers("Cache-Control", "max-age=7"), secs(9)},
		{"negative bounds keep nothing", fetch.Limits{Floor: secs(-9), Ceiling: secs(-5)}, headers("Cache-Control", "max-age=7"), 0},
		{"default above the ceiling", fetch.Limits{Default: secs(9), Ceiling: secs(5)}, headers(), secs(5)},
	}
	for _, tt := range tests {
		if got := fetch.Lifetime(tt.h, fetchedAt, tt.lim); got != tt.want {
			t.Errorf("%s: Lifetime(%v, %+v) = %s, want %s", tt.name, tt.h, tt.lim, got, tt.want)
		}
	}
}

// FuzzLifetime is PF-14 and B36 for whatever a host can say.
func FuzzLifetime(f *testing.F) {
	f.Add("max-age=5, s-maxage=\"7\"", "Thu, 01 Dec 1994 16:00:00 GMT", "3", "", int64(60), int64(3600))
	f.Add("no-store", "", "", "", int64(0), int64(3600))
	f.Add("max-age=9999999999999999999999", "", "99999999999999999999", "", int64(0), int64(1)<<62)
	f.Add("max-age=-1, max-age=2", "0", "-1", "Thu, 01 Dec 1994 16:00:00 GMT", int64(-5), int64(-9))
	f.Add("private=\"x, max-age=5", "Fri, 31 Dec 9999 23:59:59 GMT", "1, 2", "Mon, 01 Jan 0001 00:00:00 GMT", int64(1), int64(0))
	f.Fuzz(func(t *testing.T, cc, expires, age, date string, floor, ceiling int64) {
		lim := fetch.Limits{Floor: time.Duration(floor), Default: time.Hour, Ceiling: time.Duration(ceiling)}
		h := headers("Cache-Control", cc, "Expires", expires, "Age", age, "Date", date)
		got := fetch.Lifetime(h, fetchedAt, lim)
		if got < 0 || got < lim.Floor || got > max(lim.Ceiling, lim.Floor, 0) {
			t.Errorf("Lifetime(%v, %+v) = %s, outside its bounds", h, lim, got)
		}
		higher := lim
		higher.Floor = max(lim.Floor, lim.Floor/2+lim.Ceiling/2)
		if up := fetch.Lifetime(h, fetchedAt, higher); up < got {
			t.Errorf("Lifetime(%v) = %s with floor %s, and %s with floor %s", h, got, lim.Floor, up, higher.Floor)
		}
		lim.Floor, lim.Ceiling = 0, math.MaxInt64
		h.Add("Cache-Control", "no-store")
		if kept := fetch.Lifetime(h, fetchedAt, lim); kept != 0 {
			t.Errorf("Lifetime(%v) = %s without a floor, want 0 for no-store", h, kept)
		}
	})
}

func BenchmarkLifetime(b *testing.B) {
	lim := fetch.DefaultLimits()
	for _, cc := range []string{"max-age=600", `public, x="a, b", s-maxage=600, max-age=60`} {
		h := headers("Cache-Control", cc, "Age", "17")
		b.Run(fmt.Sprintf("%d_bytes", len(cc)), func(b *testing.B) {
			for b.Loop() {
				fetch.Lifetime(h, fetchedAt, lim)
			}
		})
	}
}
