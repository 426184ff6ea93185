package policies_test

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"guestlist/policies"
)

// heavy is a data file that the file system says is large; nobody may read it.
type heavy struct{ fstest.MapFS }

func (h heavy) Stat(name string) (fs.FileInfo, error) {
	info, err := h.MapFS.Stat(name)
	if err == nil && !info.IsDir() {
		info = large{info}
	}
	return info, err
}

func (h heavy) ReadFile(name string) ([]byte, error) {
	return nil, fmt.Errorf("%s was read", name)
}

type large struct{ fs.FileInfo }

func (large) Size() int64 { return 60 << 20 }

// A directory that would take the memory of the server is refused with one
// finding, before the costly part.
func TestSetBounds(t *testing.T) {
	crowd := fstest.MapFS{}
	for i := range 20_001 {
		crowd[fmt.Sprintf("readme%d.txt", i)] = &fstest.MapFile{}
	}
	large := heavy{fstest.MapFS{}}
	for i := range 5 {
		large.MapFS[fmt.Sprintf("d%d/data.json", i)] = &fstest.MapFile{}
	}
	many := files{}
	for i := range 10_001 {
		many[fmt.Sprintf("p%d.rego", i)] = fmt.Sprintf("package lib.p%d\n", i)
	}
	list := func(rows string) files {
		return files{"lists/l/data.json": rows, "p.rego": "package admission.policies.p\n\nclient_ids_from := data.lists.l\n\nsettings := {}\n"}
	}
	wild := func(n int) files {
		var rows []string
		for i := range n {
			rows = append(rows, fmt.Sprintf(`{"path": "/x%d/*"}`, i))
		}
		return list(`{"a.example": [` + strings.Join(rows, ",") + "]}")
	}
	for name, c := range map[string]struct {
		root fs.FS
		code string
		text string
	}{
		"files":             {crowd, "set_too_large", "more than 20000 files"},
		"bytes":             {large, "set_too_large", "more than 268435456 bytes"},
		"packages":          {many.fs(), "set_too_large", "more than 10000 packages"},
		"rows":              {list(`{"a.example": [` + strings.Repeat("0,", 1_000_000) + "0]}").fs(), "set_too_large", "more than 1000000 rows"},
		"wildcards of host": {wild(1001).fs(), "host_crowded", "1001 patterns"},
		"as many wildcards": {wild(1000).fs(), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, findings, err := policies.Load(context.Background(), policies.Config{FS: c.root})
			findings = slices.DeleteFunc(findings, func(f policies.Finding) bool { return f.Severity != policies.SeverityError })
			if c.code == "" {
				if err != nil {
					t.Errorf("Load = %v, want no error", err)
				}
				return
			}
			if err == nil || len(findings) != 1 || findings[0].Code != c.code || !strings.Contains(findings[0].Message, c.text) || findings[0].Remedy == "" {
				t.Errorf("Load = %.300v, want one finding %s with %q", findings, c.code, c.text)
			}
		})
	}
}

// Where every row is wrong, the first few are told and the others counted: the
// place of each would be looked for in the whole file.
func TestFindingsAreCounted(t *testing.T) {
	var rows []string
	for i := range 30_000 {
		rows = append(rows, fmt.Sprintf(`"h%d.example": [{"path": "x"}]`, i))
	}
	_, findings, err := policies.Load(context.Background(), policies.Config{FS: files{
		"lists/l/data.json": "{" + strings.Join(rows, ",\n") + "}",
		"p.rego":            "package admission.policies.p\n\nclient_ids_from := data.lists.l\n\nsettings := {}\n"}.fs()})
	n := slices.IndexFunc(findings, func(f policies.Finding) bool { return f.Code == "findings_more" })
	if err == nil || len(findings) > 210 || n < 0 || findings[n].Severity != policies.SeverityError || findings[n].Message != "29800 more like these are not shown" {
		t.Errorf("Load = %d findings, %v, want 200 and one that counts the rest", len(findings), err)
	}
}
