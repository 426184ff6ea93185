// Package broker decides whether this client may act now, gives it a life
// with an end, and stages what must be written.
//
// Admit is the choke point (design §3): the only caller of the policy engine
// for admission and the only author of admission records. It decides and
// stages on a Unit; the HTTP step commits that unit once, and throws the
// prepared answer away when the commit fails.
package broker

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"guestlist/broker/cimd"
	"guestlist/broker/decisionlog"
	"guestlist/broker/fetch"
)

// Fetcher brings a client ID metadata document, or says that the copy whose
// validators it is given still holds. *fetch.Guarded is the one that the
// program uses.
type Fetcher interface {
	Document(ctx context.Context, id cimd.ID, lim fetch.Limits, held fetch.Held) (fetch.Document, error)
}

// Config is what a Broker needs. Issuer, Fetch, Later, Pseudonym, Now and
// Offer are required.
type Config struct {
	Issuer    string                         // this server's issuer identifier
	Fetch     Fetcher                        // brings documents
	Offer     Offer                          // what this server can do
	Later     func(decisionlog.Record) error // takes a record that needs no commit of its own; an error refuses the step
	Pseudonym func(subject string) string    // names a person in records
	Now       func() time.Time               // the clock
	Zone      *time.Location                 // of input.clock; nil means UTC
	Lives     Lives                          // how long the steps of one flow may take
	Cache     CacheBounds                    // server bounds of a document's freshness
	Budgets   Budgets                        // of fetches for clients that are not known
	Caps      Caps                           // of clients at the same time
	Explain   bool                           // records carry what policy tells beside its answer; never on a server
	AdmitOff  bool                           // cimd.admit: false; only clients that an operator pinned or registered are let in, and nothing is fetched
	Observe   Observer                       // is told what happens; the zero value: nobody is
	Room      func() Room                    // what there is room for in the store; asked often; nil: for everything
	// Registered are the clients of the configuration: no two with one
	// identifier, each with a document that is valid for it.
	Registered []Registered
}

// Lives are the lifetimes that a client must outlast once admitted.
type Lives struct {
	Ticket time.Duration // of a waiting request; zero means 10 minutes
	Code   time.Duration // of a code; zero means 60 seconds
}

// CacheBounds bound the freshness that settings may give a document.
type CacheBounds struct {
	Floor   time.Duration // freshness is never shorter, unless settings say a longer floor
	Default time.Duration // without cache headers; zero means 1 hour
	Ceiling time.Duration // never longer; zero means 24 hours
}

// Broker admits clients. It is safe for concurrent use.
type Broker struct {
	cfg Config

	mu     sync.RWMutex // held while a revision is swapped, so that policy and epoch are read together
	policy *inForce

	reread     reread
	origin     *origin
	registered map[string]registered // by client_id
	cool       cooldown              // of operators' fetches

	seenMu sync.Mutex
	seen   map[sighting]time.Time // until when it need not be asked again
}

// New checks cfg. Until the first Activate every admission is refused.
func New(cfg Config) (*Broker, error) {
	switch {
	case cfg.Issuer == "":
		return nil, errors.New("broker: no issuer")
	case cfg.Fetch == nil:
		return nil, errors.New("broker: no fetcher")
	case cfg.Later == nil:
		return nil, errors.New("broker: no way to write batched records")
	case cfg.Pseudonym == nil:
		return nil, errors.New("broker: no pseudonyms")
	case cfg.Now == nil:
		return nil, errors.New("broker: no clock")
	}
	if cfg.Zone == nil {
		cfg.Zone = time.UTC
	}
	setDefault(&cfg.Lives.Ticket, 10*time.Minute)
	setDefault(&cfg.Lives.Code, time.Minute)
	setDefault(&cfg.Cache.Default, time.Hour)
	setDefault(&cfg.Cache.Ceiling, 24*time.Hour)
	limit, err := cfg.Budgets.complete()
	if err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	if cfg.Caps, err = cfg.Caps.complete(); err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	known, err := readRegistered(cfg.Registered)
	if err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	return &Broker{cfg: cfg, registered: known, origin: newOrigin(cfg.Fetch, cfg.Now, limit, cfg.Observe)}, nil
}

// setDefault fills a zero duration.
func setDefault(d *time.Duration, v time.Duration) {
	if *d == 0 {
		*d = v
	}
}

// AdmitsStrangers reports whether clients may come by nothing but their
// document: cimd.admit.
func (b *Broker) AdmitsStrangers() bool { return !b.cfg.AdmitOff }

// NewID returns a random identifier of 128 bits in hex.
func NewID() string {
	var v [16]byte
	rand.Read(v[:])
	return hex.EncodeToString(v[:])
}

// newIncarnation returns a random life number that fits a JSON number.
func newIncarnation() uint64 {
	var v [8]byte
	for {
		rand.Read(v[:])
		if n := binary.BigEndian.Uint64(v[:]) >> 11; n != 0 {
			return n
		}
	}
}
