package broker

import (
	"encoding/json"
	"time"

	"guestlist/broker/cimd"
)

// Contract names the input and rule contract that policies are written to.
const Contract = "admission/v1"

// Phase is a step of admission. Each phase knows more than the one before.
type Phase string

// The phases, in order.
const (
	PhaseURL      Phase = "url"      // the client identifier and the request; nothing is fetched yet
	PhaseDocument Phase = "document" // the document is fetched, valid and negotiated
	PhaseUser     Phase = "user"     // a person has signed in
	PhaseRefresh  Phase = "refresh"  // a refresh token is presented
)

// Registration is how a client came to be known.
type Registration string

// How a client can be known.
const (
	RegistrationCIMD       Registration = "cimd"       // by its metadata document alone
	RegistrationPinned     Registration = "pinned"     // by a document that an operator stored
	RegistrationRegistered Registration = "registered" // by the configuration
)

// Input is what policies read, complete and without omitempty: in its phase
// every member is present, with a typed empty value or null, because Rego
// takes an absent operand of "not" for true (design §4, traps F6). Members of
// later phases are left out by Object.
type Input struct {
	Contract     string          `json:"contract"`
	Phase        Phase           `json:"phase"`
	Registration Registration    `json:"registration"`
	Issuer       string          `json:"issuer"`
	Time         time.Time       `json:"time"` // UTC, RFC 3339
	Clock        ClockInput      `json:"clock"`
	ClientID     string          `json:"client_id"`
	Facts        map[string]any  `json:"facts"`
	Client       ClientInput     `json:"client"`
	Request      RequestInput    `json:"request"`
	Row          map[string]any  `json:"row"`        // the list row that matched, else null; set per policy
	Published    map[string]any  `json:"published"`  // document on
	Redirects    []cimd.Redirect `json:"redirects"`  // document on
	Provenance   ProvenanceInput `json:"provenance"` // document on
	Effective    Effective       `json:"effective"`  // document on; denials only
	User         UserInput       `json:"user"`       // user, refresh
	Grant        GrantInput      `json:"grant"`      // refresh
	Now          NowInput        `json:"now"`        // refresh, deny_refresh only
}

// ClockInput is local time in the server's configured zone.
type ClockInput struct {
	Zone    string `json:"zone"`
	Date    string `json:"date"`    // 2006-01-02
	Weekday string `json:"weekday"` // monday … sunday
	Hour    int    `json:"hour"`
	Minute  int    `json:"minute"`
}

// ClientInput is the client identifier URL taken apart. An opaque client_id of a
// registered client has none of it: every member is empty.
type ClientInput struct {
	Scheme            string   `json:"scheme"`
	Host              string   `json:"host"`
	Port              string   `json:"port"`
	RegistrableDomain string   `json:"registrable_domain"`
	Parents           []string `json:"parents"`
	Labels            []string `json:"labels"`
	Path              string   `json:"path"`
	Segments          []string `json:"segments"`
	Query             string   `json:"query"`
	Warnings          []string `json:"warnings"`
	AdmittedBefore    bool     `json:"admitted_before"`

	// FirstSeen and HostFirstSeen are when this client identifier, and any
	// client of this host, was first admitted; the present moment (input.time)
	// where none ever was. UTC, whole seconds where it was before. What is
	// known outlives the client by store.SeenKept.
	FirstSeen     time.Time `json:"first_seen"`
	HostFirstSeen time.Time `json:"host_first_seen"`
}

// RequestInput is the authorization request; after consent it is frozen in
// the grant, source included.
type RequestInput struct {
	RedirectURI  string        `json:"redirect_uri"`
	Redirect     RedirectInput `json:"redirect"`
	Scopes       []string      `json:"scopes"`
	Resources    []string      `json:"resources"`
	ResponseType string        `json:"response_type"`
	GrantType    string        `json:"grant_type"`
	PKCE         bool          `json:"pkce"`
	PAR          bool          `json:"par"`
	DPoP         bool          `json:"dpop"`
	Prompt       []string      `json:"prompt"`
	Source       SourceInput   `json:"source"`
}

// RedirectInput classifies the redirect URI in use.
type RedirectInput struct {
	Kind     string `json:"kind"` // https, loopback, private_scheme
	Host     string `json:"host"`
	Relation string `json:"relation"` // same_origin, same_site, cross_site
}

// SourceInput is where a call came from.
type SourceInput struct {
	IP        string `json:"ip"`
	UserAgent string `json:"user_agent"`
}

// ProvenanceInput says where the document came from and how old it is.
type ProvenanceInput struct {
	SHA256    string    `json:"sha256"`
	FetchedAt time.Time `json:"fetched_at"`
	Age       int64     `json:"age"`  // seconds
	From      string    `json:"from"` // network, store, file, pin, configuration
	Bytes     int       `json:"bytes"`
	Changed   []string  `json:"changed"` // members that differ from the stored document
}

// Effective is what will be granted after defaults and negotiation.
type Effective struct {
	AuthMethods   []string `json:"auth_methods"`
	GrantTypes    []string `json:"grant_types"`
	ResponseTypes []string `json:"response_types"`
	Scopes        []string `json:"scopes"`
	Resources     []string `json:"resources"`
}

// UserInput is the person who signed in. Of the claims a policy is given those
// that it reads, see [Policy.Claims].
type UserInput struct {
	Sub      string         `json:"sub"`
	Groups   []string       `json:"groups"`
	Claims   map[string]any `json:"claims"`
	ACR      string         `json:"acr"`
	AMR      []string       `json:"amr"`
	AuthTime time.Time      `json:"auth_time"`
	Issuer   string         `json:"issuer"`
}

// GrantInput is the grant a refresh belongs to.
type GrantInput struct {
	CreatedAt    time.Time `json:"created_at"`
	Scopes       []string  `json:"scopes"`
	Resources    []string  `json:"resources"`
	RedirectHost string    `json:"redirect_host"`
}

// NowInput is the present call of a refresh.
type NowInput struct {
	GrantType string      `json:"grant_type"`
	Scopes    []string    `json:"scopes"`
	Resources []string    `json:"resources"`
	Source    SourceInput `json:"source"`
}

// MembersBefore lists the top-level members of Input that a phase does not
// have yet.
func MembersBefore(p Phase) []string {
	refresh := []string{"grant", "now"}
	user := append([]string{"user"}, refresh...)
	document := append([]string{"published", "redirects", "provenance", "effective"}, user...)
	switch p {
	case PhaseURL:
		return document
	case PhaseDocument:
		return user
	case PhaseUser:
		return refresh
	default:
		return nil
	}
}

// PhaseJSON writes the input as policies of its phase see it: complete, and
// without the members that the phase does not have yet. Members are sorted by
// name.
func (in Input) PhaseJSON() ([]byte, error) { return json.Marshal(in.phased()) }

// phased is the input without the members that its phase does not have yet.
func (in *Input) phased() *phaseInput {
	out := &phaseInput{
		Client: in.Client, ClientID: in.ClientID, Clock: in.Clock, Contract: in.Contract, Facts: in.Facts, Issuer: in.Issuer,
		Phase: in.Phase, Registration: in.Registration, Request: in.Request, Row: in.Row, Time: in.Time,
	}
	if in.Phase != PhaseURL {
		out.Effective, out.Provenance, out.Published, out.Redirects = &in.Effective, &in.Provenance, &in.Published, &in.Redirects
	}
	if in.Phase != PhaseURL && in.Phase != PhaseDocument {
		out.User = &in.User
	}
	if in.Phase != PhaseURL && in.Phase != PhaseDocument && in.Phase != PhaseUser {
		out.Grant, out.Now = &in.Grant, &in.Now
	}
	return out
}

// phaseInput is Input with its members sorted by name, those of later phases
// nil until their phase.
type phaseInput struct {
	Client       ClientInput      `json:"client"`
	ClientID     string           `json:"client_id"`
	Clock        ClockInput       `json:"clock"`
	Contract     string           `json:"contract"`
	Effective    *Effective       `json:"effective,omitempty"`
	Facts        map[string]any   `json:"facts"`
	Grant        *GrantInput      `json:"grant,omitempty"`
	Issuer       string           `json:"issuer"`
	Now          *NowInput        `json:"now,omitempty"`
	Phase        Phase            `json:"phase"`
	Provenance   *ProvenanceInput `json:"provenance,omitempty"`
	Published    *map[string]any  `json:"published,omitempty"`
	Redirects    *[]cimd.Redirect `json:"redirects,omitempty"`
	Registration Registration     `json:"registration"`
	Request      RequestInput     `json:"request"`
	Row          map[string]any   `json:"row"`
	Time         time.Time        `json:"time"`
	User         *UserInput       `json:"user,omitempty"`
}
