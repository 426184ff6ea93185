// Package store is the storage contract (design §7).
//
// A unit of work is a recorded write set: begin one, read through it, stage
// writes, commit once. Reads are short views of committed state; a unit never
// sees its own staged writes and holds no lock and no transaction. A commit
// applies everything that was staged or nothing, decision records included,
// and is durable when it returns nil.
//
// Preconditions are named, never the whole read set:
//
//   - Spend, SpendCode and SpendRefresh, first caller wins: losing one is
//     broker.ErrSpent and final.
//   - RequireEpoch, RequireHolds, CapClients, CreateClient, UpdateClient, MoveKeys, EndClient,
//     RequireClient, RequireGrant, BindGrant, RepeatRefresh, and the new row of PutCode, PutGrant,
//     PutRefresh and PutAccess: losing one is broker.ErrConflict; the step is
//     run again.
//
// Preconditions are judged against the state before the unit's own writes.
// ExtendClient and TouchGrant are commutative maxima and cannot conflict.
//
// UpdateClient does not undo an ExtendClient of another unit: when the
// client's stored ExpiresAt at the commit is not the one that the unit last
// read through Client before it staged the update, the later of the stored
// and the given one is kept. A unit that never read the client stores what it
// is given.
//
// Keys that another unit moved after the unit read the client, by UpdateClient
// or MoveKeys, make the unit's own UpdateClient and MoveKeys lose: neither
// undoes what the other stored. A document that came into force or to wait
// meanwhile makes UpdateClient lose as well. A busy client, whose row is extended and
// fetched anew all the time, does not make MoveKeys lose.
//
// A grant's end is the end of its token family, by the grant's row alone: who
// reads a Refresh or an Access looks at the grant too, and who spends or
// issues one stages RequireGrant beside it.
//
// The store never reads the clock: callers pass the time. Absence is a
// boolean, not an error. Codes and tokens reach the store as hashes only.
// Keys are UTF-8 of any characters but NUL.
// Every other error means that the store could not be read or written, and
// wraps ErrUnavailable.
package store

import (
	"context"
	"errors"
	"time"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
)

// ErrUnavailable says that the store could not be read or written. Nothing
// of the unit took effect.
var ErrUnavailable = errors.New("store unavailable")

// GrantKept is how long a grant can be looked at after its life.
const GrantKept = 30 * 24 * time.Hour

// Bounds of the history of a client's document. What was seen beyond
// VersionsPerDay on one UTC day is not kept; beyond VersionsPerClient the
// oldest goes. VersionsKept is how long the history of a client can be looked
// at after the client ended; where it has a row again, or a pin, it stays.
const (
	VersionsPerClient = 50
	VersionsPerDay    = 10
	VersionsKept      = 90 * 24 * time.Hour
)

// BundleKept is how much longer a bundle, or a document, is kept than records
// ask for: some are written a little after they were decided.
const BundleKept = 24 * time.Hour

// SeenKept is how long it is known when a client was first admitted after it
// ended, and when a host first had one after its last client ended.
const SeenKept = 400 * 24 * time.Hour

// Store keeps the state of one server, or of several that share it.
type Store interface {
	// Begin starts a unit of work. It costs nothing and needs no end.
	Begin() Unit
	// Commit applies u. It may be called once per unit. A canceled ctx does
	// not undo a commit that is under way: the answer is awaited.
	Commit(ctx context.Context, u Unit) error
	// Clients lists client rows in the order of their identifiers.
	Clients(ctx context.Context, q ClientQuery) ([]broker.Client, error)
	// Expired lists up to max clients whose life is over at now, the earliest
	// end first. A call that finds none costs next to nothing, however many
	// clients there are. With an error it returns what could be read.
	Expired(ctx context.Context, now time.Time, max int) ([]broker.Client, error)
	// Records lists sealed decision records.
	Records(ctx context.Context, q RecordQuery) ([]decisionlog.Sealed, error)
	// LiveGrants returns how many grants of one life of a client have not
	// ended, expired ones that were not swept yet included.
	LiveGrants(ctx context.Context, clientID string, incarnation uint64) (int, error)
	// Blocks lists every block by kind and value.
	Blocks(ctx context.Context) ([]broker.Block, error)
	// Pins lists every pin in the order of client identifiers.
	Pins(ctx context.Context) ([]broker.Pin, error)
	// Versions lists a client's documents, newest first.
	Versions(ctx context.Context, clientID string) ([]broker.Version, error)
	// Grants lists grants, ended ones included, newest first.
	Grants(ctx context.Context, q GrantQuery) ([]Grant, error)
	// Offline returns the grants that have a refresh token which is neither
	// spent nor over at now. Whether the grant has ended is not looked at.
	Offline(ctx context.Context, now time.Time) (map[string]bool, error)
	// Bundle returns the bytes of a policy revision that was activated; absence
	// is false.
	Bundle(ctx context.Context, revision string) (broker.Bundle, bool, error)
	// Document returns the bytes of a document by their SHA-256 in lower-case
	// hex; absence is false. A document that no client, pin or version has any
	// more is kept for the records that may refer to it, see SweepMaterial.
	Document(ctx context.Context, sha256 string) ([]byte, bool, error)
	// SweepMaterial deletes what nobody can decide again, given the time of the
	// oldest record whose input is kept: every Activation that another one
	// followed BundleKept or more before it, each bundle that no activation names
	// any more, and each document whose last row went BundleKept or more before
	// it. It returns how many bundles and documents went. What is in force stays.
	SweepMaterial(ctx context.Context, oldest time.Time) (int, error)
	// Overdue finds bodies that are past their age. With an error it returns what
	// could be read: a damaged record is passed over and reported, once. A record
	// of an erasure (decisionlog.EventLogErased) is never among them.
	Overdue(ctx context.Context, q Retain) (Overdue, error)
	// OldestInput finds the first record behind a sequence number whose input is
	// kept. A damaged one counts as one without.
	OldestInput(ctx context.Context, after uint64) (Oldest, error)
	// Holds lists every hold by its identifier, with the number of their state,
	// which grows with each that is put or dropped.
	Holds(ctx context.Context) ([]Hold, uint64, error)
	// Hits returns how often each policy took part in decisions, by name. They
	// are counted in the commit of the record, and outlive the policy.
	Hits(ctx context.Context) (map[string]Hits, error)
	// Changed returns a channel that is closed after the next commit that
	// appends a record.
	Changed() <-chan struct{}
	// Sweep deletes up to max sessions, codes, spent marks, tokens and grants
	// whose keeping time is over at now, and says how many: a session, a mark
	// and an access token at their end, a code and a refresh token at
	// KeepUntil, a grant GrantKept after it ended or, when it never ended,
	// expired. The versions of one client count as one row, and so does what
	// FirstSeen knows of one name. Clients are not swept: see Expired.
	Sweep(ctx context.Context, now time.Time, max int) (int, error)
	// Healthy returns nil when the last commit took effect, else why not.
	Healthy() error
	// Room says what the store has room for. Nothing is refused for it here: who
	// stages asks first. It costs next to nothing.
	Room() broker.Room
	// Probe commits a mark of its own to find out whether writing works.
	Probe(ctx context.Context) error
	// Close waits for commits under way and releases the store.
	Close() error
}

// Unit is one unit of work, for one goroutine.
type Unit interface {
	broker.Unit

	// RequireClient makes the commit fail with broker.ErrConflict unless the
	// client still lives in that incarnation.
	RequireClient(id string, incarnation uint64)

	// Spend marks kind and key as used until the given time. The commit
	// fails with broker.ErrSpent when somebody was first.
	Spend(kind SpendKind, key string, until time.Time)
	// Spent reports whether the mark is set.
	Spent(ctx context.Context, kind SpendKind, key string) (bool, error)

	// PutCode stores a new authorization code by its hash. The commit fails
	// with broker.ErrConflict when the hash is in use.
	PutCode(c Code)
	// Code returns the code of that hash, spent ones included.
	Code(ctx context.Context, hash string) (Code, bool, error)
	// SpendCode marks the code as used; the commit fails with
	// broker.ErrSpent when somebody was first or the code is gone.
	SpendCode(hash string, at time.Time)

	// PutGrant stores a new grant. The commit fails with broker.ErrConflict
	// when its identifier is in use, so that an ended grant never revives.
	PutGrant(g Grant)
	// Grant returns a grant, ended ones included.
	Grant(ctx context.Context, id string) (Grant, bool, error)
	// RequireGrant makes the commit fail with broker.ErrConflict unless the
	// grant has not ended.
	RequireGrant(id string)
	// BindGrant settles the authentication method of a grant, for ever. The
	// commit fails with broker.ErrConflict unless the grant is there and
	// admits the method.
	BindGrant(id, method string)
	// EndGrant ends a grant for ever; ending an ended grant changes nothing.
	EndGrant(id string, at time.Time, reason broker.Reason)
	// TouchGrant moves the grant's last use and expiry forward, never back;
	// it does not bring an ended grant back. An absent one changes nothing.
	TouchGrant(id string, usedAt, expiresAt time.Time)

	// PutRefresh stores a new refresh token by its hash. The commit fails
	// with broker.ErrConflict when the hash is in use. KeepUntil must not be
	// before ExpiresAt; the store does not check it.
	PutRefresh(r Refresh)
	// Refresh returns the refresh token of that hash, spent ones included.
	Refresh(ctx context.Context, hash string) (Refresh, bool, error)
	// SpendRefresh marks the refresh token as used and keeps how; the commit
	// fails with broker.ErrSpent when somebody was first or the token is
	// gone. It moves the RefreshedAt of the token's grant forward, never
	// back. It looks neither at the token's expiry nor at the grant's life.
	SpendRefresh(hash string, use RefreshUse)
	// RepeatRefresh counts one more repetition of a spent token's answer. The
	// commit fails with broker.ErrConflict unless the token is spent, at is
	// before GraceUntil, the answer is there and Repeats is below max.
	RepeatRefresh(hash string, at time.Time, max int)
	// CloseGrace drops the sealed answer; an absent token, one not spent and
	// one closed before stay as they are.
	CloseGrace(hash string)

	// PutAccess stores a new access token by its key. The commit fails with
	// broker.ErrConflict when the key is in use, so that an ended token never
	// revives.
	PutAccess(a Access)
	// Access returns the access token of that key, ended ones included.
	Access(ctx context.Context, key string) (Access, bool, error)
	// EndAccess ends an access token for ever; an absent or ended one stays
	// as it is.
	EndAccess(key string, at time.Time)

	// PutSession stores a sign-in session by the hash of its cookie.
	PutSession(s Session)
	// Session returns the session of that hash.
	Session(ctx context.Context, hash string) (Session, bool, error)
	// EndSession deletes a session; an absent one changes nothing.
	EndSession(hash string)

	// PutHold stages a hold; one of the same identifier is replaced.
	PutHold(h Hold)
	// DropHold stages the end of a hold; an absent one changes nothing.
	DropHold(id string)
	// RequireHolds makes the commit fail with broker.ErrConflict unless the
	// holds are in the state of that number.
	RequireHolds(number uint64)
	// EraseBodies deletes body and salt of these records; their headers stay as
	// they are. It looks at neither age nor holds: see Store.Overdue and
	// RequireHolds. A record that is absent, erased or damaged stays as it is.
	EraseBodies(seqs []uint64)

	// PutCursor remembers how far an exporter has read.
	PutCursor(name string, seq uint64)
	// Cursor returns how far an exporter has read; zero in a new store.
	Cursor(ctx context.Context, name string) (uint64, error)
}

// ClientQuery selects client rows. The zero value selects all.
type ClientQuery struct {
	After string // identifiers behind this one
	Limit int    // at most this many; zero means 1000
}

// GrantQuery selects grants; every set member must fit. The zero value
// selects all.
type GrantQuery struct {
	Subject  string    // the person's username
	ClientID string    // exact client identifier, any incarnation
	Live     time.Time // only those that live at this time
	Limit    int       // at most this many; zero means 1000
}

// RecordQuery selects records; every set member must fit. Its JSON is that of a
// stored hold.
type RecordQuery struct {
	RequestID  string    `json:"request_id,omitempty"`  // the request that a person or client was shown; of a summary, the first or the last
	DecisionID string    `json:"decision_id,omitempty"` // one record
	ClientID   string    `json:"client_id,omitempty"`   // exact client identifier
	Host       string    `json:"host,omitempty"`        // host of the client identifier, in lower case
	Domain     string    `json:"domain,omitempty"`      // registrable domain of the client identifier, in lower case
	Subject    string    `json:"subject,omitempty"`     // exact pseudonym of a person
	Policy     string    `json:"policy,omitempty"`      // one of the policies that gave the settings or refused
	Label      string    `json:"label,omitempty"`       // one of the policy's tags
	GrantID    string    `json:"grant_id,omitempty"`    // exact grant
	Event      string    `json:"event,omitempty"`       // an event, or a name that means several: see decisionlog.Select
	Outcome    string    `json:"outcome,omitempty"`     // exact outcome
	Reason     string    `json:"reason,omitempty"`      // exact reason
	Since      time.Time `json:"since,omitzero"`        // at or after
	Until      time.Time `json:"until,omitzero"`        // before
	After      uint64    `json:"-"`                     // sequence numbers behind this one
	Before     uint64    `json:"-"`                     // sequence numbers before this one; zero: no bound
	Summaries  bool      `json:"-"`                     // only records that stand for several refusals
	Newest     bool      `json:"-"`                     // newest first; else oldest first
	Limit      int       `json:"-"`                     // at most this many; zero means 1000
}
