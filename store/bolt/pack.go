package bolt

import (
	"bytes"
	"compress/flate"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"guestlist/broker/decisionlog"
)

// recordDict is what records have in common. Like the format of the file it
// never changes: another dictionary gets another number.
//
//go:embed record.dict
var recordDict []byte

// deflated and coded stand in front of a record that is compressed with
// recordDict, where an early program wrote the length of the header, which is
// not zero. What is coded lacks the whole bytes of recordCode.
var (
	deflated = []byte{0, 1}
	coded    = []byte{0, 2}
)

// recordMax bounds what a compressed record may become.
const recordMax = 64 << 20

// packer compresses records, for one goroutine. The zero value is ready.
type packer struct {
	short *deflater
	code  []byte
	out   bytes.Buffer
	w     *flate.Writer
}

// pack keeps the three byte strings of a record as they are, each but the
// last behind its length, all compressed. What it returns ends with the next
// call.
func (p *packer) pack(s decisionlog.Sealed) ([]byte, error) {
	if p.short == nil {
		p.short = newDeflater()
	}
	if out, ok := p.short.deflate(append(p.code[:0], coded...), parts(s)...); ok {
		p.code = out
		return out, nil
	}
	return p.packLong(parts(s))
}

// parts are what is compressed of a record.
func parts(s decisionlog.Sealed) [][]byte {
	return [][]byte{
		binary.AppendUvarint(nil, uint64(len(s.Header))), s.Header,
		binary.AppendUvarint(nil, uint64(len(s.Salt))), s.Salt, s.Body,
	}
}

// packLong compresses what a deflater does not take.
func (p *packer) packLong(parts [][]byte) ([]byte, error) {
	p.out.Reset()
	p.out.Write(deflated)
	var err error
	if p.w == nil {
		// Higher levels cost more and save a few bytes.
		p.w, err = flate.NewWriterDict(&p.out, 3, recordDict)
	} else {
		p.w.Reset(&p.out)
	}
	for _, part := range parts {
		if err == nil {
			_, err = p.w.Write(part)
		}
	}
	if err == nil {
		err = p.w.Close()
	}
	return p.out.Bytes(), err
}

// unpacker undoes a packer, for one goroutine. The zero value is ready.
type unpacker struct{ r io.ReadCloser }

// unpack returns the parts of a record; they may point into raw.
func (u *unpacker) unpack(raw []byte) (header, salt, body []byte, err error) {
	switch {
	case bytes.HasPrefix(raw, deflated):
		raw, err = u.inflate(raw[len(deflated):])
	case bytes.HasPrefix(raw, coded):
		raw, err = u.inflate(slices.Concat(recordCode[:recordCodeBits/8], raw[len(coded):]))
	}
	if err != nil {
		return nil, nil, nil, err
	}
	header, rest, ok := cutField(raw)
	salt, body, ok2 := cutField(rest)
	if !ok || !ok2 {
		return nil, nil, nil, errors.New("the record is missing or cut short")
	}
	return header, salt, body, nil
}

func (u *unpacker) inflate(raw []byte) ([]byte, error) {
	if u.r == nil {
		u.r = flate.NewReaderDict(bytes.NewReader(raw), recordDict)
	} else if err := u.r.(flate.Resetter).Reset(bytes.NewReader(raw), recordDict); err != nil {
		return nil, err
	}
	out, err := io.ReadAll(io.LimitReader(u.r, recordMax))
	switch {
	case err != nil:
		return nil, fmt.Errorf("the record cannot be decompressed: %w", err)
	case len(out) == recordMax:
		return nil, errors.New("the record is too long")
	}
	return out, nil
}

func cutField(raw []byte) (field, rest []byte, ok bool) {
	n, size := binary.Uvarint(raw)
	if size <= 0 || n > uint64(len(raw)-size) {
		return nil, nil, false
	}
	return raw[size : size+int(n)], raw[size+int(n):], true
}
