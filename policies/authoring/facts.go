package authoring

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"

	"guestlist/policies"
)

// maxFactsFile bounds a file of facts, in bytes.
const maxFactsFile = 64 << 10

// ReadFacts reads a file of facts. An absent one is fs.ErrNotExist.
func ReadFacts(file string) (policies.FactValues, error) {
	_, values, err := readFacts(file)
	return values, err
}

func readFacts(file string) ([]byte, policies.FactValues, error) {
	info, err := os.Stat(file)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a regular file") // a pipe would block
	}
	var f *os.File
	if err == nil {
		f, err = os.Open(file)
	}
	if err != nil {
		return nil, policies.FactValues{}, fmt.Errorf("read the facts file %s: %w", file, err)
	}
	defer f.Close()
	body, err := io.ReadAll(io.LimitReader(f, maxFactsFile+1))
	if err == nil && len(body) > maxFactsFile {
		err = fmt.Errorf("it is larger than %d bytes; long lists belong in a data file", maxFactsFile)
	}
	if err != nil {
		return nil, policies.FactValues{}, fmt.Errorf("read the facts file %s: %w", file, err)
	}
	values, err := policies.ReadFacts(file, body)
	return body, values, err
}

// SetFacts gives facts other values in a file, which it makes if there is none.
// The values are as set.ParseFact returns them. What the file says of other
// facts stays, with its comments where the layout permits, and so does its
// mode. All that the file then says is held to set before anything is written.
//
// It returns set with the values before and after; before is nil where they did
// not fit. Two calls for one file wait for each other.
func SetFacts(file string, set *policies.Set, change map[string]any) (before, after *policies.Set, err error) {
	if target, err := filepath.EvalSymlinks(file); err == nil {
		file = target // the directory of the file itself is locked
	}
	unlock, err := lock(filepath.Dir(file))
	if err != nil {
		return nil, nil, err
	}
	defer unlock()
	body, old, err := readFacts(file)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, policies.ErrFactsEmpty) {
		old, err = policies.FactValues{File: file, Values: map[string]any{}}, nil
	}
	if err != nil {
		return nil, nil, err
	}
	if before, err = set.WithFacts(old.Values); err != nil {
		before = nil
	}
	wanted := maps.Clone(old.Values)
	maps.Copy(wanted, change)
	if after, err = set.WithFacts(wanted); err != nil {
		return nil, nil, fmt.Errorf("nothing is written: %w", old.Explain(err))
	}
	if before != nil && reflect.DeepEqual(old.Values, wanted) {
		return before, after, nil
	}
	text, err := rewrite(file, body, wanted, change)
	if err != nil {
		return nil, nil, fmt.Errorf("write the facts file %s: %w", file, err)
	}
	return before, after, Write(file, text)
}

// rewrite is the text of a file with these values. Lines of YAML that are not
// concerned stay as they are, if that text says what is wanted.
func rewrite(file string, body []byte, wanted, change map[string]any) ([]byte, error) {
	if filepath.Ext(file) == ".json" {
		text, err := json.MarshalIndent(wanted, "", "  ")
		return append(text, '\n'), err
	}
	text, err := editLines(body, change)
	if err != nil {
		return nil, err
	}
	if says(file, text, wanted) {
		return text, nil
	}
	if text, err = editLines(nil, wanted); err != nil {
		return nil, err
	}
	if !says(file, text, wanted) {
		return nil, errors.New("the new text would not read back the same, nothing was changed")
	}
	return text, nil
}

// says reports whether a text reads as these values.
func says(file string, text []byte, wanted map[string]any) bool {
	got, err := policies.ReadFacts(file, text)
	return err == nil && maps.EqualFunc(got.Values, wanted, func(a, b any) bool {
		x, errX := json.Marshal(a)
		y, errY := json.Marshal(b)
		return errX == nil && errY == nil && bytes.Equal(x, y)
	})
}

// editLines replaces the values of names that stand at the beginning of a line,
// and adds the others at the end.
func editLines(body []byte, change map[string]any) ([]byte, error) {
	out := slices.Clone(body)
	if len(out) > 0 && !bytes.HasSuffix(out, []byte("\n")) {
		out = append(out, '\n')
	}
	for _, name := range slices.Sorted(maps.Keys(change)) {
		var value bytes.Buffer
		e := json.NewEncoder(&value)
		e.SetEscapeHTML(false)
		if err := e.Encode(change[name]); err != nil {
			return nil, err
		}
		v := bytes.TrimSpace(value.Bytes())
		line := regexp.MustCompile(`(?m)^("?` + regexp.QuoteMeta(name) + `"?[ \t]*:[ \t]*)(?:[^#\n"']|"[^"\n]*"|'[^'\n]*')*?([ \t]+#.*)?$`)
		at := line.FindSubmatchIndex(out)
		if at == nil {
			out = append(out, name+": "+string(v)+"\n"...)
			continue
		}
		head := bytes.TrimRight(out[at[2]:at[3]], " \t")
		out = slices.Concat(out[:at[0]], head, []byte(" "), v, out[at[1]-lengthOf(at, 2):])
	}
	return out, nil
}

// lengthOf is how long the n-th group of a match is.
func lengthOf(at []int, n int) int { return at[2*n+1] - at[2*n] }
