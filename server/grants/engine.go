// Package grants issues authorization codes, redeems them for access and
// refresh tokens, rotates refresh tokens, and knows the tokens it issued again.
// It is the only package that knows Fosite, and no Fosite type leaves it.
//
// Fosite runs here as a grant engine behind this server's own edge. Before a
// handler of it is reached, the caller has parsed the request, matched the
// redirect URI and asked policy, and this package has checked the client
// binding and PKCE: Fosite spends a code or refresh token and ends its family
// before it looks at who presented it. Fosite never sees the store. It works on copies, and
// what it did is staged on the caller's unit of work at the end, all of it or
// nothing.
//
// Every error that leaves is a *broker.Error.
package grants

import (
	"errors"
	"fmt"
	"time"

	"github.com/ory/fosite"
)

const (
	defaultCodeTTL = 60 * time.Second
	// maxCodeTTL is the longest life that RFC 6749 section 4.1.2 recommends.
	maxCodeTTL = 10 * time.Minute
	// replayWindow is how long a code is kept behind its expiry, so that a
	// replay is told from a code that never was.
	replayWindow = 24 * time.Hour
)

// Signer makes and checks JSON Web Signatures. It may be called from many
// goroutines.
type Signer interface {
	// SignJWTWith returns claims, which marshal to a JSON object, as a compact
	// JWS with that algorithm (ES256 or RS256) whose header has that typ.
	SignJWTWith(alg, typ string, claims any) (string, error)
	// VerifyJWT returns the payload of a compact JWS that any key of the set
	// has signed, earlier ones included, and whose header has that typ.
	VerifyJWT(token, typ string) (payload []byte, err error)
}

// Config says what an Engine needs.
type Config struct {
	// Issuer is the issuer identifier of this server, the iss of its tokens.
	// Required.
	Issuer string
	// Signer signs access tokens, and checks those that come back. Required.
	Signer Signer
	// Now is the clock. Required.
	Now func() time.Time
	// CodeTTL is the life of an authorization code, at most ten minutes. Zero
	// means 60 seconds.
	CodeTTL time.Duration
	// Fetch brings the keys behind a jwks_uri. Nil: a client that has one
	// cannot authenticate.
	Fetch Fetcher
}

// Engine issues codes and tokens. It keeps no state between calls but fetched
// keys, and may be used by many goroutines at once.
type Engine struct {
	issuer  string
	signer  Signer
	now     func() time.Time
	codeTTL time.Duration
	base    fosite.Config // a template; see baseConfig
	keySets *keySets
}

// New returns an Engine.
func New(cfg Config) (*Engine, error) {
	if cfg.CodeTTL == 0 {
		cfg.CodeTTL = defaultCodeTTL
	}
	switch {
	case cfg.Issuer == "":
		return nil, errors.New("grants: no issuer given")
	case cfg.Signer == nil:
		return nil, errors.New("grants: no signer given")
	case cfg.Now == nil:
		return nil, errors.New("grants: no clock given")
	case cfg.CodeTTL < time.Second || cfg.CodeTTL > maxCodeTTL:
		return nil, fmt.Errorf("grants: code lifetime %s is not between 1s and %s", cfg.CodeTTL, maxCodeTTL)
	}
	return &Engine{
		issuer: cfg.Issuer, signer: cfg.Signer, now: cfg.Now,
		codeTTL: cfg.CodeTTL, base: baseConfig(cfg.Issuer, cfg.CodeTTL),
		keySets: &keySets{fetch: cfg.Fetch, now: cfg.Now},
	}, nil
}
