// Package cimd recognises client identifier URLs and validates client ID
// metadata documents (draft-ietf-oauth-client-id-metadata-document), under the
// profile that the Model Context Protocol asks for or under the draft alone.
//
// It is a library of pure functions: it opens no connection, reads no clock
// and keeps no state, so every result depends on the arguments alone and all
// functions may be called from many goroutines at once. Bringing the bytes of
// a document here, with the checks on address, status, content type and size,
// is the work of package fetch. Deciding whether a well-formed client may come
// in is the work of policy.
//
// Two rules run through the package. Identifiers and redirect URIs are
// compared byte for byte and never rewritten: what cannot be read in exactly
// one way is refused, because two parsers that disagree about a URL are a way
// in. And only members named in [Document] survive: a member that would make
// the server fetch or post somewhere else (sector_identifier_uri,
// request_uris, backchannel_logout_uri and the like) is gone after
// [ParseDocument], so that no later code has to remember to check it.
//
// Rule ids in [Error.Rule] name the requirement that was broken: U for the
// identifier URL, D for the document, A, F, M, Q and X for the rules around
// them, or the section of an RFC.
package cimd
