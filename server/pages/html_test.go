package pages_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

func parse(t testing.TB, page string) *html.Node {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// elements returns the elements of that name, or all for "".
func elements(root *html.Node, name string) []*html.Node {
	var found []*html.Node
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && (name == "" || n.Data == name) {
			found = append(found, n)
		}
	}
	return found
}

// text is the text below n with single spaces.
func text(n *html.Node) string {
	var out strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			out.WriteString(d.Data)
		}
	}
	return strings.Join(strings.Fields(out.String()), " ")
}

// marked returns the texts of the elements with that data-guestlist mark.
func marked(root *html.Node, mark string) []string {
	var found []string
	for _, n := range elements(root, "") {
		if attr(n, "data-guestlist") == mark {
			found = append(found, text(n))
		}
	}
	return found
}

func styleHash(t testing.TB, root *html.Node) string {
	t.Helper()
	styles := elements(root, "style")
	if len(styles) != 1 || styles[0].FirstChild == nil {
		t.Fatalf("page has %d style elements, want one with a style", len(styles))
	}
	sum := sha256.Sum256([]byte(styles[0].FirstChild.Data))
	return base64.StdEncoding.EncodeToString(sum[:])
}

var knownElements = strings.Fields("html head meta title style body header main footer h1 h2 p strong span bdi code " +
	"div form input label button fieldset legend ul li dl dt dd time a details summary")

// faults lists what is wrong with a page, whatever is on it.
func faults(root *html.Node) []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }

	if root.FirstChild == nil || root.FirstChild.Type != html.DoctypeNode {
		say("no doctype")
	}
	for name, want := range map[string]int{"html": 1, "title": 1, "h1": 1, "main": 1, "style": 1} {
		if got := len(elements(root, name)); got != want {
			say("%d elements %s, want %d", got, name, want)
		}
	}
	for _, n := range elements(root, "html") {
		if attr(n, "lang") != "en" {
			say("no lang")
		}
	}
	ids := map[string]bool{}
	for _, n := range elements(root, "") {
		if !slices.Contains(knownElements, n.Data) {
			say("element %s", n.Data)
		}
		if id := attr(n, "id"); id != "" {
			if ids[id] {
				say("id %s twice", id)
			}
			ids[id] = true
		}
		for _, a := range n.Attr {
			if fault := attributeFault(a); fault != "" && !asks(n, a) {
				say("%s: %s", n.Data, fault)
			}
		}
	}
	labelled := map[string]bool{}
	for _, n := range elements(root, "label") {
		if text(n) != "" {
			labelled[attr(n, "for")] = true
		}
	}
	for _, n := range elements(root, "input") {
		if attr(n, "type") != "hidden" && !labelled[attr(n, "id")] {
			say("input %s without label", attr(n, "name"))
		}
		if by := attr(n, "aria-describedby"); by != "" && !ids[by] {
			say("input %s is described by nothing", attr(n, "name"))
		}
	}
	for _, n := range elements(root, "button") {
		if text(n) == "" || attr(n, "type") != "submit" {
			say("button without text or type")
		}
	}
	for _, n := range elements(root, "form") {
		if attr(n, "method") != "post" {
			say("form that does not post")
		}
	}
	return out
}

// asks reports whether an attribute is the link to whoever is asked for help,
// the one way off this server, on pages that refuse and explain.
func asks(n *html.Node, a html.Attribute) bool {
	return a.Key == "href" && attr(n.Parent, "data-guestlist") == "ask" && attr(n, "rel") == "noreferrer" &&
		(strings.HasPrefix(a.Val, "https://") || strings.HasPrefix(a.Val, "mailto:"))
}

func attributeFault(a html.Attribute) string {
	switch {
	case strings.HasPrefix(a.Key, "on"):
		return "event handler " + a.Key
	case a.Key == "style", a.Key == "src", a.Key == "srcset", a.Key == "formaction", a.Key == "http-equiv", a.Key == "ping":
		return "attribute " + a.Key
	case a.Key == "href", a.Key == "action":
		if !strings.HasPrefix(a.Val, "/") || strings.HasPrefix(a.Val, "//") {
			return fmt.Sprintf("%s=%q leaves this server", a.Key, a.Val)
		}
	}
	return ""
}

func TestPagesAreSoundHTML(t *testing.T) {
	for _, c := range allPages() {
		t.Run(c.name, func(t *testing.T) {
			page := render(t, c).Body.String()
			for _, fault := range faults(parse(t, page)) {
				t.Error(fault)
			}
			if css := elements(parse(t, page), "style")[0].FirstChild.Data; strings.Contains(css, "url(") || strings.Contains(css, "@import") {
				t.Error("the style sheet loads something")
			}
		})
	}
}

// The checker above must see what it is there for.
func TestFaultsAreSeen(t *testing.T) {
	good := `<!DOCTYPE html><html lang="en"><head><title>t</title><style>a{}</style></head><body><main><h1>h</h1>%s</main></body></html>`
	if got := faults(parse(t, fmt.Sprintf(good, ""))); got != nil {
		t.Fatalf("faults of a good page = %q, want none", got)
	}
	for _, bad := range []string{
		`<script>1</script>`, `<p onclick="x">`, `<p style="x">`, `<img src="x">`, `<a href="https://elsewhere.example/">x</a>`,
		`<p data-guestlist="ask"><a href="https://elsewhere.example/">x</a></p>`, `<p data-guestlist="ask"><a rel="noreferrer" href="http://elsewhere.example/">x</a></p>`,
		`<a href="//elsewhere.example/">x</a>`, `<a href="javascript:x">x</a>`, `<form method="post" action="https://elsewhere.example/"></form>`,
		`<form action="/x"></form>`, `<input name="x" type="text">`, `<label for="x"></label><input name="x" id="x">`,
		`<p id="a"></p><p id="a"></p>`, `<h1>second</h1>`, `<button>x</button>`, `<button type="submit"></button>`, `<iframe></iframe>`,
		`<link rel="stylesheet">`, `<svg></svg>`, `<style>b{}</style>`, `<meta http-equiv="refresh" content="0">`,
		`<label for="x">x</label><input name="x" id="x" aria-describedby="gone">`, `<button type="submit" formaction="/x">x</button>`,
	} {
		if faults(parse(t, fmt.Sprintf(good, bad))) == nil {
			t.Errorf("no fault seen in %s", bad)
		}
	}
	for _, bad := range []string{
		`<html lang="en"><head><title>t</title><style>a{}</style></head><body><main><h1>h</h1></main></body></html>`,
		`<!DOCTYPE html><html><head><title>t</title><style>a{}</style></head><body><main><h1>h</h1></main></body></html>`,
	} {
		if faults(parse(t, bad)) == nil {
			t.Errorf("no fault seen in %s", bad)
		}
	}
}
