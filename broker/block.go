package broker

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"

	"guestlist/broker/cimd"
	"guestlist/broker/decisionlog"
)

// Covers reports whether the block keeps the client out: by its identifier, or
// by the document that its row holds.
func (b Block) Covers(c Client) bool {
	if b.Kind == BlockDocument {
		return b.Value == c.DocumentSHA256
	}
	id, err := cimd.Parse(c.ID)
	if err != nil {
		return false
	}
	for _, k := range idBlocks(id) {
		if k.kind == b.Kind && k.value == b.Value {
			return true
		}
	}
	return false
}

// blockKey is what a block is looked up by.
type blockKey struct {
	kind   BlockKind
	value  string
	reason Reason // of a refusal by it
}

// idBlocks are the blocks that could cover an identifier, narrowest first.
func idBlocks(id cimd.ID) []blockKey {
	if id.IsOpaque() {
		return nil
	}
	keys := []blockKey{{BlockURL, id.String(), ReasonClientBlocked}, {BlockHost, id.Host, ReasonHostBlocked}}
	if domain := id.RegistrableDomain(); domain != "" {
		keys = append(keys, blockKey{BlockDomain, domain, ReasonHostBlocked})
	}
	return keys
}

// documentBlock is the block that could cover a document.
func documentBlock(sha256 string) blockKey {
	return blockKey{BlockDocument, sha256, ReasonDocumentBlocked}
}

// checked returns the block with a canonical value, or says what is wrong.
func (b Block) checked() (Block, error) {
	switch b.Kind {
	case BlockURL:
		if !cimd.LooksLikeURL(b.Value) {
			return b, Refuse(ReasonRequestInvalid, "block a URL: %.300q is none. Remedy: write the client identifier, https:// included; a registered client with another name ends in the configuration", b.Value)
		}
		if _, err := cimd.Parse(b.Value); err != nil {
			return b, &Error{Reason: ReasonRequestInvalid, Err: fmt.Errorf("block a URL: %w", err)}
		}
	case BlockHost, BlockDomain:
		b.Value = strings.ToLower(b.Value)
		id, err := cimd.Parse("https://" + b.Value + "/x")
		switch {
		case err != nil:
			return b, &Error{Reason: ReasonRequestInvalid, Err: fmt.Errorf("block a %s: %w", b.Kind, err)}
		case id.Port != "" || id.Host != b.Value:
			return b, Refuse(ReasonRequestInvalid, "block a %s: %.300q is more than a name; a block holds for every port", b.Kind, b.Value)
		case b.Kind == BlockDomain && id.RegistrableDomain() == "":
			return b, Refuse(ReasonRequestInvalid, "block a domain: %s is a public suffix, under which strangers register; block a host, or one domain under it", b.Value)
		case b.Kind == BlockDomain && id.RegistrableDomain() != b.Value:
			return b, Refuse(ReasonRequestInvalid, "block a domain: %s is a host of %s; block the host, or the domain", b.Value, id.RegistrableDomain())
		}
	case BlockDocument:
		b.Value = strings.ToLower(b.Value)
		if sum, err := hex.DecodeString(b.Value); err != nil || len(sum) != 32 {
			return b, Refuse(ReasonRequestInvalid, "block a document: %.100q is no SHA-256 in hex (64 digits)", b.Value)
		}
	default:
		return b, Refuse(ReasonRequestInvalid, "there is no block of a %.40q; block a url, host, domain or document", b.Kind)
	}
	return b, nil
}

// Block stages a block and its record client.blocked. From the commit on the
// client is refused wherever it is met, before policy is asked and anything is
// fetched, and ended there; EndCovered ends at once those that hold a grant and
// are not met. The value is made canonical (host names and digests in lower
// case); one that names nothing is refused with request_invalid. Kind, Value,
// Reason and Actor are taken from block; the time is the clock's.
func (b *Broker) Block(ctx context.Context, u Unit, block Block) error {
	block, err := block.checked()
	if err != nil {
		return err
	}
	block.At = b.cfg.Now().UTC()
	r, err := b.act(ctx, u, decisionlog.EventClientBlocked, block.Actor)
	if err != nil {
		return err
	}
	u.PutBlock(block)
	block.describe(&r)
	u.Append(r)
	return nil
}

// Unblock stages the end of a block and its record client.unblocked. A block
// that is not there is refused with request_invalid.
//
// What was ended stays ended, but Unblock does not end anything itself: the
// caller first ends all that the block covers (EndCovered over every page of
// clients), or a client that nobody met since would come back with its grants.
func (b *Broker) Unblock(ctx context.Context, u Unit, actor string, kind BlockKind, value string) error {
	block, err := Block{Kind: kind, Value: value}.checked()
	if err != nil {
		return err
	}
	block, found, err := u.Blocked(ctx, kind, block.Value)
	if err != nil {
		return &Error{Reason: ReasonStoreUnavailable, Err: err}
	}
	if !found {
		return Refuse(ReasonRequestInvalid, "there is no block of the %s %.300q", kind, value)
	}
	r, err := b.act(ctx, u, decisionlog.EventClientUnblocked, actor)
	if err != nil {
		return err
	}
	u.DropBlock(kind, block.Value)
	block.describe(&r)
	u.Append(r)
	return nil
}

// describe says in a record what is blocked and why.
func (b Block) describe(r *decisionlog.Record) {
	r.Detail = fmt.Sprintf("%s %s: %s", b.Kind, b.Value, b.Reason)
	switch b.Kind {
	case BlockURL:
		r.ClientID = b.Value
	case BlockDocument:
		r.DocumentSHA256 = b.Value
	}
}

// EndCovered stages the end of those of these clients that the block covers,
// and of their grants, each with its record, and says how many. The caller
// commits u; a conflict means that one of them moved, and the page is to be
// read and asked about again.
func (b *Broker) EndCovered(ctx context.Context, u Unit, block Block, rows []Client) (int, error) {
	block, err := block.checked()
	if err != nil {
		return 0, err
	}
	n := 0
	for _, row := range rows {
		if !block.Covers(row) {
			continue
		}
		c, err := b.meeting(ctx, u, row)
		if err != nil {
			return n, err
		}
		c.end(ending{reason: block.ends(), why: "the " + string(block.Kind) + " " + block.Value + " is blocked: " + block.Reason, actor: block.Actor})
		n++
	}
	return n, nil
}

// ends is the reason of a refusal or an end by the block.
func (b Block) ends() Reason {
	switch b.Kind {
	case BlockURL:
		return ReasonClientBlocked
	case BlockDocument:
		return ReasonDocumentBlocked
	}
	return ReasonHostBlocked
}

// keptOut refuses a client that is blocked by its identifier or by a document
// that is known without a fetch, and ends the one that lives.
func (c *call) keptOut() error {
	keys := idBlocks(c.id)
	if c.live {
		keys = append(keys, documentBlock(c.row.DocumentSHA256))
	}
	if c.given != nil {
		keys = append(keys, documentBlock(c.given.sha256))
	}
	return c.anyBlock(keys)
}

// anyBlock refuses by the first of these blocks that is there, and ends the
// client that lives.
func (c *call) anyBlock(keys []blockKey) error {
	err := c.blocked(keys)
	if err == nil {
		return nil
	}
	if c.live && err.Reason != ReasonStoreUnavailable {
		c.prune(err.Reason, err.Err.Error())
	}
	return err
}

// keysKeptOut refuses to have keys fetched from where a block holds. The client
// stays: it is not what was blocked, and may come to name another place.
func (c *call) keysKeptOut() error {
	id, err := cimd.Parse(c.row.Document.JWKSURI)
	if err != nil {
		return nil // there is no jwks_uri
	}
	if err := c.blocked(idBlocks(id)); err != nil {
		return err
	}
	return nil
}

// blocked is the refusal by the first of these blocks that is there. A store
// that cannot say refuses too.
func (c *call) blocked(keys []blockKey) *Error {
	for _, k := range keys {
		block, found, err := c.u.Blocked(c.ctx, k.kind, k.value)
		if err != nil {
			return &Error{Reason: ReasonStoreUnavailable, Err: err}
		}
		if found {
			return &Error{Reason: k.reason, Err: errText(fmt.Sprintf("the %s %s is blocked: %s", k.kind, k.value, block.Reason))}
		}
	}
	return nil
}
