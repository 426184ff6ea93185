package decisionlog

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
)

// Sealed is a record as it is stored: two byte strings that never change. The
// header holds no personal data, nor anything that a policy computed; the body
// does, and can be erased without touching the header, which covers it by a
// salted digest.
type Sealed struct {
	Seq    uint64 // position in the log, from 1, without gaps
	Header []byte // canonical JSON with seq and body_digest
	Body   []byte // JSON of the personal members; nil once erased
	Salt   []byte // 16 random bytes; erased with the body
}

// header is the stored form of the first part of a record.
type header struct {
	Seq        uint64 `json:"seq"`
	BodyDigest string `json:"body_digest"` // hex sha256 of salt, then body
	Record
}

// body holds the members that may be erased.
type body struct {
	Detail string          `json:"detail,omitempty"`
	Source string          `json:"source,omitempty"`
	Input  json.RawMessage `json:"input,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`

	// What policies computed of members that stand in the header otherwise.

	Settings  json.RawMessage   `json:"settings,omitempty"`
	Effective json.RawMessage   `json:"effective,omitempty"`
	Texts     map[string]string `json:"texts,omitempty"` // by the JSON pointer to where they belong
}

// Seal gives r its place in the log. It is pure but for the salt.
func Seal(seq uint64, r Record) (Sealed, error) { return new(Sealer).Seal(seq, r) }

// Sealer seals one record after the other, for one goroutine, in memory that it
// uses again. The zero value is ready.
type Sealer struct {
	h     header
	b     body
	first spliced // what h becomes
	rest  spliced // what b becomes
	salt  [16]byte
}

// Seal is the function of that name, but what it returns ends with the next
// call.
func (s *Sealer) Seal(seq uint64, r Record) (Sealed, error) {
	r, s.b = r.part()
	s.first.begin(r.made)
	s.rest.begin(r.made)
	s.b.Input, s.b.Result = s.rest.take("input", s.b.Input), s.rest.take("result", s.b.Result)
	s.b.Settings, s.b.Effective = s.rest.take("settings", s.b.Settings), s.rest.take("effective", s.b.Effective)
	b, err := s.rest.marshal(&s.b)
	if err != nil {
		return Sealed{}, fmt.Errorf("seal record %s: %w", r.DecisionID, err)
	}
	rand.Read(s.salt[:])
	s.h = header{Seq: seq, BodyDigest: bodyDigest(s.salt[:], b), Record: r}
	s.h.Settings, s.h.Effective = s.first.take("settings", r.Settings), s.first.take("effective", r.Effective)
	s.h.Timestamp = r.Timestamp.UTC()
	h, err := s.first.marshal(&s.h)
	if err != nil {
		return Sealed{}, fmt.Errorf("seal record %s: %w", r.DecisionID, err)
	}
	return Sealed{Seq: seq, Header: h, Body: b, Salt: s.salt[:]}, nil
}

// bodyDigest is the digest by which a header covers a body.
func bodyDigest(salt, body []byte) string {
	h := sha256.New()
	h.Write(salt)
	h.Write(body)
	var sum [sha256.Size]byte
	return hex.EncodeToString(h.Sum(sum[:0]))
}

// Record returns the whole record; the members of an erased body are empty.
func (s Sealed) Record() (Record, error) {
	var h header
	if err := json.Unmarshal(s.Header, &h); err != nil {
		return Record{}, fmt.Errorf("record %d: %w", s.Seq, err)
	}
	if s.Body == nil {
		return h.Record, nil
	}
	if bodyDigest(s.Salt, s.Body) != h.BodyDigest {
		return Record{}, fmt.Errorf("record %d: the body does not match the header's digest", s.Seq)
	}
	var b body
	if err := json.Unmarshal(s.Body, &b); err != nil {
		return Record{}, fmt.Errorf("record %d: %w", s.Seq, err)
	}
	h.rejoin(b)
	return h.Record, nil
}

// JSON returns the record as one JSON object, header and body together, with
// its sequence number: the form that exporters and commands show. Of an erased
// one it says so, as body_erased.
func (s Sealed) JSON() ([]byte, error) {
	if joined, ok := s.join(); ok {
		return joined, nil
	}
	r, err := s.Record()
	if err != nil {
		return nil, err
	}
	return json.Marshal(struct {
		Seq uint64 `json:"seq"`
		Record
		BodyErased bool `json:"body_erased,omitempty"`
	}{Seq: s.Seq, Record: r, BodyErased: s.Body == nil})
}

// join is what JSON says, out of the stored bytes as they are: decoding and
// encoding them again costs several times that. It reports false for bytes that
// Seal does not write, and where something of the body has its place in the
// header; the digest proves the body.
func (s Sealed) join() ([]byte, bool) {
	seq := fmt.Appendf(nil, `{"seq":%d,`, s.Seq)
	head, digested := bytes.CutPrefix(s.Header, append(slices.Clip(seq), `"body_digest":"`...))
	digest, head, more := bytes.Cut(head, []byte(`",`))
	if !digested || !more || !json.Valid(s.Header) || bytes.ContainsAny(s.Header, "\r\n") || bytes.Contains(s.Header, []byte(`"computed":[`)) {
		return nil, false
	}
	tail := []byte(`"body_erased":true}`)
	if s.Body != nil {
		var object bool
		if tail, object = bytes.CutPrefix(s.Body, []byte{'{'}); !object || string(digest) != bodyDigest(s.Salt, s.Body) {
			return nil, false
		}
	}
	if len(tail) == 1 {
		return slices.Concat(seq, head), true
	}
	return slices.Concat(seq, head[:len(head)-1], []byte{','}, tail), true
}

// LeafHash is the RFC 6962 leaf hash over the stored header bytes.
func (s Sealed) LeafHash() [32]byte {
	return sha256.Sum256(append([]byte{0}, s.Header...))
}
