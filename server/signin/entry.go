package signin

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxTextBytes bounds full_name, email and each group.
const maxTextBytes = 256

// Entry is what the people file says about an account, without its password.
type Entry struct {
	// Username is 1 to 64 characters of a-z A-Z 0-9 . _ - @ + and unique.
	Username string
	// FullName is for people to read; optional.
	FullName string
	// Email is optional and not verified.
	Email string
	// Groups are what policies read as input.user.groups.
	Groups []string
	// Disabled keeps the account and refuses its sign-in.
	Disabled bool
}

// row is an entry as it stands in the file, its password not yet looked at.
type row struct {
	Entry
	password     string
	line         int // where the entry begins, 0 if it is not in a file
	passwordLine int
}

// errorAt is an error in the content of a people file.
func errorAt(line int, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	if line == 0 {
		return err
	}
	return fmt.Errorf("line %d: %w", line, err)
}

// parse reads the content of a people file: nil if there is none, an empty
// list for []. It is strict, because a misspelt "disabled" must not leave
// somebody in. It does not look at passwords; admit does.
func parse(data []byte) ([]row, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("it is not UTF-8 text")
	}
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		// The error's own text quotes the lines around, passwords included.
		var at yaml.Error
		if errors.As(err, &at) && at.GetToken() != nil {
			return nil, errorAt(at.GetToken().Position.Line, "not YAML: %s", at.GetMessage())
		}
		return nil, errors.New("not YAML")
	}
	if len(file.Docs) > 1 {
		return nil, errors.New("it has more than one YAML document: keep everybody in one list")
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return nil, nil
	}
	list, ok := file.Docs[0].Body.(*ast.SequenceNode)
	if !ok {
		return nil, errorAt(line(file.Docs[0].Body), "not a list: begin each person with \"- username: \"")
	}
	rows := make([]row, 0, len(list.Values))
	first := map[string]int{}
	for _, item := range list.Values {
		r, err := parseRow(item)
		if err != nil {
			return nil, err
		}
		if at, taken := first[r.Username]; taken {
			return nil, errorAt(r.line, "username %q is already in line %d: remove one", r.Username, at)
		}
		first[r.Username] = r.line
		rows = append(rows, r)
	}
	return rows, nil
}

func line(n ast.Node) int {
	if n == nil || n.GetToken() == nil {
		return 0
	}
	return n.GetToken().Position.Line
}

func parseRow(item ast.Node) (row, error) {
	person, ok := item.(*ast.MappingNode)
	if !ok || len(person.Values) == 0 {
		return row{}, errorAt(line(item), "not a person: an entry has username, password and what else is known")
	}
	r := row{line: line(person.Values[0].Key)}
	r.passwordLine = r.line
	for _, member := range person.Values {
		if err := r.set(member); err != nil {
			return row{}, err
		}
	}
	if err := r.check(); err != nil {
		return row{}, errorAt(r.line, "%w", err)
	}
	return r, nil
}

func (r *row) set(member *ast.MappingValueNode) (err error) {
	at := line(member.Key)
	name := "?"
	if key, ok := member.Key.(*ast.StringNode); ok {
		name = key.Value
	}
	switch name {
	case "username":
		r.Username, err = text(member.Value)
	case "full_name":
		r.FullName, err = text(member.Value)
	case "email":
		r.Email, err = text(member.Value)
	case "password":
		r.passwordLine = at
		r.password, err = text(member.Value)
	case "groups":
		r.Groups, err = texts(member.Value)
	case "disabled":
		flag, ok := member.Value.(*ast.BoolNode)
		if !ok {
			return errorAt(at, "disabled is neither true nor false")
		}
		r.Disabled = flag.Value
	default:
		return errorAt(at, "unknown member %q: known are username, full_name, email, groups, password, disabled", name)
	}
	if err != nil {
		return errorAt(at, "%s %w", name, err)
	}
	return nil
}

// text reads a string. A member without a value is as if it were not there.
func text(n ast.Node) (string, error) {
	switch v := n.(type) {
	case *ast.StringNode:
		return v.Value, nil
	case *ast.LiteralNode:
		return v.Value.Value, nil
	case *ast.NullNode:
		return "", nil
	}
	return "", errors.New("is not text: put it in quotes")
}

func texts(n ast.Node) ([]string, error) {
	if _, none := n.(*ast.NullNode); none {
		return nil, nil
	}
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		return nil, errors.New("is not a list: write [a, b]")
	}
	var all []string
	for _, item := range list.Values {
		s, err := text(item)
		if err != nil {
			return nil, fmt.Errorf("has an item that %w", err)
		}
		all = append(all, s)
	}
	return all, nil
}

// check holds for entries that are read and for those that are to be written.
func (e Entry) check() error {
	if !validUsername(e.Username) {
		return fmt.Errorf("username %q is not 1 to 64 characters of a-z A-Z 0-9 . _ - @ +", e.Username)
	}
	if !oneLine(e.FullName) {
		return fmt.Errorf("full_name of %s is not one line of at most %d bytes", e.Username, maxTextBytes)
	}
	if !oneLine(e.Email) || strings.ContainsFunc(e.Email, unicode.IsSpace) {
		return fmt.Errorf("email of %s is not one word of at most %d bytes", e.Username, maxTextBytes)
	}
	for i, group := range e.Groups {
		if group == "" || !oneLine(group) || group != strings.TrimSpace(group) {
			return fmt.Errorf("group %q of %s is empty, has outer spaces or is not one line of at most %d bytes", group, e.Username, maxTextBytes)
		}
		if slices.Contains(e.Groups[:i], group) {
			return fmt.Errorf("group %q of %s is there twice", group, e.Username)
		}
	}
	return nil
}

func validUsername(s string) bool {
	other := func(c rune) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("._-@+", c))
	}
	return len(s) >= 1 && len(s) <= 64 && !strings.ContainsFunc(s, other)
}

func oneLine(s string) bool {
	return len(s) <= maxTextBytes && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// admit turns rows into accounts; every password must be one we can check.
func admit(rows []row) ([]*account, error) {
	accounts := make([]*account, 0, len(rows))
	for _, r := range rows {
		hash, err := parsePHC(r.password)
		if err != nil {
			if r.password == "" {
				err = errors.New("there is none")
			}
			return nil, errorAt(r.passwordLine, "password of %s: %w: set it with guestlist person passwd %s", r.Username, err, r.Username)
		}
		accounts = append(accounts, &account{Entry: r.Entry, hash: hash})
	}
	return accounts, nil
}
