package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"guestlist/broker"
	"guestlist/broker/rehearsal"
)

// evalPerson is who signs in.
type evalPerson struct {
	name   string // or a file
	groups []string
}

// isFile tells a file from a name.
func (p evalPerson) isFile() bool {
	return slices.ContainsFunc([]string{".json", ".yaml", ".yml"}, func(end string) bool { return strings.HasSuffix(p.name, end) })
}

// evalRefresh is a later use of the refresh token.
type evalRefresh struct {
	after  string
	ip     string
	groups []string
}

// check refuses facts that no request can have, and those that would be
// ignored.
func (f evalFlags) check() error {
	for flag, address := range map[string]string{"--source": f.ip, "--refresh-source": f.refresh.ip} {
		if _, err := netip.ParseAddr(address); err != nil && (address != "" || flag == "--source") {
			return fmt.Errorf("%s %q: want an address, for instance 192.0.2.1", flag, address)
		}
	}
	if what, remedy := issuerProblem(f.issuer); what != "" {
		return fmt.Errorf("--issuer %q %s. Remedy: %s", f.issuer, what, remedy)
	}
	for _, id := range f.resource {
		if what := resourceProblem(id); what != "" {
			return fmt.Errorf("--resource %q %s. Remedy: write the URL of the API, for instance https://mcp.example/mcp", id, what)
		}
	}
	for _, word := range strings.Fields(f.prompt) {
		if !slices.Contains([]string{"login", "consent", "select_account"}, word) {
			return fmt.Errorf("--prompt %q: want login, consent or select_account; with prompt=none nobody is ever admitted", word)
		}
	}
	return f.checkReach()
}

// checkReach refuses a phase that the facts do not reach.
func (f evalFlags) checkReach() error {
	refreshing := f.refresh.ip != "" || len(f.refresh.groups) > 0
	switch {
	case f.phase != "" && !slices.Contains([]string{"url", "document", "user", "refresh"}, f.phase):
		return fmt.Errorf("--phase %q: want url, document, user or refresh", f.phase)
	case f.document != "" && f.fetch:
		return errors.New("--document and --fetch name two documents. Remedy: leave one of them out")
	case len(f.person.groups) > 0 && f.person.name == "":
		return errors.New("--groups needs a person. Remedy: add --user NAME")
	case len(f.person.groups) > 0 && f.person.isFile():
		return fmt.Errorf("--groups beside a file of the person. Remedy: write the groups into %s", f.person.name)
	case refreshing && f.refresh.after == "":
		return errors.New("--refresh-source and --refresh-groups need a refresh. Remedy: add --refresh-after 2h")
	case f.refresh.after != "" && f.person.name == "":
		return errors.New("--refresh-after needs a person who agreed. Remedy: add --user NAME")
	case f.phase == "user" && f.person.name == "":
		return errors.New("--phase user needs a person. Remedy: add --user NAME")
	case f.phase == "refresh" && f.refresh.after == "":
		return errors.New("--phase refresh needs a time. Remedy: add --refresh-after 2h, and --user NAME")
	}
	return nil
}

// wantsRefresh reports whether the refresh phase is asked for.
func (f evalFlags) wantsRefresh() bool {
	return f.refresh.after != "" && (f.phase == "" || f.phase == "refresh")
}

// scene is the imagined request.
func (f evalFlags) scene(clientID string) (rehearsal.Scene, error) {
	out := rehearsal.Scene{ClientID: clientID, Until: broker.Phase(f.phase), Request: broker.RequestInput{
		Scopes: strings.Fields(f.scope), Resources: f.resource, ResponseType: "code", GrantType: "authorization_code", PKCE: true,
		PAR: f.par, DPoP: f.dpop, Prompt: strings.Fields(f.prompt), Source: broker.SourceInput{IP: f.ip, UserAgent: f.agent},
	}}
	if f.redirect != "" {
		out.RedirectURI = &f.redirect
	}
	err := f.times(&out)
	if err == nil && f.document != "" {
		out.Document, err = os.ReadFile(f.document)
	}
	if err == nil && f.person.name != "" {
		out.Person, err = f.person.read(out.At, f.issuer)
	}
	return out, err
}

// times reads every flag that names a moment.
func (f evalFlags) times(out *rehearsal.Scene) error {
	now := time.Now()
	for _, m := range []struct {
		flag, text string
		from       *time.Time
		to         *time.Time
	}{
		{"--at", cmp.Or(f.at, "+0s"), &now, &out.At},
		{"--first-seen", f.seen, &out.At, &out.FirstSeen},
		{"--host-first-seen", f.hostSeen, &out.At, &out.HostSeen},
	} {
		if m.text == "" {
			continue
		}
		at, err := timeOf(m.text, *m.from)
		if err != nil {
			return fmt.Errorf("%s %q: %w", m.flag, m.text, err)
		}
		if m.to != &out.At && at.After(out.At) {
			return fmt.Errorf("%s %q comes after the request. Remedy: write a time before it, for instance -3d", m.flag, m.text)
		}
		*m.to = at
	}
	if f.refresh.after == "" {
		return nil
	}
	d, err := broker.ParseDuration(f.refresh.after)
	if err != nil || d <= 0 {
		return fmt.Errorf("--refresh-after %q: want a duration, for instance 2h or 3d", f.refresh.after)
	}
	out.Refresh = &rehearsal.Refresh{
		At: out.At.Add(d.Std()), Source: broker.SourceInput{IP: cmp.Or(f.refresh.ip, f.ip), UserAgent: f.agent}, Groups: f.refresh.groups,
	}
	return nil
}

// timeOf reads a time, or a duration with its sign from another.
func timeOf(text string, from time.Time) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	back := strings.HasPrefix(text, "-")
	if back || strings.HasPrefix(text, "+") {
		if d, err := broker.ParseDuration(text[1:]); err == nil && d >= 0 {
			if back {
				d = -d
			}
			return from.Add(d.Std()), nil
		}
	}
	return time.Time{}, errors.New("want RFC 3339, for instance 2026-11-25T12:00:00Z, or a duration with its sign, for instance +2h or -1d")
}

// read makes the person who signs in at a time.
func (p evalPerson) read(at time.Time, issuer string) (*broker.UserInput, error) {
	u := &broker.UserInput{AuthTime: at.UTC(), Issuer: issuer}
	if !p.isFile() {
		u.Sub, u.Groups, u.AMR = p.name, append([]string{}, p.groups...), []string{"pwd"}
		u.Claims = map[string]any{}
		return u, nil
	}
	b, err := os.ReadFile(p.name)
	if err != nil {
		return nil, fmt.Errorf("--user: %w. Remedy: name the file of the person, or the person without .json or .yaml", err)
	}
	if b, err = yaml.YAMLToJSON(b); err == nil {
		d := json.NewDecoder(bytes.NewReader(b))
		d.DisallowUnknownFields()
		d.UseNumber()
		err = d.Decode(u)
	}
	if err != nil {
		return nil, fmt.Errorf("--user %s: %s. Remedy: write sub, groups, claims, acr, amr, auth_time and issuer only", p.name, misread(err))
	}
	if u.Sub == "" {
		return nil, fmt.Errorf("--user %s names nobody. Remedy: write sub", p.name)
	}
	if u.AuthTime.After(at) {
		return nil, fmt.Errorf("--user %s: auth_time comes after the request. Remedy: write a time before it, or leave it out", p.name)
	}
	return u, nil
}

// firstLine keeps an error on one line.
func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// misread says in words of JSON what does not fit a file.
func misread(err error) string {
	t, ok := errors.AsType[*json.UnmarshalTypeError](err)
	if !ok {
		return strings.TrimPrefix(firstLine(err), "json: ")
	}
	want := "text"
	switch t.Type.Kind() {
	case reflect.Slice:
		want = "a list"
	case reflect.Map, reflect.Struct:
		want = "an object"
	}
	return fmt.Sprintf("%s: want %s, have %s", t.Field, want, t.Value)
}
