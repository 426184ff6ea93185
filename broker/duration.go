package broker

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Duration is a time.Duration written in Go's form plus d for days of 24
// hours: 90s, 1h30m, 30d, 1d12h.
type Duration time.Duration

// ParseDuration reads s. Negative durations are refused.
func ParseDuration(s string) (Duration, error) {
	days, rest, found := strings.Cut(s, "d")
	var total time.Duration
	if found {
		n, err := strconv.ParseUint(days, 10, 31)
		if err != nil || n > 36500 {
			return 0, fmt.Errorf("duration %.40q: want a form like 90s, 1h30m or 30d", s)
		}
		total = time.Duration(n) * 24 * time.Hour
	} else {
		rest = s
	}
	if rest != "" || !found {
		d, err := time.ParseDuration(rest)
		if err != nil || d < 0 || d > 36500*24*time.Hour {
			return 0, fmt.Errorf("duration %.40q: want a form like 90s, 1h30m or 30d", s)
		}
		total += d
	}
	return Duration(total), nil
}

// String writes d so that ParseDuration reads it back.
func (d Duration) String() string {
	day := 24 * time.Hour
	t := time.Duration(d)
	if t < day {
		return shorten(t.String())
	}
	s := strconv.FormatInt(int64(t/day), 10) + "d"
	if t%day != 0 {
		s += shorten((t % day).String())
	}
	return s
}

// shorten drops the zero units that time.Duration prints at the end.
func shorten(s string) string {
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// MarshalJSON writes the string form.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// UnmarshalJSON reads the string form.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("duration: want a string like \"30d\": %w", err)
	}
	v, err := ParseDuration(s)
	*d = v
	return err
}

// UnmarshalText reads the string form, for configuration files.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := ParseDuration(string(b))
	*d = v
	return err
}

// Std returns d for the standard library.
func (d Duration) Std() time.Duration { return time.Duration(d) }
