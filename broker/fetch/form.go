package fetch

import (
	"context"
	"strings"
	"time"

	"guestlist/broker/cimd"
)

// maxJWKSBytes is the largest key set accepted.
const maxJWKSBytes = 12 << 10

// form is what an answer must be: the Accept header, and which media types do,
// in lower case and without parameters.
type form struct {
	accept string
	admits func(mediaType string) bool
}

var (
	documentForm = form{accept: "application/json", admits: isJSON}
	jwksForm     = form{accept: "application/jwk-set+json, application/json", admits: isKeySet}
)

// isJSON admits application/json and application/*+json (section 4 of the
// client metadata draft).
func isJSON(mediaType string) bool {
	name, isApplication := strings.CutPrefix(mediaType, "application/")
	name, isSuffixed := strings.CutSuffix(name, "+json")
	return mediaType == "application/json" || isApplication && isSuffixed && name != ""
}

// isKeySet admits the media type of RFC 7517 section 8.5 and plain JSON.
func isKeySet(mediaType string) bool {
	return mediaType == "application/jwk-set+json" || mediaType == "application/json"
}

// JWKSLimits gives 12 KiB, floor 60 s, default 1 h, ceiling 24 h, port 443
// only.
func JWKSLimits() Limits {
	return Limits{MaxBytes: maxJWKSBytes, Floor: time.Minute, Default: time.Hour, Ceiling: 24 * time.Hour}
}

// JWKS fetches the key set that the jwks_uri of a document names. What is said
// of Document holds for it, but that only application/json and
// application/jwk-set+json are accepted. url is a jwks_uri taken apart by
// cimd.Parse, whose rules it shares. See JWKSLimits.
//
// JWKS does not check that the body is a key set, nor whose it is.
func (g *Guarded) JWKS(ctx context.Context, url cimd.ID, lim Limits) (Document, error) {
	return g.bring(ctx, url, lim, Held{}, jwksForm)
}
