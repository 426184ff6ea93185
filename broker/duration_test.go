package broker_test

import (
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"

	"guestlist/broker"
)

func TestParseDuration(t *testing.T) {
	const day = 24 * time.Hour
	for _, test := range []struct {
		in    string
		want  time.Duration
		print string
	}{
		{"0", 0, "0s"},
		{"0s", 0, "0s"},
		{"90s", 90 * time.Second, "1m30s"},
		{"60s", time.Minute, "1m"},
		{"10m", 10 * time.Minute, "10m"},
		{"1h30m", 90 * time.Minute, "1h30m"},
		{"1h0m5s", time.Hour + 5*time.Second, "1h0m5s"},
		{"250ms", 250 * time.Millisecond, "250ms"},
		{"24h", day, "1d"},
		{"30d", 30 * day, "30d"},
		{"0d", 0, "0s"},
		{"1d12h", 36 * time.Hour, "1d12h"},
		{"1d90s", day + 90*time.Second, "1d1m30s"},
		{"36500d", 36500 * day, "36500d"},
	} {
		d, err := broker.ParseDuration(test.in)
		if err != nil || d.Std() != test.want {
			t.Errorf("ParseDuration(%q) = %v, %v, want %v", test.in, d.Std(), err, test.want)
		}
		if got := d.String(); got != test.print {
			t.Errorf("ParseDuration(%q).String() = %q, want %q", test.in, got, test.print)
		}
	}
}

func TestParseDurationRefuses(t *testing.T) {
	for _, in := range []string{
		"", " ", "d", "5", "30", "1.5d", "-1d", "+1d", "1d-5h", "-5h", "-1ns", "1d2d", "1h2d", "30D", "1 d", "d1h", "1d 2h", "1w", "forever",
		"36501d", "4294967296d", "99999999999999999999d", "876001h", "9223372036854775807h", "1d9223372036854775807ns1h",
	} {
		if d, err := broker.ParseDuration(in); err == nil {
			t.Errorf("ParseDuration(%q) = %v, want an error", in, d)
		}
	}
}

func TestDurationText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := broker.Duration(rapid.Int64Range(0, int64(36500*24*time.Hour)).Draw(t, "d"))
		b, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		var fromJSON, fromText broker.Duration
		if err := json.Unmarshal(b, &fromJSON); err != nil || fromJSON != d {
			t.Errorf("Unmarshal(%s) = %v, %v, want %v", b, fromJSON, err, d)
		}
		if err := fromText.UnmarshalText([]byte(d.String())); err != nil || fromText != d {
			t.Errorf("UnmarshalText(%s) = %v, %v, want %v", d, fromText, err, d)
		}
	})
	for _, in := range []string{`30`, `null`, `""`, `"30"`, `["1d"]`, `"-1s"`} {
		d := broker.Duration(time.Hour)
		if err := json.Unmarshal([]byte(in), &d); err == nil {
			t.Errorf("Unmarshal(%s) = %v, want an error", in, d)
		}
	}
}
