package pages_test

import (
	"math"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"guestlist/server/pages"
)

func styleSheet(t *testing.T) string {
	t.Helper()
	w := httptest.NewRecorder()
	newPages(t, pages.Config{}).Message(w, pages.Message{Title: "t"})
	return elements(parse(t, w.Body.String()), "style")[0].FirstChild.Data
}

// luminance follows WCAG 2.2, "relative luminance".
func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	rgb, err := strconv.ParseUint(strings.TrimPrefix(colour, "#"), 16, 32)
	if err != nil || len(colour) != 7 {
		t.Fatalf("colour %q is not #rrggbb", colour)
	}
	linear := func(shift uint) float64 {
		c := float64(rgb>>shift&0xff) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(16) + 0.7152*linear(8) + 0.0722*linear(0)
}

func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	la, lb := luminance(t, a), luminance(t, b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

func TestContrast(t *testing.T) {
	if got := contrast(t, "#000000", "#ffffff"); math.Abs(got-21) > 0.01 {
		t.Fatalf("contrast of black on white = %.2f, want 21", got)
	}
	if got := contrast(t, "#777777", "#ffffff"); got >= 4.5 {
		t.Fatalf("contrast of #777 on white = %.2f, want less than 4.5", got)
	}
	light, dark, found := strings.Cut(styleSheet(t), "@media (prefers-color-scheme: dark)")
	if !found {
		t.Fatal("no dark scheme")
	}
	const words, edges = 4.5, 3.0 // WCAG 2.2, 1.4.3 and 1.4.11
	pairs := []struct {
		front, back string
		least       float64
	}{
		{"text", "card", words}, {"text", "page", words}, {"text", "quiet", words},
		{"muted", "card", words}, {"muted", "page", words}, {"muted", "quiet", words},
		{"accent", "card", words}, {"on-accent", "accent", words},
		{"warn-text", "warn", words}, {"alert-text", "alert", words},
		{"edge", "card", edges}, {"warn-edge", "card", edges}, {"alert-edge", "card", edges},
	}
	variable := regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]{6});`)
	for scheme, css := range map[string]string{"light": light, "dark": dark} {
		colours := map[string]string{}
		for _, m := range variable.FindAllStringSubmatch(css, -1) {
			colours[m[1]] = m[2]
		}
		for _, p := range pairs {
			if got := contrast(t, colours[p.front], colours[p.back]); got < p.least {
				t.Errorf("%s: %s on %s = %.2f, want at least %.1f", scheme, p.front, p.back, got, p.least)
			}
		}
	}
}

func TestG21HostIsLargest(t *testing.T) {
	wide, narrow, found := strings.Cut(styleSheet(t), "@media (max-width")
	if !found {
		t.Fatal("no rules for narrow windows")
	}
	host := regexp.MustCompile(`\.host \{[^}]*font-size: ([0-9.]+)rem`)
	size := regexp.MustCompile(`(?:font-size|font): ([0-9.]*)(rem|em)`)
	for name, part := range map[string]string{"wide": wide, "narrow": narrow} {
		m := host.FindStringSubmatch(part)
		if m == nil {
			t.Fatalf("%s: the host has no size", name)
		}
		largest, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		others := strings.Replace(wide, host.FindString(wide), "", 1)
		for _, s := range size.FindAllStringSubmatch(others, -1) {
			if got, err := strconv.ParseFloat(s[1], 64); err != nil || got >= largest {
				t.Errorf("%s: a rule has %s, want all smaller than the host's %grem", name, s[0], largest)
			}
		}
	}
}

// At 320 pixels nothing may be fixed wider than the window: widths are relative
// or small, and long words break.
func TestNothingForcesAWideWindow(t *testing.T) {
	css := styleSheet(t)
	if !strings.Contains(css, "overflow-wrap: anywhere") {
		t.Error("long words do not break")
	}
	if !strings.Contains(css, "min-width: 0") {
		t.Error("a field set keeps the width of its content")
	}
	for _, m := range regexp.MustCompile(`[\s{;](?:min-width|width): ([0-9.]+)(rem|px)`).FindAllStringSubmatch(css, -1) {
		n, err := strconv.ParseFloat(m[1], 64)
		if m[2] == "rem" {
			n *= 16
		}
		if err != nil || n > 280 {
			t.Errorf("%s is too wide for a window of 320 pixels", strings.TrimSpace(m[0]))
		}
	}
	if strings.Contains(css, "nowrap") {
		t.Error("a line must not wrap")
	}
}
