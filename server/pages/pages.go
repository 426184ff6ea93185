// Package pages writes the pages a person sees: sign-in, consent, the account
// page, errors, help and short messages. The templates and the one style sheet are part of the
// program; a page runs no script, loads nothing and works in a window 320
// pixels wide.
//
// The package decides nothing. It shows what it is given, escapes all of it,
// and sets the headers that belong to a page. Callers say who asks and whether
// that was admitted; they must pass hosts in ASCII (what is not ASCII is shown
// as escapes, never as look-alike letters).
//
// Elements that tests and scripts look for carry a data-guestlist attribute;
// those names, the form fields and the buttons are stable.
package pages

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	texttemplate "text/template"
)

//go:embed templates
var files embed.FS

// Config describes what all pages share.
type Config struct {
	// Title is the name of this server at the head of every page and in the
	// window title; default "Guestlist".
	Title string
	// Ask names whom a person asks for help, as plain text of at most MaxAsk
	// bytes; empty for nobody. It stands at the foot of every page, and in the
	// text of pages that refuse.
	Ask string
	// AskURL leads from pages that refuse to whoever Ask names: an https or
	// mailto URL, or empty.
	AskURL string
}

// MaxAsk is the most bytes that Config.Ask has.
const MaxAsk = 200

// check holds the bounds of a Config.
func (c Config) check() error {
	switch {
	case len(c.Ask) > MaxAsk:
		return fmt.Errorf("whom to ask has %d bytes, at most %d are shown", len(c.Ask), MaxAsk)
	case c.AskURL != "" && c.Ask == "":
		return errors.New("there is a link and nobody to ask")
	case c.AskURL != "":
		return CheckAskURL(c.AskURL)
	}
	return nil
}

// CheckAskURL refuses what may not be the link to whoever is asked: anything
// but an https URL with a host or a mailto URL with an address, of at most
// 1000 printable ASCII characters.
func CheckAskURL(link string) error {
	u, err := url.Parse(link)
	switch {
	case err != nil || len(link) > 1000 || ascii(link) != link:
		return errors.New("it is not a URL of at most 1000 ASCII characters")
	case u.Scheme == "https" && u.Host != "" && u.User == nil:
		return nil
	case u.Scheme == "mailto" && strings.Contains(u.Opaque, "@"):
		return nil
	}
	return errors.New("it is neither an https URL nor mailto: with an address")
}

// Pages writes pages. It does not change after New and may be used by any
// number of goroutines.
type Pages struct {
	csp       string
	templates map[string]*template.Template
	buffers   *sync.Pool // of *bytes.Buffer
}

// New checks cfg and parses the embedded templates.
func New(cfg Config) (*Pages, error) {
	if cfg.Title == "" {
		cfg.Title = "Guestlist"
	}
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	style, err := files.ReadFile("templates/style.css")
	if err != nil {
		return nil, fmt.Errorf("read the style sheet: %w", err)
	}
	hash := sha256.Sum256(style)
	p := &Pages{
		// There is no form-action: Chromium applies it to the redirect that
		// follows a form too, and would stop the way back to the client.
		csp: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) +
			"'; img-src 'none'; base-uri 'none'; frame-ancestors 'none'",
		templates: map[string]*template.Template{},
		buffers:   &sync.Pool{New: func() any { return bytes.NewBuffer(make([]byte, 0, bufferBytes)) }},
	}
	layout, err := layout(cfg, style)
	if err != nil {
		return nil, err
	}
	funcs := template.FuncMap{"ascii": ascii, "field": field, "label": label, "wait": wait}
	for _, name := range []string{"signin", "consent", "account", "error", "help", "message"} {
		t, err := template.New("layout.html").Funcs(funcs).Parse(layout)
		if err == nil {
			t, err = t.ParseFS(files, "templates/"+name+".html")
		}
		if err != nil {
			return nil, fmt.Errorf("parse the %s page: %w", name, err)
		}
		p.templates[name] = t
	}
	return p, nil
}

// bufferBytes is more than a usual page takes.
const bufferBytes = 16 << 10

// layout is the frame of every page with all that is the same on every page
// written into it, so that a page executes only what is its own.
func layout(cfg Config, style []byte) (string, error) {
	raw, err := files.ReadFile("templates/layout.html")
	if err != nil {
		return "", fmt.Errorf("read the frame of the pages: %w", err)
	}
	t, err := texttemplate.New("layout.html").Delims("[[", "]]").Parse(string(raw))
	if err != nil {
		return "", fmt.Errorf("parse the frame of the pages: %w", err)
	}
	var out strings.Builder
	err = t.Execute(&out, map[string]string{"Brand": literal(cfg.Title), "Ask": literal(cfg.Ask), "AskURL": literal(cfg.AskURL), "Style": string(style)})
	return out.String(), err
}

// literal escapes text for HTML, and braces too, which would make it a part of
// the template.
func literal(s string) string {
	return strings.ReplaceAll(template.HTMLEscapeString(s), "{", "&#123;")
}

// view is what the layout sees.
type view struct {
	RequestID string
	Page      any
}

// answer is the part of a page that is not its content.
type answer struct {
	template   string
	status     int
	requestID  string
	retryAfter int
}

// write renders the whole page before the first byte goes out, so that a
// person never sees half of one.
func (p *Pages) write(w http.ResponseWriter, a answer, page any) {
	p.setHeaders(w.Header())
	if a.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(a.retryAfter))
	}
	body := p.buffers.Get().(*bytes.Buffer)
	defer p.buffers.Put(body)
	body.Reset()
	err := p.templates[a.template].Execute(body, view{RequestID: a.requestID, Page: page})
	if err != nil {
		http.Error(w, "The page could not be made. Request ID: "+ascii(a.requestID), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(a.status)
	_, _ = w.Write(body.Bytes()) // the browser went away: nobody is left to tell
}

func (p *Pages) setHeaders(h http.Header) {
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", p.csp)
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Permissions-Policy", "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()")
}

// statusOr gives the status to answer with: fallback for zero, 500 for a number
// that is not a final HTTP status.
func statusOr(status, fallback int) int {
	switch {
	case status == 0:
		return fallback
	case status < 200 || status > 599:
		return http.StatusInternalServerError
	}
	return status
}
