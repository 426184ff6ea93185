package cimd

import "encoding/json"

// ParseJWKS decodes a JWK Set as a jwks_uri served it (RFC 7517 section 5),
// as strictly as a document, and returns it as Document.JWKS would hold it:
// the keys that can verify a signature, reduced to their public members. The
// error is an *Error: document_not_json, document_private_key when private or
// symmetric material is anywhere in it, document_member_invalid when it is no
// key set or none of its keys is usable.
//
// ParseJWKS does not look at the size of body or its media type.
func ParseJWKS(body []byte) (json.RawMessage, error) {
	published, fail := decodeStrict(body)
	if fail != nil {
		return nil, fail
	}
	r := &reader{members: map[string]any{"jwks": published}}
	if fail := r.keys(); fail != nil {
		return nil, fail
	}
	if r.doc.JWKS == nil {
		return nil, &Error{reasonMember, "A8", "the key set has no key that can verify a signature"}
	}
	return r.doc.JWKS, nil
}
