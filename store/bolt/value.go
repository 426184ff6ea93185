package bolt

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"strconv"
	"time"

	"guestlist/store"
)

// valueVersion is the first byte of every value.
const valueVersion = 1

// valueHead is the length of version and checksum in front of a payload.
const valueHead = 1 + crc32.Size

// keyShown bounds how many bytes of a key an error repeats.
const keyShown = 100

// seal puts the version and the checksum in front of payload, which may come
// in parts.
func seal(b bucket, key []byte, payload ...[]byte) []byte {
	n := valueHead
	for _, part := range payload {
		n += len(part)
	}
	v := make([]byte, valueHead, n)
	v[0] = valueVersion
	for _, part := range payload {
		v = append(v, part...)
	}
	binary.BigEndian.PutUint32(v[1:], checksum(b, key, v))
	return v
}

// unseal returns the payload of value; it points into value.
func unseal(b bucket, key, value []byte) ([]byte, error) {
	switch {
	case len(value) < valueHead:
		return nil, damaged(b, key, "the value is cut short")
	case binary.BigEndian.Uint32(value[1:]) != checksum(b, key, value):
		return nil, damaged(b, key, "the checksum does not match")
	case value[0] != valueVersion:
		return nil, damaged(b, key, fmt.Sprintf("the value has format %d, this program reads %d", value[0], valueVersion))
	}
	return value[valueHead:], nil
}

// checksum covers everything but its own place in value. Bucket and key are
// part of it so that a value found under another key is noticed.
func checksum(b bucket, key, value []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Update(0, table, lengthPrefixed(string(b)))
	sum = crc32.Update(sum, table, lengthPrefixed(string(key)))
	sum = crc32.Update(sum, table, value[:1])
	return crc32.Update(sum, table, value[valueHead:])
}

// damaged is the error for a row that cannot be what was written.
func damaged(b bucket, key []byte, why string) error {
	return fmt.Errorf("%w: bucket %s, key %s: %s; the file is damaged, restore a backup", store.ErrUnavailable, b, quoted(string(key)), why)
}

// quoted makes any key fit for a log line.
func quoted(key string) string {
	if len(key) <= keyShown {
		return strconv.QuoteToASCII(key)
	}
	return fmt.Sprintf("%s… (%d bytes)", strconv.QuoteToASCII(key[:keyShown]), len(key))
}

// lengthPrefixed makes s self-delimiting, so that any byte may occur in it.
func lengthPrefixed(s string) []byte {
	k := make([]byte, 0, len(s)+binary.MaxVarintLen32+12)
	k = binary.AppendUvarint(k, uint64(len(s)))
	return append(k, s...)
}

// timeKey orders as time does, for every time that Go can hold.
func timeKey(t time.Time) []byte {
	k := make([]byte, 0, 64)
	k = binary.BigEndian.AppendUint64(k, uint64(t.Unix())^1<<63)
	return binary.BigEndian.AppendUint32(k, uint32(t.Nanosecond()))
}

// timeKeyLen is the length of every timeKey.
const timeKeyLen = 12

// encode is JSON with the error that the contract asks for.
func encode(b bucket, key []byte, row any) ([]byte, error) {
	raw, err := json.Marshal(row)
	if err != nil {
		return nil, fmt.Errorf("%w: encode bucket %s, key %s: %w", store.ErrUnavailable, b, quoted(string(key)), err)
	}
	return raw, nil
}
