package corpus

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"guestlist/broker"
)

// GoldenFile is the name of the committed decisions at the root of a policy
// directory.
const GoldenFile = "decisions.golden"

// Golden writes decisions as the text that is committed: what they rest on,
// then one line a scene, in order. The revision is not in it, so that only a
// change of decisions changes it.
func Golden(a Assumptions, decisions []Decision) []byte {
	var b strings.Builder
	b.WriteString("# What this guest list decides about imagined requests, one line a scene. Do not edit:\n")
	b.WriteString("# guestlist policy test DIR compares it, with --update it writes it. Review it like code.\n")
	for _, line := range a.lines() {
		b.WriteString("# " + line + "\n")
	}
	b.WriteByte('\n')
	for _, d := range decisions {
		b.WriteString(d.Line() + "\n")
	}
	return []byte(b.String())
}

// Line writes a decision without what does not matter to a reviewer: texts,
// lines of files.
func (d Decision) Line() string {
	parts := []string{d.Scene, d.Outcome}
	add := func(name string, values ...string) {
		text := make([]string, 0, len(values))
		for _, v := range values {
			if v != "" {
				text = append(text, plain(v))
			}
		}
		if len(text) > 0 {
			parts = append(parts, name+"="+strings.Join(text, ","))
		}
	}
	add("phase", d.Phase)
	add("reason", d.Reason)
	add("denied", d.Denials...)
	add("warned", d.Warnings...)
	add("policy", d.Policy...)
	if d.Outcome == Admitted {
		parts = append(parts, "scopes="+strings.Join(d.Scopes, ","))
	}
	add("resources", d.Resources...)
	add("auth", d.Auth...)
	add("consent", d.Consent)
	add("access", d.Access)
	add("refresh", d.Refresh)
	add("client_ttl", d.ClientTTL)
	for _, t := range d.Terms {
		parts = append(parts, plain(t))
	}
	return strings.Join(parts, " ")
}

// plain quotes a value that would break its line apart.
func plain(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return r == ' ' || !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

// Diff says in which lines two goldens differ, as lines of a unified diff
// without context: what was, then what is, under the name of the scene. The
// order of lines does not count. Empty means no difference.
func Diff(was, is []byte) []string {
	old, names := index(was)
	now, order := index(is)
	var out []string
	for _, name := range append(order, names...) {
		a, b := old[name], now[name]
		delete(old, name)
		delete(now, name)
		if a == b {
			continue
		}
		if a != "" {
			out = append(out, "-"+a)
		}
		if b != "" {
			out = append(out, "+"+b)
		}
	}
	return out
}

// index finds the lines of a golden by scene, or by what a line of its head is
// about.
func index(golden []byte) (map[string]string, []string) {
	lines, order := map[string]string{}, []string{}
	for line := range strings.Lines(string(golden)) {
		line = strings.TrimRight(line, "\r\n")
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		name := fields[0]
		if name == "#" && len(fields) > 1 {
			name = "# " + fields[1]
		}
		for n := 2; lines[name] != ""; n++ {
			name = fmt.Sprintf("%s\x00%d", fields[0], n) // twice, as nobody but an editor writes it
		}
		lines[name] = line
		order = append(order, name)
	}
	return lines, order
}

// Assumptions are what decisions rest on beside the policy directory.
type Assumptions struct {
	At        string            // RFC 3339; input.clock is UTC
	Issuer    string            // of the server
	Resources []broker.Resource // configured
	Maxima    map[string]any    // of the configuration
	Facts     map[string]any    // values of input.facts
	LeftOut   int               // patterns without scenes of their own
}

// lines write them as NAME VALUE.
func (a Assumptions) lines() []string {
	out := []string{"at " + a.At, "issuer " + a.Issuer}
	for _, r := range a.Resources {
		out = append(out, "resource "+r.ID+" "+compact(resource{r.Scopes, r.TokenFormat}))
	}
	if len(a.Maxima) > 0 {
		out = append(out, "maxima "+compact(a.Maxima))
	}
	if len(a.Facts) > 0 {
		out = append(out, "facts "+compact(a.Facts))
	}
	if a.LeftOut > 0 {
		out = append(out, fmt.Sprintf("left_out %d patterns have no scenes of their own", a.LeftOut))
	}
	return out
}

// resource is what of a resource decisions depend on.
type resource struct {
	Scopes []string `json:"scopes,omitempty"`
	Format string   `json:"token_format,omitempty"`
}

// compact writes JSON on one line, members by name.
func compact(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return strconv.Quote(err.Error())
	}
	return string(b)
}

// Assumed reads back what a golden rests on; what it does not say is zero.
func Assumed(golden []byte) Assumptions {
	var a Assumptions
	for line := range strings.Lines(string(golden)) {
		text, ok := strings.CutPrefix(strings.TrimRight(line, "\r\n"), "# ")
		if !ok {
			continue
		}
		name, value, _ := strings.Cut(text, " ")
		switch name {
		case "at":
			a.At = value
		case "issuer":
			a.Issuer = value
		case "resource":
			id, rest, _ := strings.Cut(value, " ")
			var r resource
			if json.Unmarshal([]byte(rest), &r) == nil {
				a.Resources = append(a.Resources, broker.Resource{ID: id, Name: id, Scopes: r.Scopes, TokenFormat: r.Format})
			}
		case "maxima":
			a.Maxima = object(value)
		case "facts":
			a.Facts = object(value)
		}
	}
	return a
}

// object reads a JSON object with numbers as written; nil when it is none.
func object(text string) map[string]any {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var m map[string]any
	if d.Decode(&m) != nil {
		return nil
	}
	return m
}
