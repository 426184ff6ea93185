package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// certificateEvery is how often the files of a certificate are looked at, at
// most.
const certificateEvery = time.Second

// certificate is the server's own TLS certificate, which follows its files:
// connections that begin after both have changed see the new one, those that
// are open go on. Files that make no pair, as in the middle of a rotation,
// change nothing. It does not check whom the certificate names or how long it
// is valid: clients do.
type certificate struct {
	certFile string
	keyFile  string
	now      func() time.Time
	log      zerolog.Logger
	reloaded func(detail string, err error)  // told what came of files that changed; nil: nobody is
	current  atomic.Pointer[tls.Certificate] // never nil

	looking sync.Mutex // held by the one handshake that looks; the others do not wait
	looked  time.Time
	seen    [sha256.Size]byte // of what the files were at the last look
}

// openCertificate reads the files, which must make a pair.
func openCertificate(certFile, keyFile string, now func() time.Time, log zerolog.Logger) (*certificate, error) {
	pair, seen, err := readPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("tls.cert_file %s with tls.key_file %s: %w", certFile, keyFile, err)
	}
	c := &certificate{certFile: certFile, keyFile: keyFile, now: now, log: log, looked: now(), seen: seen}
	c.current.Store(pair)
	return c, nil
}

// config is how the public listener does TLS. HTTP/2 is added by net/http.
func (c *certificate) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		c.look()
		return c.current.Load(), nil
	}}
}

// look takes over files that have changed. Contents are compared, not times: a
// file can change twice within one tick, and a link can move to an older one.
func (c *certificate) look() {
	if !c.looking.TryLock() {
		return
	}
	defer c.looking.Unlock()
	now := c.now()
	if now.Sub(c.looked) < certificateEvery {
		return
	}
	c.looked = now
	pair, seen, err := readPair(c.certFile, c.keyFile)
	if seen == c.seen {
		return
	}
	c.seen = seen
	if err != nil {
		c.log.Error().Str("event", "tls.reload_failed").Str("cert_file", c.certFile).Str("key_file", c.keyFile).
			Msg("the last good certificate stays in force: " + err.Error())
		c.tell("tls.cert_file "+c.certFile, err)
		return
	}
	c.current.Store(pair)
	c.tell(fmt.Sprintf("tls.cert_file %s: valid until %s", c.certFile, pair.Leaf.NotAfter.UTC().Format(time.RFC3339)), nil)
	c.log.Info().Str("event", "tls.reloaded").Str("cert_file", c.certFile).Time("not_after", pair.Leaf.NotAfter).Send()
}

func (c *certificate) tell(detail string, err error) {
	if c.reloaded != nil {
		c.reloaded(detail, err)
	}
}

// readPair reads certificate chain and key. seen tells what was read apart
// from anything else, also when it is no pair.
func readPair(certFile, keyFile string) (pair *tls.Certificate, seen [sha256.Size]byte, err error) {
	chain, err := os.ReadFile(certFile)
	if err != nil {
		return nil, sha256.Sum256([]byte(err.Error())), err
	}
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, sha256.Sum256([]byte(err.Error())), err
	}
	first, second := sha256.Sum256(chain), sha256.Sum256(key)
	seen = sha256.Sum256(append(first[:], second[:]...))
	p, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, seen, err
	}
	if bytes.Count(chain, []byte("-----BEGIN CERTIFICATE-----")) != len(p.Certificate) {
		return nil, seen, errors.New("a certificate of the chain is cut off or damaged")
	}
	return &p, seen, nil
}
