package main

import (
	"io"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestReadmeExport: the exporters of the README are ones that this program
// runs.
func TestReadmeExport(t *testing.T) {
	_, text, ok := strings.Cut(section(t, "For auditors"), "\n### Send the log elsewhere\n")
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindStringSubmatch(text)
	if !ok || block == nil {
		t.Fatal("the section is not there, or has no yaml")
	}
	dir := configDir(t)
	writeTestFile(t, filepath.Join(dir, "siem.token"), "a-token\n")
	c, err := parseIn(dir, minimalConfig+block[1])
	if err != nil {
		t.Fatalf("the configuration of the README: %v", err)
	}
	plans, err := exportersOf(c, nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range plans {
		got = append(got, p.Name+" "+p.Cursor)
	}
	if want := "stdout , archive exporter:archive, siem exporter:siem, otel exporter:otel"; strings.Join(got, ", ") != want {
		t.Errorf("exporters %q, want %q", got, want)
	}
	if !plans[2].FromNow || plans[1].file == nil || plans[3].Sink == nil {
		t.Errorf("plans %+v", plans)
	}
}
