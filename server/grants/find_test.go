package grants_test

import (
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"guestlist/server/grants"
	"guestlist/server/keys"
	"guestlist/store"
)

var _ grants.Signer = (*keys.Keys)(nil)

// find looks an access token up and fails the test when the lookup does.
func (f *fixture) find(token string) (store.Access, bool) {
	f.t.Helper()
	u := f.memory.begin()
	a, found, err := f.engine.FindAccess(f.t.Context(), u, token)
	if err != nil || !u.Empty() || !found && !reflect.DeepEqual(a, store.Access{}) {
		f.t.Errorf("FindAccess(%q) = %+v, %v, %v and staged %+v, want no error and nothing staged", token, a, found, err, u)
	}
	return a, found
}

// like returns terms of one format and algorithm.
func like(format, alg string) grants.Terms {
	t := refreshTerms()
	t.Format, t.Alg = format, alg
	return t
}

func TestFindAccess(t *testing.T) {
	for _, tt := range []struct{ format, alg, wantAlg string }{
		{"", "", "ES256"}, {"jwt", "ES256", "ES256"}, {"jwt", "RS256", "RS256"}, {"opaque", "", ""}, {"opaque", "RS256", ""},
	} {
		t.Run("format "+tt.format+" alg "+tt.alg, func(t *testing.T) {
			f := newFixture(t)
			first := f.desk().start(goodCode(), like(tt.format, tt.alg))
			second := f.desk().must(first.RefreshToken, like(tt.format, tt.alg))
			for _, token := range []grants.Token{first, second} {
				a, found := f.find(token.AccessToken)
				if !found || a.TokenID != token.ID || !a.ExpiresAt.Equal(token.ExpiresAt) || a.GrantID != "grant-1" {
					t.Errorf("FindAccess = %+v, %v, want the row of %s", a, found, token.ID)
				}
				if tt.wantAlg == "" {
					if a.Format != "opaque" || len(token.AccessToken) != 43 || strings.Contains(token.AccessToken, ".") || a.Key != hashHex(token.AccessToken) {
						t.Errorf("FindAccess = %+v of a token of %d characters, want opaque", a, len(token.AccessToken))
					}
					continue
				}
				if head := decode(t, token.AccessToken, 0); a.Format != "jwt" || a.Key != grants.AccessKey(token.ID) || head["alg"] != tt.wantAlg || head["typ"] != "at+jwt" {
					t.Errorf("FindAccess = %+v, header %v, want a JWT signed with %s", a, head, tt.wantAlg)
				}
			}
		})
	}
}

// Expiry and ends are the caller's to judge.
func TestFindAccessReturnsWhatIsOver(t *testing.T) {
	f := newFixture(t)
	token := f.desk().start(goodCode(), refreshTerms())
	u := f.memory.begin()
	u.EndAccess(grants.AccessKey(token.ID), start)
	if err := f.memory.commit(u); err != nil {
		t.Fatal(err)
	}
	f.clock.add(time.Hour)
	if a, found := f.find(token.AccessToken); !found || a.EndedAt.IsZero() {
		t.Errorf("FindAccess = %+v, %v, want the ended row", a, found)
	}
}

func TestTrap33TokensOfAnOlderKeyAreFound(t *testing.T) {
	f := newFixture(t)
	token := f.desk().start(goodCode(), refreshTerms())
	f.signer.rotate(t)
	next := f.desk().must(token.RefreshToken, refreshTerms())
	for _, token := range []grants.Token{token, next} {
		if a, found := f.find(token.AccessToken); !found || a.TokenID != token.ID {
			t.Errorf("FindAccess = %+v, %v, want the row of %s", a, found, token.ID)
		}
	}
	if decode(t, token.AccessToken, 0)["kid"] == decode(t, next.AccessToken, 0)["kid"] {
		t.Error("both tokens name one key")
	}
}

func TestGarbageIsNotFound(t *testing.T) {
	f := newFixture(t)
	token := f.desk().start(goodCode(), refreshTerms())
	parts := strings.Split(token.AccessToken, ".")
	claims := decode(t, token.AccessToken, 1)
	sign := func(typ string, edit func(map[string]any)) string {
		c := map[string]any{}
		for k, v := range claims {
			c[k] = v
		}
		edit(c)
		jwt, err := f.signer.SignJWTWith("ES256", typ, c)
		if err != nil {
			t.Fatal(err)
		}
		return jwt
	}
	payload, err := json.Marshal(map[string]any{"jti": token.ID, "client_id": "https://thief.example/m", "exp": claims["exp"]})
	if err != nil {
		t.Fatal(err)
	}
	none := func(map[string]any) {}
	if _, found := f.find(sign("at+jwt", none)); !found {
		t.Fatal("the good token is not found")
	}
	foreign := newSigner(t)
	theirs, err := foreign.SignJWTWith("ES256", "at+jwt", claims)
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{
		"nothing":                   "",
		"dots":                      "..",
		"words":                     "not a token",
		"trap 34 an ID token":       sign("JWT", none),
		"trap 34 no typ":            sign("", none),
		"trap 36 a refresh token":   token.RefreshToken,
		"the key's preimage":        "jti:" + token.ID,
		"the jti":                   token.ID,
		"the row's key":             grants.AccessKey(token.ID),
		"another payload":           parts[0] + "." + base64.RawURLEncoding.EncodeToString(payload) + "." + parts[2],
		"no signature":              parts[0] + "." + parts[1] + ".",
		"another server's key":      theirs,
		"other client than the row": sign("at+jwt", func(c map[string]any) { c["client_id"] = "https://thief.example/m" }),
		"longer life than the row":  sign("at+jwt", func(c map[string]any) { c["exp"] = claims["exp"].(float64) + 1 }),
		"jti that nobody issued":    sign("at+jwt", func(c map[string]any) { c["jti"] = "AAAAAAAAAAAAAAAAAAAAAAAAAA" }),
		"no jti":                    sign("at+jwt", func(c map[string]any) { delete(c, "jti") }),
		"jti of another type":       sign("at+jwt", func(c map[string]any) { c["jti"] = 7 }),
	} {
		t.Run(name, func(t *testing.T) {
			if a, found := f.find(token); found {
				t.Errorf("FindAccess(%q) = %+v, want nothing", token, a)
			}
		})
	}
}

// The keys of the rows are in one space; neither form may be taken for the
// other.
func TestFindAccessMindsTheFormat(t *testing.T) {
	f := newFixture(t)
	token := f.desk().start(goodCode(), refreshTerms())
	row := f.memory.access[grants.AccessKey(token.ID)]
	row.Format = "opaque"
	f.memory.access[row.Key] = row
	if a, found := f.find(token.AccessToken); found {
		t.Errorf("FindAccess = %+v for a JWT whose row says opaque, want nothing", a)
	}
}

func TestTrap36FindRefresh(t *testing.T) {
	f := newFixture(t)
	first := f.desk().start(goodCode(), like("opaque", ""))
	second := f.desk().must(first.RefreshToken, like("opaque", ""))
	for token, want := range map[string]bool{
		first.RefreshToken: true, second.RefreshToken: true, first.AccessToken: false, "": false, hashHex(first.RefreshToken): false,
	} {
		r, found, err := f.engine.FindRefresh(t.Context(), f.memory.begin(), token)
		if err != nil || found != want || found && r.Hash != hashHex(token) {
			t.Errorf("FindRefresh(%q) = %+v, %v, %v, want found %v", token, r, found, err, want)
		}
		if _, found := f.find(token); found != (token == first.AccessToken) {
			t.Errorf("FindAccess(%q) found = %v", token, found)
		}
	}
}

func BenchmarkFindAccess(b *testing.B) {
	f := newFixture(b)
	for _, tt := range []struct{ name, format, alg string }{{"ES256", "jwt", "ES256"}, {"RS256", "jwt", "RS256"}, {"opaque", "opaque", ""}} {
		r := goodCode()
		r.Grant.ID = tt.name
		token := f.desk().start(r, like(tt.format, tt.alg)).AccessToken
		b.Run(tt.name, func(b *testing.B) {
			b.ReportAllocs()
			u := f.memory.begin()
			for b.Loop() {
				if _, found, err := f.engine.FindAccess(b.Context(), u, token); !found || err != nil {
					b.Fatal(found, err)
				}
			}
		})
	}
}
