package cimd

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits of a document, beyond its size in bytes.
const (
	maxDepth  = 16   // objects and arrays inside one another
	maxItems  = 1000 // members and elements in total
	maxNumber = 40   // characters of one number
)

// decodeStrict reads a JSON object that every parser must read alike: valid
// UTF-8 without a byte order mark, no member twice at any depth (names are
// compared after unescaping), no lone surrogate or NUL, no trailing data, and
// within the limits above. Numbers come back as json.Number.
func decodeStrict(body []byte) (map[string]any, *Error) {
	notJSON := func(format string, args ...any) *Error {
		return &Error{Reason: reasonNotJSON, Rule: "D1", Detail: "the document " + fmt.Sprintf(format, args...)}
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, notJSON("is empty")
	}
	if !utf8.Valid(body) {
		return nil, notJSON("is not UTF-8")
	}
	if bytes.HasPrefix(body, []byte("\ufeff")) {
		return nil, notJSON("begins with a byte order mark")
	}
	var whole json.RawMessage
	if err := json.Unmarshal(body, &whole); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return nil, notJSON("is not JSON: the error is near byte %d", syntax.Offset)
		}
		return nil, notJSON("is not JSON")
	}
	if offset := badEscape(body); offset >= 0 {
		return nil, notJSON("has a lone surrogate or a NUL character at byte %d", offset)
	}
	d := strictDecoder{json: json.NewDecoder(bytes.NewReader(body))}
	d.json.UseNumber()
	value, err := d.value(0)
	if err != nil {
		return nil, notJSON("%v", err)
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, notJSON("is not a JSON object")
	}
	return object, nil
}

// badEscape returns the offset of the first \u escape in valid JSON that is
// half of a surrogate pair or NUL, or -1. encoding/json would replace the
// former without a word.
func badEscape(body []byte) int {
	for i := 0; i < len(body); i++ {
		if body[i] != '\\' {
			continue
		}
		unit, isUnit := escapedUnit(body[i:])
		if !isUnit {
			i++
			continue
		}
		switch {
		case unit == 0 || 0xdc00 <= unit && unit <= 0xdfff:
			return i
		case 0xd800 <= unit && unit <= 0xdbff:
			low, isUnit := escapedUnit(body[i+6:])
			if !isUnit || low < 0xdc00 || low > 0xdfff {
				return i
			}
			i += 6
		}
		i += 5
	}
	return -1
}

// escapedUnit reads the \uXXXX at the start of b.
func escapedUnit(b []byte) (uint64, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	unit, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	return unit, err == nil
}

// strictDecoder walks the tokens of text whose syntax is known to be good.
type strictDecoder struct {
	json  *json.Decoder
	items int
}

func (d *strictDecoder) value(depth int) (any, error) {
	token, err := d.json.Token()
	if err != nil {
		return nil, errors.New("is not JSON")
	}
	switch t := token.(type) {
	case json.Delim:
		if depth++; depth > maxDepth {
			return nil, fmt.Errorf("is nested deeper than %d levels", maxDepth)
		}
		if t == '{' {
			return d.object(depth)
		}
		return d.array(depth)
	case json.Number:
		return t, checkNumber(t)
	}
	return token, nil
}

func (d *strictDecoder) object(depth int) (map[string]any, error) {
	object := map[string]any{}
	for d.json.More() {
		token, err := d.json.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return nil, errors.New("is not JSON")
		}
		if _, twice := object[name]; twice {
			return nil, fmt.Errorf("has the member %s twice", quote(name))
		}
		if object[name], err = d.item(depth); err != nil {
			return nil, err
		}
	}
	_, err := d.json.Token()
	return object, err
}

func (d *strictDecoder) array(depth int) ([]any, error) {
	array := []any{}
	for d.json.More() {
		element, err := d.item(depth)
		if err != nil {
			return nil, err
		}
		array = append(array, element)
	}
	_, err := d.json.Token()
	return array, err
}

func (d *strictDecoder) item(depth int) (any, error) {
	if d.items++; d.items > maxItems {
		return nil, fmt.Errorf("has more than %d members and elements", maxItems)
	}
	return d.value(depth)
}

// checkNumber keeps out numbers that a later reader would have to round, or
// would unfold into very many digits: length, range of float64, and exponent.
func checkNumber(n json.Number) error {
	if len(n) > maxNumber {
		return fmt.Errorf("has a number of more than %d characters", maxNumber)
	}
	if _, err := strconv.ParseFloat(string(n), 64); err != nil {
		return errors.New("has a number out of range")
	}
	if _, exponent, found := strings.Cut(strings.ToLower(string(n)), "e"); found {
		if e, err := strconv.Atoi(exponent); err != nil || e < -400 || e > 400 {
			return errors.New("has a number out of range")
		}
	}
	return nil
}
