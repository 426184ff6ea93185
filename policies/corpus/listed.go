package corpus

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"guestlist/broker"
	"guestlist/broker/cimd"
)

// maxListed bounds the patterns that have scenes of their own.
const maxListed = 33

// Listed makes scenes about the patterns of a guest list: a client that a
// pattern names, plain and with other kinds of redirect URI, a sibling beside it
// and a lookalike of its host, each with a person who has no group. Of many patterns some are
// chosen by their digest, so that adding one changes little; left says how many
// have no scenes.
func Listed(patterns []string) (scenes []Scene, left int) {
	var urls []string
	for _, p := range patterns {
		if strings.HasPrefix(p, "https://") {
			urls = append(urls, p)
		}
	}
	slices.Sort(urls)
	urls = slices.Compact(urls)
	if len(urls) > maxListed {
		left = len(urls) - maxListed
		slices.SortFunc(urls, func(a, b string) int { return cmp.Compare(digest(a), digest(b)) })
		urls = urls[:maxListed]
		slices.Sort(urls)
	}
	for _, p := range urls {
		named := sample(p, false)
		name := strings.TrimPrefix(p, "https://")
		scenes = append(scenes,
			person(Scene{Name: "listed/" + name, Purpose: "a client that the pattern names, asking for nothing", ClientID: named}),
			person(Scene{Name: "listed-asks-all/" + name, Purpose: "the same, asking for every scope", ClientID: named, Scope: "{scopes}"}),
			redirected(Scene{Name: "listed-loopback/" + name, Purpose: "the same on a desktop", ClientID: named}, "http://127.0.0.1:51234/callback"),
			redirected(Scene{Name: "listed-cross-site/" + name, Purpose: "the same with a redirect to a foreign host", ClientID: named}, "https://receiver.example.org/callback"),
			person(Scene{Name: "sibling/" + name, Purpose: "another document beside it", ClientID: sibling(p), Scope: "{scopes}"}),
			person(Scene{Name: "lookalike/" + name, Purpose: "the same path on a host that looks like it", ClientID: sample(p, true), Scope: "{scopes}"}),
		)
	}
	return scenes, left
}

// person lets somebody without groups agree, and come back two hours later.
func person(s Scene) Scene {
	s.User = &Person{Name: "ada"}
	s.Refresh = &Refresh{After: broker.Duration(2 * time.Hour), Source: "198.51.100.7"}
	return s
}

// redirected gives the client a document with that redirect URI.
func redirected(s Scene, uri string) Scene {
	s.RedirectURI, s.Document = &uri, plausible(s.ClientID, &uri)
	return person(s)
}

// sample is an identifier that the pattern names, or the same on a host that
// only looks like its own.
func sample(pattern string, lookalike bool) string {
	host, path, _ := strings.Cut(strings.TrimPrefix(pattern, "https://"), "/")
	bare, wild := strings.CutPrefix(host, "*.")
	switch {
	case lookalike && wild:
		host = "not" + bare
	case lookalike:
		name, port, found := strings.Cut(bare, ":")
		host = name + ".lookalike.example"
		if found {
			host += ":" + port
		}
	case wild:
		host = "sample." + bare
	}
	segments := strings.Split(path, "/")
	for i, s := range segments {
		switch s {
		case "*":
			segments[i] = "sample"
		case "**":
			segments[i] = "sample/client.json"
		}
	}
	return "https://" + host + "/" + strings.Join(segments, "/")
}

// sibling is another path on a host of the pattern: its last segment is
// another, or one more where that is a wildcard.
func sibling(pattern string) string {
	named := sample(pattern, false)
	if strings.HasSuffix(pattern, "/*") {
		return named + "/sibling"
	}
	if strings.HasSuffix(pattern, "/**") {
		if id, err := cimd.Parse(named); err == nil {
			return id.Origin() + "/sibling"
		}
	}
	return named[:strings.LastIndex(named, "/")+1] + "sibling"
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}
