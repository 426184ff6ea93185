package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	"guestlist/broker/decisionlog"
	"guestlist/server/admin"
)

// exportLineMax bounds the last line of a file that an export goes on in.
const exportLineMax = 64 << 20

// goesOn refuses a file that an export must not be added to: its last line is
// in another view, no record, behind f.After, or half a line. What must be
// written before the first record is returned, a line break where a whole
// record has none.
func goesOn(path string, f admin.RecordFilter) (before string, err error) {
	info, err := os.Stat(path)
	if os.IsNotExist(err) || err == nil && (!info.Mode().IsRegular() || info.Size() == 0) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("--file: %w", err)
	}
	line, err := lastOf(path, info.Size())
	if err != nil {
		return "", fmt.Errorf("--file: %w", err)
	}
	ended := bytes.HasSuffix(line, []byte("\n"))
	view, seq, ok := readExported(line)
	switch {
	case !ok && !ended:
		return "", fmt.Errorf("--file: %s ends with half a line. Remedy: truncate -s %d %s takes it out; then go on with --after and the number of the record before",
			path, info.Size()-int64(len(line)), path)
	case !ok:
		return "", fmt.Errorf("--file: the last line of %s is no record. Remedy: name another file", path)
	case view != "" && view != f.View:
		return "", fmt.Errorf("--file: %s is in the view %s. Remedy: go on with --view %s, or name another file", path, view, view)
	case seq > f.After:
		return "", fmt.Errorf("--file: %s has the records up to %d already. Remedy: go on with --after %d", path, seq, seq)
	case !ended:
		return "\n", nil
	}
	return "", nil
}

// lastOf reads the last line of a file of that size, its line break included
// where it has one.
func lastOf(path string, size int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	for n := int64(64 << 10); ; n *= 4 {
		b := make([]byte, min(n, size))
		if _, err := file.ReadAt(b, size-int64(len(b))); err != nil {
			return nil, fmt.Errorf("read the end of %s: %w", path, err)
		}
		at := bytes.LastIndexByte(b[:len(b)-1], '\n') + 1
		switch {
		case at > 0 || int64(len(b)) == size:
			return b[at:], nil
		case n > exportLineMax:
			return nil, fmt.Errorf("the last line of %s has more than %d bytes: it is no record", path, exportLineMax)
		}
	}
}

// readExported tells the view and the sequence number of an exported line. A
// record that could not be read has no view.
func readExported(line []byte) (view string, seq uint64, ok bool) {
	var r struct {
		Seq          uint64
		ReqID        uint64 `json:"req_id"`
		Event, Error string
	}
	if json.Unmarshal(line, &r) != nil {
		return "", 0, false
	}
	switch {
	case r.ReqID > 0:
		return decisionlog.ViewOPA, r.ReqID, true
	case r.Seq > 0 && r.Event != "":
		return decisionlog.ViewNative, r.Seq, true
	}
	return "", r.Seq, r.Seq > 0 && r.Error != ""
}
