package servertest

import (
	"encoding/base64"
	"fmt"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Person and Password sign in to a test server; the person is in group eng.
const (
	Person   = "alice"
	Password = "correct horse battery"
)

// Account is a row of the people file; its password is Password.
type Account struct {
	Username string   // signs in
	Groups   []string // what policies read
	Disabled bool     // may not sign in
}

// Alice is the Person, in group eng.
func Alice() Account { return Account{Username: Person, Groups: []string{"eng"}} }

// Bob is another person, in group sales.
func Bob() Account { return Account{Username: "bob", Groups: []string{"sales"}} }

// WritePeople makes accounts the people file; the server reads it again on its
// own.
func (s *Server) WritePeople(accounts ...Account) {
	s.t.Helper()
	var b strings.Builder
	for _, a := range accounts {
		fmt.Fprintf(&b, "- username: %s\n  full_name: %s Example\n  email: %s@example.com\n  groups: [%s]\n  disabled: %t\n  password: %s\n",
			a.Username, a.Username, a.Username, strings.Join(a.Groups, ", "), a.Disabled, cheapHash())
	}
	writeFile(s.t, s.peopleFile(), b.String())
}

// peopleFile is where the people of this server are.
func (s *Server) peopleFile() string { return filepath.Join(s.Dir, "people.yaml") }

// cheapHash is Password in PHC form with the least that argon2id allows: a
// test signs in often, and nobody guesses.
func cheapHash() string {
	salt := []byte("servertest salt ")
	key := argon2.IDKey([]byte(Password), salt, 1, 8, 1, 32)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=8,t=1,p=1$%s$%s", argon2.Version, b64.EncodeToString(salt), b64.EncodeToString(key))
}
