package main_test

import "strings"

// requirement is one row of the acceptance: its id, in a few words what is
// asked for, and whether this stage of the work has to prove it.
type requirement struct {
	id, what string
	due      bool
}

// requirements are the rows that tests of this module may name. A line that
// begins with "due" must be carried by a test; a line that begins with "open"
// is carried where a test happens to prove it and belongs to another stage.
var requirements = readRequirements(`
due U1 the scheme is https
due U2 no user information
due U3 a port is allowed
due U4 a path is needed
due U5 no dot segments, escaped or not
due U6 a query is seen by policy, which decides
due U7 no fragment, not even an empty one
due U8 compared as a string: :443 is another client
due U9 at most 2048 octets
due U10 another URL is another client, no grant moves
due U11 the root path is seen by policy as a warning
due U12 a document must be there
due U13 canonical spelling only

due D1 a JSON object, nothing else
due D2 client_id is there, spelled so, a string
due D3 client_id is the identifier, as a string
due D4 only status 200 serves a document
due D5 application/json or application/*+json
due D6 a profile may ask for more
due D7 no method with a shared secret
due D8 no client_secret members, not even empty ones
due D9 no private or symmetric key
due D10 D7 to D9 hold inside a software statement that is consulted
due D11 an unverified software statement changes nothing
due D12 no shared-secret method in the plural list either
due D13 neither auth member means none
due D14 a plural list without the singular never means none
due D15 the singular is in the plural list
due D16 one method we have is enough
due D17 no method we have: refused with its own reason
due D18 policy may narrow the methods
due D19 client_id_expires_at is an unknown member
due D20 unknown members are ignored; jwks and jwks_uri exclude each other

due F1 an unknown identifier is fetched once
due F2 a stale document is fetched again at the start of a flow
due F3 a document the operator stored is not fetched
due F4 every status but 200 is an error
due F5 no redirect is followed
due F6 a failed fetch ends the request on this server
due F7 a fresh document is not fetched
due F8 HTTP freshness inside our bounds
due F9 an error answer is never kept
due F10 an invalid document is never kept
due F11 no special-use address, for no URL a stranger can name
due F12 documents on loopback in development only
due F13 an egress proxy keeps the guard
due F14 dangerous schemes refuse the document
due F15 reading stops at the limit, and that is an error
due F16 nothing of a logo reaches a browser from its host
due F17 Accept: application/json is sent
due F18 the GET is the client_id byte for byte, without credentials

due A1 redirect URIs match as strings
due A2 no redirect URI is needed without a redirect grant
due A3 the metadata flag says what the server does
due A4 identifiers this server makes never begin with https://
due A5 the row says how the client came to be known
due A6 the redirect URI's relation to the identifier is policy
due A7 a client with a key authenticates every call
due A8 RFC 7523 is enforced with a key of the document
due A9 typ and algorithm of an assertion are on a list
due A10 what changes in a document is told apart
due A11 a client that is not fetched shows all we know
due A12 the consent page shows the identifier's host in ASCII
due A13 policy decides on the URL before any fetch
due A14 a CIMD service is told apart only by its URL
due A15 identity is the URL; grants do not move to another

due Q1 unsupported values are cut; refused only when nothing is left
due Q2 security members and display members have digests of their own
due Q3 three clocks; a withdrawn document ends the grace
due Q4 any port for http loopback, localhost too
due Q5 application_type is informative
due Q6 a refresh token only if document and policy allow
due Q7 keys rotate without revocation; unknown kid refetches
due Q8 scope is the request cut by the policy; the document never widens
due Q9 failures pace, they are not kept as answers
due Q10 jwks_uri is https, dangerous schemes refuse, other display URIs drop
due Q11 logos are off
due Q12 a redirect is refused and its target only logged
due Q13 identifiers compare byte for byte
due Q14 policy on the URL first, then the fetch
due Q15 a query needs a policy that allows it
due Q16 the audience is the issuer alone; two typ values or none
due Q17 5 KiB by default, 64 KiB at most
due Q18 consent is never skipped for loopback or a private scheme
due Q19 a new grant never ends another
due Q20 403 and 429 are transient; pinning is the remedy
due Q21 a client's identifier is never a person's or an issuer's

due PF-01 with CIMD off a URL is an unknown client
due PF-10 the client exists before anybody signs in
due PF-11 a client ends at its time
due PF-12 a dead client goes when it is next met
due PF-13 a sweeper too, and what happens to live tokens
due PF-14 cache floor and ceiling, to the second
due PF-15 cache bounds are checked at load
due PF-16 size limit from 1 to 65,536 bytes
due PF-17 one deadline for connect and read
due PF-18 retries for network errors and statuses, never for redirects
due PF-19 loopback redirects only where a policy says so
due PF-20 same origin redirects unless a policy waives it
due PF-22 an assertion counts once, over a restart too
due PF-38 clients survive a kill
due SN-01 pinned only: the listed URL works, its sibling does not
due SN-02 one fetch while fresh
due SN-03 a pinned document is never fetched
due SN-04 live and static switch at the next flow
due SN-05 one hour by default
due SN-06 fetches only at the start of a flow
due SN-07 a bad document that is mended works at once
due SN-11 redirect URIs are needed and match exactly
due SN-12 localhost only where switched on
due SN-18 a client can be switched off
due SN-19 preview shows and stores nothing
due SN-20 clients are listed with filters, as CSV and JSON
due SN-22 the approved document stays in force until a new one is approved
due CU-03 a policy gives all scopes or selected ones
due CU-04 each capability is on only where a policy says so
due CU-05 a document without a usable capability is refused
due CU-06 keys by jwks_uri, refetched on an unknown kid once a minute
due CU-07 methods with shared secrets are refused
due CU-08 jwks_uri of the same origin unless waived
due CU-09 links, terms and logos of the same origin unless waived
due CU-11 fetches have their own trust store and proxy
due CU-17 a stored client wins over CIMD
due CU-22 nothing is needed but a temporary file
due H-01 liveness is computed at each request
due H-02 a block comes before any fetch
due H-03 blocking says how many grants end
due H-05 narrowed scopes narrow live grants
due H-10 operators' acts are events with an actor
due G-07 revoke by host, URL, policy or label
due G-08 reaction to a changed document, by what changed
due G-09 another key under a known kid is an event
due G-10 a code is bound to the document that was approved
due G-11 a grant belongs to one installation
due G-12 a document that is gone has a grace of limited length
due G-13 each switch says what it stops
due G-18 private networks only for exact URLs
due G-25 admit and advertise are two switches
due G-27 refresh purges, fetches, and has a cooldown

due B1 a remembered consent still asks for a click
due B2 no redirect is followed, wherever it leads
due B3 the address that was checked is the one dialled
due B4 document and key URLs use the guarded door
due B5 a public name that resolves to loopback
due B6 http identifiers on loopback
due B7 every spelling of an inner address
due B8 a document rotated between sign-in and code
due B9 sector_identifier_uri is dropped
due B10 logout and request URIs are dropped
due B11 CIBA members are dropped
due B12 post-logout redirect URIs are dropped
due B13 policy sees every registered redirect URI
due B14 rows and fetches are capped, failures leave none
due B15 PKCE and redirect rules hold on the first request
due B16 audiences survive two refreshes
due B17 code exchange after a restart and after expiry of the cache
due B18 scope may be missing everywhere
due B19 unknown grant types do not kill a document
due B20 scalar and plural auth methods together
due B21 loopback on any port, three hosts
due B22 identifiers as path segments and row keys
due B23 a withdrawn redirect URI does not live on in a cache
due B24 404 and 410 end a stale copy, trouble does not
due B25 one fetch for a refused request, then none
due B26 one caller's cancel is nobody else's failure
due B27 a no-store document through a whole flow
due B28 parallel first requests make one row
due B29 an operator's client is never overwritten
due B30 switched off or narrowed ends tokens too
due B31 a failed fetch is not an unknown client, inside
due B32 403 with HTML names its remedy
due B33 another installation's grant lives on
due B34 hosts stand before names on the consent page
due B35 strangers cannot tell fetch failures apart
due B36 cache arithmetic does not overflow
due B37 304 counts only for a copy we hold
due B38 the deadline covers the body
due B39 revocation and refresh without the document host
due B40 refused identifiers do not flood the log
due B41 no row without redirect URIs
due B42 private and symmetric keys refuse the document

open M2 CIMD is advertised and works
open M3 no dynamic registration
open M4 metadata at each well-known location
open M5 the issuer is the exact string
open M6 S256 is advertised
open M7 none and CIMD are both advertised
open M10 HTTP cache headers are respected
open M11 client_id, client_name and redirect_uris are needed
open M12 redirect_uri is checked against the document
open M13 private_key_jwt with keys
open M15 iss in every authorization response
open M16 the iss parameter is advertised
open M17 resource decides the audience
open M18 scheme and host of a resource in any case
open M20 access tokens are short-lived
open M21 refresh tokens rotate
due M22 no refresh token without the grant type
open M24 redirect URIs are https or loopback
open M25 redirect URIs match exactly
open M26 no redirect to an untrusted URI
open M27 PKCE S256 always
open M28 a warning for loopback clients
open M30 the redirect host is shown
due M34 larger scopes ask again

due X1 no parameter twice but resource
due X2 PKCE always, and no transform but S256
due X3 never 307 behind a form
due X4 a code counts once, for its client and challenge
due X5 no open redirector
due X6 refresh tokens rotate
due X8 a private scheme has a period
due X9 metadata at the locations of RFC 8414
due X10 iss in success and error
due X11 resources are absolute URIs, and never more than was allowed
open X12 a protected resource points to this issuer
due X13 access tokens are those of RFC 9068
due X15 iss, sub, aud and exp of an assertion
due X19 revocation without the document host
due X20 introspection for authenticated resources alone
due X21 freshness as a shared cache has it
due X24 token answers are JSON and never stored
open M37 client credentials need authentication
due PF-02 policy matches before the fetch
due PF-03 only enabled policies match
due PF-04 patterns with wildcards
due PF-05 a pattern has a scheme and a host
due PF-06 several patterns in one policy
due PF-07 overlaps have an order
due PF-08 policies carry metadata
due PF-09 policies change without a restart
due PF-35 a policy labels the clients it makes
open PF-21 loopback documents in development only
open PF-24 PKCE is required
open PF-26 the knobs of refresh tokens
due PF-36 events are named
due PF-37 audit at the normal level
due PF-39 a document never widens a policy
open SN-08 JSON content type
open SN-09 client_id equals the URL
open SN-10 https, a path, no dot segments
open SN-13 public clients use PKCE and code
due SN-14 consent shows the client
due SN-15 lifetimes are settable
due SN-17 listed scopes, or every scope of the resource
open SN-16 opaque tokens or JWT
due CU-01 fresh configuration admits nobody
due CU-02 domains match whole labels
open CU-12 caps refuse new clients, nothing old is evicted
open CU-13 lifetimes by policy
open CU-16 a key that left the document fails
due CU-21 the audit has an event for tokens, client authentication, consent and revocation
due H-04 settings are completed member by member
open H-06 a person who leaves a group
due H-09 consent is skipped only by an exact URL
due G-01 every refusal has a reason and a request id
due G-02 policy eval is the live decision
due G-04 a record can be decided again
due G-05 two URLs on one host differ
due G-14 policy is asked at every refresh
open G-15 budgets and caps
open G-16 one flight for a URL
open G-17 success never paces
open G-19 fetch failures look alike in text, status and time
open G-20 revocation by possession without a fetch
open G-21 the consent page shows hosts first
due G-23 real documents are admitted
due G-29 each event is fired once by a scenario
due G-30 metrics have a closed label set
due G-28 people see and end their grants
due G-34 a broken bundle changes nothing
`)

// readRequirements reads lines of "due|open id what".
func readRequirements(text string) []requirement {
	var all []requirement
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		when, rest, _ := strings.Cut(line, " ")
		id, what, _ := strings.Cut(rest, " ")
		all = append(all, requirement{id: id, what: what, due: when == "due"})
	}
	return all
}
