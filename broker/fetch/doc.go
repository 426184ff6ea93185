// Package fetch holds the only outbound HTTP of the program.
//
// It has two doors. Operator is for addresses that stand in the configuration.
// Guarded is for addresses a stranger can choose: a client names itself by a
// URL, so whoever sends an authorization request decides where this server
// connects. Guarded therefore trusts nothing about the target and little about
// the answer:
//
//   - the host is an ASCII DNS name with a dot, the port 443 unless the caller
//     allows the port the identifier spells out;
//   - the name is resolved once a try, rooted, and every answer must be a global
//     unicast address (see AllowedAddr) or in a range that the policy of this
//     exact URL opens (see Openable), and in none that the configuration blocks;
//     a name with one bad answer is refused;
//   - only a checked address is dialled, and it is checked again in the
//     dialer's control hook, on the address the socket is about to use;
//   - HTTP/1.1 over TLS 1.2 or later, always verified; one request a try, no
//     redirects, no cookies, no credentials, no compression; an egress proxy only
//     where the configuration or the policy names one, never the environment;
//   - status 200 and a JSON media type, or it is an error;
//   - one deadline covers all of it, waiting for a free slot and reading the
//     body included; headers and body are bounded.
//
// What it does not do: parse the document, decide whether the client is
// welcome, pace, count budgets, or keep anything. Errors are never
// cached (draft-ietf-oauth-client-id-metadata-document, section 5.2). It does
// not check certificate revocation. A network that translates its own IPv6
// prefix to IPv4 (RFC 6052, network-specific prefix) cannot be recognised from
// the address; such a network needs an egress filter.
package fetch
