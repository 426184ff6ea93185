package signin

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/goccy/go-yaml"

	"guestlist/broker/disk"
)

// Add writes a new account to the people file, which it makes if there is
// none. It refuses a username that is taken, a password that HashPassword
// refuses, and a file that has errors. Other entries keep their meaning, and
// where the file's layout permits also their text and comments.
//
// The file is replaced in one step and has mode 0600 and its old owner
// afterwards. Concurrent calls wait for each other on file.lock, which stays.
func Add(file string, e Entry, password []byte) error {
	if err := e.check(); err != nil {
		return fmt.Errorf("add person: %w", err)
	}
	hash, err := HashPassword(password)
	if err != nil {
		return fmt.Errorf("add %s: %w", e.Username, err)
	}
	return edit(file, func(old []byte, rows []row) ([]byte, []row, error) {
		if find(rows, e.Username) >= 0 {
			return nil, nil, fmt.Errorf("%s is there already: change the password with guestlist person passwd %s", e.Username, e.Username)
		}
		added := row{Entry: e, password: hash}
		item, err := marshal([]row{added})
		if err != nil {
			return nil, nil, err
		}
		if len(old) > 0 && !bytes.HasSuffix(old, []byte("\n")) {
			old = append(old, '\n')
		}
		return append(old, item...), append(rows, added), nil
	})
}

// Passwd gives an account of the people file a new password, also one whose
// password entry is missing or malformed. It refuses an unknown username;
// otherwise it is as careful as Add. Sessions of the person do not end.
func Passwd(file, username string, password []byte) error {
	hash, err := HashPassword(password)
	if err != nil {
		return fmt.Errorf("change password of %s: %w", username, err)
	}
	return edit(file, func(old []byte, rows []row) ([]byte, []row, error) {
		i := find(rows, username)
		if i < 0 {
			return nil, nil, fmt.Errorf("nobody is called %q: guestlist person list shows who is there", username)
		}
		before := rows[i].password
		rows[i].password = hash
		// Where the old text is missing, or stands elsewhere first, the
		// result says other rows and edit does not use it.
		return bytes.Replace(old, []byte(before), []byte(hash), 1), rows, nil
	})
}

// List returns the accounts of the people file in its order, none if the file
// does not exist. It refuses a file that a server would refuse.
func List(file string) ([]Entry, error) {
	_, rows, err := load(file)
	if err != nil {
		return nil, err
	}
	if _, err := admit(rows); err != nil {
		return nil, fmt.Errorf("people file %s: %w", file, err)
	}
	var entries []Entry
	for _, r := range rows {
		entries = append(entries, r.Entry)
	}
	return entries, nil
}

// load reads a people file for editing.
func load(file string) (data []byte, rows []row, err error) {
	now, err := statPeople(file)
	if err != nil || now.info == nil {
		return nil, nil, err
	}
	if data, _, err = readPeople(file); err != nil {
		return nil, nil, err
	}
	if rows, err = parse(data); err != nil {
		return nil, nil, fmt.Errorf("people file %s: %w", file, err)
	}
	return data, rows, nil
}

func find(rows []row, username string) int {
	return slices.IndexFunc(rows, func(r row) bool { return r.Username == username })
}

// edit replaces the file by what change makes of it. Change returns the rows
// that are wanted, and a text that keeps the operator's layout; that text is
// only used if it says exactly those rows.
func edit(file string, change func([]byte, []row) ([]byte, []row, error)) error {
	unlock, err := disk.Lock(file)
	if err != nil {
		return fmt.Errorf("lock people file: %w", err)
	}
	defer unlock()
	old, rows, err := load(file)
	if err != nil {
		return err
	}
	content, rows, err := change(slices.Clone(old), rows)
	if err != nil {
		return fmt.Errorf("people file %s: %w", file, err)
	}
	if _, err := admit(rows); err != nil {
		return fmt.Errorf("people file %s: %w", file, err)
	}
	if !says(content, rows) {
		if content, err = marshal(rows); err != nil {
			return err
		}
		if !says(content, rows) {
			return fmt.Errorf("people file %s: the new text would not read back the same, nothing was changed", file)
		}
	}
	if err := disk.Replace(file, content, 0o600); err != nil {
		return fmt.Errorf("write people file: %w", err)
	}
	return nil
}

// says reports whether content is a people file with exactly these rows.
func says(content []byte, rows []row) bool {
	got, err := parse(content)
	return err == nil && slices.EqualFunc(got, rows, func(a, b row) bool {
		return a.password == b.password && a.Username == b.Username && a.FullName == b.FullName && a.Email == b.Email &&
			a.Disabled == b.Disabled && slices.Equal(a.Groups, b.Groups)
	})
}

func marshal(rows []row) ([]byte, error) {
	type item struct {
		Username string   `yaml:"username"`
		FullName string   `yaml:"full_name,omitempty"`
		Email    string   `yaml:"email,omitempty"`
		Groups   []string `yaml:"groups,omitempty,flow"`
		Password string   `yaml:"password"`
		Disabled bool     `yaml:"disabled,omitempty"`
	}
	var items []item
	for _, r := range rows {
		items = append(items, item{r.Username, r.FullName, r.Email, r.Groups, r.password, r.Disabled})
	}
	data, err := yaml.Marshal(items)
	if err != nil {
		return nil, errors.New("write people as YAML")
	}
	return data, nil
}
