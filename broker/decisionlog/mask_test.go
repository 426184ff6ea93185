package decisionlog_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"guestlist/broker/decisionlog"
)

// masked is a record that has something to hide in every member of its body.
func masked() decisionlog.Record {
	r := sample()
	if err := r.Set(&r.Input, map[string]any{
		"user": map[string]any{"sub": "alice", "claims": map[string]any{"email": "a@corp.example", "a/b": 1, "m~n": 2}, "groups": []string{"g0", "g1", "g2", "g3"}},
		"n":    json.Number("12345678901234567890.10"),
	}); err != nil {
		panic(err)
	}
	if err := r.Set(&r.Result, map[string]any{"allow": true}); err != nil {
		panic(err)
	}
	return r
}

func remove(path string) decisionlog.Edit { return decisionlog.Edit{Path: path} }

func upsert(path, value string) decisionlog.Edit {
	return decisionlog.Edit{Path: path, Value: json.RawMessage(value)}
}

// TestMask: pointers mean the record before masking, what they lead to goes or
// is replaced and is listed, and what they do not lead to is left alone.
func TestMask(t *testing.T) {
	t.Parallel()
	const user = `"user":{"claims":{"a/b":1,"email":"a@corp.example","m~n":2},"groups":["g0","g1","g2","g3"],"sub":"alice"}`
	const n = `"n":12345678901234567890.10`
	type want struct{ erased, masked, input string }
	for name, tt := range map[string]struct {
		edits []decisionlog.Edit
		want  want
	}{
		"nothing":               {nil, want{"", "", `{` + n + `,` + user + `}`}},
		"a member":              {[]decisionlog.Edit{remove("/input/user")}, want{"/input/user", "", `{` + n + `}`}},
		"a number stays exact":  {[]decisionlog.Edit{remove("/input/user"), remove("/source")}, want{"/input/user /source", "", `{` + n + `}`}},
		"absent":                {[]decisionlog.Edit{remove("/input/user/claims/phone"), remove("/input/user/sub/x"), upsert("/input/user/new", `1`)}, want{"", "", `{` + n + `,` + user + `}`}},
		"escapes":               {[]decisionlog.Edit{remove("/input/user/claims/a~1b"), remove("/input/user/claims/m~0n"), remove("/input/user/groups"), remove("/input/user/sub"), remove("/input/n")}, want{"/input/n /input/user/claims/a~1b /input/user/claims/m~0n /input/user/groups /input/user/sub", "", `{"user":{"claims":{"email":"a@corp.example"}}}`}},
		"indices do not shift":  {[]decisionlog.Edit{remove("/input/user/groups/0"), remove("/input/user/groups/2"), upsert("/input/user/groups/3", `"x"`), remove("/input/user/claims"), remove("/input/user/sub"), remove("/input/n")}, want{"/input/n /input/user/claims /input/user/groups/0 /input/user/groups/2 /input/user/sub", "/input/user/groups/3", `{"user":{"groups":["g1","x"]}}`}},
		"no index":              {[]decisionlog.Edit{remove("/input/user/groups/4"), remove("/input/user/groups/-"), remove("/input/user/groups/01"), remove("/input/user/groups/-1"), remove("/input/user/groups/+1")}, want{"", "", `{` + n + `,` + user + `}`}},
		"twice":                 {[]decisionlog.Edit{remove("/input/user"), remove("/input/user"), upsert("/input/n", `0`), upsert("/input/n", `0`)}, want{"/input/user", "/input/n", `{"n":0}`}},
		"removal and upsert":    {[]decisionlog.Edit{upsert("/input/user", `1`), remove("/input/user")}, want{"/input/user", "", `{` + n + `}`}},
		"two upserts":           {[]decisionlog.Edit{upsert("/input/user", `1`), upsert("/input/user", `2`)}, want{"/input/user", "", `{` + n + `}`}},
		"removal in an upsert":  {[]decisionlog.Edit{upsert("/input/user", `{"claims":{"email":"a@corp.example"}}`), remove("/input/user/claims/email")}, want{"/input/user", "", `{` + n + `}`}},
		"upsert in a removal":   {[]decisionlog.Edit{remove("/input/user"), upsert("/input/user/sub", `"x"`)}, want{"/input/user", "", `{` + n + `}`}},
		"absent in an upsert":   {[]decisionlog.Edit{upsert("/input/user", `{}`), remove("/input/user/claims/phone")}, want{"", "/input/user", `{` + n + `,"user":{}}`}},
		"the whole input":       {[]decisionlog.Edit{remove("/input")}, want{"/input", "", ``}},
		"replaced by null":      {[]decisionlog.Edit{upsert("/input/user", `null`)}, want{"", "/input/user", `{` + n + `,"user":null}`}},
		"the body, all of it":   {[]decisionlog.Edit{remove("/input"), remove("/detail"), remove("/source"), remove("/result")}, want{"/detail /input /result /source", "", ``}},
		"text":                  {[]decisionlog.Edit{upsert("/source", `"192.0.2.0/24"`), upsert("/detail", `""`)}, want{"", "/detail /source", `{` + n + `,` + user + `}`}},
		"below a text":          {[]decisionlog.Edit{remove("/detail/0")}, want{"", "", `{` + n + `,` + user + `}`}},
		"a line break in names": {[]decisionlog.Edit{remove("/input/\n")}, want{"", "", `{` + n + `,` + user + `}`}},
	} {
		before := masked()
		for _, edits := range [][]decisionlog.Edit{tt.edits, reversed(tt.edits)} {
			r, err := before.Mask(edits)
			if err != nil {
				t.Errorf("%s: Mask() = %v", name, err)
				continue
			}
			got := want{strings.Join(r.Erased, " "), strings.Join(r.Masked, " "), string(r.Input)}
			if got != tt.want {
				t.Errorf("%s: Mask(%v) = %+v, want %+v", name, edits, got, tt.want)
			}
			s, err := decisionlog.Seal(1, r)
			if err != nil {
				t.Errorf("%s: Seal() = %v", name, err)
			} else if again, err := s.Record(); err != nil || string(again.Input) != got.input || again.Source != r.Source || !slices.Equal(again.Erased, r.Erased) {
				t.Errorf("%s: sealed and read again: %+v, %v", name, again, err)
			}
		}
		if string(before.Input) != string(masked().Input) || before.Source != masked().Source {
			t.Errorf("%s: Mask changed the record it was given: %s", name, before.Input)
		}
	}
	if r, err := masked().Mask([]decisionlog.Edit{upsert("/source", `"192.0.2.0/24"`), remove("/detail")}); err != nil || r.Source != "192.0.2.0/24" || r.Detail != "" {
		t.Errorf("Mask() = %q, %q, %v", r.Source, r.Detail, err)
	}
}

func reversed(edits []decisionlog.Edit) []decisionlog.Edit {
	out := slices.Clone(edits)
	slices.Reverse(out)
	return out
}

// TestMaskRefuses: what cannot be done is an error, and then the body goes.
func TestMaskRefuses(t *testing.T) {
	t.Parallel()
	many := make([]decisionlog.Edit, 10_000)
	for i := range many {
		many[i] = remove(fmt.Sprintf("/input/user/claims/%d", i))
	}
	broken := masked()
	broken.Input = json.RawMessage(`{`)
	for name, tt := range map[string]struct {
		r     decisionlog.Record
		edits []decisionlog.Edit
		want  error
	}{
		"the header":            {masked(), []decisionlog.Edit{remove("/client_id")}, decisionlog.ErrMaskPath},
		"no member":             {masked(), []decisionlog.Edit{remove("/inputs/user")}, decisionlog.ErrMaskPath},
		"the record":            {masked(), []decisionlog.Edit{remove("")}, decisionlog.ErrMaskPath},
		"the empty name":        {masked(), []decisionlog.Edit{remove("/")}, decisionlog.ErrMaskPath},
		"no pointer":            {masked(), []decisionlog.Edit{remove("input/user")}, decisionlog.ErrMaskPath},
		"a broken escape":       {masked(), []decisionlog.Edit{remove("/input/user~2")}, decisionlog.ErrMaskPath},
		"an escape cut short":   {masked(), []decisionlog.Edit{remove("/input/user~")}, decisionlog.ErrMaskPath},
		"one good, one bad":     {masked(), []decisionlog.Edit{remove("/input"), remove("/seq")}, decisionlog.ErrMaskPath},
		"a source that is none": {masked(), []decisionlog.Edit{upsert("/source", `{"ip":1}`)}, decisionlog.ErrMaskValue},
		"a detail that is null": {masked(), []decisionlog.Edit{upsert("/detail", `null`)}, decisionlog.ErrMaskValue},
		"10,000 edits":          {masked(), many, decisionlog.ErrMaskSize},
		"a huge value":          {masked(), []decisionlog.Edit{upsert("/input/n", `"`+strings.Repeat("x", decisionlog.MaxEditText)+`"`)}, decisionlog.ErrMaskSize},
		"a huge path":           {masked(), []decisionlog.Edit{remove("/input/" + strings.Repeat("x", decisionlog.MaxEditText))}, decisionlog.ErrMaskSize},
		"an input that is none": {broken, []decisionlog.Edit{remove("/input/user")}, decisionlog.ErrMaskBody},
	} {
		if r, err := tt.r.Mask(tt.edits); !errors.Is(err, tt.want) {
			t.Errorf("%s: Mask() = %+v, %v, want %v", name, r, err, tt.want)
		}
	}
	r := masked().Withhold("mask.rego:7: too late")
	s, err := decisionlog.Seal(1, r)
	if err != nil || string(s.Body) != "{}" {
		t.Errorf("withheld: body %s, %v, want none", s.Body, err)
	}
	for _, have := range []string{`"erased":["/detail","/input","/result","/source"]`, `"mask_error":"mask.rego:7: too late"`, `"client_id":"https://client.example.com/c"`} {
		if !bytes.Contains(s.Header, []byte(have)) {
			t.Errorf("withheld: header %s, want %s", s.Header, have)
		}
	}
}

// TestMaskedSchema: a masked record is what the schema says.
func TestMaskedSchema(t *testing.T) {
	t.Parallel()
	schema, whole := recordSchema(t), masked()
	whole.Path = "admission/v1"
	r, err := whole.Mask([]decisionlog.Edit{remove("/input/user"), upsert("/source", `"192.0.2.0/24"`), upsert("/result", `[]`)})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []decisionlog.Record{r, whole.Withhold("why")} {
		s, err := decisionlog.Seal(1, r)
		if err != nil {
			t.Fatal(err)
		}
		b, err := s.JSON()
		if err != nil {
			t.Fatal(err)
		}
		var v any
		if err := json.Unmarshal(b, &v); err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(v); err != nil {
			t.Errorf("Validate(%s) = %v", b, err)
		}
	}
}
