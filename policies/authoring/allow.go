package authoring

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"guestlist/broker/cimd"
	"guestlist/broker/disk"
	"guestlist/policies"
)

// Row is one client of a list as a command names it.
type Row struct {
	URL      string         // client identifier URL, exactly; no query, no wildcard
	Expires  string         // a date or a moment of RFC 3339; empty: without end
	Owner    string         // who answers for it; may be empty
	Ticket   string         // where it was agreed; may be empty
	Settings map[string]any // narrows the policy's settings; numbers as json.Number; nil: nothing
}

// Change is one edit of a list, done.
type Change struct {
	File          string   // slash path below the directory
	Host, Text    string   // the row: where it stands and its line
	Before, After []byte   // of the file; Before is nil for a new one
	Policies      []string // that name the list; none: the row admits nobody yet
}

// Standing says that a list is already as it was to become, or the row that
// was to go is not there. Nothing is changed.
type Standing struct{ Text string }

// Error implements error.
func (s *Standing) Error() string { return s.Text }

// List names one list of a policy directory.
type List struct {
	Dir    string    // the policy directory
	Name   string    // lists/NAME/data.json below it
	Create bool      // make the list where it is not there
	Now    time.Time // to tell rows that are over; required
}

// Allow adds a row to a list: one line more in its file, every other byte as it
// was. A client that a row of the list names already is a *Standing. The file
// is replaced only when the directory loads with the row in it.
func (l List) Allow(ctx context.Context, r Row) (Change, error) {
	id, err := rowID(r.URL)
	if err != nil {
		return Change{}, err
	}
	host := strings.TrimPrefix(id.Origin(), "https://")
	value := r.value(id.Path)
	row, err := policies.ReadRow(host, value)
	if err == nil && row.Expired(l.Now) {
		err = fmt.Errorf("expires: %s is over. Remedy: name a day to come", r.Expires)
	}
	if err != nil {
		return Change{}, fmt.Errorf("the row for %s: %w", r.URL, err)
	}
	return l.edit(ctx, func(f *listFile) (Change, error) {
		if err := l.named(f, id); err != nil {
			return Change{}, err
		}
		line := encode(value)
		return Change{Host: host, Text: line, After: f.add(host, id.Path, line)}, nil
	})
}

// Remove takes the row of a client out of a list, and the host with its last
// row. A client that no row names exactly is a *Standing.
func (l List) Remove(ctx context.Context, url string) (Change, error) {
	id, err := rowID(url)
	if err != nil {
		return Change{}, err
	}
	host := strings.TrimPrefix(id.Origin(), "https://")
	return l.edit(ctx, func(f *listFile) (Change, error) {
		h, r := f.find(host, id.Path)
		if r == nil {
			text := fmt.Sprintf("list %s has no row for %s", l.Name, url)
			if err := l.named(f, id); err != nil {
				text += "; " + err.Error()
			}
			return Change{}, &Standing{text}
		}
		return Change{Host: host, Text: string(f.body[r.start:r.end]), After: f.remove(h, r)}, nil
	})
}

// value is the row as JSON.
func (r Row) value(path string) map[string]any {
	out := map[string]any{"path": path}
	for name, text := range map[string]string{"expires": r.Expires, "owner": r.Owner, "ticket": r.Ticket} {
		if text != "" {
			out[name] = text
		}
	}
	if len(r.Settings) > 0 {
		out["settings"] = r.Settings
	}
	return out
}

// encodeMembers writes the members of an object; those of a row in the order in
// which people read them, others by name.
func encodeMembers(v map[string]any) []string {
	names := slices.Sorted(maps.Keys(v))
	if _, isRow := v["path"]; isRow {
		order := []string{"path", "settings", "expires", "owner", "ticket"}
		slices.SortStableFunc(names, func(a, b string) int { return slices.Index(order, a) - slices.Index(order, b) })
	}
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = encode(n) + ": " + encode(v[n])
	}
	return out
}

// rowID reads the URL of a row.
func rowID(url string) (cimd.ID, error) {
	id, err := cimd.Parse(url)
	switch {
	case strings.Contains(url, "*"):
		return id, fmt.Errorf("%.200q has a *, and allow adds single clients. Remedy: write a row with a wildcard into the list by hand, and have it reviewed", url)
	case err != nil:
		return id, NoClient(url, err)
	case id.Query != "":
		return id, fmt.Errorf("%.200q has a query, and a row names a path. Remedy: leave the query out; where settings say document.allow_query, the row matches with any", url)
	}
	return id, nil
}

// NoClient says why cimd.Parse takes a URL for no client identifier, and names
// the one that was probably meant.
func NoClient(url string, err error) error {
	var e *cimd.Error
	if !errors.As(err, &e) {
		return err
	}
	scheme, rest, ok := strings.Cut(url, "://")
	if !ok {
		scheme, rest = "", url
	}
	host, path, _ := strings.Cut(rest, "/")
	meant, err := cimd.Parse("https://" + strings.ToLower(host) + "/" + path)
	if err != nil || path == "" || !slices.Contains([]string{"", "http", "https"}, strings.ToLower(scheme)) {
		return errors.New(e.Detail)
	}
	return fmt.Errorf("%s. Remedy: did you mean %s?", e.Detail, meant)
}

// named tells by which row the list names a client; nil when by none.
func (l List) named(f *listFile, id cimd.ID) error {
	for _, h := range f.hosts {
		for _, r := range h.rows {
			row, err := policies.ReadRow(h.name, r.value)
			if err != nil || !row.Matches(id) {
				continue
			}
			where := fmt.Sprintf("row %s of host %s", row.Path(), h.name)
			switch {
			case row.Wildcard() && row.Expired(l.Now):
				continue
			case row.Wildcard():
				return &Standing{fmt.Sprintf("list %s names %s already, by the wildcard of %s", l.Name, id, where)}
			case row.Expired(l.Now):
				return &Standing{fmt.Sprintf("list %s has %s, which is over since %s. Remedy: take it away with --remove, then allow it anew", l.Name, where, row.Expires())}
			case row.Expires() != "":
				return &Standing{fmt.Sprintf("list %s names %s already, until %s. Remedy: to change the row, take it away with --remove first", l.Name, id, row.Expires())}
			}
			return &Standing{fmt.Sprintf("list %s names %s already, without end. Remedy: to change the row, take it away with --remove first", l.Name, id)}
		}
	}
	return nil
}

// edit changes the file of the list under the lock of the directory.
func (l List) edit(ctx context.Context, change func(*listFile) (Change, error)) (Change, error) {
	unlock, err := lock(l.Dir)
	if err != nil {
		return Change{}, err
	}
	defer unlock()
	file := "lists/" + l.Name + "/data.json"
	body, err := l.read(file)
	if err != nil {
		return Change{}, err
	}
	text := body
	if text == nil {
		text = []byte("{}\n")
	}
	parsed, err := parseList(text)
	if err != nil {
		return Change{}, fmt.Errorf("%s: %w", file, err)
	}
	c, err := change(parsed)
	if err != nil {
		return c, err
	}
	c.File, c.Before = file, body
	set, _, err := policies.Load(ctx, policies.Config{FS: overlay{os.DirFS(l.Dir), map[string][]byte{file: c.After}}})
	if err != nil {
		return c, fmt.Errorf("nothing is written, because %s would not load: %w", l.Dir, err)
	}
	for _, p := range set.Policies() {
		if p.List == "lists."+l.Name {
			c.Policies = append(c.Policies, p.Name)
		}
	}
	target := filepath.Join(l.Dir, filepath.FromSlash(file))
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return c, err
	}
	return c, Write(target, c.After)
}

// lock waits until nobody else edits the directory.
func lock(dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no directory %s. Remedy: name the policy directory, or make one with guestlist init", dir)
	}
	if err == nil {
		var info fs.FileInfo
		if info, err = f.Stat(); err == nil && !info.IsDir() {
			err = fmt.Errorf("%s is not a directory. Remedy: name the policy directory", dir)
		}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	if err := disk.Flock(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return func() { f.Close() }, nil // closing unlocks
}
